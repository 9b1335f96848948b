// TC-4, TC-5, TC-14: two nodes of one SAM on one PostgreSQL. Whatever races or dies, what was approved is signed once.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { Nodes } from '../harness/nodes.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { withoutLimits } from '../harness/system.mjs';

/** Rounds of the race: as many as fit a test of every change; the nightly run asks for 5000. */
const rounds = Number(process.env.INTAGLIO_RACE_ROUNDS ?? 200);
const lanes = 4;

describe('two nodes on one database', () => {
  let nodes, system, signers, alice, officer;
  let sams = {};
  before(async () => {
    nodes = await Nodes.start(['a', 'b'], { policy: withoutLimits });
    ({ system } = nodes);
    const first = await signerOf(system);
    ({ signer: alice, officer } = first);
    signers = [alice];
    for (let lane = 1; lane < lanes; lane += 1) signers.push(await new Signer(first.client, `signer-${lane}`).ready({ officer }));
    for (const name of ['a', 'b']) sams[name] = await Promise.all(signers.map(() => nodes.connect(name)));
  });
  after(async () => {
    for (const connection of Object.values(sams).flat()) connection.close();
    await nodes?.stop();
  });

  const reconnect = async (name) => {
    for (const connection of sams[name]) connection.close();
    sams[name] = await Promise.all(signers.map(() => nodes.connect(name)));
  };
  const restart = async (name, { signal = 'SIGTERM', environment = {} } = {}) => {
    await system.restart(nodes.service(name), { signal, environment });
    await reconnect(name);
  };
  /** Opened by node `left`, authorised by node `right`: neither knows more of it than the database does. */
  const approve = async (signer, lane, text, left = 'a', right = 'b') => {
    const documents = documentsOf(text);
    const opened = await sams[left][lane].openSigning(signer, documents);
    const sad = system.secret('a SAD', await sams[right][lane].authorise(await signer.message(opened, signer.factors(opened))));
    return { sad, key: signer.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
  };
  const calls = async () => (await sams.a[0].signatures()) + (await sams.b[0].signatures());
  const answerOf = (promise) => promise.then(([one]) => (one.redelivered ? 'redelivered' : 'signed'), (error) => error.refusal ?? error.message);

  it('opens on one, authorises on the other, and signs on the first', async () => {
    const request = await approve(alice, 0, 'three steps');
    const [signed] = await sams.a[0].sign(request);
    assert.equal(signed.redelivered, false);
    assert.equal(signed.log, `intaglio/sam/${nodes.nodeName('a')}`);
    const [again] = await sams.b[0].sign(request);
    assert.ok(again.redelivered && again.signature.equals(signed.signature));
    assert.equal(again.log, `intaglio/sam/${nodes.nodeName('b')}`);
  });

  it(`calls C_Sign exactly ${rounds} times for ${rounds} SADs, each used on both nodes at the same time`, async (context) => {
    const earlier = await calls();
    const seen = { redelivered: 0, refused: 0, a: 0, b: 0 };
    const begin = Date.now();
    const race = async (signer, lane, round) => {
      const request = await approve(signer, lane, `document ${lane}-${round}`, ...(round % 2 === 0 ? ['a', 'b'] : ['b', 'a']));
      const answers = await Promise.allSettled(['a', 'b'].map((name) => sams[name][lane].sign(request).then(([one]) => ({ ...one, name }))));
      const given = answers.filter(({ status }) => status === 'fulfilled').map(({ value }) => value);
      for (const { reason } of answers) if (reason) assert.equal(reason.refusal, 'hash_not_authorised');
      assert.ok(given.every(({ signature }) => signature.equals(given[0].signature)), 'two different signatures');
      const [fresh, ...more] = given.filter(({ redelivered }) => !redelivered);
      assert.ok(fresh && more.length === 0, `${given.length} answers, ${more.length + (fresh ? 1 : 0)} of them new`);
      seen[fresh.name] += 1;
      seen.redelivered += given.length - 1;
      seen.refused += 2 - given.length;
    };
    for (let round = 0; round < rounds / lanes; round += 1) {
      system.moveClock(30);
      await Promise.all(signers.map((signer, lane) => race(signer, lane, round)));
    }
    assert.equal(await calls(), earlier + rounds);
    assert.equal(seen.redelivered + seen.refused, rounds);
    assert.ok(seen.a > 0 && seen.b > 0, `one node always won: ${JSON.stringify(seen)}`);
    context.diagnostic(`${rounds} races: ${JSON.stringify(seen)}, ${(Date.now() - begin) / 1000} s`);
  });

  it('takes one SAP message on both nodes at the same time for one authorisation', async () => {
    system.moveClock(30);
    const documents = documentsOf('one message');
    const opened = await sams.a[0].openSigning(alice, documents);
    const message = await alice.message(opened, alice.factors(opened));
    const answers = await Promise.allSettled(['a', 'b', 'a', 'b'].map((name, at) => sams[name][at % lanes].authorise(message)));
    assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const { reason } of answers) if (reason) assert.equal(reason.refusal, 'replayed');
  });

  it('counts wrong PINs of both nodes together', async () => {
    const { client } = alice;
    const mallory = await new Signer(client, 'counted').ready();
    const wrong = async (name) => {
      const opened = await sams[name][0].openSigning(mallory, documentsOf('guessed'));
      return sams[name][0].authorise(await mallory.message(opened, [{ type: 'pin', value: '000000111111' }, { type: 'totp', value: mallory.otp() }]));
    };
    for (const name of ['a', 'b', 'a']) await assert.rejects(wrong(name), { refusal: 'authentication_failed' });
    await assert.rejects(approve(mallory, 0, 'locked', 'b', 'b'), ({ refusal }) => ['authentication_failed', 'credential_locked'].includes(refusal));
  });

  it('lifts a hold on one node only when the list that the other one was told of last does', async () => {
    const held = await new Signer(alice.client, 'held').ready({ officer });
    const serial = new X509Certificate(held.chain[0]).serialNumber.toLowerCase();
    const told = async (path, op, more) => good(op, await officer.post(path, { request: await officer.request(op, { key: held.credential, serial, ...more }) }));
    const hold = () => told('/ra/v1/revocations', 'revoke-certificate', { reason: 'certificateHold' });
    const release = () => told('/ra/v1/releases', 'release-certificate');
    const resume = async () => sams.b[0].resume(await officer.request('resume-key', { key: held.credential }));
    // The SSA speaks to a. What b has read at its start is a list without the hold.
    await hold();
    await release();
    await restart('b');
    await hold();
    await assert.rejects(resume(), { refusal: 'conflict' });
    await release();
    await resume();
    assert.equal(await answerOf(sams.b[0].sign(await approve(held, 0, 'after the hold'))), 'signed');
  });

  it('leaves the reservation of a node that died to that node, and signs it never again', async () => {
    system.moveClock(30);
    await restart('b', { environment: { INTAGLIO_FAULT: 'sam.sign.token' } });
    const request = await approve(alice, 0, 'died after the token signed');
    const authorisation = JSON.parse(Buffer.from(request.sad.split('.')[1], 'base64url').toString()).jti;
    await assert.rejects(sams.b[0].sign(request));
    assert.deepEqual(await system.services['sam.b'].ended, { code: null, signal: 'SIGKILL' });

    const burned = (name) => nodes.events(name).filter(({ type, fields }) => type === 'reservation.burned' && fields.authorisation === authorisation).length;
    const earlier = await sams.a[0].signatures();
    assert.equal(await answerOf(sams.a[0].sign(request)), 'hash_not_authorised');
    assert.equal(await sams.a[0].signatures(), earlier);
    // Not even a restart of its neighbour ends what is the dead node's.
    await restart('a');
    assert.equal(Number(nodes.server.ask('SELECT count(*) FROM open_reservations')), 1);
    assert.equal(await answerOf(sams.a[0].sign(request)), 'hash_not_authorised');
    assert.deepEqual([burned('a'), burned('b')], [0, 0]);

    await restart('b');
    assert.deepEqual([burned('a'), burned('b')], [0, 1]);
    assert.equal(Number(nodes.server.ask('SELECT count(*) FROM open_reservations')), 0);
    for (const name of ['a', 'b']) assert.equal(await answerOf(sams[name][0].sign(request)), 'hash_not_authorised');
    assert.equal(await sams.a[0].signatures() + await sams.b[0].signatures(), 0);
  });

  it('goes on under load when the other node is killed, and doubles nothing', async () => {
    system.moveClock(30);
    const requests = [];
    for (const [lane, signer] of signers.entries()) {
      const documents = documentsOf(...Array.from({ length: 8 }, (_, at) => `under load ${lane}-${at}`));
      const opened = await sams.a[lane].openSigning(signer, documents);
      const sad = system.secret('a SAD', await sams.a[lane].authorise(await signer.message(opened, signer.factors(opened))));
      for (const { digest } of documents) requests.push([lane, { sad, key: signer.credential, suite: 'ecdsa-sha256', digests: [digest] }]);
    }
    const signatures = requests.map(() => new Set());
    let answered = 0;
    const sign = async (name, at) => {
      const [lane, request] = requests[at];
      const [one] = await sams[name][lane].sign(request);
      signatures[at].add(one.signature.toString('hex'));
      answered += 1;
      if (name === 'b' && answered === 6) system.services['sam.b'].child.kill('SIGKILL');
      return one;
    };
    await Promise.allSettled(requests.map((_, at) => sign('b', at)));
    assert.ok(answered >= 6 && answered < requests.length, `${answered} were answered before the end`);
    await system.services['sam.b'].ended;
    const onA = await Promise.all(requests.map((_, at) => answerOf(sign('a', at).then((one) => [one]))));
    await restart('b');
    for (const set of signatures) assert.ok(set.size <= 1, 'two different signatures');
    const made = [...nodes.events('a'), ...nodes.events('b')].filter(({ type }) => type === 'signature.made').map(({ fields }) => `${fields.authorisation} ${fields.position}`);
    assert.equal(new Set(made).size, made.length, 'an occurrence was signed twice');
    // What was under way on b, one a connection at most, is lost with it; all else was signed by one of both.
    const lost = onA.filter((answer) => answer === 'hash_not_authorised').length;
    assert.ok(lost <= lanes, `refused on a: ${onA}`);
    assert.equal(onA.filter((answer) => ['signed', 'redelivered'].includes(answer)).length, requests.length - lost);
    assert.equal(await answerOf(sams.b[0].sign(await approve(alice, 0, 'both again', 'b', 'a'))), 'signed');
  });

  it('lets no second process be the same node, and no node join twice', () => {
    const second = nodes.command('b');
    assert.equal(second.status, 1, second.stdout);
    assert.match(second.stderr, /as node b/);
  });

  it('verifies the logs of all nodes, and refuses when one is left out', async () => {
    const all = await nodes.verify('a', 'b');
    assert.equal(all.status, 0, all.stdout + all.stderr);
    assert.match(all.stderr + all.stdout, /audit logs of 2 nodes verified/);
    for (const name of ['a', 'b']) assert.match(all.stdout, new RegExp(`"origin":"intaglio/sam/${nodes.nodeName(name)}"`));
    const one = await nodes.verify('a');
    assert.notEqual(one.status, 0);
    assert.match(one.stderr, /a log of node b, which was not verified/);
  });

  it('refuses to let a node join that has lived, and a file to be shared', async () => {
    await system.services['sam.b'].stop();
    const again = nodes.command('b', '--join');
    assert.equal(again.status, 1);
    assert.match(again.stderr, /has joined already/);
    const file = system.path('config', 'sam.c.toml');
    writeFileSync(file, system.read('config/sam.b.toml').replace(/\[postgresql\][^[]*/, ''));
    const alone = nodes.command('c', '--join');
    assert.equal(alone.status, 1);
    assert.match(alone.stderr, /a database that nodes can share/);
    await system.startService('sam.b');
    await reconnect('b');
  });
});
