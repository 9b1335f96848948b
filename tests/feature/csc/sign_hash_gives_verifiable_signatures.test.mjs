// The CSC surface, as a client sees it: info, credentials, token, and signatures that other software verifies.
import assert from 'node:assert/strict';
import { constants, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { digestOf } from '../harness/protocol.mjs';
import { Client } from '../harness/client.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const paddings = {
  pss: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST },
  pkcs1: { padding: constants.RSA_PKCS1_PADDING },
};

describe('CSC API v2', () => {
  let system, client, officer, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ client, officer, signer: alice } = await signerOf(system));
  });
  after(() => system?.stop());

  const keyOf = (signer) => createPublicKey(new X509Certificate(signer.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));

  it('says in info what it offers, to everybody', async () => {
    const info = good('info', await new Client(system).post('/csc/v2/info', {}));
    assert.match(info.specs, /^2\./);
    for (const method of ['info', 'credentials/list', 'credentials/info', 'signatures/signHash', 'oauth2/token']) assert.ok(info.methods.includes(method), method);
  });

  it('lists credentials with key, certificate and SCAL 2, and only of the signer asked for', async () => {
    const list = good('list', await client.post('/csc/v2/credentials/list', { userID: 'alice' }));
    assert.deepEqual(list.credentialIDs, [alice.credential]);
    const info = good('info', await client.post('/csc/v2/credentials/info', { credentialID: alice.credential, certificates: 'chain', certInfo: true, authInfo: true }));
    assert.equal(info.key.status, 'enabled');
    assert.equal(info.cert.status, 'valid');
    assert.equal(String(info.SCAL), '2');
    assert.deepEqual(Buffer.from(info.cert.certificates[0], 'base64'), alice.chain[0]);
  });

  it('signs with P-256, and Node verifies it with the certificate', async () => {
    const { signatures, answer } = await alice.sign(['first', 'second']);
    assert.ok(verify('sha256', Buffer.from('first'), keyOf(alice), signatures[0]));
    assert.ok(verify('sha256', Buffer.from('second'), keyOf(alice), signatures[1]));
    assert.equal(answer.auditReceipts.length, 2);
  });

  const suites = [
    ['rsa4096', 'rsa-pss-sha256', 'pss'],
    ['rsa3072', 'rsa-pss-sha256', 'pss'], ['rsa3072', 'rsa-pss-sha384', 'pss'], ['rsa3072', 'rsa-pss-sha512', 'pss'],
    ['rsa3072', 'rsa-pkcs1-sha256', 'pkcs1'], ['rsa3072', 'rsa-pkcs1-sha384', 'pkcs1'], ['rsa3072', 'rsa-pkcs1-sha512', 'pkcs1'],
    ['p384', 'ecdsa-sha384'], ['p521', 'ecdsa-sha512'],
  ];
  const signers = {};
  for (const [algorithm, suite, padding] of suites) {
    it(`signs with ${algorithm} and ${suite}`, async () => {
      signers[algorithm] ??= await new Signer(client, `signer-${algorithm}`, { pin: '604827135902' }).ready({ officer, algorithm });
      const signer = signers[algorithm];
      const hash = suite.slice(suite.lastIndexOf('-') + 1);
      const digest = digestOf(hash, 'a document');
      const sad = await signer.approve({ credential: signer.credential, hash, documents: [{ digest, label: 'a document' }] });
      const answer = good('signHash', await client.signHash({ credential: signer.credential, sad, digests: [digest], suite }));
      assert.ok(verify(hash, Buffer.from('a document'), { key: keyOf(signer), ...paddings[padding] }, Buffer.from(answer.signatures[0], 'base64')));
    });
  }

  it('signs for a client of version 1 of the API', async () => {
    const info = good('info', await new Client(system).get('/csc/v1/info'));
    assert.match(info.specs, /^1\.0\./);
    for (const method of info.methods.filter((name) => name !== 'info')) assert.notEqual((await client.post(`/csc/v1/${method}`, {})).status, 501, method);
    assert.deepEqual(good('list', await client.post('/csc/v1/credentials/list', { userID: 'alice', maxResults: 1 })), { credentialIDs: [alice.credential] });
    const described = good('info', await client.post('/csc/v1/credentials/info', { credentialID: alice.credential, certificates: 'chain', certInfo: false }));
    assert.deepEqual([described.authMode, described.SCAL, described.multisign > 0, described.auth], ['oauth2code', '2', true, undefined]);
    const documents = documentsOf('older', 'client');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const request = (changes) => client.post('/csc/v1/signatures/signHash', {
      credentialID: alice.credential, SAD: sad, hash: documents.map(({ digest }) => digest.toString('base64')), hashAlgo: '2.16.840.1.101.3.4.2.1', signAlgo: '1.2.840.10045.2.1', ...changes,
    });
    const rows = [
      [{ SAD: undefined }, 'Missing (or invalid type) string parameter SAD'],
      [{ SAD: 'x' }, 'Invalid parameter SAD'],
      [{ credentialID: 5 }, 'Missing (or invalid type) string parameter credentialID'],
      [{ hash: undefined }, 'Missing (or invalid type) array parameter hash'],
      [{ hash: [] }, 'Empty hash array'],
      [{ hash: ['AAAA'] }, 'Invalid digest value length'],
      [{ hash: [digestOf('sha256', 'never').toString('base64')] }, 'Hash is not authorized by the SAD.'],
      [{ hashAlgo: undefined }, 'Missing (or invalid type) string parameter hashAlgo'],
      [{ hashAlgo: '1.3.14.3.2.26' }, 'Invalid parameter hashAlgo'],
      [{ signAlgo: undefined }, 'Missing (or invalid type) string parameter signAlgo'],
      [{ signAlgo: '1.2.3' }, 'Invalid parameter signAlgo'],
      [{ clientData: 5 }, 'Invalid parameter clientData'],
    ];
    for (const [changes, text] of rows) {
      const answer = await request(changes);
      assert.deepEqual([answer.status, answer.json.error, answer.json.error_description], [400, 'invalid_request', text]);
    }
    const { signatures } = good('signHash', await request({}));
    assert.ok(verify('sha256', Buffer.from('client'), keyOf(alice), Buffer.from(signatures[1], 'base64')));
    for (const method of ['credentials/authorize', 'credentials/sendOTP']) assert.equal((await client.post(`/csc/v1/${method}`, { credentialID: alice.credential, numSignatures: 1, PIN: '123456' })).status, 400);
    for (const method of ['signatures/timestamp', 'auth/login', 'auth/revoke']) assert.equal((await client.post(`/csc/v1/${method}`, {})).status, 501);
  });

  it('refuses a PIN in credentials/authorize for a SCAL2 credential', async () => {
    const answer = await client.post('/csc/v2/credentials/authorize', { credentialID: alice.credential, numSignatures: 1, hashes: [digestOf('sha256', 'x').toString('base64')], PIN: '123456' });
    assert.notEqual(answer.status, 200);
    assert.equal(answer.json.SAD, undefined);
  });

  it('refuses everything but info and token without an access token', async () => {
    const stranger = new Client(system);
    for (const path of ['/csc/v2/credentials/list', '/csc/v2/credentials/info', '/csc/v2/signatures/signHash', '/sic/v1/transactions', '/sic/v1/messages']) {
      const answer = await stranger.post(path, {});
      // CSC API v2: a missing or malformed header is 400; a token that is wrong is 401.
      assert.equal(answer.status, 400, path);
      assert.equal(answer.json.error_description, 'Malformed authorization header.', path);
      assert.equal((await stranger.post(path, {}, { authorization: 'Bearer nonsense' })).status, 401, path);
    }
  });

  it('gives a client assertion one access token', async () => {
    const assertion = await client.assertion();
    assert.equal((await client.requestToken({ client_assertion: assertion })).status, 200);
    assert.equal((await client.requestToken({ client_assertion: assertion })).status, 401);
  });
});
