// RFC 4210, RFC 9483, 4.1.4 and 4.2: a CA of somebody else, here OpenSSL's CMP server, certifies signers' keys in place of our PKI; what it returns is judged
// before it is kept. The commands are those of docs/operate/external-ca.md.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { X509Certificate, createPublicKey, verify } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { good } from '../harness/http.mjs';
import { Officer } from '../harness/officer.mjs';
import { Privileged } from '../harness/privileged.mjs';
import { base64url, sha256 } from '../harness/protocol.mjs';
import { Signer, identityOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, until } from '../harness/system.mjs';

/** The shell blocks of the page, in their order: the CA, the certificate, the servers. */
const [makeAuthority, certifyRequest, servers] = [...readFileSync(path.join(repository, 'docs/operate/external-ca.md'), 'utf8').matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block);
const [otherKeyServer, rightServer] = servers.trim().split('\n');

/** An example's table of ssa.toml with other values. */
function tableOf(values) {
  const table = readFileSync(path.join(repository, 'deploy/examples/ssa-external-ca.toml'), 'utf8').replace(/^[\s\S]*?(?=\[external_ca\])/, '');
  return Object.entries(values).reduce((text, [key, value]) => {
    const line = new RegExp(`^${key} = .*\\n`, 'm');
    assert.match(text, line);
    return text.replace(line, value === undefined ? '' : `${key} = ${JSON.stringify(value)}\n`);
  }, table);
}

describe('an external CA', () => {
  let system, folder, lists, officer, signer, port, said;
  const servants = [];
  const at = (name) => path.join(folder, name);
  const must = (program, words, options) => {
    const result = run(program, words, options);
    assert.equal(result.status, 0, `${program} ${words.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  const shell = (script) => must('sh', ['-ec', `cd '${folder}'\n${script}`]);

  /** OpenSSL's server by a command of the page, on a port of its own or the one of before; `more` is added to it. */
  const serve = async (command, more = []) => {
    for (const servant of servants.splice(0)) {
      const gone = new Promise((resolve) => { servant.once('close', resolve); });
      servant.kill('SIGKILL');
      await gone;
    }
    const words = [...command.split(' '), ...more].map((word) => (word === '8091' ? String(port ?? 0) : word));
    const servant = spawn('setpriv', ['--pdeathsig', 'KILL', ...words], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    servants.push(servant);
    said = '';
    for (const stream of [servant.stdout, servant.stderr]) stream.on('data', (text) => { said += text; });
    const [, listening] = await until('the CMP server', () => {
      if (servant.exitCode !== null) throw new Error(`openssl cmp ended:\n${said}`);
      return /ACCEPT .*:(\d+)/.exec(said);
    });
    port = Number(listening);
  };
  const pendingOf = async (credential) => good('key request', await officer.get(`/ra/v1/requests/${credential}`));
  const askCertificate = async (credential) => {
    const pending = await pendingOf(credential);
    const request = await officer.request('issue-certificate', {
      signer: pending.signerID, key: credential, csr_sha256: base64url(sha256(Buffer.from(pending.csr, 'base64'))), identity: identityOf(signer.id), profile: 'theirs',
    });
    return officer.post('/ra/v1/certificates', { request });
  };
  const lastRefusal = () => system.services.ssa.lines.filter(({ event }) => event === 'registration.refused').at(-1);
  const published = () => shell('openssl ca -config ca.conf -gencrl -out issuing.crl.pem\nopenssl crl -in issuing.crl.pem -outform DER -out issuing.crl');

  before(async () => {
    system = await System.start({ start: [] });
    folder = system.path('trial');
    mkdirSync(folder, { mode: 0o700 });
    shell(makeAuthority);
    await serve(otherKeyServer);
    lists = http.createServer((_, answer) => answer.end(readFileSync(at('issuing.crl'))));
    await new Promise((resolve) => { lists.listen(0, '127.0.0.1', resolve); });
    const spki = createPublicKey(readFileSync(system.path('operators/ra-1/operator.key.pem'))).export({ type: 'spki', format: 'der' }).toString('base64');
    system.configure('ssa', (text) => text.replace(/^\[pki\]\n[\s\S]*?(?=^\[oauth\])/m, '') + '\n' + tableOf({
      url: `http://127.0.0.1:${port}/pkix/`, crl_url: `http://127.0.0.1:${lists.address().port}/issuing.crl`, root_crl_url: '', allow_loopback_http: undefined,
      ca_file: undefined, tls_certificate: undefined, tls_private_key: undefined, secret_file: undefined,
      certificate: at('ra.pem'), private_key: at('ra.key.pem'), authority_certificate: at('server.pem'), issuers: at('issuing.pem'), anchors: at('root.pem'),
      sam_identity: system.path('pki/sam-identity.json'), spki,
    }).replace('[external_ca]\n', '[external_ca]\nallow_loopback_http = true\n'));

    // The SAM binds what leads to an anchor of its policy.
    await system.startService('sam');
    const administrator = new Privileged(system, 'adm-1');
    const document = JSON.parse((await administrator.ask('show-policy')).document);
    const anchors = ['root', 'issuing'].map((name) => new X509Certificate(readFileSync(at(`${name}.pem`))).raw.toString('base64'));
    const proposal = await administrator.propose('install-policy', { document: JSON.stringify({ ...document, epoch: document.epoch + 1, ca_anchors: anchors }) });
    await new Privileged(system, 'off-1').approve(proposal);
    await administrator.execute(proposal);
    await system.restart('sam');
    await system.startService('ssa');
    officer = new Officer(system);
    signer = new Signer(await new Client(system).signIn(), 'alice');
    await signer.enrol(await officer.createSigner(signer.id, identityOf(signer.id)));
    signer.algorithm = 'p256';
    signer.credential = await signer.generateKey({ algorithm: 'p256' });
    writeFileSync(at('request.der'), Buffer.from((await pendingOf(signer.credential)).csr, 'base64'));
    shell(certifyRequest);
  });
  after(async () => {
    for (const servant of servants) servant.kill('SIGKILL');
    lists?.close();
    await system?.stop();
  });

  it('is refused by name when it answers with a certificate for another key, and nothing is kept', async () => {
    const answer = await askCertificate(signer.credential);
    assert.notEqual(answer.status, 200);
    assert.deepEqual([lastRefusal().code, lastRefusal().detail], ['certificate_invalid', "the CA certified another key than the request's"]);
    const bind = await officer.request('bind-certificate', { key: signer.credential, certificate_sha256: base64url(sha256(new X509Certificate(readFileSync(at('ra.pem'))).raw)) });
    assert.equal((await officer.post('/ra/v1/bindings', { request: bind })).status, 404);
  });

  it('is not believed when another certificate protects its words, or none does', async () => {
    await serve(rightServer.replaceAll('server.', 'ra.'));
    assert.notEqual((await askCertificate(signer.credential)).status, 200);
    assert.match(lastRefusal().detail, /^the CA's answer is not believed: /);
    await serve(rightServer, ['-send_unprotected']);
    assert.notEqual((await askCertificate(signer.credential)).status, 200);
    assert.match(lastRefusal().detail, /^the CA's answer is not believed: /);
  });

  it('is quoted when it rejects the request', async () => {
    await serve(rightServer.replace(/ -poll_count.*/, ''), ['-pkistatus', '2', '-failure', '9', '-statusstring', 'unknown-person']);
    assert.equal((await askCertificate(signer.credential)).status, 403);
    assert.match(lastRefusal().detail, /^the CA refused: PKIStatus: rejection; PKIFailureInfo: .*unknown-person/);
  });

  it('is answered for while it lets us wait, and is not asked again before it wants to be', async () => {
    await serve(rightServer.replace('-poll_count 1 -check_after 1', '-poll_count 1000 -check_after 14'));
    const key = await signer.generateKey({ algorithm: 'p256' });
    const begun = Date.now();
    for (const detail of [/^the CA is still waiting; ask again in 14 s$/, /^the CA is still waiting; ask again in \d+ s$/]) {
      assert.equal((await askCertificate(key)).status, 503);
      assert.match(lastRefusal().detail, detail);
    }
    assert.ok(Date.now() - begun < 14_000, 'no thread waited with it');
  });

  it('certifies a key after it let us wait, and the signature verifies under its certificate', async () => {
    await serve(rightServer);
    const asked = await askCertificate(signer.credential);
    assert.equal(asked.status, 200, `${lastRefusal()?.detail}\n${said}`);
    const { certificates } = asked.json;
    const chain = certificates.map((text) => new X509Certificate(Buffer.from(text, 'base64')));
    assert.deepEqual(chain.map(({ fingerprint256 }) => fingerprint256), ['signer', 'issuing'].map((name) => new X509Certificate(readFileSync(at(`${name}.pem`))).fingerprint256));
    const bind = await officer.request('bind-certificate', { key: signer.credential, certificate_sha256: base64url(sha256(chain[0].raw)) });
    assert.equal(good('binding', await officer.post('/ra/v1/bindings', { request: bind })).state, 'assigned');
    const { signatures } = await signer.sign(['a contract under a certificate of somebody else']);
    assert.ok(verify('sha256', Buffer.from('a contract under a certificate of somebody else'), chain[0].publicKey, signatures[0]));
    assert.deepEqual(good('again', await askCertificate(signer.credential)).certificates, certificates, 'a key is certified once');
    assert.deepEqual((await pendingOf(signer.credential)).certificates, certificates);
  });

  it('revokes what an operator asks it to, and the key signs no more, listed or not', async () => {
    const serial = new X509Certificate(readFileSync(at('signer.pem'))).serialNumber.toLowerCase();
    const revoke = async () => officer.post('/ra/v1/revocations', { request: await officer.request('revoke-certificate', { key: signer.credential, serial, reason: 'keyCompromise' }) });
    assert.equal(good('revocation', await revoke()).state, 'revoked');
    await assert.rejects(signer.sign(['too late']));
    shell('openssl ca -config ca.conf -revoke signer.pem -crl_reason keyCompromise');
    published();
    assert.equal(good('revocation', await revoke()).state, 'revoked');
    await assert.rejects(signer.sign(['too late still']));
    assert.ok(system.auditEvents('sam').some(({ type }) => /revocation|crl/.test(type)), 'the SAM took the list');
  });

  it('stands beside no PKI of ours, and a typing error in its table is found', () => {
    const check = (change) => {
      writeFileSync(system.path('config/spoiled.toml'), change(system.read('config/ssa.toml')));
      return run(path.join(binaries, 'intaglio-ssa'), ['--check-config', '--config', system.path('config/spoiled.toml')]);
    };
    assert.equal(check((text) => text).status, 0);
    for (const [change, words] of [
      [(text) => text.replace('max_polls', 'max_poll'), /external_ca\.max_poll|max_poll\b/],
      [(text) => `${text}\n[pki]\nbase_url = "https://127.0.0.1:1"\n`, /certificates come from one of them/],
      [(text) => text.replace('allow_loopback_http = true\n', ''), /must be an https address/],
      [(text) => text.replace('reference = ""', 'reference = "ra"'), /is not used with this protection/],
      [(text) => text.replace(/^authority_certificate.*\n/m, ''), /is needed for this protection/],
    ]) {
      const { status, stderr } = check(change);
      assert.equal(status, 1);
      assert.match(stderr, words);
    }
  });
});
