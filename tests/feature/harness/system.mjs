// One instance of Intaglio in a temporary folder, on free ports, with real tokens, databases and processes.
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, createWriteStream, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';

export const repository = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const binaries = path.resolve(process.env.INTAGLIO_BIN ?? path.join(repository, 'build/dev/bin'));
/** Whether the programs carry a sanitizer, whose own memory (shadow, quarantine) is then part of what a process uses. */
export const sanitized = /__(asan|tsan)_init/.test(readFileSync(path.join(binaries, 'intaglio'), 'latin1'));
const startOrder = ['sam', 'pki', 'ssa'];
const startPatience = 30000;
const stopPatience = 15000;

/** Until `condition` gives something true; throws after `patience` milliseconds. */
export async function until(what, condition, patience = 10000) {
  const end = Date.now() + patience;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`waited ${patience} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A running service: its log lines as objects, its end as a promise. Dies with this test process, however that ends. */
class Service {
  constructor(name, child, logFile) {
    this.name = name;
    this.child = child;
    this.lines = [];
    this.other = '';
    const file = createWriteStream(logFile, { flags: 'a' });
    let rest = '';
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (text) => {
      file.write(text);
      const pieces = (rest + text).split('\n');
      rest = pieces.pop();
      for (const piece of pieces) {
        try {
          this.lines.push(JSON.parse(piece));
        } catch {
          this.other += `${piece}\n`;
        }
      }
    });
    child.stdout.on('data', (text) => file.write(text));
    this.ended = new Promise((resolve) => {
      child.on('close', (code, signal) => {
        file.end();
        this.result = { code, signal };
        resolve(this.result);
      });
    });
  }

  event(name) {
    return this.lines.find((line) => line.event === name);
  }

  async ready() {
    await until(`${this.name} to be ready`, () => {
      if (this.result) throw new Error(`${this.name} ended (${JSON.stringify(this.result)}) before it was ready:\n${this.words()}`);
      return this.event('ready');
    }, startPatience).catch((error) => {
      throw new Error(`${error.message}\n${this.words()}`);
    });
    return this;
  }

  words() {
    return this.lines.slice(-15).map((line) => JSON.stringify(line)).join('\n') + this.other.slice(-2000);
  }

  async stop(signal = 'SIGTERM') {
    if (this.result) return this.result;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), stopPatience);
    const result = await this.ended;
    clearTimeout(timer);
    return result;
  }
}

/** Changes a policy document: many documents an approval, no velocity limits (the test flavour allows both). */
export function withoutLimits(document) {
  for (const profile of document.profiles) Object.assign(profile, { max_documents: 1000, per_minute: 0, per_day: 0, keys_per_signer: 0, keys_per_day: 0, sad_seconds: 300 });
}

/** ssa.toml with every figure of [limits.*] at 0. */
const withoutRequestLimits = (text) => text.replace(/^\[limits\.\w+\]\n(?:(?!\[).*\n)*/gm, (table) => table.replace(/^(\w+) = \d+$/gm, '$1 = 0'));

/** A command that must end by itself; gives {status, stdout, stderr}. */
export function run(program, words, { environment = {}, input, timeout = 120000 } = {}) {
  const result = spawnSync(program, words, { encoding: 'utf8', env: { ...process.env, ...environment }, input, timeout, maxBuffer: 64 * 1024 * 1024 });
  if (result.error) throw result.error;
  return result;
}

/** The same, in the background, so that servers of this process go on answering. */
export function runAside(program, words, { environment = {}, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...words], { env: { ...process.env, ...environment } });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (text) => { stdout += text; });
    child.stderr.on('data', (text) => { stderr += text; });
    child.on('error', reject);
    child.on('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
    child.stdin.end(input);
  });
}

/**
 * Nine ports, `first` to `first` + 7 for use, that are nobody else's while this process has the first of them. They lie below 32768, where Linux begins to give ports away: no
 * connection that goes out and no listener on port 0 takes one between the making of an instance and the start, or the next start, of its services.
 */
export class PortClaim {
  static async make() {
    const size = 9;
    const blocks = Math.floor((32768 - 20000) / size);
    for (let tried = 0; tried < blocks; tried += 1) {
      const begin = 20000 + size * ((process.pid + 101 * tried) % blocks);
      const listeners = await Promise.all(Array.from({ length: size }, (_, i) => listening(begin + i)));
      const [claim, ...rest] = listeners;
      await Promise.all(rest.map((listener) => listener && new Promise((resolve) => { listener.close(resolve); })));
      if (listeners.every(Boolean)) return Object.assign(new PortClaim(), { claim, first: begin + 1 });
      claim?.close();
    }
    throw new Error('no nine ports from 20000 to 32767 are free');
  }

  release() {
    this.claim.close();
  }
}
/** A listener on this port of the loopback address, which keeps no process alive; null when it is taken. */
const listening = (port) => new Promise((resolve) => {
  const server = net.createServer().unref();
  server.once('error', () => resolve(null));
  server.listen(port, '127.0.0.1', () => resolve(server));
});

export class System {
  /**
   * Prepares and starts an instance.
   *   policy(document)   changes the policy document before the SAM seals it
   *   examples           {'pki.toml': (text) => text}: changes an example configuration before anything is made from it
   *   configure          {sam|pki|ssa: (text) => text}: changes a configuration file
   *   environment        {sam|pki|ssa: {NAME: value}}: variables of the test flavour
   *   start              services to start, in this order
   *   folder             parent folder of the instance, for example a small tmpfs
   *   pages              the bundle of the signer's pages, to be served
   *   limits             'as shipped' keeps [limits] of ssa.toml; otherwise there are none, as all callers of a test have one address
   */
  static async start({ policy, examples, configure = {}, environment = {}, start = startOrder, folder = tmpdir(), pages, limits } = {}) {
    const system = new System(mkdtempSync(path.join(folder, 'intaglio-test-')));
    try {
      system.claim = await PortClaim.make();
      system.#prepare(policy, examples, pages);
      if (limits !== 'as shipped') system.configure('ssa', withoutRequestLimits);
      for (const [name, change] of Object.entries(configure)) system.configure(name, change);
      for (const name of start) await system.startService(name, environment[name]);
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  constructor(root) {
    this.root = root;
    this.services = {};
    this.agents = [];
    this.canaries = new Map();
    /** By service: `words` before its command line and variables, for a token that lives elsewhere (key_tokens.mjs). */
    this.around = {};
    this.clockOffset = 0;
  }

  /** Seconds since 1970 as the services see them. */
  now() {
    return Math.floor(Date.now() / 1000) + this.clockOffset;
  }

  /** Moves the clock of all services forward. */
  moveClock(seconds) {
    this.clockOffset += seconds;
    this.setClock(String(this.clockOffset));
  }

  /** The content of the clock file: seconds to add, or `unsynchronised`. Replaced in one step, as it is read at any time. */
  setClock(word) {
    writeFileSync(this.path('clock.new'), word);
    renameSync(this.path('clock.new'), this.path('clock'));
  }

  #prepare(policy, examples, pages) {
    const deploy = examples ? `${this.root}.deploy` : path.join(repository, 'deploy');
    if (examples) {
      cpSync(path.join(repository, 'deploy'), deploy, { recursive: true });
      for (const [name, change] of Object.entries(examples)) {
        const file = path.join(deploy, 'examples', name);
        writeFileSync(file, change(readFileSync(file, 'utf8')));
      }
    }
    const words = ['--run', this.path('.'), '--init-only', '--first-port', String(this.claim.first), '--bin', binaries, '--deploy', deploy];
    if (policy) {
      const document = JSON.parse(readFileSync(path.join(repository, 'deploy/examples/policy.json'), 'utf8'));
      const file = `${this.root}.policy.json`;
      writeFileSync(file, JSON.stringify(policy(document) ?? document));
      words.push('--policy', file);
    }
    if (pages) words.push('--pages', pages);
    const result = run(path.join(binaries, 'intaglio-up'), words);
    rmSync(`${this.root}.policy.json`, { force: true });
    if (result.status !== 0) throw new Error(`intaglio-up --init-only ended with ${result.status}:\n${result.stdout}${result.stderr}`);
    this.ports = JSON.parse(readFileSync(this.path('up.json'), 'utf8')).ports;
    this.publicUrl = `https://127.0.0.1:${this.ports.ssa_public}`;
    this.registrationUrl = `https://127.0.0.1:${this.ports.ssa_registration}`;
    this.pagesUrl = `https://localhost:${this.ports.ssa_pages}`;
    this.pkiUrl = `http://127.0.0.1:${this.ports.pki_public}`;
    this.setClock('0');
    this.samIdentity = JSON.parse(this.read('pki/sam-identity.json'));
  }

  path(...parts) {
    return path.join(this.root, ...parts);
  }

  read(...parts) {
    return readFileSync(this.path(...parts), 'utf8');
  }

  configure(name, change) {
    const file = this.path('config', `${name}.toml`);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  }

  /** The command line of a service, as intaglio-up runs it. `sam.b` is node b of the SAM: the same program and token, a configuration of its own. */
  command(name, ...more) {
    const { words = [], environment = {} } = this.around[name] ?? {};
    const [kind] = name.split('.');
    const [program, ...rest] = [...words, path.join(binaries, `intaglio-${kind}`), '--config', this.path('config', `${name}.toml`), ...more];
    return {
      program, words: rest,
      environment: { SOFTHSM2_CONF: this.path('tokens', `${kind}.conf`), INTAGLIO_TEST_CLOCK: this.path('clock'), ...environment },
    };
  }

  async startService(name, environment = {}, { wait = true } = {}) {
    const { program, words, environment: own } = this.command(name);
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...words], {
      env: { ...process.env, ...own, ...environment }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    const service = new Service(name, child, this.path('logs', `${name}.log`));
    this.services[name] = service;
    return wait ? service.ready() : service;
  }

  /** Ends the service (SIGKILL: as a lost machine would) and starts it again, with other variables if given. */
  async restart(name, { signal = 'SIGTERM', environment = {} } = {}) {
    await this.services[name]?.stop(signal);
    return this.startService(name, environment);
  }

  async kill(name) {
    return this.services[name].stop('SIGKILL');
  }

  /** A database of the instance, read only. */
  database(name) {
    return new DatabaseSync(this.path(name, `${name}.db`), { readOnly: true });
  }

  /** Events of a process's audit log as they are stored, oldest first. */
  auditEvents(name) {
    const database = this.database(name);
    try {
      return database.prepare('SELECT event FROM audit_entries ORDER BY idx').all().map(({ event }) => JSON.parse(Buffer.from(event).toString()));
    } finally {
      database.close();
    }
  }

  tls(more = {}) {
    const agent = new https.Agent({ keepAlive: true, ca: readFileSync(this.path('tls/ca.pem')), minVersion: 'TLSv1.3', ...more });
    this.agents.push(agent);
    return { agent };
  }

  /** A secret of this run: `stop` looks for it in every file that the instance leaves. Six digits are looked for as a text of their own. */
  secret(what, text) {
    this.canaries.set(text, what);
    return text;
  }

  /** TC-12: logs, databases, audit files and whatever else is left hold none of the secrets that were used. */
  findSecrets() {
    for (const name of ['sam', 'pki', 'ssa', 'root']) {
      const file = this.path('secrets', `${name}.pin`);
      if (existsSync(file)) this.secret(`PIN of the token ${name}`, readFileSync(file, 'utf8').trim());
    }
    const short = [...this.canaries.keys()].filter((text) => text.length < 8);
    const marks = new Map([...this.canaries].filter(([text]) => text.split('.').length === 3).map(([text, what]) => [text.split('.')[2], what]));
    const whole = [...this.canaries].filter(([text]) => text.length >= 8 && text.split('.').length !== 3);
    const found = [];
    for (const [file, text] of this.contents(this.files().filter((file) => !file.startsWith(this.path('secrets'))))) {
      if (/\bcore(\.\d+)?$/.test(file)) found.push(`a core file: ${file}`);
      for (const [canary, what] of whole) if (text.includes(canary)) found.push(`${what} in ${file}`);
      // The third part of a SAD or access token, its signature, is enough to know it by.
      if (marks.size > 0) for (const [mark] of text.matchAll(/[A-Za-z0-9_-]{86}/g)) if (marks.has(mark)) found.push(`${marks.get(mark)} in ${file}`);
      if (short.length > 0) for (const [, digits] of text.matchAll(/["'=: ](\d{6})(?=["',} \n])/g)) if (this.canaries.has(digits)) found.push(`${this.canaries.get(digits)} in ${file}`);
    }
    return [...new Set(found)];
  }

  /** Every regular file below the instance. Services that run put files in place by renaming: what is gone when it is looked at is left out. */
  files() {
    return readdirSync(this.root, { recursive: true }).map((name) => this.path(name)).filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
  }

  /** Each file with its octets as Latin-1 text, for canaries. */
  *contents(files = this.files()) {
    for (const file of files) {
      let text;
      try {
        text = readFileSync(file, 'latin1');
      } catch (error) {
        if (error.code !== 'ENOENT') throw error;
        continue;
      }
      yield [file, text];
    }
  }

  /** Ends the services and leaves the folder; gives how each ended. */
  async stopServices() {
    for (const agent of this.agents) agent.destroy();
    const results = {};
    for (const name of [...new Set([...startOrder, ...Object.keys(this.services)])].reverse()) {
      if (this.services[name]) results[name] = await this.services[name].stop();
    }
    return results;
  }

  async stop() {
    const results = await this.stopServices();
    this.claim?.release();
    const found = existsSync(this.root) ? this.findSecrets() : [];
    if (!process.env.INTAGLIO_KEEP) for (const folder of [this.root, `${this.root}.deploy`]) rmSync(folder, { recursive: true, force: true });
    if (found.length > 0) throw new Error(`secrets were left behind:\n${found.join('\n')}`);
    return results;
  }
}
