// TC-12: PINs, one-time passwords, SADs, seeds and token PINs appear in no log, database, audit file or answer.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
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
    const { token } = client;
    await system.restart('sam', { signal: 'SIGKILL' });
    await system.stopServices();
    const canaries = {
      pin, wrongPin, otherPin, sad, 'signature of the SAD': sad.split('.')[2], 'seed, base32': signer.seedText, 'access token': token,
      'signature of the access token': token.split('.')[2],
      ...Object.fromEntries(['sam', 'pki', 'ssa', 'root'].map((name) => [`PIN of the token ${name}`, system.read('secrets', `${name}.pin`).trim()])),
    };
    const found = [];
    for (const file of system.files()) {
      if (file.startsWith(system.path('secrets'))) continue;
      const content = readFileSync(file);
      for (const [what, canary] of Object.entries(canaries)) {
        if (content.includes(canary)) found.push(`${what} in ${file}`);
      }
      if (content.includes(signer.seed)) found.push(`TOTP seed in ${file}`);
    }
    assert.deepEqual(found, []);
  });
});
