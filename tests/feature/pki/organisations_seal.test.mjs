// EN 319 412-1, 5.1.4; EN 319 412-2, 4.2.4; EN 319 412-3, 4.2.1: an organisation seals, and a person signs for it, each with a certificate that says so.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { Officer } from '../harness/officer.mjs';
import { Signer, identityOf, signerOf } from '../harness/signer.mjs';
import { System, run, withoutLimits } from '../harness/system.mjs';

const company = { country: 'NO', organizationName: 'Eksempel AS', organizationIdentifier: 'NTRNO-123456789' };

describe('an organisation', () => {
  let system, officer, client;
  const at = (name) => system.path(name);
  const subjectOf = ({ id, chain }) => {
    writeFileSync(at(`${id}.der`), chain[0]);
    return run('openssl', ['x509', '-inform', 'DER', '-in', at(`${id}.der`), '-noout', '-subject', '-nameopt', 'RFC2253,sname,utf8']).stdout.trim();
  };

  before(async () => {
    system = await System.start({ policy: withoutLimits });
    client = await new Client(system).signIn();
    officer = new Officer(system);
  });
  after(async () => {
    await system?.stop();
  });

  it('seals with a certificate that names it and its register, and nobody else', async () => {
    const { signer } = await signerOf(system, { id: 'seal', record: company, certificate: 'legal-person' });
    assert.equal(subjectOf(signer), 'subject=CN=Eksempel AS,organizationIdentifier=NTRNO-123456789,O=Eksempel AS,C=NO');
    const statements = run('openssl', ['asn1parse', '-inform', 'DER', '-in', at('seal.der')]).stdout;
    assert.match(statements, /0\.4\.0\.194121\.1\.2|qcStatements|1\.3\.6\.1\.5\.5\.7\.1\.3/);
    const { signatures, digests } = await signer.sign(['an invoice']);
    assert.equal(signatures.length, digests.length);
  });

  it('has somebody who signs for it, whose certificate names both', async () => {
    const record = { ...company, ...identityOf('bob') };
    const { signer } = await signerOf(system, { id: 'bob', pin: '571938260415', record, certificate: 'legal-representative' });
    assert.match(subjectOf(signer), /serialNumber=PNONO-bob.*GN=Ada.*organizationIdentifier=NTRNO-123456789,O=Eksempel AS|organizationIdentifier=NTRNO-123456789/);
    await signer.sign(['a contract']);
  });

  it('is not named in the certificate of somebody of whom nobody recorded that', async () => {
    const eve = new Signer(client, 'eve', { pin: '482607193548' });
    await eve.enrol(await officer.createSigner('eve', identityOf('eve')));
    eve.credential = await eve.generateKey();
    await assert.rejects(officer.certify(eve.credential, { ...company, ...identityOf('eve') }, { profile: 'legal-representative' }), /not_authorised|access_denied|403/);
    await assert.rejects(officer.certify(eve.credential, identityOf('eve'), { profile: 'legal-person' }), /invalid_request|400/);
    await officer.certify(eve.credential, identityOf('eve'));
  });

  it('is refused with half of its record, by the name of what is missing', async () => {
    const { organizationIdentifier, ...half } = company;
    assert.equal(organizationIdentifier, 'NTRNO-123456789');
    await assert.rejects(officer.createSigner('half', half), (error) => error.status === 400);
  });
});
