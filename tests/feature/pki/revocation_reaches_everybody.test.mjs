// RFC 5280, 5.2.4 and 5.3.1; RFC 6960; RFC 5019; EN 319 411-1, REV-6.2.4: a revocation and a suspension are seen at once by the SAM, by OCSP and
// on the lists, and OpenSSL, GnuTLS and NSS read the same from them.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { good, send } from '../harness/http.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, run, withoutLimits } from '../harness/system.mjs';

describe('a revocation', () => {
  let system, officer, alice, bob, carol;
  const at = (name) => system.path(name);
  const must = (program, words) => {
    const result = run(program, words);
    assert.equal(result.status, 0, `${program} ${words.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout + result.stderr;
  };
  const serialOf = ({ id }) => must('openssl', ['x509', '-noout', '-serial', '-in', at(`${id}.pem`)]).trim().split('=')[1].toLowerCase();
  const ask = async (path, op, body) => officer.post(path, { request: await officer.request(op, body) });
  const revoke = (signer, reason) => ask('/ra/v1/revocations', 'revoke-certificate', { key: signer.credential, serial: serialOf(signer), reason });
  const release = (signer) => ask('/ra/v1/releases', 'release-certificate', { key: signer.credential, serial: serialOf(signer) });
  const resume = (signer) => ask('/ra/v1/resumptions', 'resume-key', { key: signer.credential });
  /** Fetches a list; gives its text, and keeps it as DER and PEM. */
  const fetchList = async (name, as = name) => {
    const answer = await send(`${system.pkiUrl}/crl/${name}.crl`);
    assert.equal(answer.status, 200, answer.text);
    writeFileSync(at(`${as}.crl`), answer.octets);
    must('openssl', ['crl', '-inform', 'DER', '-in', at(`${as}.crl`), '-out', at(`${as}.crl.pem`)]);
    return must('openssl', ['crl', '-inform', 'DER', '-in', at(`${as}.crl`), '-noout', '-text']);
  };
  const verify = ({ id }, ...lists) => {
    writeFileSync(at('lists.pem'), lists.map((name) => readFileSync(at(`${name}.crl.pem`))).join(''));
    return run('openssl', ['verify', '-x509_strict', '-attime', String(system.now()), '-CAfile', at('root.pem'), '-untrusted', at('issuing.pem'), '-crl_check', '-use_deltas',
      '-CRLfile', at('lists.pem'), at(`${id}.pem`)]);
  };
  /** What the openssl command line learns of a certificate and what it thinks of the answer. */
  const ocsp = ({ id }, ...options) => must('openssl', ['ocsp', '-url', `${system.pkiUrl}/ocsp`, '-CAfile', at('root.pem'), '-verify_other', at('issuing.pem'), '-issuer', at('issuing.pem'),
    ...options, '-cert', at(`${id}.pem`)]);
  /** One fetch without a nonce by GET (RFC 5019, 5); the answer's text. */
  const ocspGet = async ({ id }) => {
    must('openssl', ['ocsp', '-no_nonce', '-issuer', at('issuing.pem'), '-cert', at(`${id}.pem`), '-reqout', at('request.der')]);
    const answer = await send(`${system.pkiUrl}/ocsp/${encodeURIComponent(readFileSync(at('request.der')).toString('base64'))}`);
    writeFileSync(at('response.der'), answer.octets);
    return { answer, text: must('openssl', ['ocsp', '-respin', at('response.der'), '-text', '-noverify']) };
  };
  const refusedToSign = (signer, text) => assert.rejects(signer.sign([text]), (error) => /certificate|credential|revoked|invalid/.test(`${error.code} ${error.description} ${error.message}`));

  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ officer, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    carol = (await signerOf(system, { id: 'carol', pin: '482607193548' })).signer;
    for (const name of ['root', 'issuing']) {
      writeFileSync(at(`${name}.cer`), (await send(`${system.pkiUrl}/ca/${name}.cer`)).octets);
      must('openssl', ['x509', '-inform', 'DER', '-in', at(`${name}.cer`), '-out', at(`${name}.pem`)]);
    }
    for (const signer of [alice, bob, carol]) {
      writeFileSync(at(`${signer.id}.cer`), signer.chain[0]);
      must('openssl', ['x509', '-inform', 'DER', '-in', at(`${signer.id}.cer`), '-out', at(`${signer.id}.pem`)]);
    }
    await fetchList('issuing', 'before');
  });
  after(async () => {
    await system?.stop();
  });

  it('has not happened to a certificate that OpenSSL and GnuTLS find good, live and prepared', async () => {
    for (const options of [[], ['-no_nonce'], ['-sha256'], ['-sha256', '-no_nonce']]) {
      const text = ocsp(alice, ...options);
      assert.match(text, /Response verify OK/);
      assert.match(text, /alice\.pem: good/);
      assert.doesNotMatch(text, /WARNING|ERROR/i);
    }
    const gnutls = must('ocsptool', [`--ask=${system.pkiUrl}/ocsp`, '--load-cert', at('alice.pem'), '--load-issuer', at('issuing.pem'), '--load-trust', at('issuing.pem')]);
    assert.match(gnutls, /Certificate Status: good/);
    assert.match(gnutls, /Verifying OCSP Response: Success/);
    const { answer, text } = await ocspGet(alice);
    assert.match(answer.headers['cache-control'], /^max-age=\d+, public, no-transform, must-revalidate$/);
    for (const name of ['etag', 'expires', 'last-modified']) assert.ok(answer.headers[name], name);
    assert.match(text, /OCSP Archive Cutoff/);
    assert.match(verify(alice, 'before').stdout, /alice\.pem: OK/);
  });

  it('comes with a responder whose certificate is short and cannot be revoked', async () => {
    await ocspGet(alice);
    const certificate = must('openssl', ['ocsp', '-respin', at('response.der'), '-text', '-noverify']);
    assert.match(certificate, /X509v3 Extended Key Usage: *\n *OCSP Signing/);
    assert.match(certificate, /OCSP No Check/);
    const [, from, to] = /Not Before: (.*)\n *Not After *: (.*)/.exec(certificate);
    assert.ok(Date.parse(to) - Date.parse(from) <= 30 * 86400 * 1000);
  });

  it('stops signatures, OCSP and the lists at once', async (t) => {
    await alice.sign(['before']);
    const { text: ready } = await ocspGet(alice);
    assert.match(ready, /Cert Status: good/);
    const sad = await alice.prepare({ documents: [{ digest: Buffer.alloc(32, 1), label: 'x' }] });
    const prepared = `${system.pkiUrl}/ocsp/${encodeURIComponent(readFileSync(at('request.der')).toString('base64'))}`;
    const began = performance.now();
    good('revoke', await revoke(alice, 'keyCompromise'));
    await assert.rejects(async () => good('authorise', await alice.submit(sad.message)));
    const refused = performance.now() - began;
    const answer = await send(prepared);
    const told = performance.now() - began;
    const published = await send(`${system.pkiUrl}/crl/issuing.crl`);
    const listed = performance.now() - began;
    writeFileSync(at('response.der'), answer.octets);
    const list = await fetchList('issuing');
    assert.deepEqual(readFileSync(at('issuing.crl')), published.octets);
    t.diagnostic(`revocation to refused signature ${refused.toFixed(0)} ms, to OCSP ${told.toFixed(0)} ms, to the list ${listed.toFixed(0)} ms`);
    assert.ok(refused < 1000 && told < 1000 && listed < 60000, `${refused} ${told} ${listed}`);
    assert.match(must('openssl', ['ocsp', '-respin', at('response.der'), '-text', '-noverify']), /Cert Status: revoked[^]*Revocation Reason: keyCompromise/);
    for (const options of [[], ['-no_nonce'], ['-sha256', '-no_nonce']]) assert.match(ocsp(alice, ...options), /alice\.pem: revoked/);
    assert.match(list.toLowerCase(), new RegExp(`serial number: ${serialOf(alice)}`));
    assert.match(list, /Key Compromise/);
    assert.match(verify(alice, 'issuing').stderr, /certificate revoked/);
    assert.match(verify(bob, 'issuing').stdout, /bob\.pem: OK/);
    await refusedToSign(alice, 'after');
  });

  it('is on the delta list, which continues a list of before', async () => {
    const delta = await fetchList('issuing-delta', 'delta');
    assert.match(delta, /X509v3 Delta CRL Indicator: critical/);
    assert.match(must('openssl', ['x509', '-noout', '-text', '-in', at('alice.pem')]), /X509v3 Freshest CRL[^]*issuing-delta\.crl/);
    assert.match(await fetchList('issuing'), /X509v3 Freshest CRL[^]*issuing-delta\.crl/);
    assert.match(verify(alice, 'before').stdout, /OK/, 'the list of before knows nothing of it');
    assert.match(verify(alice, 'before', 'delta').stderr, /certificate revoked/);
    assert.match(verify(bob, 'before', 'delta').stdout, /bob\.pem: OK/);
  });

  it('is read by GnuTLS and by NSS from the same list', async () => {
    // GnuTLS asks the machine's clock: the list of before is verified with it, and the new one, of services whose clock is ahead, is read.
    const signature = (name) => run('certtool', ['--verify-crl', '--infile', at(`${name}.crl.pem`), '--load-ca-certificate', at('issuing.pem')]);
    assert.equal(signature('before').status, 0, signature('before').stdout);
    const changed = readFileSync(at('before.crl'));
    changed[changed.length - 1] ^= 1;
    writeFileSync(at('changed.crl.pem'), `-----BEGIN X509 CRL-----\n${changed.toString('base64').replace(/(.{64})/g, '$1\n')}\n-----END X509 CRL-----\n`);
    assert.notEqual(signature('changed').status, 0);
    assert.match(must('certtool', ['--crl-info', '--infile', at('issuing.crl.pem')]), new RegExp(`Serial Number \\(hex\\): ${serialOf(alice)}`));
    const moment = `${new Date(system.now() * 1000).toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`;
    mkdirSync(at('nss'));
    const store = `sql:${at('nss')}`;
    must('certutil', ['-N', '-d', store, '--empty-password']);
    must('certutil', ['-A', '-d', store, '-n', 'root', '-t', 'CT,CT,CT', '-i', at('root.pem')]);
    for (const name of ['issuing', 'alice', 'bob']) must('certutil', ['-A', '-d', store, '-n', name, '-t', ',,', '-i', at(`${name}.pem`)]);
    const validate = (name) => run('certutil', ['-V', '-d', store, '-u', 'S', '-e', '-b', moment, '-n', name]);
    assert.equal(validate('alice').status, 0, validate('alice').stdout + validate('alice').stderr);
    must('crlutil', ['-I', '-d', store, '-t', '1', '-i', at('issuing.crl')]);
    assert.notEqual(validate('alice').status, 0);
    assert.match(validate('alice').stdout + validate('alice').stderr, /revoked/i);
    assert.equal(validate('bob').status, 0, validate('bob').stdout + validate('bob').stderr);
  });

  it('is not lifted, though a suspension is: by the officer\'s word to both, the PKI and the SAM', async () => {
    assert.equal((await release(alice)).status, 409, 'what is revoked stays revoked');
    await carol.sign(['before']);
    good('hold', await revoke(carol, 'certificateHold'));
    await refusedToSign(carol, 'on hold');
    assert.match(ocsp(carol, '-no_nonce'), /carol\.pem: revoked[^]*certificateHold/);
    await fetchList('issuing', 'hold');
    assert.match(verify(carol, 'hold').stderr, /certificate revoked/);
    assert.equal((await resume(carol)).status, 409, 'the SAM does not lift what its newest list names');
    good('release', await release(carol));
    assert.match(ocsp(carol, '-no_nonce'), /carol\.pem: good/);
    await refusedToSign(carol, 'released, and not resumed');
    good('resume', await resume(carol));
    await carol.sign(['resumed']);
    const delta = await fetchList('issuing-delta', 'delta');
    assert.match(delta, /Remove From CRL/);
    assert.match(verify(carol, 'hold', 'delta').stdout, /carol\.pem: OK/, 'the delta list takes the entry off');
    const changes = system.auditEvents('pki').filter(({ type, subject }) => type === 'revocation.recorded' && subject === carol.credential);
    assert.deepEqual(changes.map(({ fields }) => fields.reason), ['certificateHold', 'removeFromCRL']);
  });

  it('is not forgotten when the PKI dies after it was recorded, and its list follows by itself', async () => {
    await system.restart('pki', { environment: { INTAGLIO_FAULT: 'pki.crl.stored' } });
    const answer = await revoke(bob, 'superseded').catch(() => undefined);
    assert.notEqual(answer?.status, 200);
    await system.services.pki.ended;
    await system.restart('pki');
    assert.match((await fetchList('issuing')).toLowerCase(), new RegExp(`serial number: ${serialOf(bob)}`));
    assert.match(ocsp(bob, '-no_nonce'), /bob\.pem: revoked/);
  });
});
