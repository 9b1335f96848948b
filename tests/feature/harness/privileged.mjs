// A privileged user of the SAM: signs requests with his own key and sends them over the management listener (api/management/README.md).
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { CompactSign } from 'jose';
import { randomId } from './protocol.mjs';
import { decode, encode, refusalNames } from './sam.mjs';

export class ManagementRefusal extends Error {
  constructor(code, detail) {
    super(`${refusalNames[code]}: ${detail}`);
    this.refusal = refusalNames[code];
  }
}

export class Privileged {
  constructor(system, id, { folder = `users/${id}` } = {}) {
    Object.assign(this, { system, id });
    this.certificate = readFileSync(system.path(folder, 'tls.cert.pem'));
    this.pem = readFileSync(system.path(folder, 'user.key.pem'));
    this.key = createPrivateKey(this.pem);
  }

  request(members, { header = {}, key = this.key } = {}) {
    const payload = { rid: randomId(), iat: this.system.now(), sam: 'intaglio-demo', ...members };
    return new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256', typ: 'intaglio-manage+jwt', kid: this.id, ...header })
      .sign(key);
  }

  connect() {
    return tls.connect({
      host: '127.0.0.1', port: this.system.ports.sam_management, cert: this.certificate, key: this.pem, minVersion: 'TLSv1.3', rejectUnauthorized: false,
    });
  }

  /** Sends one request over this connection; gives the JSON, or throws ManagementRefusal or the error of the connection. */
  async exchange(socket, compact) {
    const answer = await new Promise((resolve, reject) => {
      let octets = Buffer.alloc(0);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the SAM closed the connection')));
      socket.on('data', (part) => {
        octets = Buffer.concat([octets, part]);
        if (octets.length >= 4 && octets.length === 4 + octets.readUInt32BE(0)) resolve(octets.subarray(4));
      });
      socket.once('secureConnect', () => {
        const message = encode([[1, compact]]);
        const length = Buffer.alloc(4);
        length.writeUInt32BE(message.length);
        socket.write(Buffer.concat([length, message]));
      });
    });
    const fields = decode(answer);
    if (fields[1]) {
      const refusal = decode(fields[1][0]);
      throw new ManagementRefusal(refusal[1][0], refusal[2]?.[0].toString());
    }
    return JSON.parse(fields[2][0].toString());
  }

  /** One request over a connection of its own. */
  async send(compact) {
    const socket = this.connect();
    try {
      return await this.exchange(socket, compact);
    } finally {
      socket.destroy();
    }
  }

  async ask(op, members = {}) {
    return this.send(await this.request({ op, ...members }));
  }

  propose(operation, payload) {
    return this.ask('propose', { operation, payload });
  }

  approve({ proposal, digest }) {
    return this.ask('approve', { proposal, digest });
  }

  execute({ proposal, digest }) {
    return this.ask('execute', { proposal, digest });
  }
}

/** A management listener with the SAM's own key that answers every request with what `answer(members)` gives. */
export function answering(system, answer) {
  const server = tls.createServer({
    cert: readFileSync(system.path('tls/sam.pem')), key: readFileSync(system.path('tls/sam.key')), requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3',
  }, (socket) => {
    let octets = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (part) => {
      octets = Buffer.concat([octets, part]);
      if (octets.length < 4 || octets.length < 4 + octets.readUInt32BE(0)) return;
      const compact = decode(octets.subarray(4))[1][0].toString();
      const members = JSON.parse(Buffer.from(compact.split('.')[1], 'base64url').toString());
      const message = encode([[2, JSON.stringify(answer(members))]]);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(message.length);
      socket.write(Buffer.concat([length, message]));
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}
