// No record, no signature; and each signature has a receipt that anybody can check against the signed tree.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { writeFileSync } from 'node:fs';
import { Sam } from '../harness/sam.mjs';
import { signerOf } from '../harness/signer.mjs';
import { binaries, run, System, until, withoutLimits } from '../harness/system.mjs';

const hash = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();

/** RFC 9162, 2.1.3.2: the root that an inclusion proof leads to. */
function rootOf(leaf, index, size, proof) {
  let [fn, sn, node] = [index, size - 1, leaf];
  for (const sibling of proof) {
    if (fn % 2 === 1 || fn === sn) {
      node = hash(Buffer.from([1]), sibling, node);
      while (fn % 2 === 0 && fn !== 0) [fn, sn] = [fn >> 1, sn >> 1];
    } else {
      node = hash(Buffer.from([1]), node, sibling);
    }
    [fn, sn] = [fn >> 1, sn >> 1];
  }
  assert.equal(sn, 0, 'the proof is too short');
  return node;
}

describe('audit', () => {
  let system, alice, sam, client;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ signer: alice, client } = await signerOf(system));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  const verifyLog = () => run(path.join(binaries, 'intaglio'), ['audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk')]);

  it('gives out a receipt whose inclusion proof leads to the root of a signed checkpoint', async () => {
    const { answer } = await alice.sign(['with a receipt']);
    const [entry] = answer.auditReceipts;
    const receipt = await until('the receipt', async () => {
      const fetched = await client.get(`/sic/v1/receipts/${entry.index}?leaf=${Buffer.from(entry.leaf, 'base64').toString('base64url')}`);
      return fetched.status === 200 && fetched.json;
    });
    const leaf = hash(Buffer.from([0]), Buffer.from(receipt.event));
    assert.equal(leaf.toString('base64'), entry.leaf);
    const [origin, size, root] = receipt.checkpoint.split('\n');
    assert.equal(origin, entry.log);
    const computed = rootOf(leaf, Number(entry.index), Number(size), receipt.inclusion.map((part) => Buffer.from(part, 'base64')));
    assert.equal(computed.toString('base64'), root);
    const file = system.path('receipt.json');
    writeFileSync(file, JSON.stringify(receipt));
    const verified = run(path.join(binaries, 'intaglio'), ['audit', 'receipt', file, '--key', system.path('sam/checkpoint.jwk')]);
    assert.equal(verified.status, 0, verified.stderr);
    writeFileSync(file, JSON.stringify({ ...receipt, event: receipt.event.replace('alice', 'mallo') }));
    assert.notEqual(run(path.join(binaries, 'intaglio'), ['audit', 'receipt', file, '--key', system.path('sam/checkpoint.jwk')]).status, 0);
  });

  it('shows an entry only to who was given its leaf with the signature, and says nothing more to anyone else', async () => {
    const { answer } = await alice.sign(['for its holder alone']);
    const [entry] = answer.auditReceipts;
    const leaf = Buffer.from(entry.leaf, 'base64');
    await until('the receipt', () => sam.receipt(entry.index, leaf).catch(() => undefined));
    const another = Buffer.from(leaf.map((byte, at) => (at === 31 ? byte ^ 1 : byte)));
    const refusal = (index, given) => sam.receipt(index, given).then(() => assert.fail('a receipt'), (error) => error.message);
    assert.equal(await refusal(entry.index, another), await refusal(1_000_000, leaf), 'at the SAM itself');
    for (const [index, given] of [[entry.index, another], [entry.index - 1, leaf], [1_000_000, leaf]]) {
      const refused = await client.get(`/sic/v1/receipts/${index}?leaf=${given.toString('base64url')}`);
      assert.equal(refused.status, 404);
      assert.equal(refused.json.error, 'not_found');
    }
    assert.equal((await client.get(`/sic/v1/receipts/${entry.index}`)).status, 400);
    // The entry before is the intent: its leaf can be computed by who reads the log, and is nobody's receipt.
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(system.path('sam/sam.db'), { readOnly: true });
    const { event } = database.prepare('SELECT event FROM audit_entries WHERE idx = ?').get(entry.index - 1);
    database.close();
    assert.equal(await refusal(entry.index - 1, hash(Buffer.from([0]), Buffer.from(event))), await refusal(1_000_000, leaf));
  });

  it('counts as many signatures of the token as entries of the log', async () => {
    await alice.sign(['one', 'two', 'three']);
    const status = await sam.status();
    assert.equal(status.signer_signatures, status.audited_signatures);
  });

  it('is verified offline, and an edited entry is named', async () => {
    sam.close();
    await system.services.ssa.stop();
    await system.services.sam.stop();
    const good = verifyLog();
    assert.equal(good.status, 0, good.stdout + good.stderr);
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(system.path('sam/sam.db'));
    // Who may write the file is not stopped by triggers.
    for (const { name } of database.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger'").all()) database.exec(`DROP TRIGGER ${name}`);
    const { idx, event } = database.prepare("SELECT idx, event FROM audit_entries WHERE CAST(event AS TEXT) LIKE '%signature.made%' LIMIT 1").get();
    database.prepare('UPDATE audit_entries SET event = ? WHERE idx = ?').run(Buffer.from(Buffer.from(event).toString().replace('success', 'refused')), idx);
    database.close();
    const bad = verifyLog();
    assert.notEqual(bad.status, 0);
    assert.match(bad.stdout + bad.stderr, new RegExp(`\\b${idx}\\b`));
  });
});
