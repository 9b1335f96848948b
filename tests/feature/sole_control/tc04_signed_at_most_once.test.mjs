// TC-4: what was approved is signed at most once, whatever is repeated or races.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { base64url } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const pairs = 1000;
const replays = 1000;
const lanes = 4;

describe('TC-4 exactly once', () => {
  let system, alice, signers;
  let connections = [];
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    connections = await Promise.all(Array.from({ length: 2 * lanes }, () => Sam.connect(system)));
    const first = await signerOf(system);
    alice = first.signer;
    signers = [alice];
    for (let lane = 1; lane < lanes; lane += 1) signers.push(await new Signer(first.client, `signer-${lane}`).ready({ officer: first.officer }));
  });
  after(async () => {
    for (const connection of connections) connection.close();
    await system?.stop();
  });

  it(`calls C_Sign exactly ${pairs} times for ${pairs} SADs of which each is used twice at the same time`, async (context) => {
    const before = await connections[0].signatures();
    const seen = { redelivered: 0, refused: 0 };
    const begin = Date.now();
    const useTwiceAtOnce = async (signer, lane, round) => {
      const [left, right] = connections.slice(2 * lane, 2 * lane + 2);
      const documents = documentsOf(`document ${lane}-${round}`);
      const sad = await left.approve(signer, documents);
      const request = { sad, key: signer.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
      const answers = await Promise.allSettled([left.sign(request), right.sign(request)]);
      const given = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value[0]);
      for (const { reason } of answers) if (reason) assert.equal(reason.refusal, 'hash_not_authorised');
      // Who comes second gets the same signature again, or is refused while the first is under way.
      assert.ok(given.every(({ signature }) => signature.equals(given[0].signature)), 'two different signatures');
      assert.equal(given.filter(({ redelivered }) => !redelivered).length, 1);
      seen.redelivered += given.length - 1;
      seen.refused += 2 - given.length;
    };
    for (let round = 0; round < pairs / lanes; round += 1) {
      // Each round has a one-time code of its own, for all signers the same step.
      system.moveClock(30);
      await Promise.all(signers.map((signer, lane) => useTwiceAtOnce(signer, lane, round)));
    }
    assert.equal(await connections[0].signatures(), before + pairs);
    assert.equal(seen.redelivered + seen.refused, pairs);
    context.diagnostic(`${pairs} pairs: ${pairs} calls of C_Sign, ${seen.redelivered} redelivered, ${seen.refused} refused, ${(Date.now() - begin) / 1000} s`);
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

  it(`grants one authorisation for a SAP message that is sent ${replays} times, before and after its use, with every factor right`, async (context) => {
    const documents = documentsOf('replayed');
    const opened = await connections[0].openSigning(alice, documents);
    const message = await alice.message(opened, alice.factors());
    const begin = Date.now();
    const before = await connections[0].signatures();
    const send = async (count) => {
      const answers = await Promise.all(Array.from({ length: count }, (_, index) =>
        connections[index % connections.length].authorise(message).then((sad) => ({ sad }), ({ refusal }) => ({ refusal }))));
      return { sads: answers.map(({ sad }) => sad).filter(Boolean), refusals: [...new Set(answers.map(({ refusal }) => refusal).filter(Boolean))] };
    };
    const early = await send(replays / 2);
    assert.equal(early.sads.length, 1);
    assert.deepEqual(early.refusals, ['replayed']);
    await connections[0].sign({ sad: early.sads[0], key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] });
    const late = await send(replays / 2);
    assert.deepEqual(late, { sads: [], refusals: ['replayed'] });
    // A new message with a new one-time code over the same ticket is no other authorisation either.
    await assert.rejects(connections[0].authorise(await alice.message(opened, alice.factors())), { refusal: 'replayed' });
    const nonce = base64url(opened.parsed.nonce);
    const granted = system.auditEvents('sam').filter((event) => event.type === 'authorisation.granted' && JSON.stringify(event).includes(nonce));
    assert.equal(granted.length, 1);
    assert.equal(await connections[0].signatures(), before + 1);
    context.diagnostic(`${replays} times sent: 1 authorisation, 1 call of C_Sign, ${(Date.now() - begin) / 1000} s`);
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
