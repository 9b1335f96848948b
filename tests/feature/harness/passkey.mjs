// A passkey in software: what a browser and its authenticator answer (WebAuthn Level 3), and what they must not.
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';

export const rpId = 'sign.example.test';
export const origin = 'https://sign.example.test';

/** The policy's `passkeys`, for the origin of this harness; combinations of factors for each profile. */
export const withPasskeys = (factors, more = {}) => (document) => {
  document.passkeys = { rp_id: rpId, origins: [origin], backup_eligible: false, ...more };
  for (const profile of document.profiles) profile.factors = factors;
};

const sha256 = (octets) => createHash('sha256').update(octets).digest();

/** The CBOR that authenticators write (CTAP2 canonical form), of numbers, texts, octets and maps. */
export function cbor(value) {
  const head = (major, number) => {
    if (number < 24) return Buffer.from([(major << 5) | number]);
    if (number < 256) return Buffer.from([(major << 5) | 24, number]);
    return Buffer.from([(major << 5) | 25, number >> 8, number & 255]);
  };
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value);
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (Buffer.isBuffer(value)) return Buffer.concat([head(2, value.length), value]);
  if (value instanceof Map) return Buffer.concat([head(5, value.size), ...[...value].flatMap(([name, member]) => [cbor(name), cbor(member)])]);
  throw new Error(`no CBOR for ${value}`);
}

const flag = { present: 0x01, verified: 0x04, backupEligible: 0x08, attested: 0x40 };

export class Passkey {
  /** `at`: the origin of another page, and the host of it. */
  constructor({ counts = true, at = { origin, rpId } } = {}) {
    this.at = at;
    ({ privateKey: this.privateKey, publicKey: this.publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' }));
    this.id = randomBytes(32);
    this.counter = 0;
    this.counts = counts;
  }

  /** SubjectPublicKeyInfo, DER. */
  get spki() {
    return this.publicKey.export({ type: 'spki', format: 'der' });
  }

  /** The same key in another authenticator. */
  copy() {
    return Object.assign(new Passkey(), this);
  }

  #clientData(type, challenge, changes) {
    return Buffer.from(JSON.stringify({ type, challenge: challenge.toString('base64url'), origin: this.at.origin, crossOrigin: false, ...changes }));
  }

  #authenticatorData(flags, rp, credential = Buffer.alloc(0)) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(this.counter);
    return Buffer.concat([sha256(rp), Buffer.from([flags]), counter, credential]);
  }

  /** navigator.credentials.create(): the factor `new-passkey`. */
  register(challenge, { client = {}, rp = this.at.rpId, flags = flag.present | flag.verified } = {}) {
    const { x, y } = this.publicKey.export({ format: 'jwk' });
    const key = cbor(new Map([[1, 2], [3, -7], [-1, 1], [-2, Buffer.from(x, 'base64url')], [-3, Buffer.from(y, 'base64url')]]));
    const length = Buffer.alloc(2);
    length.writeUInt16BE(this.id.length);
    const data = this.#authenticatorData(flags | flag.attested, rp, Buffer.concat([Buffer.alloc(16), length, this.id, key]));
    const object = cbor(new Map([['fmt', 'none'], ['attStmt', new Map()], ['authData', data]]));
    return {
      type: 'new-passkey', client_data: this.#clientData('webauthn.create', challenge, client).toString('base64url'),
      attestation: object.toString('base64url'),
    };
  }

  /** navigator.credentials.get(): the factor `passkey`. `verified: false` leaves the person unverified; `more` adds flags, `tail` bytes to the authenticator data. */
  answer(challenge, { client = {}, rp = this.at.rpId, verified = true, id = this.id, more = 0, tail } = {}) {
    if (this.counts) this.counter += 1;
    const clientData = this.#clientData('webauthn.get', challenge, client);
    const data = this.#authenticatorData(flag.present | (verified ? flag.verified : 0) | more, rp, tail);
    const signature = sign('sha256', Buffer.concat([data, sha256(clientData)]), this.privateKey);
    return {
      type: 'passkey', id: id.toString('base64url'), client_data: clientData.toString('base64url'),
      authenticator_data: data.toString('base64url'), signature: signature.toString('base64url'),
    };
  }
}
