// TC-2 and TC-3: what is signed is what the signer approved: these digests, in this count, this key, this suite, these terms, this act.
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { base64url, randomId, sha256 } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('TC-2 and TC-3: what was approved', () => {
  let system, sam, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    sam = await Sam.connect(system);
    alice = (await signerOf(system, { id: 'alice' })).signer;
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const refuses = async (request, refusal) => {
    const before = await sam.signatures();
    await assert.rejects(sam.sign(request), { refusal });
    assert.equal(await sam.signatures(), before, 'the token was asked');
  };

  it('TC-2 refuses a digest that the signer did not approve, and the token is untouched', async () => {
    const documents = documentsOf('the contract');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [sha256('the invoice')] };
    await refuses(request, 'hash_not_authorised');
    await refuses({ ...request, digests: [documents[0].digest, sha256('the invoice')] }, 'hash_not_authorised');
  });

  it('TC-2 refuses a digest more often than it was approved', async () => {
    const documents = documentsOf('one', 'two');
    const sad = await alice.approve({ credential: alice.credential, documents });
    await refuses({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest, documents[0].digest] }, 'hash_not_authorised');
  });

  it('TC-3 signs the same digest as often as it stands in the list, in the order of the request', async () => {
    const documents = documentsOf('one', 'two', 'one');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const digests = [documents[1].digest, documents[0].digest, documents[2].digest];
    const signed = await sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests });
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    const texts = ['two', 'one', 'one'];
    signed.forEach(({ signature }, index) => assert.ok(verify('sha256', Buffer.from(texts[index]), key, signature), `signature ${index}`));
  });

  it('TC-3 refuses another key and another client than those of the approval', async () => {
    const documents = documentsOf('the contract');
    const sad = await alice.approve({ credential: alice.credential, documents, suites: ['ecdsa-sha256'] });
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
    await refuses({ ...request, key: bob.credential }, 'sad_invalid');
    await refuses({ ...request, clientId: 'another' }, 'sad_invalid');
  });

  it('TC-3 refuses another suite than those of the approval, also one that the key has', async () => {
    const rosa = await new Signer(alice.client, 'rosa', { pin: '604827135902' }).ready({ algorithm: 'rsa3072' });
    const documents = documentsOf('the contract');
    const sad = await rosa.approve({ credential: rosa.credential, documents, suites: ['rsa-pss-sha256'] });
    const request = { sad, key: rosa.credential, suite: 'rsa-pss-sha256', digests: [documents[0].digest] };
    await refuses({ ...request, suite: 'rsa-pkcs1-sha256' }, 'algorithm_refused');
    await refuses({ ...request, suite: 'ecdsa-sha256' }, 'algorithm_refused');
    assert.equal((await sam.sign(request)).length, 1);
  });

  it('TC-3 shows the signer T with exactly what was asked for', async () => {
    const documents = documentsOf('the contract', 'the annex');
    const { parsed } = await alice.openSigning({ credential: alice.credential, documents, suites: ['ecdsa-sha256'] });
    assert.deepEqual(parsed.documents.map(({ digest, label }) => [digest.toString('hex'), label]), documents.map(({ digest, label }) => [digest.toString('hex'), label]));
    assert.equal(parsed.signer, 'alice');
    assert.equal(parsed.key, alice.credential);
    assert.equal(parsed.certificate.toString('hex'), sha256(alice.chain[0]).toString('hex'));
    assert.deepEqual(parsed.suites, [7]);
    assert.equal(parsed.nonce.length, 16);
  });

  const changes = {
    'another consent': () => ({ changes: { consent: base64url(sha256('another')) } }),
    'another binding': () => ({ changes: { binding: base64url(sha256('another')) } }),
    'an act that was not performed': () => ({ changes: { act: 'pressed-sign' } }),
    'other terms': () => ({ changes: { terms: { id: 'intaglio-demo-terms', version: '1', language: 'el' } } }),
    'terms that the policy does not know': () => ({ changes: { terms: { id: 'other-terms', version: '1', language: 'en' } } }),
  };
  for (const [what, options] of Object.entries(changes)) {
    it(`TC-3 grants nothing for a message with ${what}`, async () => {
      const { message } = await alice.prepare({ documents: documentsOf('the contract'), options: options() });
      const answer = await alice.submit(message);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.json.SAD, undefined);
    });
  }

  it('TC-3 grants nothing for the ticket of another transaction', async () => {
    const mine = await alice.openSigning({ credential: alice.credential, documents: documentsOf('mine') });
    const theirs = await bob.openSigning({ credential: bob.credential, documents: documentsOf('theirs') });
    const message = await alice.message({ ...mine, ticket: theirs.ticket }, alice.factors());
    const answer = await alice.submit(message);
    assert.equal(answer.status, 400, answer.text);
  });

  it('TC-3 grants nothing for a ticket that the SAM did not seal', async () => {
    const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('mine') });
    const message = await alice.message({ ...opened, ticket: `${opened.ticket.slice(0, -20)}${randomId().slice(0, 20)}` }, alice.factors());
    const answer = await alice.submit(message);
    assert.equal(answer.status, 400, answer.text);
  });
});
