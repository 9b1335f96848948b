// A PDF as its cross-reference sections have it (ISO 32000-1, 7.5): nothing is guessed and nothing repaired. What cannot be read so is
// not signed here.
import type { Octets } from '../sap/octets.ts';
import { damaged, latin1, NotSignable, Reader, type Dictionary, type Reference, type Value } from './syntax.ts';

/** Where an object stands: at an offset, or within a stream of objects. */
export type Entry =
  | { readonly kind: 'free' }
  | { readonly kind: 'offset'; readonly offset: number; readonly generation: number }
  | { readonly kind: 'within'; readonly stream: number; readonly index: number };

interface Section {
  readonly trailer: Dictionary;
  readonly kind: 'table' | 'stream';
  readonly entries: Map<number, Entry>;
}

export const maxFile = 64 * 1024 * 1024;
const maxDecoded = 64 * 1024 * 1024;
/** ISO 32000-1, annex C. */
const maxObjects = 8388000;
const maxSections = 1000;
const tailSize = 1054;

export const memberOf = (value: Value | undefined, name: string): Value | undefined => value?.kind === 'dictionary' ? value.members.get(name) : undefined;
const numberOf = (value: Value | undefined): number | undefined => value?.kind === 'number' && Number.isSafeInteger(value.number) && value.number >= 0 ? value.number : undefined;
const nameOf = (value: Value | undefined): string | undefined => value?.kind === 'name' ? value.name : undefined;
const isNothing = (value: Value | undefined): boolean => value === undefined || (value.kind === 'word' && value.word === 'null');

async function inflate(octets: Octets): Promise<Octets> {
  const parts: Octets[] = [];
  let length = 0;
  try {
    const reader = new Blob([octets]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > maxDecoded) throw damaged('a stream is too large');
      parts.push(new Uint8Array(value));
    }
  } catch (error) {
    throw error instanceof NotSignable ? error : damaged('a stream cannot be decompressed');
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** The PNG predictors (ISO 32000-1, 7.4.4.4), for one octet per colour and one colour. */
function unpredict(octets: Octets, columns: number): Octets {
  const rows = octets.length / (columns + 1);
  if (columns < 1 || columns > 65536 || !Number.isInteger(rows)) throw damaged('a stream of another shape than it says');
  const plain = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const kind = octets[row * (columns + 1)];
    for (let column = 0; column < columns; column += 1) {
      const here = row * columns + column;
      const left = column ? plain[here - 1] ?? 0 : 0;
      const up = row ? plain[here - columns] ?? 0 : 0;
      const corner = row && column ? plain[here - columns - 1] ?? 0 : 0;
      const [toLeft, toUp, toCorner] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
      const paeth = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
      const guess = [0, left, up, (left + up) >> 1, paeth][kind ?? 9];
      if (guess === undefined) throw damaged('a stream with an unknown predictor');
      plain[here] = (octets[row * (columns + 1) + 1 + column] ?? 0) + guess;
    }
  }
  return plain;
}

export class PdfFile {
  readonly octets: Octets;
  /** Where the newest cross-reference section begins. */
  readonly lastSection: number;
  #sections: Section[] = [];
  readonly entries = new Map<number, Entry>();
  readonly #streams = new Map<number, Promise<ReadonlyMap<number, Value>>>();

  private constructor(octets: Octets, lastSection: number) {
    this.octets = octets;
    this.lastSection = lastSection;
  }

  /** Throws NotSignable with the reason. */
  static async open(octets: Octets): Promise<PdfFile> {
    if (octets.length > maxFile) throw new NotSignable('too-large', 'more than 64 MiB');
    if (!/^%PDF-[0-9]\.[0-9]/.test(latin1(octets, 0, Math.min(8, octets.length)))) throw new NotSignable('not-pdf', 'no header');
    const start = Math.max(0, octets.length - tailSize);
    const tail = latin1(octets, start);
    const keyword = tail.lastIndexOf('startxref');
    const last = keyword < 0 ? undefined : /^startxref\s+([0-9]{1,10})\s+%%EOF\s*$/.exec(tail.slice(keyword))?.[1];
    if (last === undefined) throw damaged('the end is missing');
    const file = new PdfFile(octets, Number(last));
    await file.#readSections();
    if (!isNothing(file.trailer.members.get('Encrypt'))) throw new NotSignable('encrypted', 'encrypted');
    const highest = file.entries.size ? [...file.entries].reduce((most, [number, { kind }]) => (kind === 'free' ? most : Math.max(most, number)), 0) : 0;
    if (highest >= file.size) throw damaged('an object beyond the size');
    return file;
  }

  get trailer(): Dictionary {
    const first = this.#sections[0];
    if (!first) throw damaged('no cross-reference section');
    return first.trailer;
  }

  get sectionKind(): 'table' | 'stream' {
    return this.#sections[0]?.kind ?? 'table';
  }

  /** One more than the highest number of an object. */
  get size(): number {
    const size = numberOf(this.trailer.members.get('Size'));
    if (size === undefined || size < 1 || size > maxObjects) throw damaged('no size');
    return size;
  }

  async #readSections(): Promise<void> {
    const seen = new Set<number>();
    for (let next: number | undefined = this.lastSection; next !== undefined;) {
      if (seen.has(next) || seen.size >= maxSections) throw damaged('cross-reference sections in a circle');
      seen.add(next);
      const section = await this.#readSection(next);
      this.#sections.push(section);
      for (const [number, entry] of section.entries) if (!this.entries.has(number)) this.entries.set(number, entry);
      const previous = section.trailer.members.get('Prev');
      next = numberOf(previous);
      if (previous && next === undefined) throw damaged('no previous section');
    }
  }

  async #readSection(at: number): Promise<Section> {
    if (at >= this.octets.length) throw damaged('a section beyond the end');
    const reader = new Reader(this.octets, at);
    if (reader.word() !== 'xref') return this.#readStreamSection(at);
    const inUse = new Map<number, Entry>();
    const free = new Map<number, Entry>();
    let word = reader.word();
    for (; word !== 'trailer'; word = reader.word()) {
      if (!/^[0-9]{1,10}$/.test(word)) throw damaged('no cross-reference table');
      const [first, count] = [Number(word), reader.whole()];
      if (first + count > maxObjects) throw damaged('too many objects');
      for (let number = first; number < first + count; number += 1) {
        const [offset, generation, kind] = [reader.whole(), reader.whole(), reader.word()];
        if ((kind !== 'n' && kind !== 'f') || inUse.has(number) || free.has(number)) throw damaged('no entry of a cross-reference table');
        if (kind === 'n') inUse.set(number, { kind: 'offset', offset, generation });
        else free.set(number, { kind: 'free' });
      }
    }
    const trailer = reader.value();
    if (trailer.kind !== 'dictionary') throw damaged('no trailer');
    const hybrid = trailer.members.get('XRefStm');
    if (hybrid) {
      // 7.5.8.4: what the table hides as free stands in the stream.
      const place = numberOf(hybrid);
      if (place === undefined || place >= this.octets.length) throw damaged('no hybrid section');
      const { entries } = await this.#readStreamSection(place);
      for (const [number, entry] of entries) if (!inUse.has(number)) inUse.set(number, entry);
    }
    for (const [number, entry] of free) if (!inUse.has(number)) inUse.set(number, entry);
    return { trailer, kind: 'table', entries: inUse };
  }

  async #readStreamSection(at: number): Promise<Section> {
    const { value: trailer, data } = await this.#readStream(at, undefined);
    if (nameOf(trailer.members.get('Type')) !== 'XRef') throw damaged('no cross-reference stream');
    const widths = this.#numbers(trailer.members.get('W'));
    const [one = 0, two = 0, three = 0] = widths;
    if (widths.length !== 3 || widths.some((width) => width > 6) || two === 0) throw damaged('a cross-reference stream of unknown widths');
    const index = trailer.members.has('Index') ? this.#numbers(trailer.members.get('Index')) : [0, numberOf(trailer.members.get('Size')) ?? 0];
    const entries = new Map<number, Entry>();
    let place = 0;
    const take = (width: number): number => {
      let value = 0;
      for (let taken = 0; taken < width; taken += 1, place += 1) value = value * 256 + (data[place] ?? 0);
      return value;
    };
    for (let run = 0; run < index.length; run += 2) {
      const [first = 0, count = 0] = index.slice(run, run + 2);
      if (first + count > maxObjects || place + count * (one + two + three) > data.length) throw damaged('a cross-reference stream that is too short');
      for (let number = first; number < first + count; number += 1) {
        const [kind, second, third] = [one ? take(one) : 1, take(two), take(three)];
        if (entries.has(number) || kind > 2) throw damaged('no entry of a cross-reference stream');
        entries.set(number, kind === 0 ? { kind: 'free' } : kind === 1 ? { kind: 'offset', offset: second, generation: third } : { kind: 'within', stream: second, index: third });
      }
    }
    return { trailer, kind: 'stream', entries };
  }

  #numbers(value: Value | undefined): number[] {
    if (value?.kind !== 'array') throw damaged('no array of numbers');
    return value.items.map((item) => numberOf(item) ?? (() => { throw damaged('no number'); })());
  }

  /** Number, generation and value of the indirect object at an offset; the reader stands behind the value. */
  #objectAt(offset: number): { number: number; generation: number; value: Value; reader: Reader } {
    if (offset >= this.octets.length) throw damaged('an object beyond the end');
    const reader = new Reader(this.octets, offset);
    const [number, generation] = [reader.whole(), reader.whole()];
    reader.expect('obj');
    return { number, generation, value: reader.value(), reader };
  }

  /** A stream whose dictionary says all of it; `wanted`: its number, where it is known. */
  async #readStream(offset: number, wanted: number | undefined): Promise<{ value: Dictionary; data: Octets }> {
    const { number, value, reader } = this.#objectAt(offset);
    if (value.kind !== 'dictionary' || (wanted !== undefined && number !== wanted)) throw damaged('another object than the one referred to');
    reader.expect('stream');
    if (this.octets[reader.at] === 13) reader.at += 1;
    if (this.octets[reader.at] !== 10) throw damaged('no stream');
    const start = reader.at + 1;
    const length = numberOf(wanted === undefined ? value.members.get('Length') : await this.resolve(value.members.get('Length')));
    if (length === undefined || start + length > this.octets.length) throw damaged('a stream without a length');
    const after = new Reader(this.octets, start + length);
    after.expect('endstream');
    const raw = this.octets.slice(start, start + length);
    const filter = value.members.get('Filter');
    const only = filter?.kind === 'array' && filter.items.length === 1 ? filter.items[0] : filter;
    if (isNothing(only)) return { value, data: raw };
    if (nameOf(only) !== 'FlateDecode') throw damaged('a stream with an unknown filter');
    const parameters = value.members.get('DecodeParms');
    const own = parameters?.kind === 'array' ? parameters.items[0] : parameters;
    const predictor = numberOf(memberOf(own, 'Predictor')) ?? 1;
    const data = await inflate(raw);
    if (predictor === 1) return { value, data };
    if (predictor < 10 || (numberOf(memberOf(own, 'Colors')) ?? 1) !== 1 || (numberOf(memberOf(own, 'BitsPerComponent')) ?? 8) !== 8) throw damaged('a stream with an unknown predictor');
    return { value, data: unpredict(data, numberOf(memberOf(own, 'Columns')) ?? 1) };
  }

  #objectsIn(stream: number): Promise<ReadonlyMap<number, Value>> {
    const known = this.#streams.get(stream) ?? this.#readObjects(stream);
    this.#streams.set(stream, known);
    return known;
  }

  async #readObjects(stream: number): Promise<ReadonlyMap<number, Value>> {
    const entry = this.entries.get(stream);
    if (entry?.kind !== 'offset') throw damaged('no stream of objects');
    const { value, data } = await this.#readStream(entry.offset, stream);
    const [count, first] = [numberOf(value.members.get('N')), numberOf(value.members.get('First'))];
    if (nameOf(value.members.get('Type')) !== 'ObjStm' || count === undefined || first === undefined || count > maxObjects) throw damaged('no stream of objects');
    const heads = new Reader(data);
    const objects = new Map<number, Value>();
    for (let index = 0; index < count; index += 1) {
      const [number, offset] = [heads.whole(), heads.whole()];
      if (objects.has(number)) throw damaged('an object twice in a stream');
      objects.set(number, new Reader(data, first + offset).value());
    }
    return objects;
  }

  /** The value of an object, and the generation under which an update replaces it; undefined when there is none. */
  async object(reference: Reference | { readonly number: number; readonly generation: number }): Promise<Value | undefined> {
    const entry = this.entries.get(reference.number);
    if (!entry || entry.kind === 'free') return undefined;
    if (entry.kind === 'within') return reference.generation === 0 ? (await this.#objectsIn(entry.stream)).get(reference.number) : undefined;
    if (entry.generation !== reference.generation) return undefined;
    const { number, generation, value } = this.#objectAt(entry.offset);
    if (number !== reference.number || generation !== reference.generation) throw damaged('another object than the one referred to');
    return value;
  }

  /** What a value is, when it is a reference, of whatever depth. */
  async resolve(value: Value | undefined): Promise<Value | undefined> {
    let found = value;
    for (let step = 0; found?.kind === 'reference'; step += 1) {
      if (step > 16) throw damaged('references in a circle');
      found = await this.object(found);
    }
    return isNothing(found) ? undefined : found;
  }

  async member(value: Value | undefined, name: string): Promise<Value | undefined> {
    return this.resolve(memberOf(value, name));
  }
}
