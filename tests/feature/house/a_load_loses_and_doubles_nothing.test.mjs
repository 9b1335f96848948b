// `make load` in short: two SSA and two SAM nodes on PostgreSQL, a node of each restarted under load. The nightly run does it for five minutes.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { binaries, repository, runAside } from '../harness/system.mjs';

describe('two SSA and two SAM nodes under load', () => {
  it('answer every request with one signature while a node of each is stopped and started again', async (context) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'intaglio-load-'));
    try {
      const file = path.join(folder, 'load.json');
      const ran = await runAside(process.execPath, ['--disable-warning=ExperimentalWarning', path.join(repository, 'tests/load/run.mjs')], {
        environment: { INTAGLIO_BIN: binaries, INTAGLIO_LOAD_SECONDS: '16', INTAGLIO_LOAD_SIGNERS: '12', INTAGLIO_LOAD_LANES: '6', INTAGLIO_LOAD_FILE: file },
      });
      assert.equal(ran.status, 0, ran.stdout + ran.stderr);
      const result = JSON.parse(readFileSync(file, 'utf8'));
      context.diagnostic(JSON.stringify(result));
      assert.ok(result.requests > 12, 'every signer signed');
      assert.deepEqual([result.failed, result.duplicates], [0, 0]);
      assert.ok(Object.values(result.signed_by).every((made) => made > 0), 'both SAM nodes signed');
      assert.deepEqual(result.restarts, ['ssa.b', 'sam.b']);
      assert.match(ran.stdout, /\d+ s: \d+ signatures, \d+\/s, p95 \d+ ms, 0 failed/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
