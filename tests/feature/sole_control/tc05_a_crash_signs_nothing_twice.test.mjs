// TC-5: reserve and record, sign, verify, record, release. The SAM is killed at each step; nothing is signed twice and the service resumes.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { repository, System, withoutLimits } from '../harness/system.mjs';

/** The fault points of a signature, from the sources: a new one is tested as soon as it exists. */
const faultPoints = readdirSync(path.join(repository, 'src/sam'), { recursive: true })
  .filter((name) => name.endsWith('.cpp') && !name.endsWith('_test.cpp'))
  .flatMap((name) => [...readFileSync(path.join(repository, 'src/sam', name), 'utf8').matchAll(/fault_point\("(sam\.sign\.[^"]+)"/g)])
  .map(([, name]) => name);

/** Types of the audit events that name this authorisation, oldest first. */
const eventsOf = (system, authorisation) =>
  system.auditEvents('sam').filter((event) => JSON.stringify(event).includes(authorisation)).map(({ type }) => type);

describe('TC-5 order', () => {
  let system, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system)).signer;
  });
  after(() => system?.stop());

  assert.ok(faultPoints.length >= 4);
  for (const point of faultPoints) {
    it(`signs nothing twice when the SAM is killed at ${point}, and goes on after a restart`, async () => {
      const documents = documentsOf(`killed at ${point}`);
      const sad = await alice.approve({ credential: alice.credential, documents });
      const authorisation = JSON.parse(Buffer.from(sad.split('.')[1], 'base64url').toString()).jti;
      const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };

      await system.restart('sam', { environment: { INTAGLIO_FAULT: point } });
      let sam = await Sam.connect(system);
      await assert.rejects(sam.sign(request));
      assert.deepEqual(await system.services.sam.ended, { code: null, signal: 'SIGKILL' });

      await system.startService('sam');
      sam = await Sam.connect(system);
      const again = await sam.sign(request).then((signed) => signed[0], (error) => error.refusal);
      const made = (await sam.status()).signer_signatures;
      const events = eventsOf(system, authorisation);
      const intents = events.filter((type) => type === 'signature.intent').length;
      const outcomes = events.filter((type) => type === 'signature.made').length;
      if (typeof again === 'string') {
        // The outcome was open at the crash: burned and reported, never tried again.
        assert.equal(made, 0);
        assert.equal(intents, 1);
        assert.ok(events.some((type) => type.includes('burned')), events.join(' '));
      } else {
        assert.equal(outcomes, 1);
        assert.equal(intents, 1);
        assert.equal(made, again.redelivered ? 0 : 1);
      }

      const after = await alice.sign([`after the crash at ${point}`]);
      assert.equal(after.signatures.length, 1);
      sam.close();
    });
  }

  it('burns what a doubtful token leaves open, and gives back what it refused before it began', async () => {
    for (const [fault, refusal] of [['doubtful', 'signature_doubtful'], ['wrong-signature', 'signature_doubtful']]) {
      const documents = documentsOf(`token is ${fault}`);
      const sad = await alice.approve({ credential: alice.credential, documents });
      const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
      await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: fault } });
      const faulty = await Sam.connect(system);
      await assert.rejects(faulty.sign(request), { refusal });
      faulty.close();
      await system.restart('sam');
      const sam = await Sam.connect(system);
      await assert.rejects(sam.sign(request));
      assert.equal(await sam.signatures(), 0, `${fault}: signed after a doubt`);
      sam.close();
    }
    const documents = documentsOf('token refuses');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
    await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: 'definite' } });
    const refusing = await Sam.connect(system);
    await assert.rejects(refusing.sign(request));
    refusing.close();
    await system.restart('sam');
    const sam = await Sam.connect(system);
    assert.equal((await sam.sign(request)).length, 1);
    sam.close();
  });
});
