// TC-8, TC-9, TC-13; SRG_KM.2.3, SRG_KM.7.3, SRG_BK.1-2: docs/operate/backup.md, by its commands. A backup that two persons approve is served from, and what was
// used, counted or destroyed after it stays so.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Privileged } from '../harness/privileged.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, runAside } from '../harness/system.mjs';

const page = readFileSync(path.join(repository, 'docs/operate/backup.md'), 'utf8');
const [backUp, makeStatement, approve, restore] = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block);

describe('TC-9 a restore from a backup', () => {
  let system, folder, officer, alice, bob, carol, sam, administrator;
  const was = {};
  const events = (type) => system.auditEvents('sam').filter((event) => event.type === type);
  /** A block of the page, in a folder as the operator has it. */
  const commands = (block) => {
    const { environment } = system.command('sam');
    const words = block.replaceAll(/^(intaglio admin approve-restore .*)$/gm, '$1 --yes');
    return runAside('bash', ['-euc', `cd '${folder}'; ${words}`], { environment: { ...environment, PATH: `${binaries}:${process.env.PATH}` } });
  };
  const succeed = async (block) => {
    const done = await commands(block);
    assert.equal(done.status, 0, done.stdout + done.stderr);
    return done;
  };

  before(async () => {
    system = await System.start();
    folder = mkdtempSync(path.join(tmpdir(), 'intaglio-operator-'));
    symlinkSync(system.root, path.join(folder, 'run'));
    ({ signer: alice, officer } = await signerOf(system, { id: 'alice' }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    carol = (await signerOf(system, { id: 'carol', pin: '604918273546' })).signer;
    administrator = new Privileged(system, 'adm-1');
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    if (folder) rmSync(folder, { recursive: true });
    await system?.stop();
  });

  it('has a backup that is made while the SAM serves, and replaces none', async () => {
    const { stdout } = await succeed(backUp);
    assert.equal(JSON.parse(stdout).entries, system.auditEvents('sam').length);
    const again = await commands(backUp);
    assert.equal(again.status, 1);
    assert.match(again.stderr, /there is a file backup.db already/);
  });

  it('is needed for a database that is older than its anchor, which no SAM serves from', async () => {
    // After the backup: a SAD that is used, one that waits, a key that ends, a changed PIN, a request of an administrator.
    const documents = documentsOf('signed after the backup');
    const sad = await alice.approve({ credential: alice.credential, documents });
    was.used = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
    [was.signature] = await sam.sign(was.used);
    const waiting = documentsOf('approved and not signed');
    was.waiting = { sad: await alice.approve({ credential: alice.credential, documents: waiting }), key: alice.credential, suite: 'ecdsa-sha256', digests: [waiting[0].digest] };
    was.ticket = (await alice.prepare({ documents: documentsOf('opened and not approved') })).message;
    was.destroyed = bob.credential;
    assert.equal(await bob.change('destroy'), 'destroyed');
    was.pin = carol.pin;
    await carol.changeFactors({ pin: '918273645014' });
    was.request = await administrator.request({ op: 'suspend-user', id: 'ope-1', reason: 'to be asked once' });
    await administrator.send(was.request);
    was.reset = await officer.request('reset-factors', { signer: 'alice', identity: identityOf('alice'), deliver_to: officer.jwk });
    was.entries = system.auditEvents('sam').length;

    sam.close();
    await system.services.sam.stop();
    for (const file of ['sam.db', 'sam.db-wal', 'sam.db-shm']) rmSync(system.path('sam', file), { force: true });
    cpSync(path.join(folder, 'backup.db'), system.path('sam/sam.db'));
    await assert.rejects(system.startService('sam'), /are not those that the anchor vouches for/);
  });

  it('is not done on the word of one person, or of two who may not', async () => {
    await succeed(makeStatement);
    const statement = JSON.parse(readFileSync(path.join(folder, 'statement.json'), 'utf8'));
    assert.equal(statement.entries.lost, 0);
    assert.ok(statement.void.signers >= 1 && statement.void.keys >= 1 && statement.void.counters >= 1, JSON.stringify(statement));
    assert.deepEqual(statement.users_suspended, ['ope-1']);
    writeFileSync(path.join(folder, 'spread.json'), JSON.stringify(statement, null, 2));
    assert.match((await commands(approve.replaceAll('statement.json', 'spread.json'))).stderr, /not as a SAM writes it/);
    await succeed(approve);
    for (const approvals of ['adm-1.jws', 'adm-1.jws adm-1.jws', 'off-1.jws']) {
      const alone = await commands(restore.replace('adm-1.jws off-1.jws', approvals));
      assert.equal(alone.status, 1, approvals);
      assert.match(alone.stderr, /of a system-administrator and of a security-officer/);
    }
    await succeed(approve.replaceAll('off-1', 'aud-1'));
    const auditor = await commands(restore.replace('off-1.jws', 'aud-1.jws'));
    assert.match(auditor.stderr, /of a system-administrator and of a security-officer/);
    const edited = path.join(folder, 'edited.json');
    writeFileSync(edited, JSON.stringify({ ...statement, users_suspended: [] }));
    assert.match((await commands(restore.replace('statement.json', 'edited.json'))).stderr, /not of what is here now/);
    await assert.rejects(system.startService('sam'), /are not those that the anchor vouches for/);
  });

  it('is done by two persons, after a crash at its end too', async () => {
    const { environment } = system.command('sam');
    const cut = await runAside('bash', ['-c', `cd '${folder}'; ${restore}`], {
      environment: { ...environment, PATH: `${binaries}:${process.env.PATH}`, INTAGLIO_FAULT: 'sam.restore.before_anchor' },
    });
    assert.notEqual(cut.status, 0);
    assert.match((await succeed(makeStatement)).stdout, /is finished: start the SAM/);
    await system.startService('sam');
    sam = await Sam.connect(system);
    const [told] = events('database.restored');
    assert.equal(told.fields.approved_by, 'adm-1 off-1');
    assert.ok(system.auditEvents('sam').length > was.entries, 'the log goes on where it was');
    assert.equal(events('signature.made').length, 1, 'what the backup does not know is in the log again');
    assert.equal((await sam.status()).restored !== null, true);
  });

  it('leaves used and waiting approvals void', async () => {
    const calls = await sam.signatures();
    for (const request of [was.used, was.waiting]) await assert.rejects(sam.sign(request), { refusal: 'sad_invalid' });
    await assert.rejects(sam.authorise(was.ticket));
    assert.equal(await sam.signatures(), calls);
  });

  it('leaves a destroyed key destroyed, and a replaced PIN replaced', async () => {
    await assert.rejects(bob.sign(['with the key that was destroyed']));
    const states = Object.fromEntries(events('key.voided').map(({ subject, actor }) => [subject, actor]));
    assert.equal(states[was.destroyed], 'restore');
    carol.pin = was.pin;
    await assert.rejects(carol.sign(['with the PIN of before']));
    assert.deepEqual(events('factors.voided').map(({ subject }) => subject), ['carol']);
  });

  it('gives no attempt and no request a second time', async () => {
    await assert.rejects(alice.sign(['while the counters are locked']));
    assert.ok(events('factors.locked').some(({ subject }) => subject === 'alice'));
    await assert.rejects(administrator.send(was.request), /before the restore/);
    const reset = await officer.post('/ra/v1/resets', { request: was.reset });
    assert.ok(reset.status >= 400, JSON.stringify(reset));
    assert.equal(events('factors.reset').length, 0);
    system.moveClock(16 * 60);
    const { users } = await administrator.ask('show-users');
    assert.equal(users.find(({ id }) => id === 'ope-1').suspended, true);
  });

  it('lets who did not lose anything sign again, once the lock is over', async () => {
    const { signatures } = await alice.sign(['after the restore']);
    assert.equal(signatures.length, 1);
    // Carol is identified anew, and begins again.
    await carol.enrol(await officer.resetFactors('carol', identityOf('carol')));
    carol.credential = await carol.generateKey();
    await officer.certify(carol.credential, identityOf('carol'));
    await carol.sign(['with another key']);
  });

  it('leaves a log that verifies from its first entry', async () => {
    sam.close();
    await system.services.sam.stop();
    await succeed('intaglio audit verify --config run/config/sam.toml --key run/sam/checkpoint.jwk');
    await system.startService('sam');
    sam = await Sam.connect(system);
  });
});
