// docs/operate/probe-outputs.md is what the probe prints: each line of each module, its verdict and its code; measured times alone may differ.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { KeyToken } from '../harness/key_tokens.mjs';
import { repository, run, System } from '../harness/system.mjs';

const file = path.join(repository, 'docs/operate/probe-outputs.md');
/** The block below the heading of a module. */
const blockOf = (kind, text) => new RegExp(`^## ${kind}\\n[^]*?\`\`\`text\\n([^\`]*)\`\`\``, 'm').exec(text);
/** Verdict, test and code of each line, and the refusal; numbers that stand alone are measured ones. */
const told = (output) => output.split('\n').filter((line) => /^(  |intaglio-sam: )/.test(line))
  .map((line) => line.trimEnd().replace(/(?<![\w-])\d[\d.]*(e[+-]?\d+)?/g, '#').replace(/ +/g, ' '));

describe('the probe outputs of the docs', () => {
  let system;
  before(async () => { system = await System.start({ start: [] }); });
  after(() => system?.stop());

  for (const { kind, status } of [{ kind: 'softhsm2', status: 0 }, { kind: 'opencryptoki', status: 0 }, { kind: 'tpm2-pkcs11', status: 0 }, { kind: 'nss', status: 1 }]) {
    it(`are those of ${kind}`, async () => {
      const token = kind === 'softhsm2' ? undefined : await KeyToken.start(kind);
      let output;
      try {
        const plain = system.read('config/sam.toml');
        const profile = path.join(repository, 'deploy/hsm-profiles/softhsm2.json');
        if (token) token.serve(system);
        else system.configure('sam', (text) => text.replace('[token]\n', `[token]\nprofile = "${profile}"\n`));
        const { program, words, environment } = system.command('sam', '--probe', '--quick');
        const probe = run(program, words, { environment });
        system.configure('sam', () => plain);
        assert.equal(probe.status, status, probe.stdout + probe.stderr);
        // Below [key_token] stands the other token; the SAM's own stands above it, alone where there is no other.
        output = token ? probe.stdout.slice(probe.stdout.indexOf('[key_token]')) : probe.stdout;
        if (status !== 0) output += probe.stderr.split('\n').find((line) => line.startsWith('intaglio-sam: ')) + '\n';
      } finally {
        delete system.around.sam;
        await token?.stop();
      }
      if (process.env.INTAGLIO_WRITE_DOCS) {
        const text = readFileSync(file, 'utf8');
        const [whole, block] = blockOf(kind, text);
        const head = whole.slice(0, whole.length - block.length - '```'.length);
        writeFileSync(file, text.replace(whole, () => `${head}${output.replace(/serial \S+/, 'serial …').replace(/ +$/gm, '')}\`\`\``));
      }
      const [, shown] = blockOf(kind, readFileSync(file, 'utf8'));
      assert.ok(told(shown).length > 10);
      assert.deepEqual(told(output), told(shown));
    });
  }
});
