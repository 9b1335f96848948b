// The page on which a signer approves: it opens what the handle in its address names, shows it, and seals the decision to the SAM.
import { forProvider, missingIn, nonceFor, now, readApproval, reasonOf, retryOf, seal, stops, type Approvable, type Stop } from './approval.ts';
import { idleEnd, idleWarning, lastMinute, onInput, readSite, takeArrival } from './arrival.ts';
import { answers, Changed, checkAddress, hasLeft, keepLeft, keeps, type Answer, type Left } from './identity.ts';
import { Refusal, Service } from './service.ts';
import type { Site } from './site.ts';
import { catalogues, preferred, text, type Key } from './texts.ts';
import { say, setBusy, showForm, showGoingBack, showHeader, showLeaving, showLoading, showStop, siteValues, type Combination, type Entered, type Form } from './view.ts';

/** What was opened, as long as it can be decided. */
interface Opened extends Approvable {
  readonly service: Service;
}

class Page {
  #language = preferred(navigator.languages, Object.keys(catalogues));
  #provider = '';
  #values: Readonly<Record<string, string>> = {};
  #opened: Opened | undefined;
  /** What the identity provider said of what was shown with the terms in this language; good for one message. */
  #identity: { readonly token: string; readonly language: string } | undefined;
  #form: Form | undefined;
  #stop: readonly [Stop, Readonly<Record<string, string>>] | undefined;
  #busy = false;
  #going = false;
  #chosen = 0;
  #lastInput = Date.now();

  async start(): Promise<void> {
    this.#header();
    showLoading(this.#language);
    const arrival = takeArrival();
    let problem: Key | undefined;
    try {
      const site = await readSite();
      this.#provider = site.provider;
      this.#values = siteValues(site);
      this.#header();
      if (arrival.kind === 'nothing') return this.#end('no-handle');
      if (arrival.kind === 'foreign') return this.#end('foreign');
      if (arrival.kind === 'left') {
        if (arrival.left.expires <= now()) return this.#end('expired');
        problem = await this.#return(site, arrival.left, arrival.answer);
      } else {
        this.#opened = await this.#open(site, arrival.handle);
      }
    } catch (error) {
      return this.#end(...reasonOf(error));
    }
    this.#show({ problem, accepted: arrival.kind === 'left' });
    setInterval(() => this.#watch(), 1000);
    onInput(() => { this.#lastInput = Date.now(); });
  }

  /** The page is left: what was entered does not wait in the browser's memory for a way back. */
  leave(): void {
    this.#form?.wipe();
    this.#opened?.service.forget();
    if (!this.#stop && !this.#going) this.#end('left');
  }

  /** The browser kept the page while its signer was at the identity provider, and he came back without an answer: it begins anew. */
  again(): void {
    if (this.#going && hasLeft()) location.reload();
  }

  async #open(site: Site, handle: string): Promise<Opened> {
    const service = new Service(site.api);
    const { ticket, transaction: encoded, sapStatement } = await service.open(handle);
    return { service, ...await readApproval(site, ticket, encoded, sapStatement) };
  }

  /** From the identity provider, or from the way there: what is shown now is what was shown then. Gives what went wrong, if the signer may try again. */
  async #return(site: Site, left: Left, answer: Answer | undefined): Promise<Key | undefined> {
    const opened = await this.#open(site, left.handle);
    if (await nonceFor(opened, left.language) !== left.nonce) throw new Changed();
    this.#opened = opened;
    this.#chosen = Math.max(0, opened.combinations.findIndex((combination) => combination.join('-') === left.combination));
    if (left.language in catalogues) this.#language = left.language;
    this.#header();
    if (!answer) return undefined;
    if ('declined' in answer) return answer.declined ? 'retryIdentityDeclined' : 'retryIdentityFailed';
    if (answer.issuer !== undefined && answer.issuer !== site.identityProvider?.issuer) return 'retryIdentityFailed';
    try {
      const token = await opened.service.finishLogin({ handle: left.handle, state: left.state, ...answer });
      if (!answers(token, left.nonce)) throw new Changed();
      this.#identity = { token, language: left.language };
      return undefined;
    } catch (error) {
      if (error instanceof Refusal && (error.reason === 'not-confirmed' || error.reason === 'no-answer' || error.reason === 'unavailable')) return 'retryIdentityFailed';
      throw error;
    }
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
    this.#identity = undefined;
    this.#busy = false;
    const [title, words] = stops[stop];
    const next = stop === 'told' ? 'nextDone' : forProvider.has(stop) ? 'nextClose' : 'next';
    showStop(this.#language, title, words, next, { provider: this.#provider, ...this.#values, ...values });
  }

  #termsLanguage(site: Site): string {
    return this.#identity?.language ?? preferred([this.#language], Object.keys(site.terms.texts));
  }

  /** The form, anew; what is typed is typed again, and terms in another language are accepted again. */
  #show({ problem, missing = [], accepted = false }: { problem?: Key | undefined; missing?: readonly (readonly [string, Key])[]; accepted?: boolean } = {}): void {
    const opened = this.#opened;
    if (!opened) return;
    const { site, transaction, combinations, deviceThumbprint } = opened;
    this.#form = showForm({
      site, transaction, combinations, deviceThumbprint, language: this.#language, termsLanguage: this.#termsLanguage(site),
      chosen: combinations[this.#chosen] ?? [], identified: this.#identity !== undefined, problem, missing,
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
    if (entered.leaves) return this.#goToProvider(this.#opened, entered);
    await this.#decide(entered.combination, async (opened) => {
      const message = await seal(opened, entered, {
        termsLanguage: this.#termsLanguage(opened.site), idToken: this.#identity?.token, askingPasskey: () => say(text(this.#language, 'busyPasskey')),
      });
      this.#form?.wipe();
      this.#identity = undefined;
      say(text(this.#language, 'busySigning'));
      return opened.service.approve(message);
    });
  }

  /** The signer confirms at the identity provider what stands here; the window goes there and comes back. */
  async #goToProvider(opened: Opened, { combination }: Entered): Promise<void> {
    const { identityProvider } = opened.site;
    if (!identityProvider) return this.#end('another-provider');
    if (!keeps()) return this.#show({ problem: 'retryIdentityStorage', accepted: true });
    this.#busy = true;
    setBusy(true);
    try {
      const language = this.#termsLanguage(opened.site);
      const nonce = await nonceFor(opened, language);
      const { address, handle } = await opened.service.beginLogin(nonce);
      const state = checkAddress(address, identityProvider, nonce, location.origin + location.pathname);
      if (this.#opened !== opened) return;
      keepLeft({ handle, state, nonce, language, combination: combination.join('-'), expires: opened.transaction.expires });
      this.#going = true;
      this.#opened = undefined;
      showLeaving(this.#language, identityProvider.name);
      say(text(this.#language, 'goingToIdentity', { idp: identityProvider.name }));
      location.assign(address);
    } catch (error) {
      if (this.#opened !== opened) return;
      this.#busy = false;
      setBusy(false);
      if (error instanceof Refusal && error.reason === 'unavailable') this.#show({ problem: 'retryUnavailable', accepted: true });
      else this.#end(...reasonOf(error));
    }
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
addEventListener('pageshow', ({ persisted }) => { if (persisted) page.again(); });
void page.start();
