// What custody promises, for each of its modes: what is signed leaves nothing in the token, once is once, a wrong secret reaches no key, a crash leaves nothing.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { custodyModes } from '../harness/custody.mjs';
import { identityOf, documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { Sam } from '../harness/sam.mjs';
import { repository, System } from '../harness/system.mjs';

/** All fault points of the SAM with this prefix, from the sources: a new one is tested as soon as it exists. */
const faultPoints = (prefix) => readdirSync(path.join(repository, 'src/sam'), { recursive: true })
  .filter((name) => name.endsWith('.cpp') && !name.endsWith('_test.cpp'))
  .flatMap((name) => [...readFileSync(path.join(repository, 'src/sam', name), 'utf8').matchAll(/fault_point\("([^"]+)"/g)])
  .map(([, name]) => name).filter((name) => name.startsWith(prefix)).filter((name, at, all) => all.indexOf(name) === at);

/** What is seen after a crash in a signature, when it is asked for again. */
const burned = { answer: 'hash_not_authorised', calls: 0, burned: 1 };
const afterCrash = {
  'sam.sign.before-reserve': { answer: 'signed', calls: 1, burned: 0 },
  'sam.sign.reserved': burned,
  'sam.wrapped.opened': burned,
  'sam.sign.token': burned,
  'sam.sign.recorded': { answer: 'redelivered', calls: 0, burned: 0 },
};

for (const mode of custodyModes) {
  describe(`${mode.name} custody`, () => {
    let system, alice, officer, client;
    before(async () => {
      system = await System.start({ policy: mode.policy });
      ({ signer: alice, officer, client } = await signerOf(system, { profile: mode.profile }));
    });
    after(() => system?.stop());

    const withSam = async (work) => {
      const sam = await Sam.connect(system);
      try {
        return await work(sam);
      } finally {
        sam.close();
      }
    };
    const objects = () => withSam(async (sam) => (await sam.status()).token.objects);
    /** Calls of functions that use a signer's key. */
    const uses = () => withSam(async (sam) => (await sam.status()).token.calls
      .filter(({ function: name, object }) => /UnwrapKey|WrapKey/.test(name) || (/Sign/.test(name) && /signer/.test(object)))
      .reduce((sum, { count }) => sum + count, 0));
    const requestOf = (sad, documents) => ({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: documents.map(({ digest }) => digest) });

    it('says in the status which mode it is, and that the token does not enforce it', () => withSam(async (sam) => {
      assert.deepEqual((await sam.status()).custody.map(({ profile, mode: told, key_authorisation }) => [profile, told, key_authorisation]), [[mode.profile, mode.name, 'emulated']]);
    }));

    it('leaves the objects of the token as they were: after signatures, a refusal of each kind, and a batch in doubt', async () => {
      const before_ = await objects();
      for (let each = 0; each < 20; each += 1) await alice.sign([`document ${each}`, `annex ${each}`]);
      const documents = documentsOf('refused');
      const sad = await alice.approve({ credential: alice.credential, documents });
      await withSam(async (sam) => {
        await assert.rejects(sam.sign({ ...requestOf(sad, documents), digests: [documentsOf('another')[0].digest] }), { refusal: 'hash_not_authorised' });
        await assert.rejects(sam.sign({ ...requestOf(sad, documents), suite: 'ecdsa-sha384' }), { refusal: 'algorithm_refused' });
        await assert.rejects(sam.sign({ ...requestOf(sad, documents), sad: `${sad}x` }), { refusal: 'sad_invalid' });
      });
      assert.equal(await objects(), before_);
      for (const fault of ['doubtful', 'wrong-signature', 'definite']) {
        const two = documentsOf(`${fault} one`, `${fault} two`);
        const doubted = await alice.approve({ credential: alice.credential, documents: two });
        await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: fault } });
        await withSam((sam) => assert.rejects(sam.sign(requestOf(doubted, two))));
        assert.equal(await objects(), before_, fault);
        await system.restart('sam');
        assert.equal(await objects(), before_, fault);
      }
      await alice.sign(['after all of it']);
    });

    it('TC-4 signs once when a SAD is used many times at once', async () => {
      const documents = documentsOf('a race');
      const sad = await alice.approve({ credential: alice.credential, documents });
      await system.restart('sam');
      const runners = await Promise.all(Array.from({ length: 8 }, () => Sam.connect(system)));
      const given = await Promise.all(runners.map((sam) => sam.sign(requestOf(sad, documents)).then(([one]) => one, ({ refusal }) => refusal)));
      const signed = given.filter((one) => typeof one !== 'string');
      assert.ok(signed.length >= 1);
      assert.equal(new Set(signed.map(({ signature }) => signature.toString('hex'))).size, 1);
      for (const refusal of given.filter((one) => typeof one === 'string')) assert.equal(refusal, 'hash_not_authorised');
      assert.equal(await runners[0].signatures(), 1);
      for (const sam of runners) sam.close();
    });

    it('uses no key for a wrong PIN, and neither for a right one until it signs', async () => {
      const documents = documentsOf('not yet');
      const before_ = await uses();
      const pin = alice.pin;
      alice.pin = '571938204615';
      await assert.rejects(alice.approve({ credential: alice.credential, documents }));
      alice.pin = pin;
      const sad = await alice.approve({ credential: alice.credential, documents });
      assert.equal(await uses(), before_);
      await withSam((sam) => sam.sign(requestOf(sad, documents)));
      assert.ok(await uses() > before_);
    });

    const points = [...faultPoints('sam.sign.'), ...mode.points];
    assert.ok(points.length >= 4);
    for (const point of points) {
      it(`TC-5 leaves nothing in the token and signs nothing twice when the SAM is killed at ${point}`, async () => {
        const before_ = await objects();
        const documents = documentsOf(`killed at ${point}`);
        const sad = await alice.approve({ credential: alice.credential, documents });
        await system.restart('sam', { environment: { INTAGLIO_FAULT: point } });
        await withSam((sam) => assert.rejects(sam.sign(requestOf(sad, documents))));
        assert.deepEqual(await system.services.sam.ended, { code: null, signal: 'SIGKILL' });
        await system.startService('sam');
        assert.equal(await objects(), before_);
        await withSam(async (sam) => {
          const answer = await sam.sign(requestOf(sad, documents)).then(([one]) => (one.redelivered ? 'redelivered' : 'signed'), ({ refusal }) => refusal);
          const seen = { answer, calls: await sam.signatures(), burned: system.services.sam.lines.filter(({ event }) => event === 'reservation.burned').length };
          assert.ok(afterCrash[point], `${point}: say here what must hold after a crash at it`);
          assert.deepEqual(seen, afterCrash[point]);
        });
        await alice.sign([`after the crash at ${point}`]);
        assert.equal(await objects(), before_);
      });
    }

    for (const point of faultPoints('sam.key.')) {
      it(`leaves no key when the SAM is killed at ${point}`, async () => {
        const before_ = await objects();
        await system.restart('sam', { environment: { INTAGLIO_FAULT: point } });
        await assert.rejects(alice.generateKey({ profile: mode.profile }));
        assert.deepEqual(await system.services.sam.ended, { code: null, signal: 'SIGKILL' });
        await system.startService('sam');
        assert.equal(await objects(), before_);
        await alice.sign([`after the crash at ${point}`]);
      });
    }

    it('goes on with the same key after another PIN, which voids what the old one approved', async () => {
      const documents = documentsOf('approved with the old PIN');
      const sad = await alice.approve({ credential: alice.credential, documents });
      const before_ = await objects();
      await alice.changeFactors({ pin: '580246193758' });
      await withSam((sam) => assert.rejects(sam.sign(requestOf(sad, documents)), { refusal: 'sad_invalid' }));
      await alice.sign(['with the new PIN']);
      assert.equal(await objects(), before_);
    });

    it('TC-7 ends with the key when the factors are reset, and begins anew with another', async () => {
      const documents = documentsOf('approved before the reset');
      const sad = await alice.approve({ credential: alice.credential, documents });
      const code = await officer.resetFactors('alice', identityOf('alice'));
      await withSam((sam) => assert.rejects(sam.sign(requestOf(sad, documents))));
      const events = system.auditEvents('sam').filter(({ subject, type }) => subject === alice.credential && /voided|destroyed/.test(type)).map(({ type }) => type);
      assert.deepEqual(events, ['key.voided', 'key.destroyed']);
      const again = await new Signer(client, 'alice', { pin: '604817350296' }).enrol(code);
      again.algorithm = 'p256';
      again.credential = await again.generateKey({ profile: mode.profile });
      again.chain = await officer.certify(again.credential, identityOf('alice'));
      await again.sign(['with the new key']);
    });
  });
}
