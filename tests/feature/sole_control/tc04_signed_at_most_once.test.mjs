// TC-4: what was approved is signed at most once, whatever is repeated or races.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const rounds = process.env.INTAGLIO_LONG ? 1000 : 60;

describe('TC-4 exactly once', () => {
  let system, alice;
  let connections = [];
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    connections = await Promise.all([1, 2, 3, 4].map(() => Sam.connect(system)));
    alice = (await signerOf(system)).signer;
  });
  after(async () => {
    for (const connection of connections) connection.close();
    await system?.stop();
  });

  it(`makes exactly one signature for each of ${rounds} documents that are asked for twice at the same time`, async () => {
    const documents = documentsOf(...Array.from({ length: rounds }, (_, index) => `document ${index}`));
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await connections[0].signatures();
    for (const { digest } of documents) {
      const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [digest] };
      const answers = await Promise.allSettled([connections[0].sign(request), connections[1].sign(request)]);
      const given = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value[0]);
      assert.ok(given.length >= 1);
      // Who comes second gets the same signature again, or is refused while the first is under way.
      assert.ok(given.every(({ signature }) => signature.equals(given[0].signature)), 'two different signatures');
      assert.equal(given.filter(({ redelivered }) => !redelivered).length, 1);
    }
    assert.equal(await connections[0].signatures(), before + rounds);
  });

  it('takes one SAD twice over HTTPS, at the same time, for one signature', async () => {
    const documents = documentsOf('raced');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await connections[0].signatures();
    const request = { credential: alice.credential, sad, digests: [documents[0].digest], suite: 'ecdsa-sha256' };
    const answers = await Promise.all([1, 2, 3, 4].map(() => alice.client.signHash(request)));
    const signatures = new Set(answers.filter(({ status }) => status === 200).map(({ json }) => json.signatures[0]));
    assert.equal(signatures.size, 1);
    assert.equal(await connections[0].signatures(), before + 1);
  });

  it('grants one authorisation for a SAP message that is sent again and again, with every factor right', async () => {
    const documents = documentsOf('replayed');
    const { message } = await alice.prepare({ documents });
    const answers = await Promise.all(Array.from({ length: 20 }, (_, index) => connections[index % 4].authorise(message).then((sad) => sad, (error) => error.refusal)));
    const sads = answers.filter((answer) => answer?.includes('.'));
    assert.equal(sads.length, 1);
    const [sad] = sads;
    await connections[0].sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] });
    await assert.rejects(connections[0].authorise(message), { refusal: 'replayed' });
  });

  it('reserves all digests of a request or none', async () => {
    const documents = documentsOf('first', 'second');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await connections[0].signatures();
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256' };
    await assert.rejects(connections[0].sign({ ...request, digests: [documents[0].digest, documentsOf('third')[0].digest] }), { refusal: 'hash_not_authorised' });
    assert.equal(await connections[0].signatures(), before);
    const signed = await connections[0].sign({ ...request, digests: documents.map(({ digest }) => digest) });
    assert.equal(signed.length, 2);
    assert.ok(signed.every(({ redelivered }) => !redelivered));
  });

  it('voids what is left of an authorisation when the signer gets another one', async () => {
    const documents = documentsOf('earlier');
    const earlier = await alice.approve({ credential: alice.credential, documents });
    await alice.approve({ credential: alice.credential, documents: documentsOf('later') });
    await assert.rejects(connections[0].sign({ sad: earlier, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { refusal: 'sad_invalid' });
  });
});
