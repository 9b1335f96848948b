// TC-15: a signer changes factors and gives keys up with the factors that he has, in a SAP message that names just that. Suspending fails safe: who lifts it is an officer.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-15 what a signer changes', () => {
  let system, sam, officer, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ officer, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938' })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });
  const factors = (signer, changes = {}) => Object.entries({ pin: signer.pin, totp: signer.otp(), ...changes }).map(([type, value]) => ({ type, value }));

  it('takes a new PIN with the old PIN and a one-time password, and with nothing less', async () => {
    const opened = await alice.openFactors();
    const attempts = {
      'a wrong PIN': factors(alice, { pin: '111222', 'new-pin': '730194' }),
      'a wrong one-time password': factors(alice, { totp: '000000', 'new-pin': '730194' }),
      'no PIN': [{ type: 'totp', value: alice.otp() }, { type: 'new-pin', value: '730194' }],
      'no one-time password': [{ type: 'pin', value: alice.pin }, { type: 'new-pin', value: '730194' }],
      "another signer's factors": factors(bob, { 'new-pin': '730194' }),
      'a well-known PIN': factors(alice, { 'new-pin': '123456' }),
    };
    for (const [what, shown] of Object.entries(attempts)) {
      await assert.rejects(sam.changeFactors(await alice.message(opened, shown)), undefined, what);
    }
    const old = alice.pin;
    await alice.changeFactors({ pin: '730194' });
    await alice.sign(['with the new PIN']);
    await assert.rejects(Object.assign(Object.create(Object.getPrototypeOf(alice)), alice, { pin: old }).approve({ credential: alice.credential, documents: documentsOf('with the old one') }));
    alice.lastStep += 1;
    await alice.sign(['again']);
  });

  it('replaces the seed of one-time passwords, sealed to the signer, and the old one ends', async () => {
    const before = alice.seed;
    await alice.changeFactors({ seed: true });
    assert.notDeepEqual(alice.seed, before);
    await alice.sign(['with the new seed']);
    const old = Object.assign(Object.create(Object.getPrototypeOf(alice)), alice, { seed: before });
    await assert.rejects(old.approve({ credential: alice.credential, documents: documentsOf('with the old seed') }));
    alice.lastStep = old.lastStep;
  });

  it('voids what was approved with the factors of before', async () => {
    const documents = documentsOf('approved');
    const sad = await alice.approve({ credential: alice.credential, documents });
    await alice.changeFactors({ pin: '618052' });
    const digests = documents.map(({ digest }) => digest);
    await assert.rejects(sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests }), { refusal: 'sad_invalid' });
  });

  it('suspends a key on the word of its signer, and only an officer lifts that', async () => {
    await assert.rejects(sam.changeKey(await bob.message(await alice.openChange('suspend'), factors(bob))));
    await alice.sign(['not suspended']);
    assert.equal(await alice.change('suspend'), 'suspended');
    await assert.rejects(alice.approve({ credential: alice.credential, documents: documentsOf('suspended') }));
    await sam.resume(await officer.request('resume-key', { key: alice.credential }));
    system.moveClock(10);
    await alice.sign(['resumed']);
  });

  it("suspends a key on an officer's signed request, and on no other's", async () => {
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    const body = { key: alice.credential, reason: 'phone lost' };
    await assert.rejects(sam.suspendByOperator(await officer.request('suspend-key', body, { key: stranger })), { refusal: 'not_authorised' });
    await assert.rejects(sam.suspendByOperator(await officer.request('resume-key', body)), { refusal: 'not_authorised' });
    await alice.sign(['not suspended']);
    const request = await officer.request('suspend-key', body);
    await sam.suspendByOperator(request);
    await assert.rejects(sam.suspendByOperator(request), { refusal: 'replayed' });
    await assert.rejects(alice.approve({ credential: alice.credential, documents: documentsOf('suspended') }));
    await sam.resume(await officer.request('resume-key', { key: alice.credential }));
    system.moveClock(10);
    await alice.sign(['resumed']);
  });

  it('destroys a key with a message for just that, and no ticket serves for another purpose', async () => {
    const suspension = await alice.openChange('suspend');
    const swapped = await alice.message(suspension, factors(alice), { header: { typ: 'intaglio-sap-destroy+jwe' } });
    await assert.rejects(sam.changeKey(swapped), { refusal: 'ticket_invalid' });
    await assert.rejects(sam.changeKey(await bob.message(await alice.openChange('destroy'), factors(bob))));
    await alice.sign(['still there']);
    assert.equal(await alice.change('destroy'), 'destroyed');
    const before = await sam.signatures();
    await assert.rejects(alice.approve({ credential: alice.credential, documents: documentsOf('destroyed') }));
    await assert.rejects(sam.resume(await officer.request('resume-key', { key: alice.credential })));
    assert.equal(await sam.signatures(), before);
    await bob.sign(['untouched']);
  });
});
