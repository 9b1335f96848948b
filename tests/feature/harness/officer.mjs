// A registration officer: signs requests with the operator's own key and sends them over mutual TLS.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CompactSign, compactDecrypt } from 'jose';
import { good, send, sendJson } from './http.mjs';
import { base64url, randomId, sha256 } from './protocol.mjs';

export class Officer {
  constructor(system, { id = 'ra-1', folder = `operators/${id}` } = {}) {
    this.system = system;
    this.id = id;
    /** By signer: what the person would have on paper. */
    this.revocationCodes = {};
    this.key = createPrivateKey(readFileSync(system.path(folder, 'operator.key.pem')));
    this.jwk = createPublicKey(this.key).export({ format: 'jwk' });
    this.tls = system.tls({ cert: readFileSync(system.path(folder, 'tls.cert.pem')), key: readFileSync(system.path(folder, 'tls.key.pem')) });
  }

  /** JWS typ intaglio-ra+jwt; `changes` replaces members of the payload, `header` those of the header. */
  request(op, body, { changes = {}, header = {}, key = this.key } = {}) {
    const payload = { op, rid: randomId(), iat: this.system.now(), ...body, ...changes };
    return new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ: 'intaglio-ra+jwt', kid: this.id, ...header })
      .sign(key);
  }

  post(path, value) {
    return sendJson(this.system.registrationUrl + path, value, { tls: this.tls });
  }

  get(path) {
    return send(this.system.registrationUrl + path, { tls: this.tls });
  }

  /** Registers a person; gives the activation code, opened with the officer's key. */
  createSigner(signer, identity, options) {
    return this.#register('create-signer', '/ra/v1/signers', signer, identity, options);
  }

  /** Resets the factors of a person who was identified anew; gives the activation code. */
  resetFactors(signer, identity, options) {
    return this.#register('reset-factors', '/ra/v1/resets', signer, identity, options);
  }

  async #register(op, path, signer, identity, options) {
    const request = await this.request(op, { signer, identity, deliver_to: this.jwk }, options);
    const { activationCode, revocationCode } = good(op, await this.post(path, { request }));
    this.revocationCodes[signer] = this.system.secret('a revocation code', revocationCode);
    const { plaintext, protectedHeader } = await compactDecrypt(activationCode, this.key);
    if (protectedHeader.typ !== 'intaglio-activation+jwe') throw new Error(`activation code of typ ${protectedHeader.typ}`);
    return JSON.parse(Buffer.from(plaintext).toString()).code;
  }

  /** From the signer's pending key request to a bound certificate; gives the chain, DER, leaf first. */
  async certify(credential, identity, { profile = 'natural-person' } = {}) {
    const pending = good('key request', await this.get(`/ra/v1/requests/${credential}`));
    const issue = await this.request('issue-certificate', {
      signer: pending.signerID, key: credential, csr_sha256: base64url(sha256(Buffer.from(pending.csr, 'base64'))), identity, profile,
    });
    const { certificates } = good('issue-certificate', await this.post('/ra/v1/certificates', { request: issue }));
    const chain = certificates.map((certificate) => Buffer.from(certificate, 'base64'));
    const bind = await this.request('bind-certificate', { key: credential, certificate_sha256: base64url(sha256(chain[0])) });
    const bound = good('bind-certificate', await this.post('/ra/v1/bindings', { request: bind }));
    if (bound.state !== 'assigned') throw new Error(`bound key is ${bound.state}`);
    return chain;
  }
}
