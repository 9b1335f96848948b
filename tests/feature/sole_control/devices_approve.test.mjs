// TC-3, TC-4, TC-7, TC-9, TC-15 with a registered device: its key signs the binding of exactly what was shown, in the message that carries it, for the
// signer whose device it is. Whoever calls the SAM here is the SSA: it gets no signature with what a device did not sign.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Device, withDevices } from '../harness/device.mjs';
import { good } from '../harness/http.mjs';
import { Passkey, origin, rpId } from '../harness/passkey.mjs';
import { base64url, deviceInputOf, digestOf, hashOids, possessionInputOf, sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { Signer, documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, run, runAside, withoutLimits } from '../harness/system.mjs';

const policy = (factors) => (document) => {
  withoutLimits(document);
  withDevices(factors)(document);
  document.passkeys = { rp_id: rpId, origins: [origin], backup_eligible: false };
};
const documents = documentsOf('to be approved');
const beside = [['pin', 'totp'], ['pin', 'device'], ['pin', 'passkey']];

/** `intaglio audit verify --approval` over the SAM's log. */
const verify = (system, approval) => {
  writeFileSync(system.path('an.approval'), approval);
  return run(path.join(binaries, 'intaglio'), [
    'audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', system.path('an.approval'),
  ]);
};

describe('a registered device beside a PIN', () => {
  let system, sam, officer, client, alice, bob;
  before(async () => {
    system = await System.start({ policy: policy(beside) });
    ({ client, officer, signer: alice } = await signerOf(system, { device: new Device() }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938', device: new Device() })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });
  const pin = (signer = alice) => ({ type: 'pin', value: signer.pin });
  const open = () => alice.openSigning({ credential: alice.credential, documents });
  const authorise = async (opened, factors, options) => sam.authorise(await alice.message(opened, factors, options));
  const granted = () => system.auditEvents('sam').findLast(({ type }) => type === 'authorisation.granted').fields;

  it('signs with PIN and device, and the SAD and the log say so', async () => {
    const { sad } = await alice.sign(['with a device']);
    assert.deepEqual(JSON.parse(Buffer.from(sad.split('.')[1], 'base64url')).amr, ['pin', 'device']);
    assert.equal(granted().methods, 'pin device');
    const enrolled = system.auditEvents('sam').find(({ type, subject }) => type === 'factors.enrolled' && subject === 'alice').fields;
    assert.deepEqual([enrolled.factors, enrolled.device], ['pin device', base64url(alice.device.name)]);
  });

  it('leaves evidence that anyone verifies offline: who approved what, when, with which device', async () => {
    const opened = await open();
    const told = { transaction: opened.transaction, terms: alice.terms, act: alice.act, id: 'a-message-that-is-kept', binding: alice.bindingOf(opened) };
    const signed = alice.device.answer(told.id, told.binding);
    await authorise(opened, [pin(), signed], { changes: { id: told.id } });
    await system.services.sam.stop();
    const file = system.path('exported.approval');
    const { program, words, environment } = system.command('sam', '--export-approval', base64url(opened.parsed.nonce), '--approval-file', file);
    assert.equal(run(program, words, { environment }).status, 0);
    const approval = readFileSync(file);
    assert.equal(granted().evidence, base64url(sha256(approval)));
    const { status, stdout, stderr } = verify(system, approval);
    assert.equal(status, 0, stderr);
    const said = JSON.parse(stdout.trim().split('\n').at(-1)).approval;
    assert.deepEqual([said.signer, said.key, said.act, said.device], ['alice', alice.credential, 'typed-yes', base64url(alice.device.name)]);
    assert.deepEqual(said.documents, documents.map(({ digest, label }) => ({ digest: base64url(digest), label })));
    const wrong = {
      'another act': alice.device.approval({ ...told, act: 'pressed-sign' }),
      'another message': alice.device.approval({ ...told, id: 'another-message-id' }),
      'another device': new Device().approval(told),
      'the right content, signed anew and never sent': alice.device.approval(told),
      cut: approval.subarray(0, -1),
      longer: Buffer.concat([approval, Buffer.from([0])]),
    };
    for (const [what, content] of Object.entries(wrong)) {
      const refused = verify(system, content);
      assert.notEqual(refused.status, 0, what);
      assert.match(refused.stderr, /approval/, what);
    }
    await system.startService('sam');
    sam.close();
    sam = await Sam.connect(system);
  });

  it('refuses what this device did not sign for this transaction, this message and this signer', async () => {
    const before = await sam.signatures();
    const other = await open();
    const invoice = await alice.openSigning({ credential: alice.credential, documents: documentsOf('an invoice') });
    const wrong = {
      'another transaction over the same document': (opened, id) => alice.device.answer(id, alice.bindingOf(other)),
      'another document': (opened, id) => alice.device.answer(id, alice.bindingOf(invoice)),
      'no binding': (opened, id) => alice.device.answer(id, Buffer.alloc(0)),
      'the digest of the binding': (opened, id) => alice.device.answer(id, sha256(alice.bindingOf(opened))),
      'another message': (opened) => alice.device.answer('another-message-id', alice.bindingOf(opened)),
      'another act of consent': (opened, id) => {
        const pressed = Object.assign(new Signer(client, 'alice', { device: alice.device }), { act: 'pressed-sign' });
        return alice.device.answer(id, pressed.bindingOf(opened));
      },
      "another signer's device": (opened, id) => bob.device.answer(id, alice.bindingOf(opened)),
      "another signer's device under her device's name": (opened, id) => bob.device.answer(id, alice.bindingOf(opened), { name: alice.device.name }),
      "her device under another's name": (opened, id) => alice.device.answer(id, alice.bindingOf(opened), { name: bob.device.name }),
      'a device that nobody registered': (opened, id) => new Device().answer(id, alice.bindingOf(opened)),
      'the binding alone': (opened, id) => alice.device.answer(id, alice.bindingOf(opened), { signature: alice.device.sign(alice.bindingOf(opened)) }),
      'a registration in the place of an approval': (opened, id) =>
        alice.device.answer(id, undefined, { signature: alice.device.sign(possessionInputOf(alice.device.spki, id, alice.bindingOf(opened))) }),
      'another hash': (opened, id) =>
        alice.device.answer(id, undefined, { signature: alice.device.sign(deviceInputOf(alice.device.name, id, alice.bindingOf(opened)), { hash: 'sha384' }) }),
      'another curve': (opened, id) =>
        alice.device.answer(id, undefined, { signature: new Device({ curve: 'P-384' }).sign(deviceInputOf(alice.device.name, id, alice.bindingOf(opened))).subarray(0, 64) }),
      'a signature of zeros': (opened, id) => alice.device.answer(id, undefined, { signature: Buffer.alloc(64) }),
      'a changed signature': (opened, id) => {
        const signature = alice.device.sign(deviceInputOf(alice.device.name, id, alice.bindingOf(opened)));
        signature[63] ^= 1;
        return alice.device.answer(id, undefined, { signature });
      },
    };
    for (const [what, answer] of Object.entries(wrong)) {
      const opened = await open();
      await assert.rejects(authorise(opened, [pin(), (id) => answer(opened, id)]), { refusal: 'authentication_failed' }, what);
    }
    assert.equal(await sam.signatures(), before);
    await alice.sign(['the right answer']);
  });

  it('refuses two factors of one category, one alone, two evidences, and forms that the contract does not know', async () => {
    let opened = await open();
    const right = (id) => alice.device.answer(id, alice.bindingOf(opened));
    const failing = {
      'the device alone': [right],
      'the PIN alone': [pin()],
      'two of possession': [right, { type: 'totp', value: '123456' }],
      'a wrong one-time password beside it': [pin(), right, { type: 'totp', value: '123456' }],
    };
    for (const [what, factors] of Object.entries(failing)) await assert.rejects(authorise(opened, factors), { refusal: 'authentication_failed' }, what);
    // Three of them had a right device, so that her attempts are used up.
    await assert.rejects(authorise(opened, [pin(), right]), { refusal: 'credential_locked' });
    system.moveClock(15 * 60 + 1);
    opened = await open();
    const passkey = new Passkey().answer(alice.bindingOf(opened));
    const changed = (changes) => [pin(), (id) => ({ ...right(id), ...changes })];
    const forms = {
      'two devices': [pin(), right, right],
      'a device and a passkey': [pin(), right, passkey],
      'a device and an ID token': [pin(), right, { type: 'id-token', value: 'a.b.c' }],
      'no signature': changed({ signature: undefined }),
      'a signature that is no base64url': changed({ signature: '+/==' }),
      'a signature of 63 bytes': changed({ signature: Buffer.alloc(63).toString('base64url') }),
      'a signature of 65 bytes': changed({ signature: Buffer.alloc(65).toString('base64url') }),
      'a signature that is a number': changed({ signature: 1 }),
      'no name': changed({ id: undefined }),
      'a name of 31 bytes': changed({ id: Buffer.alloc(31).toString('base64url') }),
      'a name of 33 bytes': changed({ id: Buffer.alloc(33).toString('base64url') }),
    };
    for (const [what, factors] of Object.entries(forms)) await assert.rejects(authorise(opened, factors), { refusal: 'invalid_request' }, what);
    await authorise(opened, [pin(), right]);
  });

  it('takes an answer in one message, once, whatever becomes of it, and after a restart too', async () => {
    const opened = await open();
    const once = alice.device.answer('the-id-of-one-message', alice.bindingOf(opened));
    const same = { changes: { id: 'the-id-of-one-message' } };
    await assert.rejects(authorise(opened, [{ type: 'pin', value: '918273' }, once], same), { refusal: 'authentication_failed' });
    await assert.rejects(authorise(opened, [pin(), once], same), { refusal: 'replayed' });
    await assert.rejects(authorise(opened, [pin(), once]), { refusal: 'authentication_failed' });
    await system.restart('sam', { signal: 'SIGKILL' });
    sam.close();
    sam = await Sam.connect(system);
    await assert.rejects(authorise(opened, [pin(), once], same), { refusal: 'replayed' });
    await alice.sign(['a new answer']);
  });

  it('registers a device only by what has its private half, on P-256, for this transaction and message', async () => {
    const opened = await alice.openFactors();
    const device = new Device();
    const binding = alice.bindingOf(opened);
    const other = await alice.openFactors();
    const change = async (registration) => alice.submit(await alice.message(opened, [...alice.factors(opened), registration]));
    const shape = (changes) => (id) => ({ ...device.register(id, binding), ...changes });
    const wrong = {
      'without its private half': (id) => device.register(id, binding, { signature: new Device().sign(possessionInputOf(device.spki, id, binding)) }),
      'for another transaction': (id) => device.register(id, alice.bindingOf(other)),
      'for another message': () => device.register('another-message-id', binding),
      "with an approval's signature": (id) => device.register(id, binding, { signature: device.sign(deviceInputOf(device.name, id, binding)) }),
      'on P-384': (id) => new Device({ curve: 'P-384' }).register(id, binding),
      'on secp256k1': (id) => new Device({ curve: 'secp256k1' }).register(id, binding),
      'off its curve': (id) => device.register(id, binding, { spki: Buffer.concat([device.spki.subarray(0, 90), Buffer.from([device.spki[90] ^ 1])]) }),
      'without a key': shape({ key: undefined }),
      'without a signature': shape({ signature: undefined }),
      'twice': undefined,
    };
    for (const [what, registration] of Object.entries(wrong)) {
      const answer = registration ? await change(registration)
        : await alice.submit(await alice.message(opened, [...alice.factors(opened), (id) => device.register(id, binding), (id) => device.register(id, binding)]));
      assert.equal(answer.status, 400, `${what}: ${answer.text}`);
    }
    assert.notEqual((await change((id) => alice.device.register(id, binding))).status, 200, 'the device that she has');
    assert.equal((await change((id) => device.register(id, binding))).status, 200);
    const event = system.auditEvents('sam').findLast(({ type }) => type === 'factors.changed').fields;
    assert.deepEqual([event.factors, event.shown, event.device], ['device', 'pin device', base64url(device.name)]);
  });

  it('is replaced by its signer with the other factor: the old one opens nothing, and what it approved is void', async () => {
    const carol = (await signerOf(system, { id: 'carol', pin: '603917' })).signer;
    const [lost, found] = [new Device(), new Device()];
    await carol.changeFactors({ device: lost });
    carol.device = lost;
    const approved = await carol.approve({ credential: carol.credential, documents });
    carol.device = undefined;
    // The phone is lost: its signer has the one-time passwords too.
    await carol.changeFactors({ device: found, dropDevices: true });
    const late = await client.signHash({ credential: carol.credential, sad: approved, digests: [documents[0].digest], suite: 'ecdsa-sha256' });
    assert.notEqual(late.status, 200, 'approved before the change');
    carol.device = lost;
    await assert.rejects(carol.sign(['with the lost device']));
    carol.device = found;
    await carol.sign(['with the new device']);
    const event = system.auditEvents('sam').findLast(({ type }) => type === 'factors.changed').fields;
    assert.deepEqual([event.device, event.devices_of_before], [base64url(found.name), 'ended']);
    // What is left must open something: with the one-time passwords it does, so that all devices may go.
    await carol.changeFactors({ dropDevices: true });
    await assert.rejects(carol.sign(['with no device']));
  });

  it('is not given up without another factor, and a third is not taken where two are let in', async () => {
    await assert.rejects(bob.changeFactors({ dropDevices: true }));
    await bob.changeFactors({ device: new Device() });
    await assert.rejects(bob.changeFactors({ device: new Device() }));
    await bob.sign(['with the first one']);
  });

  it('ends with a reset, and so do the keys that it approved for', async () => {
    const dave = (await signerOf(system, { id: 'dave', pin: '817263', device: new Device() })).signer;
    const { device, credential } = dave;
    const code = await officer.resetFactors('dave', identityOf('dave'));
    await assert.rejects(dave.sign(['after the reset']));
    dave.device = undefined;
    await dave.enrol(code);
    dave.credential = await dave.generateKey();
    dave.chain = await officer.certify(dave.credential, identityOf('dave'));
    await dave.sign(['with the new factors']);
    dave.device = device;
    await assert.rejects(dave.sign(['with the device of before']));
    assert.notEqual(credential, dave.credential);
  });
});

describe('a device in the policy', () => {
  let system;
  after(() => system?.stop());

  it('is let in only where the document says how many, beside a secret and never alone', async () => {
    system = await System.start({ policy: policy(beside), start: [] });
    const { program, words, environment } = system.command('sam', '--initialise', '--policy', system.path('wrong.json'), '--public-keys', system.path('keys.json'));
    const right = JSON.parse(system.read('config/policy.json'));
    const wrong = {
      'nothing is wrong': [{}, /initialised already/],
      'alone': [{ profiles: right.profiles.map((profile) => ({ ...profile, factors: ['device'] })) }, /factors/],
      'two of possession': [{ profiles: right.profiles.map((profile) => ({ ...profile, factors: ['totp', 'device'] })) }, /factors/],
      'a passkey and a device': [{ profiles: right.profiles.map((profile) => ({ ...profile, factors: ['passkey', 'device'] })) }, /factors/],
      'not set up': [{ devices: undefined }, /asks for devices/],
      'none of them': [{ devices: { per_signer: 0 } }, /per_signer/],
      'nine of them': [{ devices: { per_signer: 9 } }, /per_signer/],
      'a member that is not known': [{ devices: { per_signer: 1, user_verification: true } }, /unknown member/],
    };
    for (const [what, [change, reason]] of Object.entries(wrong)) {
      writeFileSync(system.path('wrong.json'), JSON.stringify({ ...right, ...change }));
      const result = run(program, words, { environment });
      assert.notEqual(result.status, 0, what);
      assert.match(result.stdout + result.stderr, reason, what);
    }
  });
});

describe('the command line as a device', () => {
  let system, client, officer, signer, key;
  const page = 'https://page.invalid/approve';
  before(async () => {
    system = await System.start({
      policy: policy([['pin', 'device']]), configure: { ssa: (text) => text.replace('approval_page = ""', `approval_page = "${page}"`) },
    });
    ({ client, officer, signer } = await signerOf(system, { id: 'helper', pin: '571938', device: new Device() }));
    mkdirSync(system.path('secrets'), { recursive: true });
    key = system.path('secrets/device.pem');
    const secret = (name, text) => writeFileSync(system.path('secrets', name), text, { mode: 0o600 });
    secret('pin', system.secret('a PIN', '482915730164'));
    secret('code', system.secret('an activation code', await officer.createSigner('ada', identityOf('ada'))));
  });
  after(() => system?.stop());
  const intaglio = (...words) => runAside(path.join(binaries, 'intaglio'), words, { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
  const clientFile = () => ['--client', system.path('clients/demo/client.toml')];
  const factors = (device = key) => ['--pin-file', system.path('secrets/pin'), '--device-key', device];
  const done = (result) => {
    assert.equal(result.status, 0, result.stdout + result.stderr);
    return result.stdout;
  };

  it('makes its key, registers it, and signs with PIN and key', async () => {
    done(await intaglio('enrol', '--signer', 'ada', ...clientFile(), '--code-file', system.path('secrets/code'), '--pin-file', system.path('secrets/pin'), '--device-key', key));
    assert.equal(statSync(key).mode & 0o777, 0o600);
    const made = done(await intaglio('key', 'new', '--signer', 'ada', '--algorithm', 'p256', ...clientFile(), ...factors()));
    const { credentialID: credential } = JSON.parse(made.trim().split('\n').at(-1));
    await officer.certify(credential, identityOf('ada'));
    system.credential = credential;
    const out = done(await intaglio('sign', '--digest', digestOf('sha256', 'a contract').toString('hex'), '--credential', credential, '--yes', ...clientFile(), ...factors()));
    assert.match(out, /"signature"/);
    assert.equal(system.auditEvents('sam').findLast(({ type }) => type === 'authorisation.granted').fields.methods, 'pin device');
  });

  it('approves what an application asked for, with the key that is registered and no other', async () => {
    const texts = ['a contract'];
    const ask = async () => {
      const answer = await client.post('/csc/v2/credentials/authorize', {
        credentialID: system.credential, numSignatures: 1, hashes: texts.map((text) => digestOf('sha256', text).toString('base64')), hashAlgorithmOID: hashOids.sha256,
      });
      assert.equal(answer.status, 202, answer.text);
      writeFileSync(system.path('secrets/address'), answer.json.approvalUri, { mode: 0o600 });
      return answer.json.handle;
    };
    const approve = (device) => intaglio('approve', '--device', system.path('device.toml'), '--address-file', system.path('secrets/address'),
      '--digest', digestOf('sha256', 'a contract').toString('hex'), '--yes', ...factors(device));
    await ask();
    const foreign = new Device().keep(system.path('secrets/foreign.pem'));
    assert.notEqual((await approve(foreign)).status, 0);
    await ask();
    const readable = new Device().keep(system.path('secrets/readable.pem'), 0o644);
    const refused = await approve(readable);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /0600/);
    const handle = await ask();
    done(await approve(key));
    const { SAD: sad } = good('authorizeCheck', await client.post('/csc/v2/credentials/authorizeCheck', { handle }));
    system.secret('a SAD', sad);
    good('signHash', await client.signHash({ credential: system.credential, sad, digests: [digestOf('sha256', 'a contract')], suite: 'ecdsa-sha256' }));
  });

  it('changes over to another key with the one that it has, and the old one opens nothing', async () => {
    const next = system.path('secrets/next.pem');
    done(await intaglio('signer', 'change-device', '--signer', 'ada', ...clientFile(), ...factors(), '--new-device-key', next, '--end-others'));
    assert.equal(statSync(next).mode & 0o777, 0o600);
    const sign = (device) => intaglio('sign', '--digest', digestOf('sha256', 'an annex').toString('hex'), '--credential', system.credential, '--yes', ...clientFile(), ...factors(device));
    assert.notEqual((await sign(key)).status, 0);
    done(await sign(next));
    assert.ok(signer.device, 'another signer has a device of his own');
  });
});
