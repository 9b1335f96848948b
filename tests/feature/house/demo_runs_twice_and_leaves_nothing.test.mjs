// make demo, with the binaries that are there: twice in one folder, and stopped in the middle; nothing keeps running.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { binaries, repository, run, runAside, until } from '../harness/system.mjs';

/** Programs of ours that run for this folder, by process id. */
const running = (folder) => readdirSync('/proc').filter((name) => /^\d+$/.test(name)).filter((name) => {
  try {
    const [program, ...words] = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
    return (path.basename(program).startsWith('intaglio') || words.some((word) => word.endsWith('identity-provider/main.mjs'))) && words.some((word) => word.includes(folder));
  } catch {
    return false;
  }
});

describe('make demo', () => {
  let folder;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'intaglio-demo-'));
  });
  after(() => {
    for (const pid of running(folder)) process.kill(Number(pid), 'SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const demo = { program: path.join(repository, 'tools/demo'), environment: () => ({ INTAGLIO_BIN: binaries, INTAGLIO_RUN: folder }) };

  for (const time of ['first', 'second']) {
    it(`signs a PDF that other programs verify, the ${time} time`, async () => {
      const result = await runAside(demo.program, [], { environment: demo.environment() });
      assert.equal(result.status, 0, result.stdout + result.stderr);
      for (const line of [/pdfsig: Signature is Valid, Total document signed/, /openssl cms -verify -cades: /, /openssl ocsp: good/, /audit log, offline: /]) assert.match(result.stdout, line);
      assert.deepEqual(running(folder), []);
    });
  }

  it('does the same with keys in wrapped custody, in an instance of its own', async () => {
    const wrapped = mkdtempSync(path.join(tmpdir(), 'intaglio-demo-'));
    try {
      const result = await runAside(demo.program, [], { environment: { INTAGLIO_BIN: binaries, INTAGLIO_RUN: wrapped, PROFILE: 'direct-wrapped' } });
      assert.equal(result.status, 0, result.stdout + result.stderr);
      for (const line of [/left it as a blob under two locks/, /pdfsig: Signature is Valid, Total document signed/, /openssl ocsp: good/, /audit log, offline: /]) assert.match(result.stdout, line);
      assert.deepEqual(running(wrapped), []);
      const unknown = run(demo.program, [], { environment: { INTAGLIO_BIN: binaries, INTAGLIO_RUN: wrapped, PROFILE: 'no-such' } });
      assert.equal(unknown.status, 2);
      assert.match(unknown.stderr, /no profile no-such/);
    } finally {
      rmSync(wrapped, { recursive: true, force: true });
    }
  });

  it('does the same in the profile delegated-wrapped, where the signer signs in at an identity provider', async () => {
    const delegated = mkdtempSync(path.join(tmpdir(), 'intaglio-demo-'));
    const environment = { INTAGLIO_BIN: binaries, INTAGLIO_RUN: delegated, PROFILE: 'delegated-wrapped' };
    try {
      for (const signer of ['signer-1', 'signer-2']) {
        const result = await runAside(demo.program, [], { environment });
        assert.equal(result.status, 0, result.stdout + result.stderr);
        for (const line of [/the policy pins its key/, /issuer and subject are linked/, /left it as a blob under two locks/, /pdfsig: Signature is Valid, Total document signed/, /openssl ocsp: good/, /audit log, offline: /]) assert.match(result.stdout, line);
        assert.ok(existsSync(path.join(delegated, 'demo', signer, 'contract.signed.pdf')));
        assert.ok(!existsSync(path.join(delegated, 'demo', signer, 'totp-seed')));
        assert.deepEqual(running(delegated), []);
      }
      assert.equal(statSync(path.join(delegated, 'identity-provider/key.jwk')).mode & 0o077, 0);
    } finally {
      rmSync(delegated, { recursive: true, force: true });
    }
  });

  it('does the same in the profile one-time, where nobody is registered', async () => {
    const once = mkdtempSync(path.join(tmpdir(), 'intaglio-demo-'));
    const environment = { INTAGLIO_BIN: binaries, INTAGLIO_RUN: once, PROFILE: 'one-time' };
    try {
      for (const signer of ['signer-1', 'signer-2']) {
        const result = await runAside(demo.program, [], { environment });
        assert.equal(result.status, 0, result.stdout + result.stderr);
        for (const line of [/the SAM signed and destroyed the key/, /a short-term certificate/, /pdfsig: Signature is Valid, Total document signed/, /CAdES Verification successful/, /audit log, offline: /]) assert.match(result.stdout, line);
        assert.deepEqual(running(once), []);
        assert.ok(!existsSync(path.join(once, 'demo', signer, 'pin')));
      }
    } finally {
      rmSync(once, { recursive: true, force: true });
    }
  });

  it('keeps every secret in files of mode 0600', () => {
    for (const file of readdirSync(path.join(folder, 'secrets'))) assert.equal(statSync(path.join(folder, 'secrets', file)).mode & 0o777, 0o600, file);
    for (const file of ['demo/signer-1/pin', 'demo/signer-1/totp-seed', 'demo/signer-1/activation-code', 'clients/demo/client.key.pem', 'operators/ra-1/operator.key.pem', 'tls/ssa.key.pem']) {
      assert.equal(statSync(path.join(folder, file)).mode & 0o077, 0, file);
    }
  });

  for (const [what, signal] of [['Ctrl-C', 'SIGINT'], ['a kill of the whole script', 'SIGKILL']]) {
    it(`leaves nothing running after ${what}`, async () => {
      const child = spawn(demo.program, ['--up'], { env: { ...process.env, ...demo.environment() }, stdio: 'ignore', detached: true });
      const ended = new Promise((resolve) => { child.on('close', resolve); });
      await until('the services', () => existsSync(path.join(folder, 'up.pid')), 60000);
      assert.equal(running(folder).length, 4);
      if (signal === 'SIGINT') process.kill(-child.pid, signal);
      else child.kill(signal);
      await ended;
      await until('every process to end', () => running(folder).length === 0, 30000);
      assert.equal(existsSync(path.join(folder, 'up.pid')), false);
    });
  }

  it('refuses a folder that is not its own', () => {
    const foreign = mkdtempSync(path.join(tmpdir(), 'intaglio-demo-'));
    try {
      run('touch', [path.join(foreign, 'thesis.txt')]);
      const result = run(path.join(binaries, 'intaglio-up'), ['--run', foreign, '--init-only']);
      assert.equal(result.status, 1);
      assert.match(result.stderr, /holds files that are not ours/);
      assert.deepEqual(readdirSync(foreign), ['thesis.txt']);
    } finally {
      rmSync(foreign, { recursive: true, force: true });
    }
  });
});
