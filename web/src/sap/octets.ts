/** Octets and their text forms. */
export type Octets = Uint8Array<ArrayBuffer>;

export function concatenate(parts: readonly Octets[]): Octets {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

export const utf8 = (text: string): Octets => new TextEncoder().encode(text);

export const same = (left: Octets, right: Octets): boolean => left.length === right.length && left.every((octet, at) => octet === right[at]);

/** RFC 4648, 5, without padding. */
export function base64url(octets: Octets): string {
  let binary = '';
  for (const octet of octets) binary += String.fromCharCode(octet);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** The reverse; throws for anything that base64url() does not write. */
export function parseBase64url(text: string): Octets {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw new Error('no base64url');
  const octets = Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
  if (base64url(octets) !== text) throw new Error('no base64url in its one form');
  return octets;
}

export const hex = (octets: Octets): string => Array.from(octets, (octet) => octet.toString(16).padStart(2, '0')).join('');

export async function sha256(octets: Octets): Promise<Octets> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', octets));
}
