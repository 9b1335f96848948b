// TC-5: reserve and record, sign, verify, record, release. The SAM is killed at each step; nothing is signed twice and the service resumes.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after as afterwards, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { repository, System, withoutLimits } from '../harness/system.mjs';

/** The fault points of a signature, from the sources: a new one is tested as soon as it exists. */
const faultPoints = readdirSync(path.join(repository, 'src/sam'), { recursive: true })
  .filter((name) => name.endsWith('.cpp') && !name.endsWith('_test.cpp'))
  .flatMap((name) => [...readFileSync(path.join(repository, 'src/sam', name), 'utf8').matchAll(/fault_point\("(sam\.sign\.[^"]+)"/g)])
  .map(([, name]) => name);

/**
 * What must be seen after a restart when the same signature is asked for again: the answer, the calls of C_Sign since the restart, the outcomes
 * and the burned reservations in the log. Before the crash the token was called at most once, so no digest is ever signed twice.
 */
const burned = { answer: 'hash_not_authorised', calls: 0, outcomes: 0, burned: 1 };
const after = {
  'sam.sign.before-reserve': { answer: 'signed', calls: 1, outcomes: 1, burned: 0 },
  'sam.sign.reserved': burned,
  'sam.sign.token': burned,
  'sam.sign.recorded': { answer: 'redelivered', calls: 0, outcomes: 1, burned: 0 },
};

/** Types of the audit events that name this authorisation, oldest first. */
const eventsOf = (system, authorisation) =>
  system.auditEvents('sam').filter((event) => JSON.stringify(event).includes(authorisation)).map(({ type }) => type);

describe('TC-5 order', () => {
  let system, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system)).signer;
  });
  afterwards(() => system?.stop());

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
      const count = (type) => events.filter((one) => one === type).length;
      assert.equal(count('signature.intent'), 1);
      const expected = after[point];
      assert.ok(expected, `${point}: say here what must hold after a crash at it`);
      const seen = {
        answer: typeof again === 'string' ? again : again.redelivered ? 'redelivered' : 'signed',
        calls: made, outcomes: count('signature.made'), burned: count('reservation.burned'),
      };
      assert.deepEqual(seen, expected, events.join(' '));
      // An open intent is reported at the start: in the audit log and to the operator.
      assert.equal(system.services.sam.lines.filter(({ event }) => event === 'reservation.burned').length, expected.burned);

      const next = await alice.sign([`after the crash at ${point}`]);
      assert.equal(next.signatures.length, 1);
      sam.close();
    });
  }

  // Inside the durable transactions themselves: each passage of these points while a signature is made, one crash after the other.
  for (const point of ['storage.before_commit', 'storage.committed', 'storage.before_release', 'audit.before_anchor']) {
    it(`signs nothing twice when the SAM is killed at any passage of ${point} within a signature`, async (context) => {
      const seen = { 'while it starts': 0, signed: 0, redelivered: 0, hash_not_authorised: 0 };
      const prepare = async () => {
        const documents = documentsOf(`killed at ${point}`);
        const sad = await alice.approve({ credential: alice.credential, documents });
        return { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
      };
      let request = await prepare();
      let survivals = 0;
      for (let passage = 1; ; passage += 1) {
        assert.ok(passage < 60, 'the signature is never reached');
        await system.services.sam.stop();
        const dying = await system.startService('sam', { INTAGLIO_FAULT: `${point}:${passage}` }, { wait: false });
        if (!(await dying.ready().then(() => true, () => false))) {
          assert.deepEqual(dying.result, { code: null, signal: 'SIGKILL' });
          seen['while it starts'] += 1;
          continue;
        }
        const first = await Sam.connect(system).catch(() => undefined);
        const survived = await first?.sign(request).then(() => true, () => false);
        first?.close();
        const crashed = seen.signed + seen.redelivered + seen.hash_not_authorised;
        if (survived && (crashed > 0 || survivals === 3)) break;
        if (survived) {
          // A start may pass a point more or less often than the one before: threads of its own write too, and meet in one commit or in two.
          survivals += 1;
          passage = Math.max(0, passage - 3);
          request = await prepare();
          continue;
        }
        assert.deepEqual(await dying.ended, { code: null, signal: 'SIGKILL' });

        await system.startService('sam');
        const sam = await Sam.connect(system);
        const again = await sam.sign(request).then(([one]) => (one.redelivered ? 'redelivered' : 'signed'), (error) => error.refusal);
        const events = eventsOf(system, JSON.parse(Buffer.from(request.sad.split('.')[1], 'base64url').toString()).jti);
        const count = (type) => events.filter((one) => one === type).length;
        // Each call of C_Sign has an intent before it: one intent, at most one call.
        assert.equal(count('signature.intent'), 1, `${passage}: ${events.join(' ')}`);
        assert.equal(count('signature.made') + count('reservation.burned'), 1, `${passage}: ${events.join(' ')}`);
        assert.equal(again === 'hash_not_authorised', count('reservation.burned') === 1, `${passage}: ${again} after ${events.join(' ')}`);
        assert.equal(await sam.signatures(), again === 'signed' ? 1 : 0);
        seen[again] += 1;
        sam.close();
        request = await prepare();
      }
      await system.restart('sam');
      await alice.sign([`after the crashes at ${point}`]);
      assert.ok(seen.signed + seen.redelivered + seen.hash_not_authorised >= 1, 'no crash within a signature');
      context.diagnostic(JSON.stringify(seen));
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

  it('stops a batch at the first doubt, and gives back what it did not touch', async () => {
    const documents = documentsOf('in doubt', 'untouched');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const [doubted, untouched] = documents.map(({ digest }) => ({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [digest] }));
    await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: 'doubtful' } });
    const faulty = await Sam.connect(system);
    await assert.rejects(faulty.sign({ ...doubted, digests: documents.map(({ digest }) => digest) }), { refusal: 'signature_doubtful' });
    faulty.close();
    await system.restart('sam');
    const events = eventsOf(system, JSON.parse(Buffer.from(sad.split('.')[1], 'base64url').toString()).jti);
    const count = (type) => events.filter((one) => one === type).length;
    assert.deepEqual(
      { intents: count('signature.intent'), burned: count('signature.burned'), returned: count('signature.refused'), open: count('reservation.burned') },
      { intents: 2, burned: 1, returned: 1, open: 0 }, events.join(' '));
    const sam = await Sam.connect(system);
    await assert.rejects(sam.sign(doubted), { refusal: 'hash_not_authorised' });
    // The free one comes first and must not stay reserved when the other is refused: all or none (TC-4).
    await assert.rejects(sam.sign({ ...untouched, digests: documents.map(({ digest }) => digest).reverse() }), { refusal: 'hash_not_authorised' });
    assert.equal((await sam.sign(untouched)).length, 1);
    assert.equal(await sam.signatures(), 1);
    sam.close();
  });
});
