// The page on which a signer approves: it opens what the handle in its address names, shows it, and seals the decision to the SAM.
import { askPasskey, NoPasskey } from './passkey.ts';
import { bindingDigest, consentDigest } from './sap/binding.ts';
import { sealMessage, type Factor } from './sap/message.ts';
import { parseBase64url, same } from './sap/octets.ts';
import { AnotherSam, thumbprint, Untimely, verifyStatement } from './sap/statement.ts';
import { encodeTransaction, NotATransaction, parseTransaction, type Transaction } from './sap/transaction.ts';
import { Refusal, Service, type Reason } from './service.ts';
import { parseSite, type Site } from './site.ts';
import { catalogues, preferred, text, type Key } from './texts.ts';
import { lockValues, say, setBusy, showForm, showGoingBack, showHeader, showLoading, showStop, type Combination, type Entered, type Form } from './view.ts';

/** What the signer did (api/sap/README.md, 3): ticked that the terms are accepted, and pressed the button. */
const act = 'pressed-sign';
/** A ticket lives 5 minutes at most; one minute for clocks that differ. */
const longestLife = 360;
const idleEnd = 120000;
const idleWarning = 90000;
const lastMinute = 60;

const stops = {
  'no-handle': ['stopNoHandleTitle', 'stopNoHandle'], 'link-used': ['stopLinkUsedTitle', 'stopLinkUsed'], locked: ['stopLockedTitle', 'stopLocked'],
  expired: ['stopExpiredTitle', 'stopExpired'], idle: ['stopIdleTitle', 'stopIdle'], finished: ['stopFinishedTitle', 'stopFinished'],
  answered: ['stopAnsweredTitle', 'stopAnswered'], limit: ['stopLimitTitle', 'stopLimit'], refused: ['stopRefusedTitle', 'stopRefused'],
  unavailable: ['stopUnavailableTitle', 'stopUnavailable'], 'no-answer': ['stopUnavailableTitle', 'stopUnavailable'],
  'another-device': ['stopOtherDeviceTitle', 'stopOtherDevice'], clock: ['stopClockTitle', 'stopClock'], unreadable: ['stopUnreadableTitle', 'stopUnreadable'],
  profile: ['stopProfileTitle', 'stopProfile'], left: ['stopLeftTitle', 'stopLeft'], told: ['stopToldTitle', 'stopTold'],
} as const satisfies Record<string, readonly [Key, Key]>;
type Stop = keyof typeof stops;
/** What beginning again would not mend. */
const forProvider: ReadonlySet<Stop> = new Set<Stop>(['another-device', 'unreadable', 'profile']);

/** What was opened, as long as it can be decided. */
interface Opened {
  readonly site: Site;
  readonly service: Service;
  readonly transaction: Transaction;
  readonly ticket: string;
  readonly statement: string;
  readonly combinations: readonly Combination[];
  readonly deviceThumbprint: string;
}

const now = (): number => Math.floor(Date.now() / 1000);

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
    // The handle is good for one exchange and for this page alone: nothing that looks at the address later finds it.
    const handle = location.hash.slice(1);
    history.replaceState(null, '', location.pathname);
    try {
      const answer = await fetch('site.json', { cache: 'no-store', credentials: 'omit' });
      const site = parseSite(await answer.json());
      this.#provider = site.provider;
      this.#lock = lockValues(site);
      this.#header();
      if (handle === '') return this.#end('no-handle');
      this.#opened = await this.#open(site, handle);
    } catch (error) {
      return this.#end(...this.#reasonOf(error));
    }
    this.#show();
    setInterval(() => this.#watch(), 1000);
    for (const event of ['keydown', 'pointerdown', 'pointermove', 'scroll'] as const) {
      addEventListener(event, () => { this.#lastInput = Date.now(); }, { passive: true, capture: true });
    }
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
    await verifyStatement(sapStatement, site.samIdentity, now());
    const octets = parseBase64url(encoded);
    const transaction = parseTransaction(octets);
    if (!same(encodeTransaction(transaction), octets)) throw new NotATransaction('T has another form than its one');
    if (transaction.expires <= now()) throw new Refusal('expired');
    if (transaction.expires > now() + longestLife) throw new Untimely('T lasts longer than it may');
    const combinations = site.factors[transaction.profile];
    if (!combinations) throw new UnknownProfile(transaction.profile);
    return { site, service, transaction, ticket, statement: sapStatement, combinations, deviceThumbprint: await thumbprint(site.samIdentity) };
  }

  #reasonOf(error: unknown): [Stop, Readonly<Record<string, string>>?] {
    if (error instanceof Refusal) return [error.reason === 'wrong-factor' ? 'refused' : error.reason];
    if (error instanceof AnotherSam) return ['another-device'];
    if (error instanceof Untimely) return ['clock'];
    if (error instanceof UnknownProfile) return ['profile', { profile: error.profile }];
    return ['unreadable'];
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
    const missing: [string, Key][] = [];
    if (!entered.accepted) missing.push(['accept', 'needAccept']);
    if (entered.combination.includes('pin') && entered.pin === '') missing.push(['pin', 'needPin']);
    if (entered.combination.includes('totp') && !/^[0-9]{6,8}$/.test(entered.totp)) missing.push(['totp', 'needTotp']);
    if (missing.length > 0) return this.#show({ missing, accepted: entered.accepted });
    await this.#decide(entered.combination, async (opened) => {
      const message = await this.#seal(opened, entered);
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

  /** Consent and binding of what this page shows, from the transaction that it shows, and the factors: sealed to the key of the pinned SAM. */
  async #seal({ site, transaction, ticket, statement }: Opened, { combination, pin, totp }: Entered): Promise<string> {
    const encoded = encodeTransaction(transaction);
    const terms = { id: site.terms.id, version: site.terms.version, language: this.#termsLanguage(site) };
    const consent = await consentDigest(encoded, terms, act);
    const binding = await bindingDigest(encoded, consent);
    const sap = await verifyStatement(statement, site.samIdentity, now());
    const factors: Factor[] = [];
    if (combination.includes('pin')) factors.push({ type: 'pin', value: pin });
    if (combination.includes('totp')) factors.push({ type: 'totp', value: totp });
    if (combination.includes('passkey')) {
      say(text(this.#language, 'busyPasskey'));
      factors.push(await askPasskey(binding, site.rpId, transaction.expires * 1000));
    }
    return sealMessage(sap, { ticket, nonce: transaction.nonce, terms, act, consent, binding }, factors);
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
      const problem = this.#retry(error, combination);
      if (problem) this.#show({ problem, accepted: true });
      else this.#end(...this.#reasonOf(error));
      this.#lastInput = Date.now();
    }
  }

  /** What the signer may try again here. */
  #retry(error: unknown, combination: Combination): Key | undefined {
    if (error instanceof NoPasskey) return 'retryNoPasskey';
    const reason: Reason | undefined = error instanceof Refusal ? error.reason : undefined;
    if (reason === 'no-answer') return 'retryNoAnswer';
    if (reason === 'unavailable') return 'retryUnavailable';
    if (reason !== 'wrong-factor') return undefined;
    if (combination.includes('totp')) return 'retryPinTotp';
    return combination.includes('pin') ? 'retryPinPasskey' : 'retryPasskey';
  }
}

class UnknownProfile extends Error {
  readonly profile: string;

  constructor(profile: string) {
    super(profile);
    this.profile = profile;
  }
}

const page = new Page();
addEventListener('pagehide', () => page.leave());
void page.start();
