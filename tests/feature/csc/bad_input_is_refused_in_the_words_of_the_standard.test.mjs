// Wrong requests to every endpoint of a running service: status, code and text as the CSC API says, and the token is never asked.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import tls from 'node:tls';
import { send, sendForm } from '../harness/http.mjs';
import { sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
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
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
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
    ['operationMode is another', sign, { operationMode: 'B' }, invalid('operationMode')],
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

  const raw = (path, body, headers = {}, method = 'POST') =>
    send(client.url(path), { method, body, tls: client.tls, headers: { ...client.headers(), 'content-type': 'application/json', ...headers } });
  const desk = (path, op, body, options) => async () => officer.post(path, { request: await officer.request(op, body, options) });
  const token = (changes) => async () => client.requestToken({ client_assertion: await client.assertion(changes) });
  const grant = (changes) => () => client.requestToken(changes);
  const late = () => ({ changes: { iat: system.now() - 3600 } });
  const deskText = 'The request was refused';
  const notJson = 'The body of the request is not a JSON object, or a member came twice';
  /** [endpoint, what is wrong, request, status, error, text]. */
  const everywhere = [
    [list, 'an empty body', () => raw(list, ''), 400, 'invalid_request', invalid('userID')],
    [list, 'half a document', () => raw(list, '{'), 400, 'invalid_request', notJson],
    [list, 'a list instead of an object', () => raw(list, '[]'), 400, 'invalid_request', notJson],
    [list, 'a text instead of an object', () => raw(list, '"text"'), 400, 'invalid_request', notJson],
    [list, 'bytes after the document', () => raw(list, '{"userID":"alice"} x'), 400, 'invalid_request', notJson],
    [list, 'a member twice', () => raw(list, '{"userID":"a","userID":"b"}'), 400, 'invalid_request', notJson],
    [list, 'text that is not UTF-8', () => raw(list, Buffer.from('{"userID":"\xff"}', 'latin1')), 400, 'invalid_request', notJson],
    [list, 'a thousand lists in each other', () => raw(list, `${'['.repeat(1000)}${']'.repeat(1000)}`), 400, 'invalid_request', notJson],
    [list, 'another type of content', () => raw(list, '{"userID":"alice"}', { 'content-type': 'text/plain' }), 400, 'invalid_request', 'The content type of a request is application/json'],
    [list, 'a header of 9 kB', () => raw(list, '{}', { 'x-long': 'x'.repeat(9000) }), 431, 'invalid_request', 'The header is too large'],
    [list, 'GET', () => raw(list, undefined, {}, 'GET'), 405, 'method_not_allowed', 'This path knows other methods'],
    [list, 'no access token', () => raw(list, '{}', { authorization: '' }), 400, 'invalid_request', 'Malformed authorization header.'],
    [list, 'a token that is none', () => raw(list, '{}', { authorization: 'Bearer nonsense' }), 401, 'invalid_token', 'The token provided is not a valid OAuth access or refresh token'],
    [sign, 'DELETE', () => raw(sign, undefined, {}, 'DELETE'), 405, 'method_not_allowed', 'This path knows other methods'],
    ['/csc/v2/signatures/timestamp', 'a method that is not offered', () => raw('/csc/v2/signatures/timestamp', '{}'), 501, 'not_implemented', 'The method is not implemented'],
    ['/nothing', 'an unknown path', () => raw('/nothing', '{}'), 404, 'not_found', 'There is nothing at this path'],
    ['/sic/v1/sam', 'no access token', () => raw('/sic/v1/sam', undefined, { authorization: '' }, 'GET'), 400, 'invalid_request', 'Malformed authorization header.'],
    ['/sic/v1/sam', 'POST', () => raw('/sic/v1/sam', '{}'), 405, 'method_not_allowed', 'This path knows other methods'],
    ['/sic/v1/receipts', 'no number', () => raw('/sic/v1/receipts/one', undefined, {}, 'GET'), 400, 'invalid_request', invalid('index')],
    ['/sic/v1/receipts', 'no leaf', () => raw('/sic/v1/receipts/1', undefined, {}, 'GET'), 400, 'invalid_request', invalid('leaf')],
    ['/sic/v1/receipts', 'an unknown number', () => raw(`/sic/v1/receipts/999999?leaf=${sha256('x').toString('base64url')}`, undefined, {}, 'GET'), 404, 'not_found', 'There is no such object'],
    ['/csc/v2/oauth2/token', 'nothing', () => sendForm(client.url('/csc/v2/oauth2/token'), {}, { tls: client.tls }), 400, 'invalid_request', 'Missing parameter client_id'],
    ['/csc/v2/oauth2/token', 'a member twice', () => send(client.url('/csc/v2/oauth2/token'), { method: 'POST', body: 'grant_type=client_credentials&grant_type=client_credentials', tls: client.tls, headers: { 'content-type': 'application/x-www-form-urlencoded' } }), 400, 'invalid_request', 'A parameter is malformed or came twice'],
    ['/csc/v2/oauth2/token', 'another grant', grant({ grant_type: 'password' }), 400, 'invalid_request', invalid('grant_type')],
    ['/csc/v2/oauth2/token', 'a code that is missing', grant({ grant_type: 'authorization_code' }), 400, 'invalid_request', 'Missing parameter code'],
    ['/csc/v2/oauth2/token', 'a refresh token that is missing', grant({ grant_type: 'refresh_token' }), 400, 'invalid_request', 'Missing parameter refresh_token'],
    ['/csc/v2/oauth2/token', 'no assertion', grant({ client_assertion: 'a.b.c' }), 401, 'invalid_client', invalid('client_assertion')],
    ['/csc/v2/oauth2/token', 'another type of assertion', grant({ client_assertion_type: 'x' }), 400, 'invalid_request', invalid('client_assertion_type')],
    ['/csc/v2/oauth2/token', 'an unknown client', grant({ client_id: 'nobody' }), 400, 'invalid_request', invalid('client_id')],
    ['/csc/v2/oauth2/token', 'another scope', grant({ scope: 'everything' }), 400, 'invalid_scope', 'The requested scope is invalid, unknown, or malformed'],
    ['/csc/v2/oauth2/token', 'an assertion for another audience', token({ aud: 'https://elsewhere.example' }), 401, 'invalid_client', invalid('client_assertion')],
    ['/csc/v2/oauth2/token', 'an assertion of another client', token({ sub: 'other' }), 401, 'invalid_client', invalid('client_assertion')],
    ['/csc/v2/oauth2/token', 'an expired assertion', () => token({ exp: system.now() - 60 })(), 401, 'invalid_client', invalid('client_assertion')],
    ['/csc/v2/oauth2/token', 'an assertion that lives for a day', () => token({ exp: system.now() + 86400 })(), 401, 'invalid_client', invalid('client_assertion')],
    ['/csc/v2/oauth2/token', 'an assertion of the future', () => token({ iat: system.now() + 600, nbf: system.now() + 600, exp: system.now() + 660 })(), 401, 'invalid_client', invalid('client_assertion')],
    ['/ra/v1/signers', 'no request', () => officer.post('/ra/v1/signers', {}), 400, 'invalid_request', deskText],
    ['/ra/v1/signers', 'a request that is a number', () => officer.post('/ra/v1/signers', { request: 5 }), 400, 'invalid_request', deskText],
    ['/ra/v1/signers', 'a request that is no JWS', () => officer.post('/ra/v1/signers', { request: 'a.b.c' }), 400, 'invalid_request', deskText],
    ['/ra/v1/signers', 'an expired request', () => desk('/ra/v1/signers', 'create-signer', { signer: 'x', identity: {}, deliver_to: officer.jwk }, late())(), 403, 'not_authorised', deskText],
    ['/ra/v1/signers', 'a signer that exists', () => desk('/ra/v1/signers', 'create-signer', { signer: 'alice', identity: identityOf('alice'), deliver_to: officer.jwk })(), 409, 'conflict', deskText],
    ['/ra/v1/signers', 'no identity', () => desk('/ra/v1/signers', 'create-signer', { signer: 'x', deliver_to: officer.jwk })(), 400, 'invalid_request', deskText],
    ['/ra/v1/requests', 'an unknown credential', () => officer.get('/ra/v1/requests/nobody'), 404, 'not_found', deskText],
    ['/ra/v1/certificates', 'an empty request', () => officer.post('/ra/v1/certificates', { request: '' }), 400, 'invalid_request', deskText],
    ['/ra/v1/certificates', 'an unknown credential', () => desk('/ra/v1/certificates', 'issue-certificate', { signer: 'x', key: 'nobody', csr_sha256: 'x', identity: {}, profile: 'natural-person' })(), 404, 'not_found', deskText],
    ['/ra/v1/bindings', 'another operation', () => desk('/ra/v1/bindings', 'resume-key', { key: alice.credential })(), 400, 'invalid_request', deskText],
    ['/ra/v1/bindings', 'an unknown credential', () => desk('/ra/v1/bindings', 'bind-certificate', { key: 'nobody', certificate_sha256: sha256('x').toString('base64url') })(), 404, 'not_found', deskText],
    ['/ra/v1/suspensions', 'nothing', () => officer.post('/ra/v1/suspensions', {}), 400, 'invalid_request', deskText],
    ['/ra/v1/suspensions', 'an unknown credential', () => officer.post('/ra/v1/suspensions', { credentialID: 'nobody', reason: 'x' }), 400, 'credential_unknown', deskText],
    ['/ra/v1/resumptions', 'a key that is not suspended', () => desk('/ra/v1/resumptions', 'resume-key', { key: alice.credential })(), 409, 'conflict', deskText],
    ['/ra/v1/revocations', 'a thousand letters', () => officer.post('/ra/v1/revocations', { request: 'x'.repeat(1000) }), 400, 'invalid_request', deskText],
    ['/ra/v1/revocations', 'no serial number', () => desk('/ra/v1/revocations', 'revoke-certificate', { key: alice.credential })(), 400, 'invalid_request', deskText],
  ];

  it(`answers each of ${everywhere.length} more, at every endpoint, with its status, code and text, and the token is never asked`, async () => {
    const before = await sam.signatures();
    const wrong = [];
    for (const [endpoint, what, request, ...expected] of everywhere) {
      const answer = await request();
      const seen = [answer.status, answer.json?.error, answer.json?.error_description];
      if (JSON.stringify(seen) !== JSON.stringify(expected)) wrong.push(`${endpoint}: ${what}: ${JSON.stringify(seen)} instead of ${JSON.stringify(expected)}`);
    }
    assert.deepEqual(wrong, []);
    assert.equal(await sam.signatures(), before);
  });

  it('answers what is announced as oversized before it comes', async () => {
    // Only the length is announced: the answer must come before the body.
    const oversized = tls.connect({ host: '127.0.0.1', port: system.ports.ssa_public, ca: readFileSync(system.path('tls/ca.pem')) });
    oversized.write(`POST ${list} HTTP/1.1\r\nHost: 127.0.0.1:${system.ports.ssa_public}\r\nContent-Type: application/json\r\nContent-Length: 50000000\r\n\r\n`);
    const [head] = await once(oversized, 'data');
    assert.match(head.toString(), /^HTTP\/1\.1 413 /);
    oversized.destroy();
  });

  it('refuses what was used before: a client assertion, an officer\'s request, a SAP message, a SAD', async () => {
    const assertion = await client.assertion();
    assert.equal((await client.requestToken({ client_assertion: assertion })).status, 200);
    const again = await client.requestToken({ client_assertion: assertion });
    assert.deepEqual([again.status, again.json.error], [401, 'invalid_client']);
    const documents = documentsOf('once');
    const opened = await alice.openSigning({ credential: alice.credential, documents });
    const message = await alice.message(opened, alice.factors());
    const first = await alice.submit(message);
    assert.equal(first.status, 200, first.text);
    const second = await alice.submit(message);
    assert.deepEqual([second.status, second.json.error, second.json.error_description], [400, 'invalid_request', invalid('ticket')]);
    const request = { credential: alice.credential, sad: first.json.SAD, digests: [documents[0].digest], suite: 'ecdsa-sha256' };
    assert.equal((await client.signHash(request)).status, 200);
    const used = await client.signHash(request);
    assert.deepEqual([used.status, used.json.error, used.json.error_description], [400, 'invalid_request', invalid('SAD')]);
    const creation = await officer.request('create-signer', { signer: 'zoe', identity: identityOf('zoe'), deliver_to: officer.jwk });
    assert.equal((await officer.post('/ra/v1/signers', { request: creation })).status, 200);
    const replayed = await officer.post('/ra/v1/signers', { request: creation });
    assert.deepEqual([replayed.status, replayed.json.error, replayed.json.error_description], [400, 'replayed', 'The request was refused']);
  });

  it('lets nobody without an operator\'s certificate speak to the registration listener', async () => {
    await assert.rejects(send(`${system.registrationUrl}/ra/v1/requests/x`, { tls: system.tls() }));
  });
});
