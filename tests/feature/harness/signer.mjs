// The signer's device: shows T, computes consent and binding from what it was asked for, and seals the factors to the SAM.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, compactVerify, importJWK } from 'jose';
import { good } from './http.mjs';
import { base64url, bindingOf, consentOf, digestOf, hashOids, parseBase32, parseTransaction, randomId, totp } from './protocol.mjs';
import { Client } from './client.mjs';
import { Officer } from './officer.mjs';

export const identityOf = (signer) => ({ givenName: 'Ada', surname: 'Lovelace', country: 'NO', serialNumber: `PNONO-${signer}`.slice(0, 60) });

export class Signer {
  /** `passkey` is used instead of one-time passwords; `pin` null: it stands alone. `identity` {provider, person}: an ID token is; `device`: a device of his. A `signerpass` takes the place of the PIN. */
  constructor(client, id, { signerpass, pin = signerpass ?? '482915730164', passkey, device, identity, profile = 'direct-resident' } = {}) {
    this.client = client;
    this.id = id;
    this.knownType = signerpass ? 'signerpass' : 'pin';
    this.pin = pin && client.system.secret(signerpass ? 'a signerpass' : 'a PIN', pin);
    this.passkey = passkey;
    this.device = device;
    this.identity = identity;
    this.profile = profile;
    this.terms = { id: 'intaglio-demo-terms', version: '1', language: 'en' };
    this.act = 'typed-yes';
    this.lastStep = 0;
  }

  /** An OTP of a step that was not used yet. The SAM takes each step once; when all are used, the services' clock goes on. */
  otp() {
    const { system } = this.client;
    const current = () => Math.floor(system.now() / 30);
    const step = Math.max(current(), this.lastStep + 1);
    if (step > current() + 1) system.moveClock((step - current()) * 30);
    this.lastStep = step;
    return system.secret('a one-time code', totp(this.seed, step * 30));
  }

  /** What an open call answered, checked as a device must: the statement is the SAM's, T is what was asked. */
  async take(opened, purpose) {
    const transaction = Buffer.from(opened.transaction, 'base64url');
    const parsed = parseTransaction(transaction);
    if (parsed.purpose !== purpose) throw new Error(`T has purpose ${parsed.purpose}`);
    const identity = await importJWK(this.client.system.samIdentity, 'ES256');
    const { payload, protectedHeader } = await compactVerify(opened.sapStatement, identity);
    if (protectedHeader.typ !== 'intaglio-sap-key+jwt') throw new Error(`statement of typ ${protectedHeader.typ}`);
    return { purpose, ticket: opened.ticket, transaction, parsed, statement: JSON.parse(Buffer.from(payload).toString()) };
  }

  async openSigning({ credential, hash = 'sha256', documents, suites }) {
    const answer = await this.client.post('/sic/v1/transactions', {
      credentialID: credential, hashAlgorithmOID: hashOids[hash], ...(suites ? { suites } : {}),
      documents: documents.map(({ digest, label }) => ({ hash: digest.toString('base64'), label })),
    });
    return this.take(good('open', answer), 'sign');
  }

  async openEnrolment() {
    return this.take(good('open enrolment', await this.client.post('/sic/v1/enrolments', { signerID: this.id })), 'enrol');
  }

  async openKey({ algorithm = 'p256', profile = this.profile } = {}) {
    return this.take(good('open key', await this.client.post('/sic/v1/keys', { signerID: this.id, algorithm, profile })), 'key');
  }

  async openFactors() {
    return this.take(good('open factors', await this.client.post('/sic/v1/factors', { signerID: this.id })), 'factors');
  }

  /** `change` is suspend or destroy. */
  async openChange(change, credential = this.credential) {
    const path = { suspend: '/sic/v1/suspensions', destroy: '/sic/v1/destructions' }[change];
    return this.take(good(`open ${change}`, await this.client.post(path, { credentialID: credential })), change);
  }

  /** The compact JWE of a SAP message; `changes` replaces members of the payload, `header` those of the header. A factor that is a function gets the message's id. */
  async message(opened, factors, { changes = {}, header = {} } = {}) {
    const id = changes.id ?? randomId();
    const consent = consentOf(opened.transaction, this.terms, this.act);
    this.answerKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const payload = {
      id, ticket: opened.ticket, terms: this.terms, act: this.act, consent: base64url(consent),
      binding: base64url(bindingOf(opened.transaction, consent)),
      factors: factors.map((factor) => (typeof factor === 'function' ? factor(id) : factor)), epk: createPublicKey(this.answerKey.privateKey).export({ format: 'jwk' }),
      ...changes,
    };
    const { kid, jwk } = opened.statement;
    return new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ: `intaglio-sap-${opened.purpose}+jwe`, kid, ...header })
      .setKeyManagementParameters({ apu: opened.parsed.nonce, apv: Buffer.from(kid) })
      .encrypt(await importJWK(jwk, 'ECDH-ES+A256KW'));
  }

  /** What a passkey signs to approve `opened`: the binding, computed from what was shown. */
  bindingOf(opened) {
    return bindingOf(opened.transaction, consentOf(opened.transaction, this.terms, this.act));
  }

  /** The answer to the last message, opened. */
  async unseal(answer, typ) {
    const { plaintext, protectedHeader } = await compactDecrypt(answer, this.answerKey.privateKey);
    if (protectedHeader.typ !== typ) throw new Error(`an answer of typ ${protectedHeader.typ}`);
    return JSON.parse(Buffer.from(plaintext).toString());
  }

  submit(message) {
    return this.client.post('/sic/v1/messages', { message });
  }

  /** What the identity provider says when this person signs in for `opened`: its nonce is the binding. */
  idToken(opened, person = this.identity.person) {
    return this.identity.provider.signIn(person, base64url(this.bindingOf(opened)));
  }

  /** The factors that approve `opened`: the passkey where the signer uses one, with the PIN unless it stands alone; PIN and ID token, then a promise; PIN and device; else PIN and one-time password. */
  factors(opened) {
    const pin = { type: this.knownType, value: this.pin };
    if (this.identity) return this.idToken(opened).then((value) => [pin, { type: 'id-token', value }]);
    if (this.device) return [pin, (id) => this.device.answer(id, this.bindingOf(opened))];
    if (!this.passkey) return [pin, { type: 'totp', value: this.otp() }];
    const answer = this.passkey.answer(this.bindingOf(opened));
    return this.pin ? [pin, answer] : [answer];
  }

  /** First factors with an activation code: the PIN is ours, the TOTP seed comes back sealed. */
  async enrol(code) {
    const opened = await this.openEnrolment();
    this.client.system.secret('an activation code', code);
    const factors = [{ type: 'activation-code', value: code }, ...(this.pin ? [{ type: `new-${this.knownType}`, value: this.pin }] : [])];
    if (this.passkey) factors.push(this.passkey.register(this.bindingOf(opened)));
    if (this.device) factors.push((id) => this.device.register(id, this.bindingOf(opened)));
    if (this.identity) factors.push({ type: 'new-id-token', value: await this.idToken(opened) });
    const message = await this.message(opened, factors);
    const { answer } = good('enrol', await this.submit(message));
    const told = await this.unseal(answer, 'intaglio-enrol-answer+jwe');
    if (this.passkey || this.device || this.identity) {
      if (told.totp_seed !== undefined) throw new Error('a seed that was not asked for');
      return this;
    }
    this.seedText = told.totp_seed;
    this.client.system.secret('a TOTP seed', this.seedText);
    this.seed = parseBase32(this.seedText);
    this.client.system.secret('a TOTP seed', this.seed.toString('latin1'));
    return this;
  }

  /** Replaces the PIN, by a signerpass where that is given, or the seed, adds a passkey or a device, ends the passkeys or devices of before, links another person: with the factors that the signer has. */
  async changeFactors({ pin, signerpass, seed = false, passkey, dropPasskeys = false, device, dropDevices = false, person }) {
    const opened = await this.openFactors();
    const factors = [...await this.factors(opened), ...(pin ? [{ type: 'new-pin', value: pin }] : []), ...(signerpass ? [{ type: 'new-signerpass', value: signerpass }] : [])];
    if (person) factors.push({ type: 'new-id-token', value: await this.idToken(opened, person) });
    if (passkey) factors.push(passkey.register(this.bindingOf(opened)));
    if (device) factors.push((id) => device.register(id, this.bindingOf(opened)));
    const changes = { ...(seed ? { new_seed: true } : {}), ...(dropPasskeys ? { drop_passkeys: true } : {}), ...(dropDevices ? { drop_devices: true } : {}) };
    const message = await this.message(opened, factors, { changes });
    const { answer } = good('change factors', await this.submit(message));
    const told = await this.unseal(answer, 'intaglio-factors-answer+jwe');
    if ((told.totp_seed !== undefined) !== seed) throw new Error('a seed that was not asked for, or none');
    if (pin || signerpass) Object.assign(this, { pin: this.client.system.secret(signerpass ? 'a signerpass' : 'a PIN', pin ?? signerpass), knownType: signerpass ? 'signerpass' : 'pin' });
    if (person) this.identity = { ...this.identity, person };
    if (seed) this.seedText = this.client.system.secret('a TOTP seed', told.totp_seed);
    if (seed) this.seed = parseBase32(told.totp_seed);
    return this;
  }

  /** Suspends or destroys the key; gives the state that is answered. */
  async change(change, credential = this.credential) {
    const opened = await this.openChange(change, credential);
    return good(change, await this.submit(await this.message(opened, await this.factors(opened)))).state;
  }

  async generateKey(options) {
    const opened = await this.openKey(options);
    const { credentialID } = good('key', await this.submit(await this.message(opened, await this.factors(opened))));
    return credentialID;
  }

  /** Approves documents ([{digest, label}]); gives the SAD. */
  async approve({ credential, documents, hash, suites }) {
    const opened = await this.openSigning({ credential, documents, hash, suites });
    return this.client.system.secret('a SAD', good('authorise', await this.submit(await this.message(opened, await this.factors(opened)))).SAD);
  }

  /** A SAP message for documents, ready to be submitted: {opened, message}. */
  async prepare({ credential = this.credential, documents, hash, suites, options }) {
    const opened = await this.openSigning({ credential, documents, hash, suites });
    return { opened, message: await this.message(opened, await this.factors(opened), options) };
  }

  /** Registered under the identity record, enrolled, with a key that is certified under a profile of the PKI: {credential, chain, algorithm}. */
  async ready({ officer = new Officer(this.client.system), algorithm = 'p256', profile = this.profile, record = identityOf(this.id), certificate } = {}) {
    await this.enrol(await officer.createSigner(this.id, record));
    this.algorithm = algorithm;
    this.credential = await this.generateKey({ algorithm, profile });
    this.chain = await officer.certify(this.credential, record, certificate && { profile: certificate });
    return this;
  }

  /** Approve and sign texts in one go; gives {digests, signatures, sad, answer}. */
  async sign(texts, { suite = this.algorithm.startsWith('rsa') ? 'rsa-pss-sha256' : 'ecdsa-sha256' } = {}) {
    const documents = documentsOf(...texts);
    const digests = documents.map(({ digest }) => digest);
    const sad = await this.approve({ credential: this.credential, documents });
    const answer = good('signHash', await this.client.signHash({ credential: this.credential, sad, digests, suite }));
    return { digests, sad, answer, signatures: answer.signatures.map((signature) => Buffer.from(signature, 'base64')) };
  }
}

/** Documents for these texts: digest and label. */
export const documentsOf = (...texts) => texts.map((text) => ({ digest: digestOf('sha256', text), label: `label of ${text}`.slice(0, 200) }));

/** A signed-in client, an officer and a signer with a certified key. */
export async function signerOf(system, { id = 'alice', pin, signerpass, passkey, device, identity, profile, ...rest } = {}) {
  const client = await new Client(system).signIn();
  const officer = new Officer(system);
  const signer = await new Signer(client, id, { pin, signerpass, passkey, device, identity, profile }).ready({ officer, ...rest });
  return { client, officer, signer };
}

export const identityThumbprint = (system) => calculateJwkThumbprint(system.samIdentity);
