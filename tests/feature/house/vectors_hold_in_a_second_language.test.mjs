// The vectors of T, consent, binding and list (api/sap) are recomputed here from their inputs alone, apart from the C++ that made them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { sessionOf } from '../harness/identity.mjs';
import { bindingOf, consentOf, encodeTransaction, hashCodes, keyAlgorithms, listDigestOf, suiteNames } from '../harness/protocol.mjs';
import { repository, run } from '../harness/system.mjs';

const { vectors } = JSON.parse(readFileSync(path.join(repository, 'tests/data/sap/vectors.json'), 'utf8'));

describe('the vectors of the signature activation protocol', () => {
  it('hold in tests/data/sap/check.mjs', () => {
    const checked = run(process.execPath, [path.join(repository, 'tests/data/sap/check.mjs')]);
    assert.equal(checked.stderr, '');
    assert.equal(checked.stdout, `${vectors.length + 3} vectors, 0 differences\n`, 'those and three approvals');
    assert.equal(checked.status, 0);
  });

  it('hold in the harness of these tests', () => {
    assert.ok(vectors.length > 0);
    for (const { name, input: { transaction: t, terms, act }, expected } of vectors) {
      const nonce = Buffer.from(t.nonce, 'hex');
      const documents = t.documents.map(({ digest, label }) => ({ digest: Buffer.from(digest, 'hex'), label }));
      const encoded = encodeTransaction({
        purpose: t.purpose, nonce, epoch: t.epoch, expires: Date.parse(t.expires) / 1000, signer: t.signer, key: t.key,
        certificate: Buffer.from(t.certificate_digest, 'hex'), profile: t.profile, hash: hashCodes[t.hash] ?? 0,
        suites: t.purpose === 'key' ? [keyAlgorithms.indexOf(t.algorithm) + 1] : (t.suites ?? []).map((suite) => suiteNames.indexOf(suite) + 1),
        clientId: t.client_id, clientName: t.client_name, documents,
      });
      const consent = consentOf(encoded, terms, act);
      assert.deepEqual({
        transaction: encoded.toString('hex'), consent: consent.toString('hex'), binding: bindingOf(encoded, consent).toString('hex'),
        list: listDigestOf(documents).toString('hex'),
        ...(t.purpose === 'one-time' ? { session: sessionOf({ documents, clientId: t.client_id, clientName: t.client_name, profile: t.profile, nonce }, terms, act).toString('hex') } : {}),
      }, expected, name);
    }
  });
});
