// The signer's page in a real browser: it shows what will be signed, seals the signer's decision to the pinned SAM, and says what to do when it cannot.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { SignJWT } from 'jose';
import { Application } from '../harness/application.mjs';
import { Browser } from '../harness/browser.mjs';
import { Client } from '../harness/client.mjs';
import { good, send, sendJson } from '../harness/http.mjs';
import { Passkey } from '../harness/passkey.mjs';
import { digestOf, encodeTransaction, hashOids, parseTransaction } from '../harness/protocol.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, repository, withoutLimits } from '../harness/system.mjs';

const policy = (document) => {
  withoutLimits(document);
  for (const profile of document.profiles) profile.factors = [['pin', 'totp'], ['pin', 'passkey'], ['passkey']];
};

/** A second application, to which no code can be sent: it waits by itself. */
const withoutAddress = (text) => `\n${text.match(/\[\[clients\]\]\n[\s\S]*?\nspki = .*\n/)[0].replace('id = \"demo\"', 'id = \"waiting\"')}`;

describe('the page', () => {
  let system, application, browser, client, alice, bob, carol;
  before(async () => {
    application = await Application.listen();
    system = await System.start({ policy, pages: `${repository}/build/web`, configure: { ssa: (text) => application.registered(text) + withoutAddress(text) } });
    const at = { origin: system.pagesUrl, rpId: 'localhost' };
    ({ client, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260417', passkey: new Passkey({ at }) })).signer;
    carol = (await signerOf(system, { id: 'carol', pin: '603917482650' })).signer;
    await application.connect(system, client);
    browser = await Browser.start(system);
  });
  after(async () => {
    await browser?.stop();
    application?.stop();
    await system?.stop();
  });

  const contract = [{ text: 'the contract', label: 'Contract of sale.pdf' }];

  /** The application asks `signer`; a new tab comes to the page. */
  async function ask(signer, { documents = contract, language, prepare, expected = /asks you to sign/ } = {}) {
    const { url, checks } = await application.ask(signer.credential, documents);
    const tab = await browser.tab({ language });
    await prepare?.(tab);
    await tab.open(url);
    if (expected) await tab.heads(expected);
    return { tab, checks, url };
  }

  const signatureIsOf = (signer, text, signature) =>
    verify('sha256', Buffer.from(text), createPublicKey(new X509Certificate(signer.chain[0]).publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(signature, 'base64'));

  /** The code that came back signs exactly these texts. */
  async function signs(signer, tab, checks, texts) {
    const token = await application.token(await tab.wentTo(application), checks);
    const answer = await application.signHash(token, signer.credential, texts);
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.signatures.length, texts.length);
    for (const [at, text] of texts.entries()) assert.ok(signatureIsOf(signer, text, answer.json.signatures[at]));
    assert.deepEqual(tab.faults, []);
  }

  /** Nothing that left the browser holds this text, as it is or encoded. */
  function neverSent(tab, secret) {
    const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replaceAll('=', ''), Buffer.from(secret).toString('base64url'), Buffer.from(secret).toString('hex')];
    const all = JSON.stringify(tab.sent);
    for (const form of forms) assert.ok(!all.includes(form), `${form} was sent`);
  }

  /** A hostile service: the answer of one call is changed on its way, or, without a change, lost. */
  const lying = (change, path = '/sic/v1/approvals') => async (tab) => {
    await tab.devtools.send('Fetch.enable', { patterns: [{ urlPattern: `*${path}`, requestStage: 'Response' }] });
    tab.devtools.on('Fetch.requestPaused', async ({ requestId, request, responseStatusCode, responseHeaders }) => {
      if (request.method !== 'POST') return tab.devtools.send('Fetch.continueRequest', { requestId });
      if (!change) return tab.devtools.send('Fetch.failRequest', { requestId, errorReason: 'ConnectionReset' });
      const { body, base64Encoded } = await tab.devtools.send('Fetch.getResponseBody', { requestId });
      const answer = JSON.parse(base64Encoded ? Buffer.from(body, 'base64').toString() : body);
      const changed = JSON.stringify(await change(answer) ?? answer);
      const headers = responseHeaders.filter(({ name }) => name.toLowerCase() !== 'content-length');
      return tab.devtools.send('Fetch.fulfillRequest', { requestId, responseCode: responseStatusCode, responseHeaders: headers, body: Buffer.from(changed).toString('base64') });
    });
  };

  it('signs with PIN and one-time code what it showed, and the service never sees either', async () => {
    const documents = [{ text: 'one', label: 'Lease of the flat.pdf' }, { text: 'two', label: 'Σύμβαση €.pdf' }];
    const { tab, checks } = await ask(alice, { documents });
    const shown = await tab.text();
    assert.match(await tab.heading(), /^Intaglio command line asks you to sign 2 documents$/);
    for (const { label } of documents) assert.ok(shown.includes(label), label);
    for (const words of ['Terms intaglio-demo-terms, version 1', 'binds you as your own hand would', 'What your signature means', alice.credential]) assert.ok(shown.includes(words), words);
    assert.equal(new URL(tab.page.url()).hash, '', 'the handle is no longer in the address');
    await tab.accessible('the form');
    await tab.picture('form');
    const code = alice.otp();
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: code });
    await tab.press('sign');
    await signs(alice, tab, checks, ['two', 'one']);
    neverSent(tab, alice.pin);
    assert.ok(!tab.sent.some(({ body }) => new RegExp(`(?<![0-9])${code}(?![0-9])`).test(body)));
    assert.equal(system.auditEvents('sam').findLast(({ type }) => type === 'authorisation.granted').fields.methods, 'pin totp');
    await tab.close();
  });

  it('goes nowhere when the application waits by itself, which then gets what was approved', async () => {
    const digest = digestOf('sha256', 'the contract');
    const waiting = await new Client(system, { id: 'waiting' }).signIn();
    const asked = await waiting.post('/csc/v2/credentials/authorize', {
      credentialID: alice.credential, numSignatures: 1, hashes: [digest.toString('base64')], hashAlgorithmOID: hashOids.sha256, description: 'The contract',
    });
    assert.equal(asked.status, 202, asked.text);
    const tab = await browser.tab();
    await tab.open(asked.json.approvalUri);
    await tab.heads(/asks you to sign/);
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await tab.heads(/^Your answer arrived$/);
    await tab.accessible('the end of an approval on a device of its own');
    assert.ok((await tab.text()).includes('You can close this page.'));
    const { SAD } = good('authorizeCheck', await waiting.post('/csc/v2/credentials/authorizeCheck', { handle: asked.json.handle }));
    const signed = good('signHash', await waiting.signHash({ credential: alice.credential, sad: system.secret('a SAD', SAD), digests: [digest], suite: 'ecdsa-sha256' }));
    assert.ok(signatureIsOf(alice, 'the contract', signed.signatures[0]));
    await tab.close();
  });

  it('signs with PIN and passkey: the authenticator signs the binding of what was shown', async () => {
    const { tab, checks } = await ask(bob, { prepare: (tab) => tab.authenticator(bob.passkey) });
    await tab.fill({ factors: 'pin-passkey', pin: bob.pin });
    await tab.press('sign');
    await signs(bob, tab, checks, ['the contract']);
    neverSent(tab, bob.pin);
    await tab.close();
  });

  it('signs with the passkey alone where the policy says so', async () => {
    const { tab, checks } = await ask(bob, { prepare: (tab) => tab.authenticator(bob.passkey) });
    await tab.fill({ factors: 'passkey' });
    assert.equal(await tab.page.$('#pin'), null);
    await tab.press('sign');
    await signs(bob, tab, checks, ['the contract']);
    await tab.close();
  });

  it('says what is missing before anything is sent', async () => {
    const { tab } = await ask(alice);
    await tab.press('sign');
    assert.match(await tab.alert(), /Tick the box.*Enter your PIN\..*Enter the six digits/);
    assert.equal(await tab.page.evaluate(() => document.activeElement.id), 'alert', 'the reader is led to it');
    await tab.accessible('what is missing');
    await tab.picture('missing');
    await tab.page.click('#alert a[href="#pin"]');
    assert.equal(await tab.page.evaluate(() => document.activeElement.id + location.hash), 'pin');
    await tab.fill({ pin: alice.pin, totp: '12' });
    await tab.press('sign');
    assert.match(await tab.alert(), /^Something is missingEnter your PIN\.Enter the six digits|^Something is missingEnter the six digits/);
    assert.deepEqual(tab.messages(), []);
    await tab.close();
  });

  it('lets a wrong PIN be corrected, and says after the third that the key is locked', async () => {
    const { tab, checks } = await ask(carol);
    await tab.fill({ factors: 'pin-totp', pin: '000000000000', totp: carol.otp() });
    await tab.press('sign');
    assert.match(await tab.alert(), /^Not signedPIN or one-time code is wrong.*After 3 wrong attempts your key is locked for 15 minutes/);
    await tab.accessible('a wrong PIN');
    await tab.picture('wrong-pin');
    assert.equal(await tab.page.$eval('#pin', (input) => input.value), '', 'what was entered is erased');
    await tab.fill({ pin: carol.pin, totp: carol.otp() });
    await tab.press('sign');
    await signs(carol, tab, checks, ['the contract']);
    await tab.close();

    const { tab: locked } = await ask(carol);
    for (let attempt = 1; attempt <= 3; attempt += 1) {
      await locked.fill({ factors: 'pin-totp', pin: `00000000000${attempt}`, totp: carol.otp() });
      await locked.press('sign');
      await locked.alert();
      assert.equal(locked.messages().length, attempt);
    }
    await locked.fill({ pin: carol.pin, totp: carol.otp() });
    await locked.press('sign');
    await locked.heads(/^Your key is locked$/);
    assert.match(await locked.text(), /Nothing was signed\. Wait 15 minutes.*Go back to the application/);
    await locked.accessible('locked');
    await locked.picture('locked');
    await locked.close();
  });

  it('tells a signer whose passkey was not used that nothing was sent', async () => {
    const { tab } = await ask(bob, { prepare: (tab) => tab.authenticator(undefined) });
    await tab.fill({ factors: 'passkey' });
    await tab.press('sign');
    assert.match(await tab.alert(), /The passkey was not used, so nothing was sent/);
    assert.deepEqual(tab.messages(), []);
    await tab.close();
  });

  it('sends one approval for a double click', async () => {
    const { tab, checks } = await ask(alice);
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.page.$eval('#sign', (button) => {
      button.click();
      button.click();
      button.form.requestSubmit();
    });
    await signs(alice, tab, checks, ['the contract']);
    assert.equal(tab.messages().length, 1);
    await tab.close();
  });

  it('is opened once: a reload, a second tab and the way back say what to do', async () => {
    const { tab, checks } = await ask(alice);
    const [sent] = tab.sent.filter(({ url, method }) => method === 'POST' && url.endsWith('/sic/v1/approvals'));
    const { handle } = JSON.parse(sent.body);
    const second = await browser.tab();
    await second.open(`${system.pagesUrl}/approve#${handle}`);
    assert.equal(await second.heading(), 'This approval cannot be opened');
    assert.match(await second.text(), /If another tab shows it, go on there.*Go back to the application/);
    await second.accessible('a second tab');
    await second.picture('used');
    await second.page.reload({ waitUntil: 'load' });
    await second.heads(/^There is nothing to approve here$/);
    await second.accessible('a reload');
    await second.close();

    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await signs(alice, tab, checks, ['the contract']);
    await tab.page.goBack({ waitUntil: 'load' }).catch(() => undefined);
    assert.equal(await tab.page.$('#pin'), null, 'nothing waits behind the application');
    await tab.close();
  });

  it('erases what was typed when its signer leaves, and ends', async () => {
    const { tab } = await ask(alice);
    await tab.fill({ pin: alice.pin });
    await tab.page.goto(application.address);
    await tab.page.goBack({ waitUntil: 'load' });
    await tab.settled();
    assert.match(await tab.heading(), /^(You left this page|There is nothing to approve here)$/);
    assert.equal(await tab.page.$('#pin'), null);
    await tab.close();
  });

  it('ends when its time is over, by its own clock and by the clock of the service', async () => {
    const { tab } = await ask(alice);
    await tab.page.mouse.move(10, 10);
    await tab.later(250);
    await tab.page.mouse.move(20, 20);
    await tab.page.waitForFunction(() => document.getElementById('status').textContent.startsWith('Less than a minute'));
    await tab.later(60);
    await tab.heads(/^The time is over$/);
    await tab.accessible('the time is over');
    assert.deepEqual(tab.messages(), []);
    await tab.close();

    const { tab: late } = await ask(alice);
    await late.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    system.moveClock(301);
    await late.press('sign');
    await late.heads(/^(The time is over|This approval has ended)$/);
    await late.close();
  });

  it('closes after two minutes in which nothing happens, and says so before', async () => {
    const { tab } = await ask(alice);
    await tab.fill({ pin: alice.pin });
    await tab.later(95);
    await tab.page.waitForFunction(() => document.getElementById('status').textContent.startsWith('This page closes in half a minute'));
    await tab.accessible('the warning');
    await tab.page.keyboard.press('Tab');
    await tab.page.waitForFunction(() => document.getElementById('status').textContent === '');
    await tab.later(125);
    await tab.heads(/^Closed because nothing happened$/);
    assert.equal(await tab.page.$('#pin'), null);
    await tab.close();
  });

  it('takes the refusal of its signer back to the application', async () => {
    const { tab } = await ask(alice);
    await tab.press('decline');
    const back = new URL(await tab.wentTo(application));
    assert.equal(back.searchParams.get('error'), 'access_denied');
    await tab.close();
  });

  it('refuses another signature device before a PIN can be entered', async () => {
    const evil = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const statementOf = (claims) => new SignJWT(claims).setProtectedHeader({ alg: 'ES256', typ: 'intaglio-sap-key+jwt' }).sign(evil.privateKey);
    const claimsIn = ({ sapStatement }) => JSON.parse(Buffer.from(sapStatement.split('.')[1], 'base64url'));
    const lies = {
      'its own key under its own signature': async (opened) => { opened.sapStatement = await statementOf({ ...claimsIn(opened), jwk: evil.publicKey.export({ format: 'jwk' }) }); },
      'its own key under the signature of the SAM': (opened) => {
        const [header, , signature] = opened.sapStatement.split('.');
        opened.sapStatement = [header, Buffer.from(JSON.stringify({ ...claimsIn(opened), jwk: evil.publicKey.export({ format: 'jwk' }) })).toString('base64url'), signature].join('.');
      },
      'no statement': (opened) => { opened.sapStatement = ''; },
    };
    for (const [what, lie] of Object.entries(lies)) {
      const { tab } = await ask(alice, { prepare: lying(lie), expected: /^Do not enter your PIN$/ });
      assert.equal(await tab.page.$('input'), null, what);
      assert.match(await tab.text(), /nothing was signed\. Tell Intaglio demo\.Do not go on here/, what);
      assert.deepEqual(tab.messages(), [], what);
      await tab.accessible(what);
      await tab.picture('another-device');
      await tab.close();
    }
  });

  it('shows no transaction that misleads, and gets no signature for one that was changed', async () => {
    const altered = (change) => lying((opened) => {
      const transaction = parseTransaction(Buffer.from(opened.transaction, 'base64url'));
      change(transaction);
      opened.transaction = encodeTransaction(transaction).toString('base64url');
    });
    const { tab: misled } = await ask(alice, { prepare: altered((t) => { t.documents[0].label = 'invoice\u202efdp.exe'; }), expected: /^The request cannot be shown$/ });
    await misled.close();
    const { tab: forever } = await ask(alice, { prepare: altered((t) => { t.expires += 3600; }), expected: /^The clocks differ$/ });
    await forever.close();

    const { tab } = await ask(alice, { prepare: altered((t) => { t.documents[0].label = 'A harmless letter.pdf'; }) });
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await tab.heads(/^The request was refused$/);
    assert.equal(tab.messages().length, 1);
    await tab.close();
  });

  it('goes to no address that would run in the page', async () => {
    for (const redirect of ['javascript:document.title="taken"', ' JavaScript:0', 'data:text/html,taken', 'blob:x', 'nowhere', 7, undefined]) {
      const { tab } = await ask(alice, { prepare: lying(() => ({ redirect }), '/sic/v1/approvals/refusals') });
      await tab.press('decline');
      await tab.heads(/^The request was refused$/);
      assert.equal(new URL(tab.page.url()).origin, system.pagesUrl, redirect);
      await tab.close();
    }
  });

  it('signs once when the connection is lost before the approval, and when it is lost after', async () => {
    const { tab, checks } = await ask(alice);
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.page.setOfflineMode(true);
    await tab.press('sign');
    assert.match(await tab.alert(), /There was no answer.*nothing is signed twice/);
    await tab.page.setOfflineMode(false);
    await tab.fill({ pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await signs(alice, tab, checks, ['the contract']);
    await tab.close();

    const { tab: lost } = await ask(alice, { prepare: lying(undefined, '/sic/v1/approvals/messages') });
    const before = system.auditEvents('sam').filter(({ type }) => type === 'authorisation.granted').length;
    await lost.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await lost.press('sign');
    assert.match(await lost.alert(), /There was no answer/);
    await lost.devtools.send('Fetch.disable');
    await lost.fill({ pin: alice.pin, totp: alice.otp() });
    await lost.press('sign');
    await lost.heads(/^(This approval has ended|Your approval arrived)$/);
    assert.match(await lost.text(), /Look into the application/);
    assert.equal(system.auditEvents('sam').filter(({ type }) => type === 'authorisation.granted').length, before + 1);
    await lost.close();
  });

  it('speaks Greek to who reads Greek, and the language of the terms is part of what is approved', async () => {
    const { tab, checks } = await ask(alice, { language: 'el-GR', expected: /σας ζητά να υπογράψετε ένα έγγραφο/ });
    assert.equal(await tab.page.$eval('html', (html) => html.lang), 'el');
    assert.match(await tab.text(), /Η υπογραφή δημιουργείται με το κλειδί σας/);
    await tab.accessible('in Greek');
    await tab.picture('form-el');
    await tab.page.click('#header button[lang="en"]');
    await tab.heads(/asks you to sign one document/);
    assert.equal(await tab.page.$eval('#accept', (box) => box.checked), false);
    await tab.page.click('#header button[lang="el"]');
    await tab.heads(/σας ζητά/);
    await tab.fill({ factors: 'pin-totp', pin: alice.pin, totp: alice.otp() });
    await tab.press('sign');
    await signs(alice, tab, checks, ['the contract']);
    await tab.close();
  });

  it('is used with the keyboard alone', async () => {
    const { tab, checks } = await ask(alice);
    const { keyboard } = tab.page;
    const reach = async (selector) => {
      for (let step = 0; step < 40; step += 1) {
        if (await tab.page.evaluate((wanted) => document.activeElement?.matches(wanted), selector)) return;
        await keyboard.press('Tab');
      }
      assert.fail(`Tab does not lead to ${selector}`);
    };
    await reach('#accept');
    await keyboard.press('Space');
    await reach('#pin');
    await keyboard.type(alice.pin);
    await reach('#totp');
    await keyboard.type(alice.otp());
    await keyboard.press('Enter');
    await signs(alice, tab, checks, ['the contract']);
    await tab.close();
  });

  it('shows a long list as one that scrolls', async () => {
    const documents = Array.from({ length: 40 }, (_, at) => ({ text: `text ${at}`, label: `Delivery note ${at + 1} of forty, with a name that is rather long so that it needs a second line on a telephone.pdf` }));
    const { tab } = await ask(alice, { documents });
    assert.match(await tab.heading(), /40 documents/);
    assert.equal((await tab.page.$$('.documents li')).length, 40);
    await tab.accessible('forty documents');
    await tab.picture('many');
    await tab.close();
  });

  it('stands on an origin that keeps every other one out, and that alone may call the API', async () => {
    for (const name of ['approve', 'approve.js', 'site.json', 'nothing']) {
      const { headers } = await send(`${system.pagesUrl}/${name}`, { tls: client.tls });
      assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'/);
      assert.doesNotMatch(headers['content-security-policy'], /unsafe|\*|data:|http:/);
      assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['set-cookie'], undefined);
    }
    assert.equal((await send(`${system.pagesUrl}/sic/v1/approvals`, { method: 'POST', body: '{}', tls: client.tls })).status, 404);
    const call = (origin) => sendJson(client.url('/sic/v1/approvals'), { handle: 'x' }, { tls: client.tls, headers: { origin } });
    assert.equal((await call(system.pagesUrl)).headers['access-control-allow-origin'], system.pagesUrl);
    const evil = await call('https://evil.invalid');
    assert.deepEqual([evil.status, evil.headers['access-control-allow-origin']], [403, undefined]);
    const cookies = await browser.chromium.cookies();
    assert.deepEqual(cookies, []);
  });
});
