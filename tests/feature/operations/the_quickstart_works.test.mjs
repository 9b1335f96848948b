// docs/operate/quickstart.md: its commands, in their order, in one shell.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { System, binaries, repository, runAside } from '../harness/system.mjs';

const page = readFileSync(path.join(repository, 'docs/operate/quickstart.md'), 'utf8');
const blocks = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block]) => block);

describe('the quickstart', () => {
  let system, folder;
  before(async () => {
    system = await System.start();
    // What a newcomer's folder has after `make up`.
    folder = mkdtempSync(path.join(tmpdir(), 'intaglio-newcomer-'));
    mkdirSync(path.join(folder, 'build/release'), { recursive: true });
    symlinkSync(binaries, path.join(folder, 'build/release/bin'));
    symlinkSync(system.root, path.join(folder, 'run'));
    cpSync(path.join(repository, 'examples'), path.join(folder, 'examples'), { recursive: true });
  });
  after(async () => {
    if (folder) rmSync(folder, { recursive: true });
    await system?.stop();
  });

  it('leads to a signature that others verify, and to a key that is stopped', async () => {
    assert.ok(blocks.length >= 7);
    writeFileSync(path.join(folder, 'commands'), `set -euo pipefail\n${blocks.join('\n')}`);
    const done = await runAside('bash', ['-c', `cd '${folder}' && bash commands`]);
    assert.equal(done.status, 0, done.stdout + done.stderr);
    assert.match(done.stdout, /Signature is Valid/);
    assert.match(done.stdout, /Total document signed/);
    assert.match(done.stderr, /is not enabled|disabled|suspended/);
    for (const name of ['pin', 'seed']) system.secret(`the ${name} of the quickstart`, readFileSync(path.join(folder, 'trial', name), 'utf8').trim());
    assert.ok(!existsSync(path.join(folder, 'trial/refused.pdf')));
  });
});
