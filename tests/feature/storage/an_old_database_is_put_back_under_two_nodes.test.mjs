// TC-9, TC-14: a backup of the database is put back under two nodes that have gone on since. Neither serves from it, running or started anew;
// each says what to do, and with the newest copy both go on as if nothing had happened.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Nodes } from '../harness/nodes.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { runAside } from '../harness/system.mjs';

describe('a database of before under two nodes', () => {
  let nodes, server, system, alice, request, first, unused;
  const sams = {};
  const names = ['a', 'b'];
  const reconnect = async () => {
    for (const name of names) {
      sams[name]?.close();
      sams[name] = await nodes.connect(name);
    }
  };
  before(async () => {
    nodes = await Nodes.start(names);
    ({ server, system } = nodes);
    ({ signer: alice } = await signerOf(system));
    await reconnect();
    // The approval is part of the backup, its use is not: to the database of before it is free.
    const documents = documentsOf('approved before the backup', 'never signed');
    const sad = await sams.a.approve(alice, documents);
    [request, unused] = documents.map(({ digest }) => ({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [digest] }));
    server.backUp('old');
    [first] = await sams.a.sign(request);
    const [again] = await sams.b.sign(request);
    assert.ok(again.redelivered && again.signature.equals(first.signature));
  });
  after(async () => {
    for (const connection of Object.values(sams)) connection.close();
    await nodes?.stop();
  });

  const calls = async () => (await sams.a.signatures()) + (await sams.b.signatures());
  const isRefused = ({ refusal }) => ['storage_unavailable', 'audit_unavailable'].includes(refusal);

  it('is refused by nodes that run', async () => {
    const earlier = await calls();
    await server.putBack('old', 'newest');
    assert.equal(Number(server.ask("SELECT count(*) FROM open_reservations")), 0);
    // Until the connections are made anew the refusal is that of a lost server; then it is that of an old database.
    const noticed = (name) => system.services[nodes.service(name)].lines.some(({ detail }) => /entry \d+ is missing|changed the end of the log/.test(detail));
    for (let tries = 0; tries < 50 && !names.every(noticed); tries += 1) {
      for (const name of names) for (const asked of [request, unused]) await assert.rejects(sams[name].sign(asked), isRefused);
      await pause(100);
    }
    for (const name of names) {
      assert.ok(noticed(name), system.services[nodes.service(name)].words());
      assert.equal((await sams[name].status()).state, 'refusing');
      for (const asked of [request, unused]) await assert.rejects(sams[name].sign(asked), isRefused);
    }
    assert.equal(await calls(), earlier);
  });

  it('is refused by nodes that start, which say how to go on', async () => {
    for (const name of names) {
      const service = nodes.service(name);
      await system.services[service].stop('SIGKILL');
      const started = await system.startService(service, {}, { wait: false });
      assert.equal((await started.ended).code, 1);
      assert.match(started.words(), /the first \d+ entries are not those that the anchor vouches for/);
      assert.match(started.words(), /bring its newest copy back, and let no node serve from this one/);
    }
    const verified = await nodes.verify(...names);
    assert.notEqual(verified.status, 0, verified.stdout);
  });

  it('is not made fit to be served from by a restore of one node, which does not know what the others knew', async () => {
    const { program, words, environment } = system.command(nodes.service('a'), '--restore-statement', system.path('statement.json'));
    const refused = await runAside(program, words, { environment });
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /several nodes share this database/);
  });

  it('is gone with the newest copy: what was used is used, and what was approved is signed', async () => {
    await server.putBack('newest', 'old');
    for (const name of names) await system.startService(nodes.service(name));
    await reconnect();
    for (const name of names) {
      const [again] = await sams[name].sign(request);
      assert.ok(again.redelivered && again.signature.equals(first.signature));
    }
    assert.equal(await calls(), 0);
    const [signed] = await sams.b.sign(unused);
    assert.equal(signed.redelivered, false);
    assert.equal(await calls(), 1);
    const verified = await nodes.verify(...names);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });
});
