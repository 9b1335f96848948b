// A registered device in software (api/sap, 12): what its key signs, and what it must not.
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { approvalByDeviceOf, deviceInputOf, deviceNameOf, possessionInputOf, randomId } from './protocol.mjs';

/** Changes a policy: devices beside these combinations of factors for each profile. */
export const withDevices = (factors, perSigner = 2) => (document) => {
  document.devices = { per_signer: perSigner };
  for (const profile of document.profiles) profile.factors = factors;
};

export class Device {
  constructor({ curve = 'P-256' } = {}) {
    ({ privateKey: this.privateKey } = generateKeyPairSync('ec', { namedCurve: curve }));
    /** SubjectPublicKeyInfo, DER. */
    this.spki = createPublicKey(this.privateKey).export({ type: 'spki', format: 'der' });
    this.name = deviceNameOf(this.spki);
  }

  /** r | s over these octets. */
  sign(octets, { hash = 'sha256', encoding = 'ieee-p1363' } = {}) {
    return sign(hash, octets, { key: this.privateKey, dsaEncoding: encoding });
  }

  /** The factor `device` of the message with this id. */
  answer(id, binding, { name = this.name, signature = this.sign(deviceInputOf(name, id, binding)) } = {}) {
    return { type: 'device', id: name.toString('base64url'), signature: signature.toString('base64url') };
  }

  /** The factor `new-device`. */
  register(id, binding, { spki = this.spki, signature = this.sign(possessionInputOf(spki, id, binding)) } = {}) {
    return { type: 'new-device', key: spki.toString('base64url'), signature: signature.toString('base64url') };
  }

  /** The request with which the device asks what waits for its signer; `header` and `payload` change members, undefined takes one away. */
  asks(signer, now, { name = this.name, header = {}, payload = {}, key = this.privateKey } = {}) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${part({ alg: 'ES256', typ: 'intaglio-device+jwt', kid: `${signer}.${name.toString('base64url')}`, ...header })}.${part({ jti: randomId(), iat: now, ...payload })}`;
    return `${text}.${sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
  }

  /** What the SAM keeps of an approval. */
  approval({ transaction, terms, act, id, binding }) {
    return approvalByDeviceOf({ transaction, terms, act, id, spki: this.spki, signature: this.sign(deviceInputOf(this.name, id, binding)) });
  }

  /** As `--device-key` reads it. */
  keep(file, mode = 0o600) {
    writeFileSync(file, this.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode });
    return file;
  }
}
