// Appendix A 7.2 (registration and first signature are watched, revocation takes effect), EN 319 411-1 REV-6.2.4: docs/operate/registration.md is done
// here, command for command, with a signer's device beside it.
import assert from 'node:assert/strict';
import { X509Certificate, generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { good, send, sendJson } from '../harness/http.mjs';
import { Officer } from '../harness/officer.mjs';
import { Signer, identityOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, until, withoutLimits } from '../harness/system.mjs';

describe('an operator', () => {
  let system, client, officer, ada, bob, alice;
  const page = readFileSync(path.join(repository, 'docs/operate/registration.md'), 'utf8');
  const commands = page.split('\n').filter((line) => line.startsWith('intaglio ra '));
  const facts = {};
  const colleague = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  /** Runs the next command of the page, which must begin like this; gives what it said. */
  const next = (begin) => {
    const line = commands.shift();
    assert.ok(line?.startsWith(`intaglio ra ${begin}`), `${line} is not ${begin}`);
    const words = line.match(/"[^"]*"|\S+/g).slice(1).map((word) => word.replace(/^"|"$/g, '')).map((word) => {
      if (word === 'operator.toml') return system.path('operators/ra-1/operator.toml');
      if (word.startsWith('ada.')) return system.path(word);
      return facts[word] ?? word;
    });
    const result = run(path.join(binaries, 'intaglio'), words);
    assert.equal(result.status, 0, `${line}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  const redeem = (body, options = {}) => sendJson(`${system.publicUrl}/sic/v1/revocations`, body, { tls: client.tls, ...options });
  const show = async (id) => good('show', await officer.get(`/ra/v1/enrolments/${id}`));
  const changesOf = (id) => system.auditEvents('ssa').filter(({ type, subject }) => type === 'enrolment.changed' && subject === id)
    .map(({ actor, fields }) => `${actor} ${fields.from} ${fields.to}`);

  before(async () => {
    const spki = colleague.publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    system = await System.start({
      policy: withoutLimits,
      configure: {
        ssa: (text) => text.replace('second_person = []', 'second_person = ["revoke"]'),
        pki: (text) => `${text}\n[[operators]]\nid = "ra-2"\nspki = "${spki}"\n`,
      },
    });
    client = await new Client(system).signIn();
    ({ officer, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' }));
    writeFileSync(system.path('ada.json'), JSON.stringify(identityOf('ada')));
  });
  after(async () => {
    await system?.stop();
  });

  it('enrols a person and sees each step', async () => {
    next('signer-create');
    const code = readFileSync(system.path('ada.code'), 'utf8');
    facts.revocation = readFileSync(system.path('ada.revocation'), 'utf8');
    assert.match(facts.revocation, /^([A-Z2-7]{4}-){5}[A-Z2-7]{4}$/);
    writeFileSync(system.path('ada.code'), '');
    writeFileSync(system.path('ada.revocation'), '');
    system.secret('a revocation code', facts.revocation);
    assert.match(next('list'), /^ada {2}- {2}code_sent {2}since \S+Z {2}next: the person enrols a device/m);
    ada = new Signer(client, 'ada');
    await ada.enrol(code);
    assert.equal((await show('ada')).state, 'device_registered');
    ada.algorithm = 'p256';
    ada.credential = facts.CREDENTIAL = await ada.generateKey();
    const waiting = next('list');
    assert.match(waiting, new RegExp(`^ada {2}${ada.credential} {2}key_made .* next: certify the key$`, 'm'));
    assert.doesNotMatch(waiting, /alice/);
    facts.SERIAL = JSON.parse(next('certify').trim().split('\n').at(-1)).serial;
    const shown = next('show');
    assert.match(shown, /^ada {2}- {2}device_registered /m);
    assert.match(shown, new RegExp(`^ada {2}${ada.credential} {2}key_certified `, 'm'));
    assert.match(shown, /enrolled by ra-1, identity proofing substantial/);
    await ada.sign(['first']);
    assert.equal(next('list'), '', 'no certificate ends within 30 days');
    const ends = new Date(new X509Certificate(alice.chain[0]).validTo);
    assert.equal((await show('alice')).keys[0].certificateEnds, ends.toISOString().replace('.000Z', 'Z'));
    assert.deepEqual(changesOf('ada'), ['ra-1 none code_sent', 'signer:ada code_sent device_registered', 'signer:ada none key_made', 'ra-1 key_made key_certified']);
  });

  it('suspends and resumes', async () => {
    next('suspend');
    await assert.rejects(ada.sign(['suspended']));
    next('resume');
    await ada.sign(['resumed']);
    assert.deepEqual(changesOf('ada').slice(-2), ['ra-1 key_certified suspended', 'ra-1 suspended key_certified']);
  });

  it('sees what a signer did by himself', async () => {
    await bob.signer.change('suspend');
    assert.equal((await show('bob')).keys[0].state, 'suspended');
    await bob.signer.change('destroy');
    assert.equal((await show('bob')).keys[0].state, 'ended');
  });

  it('is told of a revocation by the signer\'s own code, after which nothing is signed within a second', async (t) => {
    const { message } = await ada.prepare({ documents: [{ digest: Buffer.alloc(32, 1), label: 'x' }] });
    const began = performance.now();
    const answer = await redeem({ code: facts.revocation.toLowerCase().replaceAll('-', ' ') });
    assert.deepEqual(good('revocation', answer), { state: 'revocation_requested' });
    await assert.rejects(async () => good('authorise', await ada.submit(message)));
    const took = performance.now() - began;
    t.diagnostic(`revocation code to refused signature ${took.toFixed(0)} ms`);
    assert.ok(took < 1000, `${took} ms`);
    await assert.rejects(ada.sign(['after']));
    assert.match(next('list'), new RegExp(`^ada {2}${ada.credential} {2}revocation_requested `, 'm'));
    const resume = await officer.request('resume-key', { key: ada.credential });
    assert.equal((await officer.post('/ra/v1/resumptions', { request: resume })).status, 409);
    await alice.sign(['somebody else signs on']);
  });

  it('revokes the certificate on the word of the hotline', async () => {
    next('revoke');
    assert.deepEqual(commands, [], 'every command of the page was run');
    const { fields } = system.auditEvents('ssa').filter(({ type }) => type === 'enrolment.changed').at(-1);
    assert.deepEqual(fields, { channel: 'hotline', credential: ada.credential, from: 'revocation_requested', reason: 'keyCompromise', to: 'revoked', urgency: 'emergency' });
    assert.equal((await show('ada')).keys[0].state, 'revoked');
  });

  it('does not revoke alone whom he enrolled, where policy says so, and nobody does in his colleague\'s name', async () => {
    const serial = new X509Certificate(bob.signer.chain[0]).serialNumber.toLowerCase();
    const second = new Officer(system, { id: 'ra-2', folder: 'operators/ra-1' });
    const revoke = async (from, key) => {
      const request = await from.request('revoke-certificate', { key: bob.signer.credential, serial, reason: 'superseded' }, { key });
      return (await officer.post('/ra/v1/revocations', { request })).status;
    };
    assert.equal(await revoke(officer, officer.key), 403);
    assert.equal(await revoke(second, officer.key), 403, 'the name of the second, the key of the first');
    assert.equal((await show('bob')).keys[0].state, 'ended');
    assert.equal(await revoke(second, colleague.privateKey), 200);
    assert.equal((await show('bob')).keys[0].state, 'revoked');
  });

  it('leaves strangers no word about codes, and few tries', async () => {
    const wrong = 'AAAA-AAAA-AAAA-AAAA-AAAA-AAAA';
    const right = officer.revocationCodes.alice;
    const nearly = right.slice(0, -1) + (right.endsWith('A') ? 'B' : 'A');
    const answers = [];
    for (const code of [wrong, nearly, 'x', '']) answers.push(await redeem({ code }));
    assert.deepEqual([...new Set(answers.map(({ status, text }) => `${status} ${text}`))].length, 1);
    assert.equal(answers[0].status, 403);
    for (const body of [{}, { code: 1 }, { code: null }, [], 'code', { code: 'x'.repeat(65) }]) assert.ok([400, 429].includes((await redeem(body)).status));
    // More than two minutes let through: the clock may turn to the next one meanwhile.
    const statuses = [];
    for (let i = 0; i < 25; ++i) statuses.push((await redeem({ code: wrong })).status);
    assert.ok(statuses.includes(429));
    assert.equal(system.auditEvents('ssa').filter(({ type }) => type === 'revocation_code.refused').length, 1);
    await alice.sign(['nothing happened']);
  });

  it('alone reads the register', async () => {
    await assert.rejects(send(`${system.registrationUrl}/ra/v1/enrolments`, { tls: client.tls }), 'no certificate, no connection');
    assert.equal((await client.get('/ra/v1/enrolments')).status, 404, 'not on the listener of the public');
  });

  it('sees a certificate expire', async () => {
    system.moveClock(Math.ceil(new Date(new X509Certificate(alice.chain[0]).validTo).getTime() / 1000) - system.now() + 60);
    await system.restart('ssa');
    await until('expired', async () => (await show('alice')).keys[0].state === 'expired');
  });
});
