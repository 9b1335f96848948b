// Measures signatures and time-stamps a second, stage by stage, in one run on one machine, and says what each stage costs against the limit: the work of the
// token and the one verification that TC-5 asks for (docs/operate/benchmark.md). usage:
// node bench/run.mjs [--quick] [--bin DIRECTORY] [--out REPORT.json] [--folder DIRECTORY]: the folder is where tokens, databases and logs stand.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, bin: { type: 'string' }, out: { type: 'string' }, folder: { type: 'string', default: tmpdir() } },
});
const here = import.meta.dirname;
process.env.INTAGLIO_BIN ??= path.resolve(options.bin ?? path.join(here, '../build/testing/bin'));
const { System } = await import('../tests/feature/harness/system.mjs');
const { Client, signAlgorithms } = await import('../tests/feature/harness/client.mjs');
const { Officer } = await import('../tests/feature/harness/officer.mjs');
const { Signer, identityOf } = await import('../tests/feature/harness/signer.mjs');
const { totp } = await import('../tests/feature/harness/protocol.mjs');
const { IdentityProvider, oneTimePolicy } = await import('../tests/feature/harness/identity.mjs');
const { Conversation, Person } = await import('../tests/feature/harness/one_time.mjs');
const { identityOf: nameOf } = await import('../tools/identity-provider/provider.mjs');
const { drawPlot } = await import('./plot.mjs');

const cores = availableParallelism();
const seconds = options.quick ? 1 : 3;
const localSeconds = options.quick ? 0.7 : 1.5;
const levels = options.quick ? [1, 8] : [1, 8, 32];
const batchLevels = options.quick ? [8] : [1, 8];
const batch = 100;
const listLength = 600;
const otpSeconds = 30;
const pinSigners = options.quick ? 24 : 64;
const sessionLevels = [1, 8];
/** Of sessions with a one-time key and of certificates: each is prepared, and a session must be used within a minute. */
const preparedFor = (clients) => (options.quick ? 100 : 250) * (clients === 1 ? 1 : 3);
const keys = [
  { name: 'rsa3072-pss', algorithm: 'rsa3072', suite: 'rsa-pss-sha256', signers: 8 },
  { name: 'p256', algorithm: 'p256', suite: 'ecdsa-sha256', signers: options.quick ? 12 : 32 },
];
/** The same keys in wrapped custody: each call opens its key anew. */
const wrappedKeys = keys.map((key) => ({ ...key, name: `${key.name}-wrapped`, profile: 'bench-wrapped' }));
const ticksPerSecond = 100;
const module = '/usr/lib/softhsm/libsofthsm2.so';

const began = Date.now();
const say = (text) => process.stderr.write(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}\n`);
const cells = new Map();

/** Runs the load generator; keeps the cells that it prints. */
function generate(words) {
  return new Promise((resolve, reject) => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', path.join(process.env.INTAGLIO_BIN, 'intaglio-bench'), ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (part) => { text += part; });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code !== 0) return reject(new Error(`intaglio-bench ${words.join(' ')} ended with ${code}`));
      const lines = text.trim().split('\n').map((line) => JSON.parse(line));
      for (const line of lines) {
        // What is left of the wall time when the generator's share of the machine is taken away.
        const effective = Math.max(line.seconds - line.cpu / cores, 1e-9);
        cells.set(line.name, { ...line, rate: line.ops / line.seconds, effectiveRate: line.ops / effective });
        say(`${line.name}: ${(line.ops / line.seconds).toFixed(0)}/s`);
      }
      resolve(lines);
    });
  });
}

/** The limit, measured beside the cells that are compared with it: a virtual machine is not equally fast all the time. */
class Limits {
  static start() {
    const limits = new Limits();
    limits.folder = mkdtempSync(path.join(options.folder, 'intaglio-limits-'));
    const words = ['limits', `module=${module}`, `folder=${limits.folder}`, `seconds=${localSeconds / 2}`];
    limits.child = spawn('setpriv', ['--pdeathsig', 'KILL', path.join(process.env.INTAGLIO_BIN, 'intaglio-bench'), ...words], { stdio: ['pipe', 'pipe', 'inherit'] });
    limits.lines = createInterface({ input: limits.child.stdout })[Symbol.asyncIterator]();
    return limits;
  }

  async rate(key, clients) {
    this.child.stdin.write(`${key} ${clients}\n`);
    const { value, done } = await this.lines.next();
    if (done) throw new Error('intaglio-bench limits ended');
    const line = JSON.parse(value);
    return line.ops / line.seconds;
  }

  stop() {
    this.child.stdin.end();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** CPU seconds that a process has used. */
function cpuOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** The profiles `bench` and `bench-wrapped`: long lists, long authorisations, no velocity limits; only the test flavour takes them. Beside them `one-time`. */
const benchPolicy = (provider) => (document) => {
  const bench = { ...document.profiles[0], name: 'bench', max_documents: 640, sad_seconds: 3600, per_minute: 0, per_day: 0 };
  const oneTime = oneTimePolicy(provider)();
  document.profiles.push(bench, { ...bench, name: 'bench-wrapped', custody: 'wrapped' }, ...oneTime.profiles);
  document.identity_providers = oneTime.identity_providers;
  // What policy must ask for where custody is wrapped; `argon2` of bench/raw.cpp costs the same.
  document.argon2 = { memory_kib: 65536, passes: 3 };
};

async function inTurns(list, width, act) {
  const waiting = list.map((value, index) => [value, index]);
  const results = [];
  await Promise.all(Array.from({ length: width }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) results[next[1]] = await act(next[0], next[1]);
  }));
  return results;
}

/** The first step whose one-time code the SAM still takes from this signer: each once, in order, at most one off. */
function freeStep(signer) {
  const now = Math.floor(Date.now() / 1000 / otpSeconds);
  // In the second half of a step the one before is left out, so that a code made now is still good when it arrives.
  const first = (Date.now() / 1000) % otpSeconds < otpSeconds / 2 ? now - 1 : now;
  const step = Math.max(first, signer.lastStep + 1);
  return step <= now + 1 ? step : undefined;
}

class Bench {
  signers = [];

  static async start() {
    const bench = new Bench();
    // Without the test flavour's clock file, which is read whenever a service asks for the time: what is shipped has none.
    const realClock = { INTAGLIO_TEST_CLOCK: undefined };
    bench.provider = await IdentityProvider.start();
    bench.system = await System.start({
      folder: options.folder, policy: benchPolicy(bench.provider), environment: { sam: realClock, pki: realClock, ssa: realClock },
      configure: { ssa: (text) => text.replace(/^max_sad_seconds = \d+/m, 'max_sad_seconds = 3600') },
    });
    bench.limits = Limits.start();
    bench.client = await new Client(bench.system).signIn();
    bench.officer = new Officer(bench.system);
    return bench;
  }

  async enrol(key) {
    const signer = new Signer(this.client, `bench-${this.signers.length}`);
    this.signers.push(signer);
    signer.keys = {};
    signer.otp = () => {
      signer.lastStep = freeStep(signer) ?? signer.lastStep + 1;
      return totp(signer.seed, signer.lastStep * otpSeconds);
    };
    await signer.enrol(await this.officer.createSigner(signer.id, identityOf(signer.id)));
    const credential = await signer.generateKey({ algorithm: key.algorithm, profile: key.profile ?? 'bench' });
    const chain = await this.officer.certify(credential, identityOf(signer.id));
    [this.leaf] = chain;
    const spki = new X509Certificate(chain[0]).publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
    signer.keys[key.name] = { credential, spki };
    return signer;
  }

  /** What the load generator is told, apart from its work. */
  plan(key, work) {
    const { signAlgo, signAlgoParams = '' } = signAlgorithms[key.suite];
    const { system } = this;
    const [, samPin] = system.read('config/ssa.toml').match(/^pinned_spki_sha256 = "([0-9a-f]{64})"/m);
    const file = system.path('plan.json');
    writeFileSync(file, JSON.stringify({
      httpsPort: system.ports.ssa_public, caFile: system.path('tls/ca.pem'), accessToken: this.client.token, clientId: this.client.id, signAlgo, signAlgoParams,
      suite: key.suite, samPort: system.ports.sam, samCertificate: system.path('tls/ssa-sam.cert.pem'), samKey: system.path('tls/ssa-sam.key.pem'), samPin,
      authorisations: [], path: '/sic/v1/messages', bodies: [], ...work,
    }), { mode: 0o600 });
    return file;
  }

  /** Signers with a free one-time code and a key of this kind, enrolled when there are too few; no clock is moved for them. */
  async fresh(key, count) {
    const free = this.signers.filter((signer) => signer.keys[key.name] && freeStep(signer) !== undefined).slice(0, count);
    const missing = Array.from({ length: count - free.length });
    return [...free, ...await inTurns(missing, 4, () => this.enrol(key))];
  }

  authorise(key, signers) {
    return inTurns(signers, 4, async (signer) => {
      const documents = Array.from({ length: listLength }, () => ({ digest: randomBytes(32), label: 'x' }));
      const { credential, spki } = signer.keys[key.name];
      const sad = await signer.approve({ credential, documents, suites: [key.suite] });
      return { credential, spki, sad, digests: documents.map(({ digest }) => digest.toString('base64')) };
    });
  }

  /** Runs one cell of `stage` and adds what the services used meanwhile. */
  async cell(stage, name, file, clients, { size = 1, time = seconds } = {}) {
    const services = { ssa: this.system.services.ssa.child.pid, sam: this.system.services.sam.child.pid };
    const before = Object.fromEntries(Object.entries(services).map(([service, pid]) => [service, cpuOf(pid)]));
    const [line] = await generate([stage, `name=${name}`, `plan=${file}`, `clients=${clients}`, `seconds=${time}`, `batch=${size}`])
      .finally(() => rmSync(file));
    cells.get(line.name).serviceCpu = Object.fromEntries(Object.entries(services).map(([service, pid]) => [service, cpuOf(pid) - before[service]]));
  }

  async sign(stage, key, clients, size = 1) {
    const authorisations = await this.authorise(key, await this.fresh(key, key.signers));
    const name = `${stage === 'https' ? 'e2e' : stage}${size > 1 ? `-x${size}` : ''}.${key.name}.c${clients}`;
    const rate = () => (wrappedKeys.includes(key) ? undefined : this.limits.rate(key.name, clients));
    const before = await rate();
    await this.cell(stage, name, this.plan(key, { authorisations }), clients, { size });
    if (before !== undefined) cells.get(name).limit = (before + await rate()) / 2;
  }

  /** Time-stamps, against the same key's raw signing and its one verification: the cells `limit.p256`. */
  timestamps() {
    return generate(['tsa', `port=${this.system.ports.pki_public}`, `root=${this.system.path('pki/ca/root.cer')}`, `clients=${levels}`, `seconds=${seconds}`]);
  }

  /** OCSP about a signer's certificate: live, against the same key's raw signing, and pre-produced. */
  status() {
    const certificate = this.system.path('leaf.cer');
    writeFileSync(certificate, this.leaf);
    return generate(['status', `port=${this.system.ports.pki_public}`, `issuer=${this.system.path('pki/ca/issuing.cer')}`, `certificate=${certificate}`,
      `clients=${levels}`, `seconds=${seconds}`]);
  }

  /** SAP messages that only wait to be sent, one a signer. */
  async messages(clients) {
    const key = keys.at(-1);
    const bodies = await inTurns(await this.fresh(key, pinSigners), 4, async (signer) => {
      const documents = [{ digest: randomBytes(32), label: 'x' }];
      return [JSON.stringify({ message: (await signer.prepare({ credential: signer.keys[key.name].credential, documents })).message })];
    });
    await this.cell('posts', `pin.c${clients}`, this.plan(key, { bodies }), clients, { time: otpSeconds });
  }

  /** SAP messages that begin a session with a one-time key: people who have signed in for one document each. */
  async sessions(clients) {
    return inTurns(Array.from({ length: preparedFor(clients) }), 4, async (_, index) => {
      const person = new Person(this.client, this.provider, `person-${index}`);
      const opened = await person.open([{ digest: randomBytes(32), label: 'x' }]);
      const token = await this.provider.sign({ sub: person.name, nonce: person.sessionOf(opened), ...nameOf(person.name) });
      return person.message(opened, token);
    });
  }

  /** From the SAP message to the signature: identity, key, certificate, signature, destruction. */
  async oneTime(clients) {
    const bodies = (await this.sessions(clients)).map((message) => [JSON.stringify({ message })]);
    await this.cell('posts', `one-time.p256.c${clients}`, this.plan(keys.at(-1), { bodies }), clients, { time: otpSeconds });
  }

  /** Short-term certificates, asked for as the SSA asks the certification authority. */
  async certificates(clients) {
    const bodies = await inTurns(await this.sessions(clients), 4, async (message) => {
      const session = await Conversation.begin(this.system, message);
      session.end();
      return [JSON.stringify({ keyAssertion: session.assertion, csr: session.csr.toString('base64') })];
    });
    const { system } = this;
    const file = this.plan(keys.at(-1), {
      bodies, path: '/pki/v1/short-term-certificates', httpsPort: system.ports.pki_internal, certificateFile: system.path('tls/ssa-pki.cert.pem'), keyFile: system.path('tls/ssa-pki.key.pem'),
    });
    await this.cell('posts', `certificate.p256.c${clients}`, file, clients, { time: otpSeconds });
  }
}

async function measureLocal() {
  // A token of its own for each.
  for (const stages of [['raw', 'token'], ['wrapped']]) {
    const folder = mkdtempSync(path.join(options.folder, 'intaglio-bench-'));
    const words = [`module=${module}`, `folder=${folder}`, `clients=${levels}`, `seconds=${localSeconds}`];
    try {
      for (const stage of stages) await generate([stage, ...words]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
}

async function measureServices() {
  const bench = await Bench.start();
  try {
    say('services started');
    for (const key of keys) {
      for (const clients of levels) await bench.sign('wire', key, clients);
      for (const clients of levels) await bench.sign('https', key, clients);
      for (const clients of batchLevels) await bench.sign('https', key, clients, batch);
    }
    for (const key of wrappedKeys) {
      for (const stage of ['wire', 'https']) for (const clients of levels) await bench.sign(stage, key, clients);
    }
    for (const clients of [1, 8]) await bench.messages(clients);
    for (const clients of sessionLevels) await bench.oneTime(clients);
    for (const clients of sessionLevels) await bench.certificates(clients);
    await bench.timestamps();
    await bench.status();
    say(`${bench.signers.length} signers were enrolled`);
    const ends = await bench.system.stopServices();
    for (const [service, { code }] of Object.entries(ends)) if (code !== 0) throw new Error(`${service} ended with ${code}`);
  } catch (error) {
    for (const service of Object.values(bench.system.services)) process.stderr.write(`${service.name}: ${service.words().slice(-1500)}\n`);
    throw error;
  } finally {
    bench.limits.stop();
    await bench.provider.stop();
    await bench.system.stop();
  }
}

const microseconds = (value) => Math.round(value * 10) / 10;

/** Where the time of one signature goes: differences of the median latencies of one client, and CPU at eight. */
function breakdown(key) {
  const p50 = (stage) => cells.get(`${stage}.${key.name}.c1`).p50;
  const busy = cells.get(`e2e.${key.name}.c8`);
  const each = (value) => microseconds((value / busy.ops) * 1e6);
  return {
    'latency.openssl': microseconds(p50('raw')),
    'latency.token': microseconds(p50('csign') - p50('raw')),
    'latency.verification': microseconds(p50('verify')),
    'latency.token-room': microseconds(p50('room') - p50('csign')),
    'latency.sam-and-wire': microseconds(p50('wire') - p50('room') - p50('verify')),
    'latency.ssa-and-https': microseconds(p50('e2e') - p50('wire')),
    'latency.whole': microseconds(p50('e2e')),
    'cpu.sam': each(busy.serviceCpu.sam),
    'cpu.ssa': each(busy.serviceCpu.ssa),
    'cpu.generator': each(busy.cpu),
  };
}

/** The limit of a cell: the same key and number of threads, measured just before and after it; of a local cell, next to it. */
function limitOf(name) {
  const [stage, key, clients] = name.split('.');
  // No answer of the responder is verified before it leaves: its limit is the signature alone.
  if (stage === 'ocsp') return cells.get(`csign.${key}.${clients}`).rate;
  return cells.get(name).limit ?? cells.get(`limit.${key}.${clients}`).rate;
}

function makeReport() {
  const results = [];
  const add = (name, value, unit) => results.push({ name, value: Math.round(value * 10000) / 10000, unit });
  for (const [name, cell] of cells) {
    add(`${name}.ops`, cell.rate, '1/s');
    for (const share of ['p50', 'p95', 'p99']) add(`${name}.${share}`, cell[share], 'us');
    if (!/^(wire|e2e|room|tsa|certificate|ocsp\.)/.test(name)) continue;
    const limit = limitOf(name);
    if (!name.startsWith('room')) add(`${name}.effective_ops`, cell.effectiveRate, '1/s');
    add(`${name}.limit_beside`, limit, '1/s');
    add(`${name}.ratio_to_limit`, cell.rate / limit, '1');
    if (!name.startsWith('room')) add(`${name}.effective_ratio_to_limit`, cell.effectiveRate / limit, '1');
  }
  for (const key of keys) {
    for (const [stage, value] of Object.entries(breakdown(key))) add(`breakdown.${key.name}.${stage}`, value, 'us');
  }
  const pin = cells.get('pin.c8');
  add('pin.c1.argon2_share', cells.get('argon2.c1').p50 / cells.get('pin.c1').p50, '1');
  add('pin.c8.ratio_to_argon2', pin.rate / cells.get('argon2.c8').rate, '1');
  return {
    date: new Date().toISOString(), quick: options.quick, seconds, cores, cpu: cpus()[0].model, kernel: release(), folder: options.folder,
    effective: 'ops / (wall - cpu of the load generator / cores)', results,
  };
}

function printTable(report) {
  const value = (name) => report.results.find((result) => result.name === name)?.value;
  const percent = (share) => (share === undefined ? '' : `${(share * 100).toFixed(1)} %`);
  const rows = [['cell', '1/s', 'effective', 'p50 us', 'p95 us', 'p99 us', 'limit', 'of limit', 'effective']];
  for (const name of cells.keys()) {
    const effective = value(`${name}.effective_ops`);
    rows.push([name, value(`${name}.ops`).toFixed(0), effective?.toFixed(0) ?? '', ...['p50', 'p95', 'p99'].map((share) => value(`${name}.${share}`).toFixed(0)),
      value(`${name}.limit_beside`)?.toFixed(0) ?? '', percent(value(`${name}.ratio_to_limit`)), percent(value(`${name}.effective_ratio_to_limit`))]);
  }
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  for (const row of rows) console.log(row.map((text, column) => (column === 0 ? text.padEnd(widths[column]) : text.padStart(widths[column]))).join('  '));
  for (const key of keys) {
    console.log(`\none ${key.name} signature, microseconds (latency: medians at 1 client, by difference; cpu: at 8 clients)`);
    for (const [stage, cost] of Object.entries(breakdown(key))) console.log(`  ${stage.padEnd(24)}${cost.toFixed(1).padStart(10)}`);
  }
  console.log(`\nPIN path: Argon2id is ${percent(value('pin.c1.argon2_share'))} of an authorisation at 1 client; ${percent(value('pin.c8.ratio_to_argon2'))} of the rate of Argon2id alone at 8`);
}

await measureLocal();
await measureServices();
const report = makeReport();
const out = path.resolve(options.out ?? path.join(here, 'report.json'));
mkdirSync(path.dirname(out), { recursive: true });
writeFileSync(out, `${JSON.stringify(report, null, 1)}\n`);
writeFileSync(out.replace(/\.json$/, '.svg'), drawPlot(report));
printTable(report);
say(`written: ${out}`);
