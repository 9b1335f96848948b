// TC-15: every call of the SAM states who authorises it, and the SAM verifies that principal itself. The SSA is no authority.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { base64url, sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-15 authority', () => {
  let system, sam, officer, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ officer, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const creation = (signer) => ({ signer, identity: identityOf(signer), deliver_to: officer.jwk });
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

  it('creates no signer on a request that no registered officer signed', async () => {
    const forged = {
      'signed by another key': await officer.request('create-signer', creation('mallory'), { key: stranger }),
      'of an unknown officer': await officer.request('create-signer', creation('mallory'), { header: { kid: 'ra-9' } }),
      'of another type': await officer.request('create-signer', creation('mallory'), { header: { typ: 'JWT' } }),
      'for another operation': await officer.request('resume-key', creation('mallory')),
      'of an hour ago': await officer.request('create-signer', creation('mallory'), { changes: { iat: system.now() - 3600 } }),
      'of the next hour': await officer.request('create-signer', creation('mallory'), { changes: { iat: system.now() + 3600 } }),
    };
    for (const [what, request] of Object.entries(forged)) await assert.rejects(sam.createSigner(request), { refusal: /not_authorised|invalid_request|ticket_expired/ }, what);
    await assert.rejects(sam.createSigner((await officer.request('create-signer', creation('mallory'))).replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'))));
  });

  it('seals the activation code to the officer, never in clear to the SSA', async () => {
    const answer = await sam.createSigner(await officer.request('create-signer', creation('dave')));
    const text = answer[7][0].toString();
    assert.match(text, /[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
  });

  it('lets the SSA suspend a key, and only an officer lift that', async () => {
    await sam.suspend(alice.credential, 'the SSA says so');
    await assert.rejects(alice.approve({ credential: alice.credential, documents: documentsOf('suspended') }));
    await assert.rejects(sam.resume(await officer.request('resume-key', { key: alice.credential }, { key: stranger })), { refusal: 'not_authorised' });
    await assert.rejects(sam.resume(await officer.request('resume-key', { key: bob.credential })));
    await assert.rejects(alice.approve({ credential: alice.credential, documents: documentsOf('still suspended') }));
    await sam.resume(await officer.request('resume-key', { key: alice.credential }));
    system.moveClock(10);
    await alice.sign(['resumed']);
  });

  it('binds no certificate of another key', async () => {
    const credential = await alice.generateKey();
    const request = await officer.request('bind-certificate', { key: credential, certificate_sha256: base64url(sha256(bob.chain[0])) });
    await assert.rejects(sam.bindCertificate(request, bob.chain));
  });

  it('TC-7 gives an officer no way to a signature: every operation of the registration listener leaves the key alone', async () => {
    const before = await sam.signatures();
    for (const path of ['signers', 'certificates', 'bindings', 'suspensions', 'resumptions', 'revocations', 'resets']) {
      for (const op of ['create-signer', 'issue-certificate', 'bind-certificate', 'suspend-key', 'resume-key', 'revoke-certificate', 'reset-factors', 'sign', 'authorise']) {
        const request = await officer.request(op, { signer: 'alice', key: alice.credential, identity: identityOf('alice'), deliver_to: officer.jwk, reason: 'test' });
        await officer.post(`/ra/v1/${path}`, { request });
      }
    }
    assert.equal(await sam.signatures(), before);
  });
});
