// Whoever has the token's PIN can put another key in the place of a signer's. The SAM compares it with the certificate before the token signs.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
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

  /** Puts another key in the place of the signer's; gives how the SAM then refuses what the signer approved before. */
  async function refusalAfterExchange(signer, ...made) {
    const documents = documentsOf('a contract');
    const sad = await signer.approve({ credential: signer.credential, documents });
    sam?.close();
    await system.services.sam.stop();
    const program = system.path('exchange_key');
    const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
    const built = run('cc', [...headers, '-o', program, path.join(repository, 'tests/data/token/exchange_key.c'), '-ldl']);
    assert.equal(built.status, 0, built.stderr);
    const setting = (name) => new RegExp(`^${name} = "(.*?)"`, 'm').exec(system.read('config/sam.toml'))[1];
    const words = [setting('module'), setting('label'), system.read('secrets/sam.pin').trim(), signer.credential, ...made];
    const exchanged = run(program, words, { environment: system.command('sam').environment });
    assert.equal(exchanged.status, 0, exchanged.stderr);
    await system.startService('sam');
    sam = await Sam.connect(system);
    const refusal = await sam.sign({ sad, key: signer.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }).then(() => 'none', (error) => error.refusal);
    assert.equal(await sam.signatures(), 0);
    return refusal;
  }

  it('is not asked to sign', async () => {
    assert.equal(await refusalAfterExchange(alice), 'internal');
  });

  it('is not even looked at when it was made elsewhere: what the token did not make itself is no key of a signer', async () => {
    const bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { d, x, y } = privateKey.export({ format: 'jwk' });
    const [scalar, ...point] = [d, x, y].map((part) => Buffer.from(part, 'base64url').toString('hex'));
    // An OCTET STRING that holds the uncompressed point.
    assert.equal(await refusalAfterExchange(bob, scalar, `044104${point.join('')}`), 'token_unavailable');
    assert.ok(system.services.sam.lines.some((line) => /CKA_(LOCAL|ALWAYS_SENSITIVE|NEVER_EXTRACTABLE) is not as stated/.test(JSON.stringify(line))), system.services.sam.words());
  });
});
