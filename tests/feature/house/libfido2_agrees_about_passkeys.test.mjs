// The SAM and libfido2 (fido2-assert -V of Debian's fido2-tools), which shares no code with it, take and refuse the same assertions.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Passkey, cbor, rpId, withPasskeys } from '../harness/passkey.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, run, withoutLimits } from '../harness/system.mjs';

const policy = (document) => {
  withoutLimits(document);
  withPasskeys([['passkey']])(document);
  document.lock.failures = 10;
  document.lock.wide_failures = 100;
};

describe('libfido2 as a second opinion', () => {
  let system, sam, alice;
  before(async () => {
    system = await System.start({ policy });
    alice = (await signerOf(system, { pin: null, passkey: new Passkey() })).signer;
    sam = await Sam.connect(system);
    writeFileSync(system.path('passkey.pem'), alice.passkey.publicKey.export({ type: 'spki', format: 'pem' }));
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  /** Present and verified person asked for (-p, -v). libfido2 is given the hash of the client data that we expect, so that it judges all but what stands in it. */
  function libfido2Takes({ client_data: clientData, authenticator_data: data, signature }) {
    const hash = createHash('sha256').update(Buffer.from(clientData, 'base64url')).digest();
    const input = [hash.toString('base64'), rpId, cbor(Buffer.from(data, 'base64url')).toString('base64'), Buffer.from(signature, 'base64url').toString('base64'), ''].join('\n');
    return run('fido2-assert', ['-V', '-p', '-v', system.path('passkey.pem'), 'es256'], { input }).status === 0;
  }

  const flipped = (text, at) => {
    const octets = Buffer.from(text, 'base64url');
    octets[at < 0 ? octets.length + at : at] ^= 1;
    return octets.toString('base64url');
  };
  const cases = {
    'the right answer': (challenge, passkey) => passkey.answer(challenge),
    'another relying party': (challenge, passkey) => passkey.answer(challenge, { rp: 'evil.example.test' }),
    'an unverified person': (challenge, passkey) => passkey.answer(challenge, { verified: false }),
    "another key's signature": (challenge, passkey) => ({ ...passkey.answer(challenge), signature: new Passkey().answer(challenge).signature }),
    'a flipped bit in the signature': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, signature: flipped(answer.signature, -1) };
    },
    'a flipped bit in the host': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, authenticator_data: flipped(answer.authenticator_data, 0) };
    },
    'a person that is absent': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, authenticator_data: flipped(answer.authenticator_data, 32) };
    },
    'a flipped bit in the counter': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, authenticator_data: flipped(answer.authenticator_data, 33) };
    },
    'client data that were changed afterwards': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      const client = Buffer.from(answer.client_data, 'base64url').toString().replace('"crossOrigin":false', '"crossOrigin":null');
      return { ...answer, client_data: Buffer.from(client).toString('base64url') };
    },
    'authenticator data that are cut': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, authenticator_data: Buffer.from(answer.authenticator_data, 'base64url').subarray(0, 36).toString('base64url') };
    },
    'bytes after the authenticator data': (challenge, passkey) => passkey.answer(challenge, { tail: Buffer.from([0]) }),
    'extensions that are announced and missing': (challenge, passkey) => passkey.answer(challenge, { more: 0x80 }),
    'a credential that is announced and missing': (challenge, passkey) => passkey.answer(challenge, { more: 0x40 }),
    'extensions': (challenge, passkey) => passkey.answer(challenge, { more: 0x80, tail: cbor(new Map([['credProtect', 2]])) }),
    'a signature with a byte behind it': (challenge, passkey) => {
      const answer = passkey.answer(challenge);
      return { ...answer, signature: Buffer.concat([Buffer.from(answer.signature, 'base64url'), Buffer.from([0])]).toString('base64url') };
    },
  };
  // libfido2 reads over what an assertion's authenticator data must not have (WebAuthn, 6.1); the SAM does not.
  const takenOnes = ['the right answer', 'extensions'];
  const stricter = ['bytes after the authenticator data', 'a credential that is announced and missing'];
  for (const [what, make] of Object.entries(cases)) {
    it(stricter.includes(what) ? `takes, and the SAM refuses, ${what}` : `agrees about ${what}`, async () => {
      const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf(what) });
      const answer = make(alice.bindingOf(opened), alice.passkey);
      const taken = await sam.authorise(await alice.message(opened, [answer])).then(() => true, ({ refusal }) => {
        assert.equal(refusal, 'authentication_failed');
        return false;
      });
      assert.equal(libfido2Takes(answer), stricter.includes(what) ? !taken : taken, `the SAM ${taken ? 'takes' : 'refuses'} it`);
      assert.equal(taken, takenOnes.includes(what));
    });
  }
});
