// TC-8: a record that was edited, moved or exchanged in the database is refused; nothing is signed on it.
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, until, withoutLimits } from '../harness/system.mjs';

describe('TC-8 sealed records', () => {
  let system, alice, bob;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system, { id: 'alice' })).signer;
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
  });
  after(() => system?.stop());

  /** Stops the SAM, edits its database, starts it again (or not at all, when it refuses), and puts the database back. */
  async function withEdited(edit, check) {
    await system.services.sam.stop();
    const file = system.path('sam/sam.db');
    cpSync(system.path('sam'), system.path('sam.kept'), { recursive: true });
    const database = new DatabaseSync(file);
    edit(database);
    database.close();
    try {
      const service = await system.startService('sam', {}, { wait: false });
      const started = await service.ready().then(() => true, () => false);
      if (started) await check();
    } finally {
      await system.services.sam.stop();
      rmSync(system.path('sam'), { recursive: true });
      cpSync(system.path('sam.kept'), system.path('sam'), { recursive: true });
      rmSync(system.path('sam.kept'), { recursive: true });
      await system.startService('sam');
    }
  }
  const refuses = async (what) => {
    const sam = await Sam.connect(system);
    const before = await sam.signatures();
    await assert.rejects(alice.sign(['after an edit']), undefined, what);
    assert.equal(await sam.signatures(), before);
    sam.close();
  };
  const sealedTables = (database) => database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()
    .map(({ name }) => name)
    .filter((name) => database.prepare(`PRAGMA table_info(${name})`).all().some((column) => column.name === 'record'));

  it('refuses records of which one bit was changed', async () => {
    await withEdited((database) => {
      for (const table of sealedTables(database)) {
        if (!/key|signer|state/.test(table)) continue;
        for (const { rowid, record } of database.prepare(`SELECT rowid, record FROM ${table}`).all()) {
          const changed = Buffer.from(record);
          changed[changed.length >> 1] ^= 1;
          database.prepare(`UPDATE ${table} SET record = ? WHERE rowid = ?`).run(changed, rowid);
        }
      }
    }, () => refuses('one bit'));
  });

  it('refuses a record that stands in the place of another one', async () => {
    await withEdited((database) => {
      for (const table of sealedTables(database)) {
        if (!/key|signer/.test(table)) continue;
        const rows = database.prepare(`SELECT rowid, record FROM ${table}`).all();
        rows.forEach(({ rowid }, index) => database.prepare(`UPDATE ${table} SET record = ? WHERE rowid = ?`).run(rows[(index + 1) % rows.length].record, rowid));
      }
    }, () => refuses('exchanged'));
  });

  it('refuses a record whose version was set back', async () => {
    await withEdited((database) => {
      for (const table of sealedTables(database)) {
        const columns = database.prepare(`PRAGMA table_info(${table})`).all().map(({ name }) => name);
        if (columns.includes('version') && /key|signer/.test(table)) database.exec(`UPDATE ${table} SET version = version + 1`);
      }
    }, () => refuses('version'));
  });

  it('serves again on the database that nobody edited', async () => {
    await alice.sign(['unedited']);
    await bob.sign(['unedited']);
  });

  it('does not start on a database that was set back as a whole', async () => {
    await system.services.sam.stop();
    const kept = system.path('sam.db.kept');
    cpSync(system.path('sam/sam.db'), kept);
    await system.startService('sam');
    await alice.sign(['forgotten']);
    await system.services.sam.stop();
    cpSync(system.path('sam/sam.db'), `${kept}.newer`);
    cpSync(kept, system.path('sam/sam.db'));
    await assert.rejects(system.startService('sam'), /anchor/);
    cpSync(`${kept}.newer`, system.path('sam/sam.db'));
    await system.startService('sam');
    await alice.sign(['remembered']);
  });

  /** The row of a record, and puts it back as an administrator of the database would. */
  function keepRow(table, id) {
    const database = new DatabaseSync(system.path('sam/sam.db'));
    const row = database.prepare(`SELECT * FROM ${table} WHERE id = ?`).get(id);
    database.close();
    return { version: row.version, putBack: () => {
      const owner = new DatabaseSync(system.path('sam/sam.db'), { timeout: 5000 });
      owner.prepare(`UPDATE ${table} SET version = ?, record = ? WHERE id = ?`).run(row.version, row.record, id);
      owner.close();
    } };
  }
  const withWrongPin = async (signer) => {
    const { pin } = signer;
    signer.pin = '907214365588';
    await assert.rejects(signer.sign(['with a wrong PIN']));
    signer.pin = pin;
  };

  it('gives no attempt more when a failure counter is put back, while it serves and after a restart', async () => {
    const before = keepRow('factor_states', 'alice');
    await withWrongPin(alice);
    const charged = keepRow('factor_states', 'alice');
    assert.ok(charged.version > before.version);
    before.putBack();
    await refuses('put back while serving');
    await system.restart('sam');
    await refuses('put back before the start');
    charged.putBack();
    await alice.sign(['with the counter that is true']);
  });

  it('signs with no key whose tombstone was taken away', async () => {
    const credential = await bob.generateKey();
    const lively = keepRow('keys', credential);
    assert.equal(await bob.change('destroy', credential), 'destroyed');
    const tombstone = keepRow('keys', credential);
    lively.putBack();
    await assert.rejects(bob.change('suspend', credential), /50\d/);
    const sam = await Sam.connect(system);
    for (let again = 0; again < 3; again += 1) await assert.rejects(sam.suspend(credential, 'so that its version grows'), { refusal: 'storage_unavailable' });
    sam.close();
    tombstone.putBack();
    assert.equal(await bob.change('destroy', credential).catch(() => 'refused'), 'refused');
    await bob.sign(['with the key that lives']);
  });

  it('goes on after a crash between a commit and the file that tells of it', async () => {
    await system.restart('sam', { environment: { INTAGLIO_FAULT: 'sealed.before_versions' } });
    await assert.rejects(alice.sign(['never approved']));
    assert.deepEqual(await system.services.sam.ended, { code: null, signal: 'SIGKILL' });
    await system.startService('sam');
    await alice.sign(['approved after the crash']);
  });

  it('does not start without the file that tells which rows are the latest', async () => {
    await system.services.sam.stop();
    const file = system.path('sam/anchor/versions');
    cpSync(file, `${file}.kept`);
    rmSync(file);
    await assert.rejects(system.startService('sam'), /versions of the database's records/);
    cpSync(`${file}.kept`, file);
    rmSync(`${file}.kept`);
    await system.startService('sam');
    await alice.sign(['with the file']);
  });

  it('goes on with the next data key before ninety days are over, without a restart', async () => {
    const dataKeys = () => {
      const database = system.database('sam');
      const count = database.prepare("SELECT count(*) AS count FROM sealed_data_keys WHERE kind = 'record'").get().count;
      database.close();
      return count;
    };
    const began = dataKeys();
    const { pid } = system.services.sam.child;
    system.moveClock(89 * 86400);
    await until('the next data key', () => dataKeys() === began + 1);
    await alice.client.signIn();
    await alice.sign(['under the next data key']);
    assert.equal(system.services.sam.child.pid, pid);
    assert.equal(system.services.sam.result, undefined);
    await system.restart('sam');
    await alice.sign(['under the same data key']);
    assert.equal(dataKeys(), began + 1);
  });

  it('keeps nothing of a signer in clear', async () => {
    await alice.sign(['searched']);
    const database = system.database('sam');
    for (const { name } of database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all()) {
      if (name.startsWith('audit')) continue;
      const rows = database.prepare(`SELECT * FROM ${name}`);
      rows.setReadBigInts(true);
      for (const row of rows.all()) {
        const text = Object.values(row).map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value))).join(' ');
        assert.ok(!text.includes('Lovelace') && !text.includes('PNONO'), `identity in clear in ${name}`);
      }
    }
    database.close();
  });
});
