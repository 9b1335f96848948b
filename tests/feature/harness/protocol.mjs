// Encodings of api/sap/README.md, written from that page and not from the C++ sources.
import { createHash, createHmac, randomBytes } from 'node:crypto';

export const hashCodes = { sha256: 1, sha384: 2, sha512: 3 };
export const hashOids = {
  sha256: '2.16.840.1.101.3.4.2.1', sha384: '2.16.840.1.101.3.4.2.2', sha512: '2.16.840.1.101.3.4.2.3',
};
export const suiteNames = [
  'rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512', 'rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pkcs1-sha512',
  'ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512',
];
export const keyAlgorithms = ['rsa2048', 'rsa3072', 'rsa4096', 'p256', 'p384', 'p521'];

export const sha256 = (octets) => createHash('sha256').update(octets).digest();
export const digestOf = (hash, octets) => createHash(hash).update(octets).digest();
export const base64url = (octets) => Buffer.from(octets).toString('base64url');
export const randomId = () => randomBytes(16).toString('base64url');

export const number = (value) => {
  const octets = Buffer.alloc(8);
  octets.writeBigUInt64BE(BigInt(value));
  return octets;
};

/** A sequence of fields: each its length as 4 bytes, big-endian, then its bytes. */
export const fields = (...parts) => Buffer.concat(parts.flatMap((part) => {
  const octets = typeof part === 'string' ? Buffer.from(part, 'utf8') : Buffer.from(part);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(octets.length);
  return [length, octets];
}));

/** T, read field by field; throws on anything left over. */
export function parseTransaction(encoded) {
  let at = 0;
  const next = () => {
    const length = encoded.readUInt32BE(at);
    const field = encoded.subarray(at + 4, at + 4 + length);
    if (field.length !== length) throw new Error('T ends within a field');
    at += 4 + length;
    return field;
  };
  const text = () => next().toString('utf8');
  const count = () => Number(next().readBigUInt64BE());
  const transaction = {
    purpose: text(), nonce: next(), epoch: count(), expires: count(), signer: text(), key: text(), certificate: next(), profile: text(),
    hash: next()[0], suites: [...next()], clientId: text(), clientName: text(), documents: [],
  };
  for (let left = count(); left > 0; left -= 1) transaction.documents.push({ digest: next(), label: text() });
  if (transaction.purpose === 'grant') transaction.grant = { clientKey: next(), signatures: count(), ends: count() };
  if (at !== encoded.length) throw new Error('bytes after T');
  return transaction;
}

/** The reverse of parseTransaction. */
export const encodeTransaction = (t) => fields(
  t.purpose, t.nonce, number(t.epoch), number(t.expires), t.signer, t.key, t.certificate, t.profile, Buffer.from([t.hash]), Buffer.from(t.suites),
  t.clientId, t.clientName, number(t.documents.length), ...t.documents.flatMap(({ digest, label }) => [digest, label]),
  ...(t.grant ? [t.grant.clientKey, number(t.grant.signatures), number(t.grant.ends)] : []),
);

export const consentOf = (transaction, terms, act) =>
  sha256(fields('intaglio/consent/1', transaction, terms.id, terms.version, terms.language, act));
export const bindingOf = (transaction, consent) => sha256(fields('intaglio/binding/1', transaction, consent));
export const listDigestOf = (documents) =>
  sha256(fields('intaglio/list/1', number(documents.length), ...documents.flatMap(({ digest, label }) => [digest, label])));

/** What the SAM keeps of an approval by a passkey (api/sap, 8). `passkey` is the factor as it stood in the message, `spki` its public key, DER. */
export const approvalOf = ({ transaction, terms, act, rpId, origins, passkey, spki, suite = 7, backupEligible = false }) => fields(
  'intaglio/approval/1', transaction, terms.id, terms.version, terms.language, act, rpId, number(origins.length), ...origins,
  Buffer.from(passkey.id, 'base64url'), spki, number(suite), number(backupEligible ? 1 : 0),
  ...[passkey.client_data, passkey.authenticator_data, passkey.signature].map((text) => Buffer.from(text, 'base64url')),
);
/** How the audit log names a passkey. */
export const passkeyDigestOf = (id, spki) => sha256(fields('intaglio/passkey/1', id, spki));

/** The name of a device, in messages and in the audit log (api/sap, 12). */
export const deviceNameOf = (spki) => sha256(fields('intaglio/device/1', spki));
/** What a device signs in the message with this id, to approve and to be registered. */
export const deviceInputOf = (name, id, binding) => fields('intaglio/device-approval/1', name, id, binding);
export const possessionInputOf = (spki, id, binding) => fields('intaglio/device-possession/1', spki, id, binding);
/** Two digits of T, as a device and an application show them (api/sap, 12). */
export const comparisonOf = (transaction) => String(sha256(fields('intaglio/compare/1', transaction)).readUInt32BE() % 100).padStart(2, '0');
/** What the SAM keeps of an approval by a device. */
export const approvalByDeviceOf = ({ transaction, terms, act, id, spki, signature }) => fields(
  'intaglio/approval-by-device/1', transaction, terms.id, terms.version, terms.language, act, id, spki, signature,
);

const base32Alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
export function parseBase32(text) {
  let bits = '';
  for (const letter of text.toUpperCase()) bits += base32Alphabet.indexOf(letter).toString(2).padStart(5, '0');
  return Buffer.from(bits.match(/.{8}/g).map((octet) => parseInt(octet, 2)));
}

/** RFC 6238 with SHA-1, 6 digits, 30 seconds: what authenticator apps speak. */
export function totp(seed, unixSeconds) {
  const mac = createHmac('sha1', seed).update(number(Math.floor(unixSeconds / 30))).digest();
  const offset = mac[19] & 15;
  return ((mac.readUInt32BE(offset) & 0x7fffffff) % 1000000).toString().padStart(6, '0');
}
