// What a passkey signed can be shown to anyone: it verifies offline, the log says when it was granted and whose passkey it was, and nothing else passes for it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Passkey, origin, rpId, withPasskeys } from '../harness/passkey.mjs';
import { approvalOf, base64url, passkeyDigestOf } from '../harness/protocol.mjs';
import { Signer, documentsOf, identityOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, run, withoutLimits } from '../harness/system.mjs';

const policy = (document) => {
  withoutLimits(document);
  withPasskeys([['pin', 'totp'], ['pin', 'passkey']])(document);
};
const documents = documentsOf('a contract', 'its annex');

/** Approves with the signer's passkey; gives the SAP's view of it and the approval as api/sap, 8 writes it. */
async function approved(signer, { act = signer.act, submit = true } = {}) {
  const opened = await signer.openSigning({ credential: signer.credential, documents });
  const passkey = signer.passkey.answer(signer.bindingOf(opened));
  if (submit) assert.equal((await signer.submit(await signer.message(opened, [{ type: 'pin', value: signer.pin }, passkey]))).status, 200);
  const told = { transaction: opened.transaction, terms: signer.terms, act, rpId, origins: [origin], passkey, spki: signer.passkey.spki };
  return { nonce: base64url(opened.parsed.nonce), told, approval: approvalOf(told) };
}

const verify = (system, approval) => {
  writeFileSync(system.path('an.approval'), approval);
  return run(path.join(binaries, 'intaglio'), [
    'audit', 'verify', '--config', system.path('config/sam.toml'), '--key', system.path('sam/checkpoint.jwk'), '--approval', system.path('an.approval'),
  ]);
};

describe('an approval by a passkey', () => {
  let system, alice;
  before(async () => {
    system = await System.start({ policy });
    alice = (await signerOf(system, { passkey: new Passkey() })).signer;
  });
  after(() => system?.stop());

  it('verifies offline, and says who approved what, when and with which passkey', async () => {
    const { approval, nonce } = await approved(alice);
    const { status, stdout, stderr } = verify(system, approval);
    assert.equal(status, 0, stderr);
    const told = JSON.parse(stdout.trim().split('\n').at(-1)).approval;
    assert.deepEqual([told.signer, told.key, told.authorisation, told.act, told.relyingParty], ['alice', alice.credential, nonce, 'typed-yes', rpId]);
    assert.deepEqual(told.documents, documents.map(({ digest, label }) => ({ digest: base64url(digest), label })));
    assert.equal(told.passkey, base64url(passkeyDigestOf(alice.passkey.id, alice.passkey.spki)));
    assert.match(told.time, /^20\d\d-/);
  });

  it('is not taken when it is another than was signed, or when no authorisation was granted on it', async () => {
    const { approval, told } = await approved(alice);
    assert.equal(verify(system, approval).status, 0);
    const wrong = {
      'another act': approvalOf({ ...told, act: 'pressed-sign' }),
      'another page': approvalOf({ ...told, rpId: 'evil.example.test' }),
      'another passkey': approvalOf({ ...told, spki: new Passkey().spki }),
      'signed for a page that was never asked': approvalOf({ ...told, origins: [origin, 'https://evil.example.test'] }),
      'signed and never sent': (await approved(alice, { submit: false })).approval,
      'cut': approval.subarray(0, -1),
      'no approval': Buffer.from('{}'),
    };
    for (const [what, content] of Object.entries(wrong)) {
      const { status, stderr } = verify(system, content);
      assert.notEqual(status, 0, what);
      assert.match(stderr, /approval/, what);
    }
  });

  it('is what the SAM keeps: an operator takes it out while the SAM does not run, and the log says so', async () => {
    const { approval, nonce } = await approved(alice);
    await system.services.sam.stop();
    const file = system.path('exported.approval');
    const take = (id) => {
      const { program, words, environment } = system.command('sam', '--export-approval', id, '--approval-file', file);
      return run(program, words, { environment });
    };
    assert.notEqual(take('AAAAAAAAAAAAAAAAAAAAAA').status, 0);
    const taken = take(nonce);
    assert.equal(taken.status, 0, taken.stderr);
    assert.deepEqual(readFileSync(file), approval);
    await system.startService('sam');
    assert.equal(verify(system, approval).status, 0);
    const exported = system.auditEvents('sam').filter(({ type }) => type === 'approval.exported');
    assert.deepEqual(exported.map(({ subject }) => subject), [nonce]);
  });
});

describe('an approval by a passkey of before a reset', () => {
  let system;
  after(() => system?.stop());

  it('is found out in the log, even if a SAM without its check takes it', async () => {
    system = await System.start({ policy, environment: { sam: { INTAGLIO_DISABLED_CHECK: 'sam.passkey.incarnation' } } });
    const { client, officer, signer } = await signerOf(system, { passkey: new Passkey() });
    const before = await approved(signer);
    const again = new Signer(client, 'alice', { pin: '718203' });
    await again.enrol(await officer.resetFactors('alice', identityOf('alice')));
    again.credential = await again.generateKey();
    await officer.certify(again.credential, identityOf('alice'));
    again.passkey = signer.passkey;
    const { approval } = await approved(again);
    const refused = verify(system, approval);
    assert.notEqual(refused.status, 0);
    assert.match(refused.stderr, /not this signer's at that time/);
    assert.equal(verify(system, before.approval).status, 0, 'what was approved before the reset stands');
  });
});
