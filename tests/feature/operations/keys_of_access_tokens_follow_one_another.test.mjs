// The key that signs access tokens is followed by another: shown before it signs, and the former one stays until what it signed has ended.
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { Client } from '../harness/client.mjs';
import { good, send, sendJson } from '../harness/http.mjs';
import { run, System, until } from '../harness/system.mjs';

const day = 86400;

describe('the keys of access tokens', () => {
  let system, client, first, second;
  before(async () => {
    system = await System.start();
    client = new Client(system);
  });
  after(() => system?.stop());

  const keySet = async () => good('jwks', await send(client.url('/csc/v2/oauth2/jwks'), { tls: client.tls }));
  const shown = async () => (await keySet()).keys.map(({ kid }) => kid);
  const announce = () => {
    const { program, words, environment } = system.command('ssa', '--next-token-key');
    return run(program, words, { environment });
  };
  /** A new token, which whoever fetches the key set now can verify. */
  async function sign() {
    await client.signIn();
    await jwtVerify(client.token, createLocalJWKSet(await keySet()), { typ: 'at+jwt', currentDate: new Date(system.now() * 1000) });
    return { token: client.token, kid: decodeProtectedHeader(client.token).kid };
  }
  const use = async (token) => (await sendJson(client.url('/csc/v2/credentials/list'), {}, { tls: client.tls, headers: { authorization: `Bearer ${token}` } })).status;

  it('begin with one, and none is made beside the running service', async () => {
    first = (await sign()).kid;
    assert.deepEqual(await shown(), [first]);
    const refused = announce();
    assert.equal(refused.status, 1, refused.stdout + refused.stderr);
    assert.deepEqual(await shown(), [first]);
  });

  it('show the next one before it signs', async () => {
    const { token } = await sign();
    await system.services.ssa.stop();
    const made = announce();
    assert.equal(made.status, 0, made.stderr);
    [, second] = /^kid: (\S+)$/m.exec(made.stdout);
    const again = announce();
    assert.equal(again.status, 1);
    assert.match(again.stderr, /is announced already and does not sign yet/);
    await system.startService('ssa');
    assert.deepEqual(await shown(), [first, second]);
    assert.equal((await sign()).kid, first);
    assert.notEqual(await use(token), 401);
  });

  it('change while the service runs, and what the former one signed is taken until it ends', async () => {
    system.moveClock(day - 600);
    const former = await sign();
    assert.equal(former.kid, first);
    system.moveClock(700);
    assert.equal((await sign()).kid, second);
    assert.deepEqual(await shown(), [first, second]);
    assert.notEqual(await use(former.token), 401);
    await system.restart('ssa');
    assert.equal((await sign()).kid, second);
    assert.notEqual(await use(former.token), 401);
  });

  it('lose the former one, and its key on the token, when nothing of it is in force', async () => {
    system.moveClock(day);
    assert.deepEqual(await shown(), [second]);
    await system.restart('ssa');
    assert.equal(system.services.ssa.event('token_key.destroyed').kid, first);
    assert.deepEqual(await shown(), [second]);
    assert.equal((await sign()).kid, second);
  });

  it('are those that they were, or the service does not start', async () => {
    await system.services.ssa.stop();
    const database = new DatabaseSync(system.path('ssa', 'ssa.db'));
    const rename = (kid) => database.prepare('UPDATE oauth_token_keys SET kid = ?').run(kid);
    rename(first);
    const service = await system.startService('ssa', {}, { wait: false });
    await until('the service to end or to serve', () => service.result ?? service.event('ready'), 30000);
    assert.equal(service.result?.code, 1, service.words());
    assert.match(service.words(), /is another than it was/);
    rename(second);
    database.close();
    await system.startService('ssa');
    assert.equal((await sign()).kid, second);
  });
});
