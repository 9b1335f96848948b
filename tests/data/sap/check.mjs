// Recomputes tests/data/sap/vectors.json from its inputs alone, in a second language: node tests/data/sap/check.mjs
// With --print it writes what it computed instead of comparing.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const hashes = { sha256: 1, sha384: 2, sha512: 3 };
const keys = ['rsa2048', 'rsa3072', 'rsa4096', 'p256', 'p384', 'p521'];
const suites = [
  'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512', 'rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pkcs1-sha512',
  'ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512',
];

const number = (value) => {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(value));
  return octets;
};
const fields = (...parts) => Buffer.concat(parts.flatMap((part) => {
  const octets = Buffer.isBuffer(part) ? part : Buffer.from(part, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets.length);
  return [length, octets];
}));
const sha256 = (octets) => createHash('sha256').update(octets).digest();
const listed = (documents) => [number(documents.length), ...documents.flatMap(({ digest, label }) => [Buffer.from(digest, 'hex'), label])];

const chosen = ({ purpose, suites: names, algorithm }) => {
  if (purpose === 'key') return Buffer.from([keys.indexOf(algorithm) + 1]);
  return Buffer.from((names ?? []).map((name) => suites.indexOf(name) + 1));
};

export const transaction = (t) => fields(
  t.purpose, Buffer.from(t.nonce, 'hex'), number(t.epoch), number(Date.parse(t.expires) / 1000), t.signer, t.key,
  Buffer.from(t.certificate_digest, 'hex'), t.profile, Buffer.from([hashes[t.hash] ?? 0]), chosen(t), t.client_id, t.client_name,
  ...listed(t.documents),
);

const compute = ({ transaction: input, terms, act }) => {
  const encoded = transaction(input);
  const consent = sha256(fields('intaglio/consent/1', encoded, terms.id, terms.version, terms.language, act));
  const binding = sha256(fields('intaglio/binding/1', encoded, consent));
  const list = sha256(fields('intaglio/list/1', ...listed(input.documents)));
  return Object.fromEntries(Object.entries({ transaction: encoded, consent, binding, list }).map(([name, octets]) => [name, octets.toString('hex')]));
};

const file = new URL('./vectors.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8'));
if (process.argv.includes('--print')) {
  console.log(JSON.stringify(vectors.map(({ name, input }) => ({ name, input, expected: compute(input) })), null, 2));
} else {
  let wrong = 0;
  for (const { name, input, expected } of vectors) {
    const computed = compute(input);
    for (const part of ['transaction', 'consent', 'binding', 'list']) {
      if (computed[part] === expected[part]) continue;
      wrong += 1;
      console.error(`${name}: ${part} is ${expected[part]}, computed ${computed[part]}`);
    }
  }
  console.log(`${vectors.length} vectors, ${wrong} differences`);
  process.exitCode = wrong === 0 && vectors.length > 0 ? 0 : 1;
}
