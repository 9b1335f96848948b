// TC-9: nonces, message ids, occurrences and operators' requests stay used across restarts.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-9 replay', () => {
  let system, alice, officer, sam;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ signer: alice, officer } = await signerOf(system));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const restartSam = async (signal) => {
    sam.close();
    await system.restart('sam', { signal });
    sam = await Sam.connect(system);
  };

  for (const signal of ['SIGTERM', 'SIGKILL']) {
    it(`refuses a SAP message that was used before a ${signal}`, async () => {
      const { message } = await alice.prepare({ documents: documentsOf(`used before ${signal}`) });
      await sam.authorise(message);
      await restartSam(signal);
      await assert.rejects(sam.authorise(message), { refusal: 'replayed' });
    });

    it(`signs nothing again under a SAD that was used before a ${signal}`, async () => {
      const documents = documentsOf(`signed before ${signal}`);
      const sad = await alice.approve({ credential: alice.credential, documents });
      const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
      const [first] = await sam.sign(request);
      await restartSam(signal);
      const [again] = await sam.sign(request);
      assert.ok(again.redelivered);
      assert.ok(again.signature.equals(first.signature));
      assert.equal(await sam.signatures(), 0);
    });
  }

  it('consumes the id of a message with a wrong PIN too', async () => {
    const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('tried') });
    const id = 'an-id-that-is-used-once';
    const wrong = await alice.message(opened, [{ type: 'pin', value: '918273' }, { type: 'totp', value: alice.otp() }], { changes: { id } });
    await assert.rejects(sam.authorise(wrong), { refusal: 'authentication_failed' });
    const right = await alice.message(opened, alice.factors(), { changes: { id } });
    await assert.rejects(sam.authorise(right), { refusal: 'replayed' });
  });

  it('takes an OTP once', async () => {
    const otp = alice.otp();
    const factors = [{ type: 'pin', value: alice.pin }, { type: 'totp', value: otp }];
    const first = await alice.openSigning({ credential: alice.credential, documents: documentsOf('first use') });
    await sam.authorise(await alice.message(first, factors));
    const second = await alice.openSigning({ credential: alice.credential, documents: documentsOf('second use') });
    await assert.rejects(sam.authorise(await alice.message(second, factors)), { refusal: 'authentication_failed' });
  });

  it('takes an OTP once, also in four messages at the same time', async () => {
    const factors = [{ type: 'pin', value: alice.pin }, { type: 'totp', value: alice.otp() }];
    const messages = [];
    for (const text of ['one', 'two', 'three', 'four']) {
      messages.push(await alice.message(await alice.openSigning({ credential: alice.credential, documents: documentsOf(text) }), factors));
    }
    const connections = await Promise.all(messages.map(() => Sam.connect(system)));
    try {
      const answers = await Promise.allSettled(messages.map((message, index) => connections[index].authorise(message)));
      const refused = answers.filter(({ status }) => status === 'rejected');
      assert.equal(refused.length, 3);
      // Three failures lock: which of them saw the lock already is a matter of order.
      for (const { reason } of refused) assert.match(reason.refusal, /^(authentication_failed|credential_locked)$/);
    } finally {
      for (const connection of connections) connection.close();
    }
    system.moveClock(15 * 60 + 1);
  });

  it('takes an operator\'s request once', async () => {
    const request = await officer.request('create-signer', { signer: 'carol', identity: identityOf('carol'), deliver_to: officer.jwk });
    assert.equal((await officer.post('/ra/v1/signers', { request })).status, 200);
    await restartSam('SIGKILL');
    assert.notEqual((await officer.post('/ra/v1/signers', { request })).status, 200);
  });
});
