// The program of a client that seals under a grant: its own key, and the requests that it signs.
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { CompactSign } from 'jose';
import { good } from './http.mjs';
import { base64url, randomId } from './protocol.mjs';

export class Sealer {
  constructor(signer) {
    this.signer = signer;
    this.client = signer.client;
    this.key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  }

  /** Opens a grant; `changes` replaces members of the body. */
  async open({ signatures = 100, days = 7, suites = ['ecdsa-sha256'], changes = {} } = {}) {
    const expires = new Date((this.client.system.now() + days * 86400) * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
    const clientKey = createPublicKey(this.key).export({ format: 'jwk' });
    const answer = await this.client.post('/sic/v1/grants', { credentialID: this.signer.credential, suites, clientKey, signatures, expires, ...changes });
    const opened = await this.signer.take(good('open a grant', answer), 'grant');
    const { grant } = opened.parsed;
    const asked = { clientKey: createPublicKey(this.key).export({ format: 'der', type: 'spki' }), signatures, ends: Date.parse(expires) / 1000 };
    if (!grant.clientKey.equals(asked.clientKey) || grant.signatures !== asked.signatures || grant.ends !== asked.ends) throw new Error('T holds another grant than was asked for');
    return opened;
  }

  /** The signer's act, with two factors. */
  async grant(terms) {
    const opened = await this.open(terms);
    const { grant, statement } = good('grant', await this.signer.submit(await this.signer.message(opened, await this.signer.factors(opened))));
    this.id = grant;
    this.statement = statement;
    return this;
  }

  /** A request for these digests, signed by this program; `changes` replaces claims. */
  request(digests, { key = this.key, typ = 'intaglio-seal+jwt', suite = 'ecdsa-sha256', rid = randomId(), changes = {} } = {}) {
    const claims = { grant: this.id, rid, suite, dig: base64url(Buffer.concat(digests)), ...changes };
    return new CompactSign(Buffer.from(JSON.stringify(claims))).setProtectedHeader({ alg: 'ES256', typ, kid: 'seal' }).sign(createPrivateKey(key.export({ format: 'pem', type: 'pkcs8' })));
  }

  /** Seals digests through signatures/signHash: the answer as it came. */
  async seal(digests, { suite = 'ecdsa-sha256', ...rest } = {}) {
    return this.client.signHash({ credential: this.signer.credential, sad: await this.request(digests, { suite, ...rest }), digests, suite });
  }

  end(grant = this.id) {
    return this.client.post('/sic/v1/grants/ends', { grant });
  }
}
