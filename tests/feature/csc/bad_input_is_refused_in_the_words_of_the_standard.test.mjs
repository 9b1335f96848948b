// Wrong requests to every endpoint of a running service: status, code and text as the CSC API says, and the token is never asked.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { send, sendForm } from '../harness/http.mjs';
import { sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const missing = (name) => `Missing (or invalid type) string parameter ${name}`;
const invalid = (name) => `Invalid parameter ${name}`;
const digest = sha256('one').toString('base64');
const absent = Symbol('the member is absent');

describe('bad input', () => {
  let system, sam, client, officer, alice, bob, right;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ client, officer, signer: alice } = await signerOf(system, { id: 'alice' }));
    bob = (await signerOf(system, { id: 'bob', pin: '571938' })).signer;
    sam = await Sam.connect(system);
    const documents = documentsOf('one', 'two');
    const sad = await alice.approve({ credential: alice.credential, documents });
    right = {
      '/csc/v2/info': {},
      '/csc/v2/credentials/list': { userID: 'alice' },
      '/csc/v2/credentials/info': { credentialID: alice.credential },
      '/csc/v2/credentials/authorize': { credentialID: alice.credential, numSignatures: 1, PIN: '123456' },
      '/csc/v2/signatures/signHash': { credentialID: alice.credential, SAD: sad, hashes: [documents[0].digest.toString('base64')], hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', signAlgo: '1.2.840.10045.4.3.2' },
      '/sic/v1/transactions': { credentialID: alice.credential, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', documents: [{ hash: digest, label: 'one' }] },
      '/sic/v1/enrolments': { signerID: 'alice' },
      '/sic/v1/keys': { signerID: 'alice', algorithm: 'p256', profile: 'direct-resident' },
      '/sic/v1/messages': { message: 'a.b.c.d.e' },
    };
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const list = '/csc/v2/credentials/list';
  const info = '/csc/v2/credentials/info';
  const authorize = '/csc/v2/credentials/authorize';
  const sign = '/csc/v2/signatures/signHash';
  const open = '/sic/v1/transactions';
  const enrol = '/sic/v1/enrolments';
  const keys = '/sic/v1/keys';
  const messages = '/sic/v1/messages';
  /** [what is wrong, path, members to replace, text]; status 400, error invalid_request. */
  const cases = [
    ['lang is a number', '/csc/v2/info', { lang: 5 }, invalid('lang')],
    ['no userID', list, { userID: absent }, invalid('userID')],
    ['userID is a number', list, { userID: 7 }, invalid('userID')],
    ['userID is a path', list, { userID: '../alice' }, invalid('userID')],
    ['userID is too long', list, { userID: 'a'.repeat(65) }, invalid('userID')],
    ['certificates is no word of the table', list, { certificates: 'all' }, invalid('certificates')],
    ['credentialInfo is a number', list, { credentialInfo: 1 }, invalid('credentialInfo')],
    ['onlyValid is a list', list, { onlyValid: [] }, invalid('onlyValid')],
    ['clientData is an object', list, { clientData: {} }, invalid('clientData')],
    ['no credentialID', info, { credentialID: absent }, missing('credentialID')],
    ['credentialID is a number', info, { credentialID: 5 }, missing('credentialID')],
    ['credentialID is unknown', info, { credentialID: 'nobody-1' }, invalid('credentialID')],
    ['credentialID holds a blank', info, { credentialID: 'a b' }, invalid('credentialID')],
    ['credentialID is too long', info, { credentialID: 'k'.repeat(500) }, invalid('credentialID')],
    ['certificates is no word of the table', info, { certificates: 'full' }, invalid('certificates')],
    ['numSignatures is a text', authorize, { numSignatures: '1' }, 'Missing (or invalid type) integer parameter numSignatures'],
    ['numSignatures is zero', authorize, { numSignatures: 0 }, 'Invalid value for parameter numSignatures'],
    ['a PIN for a SCAL2 credential', authorize, {}, 'The credential is not authorized by credentials/authorize: its auth/mode is oauth2code'],
    ['no SAD', sign, { SAD: absent }, missing('SAD')],
    ['SAD is an object', sign, { SAD: {} }, missing('SAD')],
    ['SAD is empty', sign, { SAD: '' }, invalid('SAD')],
    ['SAD is no JWS', sign, { SAD: 'secret' }, invalid('SAD')],
    ['no credentialID', sign, { credentialID: absent }, missing('credentialID')],
    ['credentialID is a list', sign, { credentialID: ['x'] }, missing('credentialID')],
    ['credentialID is unknown', sign, { credentialID: 'nobody-1' }, invalid('credentialID')],
    ['no hashes', sign, { hashes: absent }, 'Missing (or invalid type) array parameter hash'],
    ['hashes is a text', sign, { hashes: digest }, 'Missing (or invalid type) array parameter hash'],
    ['hashes holds a number', sign, { hashes: [5] }, 'Missing (or invalid type) array parameter hash'],
    ['hashes is empty', sign, { hashes: [] }, 'Empty hash array'],
    ['a digest that is too short', sign, { hashes: ['AAAA'] }, 'Invalid digest value length'],
    ['a digest without padding', sign, { hashes: [digest.replace('=', '')] }, 'Invalid Base64 hash string parameter'],
    ['a digest of another algorithm', sign, { hashes: [Buffer.alloc(48).toString('base64')] }, 'Invalid digest value length'],
    ['a digest that was not approved', sign, { hashes: [sha256('never').toString('base64')] }, 'Hash is not authorized by the SAD.'],
    ['no signAlgo', sign, { signAlgo: absent }, missing('signAlgo')],
    ['signAlgo is unknown', sign, { signAlgo: '1.2.3' }, invalid('signAlgo')],
    ['signAlgo is SHA-1', sign, { signAlgo: '1.2.840.113549.1.1.5' }, invalid('signAlgo')],
    ['signAlgo of another kind of key', sign, { signAlgo: '1.2.840.113549.1.1.11' }, invalid('signAlgo')],
    ['PSS without parameters', sign, { signAlgo: '1.2.840.113549.1.1.10' }, missing('signAlgoParams')],
    ['PSS with rubbish for parameters', sign, { signAlgo: '1.2.840.113549.1.1.10', signAlgoParams: 'AQID' }, invalid('signAlgoParams')],
    ['hashAlgorithmOID contradicts signAlgo', sign, { hashAlgorithmOID: '2.16.840.1.101.3.4.2.3' }, invalid('hashAlgorithmOID')],
    ['operationMode is asynchronous', sign, { operationMode: 'A' }, invalid('operationMode')],
    ['clientData is a list', sign, { clientData: [] }, invalid('clientData')],
    ['no credentialID', open, { credentialID: absent }, missing('credentialID')],
    ['credentialID is unknown', open, { credentialID: 'nobody-1' }, invalid('credentialID')],
    ['no hashAlgorithmOID', open, { hashAlgorithmOID: absent }, missing('hashAlgorithmOID')],
    ['hashAlgorithmOID is SHA-1', open, { hashAlgorithmOID: '1.3.14.3.2.26' }, invalid('hashAlgorithmOID')],
    ['no documents', open, { documents: absent }, 'Missing (or invalid type) array parameter documents'],
    ['documents is empty', open, { documents: [] }, 'Empty documents array'],
    ['a document that is a text', open, { documents: ['one'] }, 'Missing (or invalid type) string parameter hash or label of a document'],
    ['a document with a short digest', open, { documents: [{ hash: 'AAAA', label: 'x' }] }, 'Invalid digest value length'],
    ['a label that is empty', open, { documents: [{ hash: digest, label: '' }] }, invalid('label')],
    ['a label that is too long', open, { documents: [{ hash: digest, label: 'x'.repeat(257) }] }, invalid('label')],
    ['a label with a control character', open, { documents: [{ hash: digest, label: 'a\u0007b' }] }, invalid('label')],
    ['a label that turns the direction of text', open, { documents: [{ hash: digest, label: 'a\u202eb' }] },
      'The request is missing a required parameter, includes an invalid parameter value or is otherwise malformed'],
    ['suites names an unknown suite', open, { suites: ['rsa-md5'] }, invalid('suites')],
    ['suites names one twice', open, { suites: ['ecdsa-sha256', 'ecdsa-sha256'] }, invalid('suites')],
    ['no signerID', enrol, { signerID: absent }, missing('signerID')],
    ['signerID is a path', enrol, { signerID: 'a/b' }, invalid('signerID')],
    ['no signerID', keys, { signerID: absent }, missing('signerID')],
    ['algorithm is unknown', keys, { algorithm: 'rsa1024' }, invalid('algorithm')],
    ['profile is empty', keys, { profile: '' }, invalid('profile')],
    ['no message', messages, { message: absent }, missing('message')],
    ['message is an object', messages, { message: {} }, missing('message')],
    ['message is no JWE', messages, {}, invalid('message')],
  ];

  it(`answers each of ${cases.length} wrong requests with its status, code and text, and the token is never asked`, async () => {
    assert.ok(cases.length >= 60);
    const before = await sam.signatures();
    const wrong = [];
    for (const [what, path, members, text] of cases) {
      const body = { ...right[path], ...members };
      for (const [name, value] of Object.entries(body)) if (value === absent) delete body[name];
      const answer = await client.post(path, body);
      const seen = { status: answer.status, error: answer.json?.error, text: answer.json?.error_description };
      if (seen.status !== 400 || seen.error !== 'invalid_request' || seen.text !== text) wrong.push(`${path}: ${what}: ${JSON.stringify(seen)} instead of ${text}`);
    }
    assert.deepEqual(wrong, []);
    assert.equal(await sam.signatures(), before);
    assert.equal((await client.post(sign, right[sign])).status, 200, 'the request that every case changes is right');
  });

  it('refuses the credential of another signer, an expired SAD and a used one', async () => {
    const documents = documentsOf('mine');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await sam.signatures();
    const request = { credential: alice.credential, sad, digests: [documents[0].digest], suite: 'ecdsa-sha256' };
    const theirs = await client.signHash({ ...request, credential: bob.credential });
    assert.equal(theirs.status, 400);
    assert.equal(theirs.json.error_description, invalid('credentialID'));
    assert.equal(await sam.signatures(), before);
    system.moveClock(400);
    const late = await client.signHash(request);
    assert.equal(late.status, 400);
    assert.equal(late.json.error_description, 'SAD expired');
    assert.equal(await sam.signatures(), before);
  });

  it('says that a signer is locked only as the table has it', async () => {
    for (let attempt = 0; attempt < 4; attempt += 1) {
      const opened = await bob.openSigning({ credential: bob.credential, documents: documentsOf('guessed') });
      const answer = await bob.submit(await bob.message(opened, [{ type: 'pin', value: '918273' }, { type: 'totp', value: bob.otp() }]));
      assert.equal(answer.status, 400);
      assert.deepEqual([answer.json.error, answer.json.error_description],
        attempt < 3 ? ['invalid_authentication_data', 'The authentication data is invalid'] : ['invalid_request', 'Credential locked']);
    }
  });

  it('answers wrong JSON, wrong methods, unknown paths and oversized bodies before anything else', async () => {
    const raw = (path, body, headers = {}, method = 'POST') => send(client.url(path), { method, body, tls: client.tls, headers: { ...client.headers(), 'content-type': 'application/json', ...headers } });
    for (const body of ['', '{', '[]', '"text"', '{"userID":"alice"} x', '{"userID":"a","userID":"b"}', '{"userID":"\xff"}', `${'['.repeat(1000)}${']'.repeat(1000)}`]) {
      assert.equal((await raw(list, body)).status, 400, body.slice(0, 40));
    }
    // Only the length is announced: the answer must come before the body.
    const oversized = tls.connect({ host: '127.0.0.1', port: system.ports.ssa_public, ca: readFileSync(system.path('tls/ca.pem')) });
    oversized.write(`POST ${list} HTTP/1.1\r\nHost: 127.0.0.1:${system.ports.ssa_public}\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n`);
    const [head] = await once(oversized, 'data');
    assert.match(head.toString(), /^HTTP\/1\.1 413 /);
    oversized.destroy();
    assert.ok([404, 405].includes((await raw(list, undefined, {}, 'GET')).status));
    assert.ok([404, 405].includes((await raw(sign, undefined, {}, 'DELETE')).status));
    assert.ok([400, 404, 501].includes((await raw('/csc/v2/signatures/timestamp', '{}')).status));
    assert.equal((await raw('/nothing', '{}')).status, 404);
    assert.ok([400, 431].includes((await raw(list, '{}', { 'x-long': 'x'.repeat(9000) })).status));
  });

  it('refuses client assertions and grants that are not right', async () => {
    const stranger = new Signer(client, 'x');
    assert.ok(stranger);
    const now = system.now();
    const cases = {
      'of another audience': { aud: 'https://elsewhere.example' }, 'of another client': { sub: 'other' }, expired: { exp: now - 60 },
      'that lives too long': { exp: now + 86400 }, 'issued in the future': { iat: now + 600, nbf: now + 600 },
    };
    for (const [what, claims] of Object.entries(cases)) {
      const answer = await client.requestToken({ client_assertion: await client.assertion(claims) });
      if (what === 'issued in the future' && answer.status === 200) continue;
      assert.ok([400, 401].includes(answer.status), what);
      assert.equal(answer.json.access_token, undefined, what);
    }
    for (const changes of [{ grant_type: 'password' }, { grant_type: 'authorization_code' }, { client_assertion: 'a.b.c' }, { client_assertion_type: 'x' }, { client_id: 'nobody' }, { scope: 'everything' }]) {
      const answer = await client.requestToken(changes);
      assert.ok([400, 401].includes(answer.status), JSON.stringify(changes));
      assert.equal(answer.json.access_token, undefined);
    }
    const twice = await send(client.url('/csc/v2/oauth2/token'), { method: 'POST', body: 'grant_type=client_credentials&grant_type=client_credentials', tls: client.tls, headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    assert.ok([400, 401].includes(twice.status));
    assert.ok([400, 401].includes((await sendForm(client.url('/csc/v2/oauth2/token'), {}, { tls: client.tls })).status));
  });

  it('lets nobody without an operator\'s certificate speak to the registration listener', async () => {
    await assert.rejects(send(`${system.registrationUrl}/ra/v1/requests/x`, { tls: system.tls() }));
    for (const [path, body] of [['/ra/v1/signers', {}], ['/ra/v1/signers', { request: 5 }], ['/ra/v1/signers', { request: 'a.b.c' }], ['/ra/v1/certificates', { request: '' }], ['/ra/v1/suspensions', {}], ['/ra/v1/revocations', { request: 'x'.repeat(1000) }]]) {
      const answer = await officer.post(path, body);
      assert.ok(answer.status >= 400 && answer.status < 500, `${path} ${JSON.stringify(body).slice(0, 40)}: ${answer.status}`);
    }
  });
});
