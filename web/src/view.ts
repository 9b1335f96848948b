// What the signer sees. Every value comes from T as it was parsed: approve.ts encodes the same object again to compute what is approved.
import { element } from './dom.ts';
import { hex } from './sap/octets.ts';
import { hashNames, type Document, type Transaction } from './sap/transaction.ts';
import type { FactorType, Site } from './site.ts';
import { catalogues, text, type Key } from './texts.ts';

export type Combination = readonly FactorType[];

/** What the signer typed, chose and ticked. */
export interface Entered {
  readonly combination: Combination;
  readonly accepted: boolean;
  /** First to the identity provider: nothing else is asked for yet. */
  readonly leaves: boolean;
  /** Or the signerpass. */
  readonly pin: string;
  readonly totp: string;
}

export interface Form {
  readonly entered: () => Entered;
  /** PIN and code leave the page. */
  readonly wipe: () => void;
  readonly focusAlert: () => void;
}

export interface Shown {
  readonly site: Site;
  readonly transaction: Transaction;
  readonly combinations: readonly Combination[];
  readonly deviceThumbprint: string;
  readonly language: string;
  /** Of the languages in which there are terms. */
  readonly termsLanguage: string;
  readonly chosen: Combination;
  /** The signer is back from the identity provider. */
  readonly identified: boolean;
  /** What went wrong before, if anything. */
  readonly problem: Key | undefined;
  /** What is missing in the form: the field's id and the text. */
  readonly missing: readonly (readonly [field: string, complaint: Key])[];
}

export interface Acts {
  readonly sign: () => void;
  readonly decline: () => void;
  readonly choose: (combination: Combination) => void;
}

const choiceNames: Readonly<Record<string, Key>> = {
  'pin totp': 'choosePinTotp', 'pin passkey': 'choosePinPasskey', passkey: 'choosePasskey', 'pin id-token': 'choosePinIdentity',
  'signerpass totp': 'chooseSignerpassTotp', 'signerpass passkey': 'chooseSignerpassPasskey', 'signerpass id-token': 'chooseSignerpassIdentity',
};
export const asksSecret = (combination: Combination): boolean => combination.includes('pin') || combination.includes('signerpass');
/** From so many documents the list scrolls by itself. */
const manyDocuments = 6;

export const main = (): HTMLElement => document.getElementById('main') ?? document.body;

export function showHeader(provider: string, language: string, choose: (language: string) => void, title: Key = 'pageTitle'): void {
  document.documentElement.lang = language;
  document.title = text(language, title);
  const buttons = Object.entries(catalogues).map(([code, { languageName }]) => {
    const button = element('button', { type: 'button', lang: code, 'aria-pressed': String(code === language) }, languageName);
    button.addEventListener('click', () => choose(code));
    return button;
  });
  document.getElementById('header')?.replaceChildren(
    element('span', { class: 'provider' }, element('img', { src: 'icon.svg', alt: '', width: '28', height: '28' }), provider),
    element('nav', { class: 'languages', 'aria-label': text(language, 'chooseLanguage') }, ...buttons),
  );
}

export function say(words: string): void {
  const status = document.getElementById('status');
  if (status && status.textContent !== words) status.textContent = words;
}

export function showLoading(language: string): void {
  main().replaceChildren(element('p', {}, text(language, 'loading')));
}

/** The end: what happened, and what to do next. */
export function showStop(language: string, title: Key, words: Key, next: Key, values: Readonly<Record<string, string>>): void {
  say('');
  const heading = element('h1', { tabindex: '-1' }, text(language, title, values));
  main().replaceChildren(heading, element('p', {}, text(language, words, values)), element('p', {}, text(language, next)));
  document.title = text(language, title, values);
  heading.focus();
}

export function showGoingBack(language: string): void {
  main().replaceChildren(element('p', {}, text(language, 'goingBack')));
}

export function showLeaving(language: string, idp: string): void {
  main().replaceChildren(element('p', {}, text(language, 'goingToIdentity', { idp })));
}

/** What texts say of the deployment. */
export const siteValues = ({ lock, identityProvider }: Site): Readonly<Record<string, string>> => ({
  failures: String(lock.failures), minutes: String(lock.minutes), idp: identityProvider?.name ?? '',
});

/** Eight digits at a time, as people compare them. */
export const grouped = (octets: Uint8Array<ArrayBuffer>): HTMLElement =>
  element('code', {}, ...(hex(octets).match(/.{1,8}/g) ?? []).flatMap((group) => [element('span', {}, group), ' ']));

function documentItem(shown: Document, hash: string, language: string): HTMLElement {
  return element('li', {},
    element('span', { class: 'label' }, shown.label || text(language, 'unnamed')),
    element('div', { class: 'digest' }, text(language, 'digestOf', { hash }), grouped(shown.digest)));
}

function documentList({ transaction, language }: Shown): HTMLElement {
  const many = transaction.documents.length > manyDocuments;
  const hash = hashNames[transaction.hash] ?? '';
  return element('ol', { class: many ? 'documents many' : 'documents', ...(many ? { tabindex: '0', role: 'list', 'aria-label': text(language, 'documents') } : {}) },
    ...transaction.documents.map((shown) => documentItem(shown, hash, language)));
}

function details({ site, transaction, deviceThumbprint, language }: Shown): HTMLElement {
  const until = new Intl.DateTimeFormat(language, { dateStyle: 'long', timeStyle: 'medium' }).format(transaction.expires * 1000);
  const rows: [Key, string][] = [
    ['detailApplication', `${transaction.clientName} (${transaction.clientId})`], ['detailSigner', transaction.signer], ['detailKey', transaction.key],
    ['detailProfile', transaction.profile], ['detailUntil', until], ['detailDevice', `${site.provider}: ${deviceThumbprint}`],
  ];
  return element('details', {}, element('summary', {}, text(language, 'detailsTitle')),
    element('dl', {}, ...rows.flatMap(([name, value]) => [element('dt', {}, text(language, name)), element('dd', {}, value)])));
}

function alert({ site, problem, missing, language }: Shown): HTMLElement | undefined {
  if (!problem && missing.length === 0) return undefined;
  const list = missing.map(([field, complaint]) => {
    const link = element('a', { href: `#${field}` }, text(language, complaint));
    // To the field, and not into the address of the page: it names nothing.
    link.addEventListener('click', (event) => {
      event.preventDefault();
      document.getElementById(field)?.focus();
    });
    return element('li', {}, link);
  });
  return element('div', { class: 'alert', role: 'alert', id: 'alert', tabindex: '-1' },
    element('h2', {}, text(language, problem ? 'retryTitle' : 'fixTitle')), problem ? element('p', {}, text(language, problem, siteValues(site))) : element('ul', {}, ...list));
}

function field(shown: Shown, id: string, label: Key, help: Key | undefined, attributes: Readonly<Record<string, string>>): { box: HTMLElement; input: HTMLInputElement } {
  const complaint = shown.missing.find(([name]) => name === id)?.[1];
  const described = [help ? `${id}-help` : '', complaint ? `${id}-complaint` : ''].filter(Boolean).join(' ');
  const input = element('input', {
    id, name: id, maxlength: '256', spellcheck: 'false', autocapitalize: 'none', 'aria-required': 'true', ...attributes,
    ...(described ? { 'aria-describedby': described } : {}), ...(complaint ? { 'aria-invalid': 'true' } : {}),
  });
  const box = element('div', { class: 'field' }, element('label', { for: id }, text(shown.language, label)), input,
    help ? element('p', { class: 'help', id: `${id}-help` }, text(shown.language, help)) : undefined,
    complaint ? element('p', { class: 'complaint', id: `${id}-complaint` }, text(shown.language, complaint)) : undefined);
  return { box, input };
}

function choices({ site, combinations, chosen, identified, language }: Shown, acts: Acts): HTMLElement | undefined {
  if (combinations.length < 2 || identified) return undefined;
  return element('fieldset', {}, element('legend', {}, text(language, 'chooseFactors')), ...combinations.map((combination) => {
    const radio = element('input', { type: 'radio', name: 'factors', value: combination.join('-'), checked: combination === chosen });
    radio.addEventListener('change', () => acts.choose(combination));
    const name = choiceNames[combination.join(' ')];
    return element('label', { class: 'choice' }, radio, element('span', {}, name ? text(language, name, siteValues(site)) : combination.join(', ')));
  }));
}

export function showForm(shown: Shown, acts: Acts, accepted: boolean): Form {
  const { site, transaction, language, termsLanguage, chosen, identified } = shown;
  const count = transaction.documents.length;
  const asked = text(language, count === 1 ? 'askOne' : 'askMany', { client: transaction.clientName, count: String(count) });

  const unaccepted = shown.missing.find(([name]) => name === 'accept')?.[1];
  const tick = element('input', {
    type: 'checkbox', id: 'accept', checked: accepted, 'aria-required': 'true',
    ...(unaccepted ? { 'aria-invalid': 'true', 'aria-describedby': 'accept-complaint' } : {}),
  });
  const byIdentity = chosen.includes('id-token');
  const leaves = byIdentity && !identified;
  const pin = asksSecret(chosen) && !leaves ? field(shown, 'pin', chosen.includes('pin') ? 'pin' : 'signerpass', undefined, { type: 'password', autocomplete: 'off', inputmode: 'text' }) : undefined;
  const totp = chosen.includes('totp') && !leaves ? field(shown, 'totp', 'totp', 'totpHelp', { type: 'text', autocomplete: 'one-time-code', inputmode: 'numeric' }) : undefined;

  const form = element('form', { novalidate: true },
    element('h2', {}, text(language, 'termsTitle')),
    element('p', { class: 'help', id: 'terms-name' }, text(language, 'termsName', { id: site.terms.id, version: site.terms.version })),
    element('div', { class: 'terms', tabindex: '0', role: 'region', 'aria-labelledby': 'terms-name', lang: termsLanguage }, site.terms.texts[termsLanguage] ?? ''),
    element('label', { class: 'choice' }, tick, element('span', {}, text(language, 'accept'))),
    unaccepted ? element('p', { class: 'complaint', id: 'accept-complaint' }, text(language, unaccepted)) : undefined,
    element('h2', {}, text(language, 'confirmTitle')),
    choices(shown, acts), byIdentity ? element('p', {}, text(language, leaves ? 'identityNext' : 'identityDone', siteValues(site))) : undefined, pin?.box, totp?.box,
    chosen.includes('passkey') ? element('p', {}, text(language, 'passkeyHelp')) : undefined,
    pin ? element('p', { class: 'help' }, text(language, 'sealed', { provider: site.provider })) : undefined,
    element('div', { class: 'acts' },
      element('button', { type: 'submit', class: 'main', id: 'sign' }, text(language, leaves ? 'identitySign' : 'sign', siteValues(site))), element('button', { type: 'button', id: 'decline' }, text(language, 'decline'))));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    acts.sign();
  });
  form.querySelector('#decline')?.addEventListener('click', acts.decline);

  main().replaceChildren(...[
    alert(shown), element('h1', {}, asked), element('p', { class: 'lead' }, text(language, 'before')),
    element('h2', {}, count === 1 ? text(language, 'documents') : `${text(language, 'documents')} (${count})`), documentList(shown), element('p', { class: 'help' }, text(language, 'digestHelp')),
    element('h2', {}, text(language, 'meaningTitle')), element('p', {}, text(language, 'meaning')), details(shown), form,
  ].filter((part) => part !== undefined));
  return {
    entered: () => ({ combination: chosen, accepted: tick.checked, leaves, pin: pin?.input.value ?? '', totp: totp?.input.value.replace(/\s/g, '') ?? '' }),
    wipe: () => { for (const input of [pin?.input, totp?.input]) if (input) input.value = ''; },
    focusAlert: () => document.getElementById('alert')?.focus(),
  };
}

/** While something is under way nothing can be pressed twice. */
export function setBusy(busy: boolean): void {
  for (const button of document.querySelectorAll<HTMLElement>('main button, main input')) {
    if (busy) button.setAttribute('aria-disabled', 'true');
    else button.removeAttribute('aria-disabled');
    if (button instanceof HTMLInputElement) button.readOnly = busy;
  }
  main().setAttribute('aria-busy', String(busy));
}
