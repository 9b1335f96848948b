// The page on which a signer approves: it opens what the handle in its address names, shows it, and seals the decision to the SAM.
import { forProvider, missingIn, now, readApproval, reasonOf, retryOf, seal, stops, type Approvable, type Stop } from './approval.ts';
import { idleEnd, idleWarning, lastMinute, onInput, readSite, takeHandle } from './arrival.ts';
import { Service } from './service.ts';
import type { Site } from './site.ts';
import { catalogues, preferred, text, type Key } from './texts.ts';
import { lockValues, say, setBusy, showForm, showGoingBack, showHeader, showLoading, showStop, type Combination, type Form } from './view.ts';

/** What was opened, as long as it can be decided. */
interface Opened extends Approvable {
  readonly service: Service;
}

class Page {
  #language = preferred(navigator.languages, Object.keys(catalogues));
  #provider = '';
  #lock: Readonly<Record<string, string>> = {};
  #opened: Opened | undefined;
  #form: Form | undefined;
  #stop: readonly [Stop, Readonly<Record<string, string>>] | undefined;
  #busy = false;
  #chosen = 0;
  #lastInput = Date.now();

  async start(): Promise<void> {
    this.#header();
    showLoading(this.#language);
    const handle = takeHandle();
    try {
      const site = await readSite();
      this.#provider = site.provider;
      this.#lock = lockValues(site);
      this.#header();
      if (handle === '') return this.#end('no-handle');
      this.#opened = await this.#open(site, handle);
    } catch (error) {
      return this.#end(...reasonOf(error));
    }
    this.#show();
    setInterval(() => this.#watch(), 1000);
    onInput(() => { this.#lastInput = Date.now(); });
  }

  /** The page is left: what was entered does not wait in the browser's memory for a way back. */
  leave(): void {
    this.#form?.wipe();
    this.#opened?.service.forget();
    if (!this.#stop) this.#end('left');
  }

  async #open(site: Site, handle: string): Promise<Opened> {
    const service = new Service(site.api);
    const { ticket, transaction: encoded, sapStatement } = await service.open(handle);
    return { service, ...await readApproval(site, ticket, encoded, sapStatement) };
  }

  #header(): void {
    showHeader(this.#provider, this.#language, (language) => {
      if (this.#busy) return;
      this.#language = language;
      this.#header();
      if (this.#stop) this.#end(...this.#stop);
      else if (this.#opened) this.#show();
      document.querySelector<HTMLElement>(`#header button[lang="${language}"]`)?.focus();
    });
  }

  #end(stop: Stop, values: Readonly<Record<string, string>> = {}): void {
    this.#stop = [stop, values];
    this.#form?.wipe();
    this.#form = undefined;
    this.#opened?.service.forget();
    this.#opened = undefined;
    this.#busy = false;
    const [title, words] = stops[stop];
    const next = stop === 'told' ? 'nextDone' : forProvider.has(stop) ? 'nextClose' : 'next';
    showStop(this.#language, title, words, next, { provider: this.#provider, ...this.#lock, ...values });
  }

  #termsLanguage(site: Site): string {
    return preferred([this.#language], Object.keys(site.terms.texts));
  }

  /** The form, anew; what is typed is typed again, and terms in another language are accepted again. */
  #show({ problem, missing = [], accepted = false }: { problem?: Key; missing?: readonly (readonly [string, Key])[]; accepted?: boolean } = {}): void {
    const opened = this.#opened;
    if (!opened) return;
    const { site, transaction, combinations, deviceThumbprint } = opened;
    this.#form = showForm({
      site, transaction, combinations, deviceThumbprint, language: this.#language, termsLanguage: this.#termsLanguage(site),
      chosen: combinations[this.#chosen] ?? [], problem, missing,
    }, {
      sign: () => void this.#sign(),
      decline: () => void this.#decline(),
      choose: (combination) => {
        if (this.#busy) return;
        const ticked = this.#form?.entered().accepted ?? false;
        this.#chosen = Math.max(0, combinations.indexOf(combination));
        this.#show({ accepted: ticked });
        document.querySelector<HTMLElement>(`input[name="factors"][value="${combination.join('-')}"]`)?.focus();
      },
    }, accepted);
    if (problem || missing.length > 0) this.#form.focusAlert();
  }

  #watch(): void {
    if (!this.#opened || this.#busy) return;
    const idle = Date.now() - this.#lastInput;
    const left = this.#opened.transaction.expires - now();
    if (left <= 0) this.#end('expired');
    else if (idle >= idleEnd) this.#end('idle');
    else say(idle >= idleWarning ? text(this.#language, 'idleSoon') : left <= lastMinute ? text(this.#language, 'lastMinute') : '');
  }

  async #sign(): Promise<void> {
    const entered = this.#form?.entered();
    if (this.#busy || !this.#opened || !entered) return;
    const missing = missingIn(entered);
    if (missing.length > 0) return this.#show({ missing, accepted: entered.accepted });
    await this.#decide(entered.combination, async (opened) => {
      const message = await seal(opened, entered, this.#termsLanguage(opened.site), () => say(text(this.#language, 'busyPasskey')));
      this.#form?.wipe();
      say(text(this.#language, 'busySigning'));
      return opened.service.approve(message);
    });
  }

  async #decline(): Promise<void> {
    if (this.#busy || !this.#opened) return;
    this.#form?.wipe();
    say(text(this.#language, 'busyDeclining'));
    await this.#decide([], (opened) => opened.service.decline());
  }

  async #decide(combination: Combination, decide: (opened: Opened) => Promise<string | null>): Promise<void> {
    const opened = this.#opened;
    if (!opened) return;
    this.#busy = true;
    setBusy(true);
    try {
      const redirect = await decide(opened);
      // The application asked from elsewhere and waits there: this device goes nowhere.
      if (redirect === null) return this.#end('told');
      showGoingBack(this.#language);
      say(text(this.#language, 'goingBack'));
      // Not a step of the browser's history: nobody comes back to an approval that was given.
      location.replace(redirect);
    } catch (error) {
      // Left meanwhile: the page says so already.
      if (this.#opened !== opened) return;
      this.#busy = false;
      setBusy(false);
      say('');
      const problem = retryOf(error, combination);
      if (problem) this.#show({ problem, accepted: true });
      else this.#end(...reasonOf(error));
      this.#lastInput = Date.now();
    }
  }
}

const page = new Page();
addEventListener('pagehide', () => page.leave());
void page.start();
