// A mail server that is not ours (npm smtp-server) and a gateway for signed notices, both on ports that the system chooses.
import { createHmac, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import { once } from 'node:events';
import { SMTPServer } from 'smtp-server';

/** The text of a message whose body is base64, and its headers, unfolded. */
export function readMail(raw) {
  const end = raw.indexOf('\r\n\r\n');
  const headers = Object.fromEntries(raw.slice(0, end).replace(/\r\n /g, '').split('\r\n').map((line) => {
    const colon = line.indexOf(': ');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 2)];
  }));
  const words = headers.subject.replace(/=\?UTF-8\?B\?([^?]*)\?=/g, (_, base64) => Buffer.from(base64, 'base64').toString('latin1'));
  return { headers, subject: Buffer.from(words, 'latin1').toString('utf8'), text: Buffer.from(raw.slice(end + 4), 'base64').toString('utf8') };
}

export class MailServer {
  /** `options`: of smtp-server; `refuse(address)`: an error for a recipient, or nothing. */
  static async start(options = {}, { refuse = () => undefined } = {}) {
    const server = new MailServer();
    server.messages = [];
    server.smtp = new SMTPServer({
      disabledCommands: options.onAuth ? [] : ['AUTH'],
      disableReverseLookup: true,
      logger: false,
      onRcptTo: ({ address }, session, done) => done(refuse(address)),
      onData: (stream, session, done) => {
        const chunks = [];
        stream.on('data', (chunk) => chunks.push(chunk));
        stream.on('end', () => {
          server.messages.push({
            secure: session.secure, user: session.user, from: session.envelope.mailFrom.address, to: session.envelope.rcptTo.map(({ address }) => address),
            ...readMail(Buffer.concat(chunks).toString('utf8')),
          });
          done();
        });
      },
      ...options,
    });
    server.smtp.on('error', () => {});
    const listening = server.smtp.listen(options.port ?? 0, '127.0.0.1');
    await once(listening, 'listening');
    server.port = listening.address().port;
    return server;
  }

  async stop() {
    await new Promise((resolve) => { this.smtp.close(resolve); });
  }
}

export class Gateway {
  static async start(secret) {
    const gateway = new Gateway();
    gateway.messages = [];
    gateway.status = 204;
    gateway.server = http.createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      const timestamp = request.headers['intaglio-timestamp'] ?? '';
      const told = Buffer.from(request.headers['intaglio-signature'] ?? '');
      const expected = Buffer.from(`v1=${createHmac('sha256', secret).update(`${timestamp}.`).update(body).digest('hex')}`);
      const good = told.length === expected.length && timingSafeEqual(told, expected);
      gateway.messages.push({ good, timestamp: Number(timestamp), path: request.url, headers: request.headers, ...JSON.parse(body.toString()) });
      response.writeHead(gateway.status).end();
    });
    gateway.server.listen(0, '127.0.0.1');
    await once(gateway.server, 'listening');
    gateway.port = gateway.server.address().port;
    return gateway;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}
