// T, consent and binding against the vectors that the C++ sources are tested with (tests/data/sap/vectors.json).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { bindingDigest, consentDigest } from '../src/sap/binding.ts';
import { base64url, hex, parseBase64url } from '../src/sap/octets.ts';
import { encodeTransaction, fields, NotATransaction, number, parseTransaction } from '../src/sap/transaction.ts';

const { vectors } = JSON.parse(readFileSync(new URL('../../tests/data/sap/vectors.json', import.meta.url), 'utf8'));
const octets = (text) => Uint8Array.from(Buffer.from(text, 'hex'));
const suites = ['', 'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512', 'rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pkcs1-sha512', 'ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'];
const signing = vectors.filter(({ input }) => input.transaction.purpose === 'sign');

describe('the transaction', () => {
  it('is read as the vectors say, and encoded again to the same octets', () => {
    assert.ok(signing.length >= 2);
    for (const { name, input: { transaction: t }, expected } of signing) {
      const read = parseTransaction(octets(expected.transaction));
      assert.deepEqual({
        nonce: hex(read.nonce), epoch: read.epoch, expires: read.expires, signer: read.signer, key: read.key, certificate: hex(read.certificate), profile: read.profile,
        hash: ['', 'sha256', 'sha384', 'sha512'][read.hash], suites: [...read.suites].map((suite) => suites[suite]), client: [read.clientId, read.clientName],
        documents: read.documents.map(({ digest, label }) => ({ digest: hex(digest), label })),
      }, {
        nonce: t.nonce, epoch: t.epoch, expires: Date.parse(t.expires) / 1000, signer: t.signer, key: t.key, certificate: t.certificate_digest, profile: t.profile,
        hash: t.hash, suites: t.suites, client: [t.client_id, t.client_name], documents: t.documents,
      }, name);
      assert.equal(hex(encodeTransaction(read)), expected.transaction, name);
    }
  });

  it('of another purpose is nothing that this page approves', () => {
    const others = vectors.filter(({ input }) => input.transaction.purpose !== 'sign');
    assert.ok(others.length >= 1);
    for (const { name, expected } of others) assert.throws(() => parseTransaction(octets(expected.transaction)), NotATransaction, name);
  });

  it('is refused when it is cut off anywhere or goes on', () => {
    const whole = octets(signing[0].expected.transaction);
    for (let length = 0; length < whole.length; length += 1) assert.throws(() => parseTransaction(whole.slice(0, length)), NotATransaction, `${length} octets`);
    assert.throws(() => parseTransaction(Uint8Array.of(...whole, 0)), NotATransaction);
  });

  const good = parseTransaction(octets(signing[0].expected.transaction));
  const encoded = (changes) => encodeTransaction({ ...good, ...changes });
  const one = (changes) => ({ documents: [{ ...good.documents[0], ...changes }] });
  const wrong = {
    'a label with a line break': encoded(one({ label: 'a\nb' })),
    'a label that turns its direction': encoded(one({ label: 'invoice\u202efdp.exe' })),
    'a client name with an isolate': encoded({ clientName: 'Bank\u2066' }),
    'a label beyond 256 octets': encoded(one({ label: 'x'.repeat(257) })),
    'a digest of another hash': encoded({ hash: 2 }),
    'an unknown hash': encoded({ hash: 4 }),
    'no hash': encoded({ hash: 0 }),
    'no document': encoded({ documents: [] }),
    'no suite': encoded({ suites: new Uint8Array() }),
    'a suite twice': encoded({ suites: Uint8Array.of(1, 1) }),
    'an unknown suite': encoded({ suites: Uint8Array.of(10) }),
    'a suite of nothing': encoded({ suites: Uint8Array.of(0) }),
    'a signer with a space': encoded({ signer: 'al ice' }),
    'no key': encoded({ key: '' }),
    'a nonce of 15 octets': encoded({ nonce: new Uint8Array(15) }),
    'half a digest of the certificate': encoded({ certificate: new Uint8Array(16) }),
    'an end after the year 9999': encoded({ expires: 253402300800 }),
    'more documents than it holds': fields('sign', good.nonce, number(1), number(1), 'a', 'k', good.certificate, 'p', Uint8Array.of(1), Uint8Array.of(1), 'c', 'n', number(4096)),
    'more documents than there may be': fields('sign', good.nonce, number(1), number(1), 'a', 'k', good.certificate, 'p', Uint8Array.of(1), Uint8Array.of(1), 'c', 'n', number(4097)),
    'a label that is no UTF-8': (() => {
      const label = 'contract.pdf';
      const bytes = encoded(one({ label }));
      bytes[bytes.length - 1] = 0xff;
      return bytes;
    })(),
  };
  for (const [what, bytes] of Object.entries(wrong)) it(`is refused with ${what}`, () => assert.throws(() => parseTransaction(bytes), NotATransaction));

  it('that was damaged anywhere is refused as such, or is another one that is encoded to the same octets', () => {
    // xorshift32: the same damage in each run.
    let state = 0x2545f491;
    const random = (below) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    let taken = 0;
    for (let round = 0; round < 20000; round += 1) {
      const bytes = octets(signing[round % signing.length].expected.transaction);
      for (let times = random(3); times >= 0; times -= 1) bytes[random(bytes.length)] = random(256);
      let read;
      try {
        read = parseTransaction(bytes);
      } catch (error) {
        assert.ok(error instanceof NotATransaction, `${error.stack}\n${hex(bytes)}`);
        continue;
      }
      assert.equal(hex(encodeTransaction(read)), hex(bytes));
      taken += 1;
    }
    assert.ok(taken > 1000 && taken < 19000, `${taken} were read`);
  });

  it('with a number beyond what a page can hold exactly is refused', () => {
    const bytes = encoded({});
    const epoch = 4 + 4 + 4 + 16 + 4;
    bytes.set([0, 0x20, 0, 0, 0, 0, 0, 0], epoch);
    assert.throws(() => parseTransaction(bytes), NotATransaction);
  });
});

describe('consent and binding', () => {
  it('are those of the vectors', async () => {
    for (const { name, input: { terms, act }, expected } of vectors) {
      const consent = await consentDigest(octets(expected.transaction), terms, act);
      assert.equal(hex(consent), expected.consent, name);
      assert.equal(hex(await bindingDigest(octets(expected.transaction), consent)), expected.binding, name);
    }
  });
});

describe('base64url', () => {
  it('has one form of each sequence of octets', () => {
    for (const text of ['', 'AA', '_-8', 'AAECAw']) assert.equal(base64url(parseBase64url(text)), text);
    for (const text of ['A', 'AB', 'A+', 'A/', 'AA==', 'A A', 'é']) assert.throws(() => parseBase64url(text), text);
  });
});
