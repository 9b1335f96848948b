// Whoever has the token's PIN can put another key in the place of a signer's. The SAM compares it with the certificate before the token signs.
import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { repository, run, System, withoutLimits } from '../harness/system.mjs';

describe('a key that was exchanged in the token', () => {
  let system, alice, sam;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system)).signer;
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  it('is not asked to sign', async () => {
    const documents = documentsOf('a contract');
    const sad = await alice.approve({ credential: alice.credential, documents });
    await system.services.sam.stop();
    const program = system.path('exchange_key');
    const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
    const built = run('cc', [...headers, '-o', program, path.join(repository, 'tests/data/token/exchange_key.c'), '-ldl']);
    assert.equal(built.status, 0, built.stderr);
    const setting = (name) => new RegExp(`^${name} = "(.*?)"`, 'm').exec(system.read('config/sam.toml'))[1];
    const words = [setting('module'), setting('label'), system.read('secrets/sam.pin').trim(), alice.credential];
    const exchanged = run(program, words, { environment: system.command('sam').environment });
    assert.equal(exchanged.status, 0, exchanged.stderr);
    await system.startService('sam');
    sam = await Sam.connect(system);
    await assert.rejects(sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { refusal: 'internal' });
    assert.equal(await sam.signatures(), 0);
  });
});
