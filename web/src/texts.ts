// The words of the page, in each language that it speaks.
import { el } from './texts/el.ts';
import { en, type Catalogue, type Key } from './texts/en.ts';

export const catalogues: Readonly<Record<string, Catalogue>> = { en, el };
export type { Key };

/** The first of the reader's languages that is among these, else the first of these. */
export function preferred(wanted: readonly string[], offered: readonly string[]): string {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split('-')[0] ?? '';
    if (offered.includes(language)) return language;
  }
  return offered[0] ?? 'en';
}

/** The text of a key with its {names} filled in. */
export function text(language: string, key: Key, values: Readonly<Record<string, string>> = {}): string {
  return (catalogues[language] ?? en)[key].replace(/\{(\w+)\}/g, (whole, name: string) => values[name] ?? whole);
}
