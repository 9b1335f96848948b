// Appendix A 4.4 and 7.2, EN 319 411-1 REV-6.2.4 (the subscriber is told of a revocation or suspension): docs/operate/notices.md, against a mail
// server that is not ours and a gateway that verifies what it gets.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { cpSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { send } from '../harness/http.mjs';
import { Gateway, MailServer } from '../harness/mail.mjs';
import { Officer } from '../harness/officer.mjs';
import { Signer, documentsOf, identityOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, until, withoutLimits } from '../harness/system.mjs';

const webhookSecret = 'f0e1d2c3b4a5968778695a4b3c2d1e0f';
const mailPassword = 'canary-of-a-mail-password';
const addresses = { ada: 'ada@example.gr', bob: 'bob.canary@example.gr' };

describe('signers are told', () => {
  let system, client, officer, mail, gateway, ada;
  /** What the page shows of the configuration is what runs here, but for ports, names and folders. */
  const page = readFileSync(path.join(repository, 'docs/operate/notices.md'), 'utf8');
  const table = /```toml\n([\s\S]*?)```/.exec(page)[1];
  const startMail = (options) => MailServer.start({
    key: readFileSync(system.path('tls/ssa.key.pem')), cert: readFileSync(system.path('tls/ssa.cert.pem')), minVersion: 'TLSv1.2',
    onAuth: ({ username, password }, session, done) => done(session.secure && username === 'signatures' && password === mailPassword ? null : new Error('no'), { user: username }),
    ...options,
  }, { refuse: (address) => (address.startsWith('nobody') ? Object.assign(new Error('no such user'), { responseCode: 550 }) : undefined) });
  const configuration = (ports, more = (text) => text) => more(table
    .replace('smtp://mail.example.org:587', `smtp://127.0.0.1:${ports.mail}`)
    .replace('https://sms.example.org/intaglio', `http://127.0.0.1:${ports.gateway}/sms`)
    .replace('plain_loopback = false  # webhook', 'plain_loopback = true')
    .replace(/= "\/etc\/intaglio\/secrets\//g, `= "${system.path('secrets')}/`)
    .replace(/= "\/etc\/intaglio\/tls\/[a-z-]*\.pem"/g, `= "${system.path('tls/ca.pem')}"`)
    .replace('/usr/share/intaglio/notices', path.join(repository, 'deploy/notices'))
    .replace('/var/lib/intaglio-anchor/contacts.versions', system.path('contacts.versions')));
  const mails = (to, kind) => mail.messages.filter((message) => message.to[0] === to && (!kind || message.subject.includes(kind)));
  const told = (type) => system.auditEvents('ssa').filter((event) => event.type === type).map(({ fields, subject }) => `${subject} ${fields.kind} ${fields.channel}${fields.reason ? ` ${fields.reason}` : ''}`);
  const commands = page.split('\n').filter((line) => line.startsWith('intaglio ra '));
  /** Runs the next command of the page, or these words; gives what it said. */
  const next = (words = commands.shift().split(' ').slice(1)) => {
    const places = { 'operator.toml': system.path('operators/ra-1/operator.toml'), 'ada.json': system.path('ada.json') };
    const result = run(path.join(binaries, 'intaglio'), words.map((word) => places[word] ?? word));
    return `${result.stdout}${result.stderr}`;
  };
  const changes = (contact) => ({ changes: { contact } });
  let plain;

  before(async () => {
    system = await System.start({ policy: withoutLimits, start: ['sam', 'pki'] });
    for (const address of Object.values(addresses)) system.secret('an address', address);
    system.secret('the secret of the webhook', webhookSecret);
    system.secret('the password of the mail server', mailPassword);
    writeFileSync(system.path('secrets/webhook.secret'), `${webhookSecret}\n`, { mode: 0o600 });
    writeFileSync(system.path('secrets/mail.password'), `${mailPassword}\n`, { mode: 0o600 });
    mail = await startMail();
    gateway = await Gateway.start(webhookSecret);
    plain = system.read('config/ssa.toml');
    system.configure('ssa', (text) => text + configuration({ mail: mail.port, gateway: gateway.port }));
    await system.startService('ssa');
    client = await new Client(system).signIn();
    officer = new Officer(system);
  });
  after(async () => {
    await system?.stop();
    await mail?.stop();
    await gateway?.stop();
  });

  it('of their enrolment, with the link and the code apart, over TLS alone', async () => {
    writeFileSync(system.path('ada.json'), JSON.stringify(identityOf('ada')));
    const said = next();
    const code = system.secret('an activation code', /^activation code (\S+)$/m.exec(said)[1]);
    const revocation = system.secret('a revocation code', /^revocation code (\S+)$/m.exec(said)[1]);
    await until('two mails', () => mails(addresses.ada).length === 2);
    const [link, announced] = ['εγγραφή', 'κωδικός'].map((word) => mails(addresses.ada, word)[0]);
    assert.match(link.text, /https:\/\/sign\.example\.org\/enrol/);
    assert.doesNotMatch(announced.text, /:\/\/|www\./);
    for (const message of mail.messages) {
      assert.ok(message.secure);
      assert.equal(message.user, 'signatures');
      assert.equal(message.from, 'signatures@example.org');
      assert.ok(!message.text.includes(code), 'no message holds the code: the SSA never had it');
      assert.ok(!message.text.includes(revocation));
    }
    assert.equal(gateway.messages.length, 0, 'one way is enough for what is no warning');
    ada = new Signer(client, 'ada');
    await ada.enrol(code);
  });

  it('of a certificate, once', async () => {
    ada.algorithm = 'p256';
    ada.credential = await ada.generateKey();
    ada.chain = await officer.certify(ada.credential, identityOf('ada'));
    await until('told', () => mails(addresses.ada, 'εκδόθηκε το πιστοποιητικό').length === 1);
    assert.match(mails(addresses.ada, 'εκδόθηκε το πιστοποιητικό')[0].text, new RegExp(`${ada.credential}.*Λήγει στις \\d{4}-\\d{2}-\\d{2}T`));
  });

  it('of a suspension every way, signed for the gateway', async () => {
    await officer.post('/ra/v1/suspensions', { request: await officer.request('suspend-key', { key: ada.credential, reason: 'phone lost' }) });
    await until('mail and gateway', () => mails(addresses.ada, 'ανεστάλη').length === 1 && gateway.messages.length === 1);
    const [message] = gateway.messages;
    assert.ok(message.good, 'the signature is over the time and the body');
    assert.ok(Math.abs(message.timestamp - system.now()) < 60);
    assert.deepEqual([message.kind, message.to, message.language, message.path], ['suspended', '+306900000001', 'el', '/sms']);
    assert.ok(!JSON.stringify(message.headers).includes(webhookSecret));
    await officer.post('/ra/v1/resumptions', { request: await officer.request('resume-key', { key: ada.credential }) });
    assert.equal(mails(addresses.ada, 'εκδόθηκε το πιστοποιητικό').length, 1, 'a key that is resumed is not certified anew');
  });

  it('that their secret was changed, or wrong too often', async () => {
    await ada.changeFactors({ pin: '730194628351' });
    await until('changed', () => mails(addresses.ada, 'άλλαξαν').length === 1);
    const right = ada.pin;
    for (let i = 0; i < 5; ++i) {
      ada.pin = '000000000000';
      await assert.rejects(ada.sign([`wrong ${i}`]));
    }
    ada.pin = right;
    await until('locked', () => mails(addresses.ada, 'κλειδώθηκε').length === 1);
    const noted = () => told('notice.delivered').filter((line) => line === 'ada secret_locked mail').length;
    await until('noted', () => noted() === 1);
    const more = await ada.openSigning({ credential: ada.credential, documents: documentsOf('while locked') });
    assert.notEqual((await ada.submit(await ada.message(more, ada.factors(more)))).status, 200);
    await officer.createSigner('later', identityOf('later'), changes({ email: 'later@example.gr' }));
    await until('what was put after it', () => told('notice.delivered').filter((line) => line.startsWith('later ')).length === 2);
    assert.equal(noted(), 1, 'once a day');
    system.moveClock(3600);
  });

  it('later, when the mail server is away and the service was restarted meanwhile', async () => {
    const { port } = mail;
    await mail.stop();
    await officer.createSigner('bob', identityOf('bob'), changes({ email: addresses.bob }));
    await until('a first try', () => system.services.ssa.lines.some(({ event }) => event === 'notice.not_delivered'));
    await system.restart('ssa', { signal: 'SIGKILL' });
    client = await new Client(system).signIn();
    const before = mail.messages;
    mail = await startMail({ port });
    mail.messages.push(...before);
    system.moveClock(61);
    await until('told', () => mails(addresses.bob).length === 2);
    assert.equal(new Set(mails(addresses.bob).map(({ headers }) => headers['message-id'])).size, 2);
  });

  it('no more, visibly, when the address takes nothing', async () => {
    await officer.createSigner('carol', identityOf('carol'), changes({ email: 'nobody@example.gr' }));
    await until('given up', () => told('notice.given_up').length === 2);
    assert.deepEqual(told('notice.given_up').sort(), ['carol activation_code mail refused', 'carol enrolment_link mail refused']);
    const { text } = await send(`http://127.0.0.1:${system.services.ssa.event('ready').metrics_port}/metrics`);
    assert.match(text, /^intaglio_notices\{state="given_up",channel="mail"\} 2$/m);
    assert.match(text, /^intaglio_notices\{state="waiting",channel="webhook"\} 0$/m);
  });

  it('at no address that could end a header, and none that the operator did not sign', async () => {
    for (const contact of [{ email: 'a@b\r\nBcc: eve@example.org' }, { phone: '+30 690' }, { email: 'a@b', name: 'Ada' }, 'a@b', {}]) {
      const request = await officer.request('create-signer', { signer: 'eve', identity: identityOf('eve'), deliver_to: officer.jwk, contact });
      assert.equal((await officer.post('/ra/v1/signers', { request })).status, 400, JSON.stringify(contact));
    }
    assert.equal((await officer.get('/ra/v1/enrolments/eve')).status, 404);
    const request = await officer.request('create-signer', { signer: 'eve', identity: identityOf('eve'), deliver_to: officer.jwk });
    const [header, payload, signature] = request.split('.');
    const moved = { ...JSON.parse(Buffer.from(payload, 'base64url')), contact: { email: 'eve@example.org' } };
    const forged = [header, Buffer.from(JSON.stringify(moved)).toString('base64url'), signature].join('.');
    assert.equal((await officer.post('/ra/v1/signers', { request: forged })).status, 403);
    assert.equal(system.auditEvents('ssa').filter(({ type, subject }) => type === 'contact.recorded' && subject === 'eve').length, 0);
  });

  it('by a mail server that shows its certificate, and not in the clear', async () => {
    const clear = await startMail({ hideSTARTTLS: true, disabledCommands: [] });
    const stranger = await MailServer.start();
    const delivered = told('notice.delivered').length;
    for (const server of [clear, stranger]) {
      await system.services.ssa.stop('SIGTERM');
      writeFileSync(system.path('config/ssa.toml'), plain + configuration({ mail: server.port, gateway: gateway.port }));
      await system.startService('ssa');
      client = await new Client(system).signIn();
      const id = server === clear ? 'dave' : 'erin';
      await officer.createSigner(id, identityOf(id), changes({ email: `${id}@example.gr` }));
      await until('refused', () => system.services.ssa.lines.some(({ event }) => event === 'notice.not_delivered'));
      assert.equal(server.messages.length, 0);
      await server.stop();
    }
    assert.equal(told('notice.delivered').length, delivered);
  });

  it('before a certificate ends, once, by the clock or when an operator asks', async () => {
    const ends = Math.ceil(new Date(new X509Certificate(ada.chain[0]).validTo).getTime() / 1000);
    assert.match(next(), /^certificate_ends_30 {2}ran \S+Z, found 0\ncertificate_ends_7 {2}ran \S+Z, found 0\n$/);
    system.moveClock(ends - system.now() - 29 * 86400);
    await system.services.ssa.stop('SIGTERM');
    writeFileSync(system.path('config/ssa.toml'), plain + configuration({ mail: mail.port, gateway: gateway.port }));
    await system.startService('ssa');
    await until('told', () => mails(addresses.ada, 'εντός 30 ημερών').length === 1);
    assert.match(next(), /^certificate_ends_30 {2}ran \S+Z, found 0\n$/);
    system.moveClock(23 * 86400);
    assert.match(next(['ra', 'jobs', '--operator', 'operator.toml', '--run', 'certificate_ends_7']), /^certificate_ends_7 {2}ran \S+Z, found 1\n$/);
    await until('told again', () => mails(addresses.ada, 'εντός 7 ημερών').length === 1);
    assert.match(next(['ra', 'jobs', '--operator', 'operator.toml', '--run', 'something']), /the job/);
    const ran = system.auditEvents('ssa').filter(({ type }) => type === 'job.ran');
    assert.ok(ran.some(({ actor, subject, fields }) => actor.startsWith('tls:') && subject === 'certificate_ends_7' && fields.found === '1'));
    assert.equal(mails(addresses.ada, 'εντός 30 ημερών').length, 1);
    assert.deepEqual(commands, [], 'every command of the page was run');
  });

  it('by texts whose placeholders are known, or the service does not start', async () => {
    await system.services.ssa.stop('SIGTERM');
    const folder = system.path('notices');
    cpSync(path.join(repository, 'deploy/notices'), folder, { recursive: true });
    assert.equal(readdirSync(folder).length, 18);
    writeFileSync(path.join(folder, 'revoked.el.txt'), 'Subject: x\n\n{{at}}\n{{name}}\n');
    const start = () => {
      const { program, words, environment } = system.command('ssa');
      return run(program, words, { environment });
    };
    writeFileSync(system.path('config/ssa.toml'), plain + configuration({ mail: 1, gateway: gateway.port }, (text) => text.replace(path.join(repository, 'deploy/notices'), folder)));
    let ended = start();
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /notices\/revoked\.el\.txt:4: unknown placeholder \{\{name\}\}; known here: at, contact, credential, service/);
    rmSync(path.join(folder, 'revoked.el.txt'));
    ended = start();
    assert.equal(ended.status, 1);
    assert.match(ended.stderr, /revoked\.el\.txt/);
  });
});
