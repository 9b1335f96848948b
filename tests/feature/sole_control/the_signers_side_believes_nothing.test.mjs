// The command line against a service that lies once in each way: no PIN, code or approval leaves the signer's side for another transaction or another
// SAM than the signer's, no wrong signature is used, no wrong key is certified (architecture: assume that the SSA is hostile).
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { FalseService } from '../harness/false_service.mjs';
import { base64url, bindingOf, consentOf } from '../harness/protocol.mjs';
import { repository } from '../harness/system.mjs';

const digest = createHash('sha256').update('contract').digest('hex');
const script = ['--pin-file', 'pin', '--otp-seed-file', 'seed', '--otp-step-offset', '0'];
const digestWords = ['sign', '--digest', digest, '--credential', 'cred', '--client', 'client.toml', '--yes', ...script];
const keyWords = ['key', 'new', '--signer', 'ada', '--algorithm', 'p256', '--client', 'client.toml', ...script];
const enrolWords = ['enrol', '--signer', 'ada', '--client', 'client.toml', '--code-file', 'code', '--pin-file', 'pin', '--no-qr'];
const certifyWords = ['ra', 'certify', '--operator', 'operator.toml', '--credential', 'cred', '--identity', 'identity.json'];
const createWords = ['ra', 'signer-create', '--operator', 'operator.toml', '--signer', 'ada', '--identity', 'identity.json'];

describe('the command line', () => {
  let service;
  before(async () => {
    service = await FalseService.start();
    copyFileSync(path.join(repository, 'examples/contract.pdf'), service.path('contract.pdf'));
  });
  after(() => service?.stop());
  beforeEach(() => service.honest());

  async function refused(words, lie, reason) {
    service.lie = lie;
    const answer = await service.run(...words);
    assert.equal(answer.status, 1, `${answer.out}${answer.err}`);
    assert.match(answer.err, reason);
    assert.match(answer.err, /\n {2}next: \S/);
    return answer;
  }
  /** Refused before the signer's factors are sealed. */
  async function refusedBeforeTheMessage(words, lie, reason) {
    await refused(words, lie, reason);
    assert.deepEqual(service.messages, []);
  }

  describe('with an honest service', () => {
    it('approves with consent and binding as the contract computes them', async () => {
      const answer = await service.run(...digestWords);
      assert.equal(answer.status, 0, answer.err);
      assert.equal(JSON.parse(answer.out.trim().split('\n').pop()).digest, digest);
      const [{ header, payload, encoded, terms }] = service.messages;
      assert.equal(header.typ, 'intaglio-sap-sign+jwe');
      const consent = consentOf(encoded, terms, payload.act);
      assert.equal(payload.consent, base64url(consent));
      assert.equal(payload.binding, base64url(bindingOf(encoded, consent)));
      assert.equal(payload.act, 'script-confirmed');
      assert.deepEqual(payload.factors.map(({ type }) => type), ['pin', 'totp']);
      assert.equal(payload.factors[0].value, '739164');
    });
    it('enrols, asks for a key, creates a signer and has a key certified', async () => {
      for (const words of [enrolWords, keyWords, createWords, certifyWords]) {
        const answer = await service.run(...words);
        assert.equal(answer.status, 0, answer.err);
      }
    });
    it('signs a PDF and keeps its receipt', async () => {
      const answer = await service.run('sign', 'contract.pdf', '-o', 'honest.pdf', '--credential', 'cred', '--client', 'client.toml', '--yes', ...script);
      assert.equal(answer.status, 0, answer.err);
      assert.equal(JSON.parse(readFileSync(service.path('honest.pdf.receipt.json'), 'utf8')).index, 5);
      const verified = await service.run('verify', 'honest.pdf', '--anchor', 'signer.pem', '--json');
      assert.equal(verified.status, 0, verified.err);
      const [{ verdict, coversWholeDocument }] = JSON.parse(verified.out).signatures;
      assert.deepEqual({ verdict, coversWholeDocument }, { verdict: 'valid', coversWholeDocument: true });
    });
  });

  describe('seals no factor to', () => {
    it('another SAM than the pinned one', () => refusedBeforeTheMessage(digestWords, { identity: service.other }, /another identity key/));
    it('a key that the pinned SAM did not vouch for', () =>
      refusedBeforeTheMessage(digestWords, { statementKey: service.other }, /a statement that its identity key did not sign/));
    it('a key whose statement is over', () =>
      refusedBeforeTheMessage(digestWords, { statement: { iat: 1000, exp: 2000 } }, /a statement that is not valid now/));
    it('a key whose statement lasts too long', () =>
      refusedBeforeTheMessage(digestWords, { statement: { exp: Math.floor(Date.now() / 1000) + 90000 } }, /a statement that is not valid now/));
  });

  describe('approves no transaction with', () => {
    const swaps = [
      ['another purpose', { purpose: 'key', hash: 0, documents: [], suites: [4] }, /its purpose differs/],
      ['another signature application', { clientId: 'other' }, /the signature application differs/],
      ['another credential', { key: 'other' }, /the credential differs/],
      ['another certificate', { certificate: Buffer.alloc(32, 9) }, /the certificate differs/],
      ['no certificate', { certificate: Buffer.alloc(0) }, /the certificate differs/],
      ['another suite', { suites: [1] }, /the signature suite differs/],
      ['a suite more', { suites: [7, 1] }, /the signature suite differs/],
      ['another digest', { documents: [{ digest: Buffer.alloc(32, 1), label: 'digest 1' }] }, /the list of documents differs/],
      ['another label', { documents: [{ digest: Buffer.from(digest, 'hex'), label: 'an invoice' }] }, /the list of documents differs/],
      ['a document more', { documents: [{ digest: Buffer.from(digest, 'hex'), label: 'digest 1' }, { digest: Buffer.alloc(32, 1), label: 'x' }] }, /the list of documents differs/],
      ['an end in the past', { expires: 1000 }, /is over or lasts longer than it may/],
      ['an end in an hour', { expires: Math.floor(Date.now() / 1000) + 3600 }, /is over or lasts longer than it may/],
    ];
    for (const [name, swap, reason] of swaps) {
      it(name, () => refusedBeforeTheMessage(digestWords, { transaction: () => swap }, reason));
    }
    it('another signer at enrolment', () => refusedBeforeTheMessage(enrolWords, { transaction: () => ({ signer: 'bob' }) }, /the signer differs/));
    it('another signer at key generation', () => refusedBeforeTheMessage(keyWords, { transaction: () => ({ signer: 'bob' }) }, /the signer differs/));
    it('another key algorithm', () => refusedBeforeTheMessage(keyWords, { transaction: () => ({ suites: [1] }) }, /the key algorithm differs/));
    it('another profile', () => refusedBeforeTheMessage(keyWords, { transaction: () => ({ profile: 'weak' }) }, /the profile differs/));
  });

  describe('begins no session with', () => {
    const words = () => ['sign', path.join(repository, 'examples/contract.pdf'), '-o', 'never.pdf', '--session', 'one-time', '--client', 'client.toml', '--yes', '--id-token-program', '/bin/false'];
    const swaps = [
      ['another profile', { profile: 'weak' }, /the profile differs/],
      ['another digest', { documents: [{ digest: Buffer.alloc(32, 1), label: 'contract.pdf' }] }, /the list of documents differs/],
    ];
    for (const [name, swap, reason] of swaps) it(name, () => refusedBeforeTheMessage(words(), { transaction: () => swap }, reason));
  });

  describe('does not use', () => {
    it('a signature of another key', async () => {
      const words = ['sign', 'contract.pdf', '-o', 'wrong.pdf', '--credential', 'cred', '--client', 'client.toml', '--yes', ...script];
      await refused(words, { signatureKey: service.other }, /does not verify with the certificate's key/);
      assert.ok(!existsSync(service.path('wrong.pdf')));
    });
    it('a receipt of another entry', () =>
      refused(['sign', 'contract.pdf', '-o', 'a.pdf', '--credential', 'cred', '--client', 'client.toml', '--yes', ...script], { receipt: { index: 6 } }, /the receipt is of another entry/));
    it('a receipt under another checkpoint key', () =>
      refused(['sign', 'contract.pdf', '-o', 'b.pdf', '--credential', 'cred', '--client', 'pinned.toml', '--yes', ...script], { checkpoint: service.other }, /another checkpoint key/));
    it('a key that was not approved', () => refused(keyWords, { credential: 'other' }, /not the one that was approved/));
  });

  describe('as registration officer certifies no key', () => {
    it('that the SAM did not vouch for', () => refused(certifyWords, { assertionKey: service.other }, /does not fit: its signature/));
    it('of another signer', () => refused(certifyWords, { assertion: { signer: 'bob' } }, /signer or credential/));
    it('of another credential', () => refused(certifyWords, { assertion: { key: 'other' } }, /signer or credential/));
    it('that is not the one in the request', () => refused(certifyWords, { assertion: { spki_sha256: 'AAAA' } }, /the public key/));
    it('for another identity', () => refused(certifyWords, { assertion: { identity_sha256: 'AAAA' } }, /not the one with which the signer was created/));
    it('with a certificate for another key', () => refused(certifyWords, { chain: service.otherChain }, /for another key than was asked for/));
  });

  it('hands out no activation code of another signer', () => refused(createWords, { activationSigner: 'bob' }, /for another signer/));

  it('shows no secret in what it prints', async () => {
    const answers = await Promise.all([service.run(...digestWords), service.run(...enrolWords)]);
    for (const { out, err } of answers) assert.doesNotMatch(out + err, /739164|GEZDGNBVGY3TQOJQ|ABCDEFGHIJKLMNOP/);
  });
});
