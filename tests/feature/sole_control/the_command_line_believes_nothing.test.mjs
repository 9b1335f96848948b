// The signer's and the officer's command line against a service that lies: each lie is seen before PIN, code or a request leaves the machine.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CompactSign } from 'jose';
import { Client } from '../harness/client.mjs';
import { good } from '../harness/http.mjs';
import { Officer } from '../harness/officer.mjs';
import { parseBase32, sha256 } from '../harness/protocol.mjs';
import { Proxy } from '../harness/proxy.mjs';
import { identityOf, Signer } from '../harness/signer.mjs';
import { binaries, repository, runAside, System, withoutLimits } from '../harness/system.mjs';

const strangerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const strangerJwk = strangerKey.publicKey.export({ format: 'jwk' });

describe('the command line believes nothing', () => {
  let system, client, officer, alice, proxy, registration;
  before(async () => {
    system = await System.start({ policy: (document) => { withoutLimits(document); document.profiles[0].grants = { signatures: 100, days: 2 }; } });
    client = await new Client(system).signIn();
    officer = new Officer(system);
    alice = await new Signer(client, 'alice').ready({ officer });
    proxy = await Proxy.start(system, client);
    registration = await Proxy.start(system, client, { operator: 'operators/ra-1' });
    const point = (file, url) => system.read(file).replace(/base_url = ".*"/, `base_url = "${url}"`);
    writeFileSync(system.path('clients/demo/hostile.toml'), point('clients/demo/client.toml', proxy.url));
    writeFileSync(system.path('operators/ra-1/hostile.toml'), point('operators/ra-1/operator.toml', registration.url));
    const secret = (name, text) => writeFileSync(system.path('secrets', name), text, { mode: 0o600 });
    secret('pin', alice.pin);
    secret('seed', alice.seedText);
  });
  after(async () => {
    proxy?.stop();
    registration?.stop();
    await system?.stop();
  });

  /** Runs the command line in a step of its own, so that its one-time code was never used. */
  async function intaglio(...words) {
    system.moveClock(60);
    return runAside(path.join(binaries, 'intaglio'), words, { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
  }
  const clientFile = () => ['--client', system.path('clients/demo/hostile.toml')];
  const factors = () => ['--pin-file', system.path('secrets/pin'), '--otp-seed-file', system.path('secrets/seed'), '--otp-step-offset', '0'];
  const sign = () => intaglio('sign', '--digest', sha256('a contract').toString('hex'), '--credential', alice.credential, '--suite', 'ecdsa-sha256', '--yes', ...clientFile(), ...factors());
  const newKey = () => intaglio('key', 'new', '--signer', 'alice', '--algorithm', 'p256', '--yes', ...clientFile(), ...factors());
  const signPdf = (name) => intaglio('sign', path.join(repository, 'examples/contract.pdf'), '-o', system.path(name), '--credential', alice.credential, '--yes', ...clientFile(), ...factors());

  const refused = (result, words) => {
    assert.equal(result.status, 1, result.stdout + result.stderr);
    assert.match(result.stderr, words);
  };
  const sentNothing = () => assert.ok(!proxy.seen.includes('/sic/v1/messages'), 'the approval was sent');

  it('signs, makes keys and certifies through a service that does not lie', async () => {
    proxy.reset();
    const result = await sign();
    assert.equal(result.status, 0, result.stderr);
    const key = await newKey();
    assert.equal(key.status, 0, key.stderr);
  });

  const transactions = {
    'another signature application': [(t) => ({ ...t, clientId: 'other' }), /the signature application differs/],
    'a life of a day': [(t) => ({ ...t, expires: t.expires + 86400 }), /lasts longer than it may/],
    'another credential': [(t) => ({ ...t, key: 'another' }), /the credential differs/],
    'another certificate': [(t) => ({ ...t, certificate: sha256('another') }), /the certificate differs/],
    'another suite': [(t) => ({ ...t, suites: [4] }), /the signature suite differs/],
    'another digest': [(t) => ({ ...t, documents: [{ ...t.documents[0], digest: sha256('an invoice') }] }), /the list of documents differs/],
    'another label': [(t) => ({ ...t, documents: [{ ...t.documents[0], label: 'an invoice' }] }), /the list of documents differs/],
    'one document more': [(t) => ({ ...t, documents: [...t.documents, { digest: sha256('an invoice'), label: 'an invoice' }] }), /the list of documents differs/],
  };
  for (const [what, [change, words]] of Object.entries(transactions)) {
    it(`approves no transaction with ${what}`, async () => {
      proxy.alterTransaction(change);
      refused(await sign(), words);
      sentNothing();
    });
  }

  const keys = {
    'for another signer': [(t) => ({ ...t, signer: 'bob' }), /the signer differs/],
    'of another algorithm': [(t) => ({ ...t, suites: [2] }), /the key algorithm differs/],
    'of another profile': [(t) => ({ ...t, profile: 'another' }), /the profile differs/],
  };
  for (const [what, [change, words]] of Object.entries(keys)) {
    it(`asks for no key ${what}`, async () => {
      proxy.alterTransaction(change);
      refused(await newKey(), words);
      sentNothing();
    });
  }

  it('takes no other key than the one that was approved', async () => {
    proxy.reset((url, json) => (json.csr ? { ...json, credentialID: 'another' } : undefined));
    refused(await newKey(), /not the one that was approved/);
  });

  it('seals nothing to a SAM that is not the pinned one', async () => {
    proxy.reset((url, json) => (url === '/sic/v1/sam' ? { ...json, identity: strangerJwk } : undefined));
    refused(await sign(), /another identity key/);
    sentNothing();
  });

  it('seals nothing to a key that the SAM did not vouch for', async () => {
    const now = system.now();
    const statement = await new CompactSign(Buffer.from(JSON.stringify({ kid: 'x', jwk: strangerJwk, iat: now, exp: now + 3600, sam: 'x' })))
      .setProtectedHeader({ alg: 'ES256', typ: 'intaglio-sap-key+jwt', kid: 'x' }).sign(strangerKey.privateKey);
    proxy.reset((url, json) => (json.sapStatement ? { ...json, sapStatement: statement } : undefined));
    refused(await sign(), /a statement that its identity key did not sign/);
    sentNothing();
  });

  it('seals nothing to a key whose time is over', async () => {
    const opened = good('open', await client.post('/sic/v1/keys', { signerID: 'alice', algorithm: 'p256', profile: 'direct-resident' }));
    proxy.reset((url, json) => (json.sapStatement ? { ...json, sapStatement: opened.sapStatement } : undefined));
    system.moveClock(25 * 3600);
    await client.signIn();
    refused(await sign(), /a statement that is not valid now/);
    sentNothing();
  });

  it('enrols with no transaction for another purpose or signer', async () => {
    const code = await officer.createSigner('carol', identityOf('carol'));
    writeFileSync(system.path('secrets/code'), code, { mode: 0o600 });
    const enrol = () => intaglio('enrol', '--signer', 'carol', '--code-file', system.path('secrets/code'), '--pin-file', system.path('secrets/pin'), '--no-qr', '--yes', ...clientFile());
    proxy.alterTransaction((t) => ({ ...t, purpose: 'sign', key: 'x', hash: 1, suites: [7], documents: [{ digest: sha256('x'), label: 'x' }] }));
    refused(await enrol(), /its purpose differs/);
    sentNothing();
    proxy.alterTransaction((t) => ({ ...t, signer: 'dave' }));
    refused(await enrol(), /the signer differs/);
    sentNothing();
    proxy.reset();
    const result = await enrol();
    assert.equal(result.status, 0, result.stderr);
  });

  it('grants no seals under a transaction that is not what was asked for', async () => {
    const grant = () => intaglio('seal', 'grant', '--credential', alice.credential, '--suite', 'ecdsa-sha256', '--key', system.path('secrets/seal.pem'), '--signatures', '10', '--days', '1', ...clientFile(), ...factors());
    const lies = [
      [(t) => ({ ...t, grant: { ...t.grant, signatures: 1000 } }), /the number of hashes, or the end differs/],
      [(t) => ({ ...t, grant: { ...t.grant, ends: t.grant.ends + 86400 } }), /the number of hashes, or the end differs/],
      [(t) => ({ ...t, grant: { ...t.grant, clientKey: Buffer.alloc(91, 4) } }), /the client's key differs/],
      [(t) => ({ ...t, key: 'another' }), /the credential differs/],
      [(t) => ({ ...t, certificate: Buffer.alloc(32) }), /the certificate differs/],
      [(t) => ({ ...t, suites: [7, 1] }), /the signature suite differs/],
      [(t) => ({ ...t, purpose: 'destroy', suites: [], grant: undefined }), /its purpose differs/],
    ];
    for (const [lie, words] of lies) {
      proxy.alterTransaction(lie);
      refused(await grant(), words);
      sentNothing();
    }
    proxy.reset();
    const result = await grant();
    assert.equal(result.status, 0, result.stderr);
    // The one-time code of this step is used.
    system.moveClock(60);
  });

  it('changes factors and keys with no transaction for another signer or key, and does what was asked when nobody lies', async () => {
    writeFileSync(system.path('secrets/new-pin'), '730194285163', { mode: 0o600 });
    const changePin = () => intaglio('signer', 'change-pin', '--signer', 'alice', '--new-pin-file', system.path('secrets/new-pin'), ...clientFile(), ...factors());
    const changeSeed = () => intaglio('signer', 'change-seed', '--signer', 'alice', '--seed-file', system.path('secrets/new-seed'), '--no-qr', ...clientFile(), ...factors());
    const change = (what, credential) => intaglio('key', what, '--credential', credential, ...clientFile(), ...factors());
    const credential = await alice.generateKey();
    await officer.certify(credential, identityOf('alice'));
    proxy.alterTransaction((t) => ({ ...t, signer: 'bob' }));
    refused(await changePin(), /the signer differs/);
    refused(await changeSeed(), /the signer differs/);
    sentNothing();
    proxy.alterTransaction((t) => ({ ...t, key: 'another' }));
    refused(await change('suspend', credential), /the credential differs/);
    refused(await change('destroy', credential), /the credential differs/);
    proxy.alterTransaction((t) => ({ ...t, purpose: 'destroy' }));
    refused(await change('suspend', credential), /its purpose differs/);
    sentNothing();

    proxy.reset();
    const done = async (result) => assert.equal((await result).status, 0, (await result).stderr);
    await done(change('suspend', credential));
    await done(change('destroy', credential));
    await done(changePin());
    writeFileSync(system.path('secrets/pin'), '730194285163', { mode: 0o600 });
    await done(changeSeed());
    writeFileSync(system.path('secrets/seed'), readFileSync(system.path('secrets/new-seed')), { mode: 0o600 });
    alice.pin = '730194285163';
    alice.seed = parseBase32(readFileSync(system.path('secrets/seed'), 'utf8'));
    await done(sign());
  });

  it('takes no signature that does not verify', async () => {
    let earlier;
    proxy.reset((url, json) => { earlier = json.signatures ?? earlier; });
    assert.equal((await intaglio('sign', '--digest', sha256('another contract').toString('hex'), '--credential', alice.credential, '--yes', ...clientFile(), ...factors())).status, 0);
    proxy.reset((url, json) => (json.signatures ? { ...json, signatures: earlier } : undefined));
    refused(await sign(), /does not verify with the certificate's key/);
  });

  it('takes no receipt of another entry, and none under another key', async () => {
    proxy.reset((url, json) => (url.startsWith('/sic/v1/receipts/') ? { ...json, index: json.index + 1 } : undefined));
    const other = await signPdf('other.pdf');
    assert.match(other.stdout + other.stderr, /the receipt is of another entry/);
    proxy.reset((url, json) => (url === '/sic/v1/sam' ? { ...json, checkpoint: strangerJwk } : undefined));
    const key = await signPdf('key.pdf');
    assert.match(key.stdout + key.stderr, /another checkpoint key/);
  });

  const desk = () => ['--operator', system.path('operators/ra-1/hostile.toml')];
  const identityFile = (name) => {
    writeFileSync(system.path(`${name}.json`), JSON.stringify(identityOf(name)));
    return system.path(`${name}.json`);
  };
  const certify = (credential, identity = 'alice') => intaglio('ra', 'certify', '--credential', credential, '--identity', identityFile(identity), ...desk());
  const askedFor = (path) => registration.seen.some((url) => url.startsWith(path));

  it('hands out no activation code of another signer', async () => {
    const request = await officer.request('create-signer', { signer: 'erin', identity: identityOf('erin'), deliver_to: officer.jwk });
    const { activationCode } = good('create', await officer.post('/ra/v1/signers', { request }));
    registration.reset((url, json) => (json.activationCode ? { ...json, activationCode } : undefined));
    refused(await intaglio('ra', 'signer-create', '--signer', 'frank', '--identity', identityFile('frank'), ...desk()), /activation code is for another signer/);
    refused(await intaglio('ra', 'reset-factors', '--signer', 'frank', '--identity', identityFile('frank'), ...desk()), /activation code is for another signer/);
    registration.reset();
    const result = await intaglio('ra', 'reset-factors', '--signer', 'frank', '--identity', identityFile('frank'), '--code-out', system.path('frank.code'), ...desk());
    assert.equal(result.status, 0, result.stderr);
  });

  it('suspends a credential on the operator\'s own request', async () => {
    registration.reset();
    const suspended = await intaglio('ra', 'suspend', '--credential', alice.credential, '--reason', 'phone lost', ...desk());
    assert.equal(suspended.status, 0, suspended.stderr);
    const resumed = await intaglio('ra', 'resume', '--credential', alice.credential, ...desk());
    assert.equal(resumed.status, 0, resumed.stderr);
  });

  it('has no key certified that the SAM does not vouch for', async () => {
    const mine = await alice.generateKey();
    const other = await alice.generateKey();
    const pendingOther = good('request', await officer.get(`/ra/v1/requests/${other}`));
    const lies = [
      [{ keyAssertion: (text) => text.replace(/.....$/, 'AAAAA') }, /its signature/],
      [{ keyAssertion: () => pendingOther.keyAssertion }, /signer or credential/],
      [{ csr: () => pendingOther.csr }, /the public key/],
    ];
    for (const [changes, words] of lies) {
      registration.reset((url, json) => {
        if (!url.startsWith('/ra/v1/requests/')) return;
        for (const [name, change] of Object.entries(changes)) json[name] = change(json[name]);
      });
      refused(await certify(mine), words);
      assert.ok(!askedFor('/ra/v1/certificates'), 'a certificate was asked for');
    }
    registration.reset();
    refused(await certify(mine, 'mallory'), /identity is not the one/);
    assert.ok(!askedFor('/ra/v1/certificates'), 'a certificate was asked for');
    registration.reset((url, json) => (json.certificates ? { ...json, certificates: alice.chain.map((one) => one.toString('base64')) } : undefined));
    refused(await certify(mine), /certificate is for another key/);
    assert.ok(!askedFor('/ra/v1/bindings'), 'a binding was asked for');
    registration.reset();
    const result = await certify(other);
    assert.equal(result.status, 0, result.stderr);
    assert.ok(readFileSync(system.path('alice.json')).length > 0);
  });
});
