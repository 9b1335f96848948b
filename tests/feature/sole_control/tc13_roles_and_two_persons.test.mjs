// TC-13: privileged users have roles that exclude each other, and what is critical needs two persons; over the listener, against a running SAM.
import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { calculateJwkThumbprint } from 'jose';
import { answering, ManagementRefusal, Privileged } from '../harness/privileged.mjs';
import { binaries, run, runAside, System } from '../harness/system.mjs';

const refusedWith = (code) => (error) => error instanceof ManagementRefusal && error.refusal === code;

describe('TC-13 roles', () => {
  let system, administrator, officer, auditor, operator;

  /** A key and certificate of a new user: those of an identity that the instance has for something else serve as well as any. */
  const newUser = (id, of) => {
    mkdirSync(system.path('users', id));
    cpSync(system.path(`${of}.cert.pem`), system.path('users', id, 'tls.cert.pem'));
    cpSync(system.path(`${of}.key.pem`), system.path('users', id, 'user.key.pem'));
    const user = new Privileged(system, id);
    user.entry = (roles) => ({
      id, person: `PNOGR-${id.replaceAll('-', '').toUpperCase()}`, roles, jwk: new X509Certificate(user.certificate).publicKey.export({ format: 'jwk' }),
    });
    return user;
  };
  const admin = (id, ...words) => run(path.join(binaries, 'intaglio'), ['admin', ...words, '--admin', system.path('users', id, 'admin.toml')],
    { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });

  before(async () => {
    system = await System.start({ start: ['sam'] });
    [administrator, officer, auditor, operator] = ['adm-1', 'off-1', 'aud-1', 'ope-1'].map((id) => new Privileged(system, id));
  });
  after(() => system?.stop());

  it('let each user do what the matrix says, and record every refusal', async () => {
    const may = {
      'show-status': [administrator, officer, auditor, operator],
      'show-users': [administrator, officer, auditor],
      'show-policy': [administrator, officer, auditor],
      'show-proposals': [administrator, officer, auditor],
      'read-audit': [auditor],
    };
    let refused = 0;
    for (const [op, users] of Object.entries(may)) {
      const more = op === 'read-audit' ? { from: 0 } : {};
      for (const user of [administrator, officer, auditor, operator]) {
        if (users.includes(user)) {
          assert.ok(await user.ask(op, more), `${user.id} ${op}`);
        } else {
          await assert.rejects(user.ask(op, more), refusedWith('not_authorised'), `${user.id} ${op}`);
          refused += 1;
        }
      }
    }
    const events = system.auditEvents('sam').filter(({ type }) => type === 'management.refused');
    assert.equal(events.length, refused);
    assert.ok(events.every(({ actor, outcome }) => actor.startsWith('user:') && outcome === 'refused'));
  });

  it('let nobody in whose key is no privileged user\'s', async () => {
    const stranger = newUser('stranger', 'tls/ssa-sam');
    await assert.rejects(stranger.ask('show-status'), (error) => !(error instanceof ManagementRefusal));
    // His connection does not make a request of somebody else his.
    const forged = await administrator.request({ op: 'show-status' });
    await assert.rejects(stranger.send(forged), (error) => !(error instanceof ManagementRefusal));
    await assert.rejects(officer.send(forged), refusedWith('not_authorised'));
  });

  it('let no one user hold the connections of the others', async () => {
    const held = [];
    try {
      for (let i = 0; i < 3; i += 1) {
        const request = await operator.request({ op: 'show-status' });
        held.push(operator.connect());
        await operator.exchange(held.at(-1), request);
      }
      await assert.rejects(operator.ask('show-status'), (error) => !(error instanceof ManagementRefusal));
      assert.ok(await officer.ask('show-status'));
    } finally {
      held.forEach((socket) => socket.destroy());
    }
  });

  it('take no request twice, late, for another SAM, or signed by another key', async () => {
    const once = await administrator.request({ op: 'show-users' });
    assert.ok(await administrator.send(once));
    await assert.rejects(administrator.send(once), refusedWith('replayed'));
    await assert.rejects(administrator.send(await administrator.request({ op: 'show-users', iat: system.now() - 150 })), refusedWith('not_authorised'));
    await assert.rejects(administrator.send(await administrator.request({ op: 'show-users', sam: 'another' })), refusedWith('not_authorised'));
    assert.ok(await administrator.ask('show-users'), 'a good request clears the count of refused ones');
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await assert.rejects(administrator.send(await administrator.request({ op: 'show-users' }, { key: privateKey })), refusedWith('not_authorised'));
    await assert.rejects(administrator.send(await administrator.request({ op: 'show-users' }, { header: { typ: 'intaglio-ra+jwt' } })), refusedWith('not_authorised'));
    assert.ok(await administrator.ask('show-users'));
  });

  it('add a user by two persons, and not by one, by the wrong two, twice, or with another content', async () => {
    const second = newUser('aud-2', 'tls/ssa-pki');
    const proposal = await administrator.propose('add-user', second.entry(['system-auditor']));
    await assert.rejects(administrator.execute(proposal), refusedWith('not_authorised'), 'not approved');
    await assert.rejects(administrator.approve(proposal), refusedWith('not_authorised'), 'same person');
    await assert.rejects(auditor.approve(proposal), refusedWith('not_authorised'), 'no observer');
    const other = Buffer.from(proposal.digest, 'base64url');
    other[0] ^= 1;
    await assert.rejects(officer.approve({ ...proposal, digest: other.toString('base64url') }), refusedWith('binding_mismatch'), 'altered');
    await officer.approve(proposal);
    await assert.rejects(officer.execute(proposal), refusedWith('not_authorised'), 'executor and observer swapped');
    await administrator.execute(proposal);
    await assert.rejects(administrator.execute(proposal), refusedWith('replayed'), 'twice');
    const { events } = await second.ask('read-audit', { from: 0, subject: 'aud-2' });
    assert.deepEqual(events.map(({ type }) => type), ['user.added']);
    await assert.rejects(administrator.propose('change-roles', { id: 'aud-2', roles: ['system-auditor', 'system-operator'] }), refusedWith('conflict'));
  });

  it('let a proposal end after a day', async () => {
    const late = await administrator.propose('change-roles', { id: 'ope-1', roles: ['system-operator', 'system-administrator'] });
    system.moveClock(24 * 3600 + 1);
    await assert.rejects(officer.approve(late), refusedWith('ticket_expired'));
  });

  it('survive a restart of the SAM, with everything that was decided', async () => {
    const proposal = await administrator.propose('change-roles', { id: 'ope-1', roles: ['system-operator', 'system-administrator'] });
    await officer.approve(proposal);
    await system.restart('sam', { signal: 'SIGKILL' });
    await administrator.execute(proposal);
    const { users } = await operator.ask('show-users');
    assert.deepEqual(users.find(({ id }) => id === 'ope-1').roles, ['system-administrator', 'system-operator']);
  });

  it('install a policy by two persons: it is obeyed from the next start, and its epoch never goes back', async () => {
    const { document, in_force: before } = await administrator.ask('show-policy');
    const changed = { ...JSON.parse(document), id: 'changed', epoch: JSON.parse(document).epoch + 1 };
    const proposal = await administrator.propose('install-policy', { document: JSON.stringify(changed) });
    await officer.approve(proposal);
    await administrator.execute(proposal);
    assert.equal((await administrator.ask('show-status')).policy, before);
    await system.restart('sam');
    assert.equal((await administrator.ask('show-status')).policy, 'changed');
    await assert.rejects(administrator.propose('install-policy', { document }), refusedWith('conflict'));
  });

  it('get in when the token does not serve the policy in force, and install another', async () => {
    const environment = { INTAGLIO_TOKEN_FAULT: 'lacks-rsa' };
    await system.restart('sam', { environment });
    assert.match(system.services.sam.words(), /"policy\.not_served".*names rsa\d+, which the token does not serve/);
    await assert.rejects(administrator.ask('show-status'), refusedWith('configuration'));
    await assert.rejects(once(connect(system.ports.sam, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' }, 'nothing is signed meanwhile');
    const served = JSON.parse((await administrator.ask('show-policy')).document);
    served.epoch += 1;
    for (const profile of served.profiles) profile.key_algorithms = profile.key_algorithms.filter((name) => !name.startsWith('rsa'));
    const proposal = await administrator.propose('install-policy', { document: JSON.stringify(served) });
    await officer.approve(proposal);
    await administrator.execute(proposal);
    await system.restart('sam', { environment });
    assert.ok(await administrator.ask('show-status'));
  });

  it('suspend a user on one word, and bring him back with another key by two', async () => {
    await officer.ask('suspend-user', { id: 'aud-1', reason: 'lost card' });
    await assert.rejects(auditor.ask('show-status'), (error) => !(error instanceof ManagementRefusal), 'who is suspended is not let in');
    await assert.rejects(administrator.ask('suspend-user', { id: 'off-1', reason: 'coup' }), refusedWith('conflict'), 'the last officer stays');
    const renewed = newUser('aud-1-new', 'tls/pki');
    renewed.id = 'aud-1';
    const proposal = await administrator.propose('resume-user', { id: 'aud-1', jwk: renewed.entry([]).jwk });
    await officer.approve(proposal);
    await administrator.execute(proposal);
    assert.ok(await renewed.ask('show-status'));
    await assert.rejects(auditor.ask('show-status'), (error) => !(error instanceof ManagementRefusal), 'the old key is nobody\'s');
  });

  it('are used from the command line as docs/operate/management.md says', () => {
    const users = admin('off-1', 'users');
    assert.equal(users.status, 0, users.stderr);
    assert.equal(JSON.parse(users.stdout).users.length, 5);
    const payload = system.path('roles.json');
    writeFileSync(payload, JSON.stringify({ id: 'ope-1', roles: ['system-operator'] }));
    const proposed = admin('adm-1', 'propose', 'change-roles', '--payload', payload);
    assert.equal(proposed.status, 0, proposed.stderr);
    const { proposal } = JSON.parse(proposed.stdout);
    const early = admin('adm-1', 'execute', proposal);
    assert.equal(early.status, 1);
    assert.match(early.stderr, /not approved yet/);
    const approved = admin('off-1', 'approve', proposal, '--yes');
    assert.equal(approved.status, 0, approved.stderr);
    assert.match(approved.stdout, /ope-1 now: PNOGR-OPE1, system-administrator system-operator, key [\w-]{43}, active/);
    const executed = admin('adm-1', 'execute', proposal);
    assert.equal(executed.status, 0, executed.stderr);
    const denied = admin('ope-1', 'audit');
    assert.equal(denied.status, 1);
    assert.match(denied.stderr, /read-audit is for: system-auditor/);
  });

  it('show an officer the key, the user and the policy as they are, whatever stands in the proposal', async () => {
    const jwk = new X509Certificate(auditor.certificate).publicKey.export({ format: 'jwk' });
    const key = await calculateJwkThumbprint(jwk);
    const renewal = await administrator.propose('resume-user', { id: 'ope-1', jwk });
    assert.match(admin('off-1', 'approve', renewal.proposal, '--yes').stdout, new RegExp(`key of the proposal: ${key}`));
    const { document } = await administrator.ask('show-policy');
    const changed = { ...JSON.parse(document), id: 'other\u202egnp.exe', epoch: JSON.parse(document).epoch + 1 };
    const policy = await administrator.propose('install-policy', { document: JSON.stringify(changed) });
    const { stdout } = admin('off-1', 'approve', policy.proposal, '--yes');
    assert.match(stdout, /^- \/id: "changed"$/m);
    assert.match(stdout, /^\+ \/id: "other\\u202egnp\.exe"$/m);
    assert.match(stdout, /^\+ \/epoch: /m);
    assert.doesNotMatch(stdout, /^[+-] \/demo/m, 'what stays is not shown as a change');
    assert.match(stdout, /^[\n -~]*$/, 'nothing that a terminal could show as something else');
  });

  it('approve from the command line only what was shown', async () => {
    const payload = { id: 'ope-1', roles: ['system-operator', 'system-administrator'] };
    const { proposal, digest } = await administrator.propose('change-roles', payload);
    const asked = [];
    // In the SAM's place, with its key: the proposal's digest with another content beside it.
    const liar = await answering(system, (members) => {
      asked.push(members.op);
      return { proposal, operation: 'change-roles', payload: { ...payload, roles: ['system-operator'] }, digest };
    });
    try {
      const file = system.path('users/off-1/liar.toml');
      writeFileSync(file, system.read('users/off-1/admin.toml').replace(/^port = \d+/m, `port = ${liar.address().port}`));
      const words = ['admin', 'approve', proposal, '--yes', '--admin', file];
      const approved = await runAside(path.join(binaries, 'intaglio'), words, { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
      assert.equal(approved.status, 1, approved.stdout);
      assert.match(approved.stderr, /not the one that its digest names/);
      assert.deepEqual(asked, ['show-proposal']);
    } finally {
      liar.close();
    }
  });
});

describe('TC-13 a SAM without privileged users', () => {
  let system;
  before(async () => {
    system = await System.start({ start: [] });
  });
  after(() => system?.stop());

  it('is not initialised with one person in two roles, or without an officer', () => {
    const users = JSON.parse(system.read('config/privileged-users.json'));
    const initialise = (list) => {
      const file = system.path('users.json');
      writeFileSync(file, JSON.stringify(list));
      const { program, words, environment } = system.command('sam', '--initialise', '--policy', system.path('config/policy.json'), '--privileged-users', file);
      return run(program, words, { environment });
    };
    const [administrator, officer] = users;
    const alone = initialise([administrator]);
    assert.equal(alone.status, 1);
    assert.match(alone.stderr, /at least one system-administrator and one security-officer are needed, who are two persons/);
    const both = initialise([administrator, { ...officer, person: administrator.person }]);
    assert.equal(both.status, 1);
    assert.match(both.stderr, /this person has an account already/);
    const typo = initialise([administrator, { ...officer, role: 'security-officer' }]);
    assert.equal(typo.status, 1);
    assert.match(typo.stderr, /unknown member role/);
  });
});
