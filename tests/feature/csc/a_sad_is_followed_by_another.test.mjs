// credentials/extendTransaction: time for what was approved and is not signed yet, and for nothing else.
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('a SAD that would end too early', () => {
  let system, sam, client, alice;
  before(async () => {
    const policy = (document) => {
      withoutLimits(document);
      for (const profile of document.profiles) Object.assign(profile, { max_documents: 10, sad_seconds: 60 });
    };
    system = await System.start({ policy });
    ({ client, signer: alice } = await signerOf(system, { id: 'alice' }));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const extend = (sad, more = {}) => client.post('/csc/v2/credentials/extendTransaction', { credentialID: alice.credential, SAD: sad, ...more });
  const extended = async (sad, more) => {
    const answer = good('extendTransaction', await extend(sad, more));
    return system.secret('a SAD', answer.SAD);
  };
  const sign = (sad, document) => client.signHash({ credential: alice.credential, sad, digests: [document.digest], suite: 'ecdsa-sha256' });
  const refused = (answer, text) => assert.deepEqual([answer.status, answer.json.error, answer.json.error_description], [400, 'invalid_request', text]);

  it('is followed by one that signs what is left, in both versions and across a restart, and the log says so', async () => {
    const documents = documentsOf('one', 'two', 'three');
    const first = await alice.approve({ credential: alice.credential, documents });
    good('signHash', await sign(first, documents[0]));
    system.moveClock(50);
    const second = await extended(first, { hashes: documents.slice(1).map(({ digest }) => digest.toString('base64')), hashAlgorithmOID: '2.16.840.1.101.3.4.2.1' });
    system.moveClock(50);
    const { signatures: [signature] } = good('signHash', await sign(second, documents[1]));
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('two'), key, Buffer.from(signature, 'base64')));
    await system.restart('ssa');
    await client.signIn();
    const third = good('v1', await client.post('/csc/v1/credentials/extendTransaction', { credentialID: alice.credential, SAD: second, hash: [documents[2].digest.toString('base64')] }));
    good('signHash', await sign(system.secret('a SAD', third.SAD), documents[2]));
    refused(await extend(third.SAD), 'Invalid parameter SAD');
    const events = system.auditEvents('sam').filter(({ type }) => type === 'authorisation.extended');
    assert.deepEqual(events.map(({ fields }) => fields.left), ['2', '1']);
    assert.equal(new Set(events.map(({ fields }) => fields.authorisation)).size, 1);
  });

  it('signs nothing itself from then on, and what follows it signs nothing that was not approved', async () => {
    const documents = documentsOf('four', 'five');
    const first = await alice.approve({ credential: alice.credential, documents });
    good('signHash', await sign(first, documents[0]));
    const second = await extended(first);
    const before = await sam.signatures();
    refused(await sign(first, documents[1]), 'Invalid parameter SAD');
    refused(await extend(first), 'Invalid parameter SAD');
    const [other] = documentsOf('six');
    refused(await sign(second, other), 'Hash is not authorized by the SAD.');
    refused(await extend(second, { hashes: [other.digest.toString('base64')] }), 'Hash is not authorized by the SAD.');
    assert.equal(await sam.signatures(), before);
  });

  it('is followed for five minutes after the transaction, and not longer', async () => {
    const documents = documentsOf('seven');
    let sad = await alice.approve({ credential: alice.credential, documents });
    let last;
    for (let minutes = 0; minutes < 12; minutes += 1) {
      last = await extend(sad);
      if (last.status !== 200) break;
      sad = system.secret('a SAD', last.json.SAD);
      system.moveClock(58);
    }
    refused(last, 'SAD expired');
    refused(await sign(sad, documents[0]), 'SAD expired');
  });
});
