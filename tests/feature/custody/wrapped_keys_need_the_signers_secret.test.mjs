// TC-6: whoever has the whole database, the token's login and these sources opens no key without the signer's secret. With it he does: custody is emulated.
import assert from 'node:assert/strict';
import { createECDH, randomBytes } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { custodyModes, Thief, unlocked } from '../harness/custody.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { System } from '../harness/system.mjs';

const { profile, policy } = custodyModes.find(({ name }) => name === 'wrapped');
const pins = { alice: '482915730164', bob: '604827135902', changed: '739104628517' };

/** Whether these bytes are the private key of a P-256 SPKI. */
function isPrivateKeyOf(value, spki) {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(value);
  return spki.subarray(-65).equals(curve.getPublicKey());
}

describe('TC-6 the second lock', () => {
  let system, alice, bob;
  before(async () => {
    system = await System.start({ policy });
    const first = await signerOf(system, { profile, pin: pins.alice });
    alice = first.signer;
    bob = await new Signer(first.client, 'bob', { pin: pins.bob }).ready({ officer: first.officer, profile });
  });
  after(() => system?.stop());
  const stopped = async (work) => {
    await system.services.sam.stop();
    try {
      return await work(new Thief(system));
    } finally {
      await system.startService('sam');
    }
  };

  it('keeps a key that the token opens with its PIN, as the declaration "emulated" says', async () => {
    const sam = await Sam.connect(system);
    for (const { mode, key_authorisation } of (await sam.status()).custody) assert.deepEqual([mode, key_authorisation], ['wrapped', 'emulated']);
    sam.close();
    await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      const [value] = thief.open(key, thief.locksOf(key, [pins.alice]));
      assert.ok(!value.refused, `the way that is refused below is not the SAM's way: ${value.refused}`);
      assert.ok(isPrivateKeyOf(value, key.spki));
    });
  });

  it('opens for no other PIN, nor for anything else that lies about', async () => {
    const sad = await alice.approve({ credential: alice.credential, documents: documentsOf('approved and never signed') });
    const { lock_share: share } = JSON.parse(Buffer.from(sad.split('.')[1], 'base64url').toString());
    system.secret("the SAD's share of a lock", share);
    await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      const bobs = thief.keyOf(bob.credential);
      const wrong = ['482915730165', '123456', pins.bob, pins.changed, ...Array.from({ length: 16 }, () => String(randomBytes(4).readUInt32BE()).padStart(10, '0'))];
      const [own] = thief.locksOf(key, [pins.alice]);
      system.secret('a lock', own.toString('latin1'));
      const [shareRow] = thief.rows('lock_shares');
      const [, , kept] = thief.record('lock_shares', shareRow.id);
      const carried = Buffer.from(share, 'base64url');
      system.secret("the SAM's share of a lock", kept.toString('latin1'));
      assert.deepEqual(Buffer.from(kept.map((byte, at) => byte ^ carried[at])), own, 'both shares are the lock');
      const locks = {
        ...Object.fromEntries(thief.locksOf(key, wrong).map((lock, at) => [`of the PIN ${wrong[at]}`, lock])),
        'nothing': Buffer.alloc(32),
        'chance': randomBytes(32),
        'what the verifier of the PIN is': key.verifier,
        'the salt of the PIN, twice': Buffer.concat([key.salt, key.salt]),
        "the SAM's share": kept,
        "the SAD's share": carried,
        "of bob's key and PIN": thief.locksOf(bobs, [pins.bob])[0],
        "of alice's PIN for bob's key": thief.locksOf({ ...key, id: bobs.id }, [pins.alice])[0],
      };
      const answers = thief.open(key, Object.values(locks));
      for (const [at, what] of Object.keys(locks).entries()) assert.match(answers[at].refused ?? `opened with ${what}`, /^keypass 0x/, what);
      // What is under the lock shows nothing: one wrapped keypass looks like another.
      assert.equal(new Set(Object.values(locks).map((lock) => unlocked(key, lock).toString('hex'))).size, Object.keys(locks).length);

      const keypasses = { 'still under its lock': key.locked.subarray(32), "bob's": unlocked(bobs, thief.locksOf(bobs, [pins.bob])[0]) };
      const opened = thief.openWith(key, Object.values(keypasses));
      for (const [at, what] of Object.keys(keypasses).entries()) assert.ok(opened[at].refused, `opened with a keypass that is ${what}`);
    });
  });

  it("opens with the new PIN alone once it was changed: neither the new row with the old PIN, nor the old row with the new one", async () => {
    const old = await stopped((thief) => thief.keyOf(alice.credential));
    await alice.changeFactors({ pin: pins.changed });
    await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      const [newLock] = thief.locksOf(key, [pins.changed]);
      const [oldLock] = thief.locksOf(old, [pins.alice]);
      assert.ok(isPrivateKeyOf(thief.open(key, [newLock])[0], key.spki));
      for (const [what, row, lock] of [
        ['the new row, the old lock', key, oldLock], ['the old row, the new lock', old, newLock],
        ['the new row, the old PIN with the new salt', key, thief.locksOf(key, [pins.alice])[0]],
        ['the old keypass, the new blob', { ...key, locked: old.locked }, oldLock], ['the new keypass, the old blob', { ...old, locked: key.locked }, newLock],
      ]) assert.ok(thief.open(row, [lock])[0].refused, what);
    });
    await alice.sign(['with the new PIN']);
  });

  it('serves no row of before the change, with the old PIN or the new one', async () => {
    const rowOf = () => {
      const database = system.database('sam');
      const row = database.prepare('SELECT version, record FROM wrapped_keys WHERE id = ?').get(bob.credential);
      database.close();
      return row;
    };
    const put = async ({ version, record }) => {
      await system.services.sam.stop();
      const database = new DatabaseSync(system.path('sam/sam.db'));
      database.prepare('UPDATE wrapped_keys SET version = ?, record = ? WHERE id = ?').run(version, record, bob.credential);
      database.close();
      await system.startService('sam');
    };
    const old = rowOf();
    await bob.changeFactors({ pin: '580246193758' });
    const current = rowOf();
    await put(old);
    const sam = await Sam.connect(system);
    const documents = documentsOf('a row of before');
    const sad = await bob.approve({ credential: bob.credential, documents });
    await assert.rejects(sam.sign({ sad, key: bob.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { refusal: 'storage_unavailable' });
    const newPin = bob.pin;
    bob.pin = pins.bob;
    await assert.rejects(bob.approve({ credential: bob.credential, documents }));
    bob.pin = newPin;
    assert.equal(await sam.signatures(), 0);
    sam.close();
    await put(current);
    await bob.sign(['the row of now']);
  });

  it('leaves nothing of a key that its signer destroyed', async () => {
    await bob.change('destroy');
    await stopped((thief) => {
      const [kind, ...rest] = thief.record('wrapped_keys', bob.credential);
      assert.deepEqual([kind.toString(), rest], ['wrapped-key-destroyed/1', []]);
    });
    const events = system.auditEvents('sam').filter(({ subject, type }) => subject === bob.credential && /voided|destroyed/.test(type)).map(({ type }) => type);
    assert.deepEqual(events, ['key.voided', 'key.destroyed']);
  });

  it('does not serve under its policy with a token that does not unwrap', async () => {
    await system.services.sam.stop();
    const managed = system.read('config/sam.toml');
    // With a management listener it would wait for another policy.
    system.configure('sam', () => managed.replace(/(^\[management\][\s\S]*?)^port = \d+\n/m, '$1'));
    const dying = await system.startService('sam', { INTAGLIO_TOKEN_FAULT: 'wrapping-step:0' }, { wait: false });
    await assert.rejects(dying.ready());
    assert.deepEqual(dying.result, { code: 1, signal: null });
    assert.match(dying.other, /profile direct-wrapped asks for wrapped custody: the token cannot hold keys in wrapped custody: unwrapping an p256 key failed/);
    system.configure('sam', () => managed);
    await system.startService('sam');
  });
});
