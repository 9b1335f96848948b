// TC-11: wrong PIN, wrong OTP, unknown signer, another's key: one answer, at one price.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-11 no oracle', () => {
  let system, alice, bob, client, sam;
  const generous = (document) => {
    withoutLimits(document);
    document.lock.failures = 10;
  };
  before(async () => {
    system = await System.start({ policy: generous });
    ({ signer: alice, client } = await signerOf(system, { id: 'alice' }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  /** The public answer and what it cost: Argon2id evaluations and HMAC operations of the token. */
  async function measured(factors) {
    const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('guessed') });
    const cost = async () => {
      const status = await sam.status();
      const macs = status.token.calls.filter(({ function: name, object }) => name === 'C_Sign' && object === 'mac-key').reduce((sum, { count }) => sum + count, 0);
      return { argon2: status.argon2_evaluations, macs };
    };
    const message = await alice.message(opened, factors);
    const before = await cost();
    const answer = await alice.submit(message);
    const after = await cost();
    return { status: answer.status, body: { ...answer.json }, argon2: after.argon2 - before.argon2, macs: after.macs - before.macs };
  }

  it('answers a wrong PIN, a wrong OTP, both and none alike, after the same work', async () => {
    const wrongOtp = '000000';
    const cases = {
      'wrong PIN': [{ type: 'pin', value: '918273' }, { type: 'totp', value: alice.otp() }],
      'wrong OTP': [{ type: 'pin', value: alice.pin }, { type: 'totp', value: wrongOtp }],
      'both wrong': [{ type: 'pin', value: '918273' }, { type: 'totp', value: wrongOtp }],
      'no OTP': [{ type: 'pin', value: alice.pin }],
      'no PIN': [{ type: 'totp', value: wrongOtp }],
    };
    let first;
    for (const [what, factors] of Object.entries(cases)) {
      const result = await measured(factors);
      first ??= result;
      assert.equal(result.status, 400, what);
      assert.deepEqual(result, first, what);
    }
    assert.equal(first.argon2, 1);
    assert.ok(first.macs >= 1, 'the pepper of the token is part of the work');
  });

  it('answers an unknown signer and one who has no factors like a wrong activation code', async () => {
    const attempt = async (id) => {
      const signer = new Signer(client, id);
      const opened = await signer.openEnrolment().catch((error) => ({ refused: error.answer }));
      if (opened.refused) return { status: opened.refused.status, body: opened.refused.json };
      const message = await signer.message(opened, [{ type: 'activation-code', value: 'AAAA-BBBB-CCCC-DDDD' }, { type: 'new-pin', value: '482915' }]);
      const answer = await signer.submit(message);
      return { status: answer.status, body: answer.json };
    };
    assert.deepEqual(await attempt('nobody'), await attempt('alice'));
  });

  it('locks a signer after three failures, for fifteen minutes, with the right factors too', async () => {
    const strict = await System.start({ policy: withoutLimits });
    try {
      const { signer } = await signerOf(strict);
      for (let attempt = 0; attempt < 3; attempt += 1) {
        const opened = await signer.openSigning({ credential: signer.credential, documents: documentsOf('guess') });
        const answer = await signer.submit(await signer.message(opened, [{ type: 'pin', value: '918273' }, { type: 'totp', value: signer.otp() }]));
        assert.equal(answer.status, 400);
      }
      const opened = await signer.openSigning({ credential: signer.credential, documents: documentsOf('right') });
      assert.notEqual((await signer.submit(await signer.message(opened, signer.factors()))).status, 200);
      strict.moveClock(15 * 60 + 1);
      await signer.sign(['after the lock']);
    } finally {
      await strict.stop();
    }
  });

  it('does not say whether a credential is somebody else\'s or nobody\'s', async () => {
    const ask = (credentialID) => client.post('/sic/v1/transactions', {
      credentialID, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', documents: [{ hash: documentsOf('x')[0].digest.toString('base64'), label: 'x' }],
    });
    const nobody = await ask('no-such-credential');
    assert.equal(nobody.status, 400);
    assert.ok(!nobody.text.includes(bob.credential));
  });
});
