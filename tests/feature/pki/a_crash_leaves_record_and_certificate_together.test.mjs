// EN 319 411-1, 6.4.5: each certificate has its record and each record its certificate, wherever the PKI dies while it issues one; what was refused or
// lost is asked for again.
import assert from 'node:assert/strict';
import { X509Certificate, createHash } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { base64url, sha256 } from '../harness/protocol.mjs';
import { good } from '../harness/http.mjs';
import { identityOf, signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('a crash while a certificate is issued', () => {
  let system, officer, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ officer, signer: alice } = await signerOf(system));
  });
  after(async () => {
    await system?.stop();
  });

  /** An officer's request for this key, all of it. */
  const askFor = async (credential) => {
    const pending = good('key request', await officer.get(`/ra/v1/requests/${credential}`));
    const request = await officer.request('issue-certificate', {
      signer: pending.signerID, key: credential, csr_sha256: base64url(sha256(Buffer.from(pending.csr, 'base64'))), identity: identityOf('alice'), profile: 'natural-person',
    });
    return officer.post('/ra/v1/certificates', { request });
  };
  /** Serial numbers and digests: of the rows, and of the audit log's entries. */
  const both = () => {
    const database = system.database('pki');
    const rows = database.prepare("SELECT serial, der FROM pki_certificate WHERE kind = 'signer'").all()
      .map(({ serial, der }) => `${serial} ${createHash('sha256').update(der).digest('base64url')}`);
    database.close();
    const entries = system.auditEvents('pki').filter(({ type, fields }) => type === 'certificate.issued' && fields.kind === 'signer')
      .map(({ fields }) => `${fields.serial} ${fields.certificate_sha256}`);
    return { rows: rows.sort(), entries: entries.sort() };
  };
  const dieAt = async (point, credential) => {
    await system.restart('pki', { environment: { INTAGLIO_FAULT: point } });
    const answer = await askFor(credential).catch(() => ({ status: 0 }));
    await system.services.pki.ended;
    await system.restart('pki');
    return answer;
  };

  it('leaves neither, before both are durable', async () => {
    const credential = await alice.generateKey();
    const { rows: earlier } = both();
    const answer = await dieAt('pki.issue.stored', credential);
    assert.notEqual(answer.status, 200);
    assert.deepEqual(both(), { rows: earlier, entries: earlier });
    const { certificates } = good('issue', await askFor(credential));
    const { serialNumber } = new X509Certificate(Buffer.from(certificates[0], 'base64'));
    const { rows, entries } = both();
    assert.deepEqual(rows, entries);
    assert.equal(rows.length, earlier.length + 1);
    assert.ok(rows.some((row) => row.startsWith(serialNumber.toLowerCase())));
  });

  it('leaves both, once they are durable, and the key is not certified a second time', async () => {
    const credential = await alice.generateKey();
    const { rows: earlier } = both();
    const answer = await dieAt('pki.issue.recorded', credential);
    assert.notEqual(answer.status, 200);
    const { rows, entries } = both();
    assert.deepEqual(rows, entries);
    assert.equal(rows.length, earlier.length + 1);
    assert.equal((await askFor(credential)).status, 409);
    assert.deepEqual(both(), { rows, entries });
    // What never reached anybody can be revoked all the same: its serial number stands in the record.
    const [lost] = rows.filter((row) => !earlier.includes(row));
    const request = await officer.request('revoke-certificate', { key: credential, serial: lost.split(' ')[0], reason: 'superseded' });
    good('revoke', await officer.post('/ra/v1/revocations', { request }));
  });
});
