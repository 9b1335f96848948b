// What is particular to *sign a document*: choosing it, looking at it, and saving it when it is signed.
import { element } from './dom.ts';
import type { Octets } from './sap/octets.ts';
import { text, type Key } from './texts.ts';
import { grouped, main } from './view.ts';

export interface LookedAt {
  readonly name: string;
  readonly size: number;
  readonly pages: number;
  readonly digest: Octets;
  /** Of the bytes that were read, as application/pdf. */
  readonly url: string;
}

export function showChoice(language: string, fault: Key | undefined, choose: (file: File) => void): void {
  const input = element('input', { type: 'file', id: 'file', accept: 'application/pdf,.pdf', 'aria-describedby': 'file-help' });
  input.addEventListener('change', () => {
    const [file] = input.files ?? [];
    if (file) choose(file);
  });
  main().replaceChildren(...[
    fault ? element('div', { class: 'alert', role: 'alert', id: 'alert', tabindex: '-1' }, element('h2', {}, text(language, 'faultTitle')), element('p', {}, text(language, fault))) : undefined,
    element('h1', { tabindex: '-1' }, text(language, 'chooseTitle')), element('p', { class: 'lead' }, text(language, 'chooseLead')),
    element('div', { class: 'field' }, element('label', { for: 'file' }, text(language, 'chooseFile')), input, element('p', { class: 'help', id: 'file-help' }, text(language, 'chooseHelp'))),
  ].filter((part) => part !== undefined));
}

export function showLook(language: string, { name, size, pages, digest, url }: LookedAt, acts: { readonly goOn: () => void; readonly other: () => void }): void {
  const rows: [Key, string][] = [
    ['lookName', name], ['lookSize', text(language, 'sizeBytes', { size: size.toLocaleString(language) })], ['lookPages', String(pages)],
  ];
  const goOn = element('button', { type: 'button', class: 'main', id: 'go-on' }, text(language, 'goOn'));
  const other = element('button', { type: 'button', id: 'other' }, text(language, 'chooseOther'));
  goOn.addEventListener('click', acts.goOn);
  other.addEventListener('click', acts.other);
  main().replaceChildren(
    element('h1', { tabindex: '-1' }, text(language, 'lookTitle')), element('p', { class: 'lead' }, text(language, 'lookLead')),
    element('dl', {}, ...rows.flatMap(([term, value]) => [element('dt', {}, text(language, term)), element('dd', {}, value)]),
      element('dt', {}, text(language, 'digestOf', { hash: 'SHA-256' })), element('dd', { class: 'digest' }, grouped(digest))),
    element('p', {}, element('a', { id: 'look', href: url, target: '_blank', rel: 'noopener noreferrer' }, text(language, 'lookOpen'))),
    element('div', { class: 'acts' }, goOn, other));
}

export function showDone(language: string, { name, url }: { readonly name: string; readonly url: string }): void {
  const heading = element('h1', { tabindex: '-1' }, text(language, 'doneTitle'));
  main().replaceChildren(heading, element('p', { class: 'lead' }, text(language, 'doneLead')),
    element('p', {}, element('a', { id: 'save', href: url, download: name }, text(language, 'doneSave'))), element('p', {}, text(language, 'doneClose')));
  document.title = text(language, 'doneTitle');
  heading.focus();
}
