// TC-10: without a trustworthy clock, a log that takes entries or its token, the SAM refuses, says so, and goes on when it is over.
import assert from 'node:assert/strict';
import { writeFileSync, rmSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, until, withoutLimits } from '../harness/system.mjs';

describe('TC-10 fail closed', () => {
  let system, alice, sam, fault;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    fault = system.path('token-fault');
    await system.restart('sam', { environment: { INTAGLIO_TOKEN_FAULT: `@${fault}` } });
    alice = (await signerOf(system)).signer;
    sam = await Sam.connect(system);
  });
  after(async () => {
    sam?.close();
    await system?.stop();
  });

  it('opens, authorises and signs nothing while the clock is not synchronised, and goes on when it is, without a restart', async () => {
    const documents = documentsOf('in time');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const { message } = await alice.prepare({ documents: documentsOf('later') });
    const before = await sam.signatures();
    system.setClock('unsynchronised');
    const request = { sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] };
    await assert.rejects(sam.sign(request), { refusal: 'clock_unsynchronised' });
    await assert.rejects(sam.authorise(message), { refusal: 'clock_unsynchronised' });
    const status = await sam.status();
    assert.equal(status.state, 'refusing');
    assert.equal(status.clock.synchronised, false);
    assert.equal(status.signer_signatures, before);
    system.moveClock(0);
    assert.equal((await sam.status()).state, 'serving');
    assert.equal((await sam.sign(request)).length, 1);
  });

  it('signs nothing with an expired SAD', async () => {
    const documents = documentsOf('too late');
    const sad = await alice.approve({ credential: alice.credential, documents });
    const before = await sam.signatures();
    system.moveClock(301);
    await assert.rejects(sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { refusal: 'sad_expired' });
    assert.equal(await sam.signatures(), before);
  });

  it('takes no approval for an expired ticket', async () => {
    const opened = await alice.openSigning({ credential: alice.credential, documents: documentsOf('slow signer') });
    system.moveClock(301);
    await assert.rejects(sam.authorise(await alice.message(opened, alice.factors())), { refusal: 'ticket_expired' });
  });

  it('gives out no signature that does not verify, and signs again when the token is well', async () => {
    const documents = documentsOf('wrong signature');
    const sad = await alice.approve({ credential: alice.credential, documents });
    writeFileSync(fault, 'wrong-signature');
    await assert.rejects(sam.sign({ sad, key: alice.credential, suite: 'ecdsa-sha256', digests: [documents[0].digest] }), { refusal: 'signature_doubtful' });
    rmSync(fault);
    await until('the token to serve again', () => alice.sign(['well again']).then(() => true, () => false), 30000);
  });
});
