// Nodes of one SAM on one PostgreSQL server: the same token, policy and service keys; a log, an anchor and versions for each. And nodes of an SSA
// that speak to all of them, on a database of their own on the same server.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Postgresql } from './postgresql.mjs';
import { Sam } from './sam.mjs';
import { binaries, PortClaim, run, runAside, System, withoutLimits } from './system.mjs';

const parsed = "SELECT node, convert_from(event, 'UTF8')::json AS event FROM audit_node_entries";

export class Nodes {
  /**
   * An instance whose SAM has these nodes; the first is the one that the SSA speaks to, unless there are `ssas`.
   *   ssas          nodes of the SSA: each speaks to all nodes of the SAM, and they share a database
   *   configureSsa  changes the configuration of each of these
   *   server        a Postgresql; one of its own, which ends with it, where none is given
   *   synchronous   what the nodes ask of the server's standby
   *   networks      {name: DatabaseProxy}: how a node reaches the server while it serves
   */
  static async start(names = ['a', 'b'], { server, policy = withoutLimits, synchronous = false, networks = {}, ssas = [], configureSsa = (text) => text } = {}) {
    const nodes = new Nodes();
    nodes.names = names;
    nodes.ssas = ssas;
    try {
      nodes.claim = await PortClaim.make();
      nodes.server = server ?? await Postgresql.start();
      nodes.system = await System.start({ policy, start: [], configure: { sam: (text) => text + nodes.server.settings({ synchronous }) } });
      const { system } = nodes;
      // What the instance was made with stays behind: the SAM begins anew on the server.
      rmSync(system.path('sam'), { recursive: true });
      const made = nodes.command(names[0], '--initialise', '--policy', system.path('config/policy.json'), '--public-keys', system.path('sam-keys.json'));
      assert.equal(made.status, 0, made.stderr);
      writeFileSync(system.path('checkpoint.jwk'), JSON.stringify(JSON.parse(system.read('sam-keys.json')).checkpoint));
      for (const name of names.slice(1)) nodes.configure(name);
      for (const name of names.slice(1)) {
        const joined = nodes.command(name, '--join');
        assert.equal(joined.status, 0, joined.stderr);
      }
      for (const [name, network] of Object.entries(networks)) system.configure(nodes.service(name), (text) => text.replace(/^hosts = .*$/m, `hosts = "${network.folder}"`));
      for (const name of names) await system.startService(nodes.service(name));
      await system.startService('pki');
      if (ssas.length > 0) await nodes.#prepareSsas(ssas, configureSsa);
      for (const name of ssas.length > 0 ? ssas : ['a']) await system.startService(nodes.ssaService(name));
    } catch (error) {
      await nodes.stop();
      throw error;
    }
    return nodes;
  }

  /** The name of a node's process and of its configuration. */
  service(name) {
    return name === this.names[0] ? 'sam' : `sam.${name}`;
  }

  /** A node's configuration: the first one's, with what a node has of its own. */
  configure(name) {
    const { system } = this;
    const text = system.read('config/sam.toml')
      .replace(/^node = .*$/m, `node = "${name}"`)
      .replaceAll('../sam/audit', `../sam.${name}/audit`).replaceAll('../sam/anchor', `../sam.${name}/anchor`)
      .replace(/^port = \d+/gm, 'port = 0').replace(/(\[listener\][^[]*?^port = )0/m, `$1${this.samPort(name)}`);
    writeFileSync(system.path('config', `sam.${name}.toml`), text);
  }

  /** Ports of further nodes, the same for their whole life. */
  samPort(name) {
    return this.names.indexOf(name) === 0 ? this.system.ports.sam : this.claim.first + this.names.indexOf(name) - 1;
  }

  ssaService(name) {
    return [name, undefined].includes(this.ssas[0]) ? 'ssa' : `ssa.${name}`;
  }

  /** Where a node of the SSA serves the public. */
  ssaUrl(name) {
    return `https://127.0.0.1:${this.system.services[this.ssaService(name)].event('ready').public_port}`;
  }

  async #prepareSsas(ssas, change) {
    const { system, server } = this;
    server.addDatabase('intaglio_ssa');
    const pin = system.read('config/ssa.toml').match(/^pinned_spki_sha256 = "(.*)"/m)[1];
    const others = this.names.slice(1).map((name) => `\n[[sam.nodes]]\naddress = "127.0.0.1"\nport = ${this.samPort(name)}\npinned_spki_sha256 = "${pin}"\n`);
    system.configure('ssa', (text) => change(text + others.join('') + server.settings({ name: 'intaglio_ssa' })));
    const first = system.read('config/ssa.toml');
    for (const [at, name] of ssas.slice(1).entries()) {
      const ports = [this.claim.first + 4 + 2 * at, this.claim.first + 5 + 2 * at];
      const text = first
        .replace(/^name = "ssa-1"$/m, `name = "ssa-${name}"`)
        .replaceAll('intaglio/ssa/ssa-1', `intaglio/ssa/ssa-${name}`).replaceAll('../ssa/', `../ssa.${name}/`)
        .replace(/(\[metrics\][^[]*?^port = )\d+/m, (_, head) => `${head}0`)
        .replace(/(\[public\][^[]*?^port = )\d+/m, `$1${ports[0]}`).replace(/(\[registration\][^[]*?^port = )\d+/m, `$1${ports[1]}`);
      writeFileSync(system.path('config', `ssa.${name}.toml`), text);
    }
  }

  command(name, ...more) {
    const { program, words, environment } = this.system.command(this.service(name), ...more);
    return run(program, words, { environment, timeout: 30000 });
  }

  connect(name) {
    return Sam.connect(this.system, { port: Number(this.system.services[this.service(name)].event('ready').port) });
  }

  /** What a node's log in the database holds, oldest first. */
  events(name) {
    const node = this.nodeName(name);
    const rows = this.server.ask(`SELECT encode(event, 'hex') FROM audit_node_entries WHERE node = '${node}' ORDER BY idx`);
    return rows === '' ? [] : rows.split('\n').map((row) => JSON.parse(Buffer.from(row, 'hex').toString()));
  }

  /** How many events of this type the logs of these nodes hold. */
  count(type, ...names) {
    const nodes = names.map((name) => `'${this.nodeName(name)}'`).join(', ');
    return Number(this.server.ask(`SELECT count(*) FROM (${parsed}) parsed WHERE event->>'type' = '${type}' AND node IN (${nodes})`));
  }

  /** How many signatures were made of an occurrence that had one already. */
  doubled() {
    const occurrence = "(event->'fields'->>'authorisation', event->'fields'->>'position')";
    return Number(this.server.ask(`SELECT count(*) - count(DISTINCT ${occurrence}) FROM (${parsed}) parsed WHERE event->>'type' = 'signature.made'`));
  }

  nodeName(name) {
    return readFileSync(this.system.path('config', `${this.service(name)}.toml`), 'utf8').match(/^node = "(.*?)"/m)[1];
  }

  /** `intaglio audit verify` over the logs of these nodes; a promise, as a network of the test may be in between. */
  verify(...names) {
    const configs = names.flatMap((name) => ['--config', this.system.path('config', `${this.service(name)}.toml`)]);
    return runAside(path.join(binaries, 'intaglio'), ['audit', 'verify', ...configs, '--key', this.system.path('checkpoint.jwk')]);
  }

  async stop() {
    await this.system?.stop();
    await this.server?.stop();
    this.claim?.release();
  }
}
