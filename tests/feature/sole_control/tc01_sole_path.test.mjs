// TC-1: one path leads to a signer's key. Whoever speaks to the SAM without a SAD that it issued gets no signature.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-1 sole path', () => {
  let system, sam, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    sam = await Sam.connect(system);
    alice = (await signerOf(system, { id: 'alice' })).signer;
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  it('uses a new key once, for the proof of possession, and then only for authorised signatures', async () => {
    assert.equal(await sam.signatures(), 2);
    await alice.sign(['a first document']);
    assert.equal(await sam.signatures(), 3);
  });

  it('makes no signature without a SAD that the SAM issued for this key', async () => {
    const documents = documentsOf('a contract');
    const sad = await bob.approve({ credential: bob.credential, documents });
    const [head, body, mark] = sad.split('.');
    const forged = [head, Buffer.from(Buffer.from(body, 'base64url').toString().replace(bob.credential, alice.credential)).toString('base64url'), mark].join('.');
    const before = await sam.signatures();
    const attempts = { nothing: '', 'random text': 'x'.repeat(300), 'the SAD of another signer': sad, 'a SAD with another key in it': forged, 'a SAD without its signature': `${head}.${body}.` };
    for (const [what, attempt] of Object.entries(attempts)) {
      await assert.rejects(sam.sign({ sad: attempt, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { name: 'Error' }, what);
    }
    assert.equal(await sam.signatures(), before);
  });

  it('lets nobody on the wire but the pinned SSA', async () => {
    await assert.rejects(async () => {
      const stranger = await Sam.connect(system, { cert: 'tls/ssa-pki.cert.pem', key: 'tls/ssa-pki.key.pem' });
      try {
        await stranger.status();
      } finally {
        stranger.close();
      }
    });
  });
});
