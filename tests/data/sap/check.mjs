// Recomputes tests/data/sap/vectors.json, approval.json, identity_approval.json and device_approval.json from their inputs alone, in a second language: node tests/data/sap/check.mjs
// With --print it writes what it computed instead of comparing.
import { createHash, createPublicKey, verify } from 'node:crypto';
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
  // What an identity provider answers when a session begins with it (README, 10).
  const session = input.purpose === 'one-time' ? {
    session: sha256(fields('intaglio/session/1', ...listed(input.documents), terms.id, terms.version, terms.language, act, input.client_id, input.client_name,
      input.profile, Buffer.from(input.nonce, 'hex'))),
  } : {};
  return Object.fromEntries(Object.entries({ transaction: encoded, consent, binding, list, ...session }).map(([name, octets]) => [name, octets.toString('hex')]));
};

const file = new URL('./vectors.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8'));
if (process.argv.includes('--print')) {
  console.log(JSON.stringify(vectors.map(({ name, input }) => ({ name, input, expected: compute(input) })), null, 2));
} else {
  let wrong = 0;
  for (const { name, input, expected } of vectors) {
    const computed = compute(input);
    for (const part of ['transaction', 'consent', 'binding', 'list', 'session']) {
      if (computed[part] === expected[part]) continue;
      wrong += 1;
      console.error(`${name}: ${part} is ${expected[part]}, computed ${computed[part]}`);
    }
  }
  const { rp_id: rpId, origins, passkey, expected } = JSON.parse(readFileSync(new URL('./approval.json', import.meta.url), 'utf8'));
  const [{ input, expected: approved }] = vectors.filter(({ name }) => name === 'one document');
  const [id, spki, data, signature] = [passkey.id, passkey.spki, passkey.authenticator_data, passkey.signature].map((text) => Buffer.from(text, 'hex'));
  const approval = fields(
    'intaglio/approval/1', transaction(input.transaction), input.terms.id, input.terms.version, input.terms.language, input.act, rpId,
    number(origins.length), ...origins, id, spki, number(passkey.suite), number(passkey.backup_eligible ? 1 : 0), passkey.client_data, data, signature,
  );
  const computed = { approval, evidence: sha256(approval), passkey: sha256(fields('intaglio/passkey/1', id, spki)) };
  for (const [part, octets] of Object.entries(computed)) {
    if (octets.toString('hex') === expected[part]) continue;
    wrong += 1;
    console.error(`approval: ${part} is ${expected[part]}, computed ${octets.toString('hex')}`);
  }
  const challenge = Buffer.from(JSON.parse(passkey.client_data).challenge, 'base64url').toString('hex');
  const key = createPublicKey({ key: spki, type: 'spki', format: 'der' });
  const signed = Buffer.concat([data, sha256(passkey.client_data)]);
  if (challenge !== approved.binding || !data.subarray(0, 32).equals(sha256(rpId)) || !verify('sha256', signed, key, signature)) {
    wrong += 1;
    console.error('approval: the passkey did not sign the binding for this relying party');
  }
  const told = JSON.parse(readFileSync(new URL('./identity_approval.json', import.meta.url), 'utf8'));
  const { provider } = told;
  const [salt, pinned] = [told.salt, provider.spki].map((text) => Buffer.from(text, 'hex'));
  const confirmed = fields(
    'intaglio/identity-approval/1', transaction(input.transaction), input.terms.id, input.terms.version, input.terms.language, input.act,
    provider.issuer, provider.client_id, number(provider.acr.length), ...provider.acr, number(1), number(provider.max_auth_seconds),
    number(provider.max_skew_seconds), 'keys', number(1), provider.kid, provider.alg, pinned, salt, told.subject, number(told.taken), told.token,
  );
  const recomputed = { approval: confirmed, evidence: sha256(confirmed), identity: sha256(fields('intaglio/identity/1', salt, provider.issuer, told.subject)) };
  for (const [part, octets] of Object.entries(recomputed)) {
    if (octets.toString('hex') === told.expected[part]) continue;
    wrong += 1;
    console.error(`approval by an identity: ${part} is ${told.expected[part]}, computed ${octets.toString('hex')}`);
  }
  const [header, claims, mark] = told.token.split('.');
  const said = JSON.parse(Buffer.from(claims, 'base64url'));
  const pinnedKey = { key: createPublicKey({ key: pinned, type: 'spki', format: 'der' }), dsaEncoding: 'ieee-p1363' };
  const answers = said.iss === provider.issuer && said.aud === provider.client_id && said.sub === told.subject && Buffer.from(said.nonce, 'base64url').toString('hex') === approved.binding;
  if (!answers || !verify('sha256', Buffer.from(`${header}.${claims}`), pinnedKey, Buffer.from(mark, 'base64url'))) {
    wrong += 1;
    console.error('approval by an identity: the provider did not answer the binding for this person');
  }
  const byDevice = JSON.parse(readFileSync(new URL('./device_approval.json', import.meta.url), 'utf8'));
  const [deviceSpki, deviceSignature, possession] = [byDevice.device.spki, byDevice.device.signature, byDevice.device.possession].map((text) => Buffer.from(text, 'hex'));
  const [device, binding] = [sha256(fields('intaglio/device/1', deviceSpki)), Buffer.from(approved.binding, 'hex')];
  const signedByDevice = fields('intaglio/device-approval/1', device, byDevice.message_id, binding);
  const registered = fields('intaglio/device-possession/1', deviceSpki, byDevice.message_id, binding);
  const approvalByDevice = fields(
    'intaglio/approval-by-device/1', transaction(input.transaction), input.terms.id, input.terms.version, input.terms.language, input.act,
    byDevice.message_id, deviceSpki, deviceSignature,
  );
  const again = { binding, device, signed: signedByDevice, registered, approval: approvalByDevice, evidence: sha256(approvalByDevice) };
  for (const [part, octets] of Object.entries(again)) {
    if (octets.toString('hex') === byDevice.expected[part]) continue;
    wrong += 1;
    console.error(`approval by a device: ${part} is ${byDevice.expected[part]}, computed ${octets.toString('hex')}`);
  }
  const comparison = String(sha256(fields('intaglio/compare/1', transaction(input.transaction))).readUInt32BE() % 100).padStart(2, '0');
  if (comparison !== byDevice.comparison) {
    wrong += 1;
    console.error(`approval by a device: comparison is ${byDevice.comparison}, computed ${comparison}`);
  }
  const deviceKey = { key: createPublicKey({ key: deviceSpki, type: 'spki', format: 'der' }), dsaEncoding: 'ieee-p1363' };
  if (!verify('sha256', signedByDevice, deviceKey, deviceSignature) || !verify('sha256', registered, deviceKey, possession)) {
    wrong += 1;
    console.error('approval by a device: the device did not sign this');
  }
  console.log(`${vectors.length + 3} vectors, ${wrong} differences`);
  process.exitCode = wrong === 0 && vectors.length > 0 ? 0 : 1;
}
