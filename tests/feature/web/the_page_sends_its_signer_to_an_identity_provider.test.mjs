// Delegated factors in a real browser, in the profile delegated-wrapped: the page has its signer confirm what it shows at an OpenID Connect provider (npm
// oidc-provider) and asks the PIN when he is back. An answer belongs to this tab, this approval and this code; whatever the service does with it, the
// SAM takes it for what was shown alone.
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Application } from '../harness/application.mjs';
import { Browser } from '../harness/browser.mjs';
import { good, sendJson } from '../harness/http.mjs';
import { ProviderForPages, delegatedPolicy, issuer } from '../harness/identity.mjs';
import { encodeTransaction, parseTransaction } from '../harness/protocol.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, repository, run } from '../harness/system.mjs';

const profile = 'delegated-wrapped';
const contract = [{ text: 'the contract', label: 'Contract of sale.pdf' }];
const passphrase = 'm5x2-d8r4-t1k9-b6w3-z7q0';

describe('the page and an identity provider', () => {
  let folder, atProvider, system, application, browser, client, alice, bob;
  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'identity-provider-'));
    atProvider = await ProviderForPages.start(folder, { secret: 'a secret of the service & its provider' });
    application = await Application.listen();
    system = await System.start({
      policy: delegatedPolicy(atProvider.provider), pages: `${repository}/build/web`, examples: { 'site.json': () => atProvider.site() },
      configure: { ssa: (text) => atProvider.table(application.registered(text)) },
    });
    system.secret('the client secret', atProvider.secret);
    const { provider } = atProvider;
    ({ client, signer: alice } = await signerOf(system, { profile, identity: { provider, person: 'person-1' } }));
    bob = (await signerOf(system, { id: 'bob', signerpass: passphrase, profile, identity: { provider, person: 'person-2' } })).signer;
    await application.connect(system, client);
    browser = await Browser.start(system, { provider: atProvider });
  });
  after(async () => {
    await browser?.stop();
    application?.stop();
    await system?.stop();
    await atProvider?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  /** The application asks `signer`; a new tab comes to the page. The ID tokens that it gets are secrets of this run. */
  async function ask(signer, { language, prepare, expected = /asks you to sign/ } = {}) {
    const { url, checks } = await application.ask(signer.credential, contract);
    const tab = await browser.tab({ language });
    tab.page.on('response', async (answer) => {
      if (answer.request().method() !== 'POST' || !answer.url().endsWith('/logins/codes') || answer.status() !== 200) return;
      system.secret('an ID token', (await answer.json()).idToken);
    });
    await prepare?.(tab);
    await tab.open(url);
    if (expected) await tab.heads(expected);
    return { tab, checks };
  }

  /** Accepts, and goes to the provider. */
  async function leave(tab) {
    await tab.fill({});
    await tab.press('sign');
    await tab.heads(/^Sign in at Example ID$/);
  }

  async function signIn(tab, person) {
    await tab.page.type('#person', person);
    await tab.press('sign-in');
  }

  async function comeBack(tab, person, expected = /asks you to sign/) {
    await leave(tab);
    await signIn(tab, person);
    await tab.heads(expected);
  }

  const posts = (tab, end) => tab.sent.filter(({ url, method }) => method === 'POST' && url.endsWith(end));
  const codes = (tab) => posts(tab, '/logins/codes');
  const questionIn = (tab) => new URL(tab.sent.findLast(({ url }) => url.startsWith(`${issuer}/auth?`)).url).searchParams;
  const events = (type) => system.auditEvents('sam').filter((event) => event.type === type);

  async function signs(signer, tab, checks) {
    const token = await application.token(await tab.wentTo(application), checks);
    const answer = await application.signHash(token, signer.credential, ['the contract']);
    assert.equal(answer.status, 200, answer.text);
    const key = createPublicKey(new X509Certificate(signer.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('the contract'), key, Buffer.from(answer.json.signatures[0], 'base64')));
    assert.deepEqual(tab.faults, []);
  }

  /** The address at which the provider sends this tab back; the tab does not get there. */
  async function caught(tab, person) {
    await tab.devtools.send('Fetch.enable', { patterns: [{ urlPattern: `${system.pagesUrl}/approve?*` }] });
    const back = new Promise((resolve) => {
      tab.devtools.once('Fetch.requestPaused', ({ requestId, request }) => {
        tab.devtools.send('Fetch.failRequest', { requestId, errorReason: 'Aborted' }).then(() => resolve(new URL(request.url)));
      });
    });
    await signIn(tab, person);
    const url = await back;
    await tab.devtools.send('Fetch.disable');
    return url;
  }

  /** A hostile service: one answer is changed on its way. */
  const lying = (path, change) => async (tab) => {
    await tab.devtools.send('Fetch.enable', { patterns: [{ urlPattern: `*/sic/v1/approvals${path}`, requestStage: 'Response' }] });
    tab.devtools.on('Fetch.requestPaused', async ({ requestId, request, responseStatusCode, responseHeaders }) => {
      if (request.method !== 'POST') return tab.devtools.send('Fetch.continueRequest', { requestId });
      const { body, base64Encoded } = await tab.devtools.send('Fetch.getResponseBody', { requestId });
      const answer = JSON.parse(base64Encoded ? Buffer.from(body, 'base64').toString() : body);
      change(answer);
      const headers = responseHeaders.filter(({ name }) => name.toLowerCase() !== 'content-length');
      return tab.devtools.send('Fetch.fulfillRequest', { requestId, responseCode: responseStatusCode, responseHeaders: headers, body: Buffer.from(JSON.stringify(answer)).toString('base64') });
    });
  };

  it('has its signer confirm there what it shows, asks the PIN when he is back, and signs', async () => {
    const { tab, checks } = await ask(alice);
    assert.equal(await tab.page.$('#pin'), null, 'nothing secret is asked for before the window leaves');
    assert.match(await tab.text(), /Next you sign in at Example ID, which sees none of the documents/);
    await tab.accessible('before the sign-in');
    await tab.picture('identity-before');
    await leave(tab);
    const question = questionIn(tab);
    assert.deepEqual([...question.keys()].sort(), ['acr_values', 'client_id', 'code_challenge', 'code_challenge_method', 'max_age', 'nonce', 'prompt', 'redirect_uri', 'response_type', 'scope', 'state']);
    assert.equal(question.get('redirect_uri'), `${system.pagesUrl}/approve`);
    assert.equal(question.get('scope'), 'openid');
    await signIn(tab, 'person-1');
    await tab.heads(/asks you to sign/);
    assert.match(await tab.text(), /You signed in at Example ID/);
    assert.equal(new URL(tab.page.url()).search, '', 'the code is no longer in the address');
    assert.equal(await tab.page.evaluate(() => sessionStorage.length), 0, 'nothing is left in the tab');
    assert.equal(await tab.page.$eval('#accept', (box) => box.checked), true);
    await tab.accessible('after the sign-in');
    await tab.picture('identity-after');
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    await signs(alice, tab, checks);
    assert.ok(!JSON.stringify(tab.sent).includes(alice.pin));
    assert.equal(events('authorisation.granted').at(-1).fields.methods, 'pin id-token');
    for (const [file, text] of system.contents()) assert.ok(!text.includes('person-1'), `the person stands in ${file}`);
    await tab.close();
  });

  it('takes a signerpass in the place of the PIN', async () => {
    const { tab, checks } = await ask(bob);
    await tab.fill({ factors: 'signerpass-id-token' });
    await comeBack(tab, 'person-2');
    assert.equal(await tab.page.$eval('label[for="pin"]', (label) => label.textContent), 'Signing passphrase');
    await tab.press('sign');
    assert.match(await tab.alert(), /Enter your signing passphrase/);
    await tab.fill({ pin: passphrase });
    await tab.press('sign');
    await signs(bob, tab, checks);
    assert.equal(events('authorisation.granted').at(-1).fields.methods, 'signerpass id-token');
    await tab.close();
  });

  it('goes nowhere before the terms are accepted', async () => {
    const { tab } = await ask(alice);
    await tab.press('sign');
    assert.match(await tab.alert(), /^Something is missingTick the box to accept the terms\.$/);
    assert.deepEqual(posts(tab, '/logins'), []);
    await tab.close();
  });

  it('lets who leaves the provider or was not confirmed there try again, or decline', async () => {
    const { tab } = await ask(alice);
    await leave(tab);
    await tab.press('cancel');
    assert.match(await tab.alert(), /You did not sign in at Example ID\. You can try it again, or decline here\./);
    await tab.accessible('left the provider');
    await tab.picture('identity-declined');
    await leave(tab);
    await tab.press('fail');
    assert.match(await tab.alert(), /Example ID did not confirm that it is you/);
    assert.deepEqual(codes(tab), []);
    await tab.press('decline');
    assert.equal(new URL(await tab.wentTo(application)).searchParams.get('error'), 'access_denied');
    await tab.close();
  });

  it('gets no signature on the word of somebody else, and says so as of a wrong PIN', async () => {
    const { tab, checks } = await ask(alice);
    const before = events('authorisation.granted').length;
    await comeBack(tab, 'person-2');
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    const said = await tab.alert();
    assert.match(said, /Your entry is wrong, or somebody else signed in at Example ID\. Sign in again yourself/);
    assert.equal(await tab.page.$('#pin'), null, 'what was said there counts once');
    await tab.picture('identity-wrong');
    await comeBack(tab, 'person-1');
    await tab.fill({ pin: '000000000000' });
    await tab.press('sign');
    assert.equal(await tab.alert(), said);
    assert.equal(events('authorisation.granted').length, before);
    await comeBack(tab, 'person-1');
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    await signs(alice, tab, checks);
    await tab.close();
  });

  it('takes no answer that this tab did not ask for: a link of somebody, another state, an answer twice', async () => {
    const { tab: evil } = await ask(bob);
    await evil.fill({ factors: 'signerpass-id-token' });
    await leave(evil);
    const back = await caught(evil, 'person-2');

    const stranger = await browser.tab();
    await stranger.open(back.href);
    assert.equal(await stranger.heading(), 'This sign-in does not belong here');
    assert.match(await stranger.text(), /If a link that somebody sent you led you here, do not go on/);
    await stranger.accessible('a foreign answer');
    await stranger.picture('identity-foreign');
    assert.equal(new URL(stranger.page.url()).search, '');
    assert.deepEqual(stranger.sent.filter(({ method, url }) => method === 'POST' && url.includes('/sic/')), []);

    const { tab } = await ask(alice);
    await leave(tab);
    await tab.page.goto(back.href);
    await tab.heads(/^This sign-in does not belong here$/);
    assert.deepEqual(codes(tab), []);

    const { tab: twice } = await ask(alice);
    await leave(twice);
    const mine = await caught(twice, 'person-1');
    await twice.page.goto(mine.href);
    await twice.heads(/asks you to sign/);
    assert.match(await twice.text(), /You signed in at Example ID/);
    await twice.page.goto(mine.href);
    await twice.heads(/^This sign-in does not belong here$/);
    assert.equal(codes(twice).length, 1);
    for (const one of [evil, stranger, tab, twice]) await one.close();
  });

  it('takes no code that another sign-in gave, and no answer in the name of another provider', async () => {
    const { tab: evil } = await ask(bob);
    await evil.fill({ factors: 'signerpass-id-token' });
    await leave(evil);
    const code = (await caught(evil, 'person-1')).searchParams.get('code');
    const wrong = { 'the code of another sign-in': (query) => query.set('code', code), 'another provider': (query) => query.set('iss', 'https://evil.example.test'), 'no provider': (query) => query.delete('iss') };
    for (const [what, change] of Object.entries(wrong)) {
      const { tab } = await ask(alice);
      await leave(tab);
      const back = await caught(tab, 'person-1');
      const redeemed = atProvider.provider.redeemed.length;
      change(back.searchParams);
      await tab.page.goto(back.href);
      assert.match(await tab.alert(), /Example ID did not confirm that it is you/, what);
      assert.equal(await tab.page.$('#pin'), null, what);
      assert.equal(atProvider.provider.redeemed.length, redeemed, what);
      await tab.close();
    }
    await evil.close();
  });

  it('goes on when its signer comes back without an answer, and not after a reload', async () => {
    const { tab, checks } = await ask(alice);
    await leave(tab);
    await tab.page.goBack({ waitUntil: 'load' });
    await tab.heads(/asks you to sign/);
    assert.match(await tab.text(), /Next you sign in at Example ID/);
    await comeBack(tab, 'person-1');
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    await signs(alice, tab, checks);
    await tab.close();

    const { tab: again } = await ask(alice);
    await comeBack(again, 'person-1');
    await again.fill({ pin: alice.pin });
    await again.page.reload({ waitUntil: 'load' });
    await again.heads(/^There is nothing to approve here$/);
    await again.close();
  });

  it('sends nobody elsewhere, and has nothing else confirmed, whatever the service says', async () => {
    const lies = {
      'another provider': (url) => url.replace(issuer, 'https://evil.example.test'),
      'another nonce': (url) => url.replace(/nonce=[^&]*/, `nonce=${'A'.repeat(43)}`),
      'another way back': (url) => url.replace(/redirect_uri=[^&]*/, 'redirect_uri=https%3A%2F%2Fevil.example.test%2Fapprove'),
      'a request object': (url) => `${url}&request_uri=https%3A%2F%2Fevil.example.test%2Frequest`,
      'a script': () => 'javascript:document.title="taken"',
    };
    for (const [what, lie] of Object.entries(lies)) {
      const { tab } = await ask(alice, { prepare: lying('/logins', (answer) => { answer.address = lie(answer.address); }) });
      await tab.fill({});
      await tab.press('sign');
      await tab.heads(/^Do not sign in$/);
      assert.equal(new URL(tab.page.url()).origin, system.pagesUrl, what);
      assert.deepEqual(tab.sent.filter(({ url }) => /evil|\/auth\?/.test(url)), [], what);
      await tab.close();
    }
    const { tab } = await ask(alice, { prepare: lying('/logins', (answer) => { answer.address = ''; }) });
    await tab.fill({});
    await tab.press('sign');
    await tab.heads(/^Do not sign in$/);
    await tab.accessible('another provider');
    await tab.picture('identity-another');
    await tab.close();
  });

  it('shows after the sign-in what it showed before, or nothing', async () => {
    const { tab } = await ask(alice);
    await leave(tab);
    await lying('', (answer) => {
      const transaction = parseTransaction(Buffer.from(answer.transaction, 'base64url'));
      transaction.documents[0].label = 'A harmless letter.pdf';
      answer.transaction = encodeTransaction(transaction).toString('base64url');
    })(tab);
    await signIn(tab, 'person-1');
    await tab.heads(/^This is not what you saw before$/);
    assert.equal(await tab.page.$('#pin'), null);
    assert.deepEqual(codes(tab), []);
    await tab.accessible('another transaction');
    await tab.close();

    const { tab: other } = await ask(alice, { prepare: lying('/logins/codes', (answer) => {
      const [header, , signature] = answer.idToken.split('.');
      answer.idToken = [header, Buffer.from(JSON.stringify({ nonce: 'x' })).toString('base64url'), signature].join('.');
    }) });
    await comeBack(other, 'person-1', /^This is not what you saw before$/);
    await other.close();
  });

  it('says what it asks for in Greek, and the terms of before are those of after', async () => {
    const { tab, checks } = await ask(alice, { language: 'el-GR', expected: /σας ζητά να υπογράψετε ένα έγγραφο/ });
    assert.match(await tab.text(), /Στη συνέχεια συνδέεστε στην υπηρεσία Example ID/);
    await tab.picture('identity-before-el');
    await comeBack(tab, 'person-1', /σας ζητά/);
    await tab.accessible('after the sign-in, in Greek');
    await tab.page.click('#header button[lang="en"]');
    await tab.heads(/asks you to sign/);
    assert.match(await tab.text(), /Η υπογραφή δημιουργείται με το κλειδί σας/, 'the terms that were accepted stay');
    assert.match(await tab.text(), /You signed in at Example ID/);
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    await signs(alice, tab, checks);
    await tab.close();
  });

  it('sends nobody away from a document, which would be left behind', async () => {
    const { page } = good('documents', await client.post('/sic/v1/documents', { credentialID: alice.credential }));
    const tab = await browser.tab();
    await tab.open(page);
    await tab.heads(/^Choose the document to sign$/);
    await (await tab.page.$('#file')).uploadFile(`${repository}/examples/contract.pdf`);
    await tab.heads(/^Is this the document\?$/);
    await tab.press('go-on');
    await tab.heads(/^This key cannot be used here$/);
    assert.match(await tab.text(), /keys of the profile delegated-wrapped/);
    assert.deepEqual(posts(tab, '/logins'), []);
    await tab.close();
  });

  it('is not sent by pages of other origins, and gives nothing to who has no bearer of a page', async () => {
    for (const path of ['/sic/v1/approvals/logins', '/sic/v1/approvals/logins/codes']) {
      const evil = await sendJson(client.url(path), {}, { tls: client.tls, headers: { origin: 'https://evil.invalid', authorization: 'Bearer x' } });
      assert.deepEqual([evil.status, evil.headers['access-control-allow-origin']], [403, undefined]);
      assert.equal((await sendJson(client.url(path), {}, { tls: client.tls, headers: { origin: system.pagesUrl, authorization: 'Bearer x' } })).status, 401);
    }
  });

  it('signs with private_key_jwt as well, and stays useful while the provider is away', async () => {
    const { secret } = atProvider;
    delete atProvider.secret;
    system.configure('ssa', (text) => atProvider.table(text.slice(0, text.indexOf('# What an SSA adds to its ssa.toml when signers confirm'))));
    await system.restart('ssa');
    const { tab, checks } = await ask(alice);
    await leave(tab);
    const back = await caught(tab, 'person-1');
    const { secure } = atProvider.provider;
    secure.closeAllConnections();
    await new Promise((resolve) => { secure.close(resolve); });
    await tab.page.goto(back.href);
    assert.match(await tab.alert(), /Example ID did not confirm that it is you/);
    await new Promise((resolve) => { secure.listen(atProvider.provider.securePort, '127.0.0.1', resolve); });
    await comeBack(tab, 'person-1');
    await tab.fill({ pin: alice.pin });
    await tab.press('sign');
    await signs(alice, tab, checks);
    await tab.close();
    atProvider.secret = secret;
  });

  it('has a configuration whose mistakes are told by their line', () => {
    const good = system.read('config/ssa.toml');
    const file = system.path('config', 'wrong.toml');
    const wrong = {
      'no key': [(text) => text.replace(/^private_key = .*client.pem.*$/m, ''), /client_authentication.*needs private_key/],
      'no secret': [(text) => text.replace('"private_key_jwt"', '"client_secret_basic"').replace(/^client_secret_file = .*$/m, ''), /client_authentication.*needs client_secret_file/],
      'another way': [(text) => text.replace('"private_key_jwt"', '"client_secret_post"'), /client_authentication/],
      'a token endpoint without TLS': [(text) => text.replace(/^token_endpoint = "https/m, 'token_endpoint = "http'), /token_endpoint.*must be an https address/],
      'a scope that asks for nobody': [(text) => text.replace(/^scope = .*$/m, 'scope = "profile"'), /scope.*must hold openid/],
      'no page': [(text) => text.replace(/^approval_page = .*$/m, 'approval_page = ""'), /approval_page of \[oauth\]/],
      'an unknown key': [(text) => `${text}\nissuers = "x"\n`, /wrong\.toml:\d+.*issuers/s],
    };
    for (const [what, [change, expected]] of Object.entries(wrong)) {
      writeFileSync(file, change(good));
      const { program, words, environment } = system.command('ssa', '--check-config');
      const result = run(program, words.map((word) => (word === system.path('config', 'ssa.toml') ? file : word)), { environment });
      assert.equal(result.status, 1, what);
      assert.match(result.stderr, expected, what);
    }
    rmSync(file);
  });

  it('ends with its transaction, wherever its signer is then', async () => {
    const { tab } = await ask(alice);
    await leave(tab);
    const { tab: late } = await ask(alice);
    await comeBack(late, 'person-1');
    await late.fill({ pin: alice.pin });
    system.moveClock(301);
    await signIn(tab, 'person-1');
    await tab.heads(/^(The time is over|This approval cannot be opened)$/);
    await tab.accessible('too late');
    await late.press('sign');
    await late.heads(/^(The time is over|This approval has ended)$/);
    for (const one of [tab, late]) await one.close();
  });
});
