// The page on which a signer signs a document of his own: it reads the PDF, prepares it, shows what it is, and takes of the service only
// a transaction that must name what was computed here, and a signature that must verify over it.
import { forProvider, Lie, missingIn, now, readApproval, reasonOf, retryOf, seal, stops, type Approvable, type Stop } from './approval.ts';
import { idleEnd, idleWarning, lastMinute, onInput, readSite, takeHandle } from './arrival.ts';
import { assembleCms, digestOf, parseCertificate, signedAttributes, suiteOf, verifies, type Certificate, type Suite } from './cms/cms.ts';
import { checkUpdate } from './pdf/check.ts';
import { maxFile } from './pdf/file.ts';
import { prepare, signedPieces, withContents, type Prepared } from './pdf/prepare.ts';
import { NotSignable, type Fault } from './pdf/syntax.ts';
import { base64url, parseBase64url, same, sha256, type Octets } from './sap/octets.ts';
import { cleanLabel } from './sap/transaction.ts';
import { Service } from './service.ts';
import { showChoice, showDone, showLook, type LookedAt } from './sign_view.ts';
import type { Site } from './site.ts';
import { catalogues, preferred, text, type Key } from './texts.ts';
import { siteValues, say, setBusy, showForm, showHeader, showLoading, showStop, type Form } from './view.ts';

/** A link lives 5 minutes. */
const linkLife = 300;

const faults: Readonly<Record<Fault, Key>> = {
  'not-pdf': 'faultNotPdf', 'too-large': 'faultTooLarge', encrypted: 'faultEncrypted', certified: 'faultCertified', 'dynamic-form': 'faultDynamicForm', damaged: 'faultDamaged',
};

/** With what will be signed. */
interface SigningKey {
  readonly site: Site;
  readonly service: Service;
  readonly credential: string;
  readonly suite: Suite;
  readonly chain: readonly [Certificate, ...Certificate[]];
}

interface Chosen {
  readonly file: LookedAt;
  readonly octets: Octets;
  readonly prepared: Prepared;
}

interface Opened extends Approvable {
  readonly attributes: Octets;
}

class SignPage {
  #language = preferred(navigator.languages, Object.keys(catalogues));
  #provider = '';
  #lock: Readonly<Record<string, string>> = {};
  #key: SigningKey | undefined;
  #chosen: Chosen | undefined;
  #opened: Opened | undefined;
  #done: { readonly name: string; readonly url: string } | undefined;
  #fault: Fault | undefined;
  #form: Form | undefined;
  #combination = 0;
  #stop: readonly [Stop, Readonly<Record<string, string>>] | undefined;
  #busy = false;
  #until = 0;
  #lastInput = Date.now();

  async start(): Promise<void> {
    this.#header();
    showLoading(this.#language);
    const handle = takeHandle();
    try {
      const site = await readSite();
      this.#provider = site.provider;
      this.#lock = siteValues(site);
      this.#header();
      if (handle === '') return this.#end('no-handle');
      this.#key = await this.#begin(site, handle);
    } catch (error) {
      return this.#end(...reasonOf(error));
    }
    this.#until = now() + linkLife;
    this.#show();
    setInterval(() => this.#watch(), 1000);
    onInput(() => { this.#lastInput = Date.now(); });
  }

  leave(): void {
    this.#form?.wipe();
    this.#key?.service.forget();
    if (!this.#stop && !this.#done) this.#end('left');
  }

  async #begin(site: Site, handle: string): Promise<SigningKey> {
    const service = new Service(site.api);
    const { credential, suite: name, certificates } = await service.begin(handle);
    const suite = suiteOf(name);
    const [signer, ...path] = certificates.map((one) => parseCertificate(parseBase64url(one)));
    if (!suite || !signer) throw new Lie('no suite or no certificate');
    return { site, service, credential, suite, chain: [signer, ...path] };
  }

  #header(): void {
    showHeader(this.#provider, this.#language, (language) => {
      if (this.#busy) return;
      this.#language = language;
      this.#header();
      if (this.#stop) this.#end(...this.#stop);
      else if (this.#key) this.#show();
      document.querySelector<HTMLElement>(`#header button[lang="${language}"]`)?.focus();
    }, 'signPageTitle');
  }

  #end(stop: Stop, values: Readonly<Record<string, string>> = {}): void {
    this.#stop = [stop, values];
    this.#form?.wipe();
    this.#form = undefined;
    this.#key?.service.forget();
    this.#key = undefined;
    this.#opened = undefined;
    if (this.#chosen) URL.revokeObjectURL(this.#chosen.file.url);
    this.#chosen = undefined;
    this.#busy = false;
    const [title, words] = stops[stop];
    showStop(this.#language, title, words, forProvider.has(stop) ? 'nextClose' : 'next', { provider: this.#provider, ...this.#lock, ...values });
  }

  #show(form: { problem?: Key; missing?: readonly (readonly [string, Key])[]; accepted?: boolean } = {}): void {
    if (this.#done) return showDone(this.#language, this.#done);
    if (this.#opened) return this.#showForm(this.#opened, form);
    if (this.#chosen) return showLook(this.#language, this.#chosen.file, { goOn: () => void this.#open(), other: () => this.#forgetChosen() });
    showChoice(this.#language, this.#fault && faults[this.#fault], (file) => void this.#choose(file));
  }

  #forgetChosen(): void {
    if (this.#busy) return;
    if (this.#chosen) URL.revokeObjectURL(this.#chosen.file.url);
    this.#chosen = undefined;
    this.#show();
    document.getElementById('file')?.focus();
  }

  /** Reads and prepares; nothing is sent. */
  async #choose(file: File): Promise<void> {
    if (this.#busy || !this.#key) return;
    const key = this.#key;
    this.#fault = undefined;
    say(text(this.#language, 'readingDocument'));
    this.#busy = true;
    try {
      if (file.size > maxFile) throw new NotSignable('too-large', 'more than 64 MiB');
      const octets = new Uint8Array(await file.arrayBuffer());
      const room = key.chain.reduce((sum, { der }) => sum + der.length, 4096);
      const prepared = await prepare(octets, room, new Date());
      // The type is ours: whatever the file says of itself, it is opened as a PDF and nothing else.
      const url = URL.createObjectURL(new Blob([octets], { type: 'application/pdf' }));
      const looked = { name: cleanLabel(file.name), size: octets.length, pages: prepared.outline.pages, digest: await sha256(octets), url };
      if (this.#key === key) this.#chosen = { octets, prepared, file: looked };
    } catch (error) {
      this.#fault = error instanceof NotSignable ? error.fault : 'damaged';
    }
    this.#busy = false;
    say('');
    if (this.#key) this.#show();
    document.querySelector<HTMLElement>('#alert, h1')?.focus();
  }

  /** The DTBS/R is computed here, and the transaction must name it, this key and this certificate, and nothing else. */
  async #open(): Promise<void> {
    const [key, chosen] = [this.#key, this.#chosen];
    if (this.#busy || !key || !chosen) return;
    this.#busy = true;
    setBusy(true);
    try {
      const digest = await digestOf(key.suite.hash, signedPieces(chosen.prepared));
      const attributes = await signedAttributes(digest, key.chain[0]);
      const dtbsr = await digestOf(key.suite.hash, attributes);
      const { ticket, transaction: encoded, sapStatement } = await key.service.openDocument(base64url(dtbsr), chosen.file.name);
      // Who goes to an identity provider leaves the document behind.
      const approvable = await readApproval(key.site, ticket, encoded, sapStatement, (combination) => !combination.includes('id-token'));
      const { documents: [one, more], hash, suites, key: of, certificate } = approvable.transaction;
      if (!one || more || !same(one.digest, dtbsr) || one.label !== chosen.file.name) throw new Lie('another document');
      if (suites.join() !== String(key.suite.number) || `SHA-${[0, 256, 384, 512][hash] ?? 0}` !== key.suite.hash) throw new Lie('another suite');
      if (of !== key.credential || !same(certificate, await sha256(key.chain[0].der))) throw new Lie('another certificate');
      if (this.#key !== key) return;
      this.#opened = { ...approvable, attributes };
      this.#until = approvable.transaction.expires;
    } catch (error) {
      if (this.#key === key) this.#end(...reasonOf(error));
      return;
    }
    this.#busy = false;
    setBusy(false);
    this.#show();
  }

  #termsLanguage(site: Site): string {
    return preferred([this.#language], Object.keys(site.terms.texts));
  }

  #showForm(opened: Opened, { problem, missing = [], accepted = false }: { problem?: Key; missing?: readonly (readonly [string, Key])[]; accepted?: boolean }): void {
    const { site, transaction, combinations, deviceThumbprint } = opened;
    this.#form = showForm({
      site, transaction, combinations, deviceThumbprint, language: this.#language, termsLanguage: this.#termsLanguage(site),
      chosen: combinations[this.#combination] ?? [], identified: false, problem, missing,
    }, {
      sign: () => void this.#sign(),
      decline: () => { if (!this.#busy) this.#end('declined'); },
      choose: (combination) => {
        if (this.#busy) return;
        const ticked = this.#form?.entered().accepted ?? false;
        this.#combination = Math.max(0, combinations.indexOf(combination));
        this.#show({ accepted: ticked });
        document.querySelector<HTMLElement>(`input[name="factors"][value="${combination.join('-')}"]`)?.focus();
      },
    }, accepted);
    if (problem || missing.length > 0) this.#form.focusAlert();
  }

  #watch(): void {
    if (!this.#key || this.#busy || this.#done) return;
    const idle = Date.now() - this.#lastInput;
    const left = this.#until - now();
    if (left <= 0) this.#end('expired');
    else if (idle >= idleEnd) this.#end('idle');
    else say(idle >= idleWarning ? text(this.#language, 'idleSoon') : left <= lastMinute ? text(this.#language, 'lastMinute') : '');
  }

  async #sign(): Promise<void> {
    const entered = this.#form?.entered();
    const [key, chosen, opened] = [this.#key, this.#chosen, this.#opened];
    if (this.#busy || !key || !chosen || !opened || !entered) return;
    const missing = missingIn(entered);
    if (missing.length > 0) return this.#show({ missing, accepted: entered.accepted });
    this.#busy = true;
    setBusy(true);
    try {
      const message = await seal(opened, entered, { termsLanguage: this.#termsLanguage(opened.site), askingPasskey: () => say(text(this.#language, 'busyPasskey')) });
      this.#form?.wipe();
      say(text(this.#language, 'busySigning'));
      const signed = await this.#complete(key, chosen, opened, await key.service.signDocument(message));
      if (this.#key !== key) return;
      key.service.forget();
      this.#done = { name: `${chosen.file.name.replace(/\.pdf$/i, '')}.signed.pdf`, url: URL.createObjectURL(new Blob([signed], { type: 'application/pdf' })) };
      this.#busy = false;
      setBusy(false);
      say('');
      this.#show();
    } catch (error) {
      if (this.#key !== key) return;
      this.#busy = false;
      setBusy(false);
      say('');
      const problem = retryOf(error, entered.combination);
      if (problem) this.#show({ problem, accepted: true });
      else this.#end(...reasonOf(error));
      this.#lastInput = Date.now();
    }
  }

  /** The signature of the service, if it is one of the certificate over what was approved, in the document; which is then read anew. */
  async #complete({ suite, chain }: SigningKey, { octets, prepared }: Chosen, { attributes }: Opened, encoded: string): Promise<Octets> {
    let signature: Octets;
    try {
      signature = parseBase64url(encoded);
    } catch {
      throw new Lie('no signature');
    }
    if (!await verifies(attributes, signature, suite, chain[0])) throw new Lie('a signature that does not verify');
    const cms = assembleCms(attributes, signature, suite, chain);
    const signed = withContents(prepared, cms);
    await checkUpdate(octets, signed, cms, prepared.room);
    return signed;
  }
}

const page = new SignPage();
addEventListener('pagehide', () => page.leave());
void page.start();
