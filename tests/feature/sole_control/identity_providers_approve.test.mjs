// TC-3, TC-4, TC-7, TC-9 with delegated authentication (OpenID Connect), in the profile delegated-wrapped: the provider's ID token answers the binding of
// exactly what was shown, once, for the person who is linked. The provider is npm's oidc-provider, the code flow is as it is; what it would never say is
// signed with its key. Whoever calls the SAM here is the SSA: it gets no signature on the word of somebody else.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { IdentityProvider, clientId, delegatedPolicy, fieldsOf, identityApprovalOf, identityDigestOf, issuer, newSigningKey } from '../harness/identity.mjs';
import { Passkey, withPasskeys } from '../harness/passkey.mjs';
import { Privileged } from '../harness/privileged.mjs';
import { base64url, sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { Signer, documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, runAside } from '../harness/system.mjs';

const profile = 'delegated-wrapped';
const documents = documentsOf('to be approved');

describe('an identity provider beside a PIN, with keys in wrapped custody', () => {
  let provider, system, sam, officer, client, alice, bob;
  before(async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: delegatedPolicy(provider) });
    ({ client, officer, signer: alice } = await signerOf(system, { profile, identity: { provider, person: 'person-1' } }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415', profile, identity: { provider, person: 'person-2' } })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
    await provider?.stop();
  });
  const pin = (signer = alice) => ({ type: 'pin', value: signer.pin });
  const token = (value) => ({ type: 'id-token', value });
  const open = (signer = alice, what = documents) => signer.openSigning({ credential: signer.credential, documents: what });
  const nonceOf = (opened, signer = alice) => base64url(signer.bindingOf(opened));
  const authorise = async (opened, factors, options) => sam.authorise(await alice.message(opened, factors, options));
  const granted = () => system.auditEvents('sam').findLast(({ type }) => type === 'authorisation.granted').fields;

  it('signs with PIN and ID token, and the SAD and the log say so without naming the person', async () => {
    const { sad } = await alice.sign(['with an identity provider']);
    assert.deepEqual(JSON.parse(Buffer.from(sad.split('.')[1], 'base64url')).amr, ['pin', 'id-token']);
    assert.equal(granted().methods, 'pin id-token');
    const enrolled = system.auditEvents('sam').find(({ type, subject }) => type === 'factors.enrolled' && subject === 'alice').fields;
    assert.equal(enrolled.factors, 'pin id-token');
    assert.match(enrolled.identity, /^[A-Za-z0-9_-]{43}$/);
    for (const [file, text] of system.contents()) assert.ok(!text.includes('person-1'), `the person stands in ${file}`);
  });

  it('gets no signature for a foreign assertion, the identity of another session, or another document', async () => {
    const before = await sam.signatures();
    const other = await open();
    const otherDocument = await open(alice, documentsOf('an invoice'));
    const bobs = await open(bob);
    const wrong = {
      'the person of another signer': (opened) => alice.idToken(opened, 'person-2'),
      'a person whom nobody knows': (opened) => alice.idToken(opened, 'person-3'),
      'signed in for another transaction over the same document': () => alice.idToken(other),
      'signed in for another document': () => alice.idToken(otherDocument),
      "signed in for another signer's transaction": () => bob.idToken(bobs),
      'the linked person, signed in for nothing': () => provider.signIn('person-1', 'nothing'),
      'another act of consent': (opened) => {
        const pressed = Object.assign(new Signer(client, 'alice', { identity: alice.identity }), { act: 'pressed-sign' });
        return pressed.idToken(opened);
      },
    };
    for (const [what, signIn] of Object.entries(wrong)) {
      const opened = await open();
      await assert.rejects(authorise(opened, [pin(), token(await signIn(opened))]), { refusal: 'authentication_failed' }, what);
    }
    assert.equal(await sam.signatures(), before);
    await alice.sign(['the right answer']);
  });

  it('refuses what the provider must not say, even under its own key', async () => {
    const now = Math.floor(Date.now() / 1000);
    const foreign = await newSigningKey();
    const rsa = await newSigningKey('RS256');
    const wrong = {
      'another issuer': [{ iss: 'https://evil.example.test' }],
      'another audience': [{ aud: 'somebody' }],
      'several audiences': [{ aud: [clientId, 'somebody'] }],
      'another authorised party': [{ azp: 'somebody' }],
      'no person': [{ sub: undefined }],
      'no nonce': [{ nonce: undefined }],
      'the binding in another encoding': [{ nonce: `${nonceOf(await open())}=` }],
      'a level that is too low': [{ acr: 'http://eidas.europa.eu/LoA/low' }],
      'no level': [{ acr: undefined }],
      'an authentication of long ago': [{ auth_time: now - 301 }],
      'no time of authentication': [{ auth_time: undefined }],
      'an authentication in the future': [{ auth_time: now + 3600 }],
      'a token that is over': [{ iat: now - 60, exp: now - 1 }],
      'a token of long ago': [{ iat: now - 301 }],
      'a token of the future': [{ iat: now + 3600, exp: now + 7200 }],
      'a token that is not valid yet': [{ nbf: now + 3600 }],
      'a key that is not pinned': [{}, { key: foreign }],
      "another key under the pinned key's name": [{}, { key: { ...foreign, kid: provider.key.kid } }],
      'another algorithm': [{}, { key: { ...rsa, kid: provider.key.kid } }],
      'a key in the header': [{}, { header: { jwk: { kty: 'EC' } } }],
      'an address of keys in the header': [{}, { header: { jku: 'https://evil.example.test/jwks' } }],
      'a token of another type': [{}, { header: { typ: 'at+jwt' } }],
    };
    for (const [what, [claims, options]] of Object.entries(wrong)) {
      const opened = await open();
      const forged = await provider.sign({ sub: 'person-1', nonce: nonceOf(opened), ...claims }, options);
      await assert.rejects(authorise(opened, [pin(), token(forged)]), { refusal: 'authentication_failed' }, what);
      if (what.startsWith('a key that') || what.startsWith('an authentication of')) await alice.sign([`after ${what}`]);
    }
    const opened = await open();
    const claims = (await provider.sign({ sub: 'person-1', nonce: nonceOf(opened) })).split('.')[1];
    const none = `${base64url(JSON.stringify({ alg: 'none', kid: provider.key.kid }))}.${claims}.`;
    await assert.rejects(authorise(opened, [pin(), token(none)]), { refusal: 'authentication_failed' });
    await authorise(opened, [pin(), token(await provider.sign({ sub: 'person-1', nonce: nonceOf(opened) }))]);
  });

  it('refuses the ID token alone, the PIN alone, and forms that the contract does not know', async () => {
    const alone = await open();
    await assert.rejects(authorise(alone, [token(await alice.idToken(alone))]), { refusal: 'authentication_failed' });
    await assert.rejects(authorise(alone, [pin()]), { refusal: 'authentication_failed' });
    const opened = await open();
    const right = token(await alice.idToken(opened));
    const forms = {
      'two ID tokens': [pin(), right, right],
      'no text': [pin(), token(1)],
      'an empty one': [pin(), token('')],
      'one beyond its bound': [pin(), token('x'.repeat(16385))],
      'a passkey beside it': [pin(), right, new Passkey().answer(alice.bindingOf(opened))],
    };
    for (const [what, factors] of Object.entries(forms)) await assert.rejects(authorise(opened, factors), { refusal: 'invalid_request' }, what);
    await authorise(opened, [pin(), right]);
  });

  it('TC-9 takes an ID token once, whatever message it comes in, before and after a restart', async () => {
    const opened = await open();
    const once = await alice.idToken(opened);
    await assert.rejects(authorise(opened, [{ type: 'pin', value: '918273' }, token(once)]), { refusal: 'authentication_failed' });
    await assert.rejects(authorise(opened, [pin(), token(once)]), { refusal: 'replayed' });
    await system.restart('sam', { signal: 'SIGKILL' });
    sam.close();
    sam = await Sam.connect(system);
    await assert.rejects(authorise(opened, [pin(), token(once)]), { refusal: 'replayed' });
    await alice.sign(['signed in anew']);
  });

  it('TC-6 counts wrong PINs beside a right ID token and locks; a stranger who signs in as himself locks nobody', async () => {
    const carol = (await signerOf(system, { id: 'carol', pin: '603917482516', profile, identity: { provider, person: 'person-4' } })).signer;
    const wrong = { type: 'pin', value: '918273' };
    const attempt = async (factor, person) => {
      const opened = await open(carol);
      return sam.authorise(await carol.message(opened, [factor, token(await carol.idToken(opened, person))]));
    };
    for (let time = 0; time < 5; time += 1) await assert.rejects(attempt(wrong, 'person-2'), { refusal: 'authentication_failed' });
    await carol.sign(['not locked by a stranger']);
    for (let time = 0; time < 3; time += 1) await assert.rejects(attempt(wrong), { refusal: 'authentication_failed' });
    await assert.rejects(attempt(pin(carol)), { refusal: 'credential_locked' });
  });

  it('links another person on the word of the one before, and never on one token for both', async () => {
    const dave = (await signerOf(system, { id: 'dave', pin: '603917482516', profile, identity: { provider, person: 'person-5' } })).signer;
    const opened = await dave.openFactors();
    const same = await dave.idToken(opened);
    const change = async (...factors) => sam.changeFactors(await dave.message(opened, [pin(dave), ...factors]));
    await assert.rejects(change(token(same), { type: 'new-id-token', value: same }), { refusal: 'replayed' });
    await assert.rejects(change(token(await dave.idToken(opened, 'person-6')), { type: 'new-id-token', value: await dave.idToken(opened, 'person-6') }), { refusal: 'authentication_failed' });
    await assert.rejects(change(token(await dave.idToken(opened)), { type: 'new-id-token', value: await provider.signIn('person-6', 'nothing') }), { refusal: 'invalid_request' });
    await dave.sign(['still person-5']);
    await dave.changeFactors({ person: 'person-6' });
    await dave.sign(['now person-6']);
    const changed = system.auditEvents('sam').findLast(({ type }) => type === 'factors.changed').fields;
    assert.deepEqual([changed.factors, changed.shown], ['id-token', 'pin id-token']);
    const later = await open(dave);
    await assert.rejects(sam.authorise(await dave.message(later, [pin(dave), token(await dave.idToken(later, 'person-5'))])), { refusal: 'authentication_failed' });
  });

  it('TC-7 forgets who was linked before a reset, with the keys', async () => {
    const erin = (await signerOf(system, { id: 'erin', pin: '603917482516', profile, identity: { provider, person: 'person-7' } })).signer;
    const code = await officer.resetFactors('erin', identityOf('erin'));
    const again = new Signer(client, 'erin', { pin: '718203482516', profile, identity: { provider, person: 'person-8' } });
    await again.enrol(code);
    const opened = await again.openKey();
    await assert.rejects(sam.generateKey(await again.message(opened, [pin(again), token(await again.idToken(opened, 'person-7'))])), { refusal: 'authentication_failed' });
    assert.ok(await again.generateKey());
    assert.ok(erin.credential);
  });

  it('links nobody at an enrolment whose token answers something else', async () => {
    const code = await officer.createSigner('frank', identityOf('frank'));
    const frank = new Signer(client, 'frank', { pin: '603917482516', profile, identity: { provider, person: 'person-9' } });
    const opened = await frank.openEnrolment();
    const factors = [{ type: 'activation-code', value: code }, { type: 'new-pin', value: frank.pin }];
    const enrol = async (value) => sam.enrolFactors(await frank.message(opened, value ? [...factors, { type: 'new-id-token', value }] : factors));
    await assert.rejects(enrol(await provider.signIn('person-9', 'nothing')), { refusal: 'invalid_request' });
    await assert.rejects(enrol(), { refusal: 'invalid_request' }, 'PIN and one-time password open nothing here');
    await enrol(await frank.idToken(opened));
    assert.ok(await frank.generateKey());
  });

  describe('what was approved', () => {
    const file = () => system.path('an.approval');
    const verify = (approval) => {
      writeFileSync(file(), approval);
      return run(path.join(binaries, 'intaglio'), ['audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', file()]);
    };

    it('is kept, and anyone can verify it later against the pinned key, offline; nothing else passes for it', async () => {
      const opened = await open();
      const value = await alice.idToken(opened);
      await authorise(opened, [pin(), token(value)]);
      const nonce = base64url(opened.parsed.nonce);
      const { evidence } = granted();
      await system.services.sam.stop();
      const { program, words, environment } = system.command('sam', '--export-approval', nonce, '--approval-file', file());
      const taken = run(program, words, { environment });
      assert.equal(taken.status, 0, taken.stderr);
      await system.startService('sam');
      sam.close();
      sam = await Sam.connect(system);
      const approval = readFileSync(file());
      assert.equal(base64url(sha256(approval)), evidence);

      const parts = fieldsOf(approval);
      const salt = parts.at(-4);
      const told = {
        transaction: opened.transaction, terms: alice.terms, act: alice.act, provider: provider.policy(), salt, subject: 'person-1',
        taken: Number(parts.at(-2).readBigUInt64BE(0)), token: value,
      };
      assert.deepEqual(identityApprovalOf(told), approval, 'written as api/sap, 9 says');
      const good = verify(approval);
      assert.equal(good.status, 0, good.stderr);
      const said = JSON.parse(good.stdout.trim().split('\n').at(-1)).approval;
      assert.deepEqual([said.signer, said.key, said.authorisation, said.identityProvider, said.subject], ['alice', alice.credential, nonce, issuer, 'person-1']);
      assert.equal(said.identity, base64url(identityDigestOf(salt, issuer, 'person-1')));

      const foreign = await IdentityProvider.start();
      const wrong = {
        'another act': { act: 'pressed-sign' },
        'another person': { subject: 'person-2' },
        'another time': { taken: told.taken + 3600 },
        "another provider's key": { provider: foreign.policy() },
        'another salt': { salt: Buffer.alloc(16) },
        'a token that was never sent': { token: await provider.signIn('person-1', nonceOf(opened)) },
      };
      await foreign.stop();
      for (const [what, changes] of Object.entries(wrong)) {
        const { status, stderr } = verify(identityApprovalOf({ ...told, ...changes }));
        assert.notEqual(status, 0, what);
        assert.match(stderr, /approval/, what);
      }
      assert.match(verify(identityApprovalOf({ ...told, act: 'pressed-sign' })).stderr, /no identity provider confirmed this/);
      assert.notEqual(verify(approval.subarray(0, -1)).status, 0);
    });
  });
});

describe('the keys of an identity provider', () => {
  let provider, system, sam;
  after(async () => {
    sam?.close();
    await system?.stop();
    await provider?.stop();
  });

  it('change by two persons: the old one approves nothing from then on, and what it approved can be verified all the same', async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: delegatedPolicy(provider) });
    const { signer } = await signerOf(system, { profile, identity: { provider, person: 'person-1' } });
    const open = () => signer.openSigning({ credential: signer.credential, documents });
    const approved = await open();
    assert.equal((await signer.submit(await signer.message(approved, await signer.factors(approved)))).status, 200);
    const administrator = new Privileged(system, 'adm-1');
    const officer = new Privileged(system, 'off-1');
    for (const alg of ['PS256', 'RS256']) {
      const before = provider;
      provider = await IdentityProvider.start({ key: await newSigningKey(alg) });
      const document = JSON.parse((await administrator.ask('show-policy')).document);
      const changed = { ...document, epoch: document.epoch + 1, identity_providers: [provider.policy()] };
      const proposal = await administrator.propose('install-policy', { document: JSON.stringify(changed) });
      await officer.approve(proposal);
      await administrator.execute(proposal);
      await system.restart('sam');
      sam?.close();
      sam = await Sam.connect(system);
      // The link stands: issuer and subject are the same.
      signer.identity = { provider, person: 'person-1' };
      await signer.sign([`with a key for ${alg}`]);
      const opened = await open();
      const old = await before.signIn('person-1', base64url(signer.bindingOf(opened)));
      await assert.rejects(sam.authorise(await signer.message(opened, [{ type: 'pin', value: signer.pin }, { type: 'id-token', value: old }])), { refusal: 'authentication_failed' }, alg);
      await before.stop();
    }
    await system.services.sam.stop();
    const file = system.path('an.approval');
    const { program, words, environment } = system.command('sam', '--export-approval', base64url(approved.parsed.nonce), '--approval-file', file);
    assert.equal(run(program, words, { environment }).status, 0);
    const verified = run(path.join(binaries, 'intaglio'), ['audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', file]);
    assert.equal(verified.status, 0, verified.stderr);
  });
});

describe('the command line with an identity provider', () => {
  let provider, system, alice;
  before(async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: delegatedPolicy(provider) });
    alice = (await signerOf(system, { profile, identity: { provider, person: 'person-1' } })).signer;
    mkdirSync(system.path('provider'));
    writeFileSync(system.path('provider/port'), String(provider.port));
    writeFileSync(system.path('secrets/alice.pin'), alice.pin, { mode: 0o600 });
  });
  after(async () => {
    await system?.stop();
    await provider?.stop();
  });
  const programOf = (name, text, mode = 0o700) => {
    writeFileSync(system.path('provider', name), `#!/bin/sh\n${text}\n`, { mode });
    return system.path('provider', name);
  };
  const signIn = (person, nonce = '"$1"') => `exec "${process.execPath}" "${path.join(repository, 'tools/identity-provider/main.mjs')}" token "${system.path('provider')}" ${person} ${nonce}`;
  const sign = (program) => runAside(path.join(binaries, 'intaglio'), [
    'sign', '--digest', sha256('a contract').toString('hex'), '--credential', alice.credential, '--suite', 'ecdsa-sha256', '--yes',
    '--client', system.path('clients/demo/client.toml'), '--pin-file', system.path('secrets/alice.pin'), '--id-token-program', program,
  ], { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });

  it('lets a program of his choice sign the person in for the nonce that it computes itself', async () => {
    const result = await sign(programOf('sign-in', signIn('person-1')));
    assert.equal(result.status, 0, result.stderr);
  });

  it('links another person on the word of the one before', async () => {
    const change = (program, next) => runAside(path.join(binaries, 'intaglio'), [
      'signer', 'change-identity', '--signer', 'alice', '--yes', '--client', system.path('clients/demo/client.toml'),
      '--pin-file', system.path('secrets/alice.pin'), '--id-token-program', program, '--new-id-token-program', next,
    ], { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
    const [first, second] = ['person-1', 'person-2'].map((person) => programOf(`sign-in-${person}`, signIn(person)));
    assert.equal((await change(second, second)).status, 1);
    const changed = await change(first, second);
    assert.equal(changed.status, 0, changed.stderr);
    assert.equal((await sign(first)).status, 1);
    assert.equal((await sign(second)).status, 0);
    assert.equal((await change(second, first)).status, 0);
  });

  it('says what is wrong when the program gives no token, and signs nothing when it gives another one', async () => {
    const broken = {
      'it fails': 'exit 1',
      'it fails after a token': 'echo a.b.c; exit 1',
      'it says nothing': 'exit 0',
      'it says something else': 'echo no token',
      'it says too much': 'head -c 20000 /dev/zero | tr "\\0" "."',
      'it never ends to speak': 'exec yes a.b.c',
    };
    for (const [what, text] of Object.entries(broken)) {
      const result = await sign(programOf('broken', text));
      assert.equal(result.status, 1, what);
      assert.match(result.stderr, /gave no ID token/, what);
    }
    for (const missing of [programOf('not-executable', 'echo a.b.c', 0o600), system.path('provider/nothing')]) {
      const result = await sign(missing);
      assert.equal(result.status, 1);
      assert.match(result.stderr, /gave no ID token/);
    }
    for (const text of [signIn('person-2'), signIn('person-1', 'another-nonce'), 'echo e30.e30.AA', 'echo \'a.b.c","x":"\'']) {
      const result = await sign(programOf('wrong', text));
      assert.equal(result.status, 1, text);
      assert.doesNotMatch(result.stderr, /gave no ID token/, text);
    }
    assert.equal((await sign(programOf('sign-in', signIn('person-1')))).status, 0, 'not locked');
  });
});

describe('an approval by the identity of before a reset', () => {
  let provider, system;
  after(async () => {
    await system?.stop();
    await provider?.stop();
  });

  it('is found out in the log, even if a SAM without its check takes it', async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: delegatedPolicy(provider, { factors: [['pin', 'totp'], ['pin', 'id-token']] }), environment: { sam: { INTAGLIO_DISABLED_CHECK: 'sam.identity.incarnation' } } });
    const identity = { provider, person: 'person-1' };
    const { client, officer, signer } = await signerOf(system, { profile, identity });
    assert.ok(signer.credential);
    const again = new Signer(client, 'alice', { pin: '718203482516', profile });
    await again.enrol(await officer.resetFactors('alice', identityOf('alice')));
    again.credential = await again.generateKey();
    await officer.certify(again.credential, identityOf('alice'));
    again.identity = identity;
    const opened = await again.openSigning({ credential: again.credential, documents });
    assert.equal((await again.submit(await again.message(opened, await again.factors(opened)))).status, 200);
    await system.services.sam.stop();
    const file = system.path('an.approval');
    const { program, words, environment } = system.command('sam', '--export-approval', base64url(opened.parsed.nonce), '--approval-file', file);
    assert.equal(run(program, words, { environment }).status, 0);
    const refused = run(path.join(binaries, 'intaglio'), ['audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', file]);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /the identity was not this signer's at that time/);
  });
});

describe('a policy with passkeys and an identity provider', () => {
  let provider, system;
  after(async () => {
    await system?.stop();
    await provider?.stop();
  });

  it('takes either of them for an approval, and never both, of which one alone would be kept', async () => {
    provider = await IdentityProvider.start();
    const policy = delegatedPolicy(provider);
    system = await System.start({
      policy: () => {
        const document = policy();
        withPasskeys([['pin', 'passkey'], ['pin', 'id-token']])(document);
        return document;
      },
    });
    const { signer } = await signerOf(system, { profile, identity: { provider, person: 'person-1' } });
    const sam = await Sam.connect(system);
    try {
      const passkey = new Passkey();
      await signer.changeFactors({ passkey });
      const opened = await signer.openSigning({ credential: signer.credential, documents });
      const pin = { type: 'pin', value: signer.pin };
      const both = [pin, { type: 'id-token', value: await signer.idToken(opened) }, passkey.answer(signer.bindingOf(opened))];
      await assert.rejects(sam.authorise(await signer.message(opened, both)), { refusal: 'invalid_request' });
      await sam.authorise(await signer.message(opened, [both[0], both[1]]));
      const other = await signer.openSigning({ credential: signer.credential, documents });
      await sam.authorise(await signer.message(other, [pin, passkey.answer(signer.bindingOf(other))]));
    } finally {
      sam.close();
    }
  });
});
