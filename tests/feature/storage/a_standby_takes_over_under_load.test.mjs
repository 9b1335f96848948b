// TC-5, TC-14: the server of three nodes is lost under load and its synchronous standby is promoted. What was given stands, and nothing is signed twice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { DatabaseProxy } from '../harness/database_proxy.mjs';
import { Nodes } from '../harness/nodes.mjs';
import { Postgresql, isAway, served } from '../harness/postgresql.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';

const names = ['a', 'b', 'c'];
const documentsOfTheLoad = 60;
const answersBeforeTheLoss = 8;

describe('three nodes whose server is lost under load', () => {
  const servers = [];
  let network, nodes, system, alice;
  const sams = {};
  before(async () => {
    servers.push(await Postgresql.start());
    servers.push(await servers[0].addSynchronousStandby());
    network = await DatabaseProxy.start(servers[0]);
    nodes = await Nodes.start(names, { server: servers[0], synchronous: true, networks: Object.fromEntries(names.map((name) => [name, network])) });
    ({ system } = nodes);
    ({ signer: alice } = await signerOf(system));
    for (const name of names) sams[name] = await nodes.connect(name);
  });
  after(async () => {
    for (const connection of Object.values(sams)) connection.close();
    await nodes?.stop();
    await network?.stop();
    for (const server of servers) await server.stop();
  });

  const approve = async (...texts) => {
    system.moveClock(30);
    const documents = documentsOf(...texts);
    const sad = await sams.a.approve(alice, documents);
    return documents.map(({ digest }) => ({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [digest] }));
  };
  const calls = async () => (await Promise.all(names.map((name) => sams[name].signatures()))).reduce((sum, one) => sum + one, 0);

  it('signs once what is asked of all three at the same time', async () => {
    const earlier = await calls();
    const requests = await approve(...Array.from({ length: 12 }, (_, at) => `of three ${at}`));
    for (const request of requests) {
      const answers = await Promise.allSettled(names.map((name) => sams[name].sign(request).then(([one]) => one)));
      const given = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
      for (const { reason } of answers) if (reason) assert.equal(reason.refusal, 'hash_not_authorised');
      assert.equal(given.filter(({ redelivered }) => !redelivered).length, 1);
      assert.ok(given.every(({ signature }) => signature.equals(given[0].signature)));
    }
    assert.equal(await calls(), earlier + requests.length);
  });

  it('loses nothing that was given when the standby is promoted, and serves from it only when it has a standby of its own', async () => {
    const requests = await approve(...Array.from({ length: documentsOfTheLoad }, (_, at) => `under load ${at}`));
    const given = requests.map(() => []);
    let answered = 0;
    let lost;
    const sign = async (name, at) => {
      const [one] = await sams[name].sign(requests[at]);
      given[at].push(one.signature.toString('hex'));
      answered += 1;
      // The old server is lost for good before anybody can be answered by another: what a standby had not, nobody was told.
      if (answered === answersBeforeTheLoss) lost = servers[0].crash().then(() => network.cut());
      return one;
    };
    await Promise.allSettled(requests.map((_, at) => sign(names[at % names.length], at)));
    assert.ok(answered >= answersBeforeTheLoss && answered < requests.length, `${answered} were answered`);
    await lost;
    const before = given.map((signatures) => signatures.length);

    servers[1].promote();
    network.target = servers[1];
    network.heal();
    // A commit on it would be on one disk: the nodes refuse until that is mended.
    for (const name of names) await assert.rejects(sams[name].sign(requests[0]), isAway);
    servers.push(await servers[1].addSynchronousStandby());
    nodes.server = servers[1];

    const outcomes = { redelivered: 0, signed: 0, refused: 0 };
    for (const at of requests.keys()) {
      const outcome = await served(() => sign(names[(at + 1) % names.length], at)).then((one) => (one.redelivered ? 'redelivered' : 'signed'), (error) => {
        assert.equal(error.refusal, 'hash_not_authorised');
        return 'refused';
      });
      if (before[at] > 0) assert.equal(outcome, 'redelivered', 'a signature that was given is not known any more');
      outcomes[outcome] += 1;
    }
    for (const signatures of given) assert.ok(new Set(signatures).size <= 1, 'two different signatures');
    // What was under way on each node when the server was lost, one a connection, is reserved or signed and not recorded.
    assert.ok(outcomes.refused <= names.length, JSON.stringify(outcomes));
    const logs = names.flatMap((name) => nodes.events(name)).filter(({ type }) => type === 'signature.made');
    const made = logs.map(({ fields }) => `${fields.authorisation} ${fields.position}`);
    assert.equal(new Set(made).size, made.length, 'an occurrence was signed twice');
  });

  it('verifies the logs of all three after it', async () => {
    const verified = await nodes.verify(...names);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout + verified.stderr, /audit logs of 3 nodes verified/);
  });
});
