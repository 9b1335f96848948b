// A person without an account: signs in at the identity provider for documents, in a session with a one-time key. Also the SSA's part of
// the conversation, for tests that stop in the middle of it or lie.
import { readFileSync } from 'node:fs';
import { good, sendJson } from './http.mjs';
import { sessionOf } from './identity.mjs';
import { base64url, hashOids } from './protocol.mjs';
import { decode, Sam } from './sam.mjs';
import { Signer } from './signer.mjs';

export class Person {
  constructor(client, provider, name) {
    this.client = client;
    this.provider = provider;
    this.name = name;
    this.device = new Signer(client, 'nobody', { pin: null });
  }

  /** Opens a session for these documents; throws unless T holds exactly that. */
  async open(documents) {
    const answer = await this.client.post('/sic/v1/sessions', {
      profile: 'one-time', hashAlgorithmOID: hashOids.sha256, documents: documents.map(({ digest, label }) => ({ hash: digest.toString('base64'), label })),
    });
    const opened = await this.device.take(good('open session', answer), 'one-time');
    const same = opened.parsed.documents.length === documents.length
      && documents.every(({ digest, label }, at) => digest.equals(opened.parsed.documents[at].digest) && label === opened.parsed.documents[at].label);
    if (!same || opened.parsed.profile !== 'one-time') throw new Error('T is not what was asked for');
    return opened;
  }

  sessionOf(opened) {
    return base64url(sessionOf(opened.parsed, this.device.terms, this.device.act));
  }

  /** The ID token of this person, or another, for `opened`. */
  idToken(opened, person = this.name) {
    return this.provider.signIn(person, this.sessionOf(opened), 'openid identity');
  }

  async message(opened, token) {
    return this.device.message(opened, [{ type: 'id-token', value: token ?? await this.idToken(opened) }]);
  }

  /** The whole session through the SSA; gives its answer. */
  async sign(documents) {
    const opened = await this.open(documents);
    return { opened, answer: await this.device.submit(await this.message(opened)) };
  }
}

/** The conversation as the SSA holds it, one step at a time, on a connection of its own. */
export class Conversation {
  static async begin(system, message) {
    const sam = await Sam.connect(system);
    const made = decode((await sam.call(25, message))[5][0]);
    return Object.assign(new Conversation(), { system, sam, key: made[1][0].toString(), csr: made[2][0], assertion: made[3][0].toString() });
  }

  /** DER, leaf first, from the certification authority. */
  async certify({ assertion = this.assertion, csr = this.csr } = {}) {
    const { system } = this;
    const tls = system.tls({ cert: readFileSync(system.path('tls/ssa-pki.cert.pem')), key: readFileSync(system.path('tls/ssa-pki.key.pem')) });
    const answer = await sendJson(`https://127.0.0.1:${system.ports.pki_internal}/pki/v1/short-term-certificates`, { keyAssertion: assertion, csr: csr.toString('base64') }, { tls });
    return good('short-term certificate', answer).certificates.map((text) => Buffer.from(text, 'base64'));
  }

  sign(certificates) {
    return this.sam.call(26, [...certificates.map((der) => [1, der]), [2, '127.0.0.1']]);
  }

  end() {
    this.sam.close();
  }
}
