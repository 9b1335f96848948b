// The switches of `compatibility` in [[clients]]: each for the client that has it and for no other; nothing by default.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { good, send, sendJson } from '../harness/http.mjs';
import { Client } from '../harness/client.mjs';
import { System, binaries, run } from '../harness/system.mjs';

describe('clients of old', () => {
  let system, client, secret;
  before(async () => {
    const made = run(path.join(binaries, 'intaglio-ssa'), ['--new-client-secret']).stdout;
    const [, value, hash] = /client_secret, shown this once: (\S+)\nsecret_hash for ssa.toml: (\S+)/.exec(made);
    const table = (id, compatibility) => `[[clients]]\nid = "${id}"\nname = "${id}"\nsecret_hash = "${hash}"\nredirect_uris = ["https://app.invalid/back"]\ncompatibility = [${compatibility}]\n`;
    system = await System.start({
      configure: { ssa: (text) => `${text.replace('approval_page = ""', 'approval_page = "https://sign.invalid/approve"')}\n${table('old', '"no-pkce", "auth-login", "token-query"')}\n${table('new', '')}` },
    });
    secret = system.secret('the secret of a client', value);
    client = new Client(system);
  });
  after(() => system?.stop());

  const basic = (id) => ({ authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` });
  const login = (id) => sendJson(client.url('/csc/v2/auth/login'), {}, { tls: client.tls, headers: basic(id) });
  const askInQuery = (id, more = '') => send(client.url(`/csc/v2/oauth2/token?grant_type=client_credentials&client_id=${id}${more}`), { method: 'POST', tls: client.tls, headers: basic(id) });
  const start = (id) => send(client.url(`/csc/v2/oauth2/authorize?response_type=code&client_id=${id}&scope=credential&credentialID=nobody-1&numSignatures=1&hashAlgorithmOID=2.16.840.1.101.3.4.2.1&hashes=${'A'.repeat(43)}`), { tls: client.tls });
  const errorOf = (answer) => new URL(answer.headers.location).searchParams;

  it('sign in by auth/login and end their tokens by auth/revoke, which info names', async () => {
    const { access_token: token } = good('auth/login', await login('old'));
    system.secret('an access token', token);
    const headers = { authorization: `Bearer ${token}` };
    const list = () => sendJson(client.url('/csc/v2/credentials/list'), { userID: 'nobody' }, { tls: client.tls, headers });
    assert.equal((await list()).status, 200);
    assert.equal((await sendJson(client.url('/csc/v2/auth/revoke'), { token }, { tls: client.tls, headers })).status, 204);
    assert.equal((await list()).status, 401);
    const refused = await login('new');
    assert.deepEqual([refused.status, refused.json.error], [400, 'authentication_error']);
    for (const version of ['v1', 'v2']) {
      const info = good('info', await sendJson(client.url(`/csc/${version}/info`), {}, { tls: client.tls }));
      assert.ok(info.authType.includes('basic') && info.methods.includes('auth/login') && info.methods.includes('auth/revoke'), version);
    }
  });

  it('ask for tokens in the query, without a secret there', async () => {
    system.secret('an access token', good('oauth2/token', await askInQuery('old')).access_token);
    assert.deepEqual((await askInQuery('old', `&client_secret=${'x'.repeat(43)}`)).json, { error: 'invalid_request', error_description: 'Invalid parameter client_secret' });
    assert.equal((await askInQuery('new')).status, 400);
  });

  it('ask for codes without PKCE: the request of another one goes back at once', async () => {
    assert.equal(errorOf(await start('old')).get('error'), 'access_denied');  // the credential is unknown: PKCE was no reason
    assert.deepEqual([errorOf(await start('new')).get('error'), errorOf(await start('new')).get('error_description')], ['invalid_request', 'Missing parameter code_challenge']);
  });

  it('have no switch of another name', () => {
    system.configure('ssa', (text) => text.replace('"token-query"]', '"everything"]'));
    const { program, words, environment } = system.command('ssa', '--check-config');
    const checked = run(program, words, { environment });
    assert.notEqual(checked.status, 0);
    assert.match(checked.stderr, /ssa\.toml:\d+.*compatibility.*knows no-pkce, auth-login and token-query only/s);
  });
});
