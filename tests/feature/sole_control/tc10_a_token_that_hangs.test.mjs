// TC-10, TC-4: a call that hangs in the token ends for whoever asked, holds up nobody else, and its occurrence is never given back.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, until, withoutLimits } from '../harness/system.mjs';

describe('TC-10 a token that hangs', () => {
  let system, alice, client, sam, fault;
  before(async () => {
    system = await System.start({
      policy: withoutLimits,
      configure: {
        sam: (text) => text.replace(/^call_seconds = \d+/m, 'call_seconds = 1'),
        ssa: (text) => text.replace(/^timeout_seconds = \d+/m, 'timeout_seconds = 3'),
      },
    });
    fault = system.path('token-fault');
    await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: `@${fault}` } });
    ({ signer: alice, client } = await signerOf(system));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const approved = async (text) => {
    const [document] = documentsOf(text);
    const sad = await alice.approve({ credential: alice.credential, documents: [document] });
    return { credential: alice.credential, sad, digests: [document.digest], suite: 'ecdsa-sha256' };
  };
  const seconds = async (work) => {
    const start = Date.now();
    const result = await work();
    return { result, took: (Date.now() - start) / 1000 };
  };

  it('ends the request with an error, refuses others at once, says so, and serves again when the call comes back', async () => {
    const request = await approved('hangs');
    const before = await sam.signatures();
    writeFileSync(fault, 'slow:9000');
    const hung = await seconds(() => client.signHash(request));
    assert.ok(hung.result.status >= 500, JSON.stringify(hung.result.json));
    assert.ok(hung.took < 6, `${hung.took} s`);
    rmSync(fault);
    const status = await sam.status();
    assert.equal(status.state, 'refusing');
    assert.equal(status.token.hanging_calls, 1);
    const other = await seconds(() => approved('another').then(() => 'approved', (error) => error.message));
    assert.match(other.result, /50\d|temporarily_unavailable/);
    assert.ok(other.took < 2, `${other.took} s`);
    await until('the call to come back', async () => (await sam.status()).token.hanging_calls === 0, 20000);
    assert.equal((await sam.status()).state, 'serving');
    const again = await client.signHash(request);
    assert.equal(again.status, 200, 'the signature that was made then is returned, not made anew');
    assert.equal(await sam.signatures(), before + 1);
    await alice.sign(['well again']);
  });

  it('is stopped by SIGTERM all the same, and what it left open is burned at the next start', async () => {
    const request = await approved('hangs for ever');
    writeFileSync(fault, 'slow:600000');
    assert.ok((await client.signHash(request)).status >= 500);
    sam.close();
    const ended = await system.services.sam.stop();
    assert.equal(ended.signal ?? null, null, 'it ended by itself');
    rmSync(fault);
    await system.startService('sam');
    sam = await Sam.connect(system);
    assert.equal(system.auditEvents('sam').filter(({ type }) => type === 'reservation.burned').length, 1);
    await assert.rejects(sam.sign({ sad: request.sad, key: alice.credential, suite: 'ecdsa-sha256', digests: request.digests }));
  });
});
