// A hostile service between the command line and the real one: passes everything on and changes what a test wants changed.
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { send } from './http.mjs';
import { encodeTransaction, parseTransaction } from './protocol.mjs';

export class Proxy {
  /** In front of the public listener, or of the registration listener when an operator's folder is given. */
  static async start(system, client, { operator } = {}) {
    const identity = { cert: readFileSync(system.path('tls/ssa.cert.pem')), key: readFileSync(system.path('tls/ssa.key.pem')) };
    const proxy = new Proxy();
    proxy.client = client;
    proxy.target = operator ? system.registrationUrl : system.publicUrl;
    proxy.tls = operator ? system.tls({ cert: readFileSync(system.path(operator, 'tls.cert.pem')), key: readFileSync(system.path(operator, 'tls.key.pem')) }) : client.tls;
    const asked = operator ? { requestCert: true, rejectUnauthorized: true, ca: readFileSync(system.path('tls/operators-ca.pem')) } : {};
    proxy.server = https.createServer({ ...identity, ...asked, minVersion: 'TLSv1.3' }, (request, response) => proxy.#serve(request, response));
    await new Promise((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    proxy.url = `https://127.0.0.1:${proxy.server.address().port}`;
    proxy.reset();
    return proxy;
  }

  /** `alter(path, json, body)` may change the JSON of an answer or give another one. */
  reset(alter = () => undefined) {
    this.alter = alter;
    this.seen = [];
  }

  /** A change of T in the answer of the open call. */
  alterTransaction(change) {
    this.reset((path, json) => {
      if (!json?.transaction) return;
      const transaction = parseTransaction(Buffer.from(json.transaction, 'base64url'));
      json.transaction = encodeTransaction(change(transaction) ?? transaction).toString('base64url');
    });
  }

  async #serve(request, response) {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts).toString();
    this.seen.push(request.url);
    // The client's assertion names this address; the real service wants its own.
    if (request.url === '/csc/v2/oauth2/token') {
      if (this.client.tokenEnds < this.client.system.now() + 60) await this.client.signIn();
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ access_token: this.client.token, token_type: 'Bearer', expires_in: 3600 }));
      return;
    }
    const headers = { ...(request.headers['content-type'] ? { 'content-type': request.headers['content-type'] } : {}), ...this.client.headers() };
    const answer = await send(this.target + request.url, { method: request.method, headers, body: request.method === 'GET' ? undefined : body, tls: this.tls });
    const json = answer.json && answer.status === 200 ? await this.alter(request.url, answer.json, body) ?? answer.json : answer.json;
    response.writeHead(answer.status, { 'content-type': 'application/json' }).end(JSON.stringify(json));
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
