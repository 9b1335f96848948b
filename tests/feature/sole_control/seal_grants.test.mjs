// Seals without the signer at each: only under a grant that he made with two factors, only what the granted key asked for, exactly so, so often, so long; and not once it is ended.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { good } from '../harness/http.mjs';
import { sha256, suiteNames } from '../harness/protocol.mjs';
import { Sam } from '../harness/sam.mjs';
import { Sealer } from '../harness/seal.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { binaries, runAside, System } from '../harness/system.mjs';

const textsOf = (count, what = 'invoice') => Array.from({ length: count }, (_, at) => `${what} ${at}`);
const withGrants = (document) => { document.profiles[0].grants = { signatures: 5000, days: 30 }; };

describe('seal grants', () => {
  let system, client, officer, alice, sam;
  before(async () => {
    system = await System.start({ policy: withGrants });
    // A curve that serves two hashes, so that the grant alone decides on the suite.
    ({ client, officer, signer: alice } = await signerOf(system, { algorithm: 'p384' }));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });
  const verified = (texts, signatures, signer = alice) => {
    const { publicKey } = new X509Certificate(signer.chain[0]);
    texts.forEach((text, at) => assert.ok(verify('sha256', Buffer.from(text), publicKey, Buffer.from(signatures[at], 'base64')), text));
  };
  /** The SAM itself, past the SSA: what an SSA that lies can ask. */
  const ask = async (sealer, digests, { told = digests, suite = 'ecdsa-sha256', asked = suite, key = alice.credential, clientId, ...rest } = {}) =>
    sam.sign({ sad: await sealer.request(digests, { suite, ...rest }), key, suite: asked, digests: told, clientId });
  const refused = async (work, refusal) => {
    const made = await sam.signatures();
    await assert.rejects(work, refusal ? { refusal } : undefined);
    assert.equal(await sam.signatures(), made, 'the token signed');
  };

  it('seal a thousand hashes in one call, beyond what a signer may sign in a day, in the order that the client gave them', async () => {
    const bulk = await new Signer(client, 'bulk', { pin: '604827135902' }).ready({ officer });
    const sealer = await new Sealer(bulk).grant({ signatures: 1000 });
    const texts = textsOf(1000);
    const { signatures, auditReceipts } = good('signHash', await sealer.seal(texts.map(sha256)));
    assert.equal(signatures.length, 1000);
    assert.equal(auditReceipts.length, 1000);
    verified(texts, signatures, bulk);
    await refused(() => ask(sealer, [sha256('one more')], { key: bulk.credential }), 'limit_exceeded');
  });

  it('count every hash, and let the last of them through and not the next', async () => {
    const sealer = await new Sealer(alice).grant({ signatures: 3 });
    await ask(sealer, ['one', 'two'].map(sha256));
    await refused(() => ask(sealer, ['three', 'four'].map(sha256)), 'limit_exceeded');
    await ask(sealer, [sha256('three')]);
    await refused(() => ask(sealer, [sha256('four')]), 'limit_exceeded');
  });

  it('are no authorisation of the signer, who signs beside them as before', async () => {
    const sealer = await new Sealer(alice).grant();
    const documents = documentsOf('signed by hand');
    const sad = await alice.approve({ credential: alice.credential, documents });
    await ask(sealer, [sha256('sealed meanwhile')]);
    await sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] });
    await ask(sealer, [sha256('sealed afterwards')]);
  });

  it('give nothing to an SSA that changes, reorders, adds, leaves out, takes another suite, key or client, or another grant', async () => {
    const sealer = await new Sealer(alice).grant({ suites: ['ecdsa-sha256'] });
    const other = await new Sealer(alice).grant();
    const bob = await new Signer(client, 'bob', { pin: '604827135902' }).ready({ officer });
    const [one, two, three] = ['one', 'two', 'three'].map(sha256);
    await refused(() => ask(sealer, [one, two], { told: [one, three] }), 'hash_not_authorised');
    await refused(() => ask(sealer, [one, two], { told: [two, one] }), 'hash_not_authorised');
    await refused(() => ask(sealer, [one, two], { told: [one, two, three] }), 'hash_not_authorised');
    await refused(() => ask(sealer, [one, two], { told: [one] }), 'hash_not_authorised');
    await refused(() => ask(sealer, [one, two], { told: [one, one] }), 'hash_not_authorised');
    await refused(() => ask(sealer, [one], { key: bob.credential, rid: 'kept-for-the-client' }), 'sad_invalid');
    await refused(() => ask(sealer, [one], { clientId: 'another', rid: 'kept-for-the-client' }), 'sad_invalid');
    await ask(sealer, [one], { rid: 'kept-for-the-client' });
    await refused(() => ask(sealer, [createHash('sha384').update('one').digest()], { suite: 'ecdsa-sha384' }), 'algorithm_refused');
    await refused(() => ask(sealer, [one], { changes: { suite: 'ecdsa-sha384' } }));
    await refused(() => ask(sealer, [one], { changes: { grant: other.id } }), 'sad_invalid');
    await refused(() => ask(sealer, [one], { changes: { grant: 'AAAAAAAAAAAAAAAAAAAAAA' } }), 'sad_invalid');
    await refused(() => ask(sealer, [one], { typ: 'intaglio-sad+jwt' }), 'sad_invalid');
    const thief = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
    await refused(() => sealer.request([one], { key: thief }).then((sad) => sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [one] })), 'sad_invalid');
    await refused(() => sam.sign({ sad: sealer.statement, key: alice.credential, suite: 'ecdsa-sha256', digests: [one] }), 'sad_invalid');
    // None of these used the request up: what the client asked for is sealed.
    verified(['one', 'two'], (await ask(sealer, [one, two])).map(({ signature }) => signature.toString('base64')));
  });

  it('answer a request that comes again with the same signatures, and another one of its id with none', async () => {
    const sealer = await new Sealer(alice).grant();
    const digests = ['again', 'and again'].map(sha256);
    const rid = 'request-number-0001';
    const sad = await sealer.request(digests, { rid });
    const call = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests };
    const first = await sam.sign(call);
    const made = await sam.signatures();
    const second = await sam.sign(call);
    assert.deepEqual(second.map(({ signature, redelivered }) => [signature, redelivered]), first.map(({ signature }) => [signature, true]));
    assert.equal(await sam.signatures(), made, 'the token signed a second time');
    await refused(() => ask(sealer, digests, { rid }), 'replayed');
    await refused(() => ask(sealer, [sha256('something else')], { rid }), 'replayed');
    await system.restart('sam');
    sam = await Sam.connect(system);
    await refused(() => ask(sealer, [sha256('after a restart')], { rid }), 'replayed');
    await ask(sealer, [sha256('after a restart')]);
  });

  it('end at once when anyone says so who knows them, with what was asked for before', async () => {
    const sealer = await new Sealer(alice).grant();
    const digests = [sha256('before the end')];
    const call = { sad: await sealer.request(digests), key: alice.credential, suite: 'ecdsa-sha256', digests };
    await sam.sign(call);
    assert.equal((await sealer.end('AAAAAAAAAAAAAAAAAAAAAA')).status, 400);
    assert.equal(good('end', await sealer.end()).state, 'ended');
    await refused(() => ask(sealer, [sha256('after the end')]), 'sad_invalid');
    await refused(() => sam.sign(call), 'sad_invalid');
    assert.equal(good('end again', await sealer.end()).state, 'ended');
    assert.equal(system.auditEvents('sam').filter(({ type, fields }) => type === 'grant.ended' && fields.grant === sealer.id).length, 1);
  });

  it('end with their date', async () => {
    const sealer = await new Sealer(alice).grant({ days: 1 });
    system.moveClock(86400 - 600);
    await client.signIn();
    await ask(sealer, [sha256('in the last minutes')]);
    system.moveClock(601);
    await refused(() => ask(sealer, [sha256('after it')]), 'sad_expired');
  });

  it('end when the signer changes a factor, and with the key', async () => {
    const sealer = await new Sealer(alice).grant();
    const digests = [sha256('with the factors of then')];
    const before = { sad: await sealer.request(digests), key: alice.credential, suite: 'ecdsa-sha256', digests };
    await sam.sign(before);
    await alice.changeFactors({ pin: '739104628517' });
    await refused(() => ask(sealer, [sha256('with another PIN')]), 'sad_invalid');
    await refused(() => sam.sign(before), 'sad_invalid');
    const next = await new Sealer(alice).grant();
    await alice.changeFactors({ seed: true });
    await refused(() => ask(next, [sha256('with another seed')]), 'sad_invalid');
    const last = await new Sealer(alice).grant();
    await ask(last, [sha256('while the key is assigned')]);
    await sam.suspend(alice.credential, 'the operator fears for it');
    await refused(() => ask(last, [sha256('while the key is suspended')]), 'credential_disabled');
    await sam.resume(await officer.request('resume-key', { key: alice.credential }));
    await ask(last, [sha256('lifted')]);
  });

  it('are made with two factors only, within the bounds of the profile, for what the signer was shown', async () => {
    const sealer = new Sealer(alice);
    for (const [what, terms] of Object.entries({
      'more hashes': { signatures: 5001 }, 'a longer time': { days: 31 }, 'the past': { days: -1 }, 'no suite': { suites: [] }, 'a suite that the key has not': { suites: ['ecdsa-sha512'] },
      'a suite twice': { suites: ['ecdsa-sha256', 'ecdsa-sha256'] }, 'no number': { changes: { signatures: '7' } }, 'no key': { changes: { clientKey: {} } }, 'a private key': { changes: { clientKey: sealer.key.export({ format: 'jwk' }) } },
    })) await assert.rejects(sealer.open(terms), undefined, what);
    const attempt = async (factors, options) => {
      const opened = await sealer.open();
      return (await alice.submit(await alice.message(opened, factors, options))).status;
    };
    assert.notEqual(await attempt([{ type: 'pin', value: alice.pin }]), 200);
    assert.notEqual(await attempt([{ type: 'totp', value: alice.otp() }]), 200);
    const opened = await sealer.open();
    const signing = await alice.openSigning({ credential: alice.credential, documents: documentsOf('something else') });
    const message = await alice.message({ ...opened, ticket: signing.ticket }, alice.factors(opened));
    assert.notEqual((await alice.submit(message)).status, 200, 'a grant under the ticket of a signature');
    system.moveClock(16 * 60);
    await client.signIn();
    await sealer.grant();
  });

  it('are not offered where the profile says nothing of them', async () => {
    const plain = await System.start();
    try {
      const { signer } = await signerOf(plain, {});
      await assert.rejects(new Sealer(signer).open(), /429/);
    } finally {
      await plain.stop();
    }
  });

  it('stand in the log: who granted what to which key, each request, and the end', async () => {
    const sealer = await new Sealer(alice).grant({ signatures: 7 });
    await ask(sealer, ['a', 'b'].map(sha256), { rid: 'request-number-0002' });
    await sealer.end();
    const mine = system.auditEvents('sam').filter(({ fields }) => fields?.grant === sealer.id);
    assert.deepEqual(mine.map(({ type }) => type), ['grant.made', 'seal.requested', 'grant.ended']);
    assert.equal(mine[0].fields.signatures, '7');
    assert.equal(mine[0].fields.methods, 'pin totp');
    assert.deepEqual([mine[1].fields.request, mine[1].fields.count, mine[1].fields.suite], ['request-number-0002', '2', suiteNames[6]]);
    const made = system.auditEvents('sam').filter(({ type, fields }) => type === 'signature.made' && fields.authorisation === mine[1].fields.authorisation);
    assert.equal(made.length, 2);
  });

  it('are made, used and ended from the command line', async () => {
    const file = (name) => system.path(`secrets/${name}`);
    writeFileSync(file('pin'), alice.pin, { mode: 0o600 });
    const intaglio = (...words) => {
      system.moveClock(60);
      return runAside(path.join(binaries, 'intaglio'), words, { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
    };
    writeFileSync(file('seed'), alice.seedText, { mode: 0o600 });
    const common = ['--client', system.path('clients/demo/client.toml')];
    const using = ['--credential', alice.credential, '--suite', 'ecdsa-sha256', '--key', file('seal.pem'), ...common];
    const granted = await intaglio('seal', 'grant', '--signatures', '50', '--days', '2', '--pin-file', file('pin'), '--otp-seed-file', file('seed'), '--otp-step-offset', '0', ...using);
    assert.equal(granted.status, 0, granted.stderr);
    const { grant } = JSON.parse(granted.stdout.trim().split('\n').at(-1));
    assert.match(readFileSync(file('seal.pem'), 'latin1'), /PRIVATE KEY/);
    const texts = textsOf(20, 'sealed from a shell');
    writeFileSync(system.path('digests.txt'), texts.map((text) => sha256(text).toString('hex')).join('\n'));
    const sealed = await intaglio('seal', 'sign', '--grant', grant, '--digests', system.path('digests.txt'), ...using);
    assert.equal(sealed.status, 0, sealed.stderr);
    verified(texts, sealed.stdout.trim().split('\n').map((line) => JSON.parse(line).signature));
    const ended = await intaglio('seal', 'revoke', '--grant', grant, ...common);
    assert.equal(ended.status, 0, ended.stderr);
    const after_ = await intaglio('seal', 'sign', '--grant', grant, '--digest', sha256('too late').toString('hex'), ...using);
    assert.equal(after_.status, 1);
  });
});
