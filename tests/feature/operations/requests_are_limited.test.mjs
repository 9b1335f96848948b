// [limits] as it is shipped: what is more is answered 429 with Retry-After, in the form of each surface, and strangers take nothing from applications.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { send, sendForm, sendJson } from '../harness/http.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('limits of requests', () => {
  let system, client, alice;
  const tooMany = { error: 'temporarily_unavailable', error_description: 'Too many requests for now' };
  /** Asks until it is refused, at most `most` times; how often it was not. */
  const untilLimited = async (ask, most) => {
    for (let answered = 0; answered < most; answered += 1) {
      const answer = await ask();
      if (answer.status === 429) return { answered, answer };
    }
    throw new Error(`${most} requests and no limit`);
  };
  const assertLimited = ({ answer }) => {
    assert.deepEqual(answer.json, tooMany);
    const wait = Number(answer.headers['retry-after']);
    assert.ok(Number.isInteger(wait) && wait >= 1 && wait <= 60, answer.headers['retry-after']);
    return wait;
  };

  before(async () => {
    // The figures of the example, made small enough to be reached before the clock of this machine refills them by one.
    const small = (text) => text.replace(/(\[limits\.reads\]\n(?:#.*\n)*per_address = )600/, '$15').replace(/(\[limits\.starts\]\n(?:#.*\n)*(?:\w+ = \d+\n){3}per_account = )60/, '$13');
    system = await System.start({ policy: withoutLimits, limits: 'as shipped', configure: { ssa: small } });
    ({ client, signer: alice } = await signerOf(system, { id: 'alice' }));
  });
  after(() => system?.stop());

  it('answers a stranger on CSC, OAuth and /sic with 429 once his address has asked enough', async () => {
    const info = await untilLimited(() => sendJson(client.url('/csc/v2/info'), {}, { tls: client.tls }), 20);
    assertLimited(info);
    assert.ok(info.answered >= 1 && info.answered <= 6, `${info.answered}`);
    for (const [method, path] of [['GET', '/csc/v1/info'], ['GET', '/csc/v2/oauth2/jwks'], ['GET', '/.well-known/oauth-authorization-server']]) {
      assertLimited(await untilLimited(() => send(client.url(path), { method, tls: client.tls }), 2));
    }
  });

  it('goes on serving an application behind the same address, and health', async () => {
    await untilLimited(() => sendJson(client.url('/csc/v2/info'), {}, { tls: client.tls }), 20);
    assert.equal((await client.post('/csc/v2/credentials/list', { userID: 'alice' })).status, 200);
    assert.equal((await send(client.url('/health/alive'), { tls: client.tls })).status, 200);
  });

  it('lets an address that waits ask again', async () => {
    const limited = await untilLimited(() => sendJson(client.url('/csc/v2/info'), {}, { tls: client.tls }), 20);
    system.moveClock(assertLimited(limited));
    assert.equal((await sendJson(client.url('/csc/v2/info'), {}, { tls: client.tls })).status, 200);
  });

  it('bounds how often one signer is asked to approve, whichever application asks', async () => {
    const documents = documentsOf('one');
    const body = { credentialID: alice.credential, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', documents: documents.map(({ digest, label }) => ({ hash: digest.toString('base64'), label })) };
    system.moveClock(120);
    const limited = await untilLimited(() => client.post('/sic/v1/transactions', body), 10);
    assert.deepEqual([limited.answer.json.error, limited.answer.headers['retry-after']], ['access_denied', '60']);
    assert.ok(limited.answered >= 3, `${limited.answered}`);
  });

  it('counts a client that proves itself, and no stranger who only names it', async () => {
    system.moveClock(120);
    const guess = () => sendForm(client.url('/csc/v2/oauth2/token'), { grant_type: 'client_credentials', client_id: 'demo', client_secret: 'guess' }, { tls: client.tls });
    for (let i = 0; i < 20; i += 1) assert.equal((await guess()).status, 400);
    assert.equal((await new Client(system).requestToken()).status, 200);
  });

  it('counts what it refused', async () => {
    const figures = await send(`http://127.0.0.1:${system.services.ssa.event('ready').metrics_port}/metrics`);
    const count = (limit) => Number(new RegExp(`^intaglio_limited_requests_total\\{limit="${limit}"\\} (\\d+)$`, 'm').exec(figures.text)?.[1]);
    assert.ok(count('address') >= 4, figures.text);
    assert.ok(count('account') >= 1);
    assert.equal(count('client'), 0);
  });
});
