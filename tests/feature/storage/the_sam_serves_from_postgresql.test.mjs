// The SAM's database on a PostgreSQL server (docs/operate/postgresql.md): what holds on a file holds there, also when the server is lost.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Postgresql, isAway, served } from '../harness/postgresql.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { run, System, withoutLimits } from '../harness/system.mjs';

describe('a SAM whose database stands on PostgreSQL', () => {
  let server, system, alice, sam;
  before(async () => {
    server = await Postgresql.start();
    system = await System.start({ policy: withoutLimits, start: [], configure: { sam: (text) => text + server.settings() } });
    // What the instance was made with stays behind: the SAM begins anew on the server.
    rmSync(system.path('sam'), { recursive: true });
    const { program, words, environment } = system.command('sam', '--initialise', '--policy', system.path('config/policy.json'),
      '--public-keys', system.path('sam-keys.json'));
    const made = run(program, words, { environment });
    assert.equal(made.status, 0, made.stderr);
    for (const name of ['sam', 'pki', 'ssa']) await system.startService(name);
    ({ signer: alice } = await signerOf(system));
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
    await server?.stop();
  });

  const approved = async (text) => {
    const documents = documentsOf(text);
    const sad = await alice.approve({ credential: alice.credential, documents });
    return { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
  };


  it('signs, and keeps there what it must not forget', async () => {
    const [signed] = await sam.sign(await approved('on a server'));
    assert.ok(signed.signature.length > 0);
    assert.ok(Number(server.ask('SELECT count(*) FROM occurrences')) >= 1);
    assert.ok(Number(server.ask('SELECT count(*) FROM audit_node_entries')) > 5);
    assert.throws(() => server.ask('DELETE FROM audit_node_entries WHERE idx = 1'), /append-only/);
    assert.throws(() => server.ask('TRUNCATE audit_node_entries'), /append-only/);
  });

  it('lets no second SAM write beside it', () => {
    const { program, words, environment } = system.command('sam');
    const second = run(program, words, { environment, timeout: 20000 });
    assert.equal(second.status, 1, second.stdout);
    assert.match(second.stderr, /another process has the database open|in use/);
  });

  it('signs nothing while the server is away, and everything when it is back, without a restart', async () => {
    const request = await approved('before the crash');
    await server.crash();
    await assert.rejects(sam.sign(request), isAway);
    await server.run();
    const [signed] = await served(() => sam.sign(request));
    assert.equal(signed.redelivered, false);
  });

  it('signs nothing twice under a SAD that was used before a crash of the server and one of the SAM', async () => {
    const request = await approved('signed once');
    const [first] = await sam.sign(request);
    await server.crash();
    await server.run();
    sam.close();
    await system.restart('sam', { signal: 'SIGKILL' });
    sam = await Sam.connect(system);
    const [again] = await sam.sign(request);
    assert.ok(again.redelivered);
    assert.ok(again.signature.equals(first.signature));
  });

  it('leaves no secret in the server\'s files', async () => {
    sam.close();
    await system.services.sam.stop();
    await server.crash();
    let looked = 0;
    for (const [name, content] of server.files()) {
      looked += content.length;
      for (const [secret, what] of system.canaries) {
        const found = /^\d{6}$/.test(secret) ? new RegExp(`(?<!\\d)${secret}(?!\\d)`).test(content) : content.includes(secret);
        assert.ok(!found, `${what} is in ${name}`);
      }
    }
    assert.ok(looked > 1e6);
  });
});
