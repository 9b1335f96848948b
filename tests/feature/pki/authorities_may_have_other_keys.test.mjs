// TS 119 312, 8.4: a root on RSA-4096, an issuing CA on RSA-3072, both with PSS, and answers and time-stamps on P-384; everything that relies on them goes on as with P-256.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { send } from '../harness/http.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, binaries, run, withoutLimits } from '../harness/system.mjs';

describe('authorities with RSA keys', () => {
  let system, officer, alice;
  const at = (name) => system.path(name);
  const openssl = (...words) => run('openssl', words);
  const pem = (kind, name) => {
    const result = openssl(kind, '-inform', 'DER', '-in', at(`${name}.der`), '-out', at(`${name}.pem`));
    assert.equal(result.status, 0, result.stderr);
  };
  const fetch = async (address, name) => writeFileSync(at(`${name}.der`), (await send(`${system.pkiUrl}${address}`)).octets);

  before(async () => {
    system = await System.start({
      policy: withoutLimits,
      examples: {
        'pki-root.toml': (text) => text.replace('key_algorithm = "p256"', 'key_algorithm = "rsa4096"'),
        'pki.toml': (text) => text.replace('issuing_algorithm = "p256"', 'issuing_algorithm = "rsa3072"').replace('ocsp_algorithm = "p256"', 'ocsp_algorithm = "p384"')
          .replace('key_algorithm = "p256"', 'key_algorithm = "p384"'),
      },
    });
    ({ officer, signer: alice } = await signerOf(system));
    await fetch('/ca/root.cer', 'root');
    await fetch('/ca/issuing.cer', 'issuing');
    await fetch('/crl/issuing.crl', 'list');
    for (const name of ['root', 'issuing']) pem('x509', name);
    pem('crl', 'list');
    writeFileSync(at('alice.der'), alice.chain[0]);
    pem('x509', 'alice');
  });
  after(async () => {
    await system?.stop();
  });

  it('sign certificates and lists with PSS, which OpenSSL verifies', () => {
    const text = (kind, name) => openssl(kind, '-in', at(`${name}.pem`), '-noout', '-text').stdout;
    assert.match(text('x509', 'root'), /Signature Algorithm: rsassaPss\s+Hash Algorithm: sha384[^]*Public-Key: \(4096 bit\)/);
    assert.match(text('x509', 'alice'), /Signature Algorithm: rsassaPss\s+Hash Algorithm: sha256\s+Mask Algorithm: mgf1 with sha256\s+Salt Length: 0x20/);
    assert.match(text('crl', 'list'), /Signature Algorithm: rsassaPss/);
    const verified = openssl('verify', '-x509_strict', '-crl_check', '-CAfile', at('root.pem'), '-untrusted', at('issuing.pem'), '-CRLfile', at('list.pem'), at('alice.pem'));
    assert.match(verified.stdout, /OK/, verified.stderr);
  });

  it('are trusted by the SAM, which signs under them', async () => {
    await alice.sign(['under an RSA authority']);
  });

  it('answer for their certificates with the other key', () => {
    const answer = openssl('ocsp', '-issuer', at('issuing.pem'), '-cert', at('alice.pem'), '-url', `${system.pkiUrl}/ocsp`, '-CAfile', at('root.pem'),
      '-verify_other', at('issuing.pem'), '-resp_text');
    assert.match(answer.stderr, /Response verify OK/);
    assert.match(answer.stdout, /alice\.pem: good/);
    assert.match(answer.stdout, /Signature Algorithm: ecdsa-with-SHA384/);
  });

  it('certify a time-stamping unit', async () => {
    writeFileSync(at('data'), 'data');
    openssl('ts', '-query', '-data', at('data'), '-sha256', '-cert', '-out', at('query.tsq'));
    const answer = await send(`${system.pkiUrl}/tsa`, { method: 'POST', headers: { 'content-type': 'application/timestamp-query' }, body: readFileSync(at('query.tsq')) });
    writeFileSync(at('answer.tsr'), answer.octets);
    const verified = openssl('ts', '-verify', '-queryfile', at('query.tsq'), '-in', at('answer.tsr'), '-CAfile', at('root.pem'), '-untrusted', at('issuing.pem'));
    assert.match(verified.stdout, /Verification: OK/, verified.stderr);
  });

  it('revoke, and the SAM that reads their list signs no more', async () => {
    const serial = openssl('x509', '-noout', '-serial', '-in', at('alice.pem')).stdout.trim().split('=')[1].toLowerCase();
    await officer.post('/ra/v1/revocations', { request: await officer.request('revoke-certificate', { key: alice.credential, serial, reason: 'keyCompromise' }) });
    await assert.rejects(alice.sign(['after']), (error) => /certificate|credential|revoked|invalid/.test(`${error.code} ${error.description} ${error.message}`));
    await fetch('/crl/issuing.crl', 'later');
    const list = openssl('crl', '-inform', 'DER', '-in', at('later.der'), '-CAfile', at('issuing.pem'), '-noout', '-text');
    assert.match(list.stderr, /verify OK/);
    assert.match(list.stdout, new RegExp(serial, 'i'));
  });

  it('are not taken for keys of another kind than the configuration names', () => {
    system.configure('pki', (text) => text.replace('issuing_algorithm = "rsa3072"', 'issuing_algorithm = "p256"'));
    const { environment } = system.command('pki');
    const started = run(path.join(binaries, 'intaglio-pki'), ['--config', at('config/pki.toml')], { environment });
    assert.notEqual(started.status, 0);
    assert.match(started.stderr, /key pki-issuing-1: the token's key is rsa3072 and the configuration says p256/);
  });
});
