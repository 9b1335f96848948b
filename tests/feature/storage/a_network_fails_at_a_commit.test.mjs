// TC-4, TC-5: the network between a node and the database fails at a commit. What became of it is settled, and nothing is signed twice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DatabaseProxy } from '../harness/database_proxy.mjs';
import { Nodes } from '../harness/nodes.mjs';
import { Postgresql, isAway, served } from '../harness/postgresql.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';

/** What the transaction runs that reserves an occurrence, and the one that records its outcome. */
const reserving = 'INSERT INTO open_reservations';
const recording = 'DELETE FROM open_reservations';

describe('a node whose network to the database fails at a commit', () => {
  let server, network, nodes, system, alice;
  const sams = {};
  before(async () => {
    server = await Postgresql.start();
    network = await DatabaseProxy.start(server);
    nodes = await Nodes.start(['a', 'b'], { server, networks: { b: network } });
    ({ system } = nodes);
    ({ signer: alice } = await signerOf(system));
    for (const name of ['a', 'b']) sams[name] = await nodes.connect(name);
  });
  after(async () => {
    for (const connection of Object.values(sams)) connection.close();
    await nodes?.stop();
    await network?.stop();
    await server?.stop();
  });

  /** One authorisation; a request for each document. */
  const approve = async (...texts) => {
    system.moveClock(30);
    const documents = documentsOf(...texts);
    const sad = await sams.a.approve(alice, documents);
    return documents.map(({ digest }) => ({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [digest] }));
  };
  const calls = async () => (await sams.a.signatures()) + (await sams.b.signatures());
  const open = () => Number(server.ask('SELECT count(*) FROM open_reservations'));
  /** Signs on b, whose network fails at this commit and is mended at once. */
  const signWithFailure = async (request, failure) => {
    const failed = network.failAtCommit(failure);
    const answer = sams.b.sign(request).then(([one]) => one, (error) => error);
    await failed;
    network.heal();
    return { answer };
  };

  it('goes on when the reservation stands and only the answer was lost', async () => {
    const [request] = await approve('reserved, and not told');
    const earlier = await calls();
    const signed = await (await signWithFailure(request, { of: reserving, lose: 'answer' })).answer;
    assert.equal(signed.redelivered, false, signed.message);
    const [again] = await served(() => sams.a.sign(request));
    assert.ok(again.redelivered && again.signature.equals(signed.signature));
    assert.equal(await calls(), earlier + 1);
  });

  it('has reserved nothing when the commit never arrived: another node signs', async () => {
    const [request] = await approve('not reserved');
    const earlier = await calls();
    const refused = await (await signWithFailure(request, { of: reserving, lose: 'request' })).answer;
    assert.ok(isAway(refused), refused.message);
    assert.equal(await calls(), earlier);
    const [signed] = await served(() => sams.a.sign(request));
    assert.equal(signed.redelivered, false);
    const [again] = await served(() => sams.b.sign(request));
    assert.ok(again.redelivered && again.signature.equals(signed.signature));
    assert.equal(await calls(), earlier + 1);
  });

  it('gives the signature when its outcome stands and only the answer was lost', async () => {
    const [request] = await approve('recorded, and not told');
    const earlier = await calls();
    const signed = await (await signWithFailure(request, { of: recording, lose: 'answer' })).answer;
    assert.equal(signed.redelivered, false, signed.message);
    const [again] = await served(() => sams.a.sign(request));
    assert.ok(again.redelivered && again.signature.equals(signed.signature));
    assert.equal(await calls(), earlier + 1);
  });

  it('keeps to itself a signature whose outcome never arrived; the others wait for no longer than the server takes to notice', async () => {
    const [request, other] = await approve('signed, and not recorded', 'another document');
    const earlier = await calls();
    const { answer } = await signWithFailure(request, { of: recording, lose: 'request', hidden: true });
    // The session that the network hides has the turn, and with it every node, until the server ends it.
    const busy = await sams.a.sign(other).then(() => 'signed', (error) => error.refusal);
    assert.equal(busy, 'busy');
    const refused = await answer;
    assert.equal(refused.refusal, 'storage_unavailable', refused.message);
    const [signed] = await served(() => sams.a.sign(other));
    assert.equal(signed.redelivered, false);
    assert.equal(open(), 1);
    for (const name of ['a', 'b']) await assert.rejects(served(() => sams[name].sign(request)), { refusal: 'hash_not_authorised' });
    assert.equal(await calls(), earlier + 2);

    sams.b.close();
    await system.restart('sam.b');
    sams.b = await nodes.connect('b');
    assert.equal(open(), 0);
    for (const name of ['a', 'b']) await assert.rejects(sams[name].sign(request), { refusal: 'hash_not_authorised' });
    const logs = [...nodes.events('a'), ...nodes.events('b')];
    const made = logs.filter(({ type }) => type === 'signature.made').map(({ fields }) => `${fields.authorisation} ${fields.position}`);
    assert.equal(new Set(made).size, made.length, 'an occurrence was signed twice');
    assert.equal(logs.filter(({ type }) => type === 'reservation.burned').length, 1);
  });

  it('verifies the logs of both nodes', async () => {
    const verified = await nodes.verify('a', 'b');
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });
});
