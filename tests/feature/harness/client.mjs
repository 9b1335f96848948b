// A signature application: authenticates with private_key_jwt and calls /csc/v2 and /sic/v1.
import { readFileSync } from 'node:fs';
import { createPrivateKey } from 'node:crypto';
import { SignJWT } from 'jose';
import { good, send, sendForm, sendJson } from './http.mjs';
import { hashOids, randomId } from './protocol.mjs';

/** RSASSA-PSS-params (RFC 4055, 3.1): this hash, MGF1 with it, a salt as long. */
const pssParameters = (hashNumber, saltLength) => {
  const hash = `300d060960864801650304020${hashNumber}0500`;
  return Buffer.from(`3034a00f${hash}a11c301a06092a864886f70d010108${hash}a2030201${saltLength.toString(16)}`, 'hex').toString('base64');
};

export const signAlgorithms = {
  'rsa-pss-sha256': { signAlgo: '1.2.840.113549.1.1.10', signAlgoParams: pssParameters(1, 32), hash: 'sha256' },
  'rsa-pss-sha384': { signAlgo: '1.2.840.113549.1.1.10', signAlgoParams: pssParameters(2, 48), hash: 'sha384' },
  'rsa-pss-sha512': { signAlgo: '1.2.840.113549.1.1.10', signAlgoParams: pssParameters(3, 64), hash: 'sha512' },
  'rsa-pkcs1-sha256': { signAlgo: '1.2.840.113549.1.1.11', hash: 'sha256' },
  'rsa-pkcs1-sha384': { signAlgo: '1.2.840.113549.1.1.12', hash: 'sha384' },
  'rsa-pkcs1-sha512': { signAlgo: '1.2.840.113549.1.1.13', hash: 'sha512' },
  'ecdsa-sha256': { signAlgo: '1.2.840.10045.4.3.2', hash: 'sha256' },
  'ecdsa-sha384': { signAlgo: '1.2.840.10045.4.3.3', hash: 'sha384' },
  'ecdsa-sha512': { signAlgo: '1.2.840.10045.4.3.4', hash: 'sha512' },
};

export class Client {
  /** `node`: the address of one node of several, which know themselves by one name. */
  constructor(system, { id = 'demo', keyFile = system.path('clients/demo/client.key.pem'), node = system.publicUrl } = {}) {
    this.system = system;
    this.node = node;
    this.id = id;
    this.key = createPrivateKey(readFileSync(keyFile));
    this.tls = system.tls();
  }

  url(path) {
    return this.node + path;
  }

  /** A client assertion (RFC 7523); `changes` replaces claims. */
  assertion(changes = {}) {
    const now = this.system.now();
    const claims = { iss: this.id, sub: this.id, aud: `${this.system.publicUrl}/csc/v2/oauth2/token`, jti: randomId(), iat: now, exp: now + 60, ...changes };
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: this.id }).sign(this.key);
  }

  async requestToken(changes = {}) {
    return sendForm(this.url('/csc/v2/oauth2/token'), {
      grant_type: 'client_credentials', scope: 'service', client_id: this.id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: await this.assertion(), ...changes,
    }, { tls: this.tls });
  }

  async signIn() {
    const answer = good('oauth2/token', await this.requestToken());
    this.token = this.system.secret('an access token', answer.access_token);
    this.tokenEnds = this.system.now() + answer.expires_in;
    return this;
  }

  headers() {
    return this.token ? { authorization: `Bearer ${this.token}` } : {};
  }

  /** POST with JSON; the answer as it came. */
  async post(path, value, headers = {}) {
    if (this.token && this.tokenEnds < this.system.now() + 30) await this.signIn();
    return sendJson(this.url(path), value, { tls: this.tls, headers: { ...this.headers(), ...headers } });
  }

  get(path, headers = {}) {
    return send(this.url(path), { tls: this.tls, headers: { ...this.headers(), ...headers } });
  }

  /** signatures/signHash for digests (Buffers); the answer as it came. */
  signHash({ credential, sad, digests, suite, changes = {} }) {
    const { signAlgo, signAlgoParams, hash } = signAlgorithms[suite];
    return this.post('/csc/v2/signatures/signHash', {
      credentialID: credential, SAD: sad, hashes: digests.map((digest) => digest.toString('base64')), hashAlgorithmOID: hashOids[hash],
      signAlgo, ...(signAlgoParams ? { signAlgoParams } : {}), ...changes,
    });
  }
}
