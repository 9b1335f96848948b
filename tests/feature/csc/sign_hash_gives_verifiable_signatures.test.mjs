// The CSC surface, as a client sees it: info, credentials, token, and signatures that other software verifies.
import assert from 'node:assert/strict';
import { constants, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { digestOf } from '../harness/protocol.mjs';
import { Client } from '../harness/client.mjs';
import { Signer, signerOf } from '../harness/signer.mjs';
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
