// A PostgreSQL server of the test's own, on a socket in a folder that goes with it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const tools = '/usr/lib/postgresql/15/bin';
const tries = 300;

/** What a node refuses with while its database is away. */
export const isAway = ({ refusal }) => ['storage_unavailable', 'audit_unavailable', 'busy'].includes(refusal);

/** Asks again until the database is there: who lost it looks for it after a pause of its own (audit/log.cpp). */
export async function served(act) {
  for (let tried = 0; ; tried += 1) {
    try {
      return await act();
    } catch (error) {
      if (!isAway(error) || tried === tries) throw error;
      await pause(100);
    }
  }
}

export class Postgresql {
  static async start() {
    const server = Postgresql.#inNewFolder();
    try {
      server.tool('initdb', '-D', path.join(server.folder, 'data'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync');
      await server.run();
      server.addDatabase('intaglio_sam');
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** A database, and a user of the same name who owns it and nothing else. */
  addDatabase(name) {
    this.tool('createuser', '-h', this.folder, '-U', 'postgres', name);
    this.tool('createdb', '-h', this.folder, '-U', 'postgres', '-O', name, name);
  }

  static #inNewFolder() {
    const server = new Postgresql();
    server.folder = mkdtempSync(path.join(tmpdir(), 'intaglio-postgres-'));
    // The server refuses to run as root.
    server.owner = process.getuid() === 0 ? ['--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
    if (server.owner.length > 0) {
      const [uid, gid] = ['-u', '-g'].map((what) => Number(spawnSync('id', [what, 'postgres'], { encoding: 'utf8' }).stdout));
      chownSync(server.folder, uid, gid);
    }
    return server;
  }

  /** Another server that follows this one, whose commits from now on wait until it has them. */
  async addSynchronousStandby() {
    const standby = Postgresql.#inNewFolder();
    try {
      this.tool('pg_basebackup', '-h', this.folder, '-U', 'postgres', '-D', path.join(standby.folder, 'data'), '-R', '-X', 'stream',
        '-c', 'fast', '--no-sync');
      await standby.run();
      this.ask("ALTER SYSTEM SET synchronous_standby_names = '*'");
      this.ask('SELECT pg_reload_conf()');
      for (let tried = 0; this.ask("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") !== '1'; tried += 1) {
        if (tried === tries) throw new Error('the standby does not follow');
        await pause(100);
      }
    } catch (error) {
      await standby.stop();
      throw error;
    }
    return standby;
  }

  /** A copy of all that the server has now, in a folder of this name beside its own. */
  backUp(name) {
    this.tool('pg_basebackup', '-h', this.folder, '-U', 'postgres', '-D', path.join(this.folder, name), '-X', 'stream', '-c', 'fast', '--no-sync');
  }

  /** The server is lost, what it had is kept as `away`, and it serves again from the copy `name`. */
  async putBack(name, away) {
    await this.crash();
    renameSync(path.join(this.folder, 'data'), path.join(this.folder, away));
    renameSync(path.join(this.folder, name), path.join(this.folder, 'data'));
    await this.run();
  }

  /** A standby becomes the server that takes writes, with a standby of its own no more than it was given one. */
  promote() {
    this.tool('pg_ctl', 'promote', '-D', path.join(this.folder, 'data'), '-w');
  }

  /** What a configuration says of it (docs/operate/postgresql.md); `hosts`: of a network in between, `synchronous`: whether a standby is asked for. */
  settings({ hosts = this.folder, synchronous = false, name = 'intaglio_sam' } = {}) {
    return `\n[postgresql]\nhosts = "${hosts}"\nname = "${name}"\nuser = "${name}"\nsynchronous_standby = ${synchronous}\n`;
  }

  tool(name, ...words) {
    const result = spawnSync('setpriv', [...this.owner, path.join(tools, name), ...words], { cwd: '/', encoding: 'utf8' });
    if (result.status !== 0) throw new Error(`${name}: ${result.stderr}`);
    return result.stdout.trim();
  }

  /** What psql answers to an administrator. */
  ask(sql, database = 'intaglio_sam') {
    return this.tool('psql', '-h', this.folder, '-U', 'postgres', '-Atq', '-c', sql, database);
  }

  async run() {
    const words = ['-D', path.join(this.folder, 'data'), '-k', this.folder, '-c', 'listen_addresses=', '-c', 'shared_buffers=32MB'];
    this.child = spawn('setpriv', [...this.owner, '--pdeathsig=QUIT', path.join(tools, 'postgres'), ...words], { cwd: '/', stdio: 'ignore' });
    for (let tried = 0; tried < tries; tried += 1) {
      const ready = spawnSync(path.join(tools, 'pg_isready'), ['-h', this.folder, '-q']);
      if (ready.status === 0) return;
      await pause(100);
    }
    throw new Error('the PostgreSQL server does not answer');
  }

  /** SIGQUIT, as a lost machine: nothing is flushed or told. */
  async crash() {
    const { child } = this;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGQUIT');
    await closed;
  }

  /** Every file that the server keeps, tables and write-ahead log. */
  * files() {
    for (const name of readdirSync(path.join(this.folder, 'data'), { recursive: true })) {
      const file = path.join(this.folder, 'data', name);
      if (statSync(file).isFile()) yield [name, readFileSync(file, 'latin1')];
    }
  }

  async stop() {
    await this.crash();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
