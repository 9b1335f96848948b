// RFC 8705: applications that show a TLS certificate, and tokens that are worth nothing without it, with a client that is not ours (npm openid-client).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import * as oauth from 'openid-client';
import { good, send, sendForm, sendJson } from '../harness/http.mjs';
import { Client } from '../harness/client.mjs';
import { System } from '../harness/system.mjs';

/** What the service tells of its listener for certificates; the system chose the port. */
const stated = 'https://mutual.invalid';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

describe('an application with a certificate', () => {
  let folder, system, client, port;
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] });
  const file = (name) => readFileSync(path.join(folder, name));
  const digest = (name) => createHash('sha256').update(new X509Certificate(file(`${name}.pem`)).raw);

  function makeKey(name) {
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`);
  }
  /** name.pem by itself. */
  function makeSelfSigned(name, ...more) {
    makeKey(name);
    openssl('req', '-x509', '-new', '-key', `${name}.key`, '-subj', `/C=DE/CN=${name}`, '-days', '3', '-out', `${name}.pem`, ...more);
  }
  /** name.pem of an authority. */
  function makeOf(authority, name, { subject = `/C=DE/CN=${name}`, purpose = 'clientAuth', host = 'app.example' } = {}) {
    makeKey(name);
    openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
    writeFileSync(path.join(folder, 'extensions'), `extendedKeyUsage = ${purpose}\nsubjectAltName = DNS:${host}\n`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${authority}.pem`, '-CAkey', `${authority}.key`, '-CAcreateserial', '-days', '3', '-extfile', 'extensions', '-out', `${name}.pem`);
  }

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'intaglio-test-clients-'));
    makeSelfSigned('authority');
    makeSelfSigned('stranger');
    makeSelfSigned('alone');
    makeOf('authority', 'subject');
    makeOf('authority', 'host', { host: 'other.example' });
    makeOf('authority', 'server', { subject: '/C=DE/CN=subject', purpose: 'serverAuth' });
    makeOf('stranger', 'impostor', { subject: '/C=DE/CN=subject' });
    system = await System.start({ configure: { ssa: (text) => {
      const [, chain] = /certificate_chain = "(.*)"/.exec(text);
      const [, key] = /private_key = "(.*)"/.exec(text);
      return `${text.replace('certificate_bound = false', 'certificate_bound = true').replace('access_token_seconds = 3600', 'access_token_seconds = 86400')}
[[clients]]
id = "subject"
name = "Known by its subject"
tls_client_auth_subject_dn = "CN=subject,C=DE"
[[clients]]
id = "host"
name = "Known by its host"
tls_client_auth_san_dns = "other.example"
[[clients]]
id = "alone"
name = "Known by its certificate"
certificate_sha256 = ["${digest('alone').digest('hex')}"]
[mutual_tls]
address = "127.0.0.1"
port = 0
certificate_chain = "${chain}"
private_key = "${key}"
base_url = "${stated}"
client_authorities = ["${path.join(folder, 'authority.pem')}"]
`;
    } } });
    port = system.services.ssa.event('ready').mutual_tls_port;
    client = new Client(system);
  });
  after(async () => {
    rmSync(folder, { recursive: true, force: true });
    await system?.stop();
  });

  const at = (address) => address.replace(stated, `https://127.0.0.1:${port}`);
  const shows = (name) => system.tls(name ? { cert: file(`${name}.pem`), key: file(`${name}.key`) } : {});
  const tokenOf = (id, certificate, more = {}) =>
    sendForm(at(`${stated}/csc/v2/oauth2/token`), { grant_type: 'client_credentials', client_id: id, ...more }, { tls: shows(certificate) });
  const list = (address, token, certificate) =>
    sendJson(at(`${address}/csc/v2/credentials/list`), { userID: 'nobody-at-all' }, { tls: shows(certificate), headers: { authorization: `Bearer ${token}` } });

  it('is served by openid-client, which learns of the other listener by itself', async () => {
    for (const id of ['subject', 'host', 'alone']) {
      const customFetch = async (url, { method, headers, body }) => {
        const answer = await send(at(String(url)), { method, headers: Object.fromEntries(new Headers(headers)), body: body === undefined || body === null ? undefined : String(body), tls: shows(String(url).startsWith(stated) ? id : undefined) });
        return new Response(answer.octets.length > 0 ? answer.octets : null, { status: answer.status, headers: Object.fromEntries(Object.entries(answer.headers).filter(([, value]) => typeof value === 'string')) });
      };
      const found = await oauth.discovery(new URL(system.publicUrl), id, { use_mtls_endpoint_aliases: true }, oauth.TlsClientAuth(), { algorithm: 'oauth2', [oauth.customFetch]: customFetch });
      const { mtls_endpoint_aliases: aliases, token_endpoint_auth_methods_supported: methods, tls_client_certificate_bound_access_tokens: binds } = found.serverMetadata();
      assert.equal(aliases.token_endpoint, `${stated}/csc/v2/oauth2/token`);
      assert.ok(methods.includes('tls_client_auth') && methods.includes('self_signed_tls_client_auth') && binds);
      const { access_token: token } = await oauth.clientCredentialsGrant(found, { scope: 'service' });
      system.secret('an access token', token);
      const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
      assert.deepEqual(claims.cnf, { 'x5t#S256': digest(id).digest('base64url') });
      assert.notEqual((await list(stated, token, id)).status, 401);
    }
  });

  it('is nobody without it, with another one, or with one that somebody else issued or that is for servers', async () => {
    for (const [id, certificate] of [['subject', 'host'], ['subject', 'impostor'], ['subject', 'server'], ['subject', 'alone'], ['host', 'subject'], ['alone', 'subject'], ['alone', 'stranger']]) {
      const refused = await tokenOf(id, certificate);
      assert.deepEqual([refused.status, refused.json?.error], [401, 'invalid_client'], `${id} with ${certificate}`);
    }
    const unasked = await sendForm(`${system.publicUrl}/csc/v2/oauth2/token`, { grant_type: 'client_credentials', client_id: 'subject' }, { tls: shows('subject') });
    assert.deepEqual([unasked.status, unasked.json.error], [401, 'invalid_client'], 'the public listener asks nobody for a certificate');
    await assert.rejects(tokenOf('subject', undefined), 'the handshake ends without one');
  });

  it('has tokens that are worth nothing without it', async () => {
    const token = system.secret('an access token', good('token', await tokenOf('subject', 'subject')).access_token);
    assert.notEqual((await list(stated, token, 'subject')).status, 401);
    for (const [address, certificate] of [[stated, 'alone'], [stated, 'impostor'], [system.publicUrl, undefined], [system.publicUrl, 'subject']]) {
      const refused = await list(address, token, certificate);
      assert.deepEqual([refused.status, refused.json.error], [401, 'invalid_token'], `${address} with ${certificate}`);
    }
  });

  it('may prove itself by a key all the same, and its tokens are bound to what it shows', async () => {
    const assertion = async () => ({ client_assertion_type: assertionType, client_assertion: await client.assertion({ aud: `${stated}/csc/v2/oauth2/token` }) });
    const token = system.secret('an access token', good('token', await tokenOf('demo', 'stranger', await assertion())).access_token);
    assert.notEqual((await list(stated, token, 'stranger')).status, 401);
    assert.equal((await list(stated, token, 'alone')).status, 401);
    const refused = await client.requestToken();
    assert.deepEqual([refused.status, refused.json.error], [400, 'invalid_request'], 'no token without a certificate');
  });

  it('is refused when its certificate has expired, over the same connection', async () => {
    const hour = 3600;
    system.moveClock(60 * hour);
    const token = system.secret('an access token', good('token', await tokenOf('alone', 'alone')).access_token);
    const connection = shows('alone');
    const use = () => sendJson(at(`${stated}/csc/v2/credentials/list`), {}, { tls: connection, headers: { authorization: `Bearer ${token}` } });
    assert.notEqual((await use()).status, 401);
    system.moveClock(20 * hour);
    const refused = await use();
    assert.deepEqual([refused.status, refused.json.error], [401, 'invalid_token'], 'the token itself is still good');
    for (const id of ['alone', 'subject']) assert.deepEqual((await tokenOf(id, id)).json.error, 'invalid_client');
  });
});
