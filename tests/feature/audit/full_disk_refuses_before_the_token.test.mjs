// No room for the record, no signature: on a full disk the SAM refuses, the token is not asked, and it goes on when there is room again.
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { run, System, until, withoutLimits } from '../harness/system.mjs';

const root = process.getuid() === 0;

describe('a full disk', { skip: root ? false : 'needs root, to mount a small file system' }, () => {
  let mount, system, alice, sam;
  before(async () => {
    mount = mkdtempSync(path.join(tmpdir(), 'intaglio-small-'));
    assert.equal(run('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'intaglio-test', mount]).status, 0);
    system = await System.start({ policy: withoutLimits, folder: mount });
    alice = (await signerOf(system)).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
    run('umount', [mount]);
    rmSync(mount, { recursive: true, force: true });
  });

  function fillDisk() {
    const file = openSync(path.join(mount, 'filler'), 'w');
    try {
      for (const size of [1024 * 1024, 4096, 512, 1]) {
        try {
          for (;;) writeSync(file, Buffer.alloc(size));
        } catch (error) {
          assert.equal(error.code, 'ENOSPC');
        }
      }
    } finally {
      closeSync(file);
    }
  }

  it('refuses to sign, asks no token, says so, and serves again without help', async () => {
    const documents = documentsOf('while there is no room', 'when there is room');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await sam.signatures();
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256' };
    fillDisk();
    await assert.rejects(sam.sign({ ...request, digests: [documents[0].digest] }), { refusal: /audit_unavailable|storage_unavailable/ });
    const answer = await alice.client.signHash({ credential: alice.credential, sad, digests: [documents[1].digest], suite: 'ecdsa-sha256' });
    assert.equal(answer.status, 503, answer.text);
    assert.equal(await sam.signatures(), before);
    rmSync(path.join(mount, 'filler'));
    const after = await until('the SAM to sign again', () => sam.sign({ ...request, digests: [documents[1].digest] }).catch(() => undefined), 20000);
    assert.equal(after.length, 1);
    assert.equal(await sam.signatures(), before + 1);
    await alice.sign(['as before']);
  });

  it('refuses as well while the folder of the log is read-only, and serves again when it is not', async () => {
    const documents = documentsOf('while it is read-only', 'when it is not');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await sam.signatures();
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256' };
    const folder = path.join(system.root, 'sam', 'audit');
    const mounted = (...words) => assert.equal(run('mount', words).status, 0, words.join(' '));
    mounted('--bind', folder, folder);
    try {
      mounted('-o', 'remount,bind,ro', folder);
      // The first entry that cannot be integrated stops everything that follows.
      await until('the SAM to notice', async () => {
        await alice.openSigning({ credential: alice.credential, documents }).then((opened) => alice.message(opened, [{ type: 'pin', value: '918273' }])).then((message) => alice.submit(message)).catch(() => {});
        return (await sam.status()).state === 'refusing';
      }, 20000);
      await assert.rejects(sam.sign({ ...request, digests: [documents[0].digest] }), { refusal: 'audit_unavailable' });
      const answer = await alice.client.signHash({ credential: alice.credential, sad, digests: [documents[0].digest], suite: 'ecdsa-sha256' });
      assert.equal(answer.status, 503, answer.text);
      assert.equal(await sam.signatures(), before);
    } finally {
      run('umount', [folder]);
    }
    const given = await until('the SAM to sign again', () => sam.sign({ ...request, digests: [documents[1].digest] }).catch(() => undefined), 20000);
    assert.equal(given.length, 1);
    assert.equal(await sam.signatures(), before + 1);
    assert.equal((await sam.status()).state, 'serving');
  });
});
