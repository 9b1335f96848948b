// The private key stays in the token: the module refuses to show or wrap it, and signing makes no objects.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, Signer, signerOf } from '../harness/signer.mjs';
import { repository, run, sanitized, System, withoutLimits } from '../harness/system.mjs';

const warmUp = 15000;
const signatures = 10000;
const batch = 250;
// A sanitizer remembers what was freed, up to a bound of its own that is not reached by then.
const growthKilobytes = sanitized ? 65536 : 4096;

describe('custody of resident keys', () => {
  let system, alice, sam;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    const first = await signerOf(system);
    alice = first.signer;
    await new Signer(first.client, 'rosa', { pin: '604827135902' }).ready({ officer: first.officer, algorithm: 'rsa3072' });
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

  it(`leaves objects, descriptors and memory as they were after ${signatures} signatures`, async (context) => {
    const { pid } = system.services.sam.child;
    const measure = async () => ({
      objects: (await sam.status()).token.objects,
      descriptors: readdirSync(`/proc/${pid}/fd`).length,
      kilobytes: Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]),
    });
    let made = 0;
    const sign = async (count) => {
      for (let done = 0; done < count; done += batch) {
        const documents = documentsOf(...Array.from({ length: batch }, (_, index) => `document ${made + index}`));
        const sad = await alice.approve({ credential: alice.credential, documents });
        const given = await sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: documents.map(({ digest }) => digest) });
        assert.equal(given.length, batch);
        made += batch;
      }
    };
    // The page cache of the database and the allocator's arenas are full by then.
    await sign(warmUp);
    const before = await measure();
    const countBefore = await sam.signatures();
    const begin = Date.now();
    await sign(signatures);
    const after = await measure();
    assert.equal(await sam.signatures(), countBefore + signatures);
    assert.ok(before.objects > 0);
    assert.equal(after.objects, before.objects);
    assert.ok(Math.abs(after.descriptors - before.descriptors) <= 2, `${before.descriptors} descriptors became ${after.descriptors}`);
    assert.ok(after.kilobytes <= before.kilobytes + growthKilobytes, `${before.kilobytes} kB became ${after.kilobytes} kB`);
    context.diagnostic(`${signatures} signatures in ${(Date.now() - begin) / 1000} s; objects ${before.objects} -> ${after.objects}, `
      + `descriptors ${before.descriptors} -> ${after.descriptors}, memory ${before.kilobytes} -> ${after.kilobytes} kB`);
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

  it('does not serve under a policy that names an algorithm which the token lacks', async () => {
    await system.services.sam.stop();
    const { program, environment } = system.command('sam');
    // With a management listener it would wait for another policy.
    const unmanaged = system.path('config/unmanaged.toml');
    writeFileSync(unmanaged, system.read('config/sam.toml').replace(/(^\[management\][\s\S]*?)^port = \d+\n/m, '$1'));
    const start = run(program, ['--config', unmanaged], { environment: { ...environment, INTAGLIO_TOKEN_FAULT: 'lacks-rsa' }, timeout: 20000 });
    assert.equal(start.status, 1, start.stderr);
    assert.match(start.stderr, /profile \S+ names rsa\d+, which the token does not serve: no CKM_RSA_PKCS_KEY_PAIR_GEN/);
  });

  it('gives no key to whoever has its PIN: each private key is neither read, wrapped, loosened nor copied', async () => {
    await system.services.sam.stop();
    const program = system.path('take_keys');
    const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
    const built = run('cc', [...headers, '-o', program, path.join(repository, 'tests/data/token/take_keys.c'), '-ldl']);
    assert.equal(built.status, 0, built.stderr);
    const setting = (name) => new RegExp(`^${name} = "(.*?)"`, 'm').exec(system.read('config/sam.toml'))[1];
    const tried = run(program, [setting('module'), setting('label'), system.read('secrets/sam.pin').trim()], { environment: system.command('sam').environment });
    assert.equal(tried.status, 0, tried.stderr);
    const attempts = tried.stdout.trim().split('\n').map((line) => line.split(' '));
    for (const kind of ['rsa', 'ec']) {
      for (const attempt of ['read', 'wrap', 'loosen', 'unhide', 'copy']) {
        assert.ok(attempts.some(([k, a]) => k === kind && a === attempt), `${attempt} was not tried with a key of type ${kind}`);
      }
    }
    for (const [kind, attempt, code] of attempts) assert.notEqual(code, '0x0', `${attempt} of a private key (${kind}) succeeded`);
    const codes = (what) => new Set(attempts.filter(([, attempt]) => attempt === what).map(([, , code]) => code));
    assert.deepEqual(codes('read'), new Set(['0x11']), 'CKR_ATTRIBUTE_SENSITIVE');
    assert.deepEqual(codes('wrap'), new Set(['0x6a']), 'CKR_KEY_UNEXTRACTABLE');
  });
});
