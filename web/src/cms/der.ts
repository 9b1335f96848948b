// DER (ITU-T X.690), as much as a CMS needs.
import { concatenate, same, type Octets } from '../sap/octets.ts';

export function element(tag: number, ...parts: readonly Octets[]): Octets {
  const content = concatenate(parts);
  const length: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = content.length < 128 ? [content.length] : [0x80 + length.length, ...length];
  return concatenate([Uint8Array.of(tag, ...head), content]);
}

export const sequence = (...parts: readonly Octets[]): Octets => element(0x30, ...parts);
export const octetString = (octets: Octets): Octets => element(0x04, octets);

/** SET OF: its elements in ascending order. */
export const setOf = (...parts: readonly Octets[]): Octets => element(0x31, ...[...parts].sort((left, right) => {
  for (let at = 0; at < Math.min(left.length, right.length); at += 1) if (left[at] !== right[at]) return (left[at] ?? 0) - (right[at] ?? 0);
  return left.length - right.length;
}));

export function oid(dotted: string): Octets {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const octets = [first * 40 + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) groups.unshift(128 + (left % 128));
    return groups;
  });
  return element(0x06, Uint8Array.from(octets));
}

export interface Element {
  readonly tag: number;
  /** Tag, length and content. */
  readonly whole: Octets;
  readonly content: Octets;
}

/** The elements of a content, one after the other; throws for anything that is not DER. */
export function elementsOf(octets: Octets): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < octets.length;) {
    const tag = octets[at] ?? 0;
    let length = octets[at + 1] ?? 0xff;
    let start = at + 2;
    if ((tag & 31) === 31 || length === 0x80 || length > 0x84) throw new Error('no DER');
    if (length > 0x80) {
      const count = length - 0x80;
      length = 0;
      for (const octet of octets.subarray(start, start + count)) length = length * 256 + octet;
      start += count;
    }
    if (start + length > octets.length) throw new Error('no DER');
    const content = octets.slice(start, start + length);
    const whole = octets.slice(at, start + length);
    if (!same(element(tag, content), whole)) throw new Error('no DER');
    found.push({ tag, whole, content });
    at = start + length;
  }
  return found;
}

/** The only element, which has this tag. */
export function only(octets: Octets, tag: number): Element {
  const [found, more] = elementsOf(octets);
  if (!found || more || found.tag !== tag) throw new Error('no DER of its kind');
  return found;
}
