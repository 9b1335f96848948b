// TC-7: who has the host and the database installs no policy of his own: a SAM whose log has entries is initialised no second time.
import assert from 'node:assert/strict';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { run, System } from '../harness/system.mjs';

describe('TC-7 the policy', () => {
  let system;
  before(async () => {
    system = await System.start({ start: [] });
  });
  after(() => system?.stop());

  const initialise = (file) => {
    const { program, words, environment } = system.command('sam', '--initialise', '--policy', file, '--public-keys', system.path('keys.json'));
    return run(program, words, { environment });
  };
  const installed = () => {
    const database = system.database('sam');
    const rows = database.prepare("SELECT id FROM sam_state WHERE id LIKE '%policy%'").all().length;
    database.close();
    return rows;
  };
  /** The document that intaglio-up installed: complete, with CA anchors and operators. */
  const document = () => {
    const found = system.files().find((file) => path.basename(file) === 'policy.json');
    assert.ok(found, 'no policy document in the folder of the instance');
    return found;
  };

  it('is installed, once', () => {
    assert.equal(installed(), 1);
    const again = initialise(document());
    assert.equal(again.status, 1, again.stdout);
    assert.match(again.stderr, /initialised already; its policy changes only by quorum/);
  });

  it('is not installed again when its record was deleted', () => {
    const database = new DatabaseSync(system.path('sam/sam.db'));
    database.exec("DELETE FROM sam_state WHERE id LIKE '%policy%'");
    database.close();
    const again = initialise(document());
    assert.equal(again.status, 1, again.stdout);
    assert.match(again.stderr, /initialised already; its policy changes only by quorum/);
    assert.equal(installed(), 0);
  });
});
