// The SAD and the audit log, read as an auditor would: whose key signed which hash, when, under which authorisation, and how the key came to be.
import assert from 'node:assert/strict';
import { calculateJwkThumbprint, compactVerify, importJWK } from 'jose';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { base64url, listDigestOf, sha256 } from '../harness/protocol.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System } from '../harness/system.mjs';

describe('what an auditor reads', () => {
  let system, alice, client, officer, sad, documents, times;
  before(async () => {
    // The shipped policy: sixty seconds, one document.
    system = await System.start();
    ({ signer: alice, client, officer } = await signerOf(system));
    documents = documentsOf('the contract');
    const begin = system.now();
    sad = await alice.approve({ credential: alice.credential, documents });
    good('signHash', await client.signHash({ credential: alice.credential, sad, digests: [documents[0].digest], suite: 'ecdsa-sha256' }));
    times = { begin, end: system.now() };
  });
  after(() => system?.stop());

  const events = () => system.auditEvents('sam');
  const claims = () => JSON.parse(Buffer.from(sad.split('.')[1], 'base64url').toString());
  const during = (seconds) => seconds >= times.begin - 1 && seconds <= times.end + 1;

  it('in the SAD says whose key signs which list, until when and after which factors, under the SAM\'s ES256 key', async () => {
    const { jti, iat, exp, ...said } = claims();
    assert.deepEqual(said, { sub: 'alice', key: alice.credential, dig: base64url(listDigestOf(documents)), n: 1, amr: ['pin', 'totp'], epoch: said.epoch });
    assert.ok(during(iat), `issued at ${iat}`);
    assert.equal(exp - iat, 60);
    assert.equal(Buffer.from(jti, 'base64url').length, 16);
    const published = good('keys', await client.get('/sic/v1/sam'));
    const header = JSON.parse(Buffer.from(sad.split('.')[0], 'base64url').toString());
    assert.equal(header.alg, 'ES256');
    assert.equal(header.typ, 'intaglio-sad+jwt');
    assert.equal(header.kid, await calculateJwkThumbprint(published.sad));
    await compactVerify(sad, await importJWK(published.sad, 'ES256'));
  });

  it('names the signer, the key, the hash, the time and the authorisation of a use of the key, before it and after it', () => {
    const all = events();
    const [intent, made] = ['signature.intent', 'signature.made'].map((type) => all.filter((event) => event.type === type));
    assert.deepEqual([intent.length, made.length], [1, 1]);
    for (const event of [intent[0], made[0]]) {
      assert.equal(event.actor, 'signer:alice');
      assert.equal(event.subject, alice.credential);
      assert.equal(event.outcome, 'success');
      assert.ok(during(Date.parse(event.time) / 1000), event.time);
      assert.equal(event.fields.digest, base64url(documents[0].digest));
      assert.equal(event.fields.authorisation, claims().jti);
      assert.equal(event.fields.certificate, base64url(sha256(alice.chain[0])));
      assert.equal(event.fields.suite, 'ecdsa-sha256');
    }
    assert.equal(made[0].fields.intent, String(intent[0].index));
    assert.equal(made[0].fields.client, client.id);
  });

  it('names what the signer verified and did, and the SAD by its hash alone', () => {
    const granted = events().filter(({ type }) => type === 'authorisation.granted');
    const { actor, subject, fields } = granted.at(-1);
    assert.deepEqual([actor, subject], ['signer:alice', alice.credential]);
    assert.equal(fields.sad, base64url(sha256(sad)));
    assert.equal(fields.list, base64url(listDigestOf(documents)));
    assert.equal(fields.act, alice.act);
    assert.match(fields.methods, /pin.*totp/);
  });

  it('tells the whole life of a signer and a key, each step by whom it was authorised', async () => {
    const wrong = await alice.openSigning({ credential: alice.credential, documents });
    await alice.submit(await alice.message(wrong, [{ type: 'pin', value: '918273645546' }, { type: 'totp', value: alice.otp() }]));
    system.secret('a wrong PIN', '918273645546');
    assert.equal(await alice.change('suspend'), 'suspended');
    good('resume', await officer.post('/ra/v1/resumptions', { request: await officer.request('resume-key', { key: alice.credential }) }));
    assert.equal(await alice.change('destroy'), 'destroyed');
    await system.services.ssa.stop();
    await system.services.sam.stop();
    const told = events();
    // In the order in which each first occurs.
    const first = [...new Set(told.map(({ type }) => type))];
    const expected = [
      ['policy.installed'], ['process.started'], ['signer.created', /^operator:ra-1$/], ['factors.enrolled', /^signer:alice$/], ['key.generated', /^signer:alice$/],
      ['proof_of_possession.signed', /^signer:alice$/], ['certificate.bound', /^operator:ra-1$/], ['authorisation.granted', /^signer:alice$/], ['signature.intent', /^signer:alice$/],
      ['signature.made', /^signer:alice$/], ['authorisation.refused'], ['key.suspended', /^signer:alice$/], ['key.voided', /^signer:alice$/], ['key.destroyed'],
      ['process.stopped'],
    ];
    const at = expected.map(([type]) => first.indexOf(type));
    expected.forEach(([type, actor], index) => {
      assert.ok(at[index] >= 0, `${type} is missing`);
      if (actor) assert.match(told.find((event) => event.type === type).actor, actor, type);
    });
    assert.deepEqual(at, [...at].sort((left, right) => left - right), first.join(' '));
    assert.deepEqual(told.filter(({ type }) => type === 'key.suspended').map(({ fields }) => fields.change), ['suspended', 'resumed']);
    told.forEach((event, index) => {
      assert.equal(event.index, index);
      assert.match(event.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      assert.match(event.outcome, /^(success|refused|failed)$/);
    });
  });
});
