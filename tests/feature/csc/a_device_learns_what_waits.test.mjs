// A registered device shows itself with its key, is told what waits for its signer and for nobody else, and opens it in the place of the page. The SAM
// says whose device asks; nothing but a SAP message approves.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Device, withDevices } from '../harness/device.mjs';
import { good, sendJson } from '../harness/http.mjs';
import { base64url, comparisonOf, digestOf, hashOids } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, binaries, runAside, withoutLimits } from '../harness/system.mjs';

const page = 'https://page.invalid/approve';
const policy = (document) => {
  withoutLimits(document);
  withDevices([['pin', 'totp'], ['pin', 'device']])(document);
};

describe('a registered device', () => {
  let system, sam, client, alice, bob;
  before(async () => {
    system = await System.start({ policy, configure: { ssa: (text) => text.replace('approval_page = ""', `approval_page = "${page}"`) } });
    ({ client, signer: alice } = await signerOf(system, { device: new Device() }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938', device: new Device() })).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  // Another minute: an address may show devices thirty times in each.
  beforeEach(() => system.moveClock(61));

  const call = (what, body, bearer) => sendJson(client.url(`/sic/v1/devices/${what}`), body, { tls: client.tls, headers: bearer ? { authorization: `Bearer ${bearer}` } : {} });
  const decide = (what, body, bearer) => sendJson(client.url(`/sic/v1/approvals/${what}`), body, { tls: client.tls, headers: { authorization: `Bearer ${bearer}` } });
  const signIn = async (signer = alice) => {
    const { bearer } = good('sign in', await call('sessions', { request: signer.device.asks(signer.id, system.now()) }));
    return system.secret('the bearer of a device', bearer);
  };
  const waiting = async (bearer, body = {}) => good('waiting', await call('waiting', body, bearer)).approvals;
  /** The application asks for this signer; gives what it is told. */
  const ask = async (text, signer = alice) => {
    const answer = await client.post('/csc/v2/credentials/authorize', {
      credentialID: signer.credential, numSignatures: 1, hashes: [digestOf('sha256', text).toString('base64')], hashAlgorithmOID: hashOids.sha256,
    });
    assert.equal(answer.status, 202, answer.text);
    return answer.json;
  };
  const refused = (answer, text, status = 400) => assert.deepEqual([answer.status, answer.json.error_description], [status, text]);
  /** Nothing of an earlier test waits. */
  const cleared = async (signer = alice) => {
    const bearer = await signIn(signer);
    for (const { id } of await waiting(bearer)) {
      const { bearer: opened } = good('open', await call('openings', { id }, bearer));
      good('decline', await decide('refusals', {}, opened));
    }
    return bearer;
  };

  it('is told who asks for what, opens it, and approves: the application gets its authorisation', async () => {
    const bearer = await cleared();
    assert.deepEqual(await waiting(bearer), []);
    const { handle, comparison } = await ask('a contract');
    const [told, ...more] = await waiting(bearer);
    assert.deepEqual(more, []);
    assert.deepEqual(Object.keys(told).sort(), ['application', 'documents', 'expires', 'id']);
    assert.deepEqual(told.documents.map(({ digest }) => digest), [base64url(digestOf('sha256', 'a contract'))]);
    const opened = good('open', await call('openings', { id: told.id }, bearer));
    const taken = await alice.take(opened, 'sign');
    assert.equal(taken.parsed.clientName, told.application);
    assert.equal(comparison, comparisonOf(taken.transaction));
    assert.deepEqual(good('approve', await decide('messages', { message: await alice.message(taken, alice.factors(taken)) }, opened.bearer)), { redirect: null });
    const sad = system.secret('a SAD', good('check', await client.post('/csc/v2/credentials/authorizeCheck', { handle })).SAD);
    const { signatures } = good('signHash', await client.signHash({ credential: alice.credential, sad, digests: [digestOf('sha256', 'a contract')], suite: 'ecdsa-sha256' }));
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('a contract'), key, Buffer.from(signatures[0], 'base64')));
    assert.deepEqual(await waiting(bearer), [], 'and nothing waits any more');
  });

  it('waits until something comes, and is answered when nothing does', async () => {
    const bearer = await cleared();
    const later = waiting(bearer, { wait: 10 });
    await ask('comes later');
    assert.equal((await later).length, 1);
    assert.deepEqual(await waiting(await cleared(bob), { wait: 1 }), []);
    for (const wait of [-1, 11, 1.5, '1', true]) refused(await call('waiting', { wait }, bearer), 'Invalid parameter wait');
  });

  it('is shown nothing that waits for another signer, and opens nothing of his', async () => {
    const [hers, his] = [await cleared(), await cleared(bob)];
    await ask('for bob', bob);
    assert.deepEqual(await waiting(hers), []);
    const [{ id }] = await waiting(his);
    refused(await call('openings', { id }, hers), 'Invalid parameter id');
    good('open', await call('openings', { id }, his));
    refused(await call('openings', { id }, his), 'Invalid parameter id');
    for (const wrong of ['', 'AAAA', '+', `${id}A`]) assert.equal((await call('openings', { id: wrong }, his)).status, 400, wrong);
  });

  it('opens what nobody opened: the page and the device exclude each other', async () => {
    const bearer = await cleared();
    const exchange = (uri) => sendJson(client.url('/sic/v1/approvals'), { handle: uri.split('#')[1] }, { tls: client.tls });
    const first = await ask('opened on the page');
    const [{ id }] = await waiting(bearer);
    good('exchange', await exchange(first.approvalUri));
    assert.deepEqual(await waiting(bearer), []);
    refused(await call('openings', { id }, bearer), 'Invalid parameter id');
    const second = await ask('opened by the device');
    const [{ id: other }] = await waiting(bearer);
    good('open', await call('openings', { id: other }, bearer));
    refused(await exchange(second.approvalUri), 'Invalid parameter handle');
  });

  it('is shown nothing that is not recognised, or asks twice, or at another time', async () => {
    const now = () => system.now();
    const once = alice.device.asks('alice', now());
    good('once', await call('sessions', { request: once }));
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey;
    const [head, body, mark] = alice.device.asks('alice', now()).split('.');
    const wrong = {
      'the same again': once,
      'another signer in her name': bob.device.asks('alice', now()),
      "another signer's device under her device's name": bob.device.asks('alice', now(), { name: alice.device.name }),
      "her device for another signer": alice.device.asks('bob', now()),
      'a signer that does not exist': new Device().asks('nobody', now()),
      'a device that nobody registered': new Device().asks('alice', now()),
      'two minutes old': alice.device.asks('alice', now() - 120),
      'of two minutes from now': alice.device.asks('alice', now() + 120),
      'another typ': alice.device.asks('alice', now(), { header: { typ: 'intaglio-seal+jwt' } }),
      'no typ': alice.device.asks('alice', now(), { header: { typ: undefined } }),
      'alg none': alice.device.asks('alice', now(), { header: { alg: 'none' } }),
      'alg ES384': alice.device.asks('alice', now(), { header: { alg: 'ES384' } }),
      'another curve': alice.device.asks('alice', now(), { key: p384 }),
      'a key of its own': alice.device.asks('alice', now(), { header: { jwk: createPublicKey(alice.device.privateKey).export({ format: 'jwk' }) } }),
      'a name without a signer': alice.device.asks('alice', now(), { header: { kid: base64url(alice.device.name) } }),
      'a signer without a name': alice.device.asks('alice', now(), { header: { kid: 'alice.' } }),
      'no kid': alice.device.asks('alice', now(), { header: { kid: undefined } }),
      'no time': alice.device.asks('alice', now(), { payload: { iat: undefined } }),
      'a time in text': alice.device.asks('alice', now(), { payload: { iat: String(now()) } }),
      'no id': alice.device.asks('alice', now(), { payload: { jti: undefined } }),
      'a short id': alice.device.asks('alice', now(), { payload: { jti: 'short' } }),
      'a claim more': alice.device.asks('alice', now(), { payload: { signer: 'bob' } }),
      'tampered': [head, Buffer.from(JSON.stringify({ jti: 'another-id-of-her-own', iat: now() })).toString('base64url'), mark].join('.'),
      'unsigned': [head, body, ''].join('.'),
      'too long': alice.device.asks('alice', now(), { payload: { jti: 'x'.repeat(4000) } }),
      'nothing': 'a.b.c',
      'an approval of hers': base64url(alice.device.sign(Buffer.from('anything'))),
    };
    for (const [what, request] of Object.entries(wrong)) {
      const answer = await call('sessions', { request });
      assert.deepEqual([what, answer.status, answer.json.error_description], [what, 400, 'Invalid parameter request']);
    }
    for (const [what, refusal] of [['another signer in her name', 'authentication_failed'], ['a signer that does not exist', 'authentication_failed'], ['the same again', 'replayed'], ['two minutes old', 'invalid_request']]) {
      await assert.rejects(sam.recognise(wrong[what]), { refusal }, what);
    }
    await system.restart('sam', { signal: 'SIGKILL' });
    sam.close();
    sam = await Sam.connect(system);
    await assert.rejects(sam.recognise(once), { refusal: 'replayed' }, 'after a restart');
    assert.equal(await sam.recognise(alice.device.asks('alice', now())), 'alice');
  });

  it('forgets it after ten minutes, and its bearer is for nothing else', async () => {
    const bearer = await cleared();
    await ask('seen for ten minutes');
    const [{ id }] = await waiting(bearer);
    const opened = good('open', await call('openings', { id }, bearer));
    assert.equal((await decide('refusals', {}, bearer)).status, 401, "a device's bearer declines nothing");
    assert.equal((await call('waiting', {}, opened.bearer)).status, 401, "an approval's bearer is shown nothing");
    assert.equal((await call('waiting', {}, client.token)).status, 401, "an application's token is shown nothing");
    assert.equal((await call('waiting', {})).status, 400, 'nobody is shown nothing');
    assert.equal((await client.post('/csc/v2/credentials/list', {}, { authorization: `Bearer ${bearer}` })).status, 401);
    system.moveClock(601);
    assert.equal((await call('waiting', {}, bearer)).status, 401);
    await cleared();
  });

  it('opens nothing once it is replaced, although it may see for ten minutes what waits', async () => {
    const carol = (await signerOf(system, { id: 'carol', pin: '603917', device: new Device() })).signer;
    const lost = carol.device;
    await carol.changeFactors({ device: new Device(), dropDevices: true });
    refused(await call('sessions', { request: lost.asks('carol', system.now()) }), 'Invalid parameter request');
  });

  it('by the command line: the digits of the application are compared, and other digits decline', async () => {
    await cleared();
    const secret = (name, text) => writeFileSync(system.path('secrets', name), text, { mode: 0o600 });
    secret('pin', alice.pin);
    const key = alice.device.keep(system.path('secrets/device.pem'));
    const approve = (...words) => runAside(path.join(binaries, 'intaglio'), ['approve', '--device', system.path('device.toml'), '--signer', 'alice', '--device-key', key,
      '--pin-file', system.path('secrets/pin'), '--wait', '0', '--digest', digestOf('sha256', 'by hand').toString('hex'), '--yes', ...words], { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
    const nothing = await approve('--compare', '00');
    assert.equal(nothing.status, 1);
    assert.match(nothing.stderr, /nothing waits for alice/);
    const other = await ask('by hand');
    const digits = String((Number(other.comparison) + 1) % 100).padStart(2, '0');
    const declined = await approve('--compare', digits);
    assert.equal(declined.status, 1);
    assert.match(declined.stderr, /not the digits of this request/);
    assert.equal((await client.post('/csc/v2/credentials/authorizeCheck', { handle: other.handle })).json.error, 'access_denied');
    const asked = await ask('by hand');
    const done = await approve('--compare', asked.comparison);
    assert.equal(done.status, 0, done.stdout + done.stderr);
    system.secret('a SAD', good('check', await client.post('/csc/v2/credentials/authorizeCheck', { handle: asked.handle })).SAD);
  });
});
