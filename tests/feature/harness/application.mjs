// A signature application that lets a signer approve in a browser: npm openid-client, with an address of its own to which codes come back.
import { createHash } from 'node:crypto';
import http from 'node:http';
import * as oauth from 'openid-client';
import { send, sendJson } from './http.mjs';
import { digestOf, hashOids } from './protocol.mjs';
import { signAlgorithms } from './client.mjs';

export class Application {
  /** Listens first: the address must be registered before the services start. */
  static async listen() {
    const application = new Application();
    application.server = http.createServer((request, response) => {
      application.came.push(request.url);
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><html lang="en"><title>Back</title><h1>Back in the application</h1></html>');
    });
    await new Promise((resolve) => application.server.listen(0, '127.0.0.1', resolve));
    application.address = `http://127.0.0.1:${application.server.address().port}/back`;
    application.came = [];
    return application;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }

  /** ssa.toml with this application's address at the client. */
  registered(text) {
    return text.replace(/^redirect_uris = .*$/m, `redirect_uris = ["${this.address}"]`);
  }

  async connect(system, client) {
    this.system = system;
    this.client = client;
    const key = await crypto.subtle.importKey('pkcs8', client.key.export({ type: 'pkcs8', format: 'der' }), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    this.authentication = oauth.PrivateKeyJwt(key);
    const discovered = await oauth.discovery(new URL(system.publicUrl), client.id, {}, this.authentication, { algorithm: 'oauth2', [oauth.customFetch]: (...words) => this.#fetch(...words) });
    this.metadata = discovered.serverMetadata();
    return this;
  }

  async #fetch(url, { method, headers, body }) {
    const answer = await send(url, { method, headers: Object.fromEntries(new Headers(headers)), body: body === undefined || body === null ? undefined : String(body), tls: this.client.tls });
    return new Response(answer.octets.length > 0 ? answer.octets : null, { status: answer.status, headers: Object.fromEntries(Object.entries(answer.headers).filter(([, value]) => typeof value === 'string')) });
  }

  #configuration() {
    const made = new oauth.Configuration(this.metadata, this.client.id, { [oauth.clockSkew]: this.system.clockOffset }, this.authentication);
    made[oauth.customFetch] = (...words) => this.#fetch(...words);
    return made;
  }

  /** A pushed request for these documents ([{text, label}]): the address for the browser, and what the answer is checked with. */
  async ask(credential, documents) {
    const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
    const expectedState = oauth.randomState();
    const url = await oauth.buildAuthorizationUrlWithPAR(this.#configuration(), {
      redirect_uri: this.address, state: expectedState, code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
      authorization_details: JSON.stringify([{
        type: 'https://cloudsignatureconsortium.org/2025/credential', credentialID: credential, numSignatures: documents.length, hashAlgorithmOID: hashOids.sha256,
        documentDigests: documents.map(({ text, label }) => ({ hash: digestOf('sha256', text).toString('base64'), label, hashType: 'DTBSR' })),
      }]),
    });
    return { url: url.href, checks: { pkceCodeVerifier, expectedState } };
  }

  /** The access token for what came back. */
  async token(back, checks) {
    this.system.secret('an authorization code', new URL(back).searchParams.get('code'));
    const { access_token: token } = await oauth.authorizationCodeGrant(this.#configuration(), new URL(back), checks);
    return this.system.secret('an access token', token);
  }

  signHash(token, credential, texts) {
    return sendJson(this.client.url('/csc/v2/signatures/signHash'), {
      credentialID: credential, hashes: texts.map((text) => createHash('sha256').update(text).digest('base64')), signAlgo: signAlgorithms['ecdsa-sha256'].signAlgo,
    }, { tls: this.client.tls, headers: { authorization: `Bearer ${token}` } });
  }
}
