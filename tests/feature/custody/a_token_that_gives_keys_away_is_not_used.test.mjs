// A token that wraps what must not leave it holds no signers' keys: the SAM tries this at each start and does not serve.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { repository, run, System } from '../harness/system.mjs';

describe('a token that gives keys away', () => {
  let system, module;
  before(async () => {
    system = await System.start({ start: [] });
    module = /module = "(.*)"/.exec(system.read('config/sam.toml'))[1];
    const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
    const built = run('cc', ['-shared', '-fPIC', ...headers, `-DSOFTHSM="${module}"`, '-o', system.path('generous.so'),
      path.join(repository, 'tests/data/token/generous_module.c'), '-ldl']);
    assert.equal(built.status, 0, built.stderr);
  });
  after(() => system?.stop());

  const withModule = (file) => system.configure('sam', (text) => text.replace(/module = ".*"/, `module = "${file}"`));

  it('stops the start of the SAM, which says what the token did', async () => {
    withModule(system.path('generous.so'));
    const service = await system.startService('sam', {}, { wait: false });
    const served = await service.ready().then(() => true, () => false);
    await service.stop();
    assert.ok(!served, 'the SAM serves');
    assert.deepEqual(service.result, { code: 1, signal: null });
    assert.match(service.words(), /the token failed the self-test .*wrap.*cannot hold signers' keys/);
  });

  it('is called broken by the probe', () => {
    const { program, words, environment } = system.command('sam', '--probe', '--quick');
    const probe = run(program, words, { environment });
    assert.equal(probe.status, 1, probe.stdout + probe.stderr);
    assert.match(probe.stdout, /BROKEN\s+refuses to wrap/i);
  });

  it('is the only reason: with the module itself the SAM starts', async () => {
    withModule(module);
    await system.startService('sam');
  });
});
