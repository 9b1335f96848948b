// The CMS that the page makes is what OpenSSL verifies, for each kind of key; a signature that is not the certificate's is known.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { constants, sign, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { assembleCms, digestOf, parseCertificate, signedAttributes, suiteOf, verifies } from '../src/cms/cms.ts';
import { elementsOf, oid } from '../src/cms/der.ts';

const content = new TextEncoder().encode('what is signed');
const keys = {
  'rsa-pss-sha256': ['RSA', 'rsa_keygen_bits:2048'], 'rsa-pkcs1-sha512': ['RSA', 'rsa_keygen_bits:2048'], 'ecdsa-sha256': ['EC', 'ec_paramgen_curve:P-256'],
  'ecdsa-sha384': ['EC', 'ec_paramgen_curve:P-384'], 'ecdsa-sha512': ['EC', 'ec_paramgen_curve:P-521'],
};

describe('the CMS of the page', () => {
  let folder;
  const at = (name) => path.join(folder, name);
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'cms-')); });
  after(() => rmSync(folder, { recursive: true }));

  function certificate(name) {
    const [algorithm, option] = keys[name];
    execFileSync('openssl', ['req', '-x509', '-newkey', algorithm, '-pkeyopt', option, '-nodes', '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`), '-subj', `/CN=${name}`, '-days', '2'], { stdio: 'pipe' });
    return parseCertificate(new Uint8Array(new X509Certificate(readFileSync(at(`${name}.pem`))).raw));
  }
  const signed = (attributes, name, { hash, kind }) => new Uint8Array(sign(hash, attributes, {
    key: readFileSync(at(`${name}.key`)), ...(kind === 'pss' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {}),
  }));

  for (const name of Object.keys(keys)) {
    it(`is verified by OpenSSL: ${name}`, async () => {
      const suite = suiteOf(name);
      const signer = certificate(name);
      const attributes = await signedAttributes(await digestOf(suite.hash, content), signer);
      const signature = signed(attributes, name, suite);
      assert.ok(await verifies(attributes, signature, suite, signer));
      for (const place of [0, signature.length >> 1, signature.length - 1]) {
        const other = signature.slice();
        other[place] ^= 1;
        assert.equal(await verifies(attributes, other, suite, signer), false, `byte ${place}`);
      }
      const changed = attributes.slice();
      changed[changed.length - 1] ^= 1;
      assert.equal(await verifies(changed, signature, suite, signer), false);
      writeFileSync(at('cms.der'), assembleCms(attributes, signature, suite, [signer]));
      writeFileSync(at('content'), content);
      execFileSync('openssl', ['cms', '-verify', '-binary', '-inform', 'DER', '-in', at('cms.der'), '-content', at('content'), '-CAfile', at(`${name}.pem`), '-purpose', 'any', '-out', '/dev/null'], { stdio: 'pipe' });
      const printed = execFileSync('openssl', ['cms', '-cmsout', '-print', '-noout', '-inform', 'DER', '-in', at('cms.der')], { encoding: 'utf8' });
      assert.match(printed, /id-smime-aa-signingCertificateV2/);
      assert.doesNotMatch(printed, /signingTime/);
    });
  }

  it('knows the signature of another key, and none of another suite', async () => {
    const [signer, other] = [certificate('ecdsa-sha256'), certificate('ecdsa-sha384')];
    const attributes = await signedAttributes(await digestOf('SHA-256', content), signer);
    const suite = suiteOf('ecdsa-sha256');
    const signature = signed(attributes, 'ecdsa-sha256', suite);
    assert.equal(await verifies(attributes, signature, suite, other), false);
    assert.equal(await verifies(attributes, signature, suiteOf('ecdsa-sha512'), signer), false);
    assert.equal(await verifies(attributes, signature, suiteOf('rsa-pss-sha256'), signer), false);
    assert.equal(await verifies(attributes, new Uint8Array(0), suite, signer), false);
    assert.equal(await verifies(attributes, Uint8Array.of(0x30, 0), suite, signer), false);
    assert.notDeepEqual(attributes, await signedAttributes(await digestOf('SHA-256', content), other), 'the certificate is part of what is signed');
  });

  it('numbers the suites as T does, and knows no other', () => {
    const names = ['rsa-pss-sha256', 'rsa-pss-sha384', 'rsa-pss-sha512', 'rsa-pkcs1-sha256', 'rsa-pkcs1-sha384', 'rsa-pkcs1-sha512', 'ecdsa-sha256', 'ecdsa-sha384', 'ecdsa-sha512'];
    assert.deepEqual(names.map((name) => suiteOf(name)?.number), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const name of ['', 'ecdsa-sha1', 'ecdsa-sha2560', 'ecdsa-sha256\n', 'dsa-sha256', 'xecdsa-sha256']) assert.equal(suiteOf(name), undefined, name);
  });

  it('reads DER and nothing else', () => {
    assert.deepEqual(elementsOf(Uint8Array.of(2, 1, 5, 5, 0)).map(({ tag }) => tag), [2, 5]);
    assert.equal(Buffer.from(oid('1.2.840.113549.1.7.2')).toString('hex'), '06092a864886f70d010702');
    for (const wrong of [[2], [2, 2, 5], [2, 0x81, 1, 5], [2, 0x80, 0, 0], [2, 0x85, 0, 0, 0, 0, 1, 5], [0x1f, 1, 0], [2, 0x82, 0, 1, 5]]) {
      assert.throws(() => elementsOf(Uint8Array.from(wrong)), String(wrong));
    }
    for (const wrong of [[], [0x30, 0], [0x30, 2, 0x30, 0], [2, 1, 1]]) assert.throws(() => parseCertificate(Uint8Array.from(wrong)), String(wrong));
  });
});
