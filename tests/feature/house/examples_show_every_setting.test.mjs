// SRG_SO.1: every configuration key of a service is written down with its meaning in deploy/examples, and no key there is one that the service does not know.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { binaries, repository, run } from '../harness/system.mjs';

/** `table.key` of each setting of a TOML text; `loose` counts those in comments too, as --describe-config prints optional ones. */
function keysOf(text, { loose = false } = {}) {
  const keys = new Map();
  let table = '';
  let comment = false;
  for (const line of text.split('\n')) {
    const head = /^\[\[?([\w.]+)\]\]?/.exec(line);
    const key = (loose ? /^(?:# )?(\w+) =/ : /^(\w+) =/).exec(line);
    if (head) table = head[1];
    else if (key) keys.set(table ? `${table}.${key[1]}` : key[1], comment || line.includes('#'));
    // A comment stands above the settings that it is about, up to an empty line or the next table.
    if (line === '' || head) comment = false;
    else if (/^#/.test(line)) comment = true;
  }
  return keys;
}

describe('the examples of the configuration', () => {
  for (const name of ['sam', 'ssa', 'pki']) {
    // What many leave out: the instance of `intaglio up` has one token and no database server, and pages may stand on another host.
    const files = [`${name}.toml`, ...({ sam: ['sam-key-token.toml', 'sam-postgresql.toml'], ssa: ['ssa-pages.toml', 'ssa-external-ca.toml', 'ssa-mutual-tls.toml', 'ssa-notices.toml', 'ssa-identity-provider.toml', 'ssa-nodes.toml'] }[name] ?? [])];
    const example = () => new Map(files.flatMap((file) => [...keysOf(readFileSync(path.join(repository, 'deploy/examples', file), 'utf8'))]));
    const described = () => {
      const result = run(path.join(binaries, `intaglio-${name}`), ['--describe-config']);
      assert.equal(result.status, 0, result.stderr);
      return keysOf(result.stdout, { loose: true });
    };

    it(`show every key that ${name} knows, and no other`, () => {
      const known = [...described().keys()].sort();
      assert.ok(known.length > 10, 'the description was read');
      assert.deepEqual([...example().keys()].sort(), known);
    });

    it(`are described by ${name} itself, each with its meaning`, () => {
      assert.deepEqual([...described()].filter(([, told]) => !told).map(([key]) => key), []);
    });
  }
});
