// tools/application, to which `make up` points: a person opens the address that it prints, approves, and it verifies the signature.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { Browser } from '../harness/browser.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, until } from '../harness/system.mjs';

describe('the application of make up', () => {
  let system, browser, alice;
  before(async () => {
    // An instance that `make demo` made has no pages; the first `make up` gives it some.
    system = await System.start({ start: [] });
    const added = () => run(`${binaries}/intaglio-up`, ['--run', system.root, '--init-only', '--pages', `${repository}/build/web`, '--deploy', `${repository}/deploy`]);
    assert.match(added().stdout, /the signer's pages were added to it/);
    assert.doesNotMatch(added().stdout, /pages/);
    for (const name of ['sam', 'pki', 'ssa']) await system.startService(name);
    alice = (await signerOf(system)).signer;
    browser = await Browser.start(system);
  });
  after(async () => {
    await browser?.stop();
    await system?.stop();
  });

  /** The program, its words, and the address that it prints. */
  async function start() {
    // Its clock is the machine's own: the services must not have gone ahead of it.
    const child = spawn(process.execPath, ['tools/application/main.mjs', system.root, alice.credential, 'examples/contract.pdf'], { cwd: repository, stdio: ['ignore', 'pipe', 'pipe'] });
    const program = { child, words: '' };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { program.words += text; });
    program.ended = new Promise((resolve) => { child.on('close', resolve); });
    program.url = await until('the address', () => /https:\/\/127\S+/.exec(program.words)?.[0] ?? (child.exitCode !== null && assert.fail(program.words)));
    return program;
  }

  it('signs what was approved in the browser and verifies it', async () => {
    const program = await start();
    const tab = await browser.tab();
    await tab.open(program.url);
    assert.match(await tab.text(), /contract\.pdf/);
    await tab.fill({ pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await tab.heads(/^Back in the application$/);
    assert.equal(await program.ended, 0, program.words);
    assert.match(program.words, /the signature over contract\.pdf is good/);
    await tab.close();
  });

  it('says that nothing was signed when its signer declines', async () => {
    const program = await start();
    const tab = await browser.tab();
    await tab.open(program.url);
    await tab.press('decline');
    assert.equal(await program.ended, 1, program.words);
    assert.match(program.words, /not signed: access_denied/);
    await tab.close();
  });
});
