// The private key stays in the token: the module refuses to show or wrap it, and signing makes no objects.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { run, System, withoutLimits } from '../harness/system.mjs';

const rounds = process.env.INTAGLIO_LONG ? 10 : 1;

describe('custody of resident keys', () => {
  let system, alice, sam;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    alice = (await signerOf(system)).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  it('TC-6 declares resident custody on this token as emulated', async () => {
    const { custody } = await sam.status();
    assert.ok(custody.length > 0);
    for (const profile of custody) assert.match(JSON.stringify(profile), /emulated/);
  });

  it(`leaves objects, descriptors and memory as they were after ${rounds * 1000} signatures`, async () => {
    const { readFileSync, readdirSync } = await import('node:fs');
    const { pid } = system.services.sam.child;
    const measure = async () => ({
      objects: (await sam.status()).token.objects,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      kilobytes: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]),
    });
    const signThousand = async (round) => {
      for (let at = 0; at < 1000; at += 250) {
        const documents = documentsOf(...Array.from({ length: 250 }, (_, index) => `${round}: ${at + index}`));
        const sad = await alice.approve({ credential: alice.credential, documents });
        await sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: documents.map(({ digest }) => digest) });
      }
    };
    await signThousand('warm-up');
    const before = await measure();
    for (let round = 0; round < rounds; round += 1) await signThousand(round);
    const after = await measure();
    assert.equal(after.objects, before.objects);
    assert.ok(Math.abs(after.descriptors - before.descriptors) <= 2, `${before.descriptors} descriptors became ${after.descriptors}`);
    assert.ok(after.kilobytes < before.kilobytes * 1.1 + 4096, `${before.kilobytes} kB became ${after.kilobytes} kB`);
  });

  it('shows in the probe that the token refuses to give a key away', async () => {
    const { program, words, environment } = system.command('sam', '--probe', '--quick');
    const early = run(program, words, { environment });
    assert.notEqual(early.status, 0, 'a SAM serves from this folder');
    assert.match(early.stderr, /token directory .* is in use; stop the services that use it first/);
    sam.close();
    await system.services.sam.stop();
    const probe = run(program, words, { environment });
    assert.equal(probe.status, 0, probe.stdout + probe.stderr);
    assert.doesNotMatch(probe.stdout, /BROKEN/);
    assert.match(probe.stdout, /yes\s+refuses to .*(read|show|give)/i);
    assert.match(probe.stdout, /yes\s+refuses to wrap/i);
  });

  it('does not serve under a policy that names an algorithm which the token lacks', () => {
    const { program, words, environment } = system.command('sam');
    const start = run(program, words, { environment: { ...environment, INTAGLIO_TOKEN_FAULT: 'lacks-rsa' }, timeout: 20000 });
    assert.equal(start.status, 1, start.stderr);
    assert.match(start.stderr, /profile \S+ names rsa\d+, which the token does not serve: no CKM_RSA_PKCS_KEY_PAIR_GEN/);
  });
});
