// TC-7: an operator's reset of factors voids the key authorisation: new identity proof, new factors, new keys. Nothing that was approved before is signed.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { Signer, documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-7 reset of factors', () => {
  let system, sam, officer, client, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ officer, client, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938' })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const body = (signer, identity = identityOf(signer)) => ({ signer, identity, deliver_to: officer.jwk });

  it('TC-15 resets nothing on a request that no registered officer signed for just that', async () => {
    const forged = {
      'signed by another key': await officer.request('reset-factors', body('alice'), { key: stranger }),
      'of an unknown officer': await officer.request('reset-factors', body('alice'), { header: { kid: 'ra-9' } }),
      'for another operation': await officer.request('create-signer', body('alice')),
      'of an hour ago': await officer.request('reset-factors', body('alice'), { changes: { iat: system.now() - 3600 } }),
      'for another person': await officer.request('reset-factors', body('alice', identityOf('bob'))),
      'for nobody': await officer.request('reset-factors', body('nobody')),
    };
    for (const [what, request] of Object.entries(forged)) await assert.rejects(sam.resetFactors(request), undefined, what);
    await alice.sign(['not reset']);
  });

  it('ends the keys, the factors and what was approved, and gives the name back to the person', async () => {
    const documents = documentsOf('approved before');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await sam.signatures();
    const code = await officer.resetFactors('alice', identityOf('alice'));

    const digests = documents.map(({ digest }) => digest);
    await assert.rejects(sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests, clientId: client.id }));
    await assert.rejects(alice.approve({ credential: alice.credential, documents }));
    await assert.rejects(alice.generateKey());
    await assert.rejects(sam.resume(await officer.request('resume-key', { key: alice.credential })));
    assert.equal(await sam.signatures(), before);

    const again = await new Signer(client, 'alice', { pin: '604817' }).enrol(code);
    await assert.rejects(again.approve({ credential: alice.credential, documents }));
    again.algorithm = 'p256';
    again.credential = await again.generateKey();
    again.chain = await officer.certify(again.credential, identityOf('alice'));
    await again.sign(['with the new key']);
    await bob.sign(['untouched']);
  });

  it('tells applications that the key is disabled, and the audit log that it was voided and destroyed', async () => {
    const { json } = await client.post('/csc/v2/credentials/info', { credentialID: alice.credential });
    assert.equal(json?.key?.status, 'disabled');
    const events = system.auditEvents('sam').filter(({ type }) => /voided|destroyed|reset/.test(type));
    assert.deepEqual(events.map(({ type, subject }) => [type, subject]), [
      ['key.voided', alice.credential], ['factors.reset', 'alice'], ['key.destroyed', alice.credential],
    ]);
  });
});
