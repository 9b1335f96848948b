// Profile one-time (TC-3, TC-14, trust-core 2 "identify first"): a key that is made for one person and one approval, certified for an hour, used by the SAM
// for what it composed itself, and gone: after success, refusal, the client's end, the SAM's death, time-out. What was certified in vain is reported.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { IdentityProvider, oneTimePolicy } from '../harness/identity.mjs';
import { Conversation, Person } from '../harness/one_time.mjs';
import { base64url } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, runAside, until } from '../harness/system.mjs';

describe('a one-time key', () => {
  let provider, system, ada, sam;
  before(async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: oneTimePolicy(provider, { seconds: 10 }) });
    ada = new Person(await new Client(system).signIn(), provider, 'ada');
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
    await provider?.stop();
  });
  const eventsOf = (key) => system.auditEvents('sam').filter(({ subject }) => subject === key);
  const typesOf = (key) => eventsOf(key).map(({ type }) => type);
  const destroyed = (key) => until(`the end of ${key}`, () => typesOf(key).includes('key.destroyed'), 20000);
  /** A session until its key is there. */
  const begun = async (text) => {
    const opened = await ada.open(documentsOf(text));
    return Conversation.begin(system, await ada.message(opened));
  };

  it('signs a PDF that other programs verify, in the name that the identity provider knows', async () => {
    const signIn = system.path('sign-in');
    writeFileSync(system.path('port'), String(provider.port));
    writeFileSync(signIn, `#!/bin/sh\nexec "${process.execPath}" "${path.join(repository, 'tools/identity-provider/main.mjs')}" identity "${system.root}" ada "$1"\n`);
    chmodSync(signIn, 0o700);
    const signed = system.path('contract.signed.pdf');
    const made = await runAside(path.join(binaries, 'intaglio'), ['sign', path.join(repository, 'examples/contract.pdf'), '-o', signed, '--session', 'one-time', '--client',
      system.path('clients/demo/client.toml'), '--yes', '--id-token-program', signIn]);
    assert.equal(made.status, 0, made.stderr);
    const root = system.path('root.pem');
    writeFileSync(root, new X509Certificate(readFileSync(system.path('pki/ca/root.cer'))).toString());
    const verified = run(path.join(binaries, 'intaglio'), ['verify', signed, '--anchor', root]);
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout + made.stderr + made.stdout, /Example ada/);
    if (existsSync('/usr/bin/pdfsig')) assert.match(run('pdfsig', ['-nocert', signed]).stdout, /Signature is Valid/);
  });

  it('signs each document under one certificate, and its end stands in the log', async () => {
    const stored = (await sam.status()).token.objects;
    const { opened, answer } = await ada.sign(documentsOf('one', 'two'));
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.signatures.length, 2);
    const leaf = new X509Certificate(Buffer.from(answer.json.certificates[0], 'base64'));
    assert.match(leaf.subject, /SN=Example ada/);
    assert.equal(new Date(leaf.validTo) - new Date(leaf.validFrom), 3599_000);
    const issuing = new X509Certificate(Buffer.from(answer.json.certificates[1], 'base64'));
    assert.ok(leaf.verify(issuing.publicKey));
    assert.deepEqual(typesOf(opened.parsed.key), ['person.identified', 'key.generated', 'proof_of_possession.signed', 'certificate.bound', 'authorisation.granted',
      'signature.intent', 'signature.intent', 'signature.made', 'signature.made', 'key.voided', 'key.destroyed']);
    const end = eventsOf(opened.parsed.key).at(-1);
    assert.equal(system.auditEvents('sam')[answer.json.keyDestroyed.index].subject, end.subject);
    assert.equal((await sam.status()).token.objects, stored, 'nothing of it was stored in the token');
    for (const [file, text] of system.contents(system.files().filter((name) => /audit|\.log$/.test(name)))) {
      assert.ok(!text.includes('Example ada'), `the person stands in ${file}`);
    }
  });

  it('ends when the certificate is refused, and with the refusal', async () => {
    const one = await begun('one session');
    const other = await begun('another session');
    const certificates = await other.certify();
    await assert.rejects(one.sign(certificates), { refusal: 'certificate_invalid' });
    assert.ok(typesOf(one.key).includes('key.destroyed'));
    assert.ok(!typesOf(one.key).includes('signature.made'));
    one.end();
    const signatures = await other.sign(certificates);
    assert.ok(signatures[12]);
    other.end();
  });

  it('ends with the connection, and its certificate is reported as orphaned', async () => {
    const session = await begun('the client goes');
    const [leaf] = await session.certify();
    await assert.rejects(sam.call(27, [[1, session.key], [2, leaf]]), { refusal: 'not_found' }, 'its key lives');
    session.end();
    await destroyed(session.key);
    await until('the report', () => sam.call(27, [[1, session.key], [2, leaf]]).catch(() => undefined));
    const orphaned = eventsOf(session.key).filter(({ type }) => type === 'certificate.orphaned');
    assert.equal(orphaned.length, 1);
    assert.equal(orphaned[0].fields.serial, new X509Certificate(leaf).serialNumber.toLowerCase());
    await assert.rejects(sam.call(27, [[1, session.key], [2, leaf]]), { refusal: 'conflict' });
  });

  it('ends when the session is over, though the connection stays', async () => {
    const session = await begun('too slow');
    const certificates = await session.certify();
    await destroyed(session.key);
    await assert.rejects(session.sign(certificates));
    assert.ok(!typesOf(session.key).includes('signature.made'));
  });

  it('ends with the SAM, and the next start says so', async () => {
    const session = await begun('the SAM dies');
    const [leaf] = await session.certify();
    sam.close();
    await system.restart('sam', { signal: 'SIGKILL' });
    sam = await Sam.connect(system);
    const ends = eventsOf(session.key).filter(({ type }) => type === 'key.voided' || type === 'key.destroyed');
    assert.deepEqual(ends.map(({ type, fields }) => [type, fields.reason]), [['key.voided', 'its session was interrupted'], ['key.destroyed', 'its session was interrupted']]);
    await assert.rejects(session.sign([leaf]));
    await sam.call(27, [[1, session.key], [2, leaf]]);
    assert.equal(typesOf(session.key).at(-1), 'certificate.orphaned');
    const { answer } = await ada.sign(documentsOf('after the SAM died'));
    assert.equal(answer.status, 200, answer.text);
  });

  for (const point of ['claimed', 'generated', 'identified', 'authorised', 'signed', 'voided', 'destroyed']) {
    it(`ends with a SAM that dies when it is ${point}`, async () => {
      sam.close();
      await system.restart('sam', { environment: { INTAGLIO_FAULT: `sam.one-time.${point}` } });
      const opened = await ada.open(documentsOf(`dies when ${point}`));
      const answer = await ada.device.submit(await ada.message(opened));
      assert.notEqual(answer.status, 200, 'an answer without a SAM');
      await system.services.sam.ended;
      await system.restart('sam');
      sam = await Sam.connect(system);
      const types = typesOf(opened.parsed.key);
      assert.equal(types.filter((type) => type === 'key.destroyed').length, 1, types.join(' '));
      const bound = types.includes('certificate.bound');
      assert.equal(types.filter((type) => type === 'certificate.orphaned').length, bound ? 1 : 0, types.join(' '));
    });
  }

  it('is made for nobody who identified himself for something else', async () => {
    const wrong = {
      'signed in for another session over the same document': async () => ada.idToken(await ada.open(documentsOf('a contract'))),
      'signed in for another document': async () => ada.idToken(await ada.open(documentsOf('an invoice'))),
      'signed in for nothing': () => provider.signIn('ada', 'nothing', 'openid identity'),
      'without a name': (opened) => provider.signIn('ada', ada.sessionOf(opened)),
    };
    const generated = () => system.auditEvents('sam').filter(({ type }) => type === 'key.generated').length;
    const before = generated();
    for (const [what, token] of Object.entries(wrong)) {
      const opened = await ada.open(documentsOf('a contract'));
      const message = await ada.message(opened, await token(opened));
      await assert.rejects(Conversation.begin(system, message), { refusal: 'authentication_failed' }, what);
      await assert.rejects(Conversation.begin(system, message), { refusal: 'replayed' }, 'a message is an attempt once');
    }
    assert.equal(generated(), before);
  });

  it('is certified for nobody but whom the SAM asserts', async () => {
    const one = await begun('one');
    const other = await begun('other');
    await assert.rejects(one.certify({ assertion: other.assertion }), { status: 403 });
    await assert.rejects(one.certify({ csr: other.csr }), { status: 403 });
    const [header, payload, signature] = one.assertion.split('.');
    const changed = JSON.parse(Buffer.from(payload, 'base64url'));
    changed.identity.surname = 'Liar';
    await assert.rejects(one.certify({ assertion: [header, Buffer.from(JSON.stringify(changed)).toString('base64url'), signature].join('.') }), { status: 403 });
    await one.certify();
    await assert.rejects(one.certify(), { status: 409 }, 'a key is certified once');
    one.end();
    other.end();
  });

  it('leaves what anyone can verify later, offline: who agreed to which documents', async () => {
    const { opened, answer } = await ada.sign(documentsOf('a contract to be shown later'));
    assert.equal(answer.status, 200, answer.text);
    const nonce = base64url(opened.parsed.nonce);
    const file = system.path('an.approval');
    sam.close();
    await system.services.sam.stop();
    const { program, words, environment } = system.command('sam', '--export-approval', nonce, '--approval-file', file);
    const taken = run(program, words, { environment });
    assert.equal(taken.status, 0, taken.stderr);
    const verify = () => run(path.join(binaries, 'intaglio'), ['audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', file]);
    const good = verify();
    assert.equal(good.status, 0, good.stderr);
    const said = JSON.parse(good.stdout.trim().split('\n').at(-1)).approval;
    assert.deepEqual([said.key, said.authorisation, said.subject, said.documents[0].label], [opened.parsed.key, nonce, 'ada', opened.parsed.documents[0].label]);
    const approval = readFileSync(file);
    approval[approval.indexOf('typed-yes')] ^= 1;
    writeFileSync(file, approval);
    assert.notEqual(verify().status, 0, 'another act passes for it');
    await system.startService('sam');
    sam = await Sam.connect(system);
  });

  const lies = ['open-hash', 'open-label', 'open-document-added', 'open-client', 'show-time', 'show-profile', 'show-nonce', 'swap-ticket', 'message-other', 'message-tampered',
    'message-replay', 'sign-twice', 'session-certificate', 'session-assertion-tampered', 'session-assertion-forged', 'session-assertion-other'];
  for (const lie of lies) {
    it(`gives a lying SSA nothing that was not approved (${lie})`, async () => {
      await system.restart('ssa', { environment: { INTAGLIO_LIE: lie, INTAGLIO_SKIP_SSA_CHECKS: '1' } });
      try {
        const victim = new Person(await new Client(system).signIn(), provider, 'ada');
        const attempt = (text) => victim.sign(documentsOf(text)).then(({ answer }) => answer.status, (error) => error.message);
        // Some lies need an earlier session: the second one is judged.
        await attempt('before the lie');
        const made = () => system.auditEvents('sam').filter(({ type }) => type === 'signature.made').length;
        const before = made();
        const result = await attempt('the lie');
        assert.notEqual(result, 200, 'the SSA got a signature');
        // What was approved may have been signed, once, and the answer be withheld.
        assert.ok(made() - before <= (lie === 'sign-twice' ? 1 : 0), `the token signed, the person was told: ${result}`);
        for (const { subject } of system.auditEvents('sam').filter(({ type }) => type === 'key.generated')) await destroyed(subject);
      } finally {
        await system.restart('ssa');
        ada.client = await new Client(system).signIn();
        ada.device.client = ada.client;
      }
      const { answer } = await ada.sign(documentsOf(`after the lie ${lie}`));
      assert.equal(answer.status, 200, answer.text);
    });
  }
});
