// A real Chromium (Debian's), driven by npm puppeteer-core: the signer's browser, with an authenticator that Chromium simulates.
import assert from 'node:assert/strict';
import { X509Certificate, createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import puppeteer from 'puppeteer-core';
import { repository } from './system.mjs';

const require = createRequire(import.meta.url);
const axeSource = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const pictures = path.resolve(repository, process.env.INTAGLIO_RESULTS ?? 'build/results', 'pages');
export const widths = [360, 768, 1440];

export class Browser {
  /** Trusts the certificate of this instance's public listener, that of `provider` (identity.mjs), and no other. */
  static async start(system, { provider } = {}) {
    const pins = [system.read('tls/ssa.cert.pem'), ...(provider ? [provider.certificate] : [])].map((pem) => createHash('sha256').update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })).digest('base64'));
    const browser = new Browser();
    browser.system = system;
    browser.chromium = await puppeteer.launch({
      executablePath: process.env.INTAGLIO_CHROMIUM ?? '/usr/bin/chromium', headless: true, pipe: true,
      args: [`--ignore-certificate-errors-spki-list=${pins.join(',')}`, ...(provider ? [provider.resolved] : []), '--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--lang=en-GB'],
    });
    return browser;
  }

  stop() {
    return this.chromium.close();
  }

  /** A tab in a profile of its own, by the clock of the services. `sent` collects all that leaves it. */
  async tab({ language = 'en-GB', context } = {}) {
    const made = new Tab();
    made.system = this.system;
    made.context = context ?? await this.chromium.createBrowserContext();
    made.page = await made.context.newPage();
    made.devtools = await made.page.createCDPSession();
    made.sent = [];
    made.faults = [];
    await made.devtools.send('Network.enable', { maxPostDataSize: 1 << 20 });
    made.devtools.on('Network.requestWillBeSent', ({ request }) => made.sent.push({ url: request.url, method: request.method, body: request.postData ?? '', headers: request.headers }));
    made.page.on('pageerror', (error) => made.faults.push(String(error)));
    made.page.on('console', (message) => { if (/Content Security Policy|TrustedHTML/i.test(message.text())) made.faults.push(message.text()); });
    await made.page.evaluateOnNewDocument((words, offset) => {
      Object.defineProperty(navigator, 'languages', { get: () => [words] });
      const real = Date.now.bind(Date);
      window.clockOffset = offset;
      Date.now = () => real() + window.clockOffset * 1000;
    }, language, this.system.clockOffset);
    await made.page.setViewport({ width: 1024, height: 900 });
    return made;
  }
}

export class Tab {
  async open(url) {
    await this.page.goto(url, { waitUntil: 'load' });
    return this.settled();
  }

  /** Until the page shows a form or an end. */
  async settled() {
    await this.page.waitForSelector('h1', { timeout: 10000 });
    return this;
  }

  heading() {
    return this.page.$eval('h1', (heading) => heading.textContent);
  }

  text() {
    return this.page.$eval('main', (main) => main.textContent);
  }

  async heads(pattern) {
    await this.page.waitForFunction((source) => new RegExp(source).test(document.querySelector('h1')?.textContent ?? ''), { timeout: 10000 }, pattern.source);
  }

  /** Ticks, chooses and types what is given, and nothing else. */
  async fill({ factors, accept = true, pin, totp }) {
    if (factors) await this.page.click(`input[name="factors"][value="${factors}"]`);
    if (accept && !(await this.page.$eval('#accept', (box) => box.checked))) await this.page.click('#accept');
    if (pin !== undefined) await this.page.type('#pin', pin);
    if (totp !== undefined) await this.page.type('#totp', totp);
    return this;
  }

  press(id) {
    return this.page.click(`#${id}`);
  }

  /** What the page complains of, once it is no longer busy. */
  async alert() {
    await this.page.waitForFunction(() => document.getElementById('alert') && document.querySelector('main').getAttribute('aria-busy') !== 'true', { timeout: 20000 });
    return this.page.$eval('#alert', (alert) => alert.textContent);
  }

  /** The address in the application to which the browser went. */
  async wentTo(application) {
    await this.page.waitForFunction((address) => location.href.startsWith(address), { timeout: 20000 }, application.address);
    return this.page.url();
  }

  /** As if so many seconds went by for the page. */
  later(seconds) {
    return this.page.evaluate((more) => { window.clockOffset += more; }, seconds);
  }

  messages() {
    return this.sent.filter(({ url, method }) => method === 'POST' && url.endsWith('/sic/v1/approvals/messages'));
  }

  /** Gives the tab an authenticator that verifies its person, with the passkey `held` in it. */
  async authenticator(held, { verifies = true } = {}) {
    await this.devtools.send('WebAuthn.enable');
    const { authenticatorId } = await this.devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2', ctap2Version: 'ctap2_1', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: verifies,
        automaticPresenceSimulation: true, defaultBackupEligibility: false, defaultBackupState: false,
      },
    });
    this.authenticatorId = authenticatorId;
    if (!held) return this;
    await this.devtools.send('WebAuthn.addCredential', {
      authenticatorId, credential: {
        credentialId: held.id.toString('base64'), isResidentCredential: true, rpId: held.at.rpId, privateKey: held.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
        userHandle: Buffer.from('signer').toString('base64'), signCount: held.counter, backupEligibility: false, backupState: false,
      },
    });
    held.counter += 1000;
    return this;
  }

  /** axe-core finds nothing, by the rules of WCAG 2.2 A and AA and by its best practices. It runs in a world of its own, which the page's policy does not rule. */
  async accessible(what) {
    const { frameTree } = await this.devtools.send('Page.getFrameTree');
    const { executionContextId: contextId } = await this.devtools.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id, worldName: 'axe' });
    const evaluate = async (expression) => {
      const { result, exceptionDetails } = await this.devtools.send('Runtime.evaluate', { expression, contextId, awaitPromise: true, returnByValue: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    };
    await evaluate(`${axeSource};undefined`);
    const { violations, passes } = await evaluate('axe.run(document, { resultTypes: ["violations"] }).then(({ violations, passes }) => ({ passes: passes.length, violations: violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" ")}`) }))');
    assert.deepEqual(violations, [], what);
    assert.ok(passes > 5, 'axe looked at the page');
  }

  /** The whole page at each width, as build/results/pages/NAME-WIDTH.png; nothing may stick out at the side. */
  async picture(name) {
    mkdirSync(pictures, { recursive: true });
    for (const width of widths) {
      await this.page.setViewport({ width, height: width < 500 ? 740 : 900 });
      assert.equal(await this.page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false, `${name} at ${width} px`);
      await this.page.screenshot({ path: path.join(pictures, `${name}-${width}.png`), fullPage: true });
    }
    await this.page.setViewport({ width: 1024, height: 900 });
  }

  async close() {
    await this.context.close();
  }
}
