// The syntax of PDF objects (ISO 32000-1, 7.3), read with the places of the bytes: what is written again is a copy of what was there.
import type { Octets } from '../sap/octets.ts';

export type Value = { readonly of: Octets; readonly start: number; readonly end: number } & (
  | { readonly kind: 'dictionary'; readonly members: ReadonlyMap<string, Value>; readonly keys: ReadonlyMap<string, string> }
  | { readonly kind: 'array'; readonly items: readonly Value[] }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'reference'; readonly number: number; readonly generation: number }
  | { readonly kind: 'string'; readonly content: string }
  | { readonly kind: 'word'; readonly word: string });
export type Dictionary = Extract<Value, { kind: 'dictionary' }>;
export type Reference = Extract<Value, { kind: 'reference' }>;

/** Why a document cannot be signed faithfully. */
export type Fault = 'not-pdf' | 'too-large' | 'encrypted' | 'certified' | 'dynamic-form' | 'damaged';

export class NotSignable extends Error {
  readonly fault: Fault;

  constructor(fault: Fault, detail: string) {
    super(detail);
    this.fault = fault;
  }
}

export const damaged = (detail: string): NotSignable => new NotSignable('damaged', detail);

const maxDepth = 64;
const isSpace = (octet: number | undefined): boolean => octet === 0 || octet === 9 || octet === 10 || octet === 12 || octet === 13 || octet === 32;
const isDelimiter = (octet: number | undefined): boolean => octet !== undefined && '()<>[]{}/%'.includes(String.fromCharCode(octet));
const isRegular = (octet: number | undefined): boolean => octet !== undefined && !isSpace(octet) && !isDelimiter(octet);

/** Each octet as the character of its number. */
export function latin1(octets: Octets, start = 0, end = octets.length): string {
  let text = '';
  for (let at = start; at < end; at += 8192) text += String.fromCharCode(...octets.subarray(at, Math.min(end, at + 8192)));
  return text;
}

export const fromLatin1 = (text: string): Octets => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** The bytes of a value, as they stand in their file. */
export const source = (value: Value): string => latin1(value.of, value.start, value.end);

export class Reader {
  readonly octets: Octets;
  at: number;

  constructor(octets: Octets, at = 0) {
    this.octets = octets;
    this.at = at;
  }

  skip(): void {
    for (;;) {
      while (isSpace(this.octets[this.at])) this.at += 1;
      if (this.octets[this.at] !== 0x25) return;
      while (this.at < this.octets.length && this.octets[this.at] !== 10 && this.octets[this.at] !== 13) this.at += 1;
    }
  }

  /** The regular characters from here on; '' at a delimiter or at the end. */
  word(): string {
    this.skip();
    const start = this.at;
    while (isRegular(this.octets[this.at])) this.at += 1;
    if (this.at - start > 128) throw damaged('a word is too long');
    return latin1(this.octets, start, this.at);
  }

  expect(wanted: string): void {
    const found = this.word();
    if (found !== wanted) throw damaged(`${wanted} is missing`);
  }

  whole(): number {
    const word = this.word();
    if (!/^[0-9]{1,10}$/.test(word)) throw damaged('a number is missing');
    return Number(word);
  }

  value(depth = 0): Value {
    if (depth > maxDepth) throw damaged('objects nest too deeply');
    this.skip();
    const start = this.at;
    const place = { of: this.octets, start };
    switch (this.octets[start]) {
      case 0x3c: return this.octets[start + 1] === 0x3c ? this.#dictionary(start, depth) : this.#hexadecimal(start);
      case 0x5b: {
        this.at += 1;
        const items: Value[] = [];
        for (this.skip(); this.octets[this.at] !== 0x5d; this.skip()) items.push(this.value(depth + 1));
        this.at += 1;
        return { ...place, kind: 'array', items, end: this.at };
      }
      case 0x2f: return { ...place, kind: 'name', name: this.#name(), end: this.at };
      case 0x28: return { ...place, kind: 'string', content: this.#literal(), end: this.at };
      default: break;
    }
    const word = this.word();
    if (/^[0-9]{1,10}$/.test(word)) {
      const after = this.at;
      const second = this.word();
      if (/^[0-9]{1,5}$/.test(second) && this.word() === 'R') return { ...place, kind: 'reference', number: Number(word), generation: Number(second), end: this.at };
      this.at = after;
    }
    if (/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$/.test(word)) return { ...place, kind: 'number', number: Number(word), end: this.at };
    if (word === 'true' || word === 'false' || word === 'null') return { ...place, kind: 'word', word, end: this.at };
    throw damaged('no object where one must be');
  }

  #dictionary(start: number, depth: number): Dictionary {
    this.at += 2;
    const members = new Map<string, Value>();
    const keys = new Map<string, string>();
    for (this.skip(); this.octets[this.at] !== 0x3e; this.skip()) {
      if (this.octets[this.at] !== 0x2f) throw damaged('a dictionary without a name');
      const from = this.at;
      const name = this.#name();
      // Readers differ about which of two counts.
      if (members.has(name)) throw damaged('a dictionary that holds a name twice');
      keys.set(name, latin1(this.octets, from, this.at));
      members.set(name, this.value(depth + 1));
    }
    if (this.octets[this.at + 1] !== 0x3e) throw damaged('a dictionary without an end');
    this.at += 2;
    return { kind: 'dictionary', members, keys, of: this.octets, start, end: this.at };
  }

  #name(): string {
    const start = this.at;
    this.at += 1;
    while (isRegular(this.octets[this.at])) this.at += 1;
    return latin1(this.octets, start + 1, this.at).replaceAll(/#([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  }

  #hexadecimal(start: number): Value {
    const end = this.octets.indexOf(0x3e, start);
    if (end < 0) throw damaged('a string without an end');
    this.at = end + 1;
    let digits = '';
    for (let at = start + 1; at < end; at += 1) {
      if (isSpace(this.octets[at])) continue;
      const digit = String.fromCharCode(this.octets[at] ?? 0);
      if (!/[0-9A-Fa-f]/.test(digit)) throw damaged('a string that is not hexadecimal');
      digits += digit;
    }
    const content = (digits.length % 2 ? `${digits}0` : digits).replaceAll(/../g, (pair) => String.fromCharCode(Number.parseInt(pair, 16)));
    return { kind: 'string', content, of: this.octets, start, end: this.at };
  }

  #literal(): string {
    const named: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
    let content = '';
    let depth = 0;
    for (; this.at < this.octets.length; this.at += 1) {
      const letter = String.fromCharCode(this.octets[this.at] ?? 0);
      if (letter === '\\') {
        const octal = /^[0-7]{1,3}/.exec(latin1(this.octets, this.at + 1, Math.min(this.octets.length, this.at + 4)))?.[0];
        const next = String.fromCharCode(this.octets[this.at + 1] ?? 0);
        if (octal) content += String.fromCharCode(Number.parseInt(octal, 8) & 255);
        else if (next !== '\n' && next !== '\r') content += named[next] ?? next;
        this.at += octal ? octal.length : 1;
        continue;
      }
      if (letter === '(' && depth++ === 0) continue;
      if (letter === ')' && --depth === 0) {
        this.at += 1;
        return content;
      }
      content += letter;
    }
    throw damaged('a string without an end');
  }
}
