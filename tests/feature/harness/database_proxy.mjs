// A network between nodes and their PostgreSQL server that fails when a test says so: a socket of its own, passed on to the server's.
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const socketIn = (folder) => path.join(folder, '.s.PGSQL.5432');

export class DatabaseProxy {
  /** `server`: a Postgresql; another one may take its place later (`target`). */
  static async start(server) {
    const proxy = new DatabaseProxy();
    proxy.target = server;
    proxy.links = new Set();
    proxy.parted = false;
    proxy.folder = mkdtempSync(path.join(tmpdir(), 'intaglio-network-'));
    proxy.listener = net.createServer((client) => proxy.#carry(client));
    await new Promise((resolve, reject) => proxy.listener.once('error', reject).listen(socketIn(proxy.folder), resolve));
    return proxy;
  }

  #carry(client) {
    if (this.parted) {
      client.destroy();
      return;
    }
    const server = net.connect(socketIn(this.target.folder));
    const link = { client, server, statements: new Map(), ran: [] };
    this.links.add(link);
    const end = () => {
      this.links.delete(link);
      client.destroy();
      // An end that the network hides from the server is noticed by its own limits.
      if (!link.hidden) server.destroy();
    };
    for (const side of [client, server]) side.on('error', end).on('close', end);
    // Whole messages of the protocol (PostgreSQL, 55.7): a type, which the first one lacks, and a length that counts itself.
    let rest = Buffer.alloc(0);
    let begun = false;
    client.on('data', (octets) => {
      rest = Buffer.concat([rest, octets]);
      for (;;) {
        const head = begun ? 1 : 0;
        if (rest.length < head + 4 || rest.length < head + rest.readInt32BE(head)) return;
        const message = rest.subarray(0, head + rest.readInt32BE(head));
        rest = rest.subarray(message.length);
        if (begun && !this.#passes(link, message)) return;
        begun = true;
        server.write(message);
      }
    });
    server.on('data', (octets) => {
      if (link.losesAnswer) this.#fail(link.losesAnswer);
      else if (!client.destroyed) client.write(octets);
    });
  }

  /** Follows which statements a transaction has run, by the names under which they were prepared; false when this message is lost. */
  #passes(link, message) {
    const type = String.fromCharCode(message[0]);
    const [first, second] = message.subarray(5).toString('latin1').split('\0');
    if (type === 'P') link.statements.set(first, second);
    if (type === 'B') link.ran.push(link.statements.get(second) ?? '');
    if (type !== 'Q') return true;
    if (first.startsWith('BEGIN')) link.ran = [];
    if (!this.plan || !first.endsWith('COMMIT') || !link.ran.some((sql) => sql.startsWith(this.plan.of))) return true;
    const { lose, hidden, done } = this.plan;
    this.plan = undefined;
    if (lose === 'answer') {
      link.losesAnswer = done;
      return true;
    }
    link.hidden = hidden;
    this.#fail(done);
    return false;
  }

  #fail(done) {
    this.cut();
    done();
  }

  /**
   * The network fails, with all that the node has open, at the next commit of a transaction that ran a statement which begins so: before
   * the server has seen the commit (`lose` 'request') or before the node has seen its answer ('answer'). `hidden`: the server is not told.
   * Resolves when it has failed; `heal` mends it.
   */
  failAtCommit({ of, lose, hidden = false }) {
    return new Promise((resolve) => {
      this.plan = { of, lose, hidden, done: resolve };
    });
  }

  /** Ends every connection, and lets none be made. */
  cut() {
    this.parted = true;
    for (const { client } of [...this.links]) client.destroy();
  }

  heal() {
    this.parted = false;
  }

  async stop() {
    this.cut();
    await new Promise((resolve) => this.listener.close(resolve));
    rmSync(this.folder, { recursive: true, force: true });
  }
}
