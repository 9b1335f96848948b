// credentials/authorize: an application without an address for redirects waits by a handle while the signer approves on a device of his own;
// signDoc then gives CMS signatures for the PDFs whose digests were approved, which OpenSSL verifies.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { good, sendJson } from '../harness/http.mjs';
import { digestOf, hashOids, sha256 } from '../harness/protocol.mjs';
import { signAlgorithms } from '../harness/client.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const page = 'https://page.invalid/approve';
const { signAlgo } = signAlgorithms['ecdsa-sha256'];

describe('the signer\'s own device', () => {
  let system, client, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits, configure: { ssa: (text) => text.replace('approval_page = ""', `approval_page = "${page}"`) } });
    ({ client, signer: alice } = await signerOf(system));
  });
  after(() => system?.stop());

  const hashesOf = (texts) => texts.map((text) => digestOf('sha256', text).toString('base64'));
  const request = (texts, changes = {}) => ({
    credentialID: alice.credential, numSignatures: texts.length, hashes: hashesOf(texts), hashAlgorithmOID: hashOids.sha256, authData: [], lang: null, ...changes,
  });
  const check = (handle, who = client) => who.post('/csc/v2/credentials/authorizeCheck', { handle });
  const decide = (opened, path, body) => sendJson(client.url(path), body, { tls: client.tls, headers: { authorization: `Bearer ${opened.bearer}` } });

  /** The application asks; gives its handle, and what the signer's device shows. */
  async function ask(texts, changes) {
    const answer = await client.post('/csc/v2/credentials/authorize', request(texts, changes));
    assert.equal(answer.status, 202, answer.text);
    const [address, oneTime] = answer.json.approvalUri.split('#');
    assert.equal(address, page);
    const handle = system.secret('the handle of an application', answer.json.handle);
    const opened = good('approvals', await sendJson(client.url('/sic/v1/approvals'), { handle: oneTime }, { tls: client.tls }));
    system.secret('the bearer of an approval', opened.bearer);
    return { handle, opened, taken: await alice.take(opened, 'sign') };
  }
  async function approve({ opened, taken }) {
    const answer = good('approve', await decide(opened, '/sic/v1/approvals/messages', { message: await alice.message(taken, alice.factors(taken)) }));
    assert.deepEqual(answer, { redirect: null });
  }
  async function authorised(texts, changes) {
    const asked = await ask(texts, changes);
    assert.equal((await check(asked.handle)).status, 202);
    await approve(asked);
    return system.secret('a SAD', good('authorizeCheck', await check(asked.handle)).SAD);
  }

  it('is what credentials/info names as the way to an authorisation', async () => {
    const { auth, SCAL } = good('info', await client.post('/csc/v2/credentials/info', { credentialID: alice.credential, authInfo: true }));
    assert.deepEqual([auth.mode, SCAL, auth.objects.map(({ type, id }) => [type, id])], ['explicit', '2', [['PasswordOOB', 'device']]]);
  });

  it('authorises digests, and Node verifies the signatures', async () => {
    const sad = await authorised(['first', 'second']);
    const { signatures } = good('signHash', await client.signHash({ credential: alice.credential, sad, digests: [sha256('second'), sha256('first')], suite: 'ecdsa-sha256' }));
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('second'), key, Buffer.from(signatures[0], 'base64')));
    assert.ok(verify('sha256', Buffer.from('first'), key, Buffer.from(signatures[1], 'base64')));
  });

  const signDoc = (sad, texts, element = {}) => client.post('/csc/v2/signatures/signDoc', {
    credentialID: alice.credential, SAD: sad, operationMode: 'S', clientData: null,
    documentDigests: [{ hashes: hashesOf(texts), hashAlgorithmOID: hashOids.sha256, signature_format: 'P', conformance_level: 'AdES-B-B', signAlgo, ...element }],
  });

  it('authorises documents, and OpenSSL verifies each CMS with the certificate of the signer', async () => {
    const texts = ['the byte range of one PDF', 'and of another'];
    const sad = await authorised(texts, { hashType: 'SDR' });
    const refused = await signDoc(sad, ['never approved']);
    assert.deepEqual([refused.status, refused.json.error_description], [400, 'documentDigests or documents are not authorized by the SAD.']);
    const { SignatureObject: objects } = good('signDoc', await signDoc(sad, texts));
    assert.equal(objects.length, 2);
    mkdirSync(system.path('cms'));
    writeFileSync(system.path('cms/anchors.pem'), alice.chain.map((der) => new X509Certificate(der).toString()).join('\n'));
    for (const [i, text] of texts.entries()) {
      writeFileSync(system.path('cms/signature.der'), Buffer.from(objects[i], 'base64'));
      writeFileSync(system.path('cms/content'), text);
      const words = ['cms', '-verify', '-binary', '-inform', 'DER', '-in', 'signature.der', '-content', 'content', '-CAfile', 'anchors.pem', '-partial_chain', '-purpose', 'any', '-attime', String(system.now()), '-cades', '-out', '/dev/null'];
      execFileSync('openssl', words, { cwd: system.path('cms'), stdio: 'pipe' });
      writeFileSync(system.path('cms/content'), `${text}.`);
      assert.throws(() => execFileSync('openssl', words, { cwd: system.path('cms'), stdio: 'pipe' }));
    }
  });

  it('authorises what is answered later, to the application that asked and to no other', async () => {
    const sad = await authorised(['later']);
    const sign = (changes) => client.signHash({ credential: alice.credential, sad, digests: [sha256('later')], suite: 'ecdsa-sha256', changes: { operationMode: 'A', ...changes } });
    const wrong = [[{ operationMode: 'B' }, 'Invalid parameter operationMode'], [{ validity_period: 'x' }, 'Invalid parameter validity_period'],
      [{ validity_period: 0 }, 'Out of bounds parameter validity_period'], [{ response_uri: 'https://client.invalid' }, 'Invalid parameter response_uri']];
    for (const [changes, text] of wrong) assert.equal((await sign(changes)).json.error_description, text);
    const { responseID, ...nothing } = good('signHash', await sign({ validity_period: 60000 }));
    assert.deepEqual(nothing, {});
    system.secret('the id of an answer', responseID);
    const poll = (changes = {}) => client.post('/csc/v2/signatures/signPolling', { requestID: responseID, ...changes });
    await system.restart('ssa', { signal: 'SIGKILL' });
    const { signatures } = good('signPolling', await poll({ userID: 'alice' }));
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('later'), key, Buffer.from(signatures[0], 'base64')));
    const refused = [[{ requestID: null }, missing('requestID')], [{ requestID: `${responseID}A` }, invalid('requestID')], [{ userID: 'bob' }, 'Invalid parameter "userID"'], [{ clientData: 5 }, invalid('clientData')]];
    for (const [changes, text] of refused) assert.equal((await poll(changes)).json.error_description, text);
    system.moveClock(61);
    assert.equal((await poll()).json.error_description, invalid('requestID'));
  });

  it('declines, and the application hears of it', async () => {
    const asked = await ask(['declined']);
    good('decline', await decide(asked.opened, '/sic/v1/approvals/refusals', {}));
    const answer = await check(asked.handle);
    assert.deepEqual([answer.status, answer.json.error, answer.json.error_description], [400, 'access_denied', 'The signer declined']);
  });

  it('is not needed again when the SSA starts anew between the approval and the answer', async () => {
    const asked = await ask(['restarted']);
    await approve(asked);
    await system.restart('ssa', { signal: 'SIGKILL' });
    const sad = system.secret('a SAD', good('authorizeCheck', await check(asked.handle)).SAD);
    assert.equal((await client.signHash({ credential: alice.credential, sad, digests: [sha256('restarted')], suite: 'ecdsa-sha256' })).status, 200);
  });

  it('has five minutes, and after that nobody waits', async () => {
    const asked = await ask(['late']);
    system.moveClock(301);
    const answer = await check(asked.handle);
    assert.deepEqual([answer.status, answer.json.error_description], [400, 'Invalid parameter handle']);
    assert.equal((await decide(asked.opened, '/sic/v1/approvals/messages', { message: 'a.b.c.d.e' })).status, 401);
  });

  const digest = sha256('one').toString('base64');
  const authorize = '/csc/v2/credentials/authorize';
  const challenge = '/csc/v2/credentials/getChallenge';
  const document = '/csc/v2/signatures/signDoc';
  const right = {
    [authorize]: () => request(['one']),
    '/csc/v2/credentials/authorizeCheck': () => ({ handle: 'none' }),
    [challenge]: () => ({ credentialID: alice.credential, authObjectID: 'device' }),
    [document]: () => ({ credentialID: alice.credential, SAD: 'a.b.c', documentDigests: [{ hashes: [digest], signature_format: 'P', signAlgo }] }),
  };
  const element = (changes) => ({ documentDigests: [{ hashes: [digest], signature_format: 'P', signAlgo, ...changes }] });
  const missing = (name) => `Missing (or invalid type) string parameter ${name}`;
  const invalid = (name) => `Invalid parameter ${name}`;
  /** [endpoint, what the request changes, text, error]: the rows of the tables of CSC API v2, 11.6 to 11.8 and 11.11. */
  const rows = [
    [authorize, { credentialID: null }, missing('credentialID')],
    [authorize, { credentialID: 'nobody' }, invalid('credentialID')],
    [authorize, { numSignatures: null }, 'Missing (or invalid type) integer parameter numSignatures'],
    [authorize, { numSignatures: 0 }, 'Invalid value for parameter numSignatures'],
    [authorize, { numSignatures: 1001 }, 'Numbers of signatures is too high'],
    [authorize, { numSignatures: 2 }, 'Invalid value for parameter numSignatures'],
    [authorize, { hashes: null }, 'Missing (or invalid type) array parameter hashes'],
    [authorize, { hashes: [] }, 'Empty hash array'],
    [authorize, { hashes: ['AAAA'] }, 'Invalid digest value length'],
    [authorize, { hashAlgorithmOID: null }, missing('hashAlgorithmOID')],
    [authorize, { hashAlgorithmOID: '1.3.14.3.2.26' }, invalid('hashAlgorithmOID')],
    [authorize, { PIN: '123456' }, invalid('PIN')],
    [authorize, { OTP: 123456 }, invalid('OTP')],
    [authorize, { authData: [{ id: 'PIN', value: '123456' }] }, 'The authentication data is invalid', 'invalid_authentication_data'],
    [authorize, { clientData: 5 }, invalid('clientData')],
    ['/csc/v2/credentials/authorizeCheck', {}, invalid('handle')],
    ['/csc/v2/credentials/authorizeCheck', { handle: 5 }, invalid('handle')],
    [challenge, { credentialID: null }, missing('credentialID')],
    [challenge, { credentialID: 'nobody' }, invalid('credentialID')],
    [challenge, { authObjectID: null }, missing('authObjectID')],
    [challenge, {}, invalid('authObjectID')],
    [document, { SAD: null }, missing('SAD')],
    [document, {}, invalid('SAD')],
    [document, { credentialID: null }, missing('credentialID')],
    [document, { credentialID: 'nobody' }, invalid('credentialID')],
    [document, { documentDigests: {} }, 'Invalid object parameter documentDigests'],
    [document, { documents: {} }, 'Invalid array parameter documents'],
    [document, { documentDigests: [] }, 'Empty documentDigests and documents objects'],
    [document, { documents: [{}] }, 'Both documentDigests and documents parameters passed'],
    [document, { documentDigests: null, documents: [{ document: '!!' }] }, 'Invalid Base64 documents string parameter'],
    [document, { documentDigests: null, documents: [{ document: 'AAAA', signature_format: 'P' }] }, 'documentDigests or documents are not authorized by the SAD.'],
    [document, element({ hashes: [`${digest.slice(0, -1)}!`] }), 'Invalid Base64 hashes string parameter'],
    [document, element({ hashes: ['AAAA'] }), 'Invalid digest value length'],
    [document, element({ signature_format: null }), missing('signature_format')],
    [document, element({ signature_format: 'X' }), invalid('signature_format')],
    [document, element({ conformance_level: 'AdES-B-LTA' }), invalid('conformance_level')],
    [document, element({ signed_envelope_property: 'Enveloped' }), invalid('signed_envelope_property')],
    [document, element({ signed_props: [{ attribute_name: 'Location' }] }), 'Invalid parameter signed_props (Location)'],
    [document, element({ signAlgo: null }), missing('signAlgo')],
    [document, element({ signAlgo: '1.2.3' }), invalid('signAlgo')],
    [document, element({ signAlgo: '1.2.840.10045.2.1' }), missing('hashAlgorithmOID')],
    [document, element({ hashAlgorithmOID: '1.2.3' }), invalid('hashAlgorithmOID')],
    [document, element({ hashAlgorithmOID: hashOids.sha512 }), 'String parameter hashAlgorithmOID contradicts with signAlgo parameter'],
    [document, { operationMode: 'B' }, invalid('operationMode')],
    [document, { clientData: {} }, invalid('clientData')],
  ];
  it(`is asked rightly or not at all: ${rows.length} rows of the standard's tables`, async () => {
    const wrong = [];
    for (const [endpoint, changes, text, error = 'invalid_request'] of rows) {
      const answer = await client.post(endpoint, { ...right[endpoint](), ...changes });
      const seen = [answer.status, answer.json?.error, answer.json?.error_description];
      if (JSON.stringify(seen) !== JSON.stringify([400, error, text])) wrong.push(`${endpoint}: ${JSON.stringify(changes)}: ${JSON.stringify(seen)} instead of ${text}`);
    }
    for (const endpoint of Object.keys(right)) {
      const answer = await client.post(endpoint, {}, { authorization: 'Basic YTpi' });
      if (answer.json?.error_description !== 'Malformed authorization header.') wrong.push(`${endpoint}: ${answer.text}`);
    }
    assert.deepEqual(wrong, []);
  });
});
