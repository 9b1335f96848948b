// *Sign a document* in a real browser: the PDF never leaves it, comes back signed, and nothing that a lying service sends gets into it.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Browser } from '../harness/browser.mjs';
import { good, send, sendJson } from '../harness/http.mjs';
import { Passkey } from '../harness/passkey.mjs';
import { encodeTransaction, parseTransaction } from '../harness/protocol.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, repository, until, withoutLimits } from '../harness/system.mjs';

const policy = (document) => {
  withoutLimits(document);
  for (const profile of document.profiles) profile.factors = [['pin', 'totp'], ['pin', 'passkey'], ['passkey']];
};
const contract = `${repository}/examples/contract.pdf`;
const sample = (name) => `${repository}/tests/data/pdf/${name}.pdf`;

describe('the page that signs a document', () => {
  let system, browser, client, alice, bob, folder;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'signed-'));
    system = await System.start({ policy, pages: `${repository}/build/web` });
    const at = { origin: system.pagesUrl, rpId: 'localhost' };
    ({ client, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260417', passkey: new Passkey({ at }) })).signer;
    browser = await Browser.start(system);
  });
  after(async () => {
    await browser?.stop();
    await system?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** An application asks for the link; a new tab comes to the page with it. */
  async function arrive(signer, { language, prepare, expected = /^Choose the document to sign$/ } = {}) {
    const { page, expires_in: life } = good('documents', await client.post('/sic/v1/documents', { credentialID: signer.credential }));
    assert.equal(life, 300);
    assert.ok(page.startsWith(`${system.pagesUrl}/sign#`), page);
    const tab = await browser.tab({ language });
    await prepare?.(tab);
    await tab.open(page);
    await tab.heads(expected);
    return tab;
  }

  async function choose(tab, file, expected = /^Is this the document\?$/) {
    const input = await tab.page.$('#file');
    await input.uploadFile(file);
    if (expected) await tab.heads(expected);
  }

  async function goOn(tab, expected = /asks you to sign/) {
    await tab.press('go-on');
    await tab.heads(expected);
  }

  /** What the browser saves. */
  async function save(tab, name) {
    const devtools = await browser.chromium.target().createCDPSession();
    const downloads = mkdtempSync(path.join(folder, 'saved-'));
    await devtools.send('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads, browserContextId: tab.context.id });
    await tab.press('save');
    const file = path.join(downloads, name);
    await until(name, () => existsSync(file));
    return file;
  }

  /** pdfsig and OpenSSL agree about it, and it begins with the document. */
  function isSigned(file, original, signer, signatures = 1) {
    const [signed, document] = [readFileSync(file), readFileSync(original)];
    assert.ok(signed.subarray(0, document.length).equals(document), 'the document itself is unchanged');
    const said = spawnSync('pdfsig', ['-nocert', file], { encoding: 'utf8' }).stdout.split(/^Signature #/m).slice(1);
    assert.equal(said.length, signatures);
    assert.match(said.at(-1), /Signature is Valid\./);
    assert.match(said.at(-1), /- Total document signed/);
    execFileSync('qpdf', ['--check', file], { stdio: 'pipe' });
    const [begin, end, from, length] = [...signed.toString('latin1').matchAll(/\/ByteRange \[(\d+) (\d+) (\d+) (\d+) *\]/g)].at(-1).slice(1).map(Number);
    assert.equal(from + length, signed.length);
    const place = (name) => path.join(folder, name);
    writeFileSync(place('covered'), Buffer.concat([signed.subarray(begin, end), signed.subarray(from)]));
    writeFileSync(place('cms.der'), Buffer.from(signed.subarray(end + 1, from - 1).toString('latin1'), 'hex'));
    writeFileSync(place('anchors.pem'), signer.chain.map((one) => new X509Certificate(one).toString()).join(''));
    execFileSync('openssl', ['cms', '-verify', '-binary', '-inform', 'DER', '-in', place('cms.der'), '-content', place('covered'), '-CAfile', place('anchors.pem'), '-partial_chain', '-no_check_time', '-purpose', 'any', '-out', '/dev/null'], { stdio: 'pipe' });
  }

  /** A hostile service: the answer of one call is changed on its way. */
  const lying = (call, change) => async (tab) => {
    await tab.devtools.send('Fetch.enable', { patterns: [{ urlPattern: `*/sic/v1/documents/${call}`, requestStage: 'Response' }] });
    tab.devtools.on('Fetch.requestPaused', async ({ requestId, request, responseStatusCode, responseHeaders }) => {
      if (request.method !== 'POST') return tab.devtools.send('Fetch.continueRequest', { requestId });
      const { body, base64Encoded } = await tab.devtools.send('Fetch.getResponseBody', { requestId });
      const answer = JSON.parse(base64Encoded ? Buffer.from(body, 'base64').toString() : body);
      change(answer);
      const headers = responseHeaders.filter(({ name }) => name.toLowerCase() !== 'content-length');
      return tab.devtools.send('Fetch.fulfillRequest', { requestId, responseCode: responseStatusCode, responseHeaders: headers, body: Buffer.from(JSON.stringify(answer)).toString('base64') });
    });
  };
  const flipped = (encoded, at) => {
    const octets = Buffer.from(encoded, 'base64url');
    octets[at < 0 ? octets.length + at : at] ^= 1;
    return octets.toString('base64url');
  };
  const messages = (tab) => tab.sent.filter(({ url, method }) => method === 'POST' && url.endsWith('/sic/v1/documents/messages'));

  it('signs with PIN and one-time code; the document never leaves the browser, nor does the PIN in clear', async () => {
    const tab = await arrive(alice);
    assert.equal(new URL(tab.page.url()).hash, '', 'the handle is no longer in the address');
    await tab.accessible('the choice');
    await tab.picture('sign-choose');
    await choose(tab, contract);
    const looked = await tab.text();
    assert.match(looked, /contract\.pdf/);
    assert.ok(looked.replaceAll(' ', '').includes(createHash('sha256').update(readFileSync(contract)).digest('hex')), 'the fingerprint of the file');
    assert.match(looked, /Pages2/);
    await tab.accessible('the look');
    await tab.picture('sign-look');
    await goOn(tab);
    assert.match(await tab.text(), /contract\.pdf/);
    await tab.accessible('the form');
    await tab.picture('sign-form');
    const code = alice.otp();
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: code });
    await tab.press('sign');
    await tab.heads(/^Signed$/);
    await tab.accessible('signed');
    await tab.picture('sign-done');
    isSigned(await save(tab, 'contract.signed.pdf'), contract, alice);
    const sent = JSON.stringify(tab.sent);
    for (const secret of [alice.pin, readFileSync(contract).subarray(0, 48).toString('base64').slice(0, 40), '%PDF-']) assert.ok(!sent.includes(secret), secret);
    assert.ok(tab.sent.every(({ body }) => body.length < 16384), 'nothing as long as a document was sent');
    assert.deepEqual(tab.faults, []);
    await tab.close();
  });

  it('signs with PIN and passkey, and with the passkey alone, a document that is signed already', async () => {
    let document = contract;
    for (const [at, factors] of ['pin-passkey', 'passkey'].entries()) {
      const tab = await arrive(bob, { prepare: (tab) => tab.authenticator(bob.passkey) });
      await choose(tab, document);
      await goOn(tab);
      await tab.fill({ factors, ...(factors === 'passkey' ? {} : { pin: bob.pin }) });
      await tab.press('sign');
      await tab.heads(/^Signed$/);
      const saved = await save(tab, `${path.basename(document, '.pdf')}.signed.pdf`);
      isSigned(saved, document, bob, at + 1);
      document = saved;
      assert.deepEqual(tab.faults, []);
      await tab.close();
    }
  });

  it('opens the document in the viewer of the browser before it is approved', async () => {
    const tab = await arrive(alice);
    await choose(tab, contract);
    const { href, target, rel } = await tab.page.$eval('#look', ({ href, target, rel }) => ({ href, target, rel }));
    assert.match(href, new RegExp(`^blob:${system.pagesUrl}/`));
    assert.deepEqual([target, rel], ['_blank', 'noopener noreferrer']);
    const opened = new Promise((resolve) => { browser.chromium.once('targetcreated', resolve); });
    await tab.press('look');
    assert.ok(await opened);
    assert.equal(await tab.heading(), 'Is this the document?', 'the page stays');
    assert.deepEqual(tab.faults, []);
    await tab.close();
  });

  it('says why a document cannot be signed, sends nothing, and takes another one', async () => {
    const tab = await arrive(alice);
    const before = tab.sent.length;
    for (const [name, why] of Object.entries({ not_a_pdf: /It is no PDF/, encrypted_password: /It is encrypted/, certified: /forbids every change/, dynamic_xfa: /dynamic form/, truncated: /It is damaged/ })) {
      await choose(tab, sample(name), null);
      await tab.page.waitForFunction((source) => new RegExp(source).test(document.getElementById('alert')?.textContent ?? ''), { timeout: 10000 }, why.source);
    }
    await tab.accessible('a document that cannot be signed');
    await tab.picture('sign-fault');
    assert.equal(tab.sent.length, before);
    await choose(tab, sample('xref_stream'));
    await tab.press('other');
    await tab.heads(/^Choose the document/);
    await choose(tab, sample('form_indirect'));
    await goOn(tab);
    await tab.press('decline');
    await tab.heads(/^Not signed$/);
    assert.deepEqual(messages(tab), []);
    await tab.close();
  });

  it('lets a wrong PIN be corrected', async () => {
    const tab = await arrive(alice);
    await choose(tab, contract);
    await goOn(tab);
    await tab.press('sign');
    assert.match(await tab.alert(), /Tick the box.*Enter your PIN\..*Enter the six digits/);
    await tab.fill({ factors: 'pin-totp', pin: '000000000000', totp: alice.otp() });
    await tab.press('sign');
    await tab.page.waitForFunction(() => /PIN or one-time code is wrong/.test(document.getElementById('alert')?.textContent ?? ''));
    await tab.fill({ pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await tab.heads(/^Signed$/);
    await tab.close();
  });

  const transactionWith = (change) => (answer) => {
    const transaction = parseTransaction(Buffer.from(answer.transaction, 'base64url'));
    change(transaction);
    answer.transaction = encodeTransaction(transaction).toString('base64url');
  };
  const lies = {
    'a transaction over another document': ['openings', transactionWith((t) => { t.documents[0].digest[5] ^= 1; })],
    'a transaction with one document more': ['openings', transactionWith((t) => { t.documents.push({ ...t.documents[0], label: 'another.pdf' }); })],
    'a transaction that calls it something else': ['openings', transactionWith((t) => { t.documents[0].label = 'letter.pdf'; })],
    'a transaction of another key': ['openings', transactionWith((t) => { t.key = 'another'; })],
    'a transaction of another certificate': ['openings', transactionWith((t) => { t.certificate[0] ^= 1; })],
    'another certificate from the beginning': ['handles', (answer) => { answer.certificates[0] = flipped(answer.certificates[0], -1); }],
    'one byte of the signature': ['messages', (answer) => { answer.signature = flipped(answer.signature, -1); }],
    'no signature': ['messages', (answer) => { answer.signature = ''; }],
  };
  it('refuses a service that lies, by name, and makes no document', async () => {
    for (const [what, [call, lie]] of Object.entries(lies)) {
      const tab = await arrive(alice, { prepare: lying(call, lie) });
      await choose(tab, contract);
      if (call === 'messages') {
        await goOn(tab);
        await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
        await tab.press('sign');
      } else {
        await tab.press('go-on');
      }
      await tab.heads(/^Do not go on here$/);
      assert.match(await tab.text(), /does not belong to your document\. No signed document was made\. Tell Intaglio demo/, what);
      assert.equal(await tab.page.$('#save'), null, what);
      assert.equal(messages(tab).length, call === 'messages' ? 1 : 0, what);
      await tab.accessible(what);
      await tab.picture('sign-lied');
      await tab.close();
    }
  });

  it('refuses another signature device before a PIN can be entered', async () => {
    const tab = await arrive(alice, { prepare: lying('openings', (answer) => { answer.sapStatement = ''; }) });
    await choose(tab, contract);
    await goOn(tab, /^Do not enter your PIN$/);
    assert.equal(await tab.page.$('input'), null);
    await tab.close();
  });

  it('is opened once, and ends when its time is over or nothing happens', async () => {
    const { page } = good('documents', await client.post('/sic/v1/documents', { credentialID: alice.credential }));
    const tab = await browser.tab();
    await tab.open(page);
    await tab.heads(/^Choose the document/);
    const second = await browser.tab();
    await second.open(page);
    await second.heads(/^This approval cannot be opened$/);
    await second.close();
    await tab.later(125);
    await tab.heads(/^Closed because nothing happened$/);
    await tab.close();
    const late = await arrive(alice);
    await late.page.mouse.move(10, 10);
    await late.later(301);
    await late.heads(/^The time is over$/);
    await late.close();
  });

  it('speaks Greek to who reads Greek', async () => {
    const tab = await arrive(alice, { language: 'el-GR', expected: /^Επιλέξτε το έγγραφο που θα υπογράψετε$/ });
    await tab.accessible('the choice in Greek');
    await choose(tab, contract, /^Είναι αυτό το έγγραφο/);
    await tab.accessible('the look in Greek');
    await tab.picture('sign-look-el');
    await goOn(tab, /σας ζητά να υπογράψετε ένα έγγραφο/);
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await tab.heads(/^Υπογράφηκε$/);
    await tab.picture('sign-done-el');
    isSigned(await save(tab, 'contract.signed.pdf'), contract, alice);
    await tab.close();
  });

  it('needs no weaker policy, and its API is open to its origin alone', async () => {
    const { headers } = await send(`${system.pagesUrl}/sign`, { tls: client.tls });
    assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; /);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*|data:|blob:|http:/);
    for (const call of ['handles', 'openings', 'messages']) {
      const evil = await sendJson(client.url(`/sic/v1/documents/${call}`), {}, { tls: client.tls, headers: { origin: 'https://evil.invalid' } });
      assert.deepEqual([evil.status, evil.headers['access-control-allow-origin']], [403, undefined], call);
    }
  });
});
