// The SSA's own five early refusals (signature of the SAD, age, use, hash, certificate status): each leaves the SAM uncalled. With these checks
// off the same requests do reach the SAM, which refuses them by itself.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { sha256 } from '../harness/protocol.mjs';
import { Client } from '../harness/client.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('the early refusals of the SSA', () => {
  let system, alice, officer;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ signer: alice, officer } = await signerOf(system));
  });
  after(() => system?.stop());

  /** Events that each call of the SAM's `sign` leaves, whatever it answers. */
  const signCalls = () => system.auditEvents('sam').filter(({ type }) => /^signature\.(intent|refused|redelivered)$/.test(type)).length;
  const signHash = (signer, sad, text) => signer.client.signHash({ credential: signer.credential, sad, digests: [sha256(text)], suite: 'ecdsa-sha256' });
  const approve = (signer, text) => signer.approve({ credential: signer.credential, documents: documentsOf(text) });
  let bobs = 0;
  const revoke = async (signer) => {
    const request = await officer.request('revoke-certificate', {
      key: signer.credential, serial: new X509Certificate(signer.chain[0]).serialNumber.toLowerCase(), reason: 'keyCompromise',
    });
    good('revoke', await officer.post('/ra/v1/revocations', { request }));
  };

  /** What is wrong, how the request comes about, what the client is told. */
  const cases = {
    'a SAD whose signature is not the SAM\'s': {
      ask: async () => {
        const sad = await approve(alice, 'forged');
        return signHash(alice, sad.replace(/.{8}$/, (end) => (end === 'AAAAAAAA' ? 'BBBBBBBB' : 'AAAAAAAA')), 'forged');
      },
      told: 'Invalid parameter SAD',
    },
    'a SAD that is too old': {
      ask: async () => {
        const sad = await approve(alice, 'late');
        system.moveClock(301);
        return signHash(alice, sad, 'late');
      },
      told: 'SAD expired',
    },
    'a SAD that was used up': {
      ask: async () => {
        const sad = await approve(alice, 'used');
        assert.equal((await signHash(alice, sad, 'used')).status, 200);
        return signHash(alice, sad, 'used');
      },
      uses: 1,
      told: 'Invalid parameter SAD',
      // The SAM gives the same signature again: it is the same authorisation, digest and suite (TC-5).
      redelivered: true,
    },
    'a hash that was not approved': {
      ask: async () => signHash(alice, await approve(alice, 'approved'), 'another'),
      told: 'Hash is not authorized by the SAD.',
    },
    'a certificate that is revoked': {
      ask: async () => {
        bobs += 1;
        const bob = await new Signer(alice.client, `bob-${bobs}`).ready({ officer });
        const sad = await approve(bob, 'revoked');
        await revoke(bob);
        // What the SSA knows of a credential it asks again after five seconds.
        system.moveClock(6);
        return signHash(bob, sad, 'revoked');
      },
      told: /certificate/i,
    },
  };

  for (const [what, { ask, told, uses = 0 }] of Object.entries(cases)) {
    it(`refuses ${what}, and the SAM is not called`, async () => {
      const before = signCalls();
      const answer = await ask();
      assert.equal(answer.status, 400, answer.text);
      if (told instanceof RegExp) assert.match(answer.json.error_description, told);
      else assert.equal(answer.json.error_description, told);
      assert.equal(signCalls() - before, uses);
    });
  }

  it('are only early: without them each of the five reaches the SAM, which signs none of them', async () => {
    await system.restart('ssa', { environment: { INTAGLIO_SKIP_SSA_CHECKS: '1' } });
    alice.client = await new Client(system).signIn();
    for (const [what, { ask, uses = 0, redelivered }] of Object.entries(cases)) {
      const before = signCalls();
      const answer = await ask();
      assert.equal(answer.status === 200, redelivered === true, `${what}: ${answer.text}`);
      assert.equal(signCalls() - before, uses + 1, what);
    }
    const made = system.auditEvents('sam').filter(({ type }) => type === 'signature.made').length;
    assert.equal(made, 2, 'one signature for each of the two SADs that were used');
  });
});
