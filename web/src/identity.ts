// The way to the identity provider and back. The window goes there, so that what the page knows ends: it keeps in the storage of this tab how to go
// on, and nothing that decides. What is approved comes anew from the service and must be what was shown before; a secret is asked for after that.
import { parseBase64url, utf8 } from './sap/octets.ts';
import type { IdentityProvider } from './site.ts';

/** What stays while the signer is away. */
export interface Left {
  /** Opens the approval again, once. */
  readonly handle: string;
  readonly state: string;
  /** What the sign-in confirms: a digest of what was shown. */
  readonly nonce: string;
  /** Of the terms that were accepted. */
  readonly language: string;
  readonly combination: string;
  /** Seconds since 1970. */
  readonly expires: number;
}

/** Answer of the provider: a code, or that there is none. */
export type Answer = { readonly code: string; readonly issuer: string | undefined } | { readonly declined: boolean };

export type Arrival =
  | { readonly kind: 'handle'; readonly handle: string }
  | { readonly kind: 'left'; readonly left: Left; readonly answer: Answer | undefined }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'foreign' };

/** The service sends the signer elsewhere, or has him confirm something else. */
export class AnotherProvider extends Error {}
/** What came back is not what was shown before. */
export class Changed extends Error {}

const place = 'intaglio.sign-in';

export function keepLeft(left: Left): void {
  sessionStorage.setItem(place, JSON.stringify(left));
}

/** Whether this browser keeps something for the way back. */
export function keeps(): boolean {
  try {
    sessionStorage.setItem(place, '');
    sessionStorage.removeItem(place);
    return true;
  } catch {
    return false;
  }
}

export function hasLeft(): boolean {
  try {
    return sessionStorage.getItem(place) !== null;
  } catch {
    return false;
  }
}

/** What was left in this tab; it is good for one return. */
export function takeLeft(): Left | undefined {
  try {
    const kept = sessionStorage.getItem(place);
    sessionStorage.removeItem(place);
    return kept ? parseLeft(kept) : undefined;
  } catch {
    return undefined;
  }
}

export function parseLeft(kept: string): Left | undefined {
  const { handle, state, nonce, language, combination, expires } = JSON.parse(kept) as Partial<Record<keyof Left, unknown>>;
  if (typeof handle !== 'string' || typeof state !== 'string' || typeof nonce !== 'string' || typeof language !== 'string') return undefined;
  if (typeof combination !== 'string' || typeof expires !== 'number') return undefined;
  return { handle, state, nonce, language, combination, expires };
}

/** Why the page was opened, from its address and what was left in this tab. An answer is one to a question of this tab, or nobody's (RFC 6749, 10.12). */
export function readArrival(search: string, hash: string, left: Left | undefined): Arrival {
  const query = new URLSearchParams(search);
  const one = (name: string): string | undefined => (query.getAll(name).length === 1 ? query.get(name) ?? undefined : undefined);
  if (['code', 'error', 'state', 'iss'].some((name) => query.has(name))) {
    const [state, code, error] = [one('state'), one('code'), one('error')];
    if (!left || state !== left.state || (code === undefined) === (error === undefined)) return { kind: 'foreign' };
    return { kind: 'left', left, answer: code === undefined ? { declined: error === 'access_denied' } : { code, issuer: query.has('iss') ? one('iss') ?? '' : undefined } };
  }
  if (hash.length > 1) return { kind: 'handle', handle: hash.slice(1) };
  return left ? { kind: 'left', left, answer: undefined } : { kind: 'nothing' };
}

/** What an authorization request may hold: a request object, for one, would take the place of what stands beside it (OpenID Connect Core 1.0, 6). */
const known: ReadonlySet<string> = new Set([
  'response_type', 'client_id', 'redirect_uri', 'scope', 'state', 'nonce', 'code_challenge', 'code_challenge_method', 'prompt', 'max_age', 'acr_values',
]);

/** The state of an address that asks the pinned provider to confirm this nonce and sends the signer back to `page`; throws AnotherProvider for any other. */
export function checkAddress(address: string, provider: IdentityProvider, nonce: string, page: string): string {
  const pinned = provider.authorizationEndpoint;
  const begin = pinned + (pinned.includes('?') ? '&' : '?');
  if (!address.startsWith(begin) || address.includes('#')) throw new AnotherProvider('another address');
  const query = new URLSearchParams(address.slice(begin.length));
  const names = [...query.keys()];
  if (names.some((name) => !known.has(name)) || new Set(names).size !== names.length) throw new AnotherProvider('another question');
  const is = (name: string, value: string): boolean => query.get(name) === value;
  const state = query.get('state') ?? '';
  if (!is('nonce', nonce) || !is('redirect_uri', page) || !is('response_type', 'code')) throw new AnotherProvider('it confirms something else');
  if (!is('code_challenge_method', 'S256') || !query.get('code_challenge') || state === '') throw new AnotherProvider('an answer that anybody could use');
  return state;
}

/** Whether an ID token says that it answers this nonce. The SAM alone verifies it; this spares the signer a PIN for nothing. */
export function answers(token: string, nonce: string): boolean {
  try {
    const payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(parseBase64url(token.split('.')[1] ?? ''))) as { nonce?: unknown } | null;
    return payload?.nonce === nonce && utf8(token).length <= 16384;
  } catch {
    return false;
  }
}
