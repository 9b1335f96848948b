// TC-6 with a signerpass: the whole database, the token's login and these sources open no key without the signer's secret, and what is stolen without the token tests no guess at it.
import assert from 'node:assert/strict';
import { createECDH, createHash, createHmac } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { custodyModes, Thief, unlocked } from '../harness/custody.mjs';
import { Officer } from '../harness/officer.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, Signer, signerOf } from '../harness/signer.mjs';
import { binaries, repository, runAside, System } from '../harness/system.mjs';

const { profile, policy } = custodyModes.find(({ name }) => name === 'wrapped');
const secrets = { alice: 'k7d3-q9x2-m4b8-r6t1-w5z0', changed: 'f2h8-v4n7-c9j1-p3s6-y0g5', bob: '604827135902' };

/** Whether these bytes are the private key of a P-256 SPKI. */
function isPrivateKeyOf(value, spki) {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(value);
  return spki.subarray(-65).equals(curve.getPublicKey());
}

describe('the two locks, attacked', () => {
  let system, client, officer, alice, bob;
  before(async () => {
    system = await System.start({ policy });
    ({ client, officer, signer: alice } = await signerOf(system, { profile, signerpass: secrets.alice }));
    bob = await new Signer(client, 'bob', { pin: secrets.bob }).ready({ officer, profile });
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

  it('open together, for the secret as it was chosen, and for no other text that one might take for it', async () => {
    await alice.sign(['with a signerpass']);
    await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      assert.equal(key.cost.toString('hex'), '0001000000000003', 'the second row of RFC 9106: 64 MiB, 3 passes');
      const [right] = thief.open(key, thief.locksOf(key, [secrets.alice]));
      assert.ok(!right.refused, `the way that is refused below is not the SAM's way: ${right.refused}`);
      assert.ok(isPrivateKeyOf(right, key.spki));
      const others = [secrets.alice.toUpperCase(), secrets.alice.replaceAll('-', ''), secrets.alice.replaceAll('-', ' '), ` ${secrets.alice}`, `${secrets.alice}\n`, secrets.alice.slice(0, -1),
        `${secrets.alice.slice(0, -1)}1`, secrets.alice.replaceAll('-', '\u2010'), secrets.changed, secrets.bob];
      const answers = thief.open(key, thief.locksOf(key, others));
      for (const [at, text] of others.entries()) assert.match(answers[at].refused ?? `opened with ${JSON.stringify(text)}`, /^keypass 0x/);
    });
  });

  it('let whoever has the database, its anchors and the audit log test no guess: nothing in them follows from the secret without the token', async () => {
    await alice.approve({ credential: alice.credential, documents: documentsOf('approved, and not signed') });
    await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      const [stretched] = thief.stretchedOf(key, [secrets.alice]);
      const [lock] = thief.locksOf(key, [secrets.alice]);
      const keypass = unlocked(key, lock);
      const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();
      const made = {
        'the stretched secret': stretched, 'the lock': lock, 'the wrapped keypass': keypass, 'SHA-256 of the secret': sha256(secrets.alice), 'SHA-256 of salt and secret': sha256(key.salt, secrets.alice),
        'SHA-256 of the stretched secret': sha256(stretched), 'SHA-256 of the lock': sha256(lock), 'SHA-256 of the wrapped keypass': sha256(keypass),
        'HMAC of the stretched secret under the salt': createHmac('sha256', key.salt).update(stretched).digest(),
      };
      // Everything that a thief carries away, in every spelling; and every sealed record as if he had opened it, which he has not.
      const files = system.files().filter((file) => file.startsWith(system.path('sam')) && !file.includes('/token'));
      assert.ok(files.some((file) => /sam\.db$/.test(file)) && files.some((file) => /audit/.test(file)) && files.some((file) => /anchor/.test(file)), files.join('\n'));
      const stolen = [...system.contents(files)].map(([, text]) => Buffer.from(text, 'latin1'));
      const opened = thief.rows('sqlite_master').map(({ name }) => name).filter((name) => ['signers', 'keys', 'factor_states', 'authorisations', 'lock_shares', 'wrapped_keys'].includes(name))
        .flatMap((table) => thief.rows(table).map((row) => thief.unseal(table, row)));
      assert.ok(opened.length >= 8, `${opened.length} records`);
      for (const [what, value] of Object.entries(made)) {
        for (const spelling of [value, value.toString('hex'), value.toString('base64url'), value.toString('base64').replace(/=+$/, '')])
          for (const content of [...stolen, ...opened]) assert.ok(!content.includes(spelling), `${what} is in what was stolen`);
      }
      // The one thing that tells a right guess is the verifier: an HMAC of the token's, in a record that the token seals.
      assert.ok(!stolen.some((content) => content.includes(key.verifier)), 'the verifier stands sealed');
    });
  });

  it('keep no way in for the old secret once it was changed: not in the new row, and the old row is not served', async () => {
    const before_ = await stopped((thief) => ({ key: thief.keyOf(alice.credential), raw: ['signers', 'wrapped_keys'].map((table) => [table, thief.rows(table).find(({ id }) => id === (table === 'signers' ? 'alice' : alice.credential))]) }));
    await alice.changeFactors({ signerpass: secrets.changed });
    await alice.sign(['with the new signerpass']);
    const current = await stopped((thief) => {
      const key = thief.keyOf(alice.credential);
      const [lock] = thief.locksOf(key, [secrets.changed]);
      const [oldLock] = thief.locksOf(before_.key, [secrets.alice]);
      assert.ok(isPrivateKeyOf(thief.open(key, [lock])[0], key.spki));
      for (const [what, row, tried] of [['the new row, the old lock', key, oldLock], ['the new row, the old secret under its new salt', key, thief.locksOf(key, [secrets.alice])[0]], ['the old row, the new lock', before_.key, lock]])
        assert.ok(thief.open(row, [tried])[0].refused, what);
      return before_.raw.map(([table, { id }]) => [table, thief.rows(table).find((row) => row.id === id)]);
    });
    const put = async (rows) => {
      await system.services.sam.stop();
      const database = new DatabaseSync(system.path('sam/sam.db'));
      for (const [table, { id, version, record }] of rows) database.prepare(`UPDATE ${table} SET version = ?, record = ? WHERE id = ?`).run(version, record, id);
      database.close();
      await system.startService('sam');
    };
    // Verifier and key together, as they were: whoever saw the old secret would have it all again.
    await put(before_.raw);
    const sam = await Sam.connect(system);
    const argon2 = (await sam.status()).argon2_evaluations;
    for (const secret of [secrets.alice, secrets.changed]) {
      const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('with rows of before') });
      const answer = await alice.submit(await alice.message(opened, [{ type: 'signerpass', value: secret }, { type: 'totp', value: alice.otp() }]));
      assert.notEqual(answer.status, 200);
    }
    assert.equal(await sam.signatures(), 0);
    assert.equal((await sam.status()).argon2_evaluations, argon2, 'a row that was put back gives no attempt, not even a failed one');
    sam.close();
    await put(current);
    await alice.sign(['with the rows of now']);
  });

  it('hold the key of whoever goes from a PIN to a signerpass under the signerpass alone', async () => {
    const under = await stopped((thief) => thief.keyOf(bob.credential));
    await bob.changeFactors({ signerpass: 'm5x2-d8r4-t1k9-b6w3-z7q0' });
    await bob.sign(['with a signerpass of bob']);
    await stopped((thief) => {
      const key = thief.keyOf(bob.credential);
      assert.ok(thief.open(key, thief.locksOf(key, [secrets.bob]))[0].refused);
      assert.ok(thief.open(key, thief.locksOf(under, [secrets.bob]))[0].refused);
      assert.ok(isPrivateKeyOf(thief.open(key, thief.locksOf(key, [bob.pin]))[0], key.spki));
    });
  });

  it('take no signerpass that is easy to search for, and none that is shown as a PIN', async () => {
    for (const weak of ['correct horse battery staple', '482915730164', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaa', `${secrets.alice}\u00e4`]) await assert.rejects(alice.changeFactors({ signerpass: weak }), /400/);
    const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('as a PIN') });
    const answer = await alice.submit(await alice.message(opened, [{ type: 'pin', value: alice.pin }, { type: 'totp', value: alice.otp() }]));
    assert.equal(answer.status, 400);
    await alice.sign(['as what it is']);
  });

  it('are set, opened and changed from the command line with a signerpass that it makes', async () => {
    const intaglio = (...words) => {
      system.moveClock(60);
      return runAside(path.join(binaries, 'intaglio'), words, { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
    };
    const done = (result) => assert.equal(result.status, 0, result.stdout + result.stderr);
    const secret = (name) => system.path(`secrets/${name}`);
    const clientFile = ['--client', system.path('clients/demo/client.toml')];
    for (const name of ['first', 'second']) {
      done(await intaglio('signer', 'make-signerpass', '-o', secret(name)));
      assert.match(readFileSync(secret(name), 'utf8'), /^([a-z]\d[a-z]\d)(-[a-z]\d[a-z]\d){4}$/);
      assert.equal(statSync(secret(name)).mode & 0o777, 0o600);
      system.secret('a signerpass', readFileSync(secret(name), 'utf8'));
    }
    assert.notEqual(readFileSync(secret('first'), 'utf8'), readFileSync(secret('second'), 'utf8'));
    assert.equal((await intaglio('signer', 'make-signerpass', '-o', secret('first'))).status, 1, 'a file that exists');
    assert.equal((await intaglio('signer', 'make-signerpass')).status, 1, 'no terminal');
    writeFileSync(secret('carols-code'), await new Officer(system).createSigner('carol', identityOf('carol')), { mode: 0o600 });
    const seed = ['--otp-seed-file', secret('carols-seed'), '--otp-step-offset', '0'];
    done(await intaglio('enrol', '--signer', 'carol', '--code-file', secret('carols-code'), '--signerpass-file', secret('first'), '--seed-file', secret('carols-seed'), '--no-qr', '--yes', ...clientFile));
    const made = await intaglio('key', 'new', '--signer', 'carol', '--algorithm', 'p256', '--profile', profile, '--signerpass-file', secret('first'), ...seed, ...clientFile);
    done(made);
    const { credentialID } = JSON.parse(made.stdout.trim().split('\n').at(-1));
    await officer.certify(credentialID, identityOf('carol'));
    const sign = (name) => intaglio('sign', '--digest', createHash('sha256').update('a contract').digest('hex'), '--credential', credentialID, '--suite', 'ecdsa-sha256', '--yes', '--signerpass-file', secret(name), ...seed, ...clientFile);
    done(await sign('first'));
    done(await intaglio('signer', 'change-signerpass', '--signer', 'carol', '--signerpass-file', secret('first'), '--new-signerpass-file', secret('second'), ...seed, ...clientFile));
    assert.equal((await sign('first')).status, 1);
    done(await sign('second'));
  });

  it('withstand a search for as long as the page says, which computes it from a rate that this machine does not beat', async () => {
    const page = readFileSync(path.join(repository, 'docs/operate/two-locks.md'), 'utf8');
    const assumed = Number(/takes ([\d.]+) ms a guess and core/.exec(page)[1]);
    const cores = Number(/and (\d+) cores/.exec(page)[1]);
    const year = 365.25 * 86400, units = { minutes: 60, hours: 3600, days: 86400, years: year };
    const rows = [...page.matchAll(/^\| (?:PIN, \d+ digits|signerpass, \d+ bits) \| (\d+)\^(\d+) \| ([^|]+) \| ([^|]+) \|$/gm)];
    assert.equal(rows.length, 5);
    for (const [row, base, exponent, one, many] of rows) {
      for (const [shown, divided] of [[one, 1], [many, cores]]) {
        const [, mantissa, , power, unit] = /^([\d.]+)( · 10\^(\d+))? (\w+)$/.exec(shown.trim());
        const told = Number(mantissa) * 10 ** Number(power ?? 0) * units[unit];
        const computed = (Number(base) ** Number(exponent) / 2) * (assumed / 1000) / divided;
        assert.ok(Math.abs(told / computed - 1) < 0.06, `${row}: ${computed / units[unit]} ${unit}`);
      }
    }
    await system.services.sam.stop();
    const { program, words, environment } = system.command('sam', '--probe', '--quick');
    const probe = await runAside(program, words, { environment });
    await system.startService('sam');
    assert.equal(probe.status, 0, probe.stderr);
    const [, measured] = /([\d.]+) ms a guess and core, of the least Argon2id/.exec(probe.stdout);
    assert.ok(Number(measured) >= assumed, `${measured} ms a guess on this machine: the page flatters`);
  });
});
