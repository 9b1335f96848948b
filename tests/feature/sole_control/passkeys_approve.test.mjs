// TC-3, TC-4, TC-7, TC-11 with passkeys (WebAuthn): the authenticator signs the binding of exactly what was shown, once, for the signer whose it is.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { Officer } from '../harness/officer.mjs';
import { Passkey, origin, rpId, withPasskeys } from '../harness/passkey.mjs';
import { approvalOf, base64url, parseBase32, passkeyDigestOf, sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { Signer, documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const policy = (factors) => (document) => {
  withoutLimits(document);
  withPasskeys(factors)(document);
};
const documents = documentsOf('to be approved');

describe('passkeys beside a PIN', () => {
  let system, sam, officer, client, alice, bob;
  before(async () => {
    system = await System.start({ policy: policy([['pin', 'totp'], ['pin', 'passkey']]) });
    ({ client, officer, signer: alice } = await signerOf(system, { passkey: new Passkey() }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938', passkey: new Passkey() })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });
  const pin = (signer) => ({ type: 'pin', value: signer.pin });
  const open = () => alice.openSigning({ credential: alice.credential, documents });
  const authorise = async (opened, factors, options) => sam.authorise(await alice.message(opened, factors, options));

  const granted = () => system.auditEvents('sam').findLast(({ type }) => type === 'authorisation.granted').fields;

  it('signs with PIN and passkey, and the SAD and the log say so', async () => {
    const { sad } = await alice.sign(['with a passkey']);
    assert.deepEqual(JSON.parse(Buffer.from(sad.split('.')[1], 'base64url')).amr, ['pin', 'passkey']);
    assert.equal(granted().methods, 'pin passkey');
    const enrolled = system.auditEvents('sam').find(({ type, subject }) => type === 'factors.enrolled' && subject === 'alice').fields;
    assert.equal(enrolled.factors, 'pin passkey');
    assert.equal(enrolled.passkey, base64url(passkeyDigestOf(alice.passkey.id, alice.passkey.spki)));
  });

  it('keeps what the passkey signed, so that its signer, or whoever is shown it, can tell later what was approved', async () => {
    const opened = await open();
    const passkey = alice.passkey.answer(alice.bindingOf(opened));
    await authorise(opened, [pin(alice), passkey]);
    const told = { transaction: opened.transaction, terms: alice.terms, act: alice.act, rpId, origins: [origin], passkey, spki: alice.passkey.spki };
    assert.equal(granted().evidence, base64url(sha256(approvalOf(told))));
    assert.notEqual(granted().evidence, base64url(sha256(approvalOf({ ...told, act: 'pressed-sign' }))));

    await alice.approve({ credential: alice.credential, documents });
    const rows = system.database('sam').prepare('SELECT id, record FROM approvals').all();
    assert.ok(rows.some(({ id }) => id === base64url(opened.parsed.nonce)), 'a later authorisation voids this one and not its evidence');
    for (const { record } of rows) assert.ok(!Buffer.from(record).includes('webauthn.get'), 'sealed');
  });

  it('refuses an answer that is not of this ceremony, binding, origin, host, person or signer', async () => {
    const before = await sam.signatures();
    const other = await open();
    const wrong = {
      'another binding': (opened, passkey) => passkey.answer(alice.bindingOf(other)),
      'no binding': (opened, passkey) => passkey.answer(Buffer.alloc(0)),
      'the digest of the binding': (opened, passkey) => passkey.answer(createHash('sha256').update(alice.bindingOf(opened)).digest()),
      'another origin': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { client: { origin: 'https://evil.example.test' } }),
      'inside another page': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { client: { crossOrigin: true } }),
      'a registration': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { client: { type: 'webauthn.create' } }),
      'another relying party': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { rp: 'evil.example.test' }),
      'an unverified person': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { verified: false }),
      'another kind of passkey than was registered': (opened, passkey) => passkey.answer(alice.bindingOf(opened), { more: 0x08 }),
      "another signer's passkey": (opened) => bob.passkey.answer(alice.bindingOf(opened)),
      "another signer's passkey under her passkey's name": (opened, passkey) => bob.passkey.answer(alice.bindingOf(opened), { id: passkey.id }),
      "her passkey under another's name": (opened, passkey) => passkey.answer(alice.bindingOf(opened), { id: bob.passkey.id }),
    };
    for (const [what, answer] of Object.entries(wrong)) {
      const opened = await open();
      await assert.rejects(authorise(opened, [pin(alice), answer(opened, alice.passkey)]), { refusal: 'authentication_failed' }, what);
    }
    assert.equal(await sam.signatures(), before);
    await alice.sign(['the right answer']);
  });

  it('refuses the passkey alone, the PIN alone, and forms that the contract does not know', async () => {
    const opened = await open();
    const answer = () => alice.passkey.answer(alice.bindingOf(opened));
    await assert.rejects(authorise(opened, [answer()]), { refusal: 'authentication_failed' });
    await assert.rejects(authorise(opened, [pin(alice)]), { refusal: 'authentication_failed' });
    const right = answer();
    const forms = {
      'two passkeys': [pin(alice), right, right],
      'no signature': [pin(alice), { ...right, signature: '' }],
      'a signature that is no base64url': [pin(alice), { ...right, signature: '+/==' }],
      'no name': [pin(alice), { ...right, id: undefined }],
      'a name beyond its bound': [pin(alice), { ...right, id: Buffer.alloc(1024).toString('base64url') }],
      'client data beyond its bound': [pin(alice), { ...right, client_data: Buffer.alloc(4097).toString('base64url') }],
      'authenticator data beyond its bound': [pin(alice), { ...right, authenticator_data: Buffer.alloc(2049).toString('base64url') }],
      'seven factors': [pin(alice), right, ...Array(5).fill({ type: 'totp', value: '1' })],
    };
    for (const [what, factors] of Object.entries(forms)) await assert.rejects(authorise(opened, factors), { refusal: 'invalid_request' }, what);
    await sam.authorise(await alice.message(opened, [pin(alice), right]));
  });

  it('takes an assertion once, whatever message it comes in', async () => {
    const opened = await open();
    const answer = alice.passkey.answer(alice.bindingOf(opened));
    await assert.rejects(authorise(opened, [{ type: 'pin', value: '918273' }, answer]), { refusal: 'authentication_failed' });
    await assert.rejects(authorise(opened, [pin(alice), answer]), { refusal: 'replayed' });
    system.moveClock(1);
    await system.restart('sam', { signal: 'SIGKILL' });
    sam.close();
    sam = await Sam.connect(system);
    await alice.sign(['a new assertion']);
  });

  it('counts a wrong PIN beside a right passkey, and locks; a stranger without the passkey locks nobody', async () => {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      const opened = await open();
      await assert.rejects(authorise(opened, [{ type: 'pin', value: '918273' }, bob.passkey.answer(alice.bindingOf(opened))]), { refusal: 'authentication_failed' });
    }
    await alice.sign(['not locked by a stranger']);
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const opened = await open();
      await assert.rejects(authorise(opened, [{ type: 'pin', value: '918273' }, alice.passkey.answer(alice.bindingOf(opened))]), { refusal: 'authentication_failed' });
    }
    const opened = await open();
    await assert.rejects(authorise(opened, alice.factors(opened)), { refusal: 'credential_locked' });
    system.moveClock(15 * 60 + 1);
    await alice.sign(['after the lock']);
  });

  it('replaces a one-time password by a passkey and back, each with the other factors, and drops what was lost', async () => {
    const carol = (await signerOf(system, { id: 'carol', pin: '603917' })).signer;
    const first = new Passkey();
    await carol.changeFactors({ passkey: first });
    carol.passkey = first;
    await carol.sign(['with the new passkey']);
    // The phone with the seed is lost: a new seed on the word of PIN and passkey.
    const opened = await carol.openFactors();
    const { answer } = (await carol.submit(await carol.message(opened, carol.factors(opened), { changes: { new_seed: true } }))).json;
    assert.ok(answer);
    const second = new Passkey();
    await carol.changeFactors({ passkey: second, dropPasskeys: true });
    await assert.rejects(carol.approve({ credential: carol.credential, documents }));
    carol.passkey = second;
    await carol.sign(['with the one that is left']);
    const changed = system.auditEvents('sam').findLast(({ type }) => type === 'factors.changed');
    assert.deepEqual([changed.fields.factors, changed.fields.shown, changed.fields.passkeys_of_before], ['passkey', 'pin passkey', 'ended']);
  });

  it('registers no passkey for another binding, twice, or on the word of a wrong factor', async () => {
    const dave = (await signerOf(system, { id: 'dave', pin: '603917' })).signer;
    const attempt = async (register, factors) => {
      const opened = await dave.openFactors();
      return sam.changeFactors(await dave.message(opened, [...(factors ?? dave.factors(opened)), register(opened)]));
    };
    const passkey = new Passkey();
    await assert.rejects(attempt(() => passkey.register(Buffer.alloc(32))), { refusal: 'invalid_request' });
    await assert.rejects(attempt((opened) => passkey.register(dave.bindingOf(opened), { rp: 'evil.example.test' })), { refusal: 'invalid_request' });
    await assert.rejects(attempt((opened) => passkey.register(dave.bindingOf(opened), { flags: 0x01 })), { refusal: 'invalid_request' });
    await assert.rejects(attempt((opened) => passkey.register(dave.bindingOf(opened), { flags: 0x0d })), { refusal: 'invalid_request' }, 'can be copied');
    await assert.rejects(attempt((opened) => passkey.register(dave.bindingOf(opened)), [{ type: 'pin', value: '918273' }, { type: 'totp', value: dave.otp() }]), { refusal: 'authentication_failed' });
    await attempt((opened) => passkey.register(dave.bindingOf(opened)));
    await assert.rejects(attempt((opened) => passkey.register(dave.bindingOf(opened))), { refusal: 'conflict' });
    const opened = await dave.openFactors();
    const nothing = await dave.message(opened, dave.factors(opened));
    await assert.rejects(sam.changeFactors(nothing), { refusal: 'invalid_request' });
  });

  it('suspends a passkey whose counter went back, for good, and says so in the log', async () => {
    const erin = (await signerOf(system, { id: 'erin', pin: '603917', passkey: new Passkey() })).signer;
    const stolen = erin.passkey.copy();
    await erin.sign(['the authenticator goes on']);
    const opened = await erin.openSigning({ credential: erin.credential, documents });
    await assert.rejects(sam.authorise(await erin.message(opened, [pin(erin), stolen.answer(erin.bindingOf(opened))])), { refusal: 'authentication_failed' });
    const events = () => system.auditEvents('sam').filter(({ type, subject }) => type === 'passkey.suspended' && subject === 'erin');
    assert.equal(events().length, 1);
    await assert.rejects(erin.approve({ credential: erin.credential, documents }), undefined, 'nobody knows which of the two is hers');
    assert.equal(events().length, 1);
  });

  it('TC-7 forgets the passkeys of before a reset, with the keys', async () => {
    const frank = (await signerOf(system, { id: 'frank', pin: '603917', passkey: new Passkey() })).signer;
    const code = await officer.resetFactors('frank', identityOf('frank'));
    const again = new Signer(client, 'frank', { pin: '718203' });
    await again.enrol(code);
    const old = new Signer(client, 'frank', { pin: '718203', passkey: frank.passkey });
    const opened = await old.openKey();
    await assert.rejects(sam.generateKey(await old.message(opened, old.factors(opened))), { refusal: 'authentication_failed' });
    assert.ok(await again.generateKey());
  });

  it('gives no seed to whoever enrols with a passkey, and one beside it when asked', async () => {
    const code = await officer.createSigner('grace', identityOf('grace'));
    const grace = new Signer(client, 'grace', { pin: '603917' });
    const opened = await grace.openEnrolment();
    const passkey = new Passkey();
    const factors = [{ type: 'activation-code', value: code }, { type: 'new-pin', value: grace.pin }, passkey.register(grace.bindingOf(opened))];
    const alone = [factors[0], factors[2]];
    await assert.rejects(sam.enrolFactors(await grace.message(opened, alone)), { refusal: 'invalid_request' }, 'a passkey alone opens nothing here');
    const answer = await sam.enrolFactors(await grace.message(opened, factors, { changes: { new_seed: true } }));
    grace.seed = parseBase32((await grace.unseal(answer, 'intaglio-enrol-answer+jwe')).totp_seed);
    assert.ok(await grace.generateKey(), 'with the one-time password');
    grace.passkey = passkey;
    assert.ok(await grace.generateKey(), 'with the passkey');
  });
});

describe('passkeys alone', () => {
  let system, sam, officer, client, alice;
  before(async () => {
    system = await System.start({ policy: policy([['passkey']]) });
    ({ client, officer, signer: alice } = await signerOf(system, { pin: null, passkey: new Passkey({ counts: false }) }));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  it('sign where the policy says so, with a verified person, and make keys of which the signer disposes', async () => {
    const { sad } = await alice.sign(['without a PIN']);
    assert.deepEqual(JSON.parse(Buffer.from(sad.split('.')[1], 'base64url')).amr, ['passkey']);
    const opened = await alice.openSigning({ credential: alice.credential, documents });
    const unverified = alice.passkey.answer(alice.bindingOf(opened), { verified: false });
    await assert.rejects(sam.authorise(await alice.message(opened, [unverified])), { refusal: 'authentication_failed' });
    const answer = alice.passkey.answer(alice.bindingOf(opened));
    await sam.authorise(await alice.message(opened, [answer]));
    await assert.rejects(sam.authorise(await alice.message(opened, [answer])), { refusal: 'replayed' });
    assert.equal(await alice.change('suspend'), 'suspended');
    assert.equal(await alice.change('destroy'), 'destroyed');
  });

  it('are not given up without another one in their place', async () => {
    await assert.rejects(alice.changeFactors({ dropPasskeys: true }));
    const next = new Passkey();
    await alice.changeFactors({ passkey: next, dropPasskeys: true });
    alice.passkey = next;
    assert.ok(await alice.generateKey());
  });

  it('leave a PIN nothing to open', async () => {
    const code = await new Officer(system).createSigner('bob', identityOf('bob'));
    const bob = new Signer(await new Client(system).signIn(), 'bob');
    const opened = await bob.openEnrolment();
    const factors = [{ type: 'activation-code', value: code }, { type: 'new-pin', value: bob.pin }];
    await assert.rejects(sam.enrolFactors(await bob.message(opened, factors)), { refusal: 'invalid_request' });
    assert.ok(client && officer);
  });
});
