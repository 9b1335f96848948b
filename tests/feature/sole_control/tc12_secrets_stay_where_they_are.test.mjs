// TC-12: PINs, one-time passwords, SADs, seeds and token PINs appear in no log, database, audit file or answer.
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const pin = '739182640517';
const wrongPin = '846204731958';
const otherPin = '628417395046';

describe('TC-12 secrets', () => {
  let system;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
  });
  after(() => system?.stop());

  it('leaves no trace of a secret in any file of the instance', async () => {
    const { signer, client } = await signerOf(system, { pin });
    const { sad } = await signer.sign(['canary']);
    const opened = await signer.openSigning({ credential: signer.credential, documents: documentsOf('refused') });
    await signer.submit(await signer.message(opened, [{ type: 'pin', value: wrongPin }, { type: 'totp', value: signer.otp() }]));
    // What a careless client does: a PIN where none belongs.
    await client.post('/csc/v2/credentials/authorize', { credentialID: signer.credential, PIN: otherPin, OTP: '123456' });
    await client.post('/csc/v2/signatures/signHash', { credentialID: signer.credential, SAD: otherPin, hashes: ['AA=='], signAlgo: '1.2.840.10045.4.3.2' });
    await client.signHash({ credential: signer.credential, sad, digests: [documentsOf('canary')[0].digest], suite: 'ecdsa-sha256' });
    system.secret('a wrong PIN', wrongPin);
    system.secret('a PIN in a wrong place', otherPin);
    system.secret('the part of a SAD that names it', sad.split('.')[1]);
    // A crash leaves no core file: the processes forbid it themselves.
    for (const [name, { child }] of Object.entries(system.services)) {
      assert.match(readFileSync(`/proc/${child.pid}/limits`, 'utf8'), /Max core file size\s+0\s+0\s/, name);
    }
    await system.restart('sam', { signal: 'SIGSEGV' });
    await system.stopServices();
    const kinds = new Set(system.canaries.values());
    for (const kind of ['a PIN', 'a wrong PIN', 'a one-time code', 'a SAD', 'an access token', 'a TOTP seed', 'an activation code']) assert.ok(kinds.has(kind), kind);
    const found = system.findSecrets();
    assert.equal(new Set(system.canaries.values()).has('PIN of the token sam'), true);
    assert.deepEqual(found, []);
  });

  it('would find each kind of them', () => {
    for (const [text, what] of system.canaries) {
      writeFileSync(system.path('planted'), Buffer.from(`{"x":"${text}"}\n`, 'latin1'));
      assert.ok(system.findSecrets().some((finding) => finding.startsWith(what)), what);
    }
    rmSync(system.path('planted'));
    assert.deepEqual(system.findSecrets(), []);
  });
});
