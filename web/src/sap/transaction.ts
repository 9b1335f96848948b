// The transaction T (api/sap/README.md, 1 and 2), of purpose `sign`: the only one that this page approves.
import { concatenate, utf8, type Octets } from './octets.ts';

export const hashNames = ['', 'SHA-256', 'SHA-384', 'SHA-512'] as const;
const digestLengths = [0, 32, 48, 64] as const;
const lastSuite = 9;
const maxDocuments = 4096;
const maxText = 256;
/** The end of the year 9999, in seconds since 1970. */
const lastSecond = 253402300799;

export interface Document {
  readonly digest: Octets;
  readonly label: string;
}

export interface Transaction {
  readonly nonce: Octets;
  readonly epoch: number;
  readonly expires: number;
  readonly signer: string;
  readonly key: string;
  readonly certificate: Octets;
  readonly profile: string;
  /** 1 SHA-256, 2 SHA-384, 3 SHA-512. */
  readonly hash: number;
  readonly suites: Octets;
  readonly clientId: string;
  readonly clientName: string;
  readonly documents: readonly Document[];
}

/** T does not say what the contract allows it to say: nothing of it may be shown as if it could be approved. */
export class NotATransaction extends Error {}

export const number = (value: number): Octets => {
  const octets = new Uint8Array(8);
  new DataView(octets.buffer).setBigUint64(0, BigInt(value));
  return octets;
};

/** A sequence of fields: each its length as 4 bytes, big-endian, then its bytes. */
export function fields(...parts: readonly (Octets | string)[]): Octets {
  return concatenate(parts.flatMap((part) => {
    const octets = typeof part === 'string' ? utf8(part) : part;
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, octets.length);
    return [length, octets];
  }));
}

/** T from what was shown. */
export const encodeTransaction = (t: Transaction): Octets => fields(
  'sign', t.nonce, number(t.epoch), number(t.expires), t.signer, t.key, t.certificate, t.profile, Uint8Array.of(t.hash), t.suites,
  t.clientId, t.clientName, number(t.documents.length), ...t.documents.flatMap(({ digest, label }) => [digest, label]),
);

/** Control characters, line and paragraph separators, and what changes the direction of text: a signer must see what is there. */
const misleading = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

class Reader {
  readonly #encoded: Octets;
  #at = 0;

  constructor(encoded: Octets) {
    this.#encoded = encoded;
  }

  octets(least: number, most: number): Octets {
    const left = this.#encoded.length - this.#at;
    if (left < 4) throw new NotATransaction('T ends within a length');
    const length = new DataView(this.#encoded.buffer, this.#encoded.byteOffset + this.#at).getUint32(0);
    if (length < least || length > most || length > left - 4) throw new NotATransaction('a field has a wrong length');
    const field = this.#encoded.slice(this.#at + 4, this.#at + 4 + length);
    this.#at += 4 + length;
    return field;
  }

  number(): number {
    const value = new DataView(this.octets(8, 8).buffer).getBigUint64(0);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new NotATransaction('a number is too large');
    return Number(value);
  }

  text(): string {
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.octets(0, maxText));
    } catch (error) {
      throw error instanceof NotATransaction ? error : new NotATransaction('a text is not UTF-8');
    }
    if (misleading.test(text)) throw new NotATransaction('a text holds characters that mislead');
    return text;
  }

  id(): string {
    const text = this.text();
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) throw new NotATransaction('no identifier');
    return text;
  }

  end(): void {
    if (this.#at !== this.#encoded.length) throw new NotATransaction('bytes after T');
  }
}

/** T of purpose `sign`; throws NotATransaction for whatever breaks a line of the table. */
export function parseTransaction(encoded: Octets): Transaction {
  const reader = new Reader(encoded);
  if (reader.text() !== 'sign') throw new NotATransaction('another purpose than a signature');
  const nonce = reader.octets(16, 16);
  const epoch = reader.number();
  const expires = reader.number();
  if (expires > lastSecond) throw new NotATransaction('the end lies beyond the year 9999');
  const [signer, key] = [reader.id(), reader.id()];
  const certificate = reader.octets(0, 32);
  if (certificate.length % 32 !== 0) throw new NotATransaction('no digest of a certificate');
  const profile = reader.text();
  const hash = reader.octets(1, 1)[0] ?? 0;
  if (hash < 1 || hash > 3) throw new NotATransaction('an unknown hash');
  const suites = reader.octets(1, 9);
  if (suites.some((suite) => suite < 1 || suite > lastSuite) || new Set(suites).size !== suites.length) throw new NotATransaction('unknown or repeated suites');
  const [clientId, clientName] = [reader.text(), reader.text()];
  const count = reader.number();
  if (count < 1 || count > maxDocuments) throw new NotATransaction('no document, or too many');
  const length = digestLengths[hash] ?? 0;
  const documents: Document[] = [];
  while (documents.length < count) documents.push({ digest: reader.octets(length, length), label: reader.text() });
  reader.end();
  return { nonce, epoch, expires, signer, key, certificate, profile, hash, suites, clientId, clientName, documents };
}

/** A name of a file as a label that T may hold: what misleads is left out, and it is as short as a label must be. */
export function cleanLabel(name: string): string {
  let label = '';
  for (const letter of new TextDecoder().decode(utf8(name))) {
    if (misleading.test(letter)) continue;
    if (utf8(label + letter).length > maxText) break;
    label += letter;
  }
  return label;
}
