// Nodes of one SAM on one PostgreSQL server: the same token, policy and service keys; a log, an anchor and versions for each.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Postgresql } from './postgresql.mjs';
import { Sam } from './sam.mjs';
import { binaries, run, runAside, System, withoutLimits } from './system.mjs';

export class Nodes {
  /**
   * An instance whose SAM has these nodes; the first is the one that the SSA speaks to.
   *   server        a Postgresql; one of its own, which ends with it, where none is given
   *   synchronous   what the nodes ask of the server's standby
   *   networks      {name: DatabaseProxy}: how a node reaches the server while it serves
   */
  static async start(names = ['a', 'b'], { server, policy = withoutLimits, synchronous = false, networks = {} } = {}) {
    const nodes = new Nodes();
    nodes.names = names;
    try {
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
      for (const name of ['pki', 'ssa']) await system.startService(name);
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
      .replace(/^port = \d+/gm, 'port = 0');
    writeFileSync(system.path('config', `sam.${name}.toml`), text);
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
  }
}
