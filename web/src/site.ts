// What a deployment says of itself, beside the bundle: whom this page talks to, whose key it seals to, which terms it shows.
import type { JWK } from 'jose';

const factorTypes = ['pin', 'signerpass', 'totp', 'passkey', 'id-token'] as const;
export type FactorType = (typeof factorTypes)[number];

/** Where a signer confirms with an account that he has elsewhere. */
export interface IdentityProvider {
  /** As signers know it. */
  readonly name: string;
  readonly issuer: string;
  /** The one address to which this page sends anybody to sign in. */
  readonly authorizationEndpoint: string;
}

export interface Site {
  /** Where the API is: https, without a path. */
  readonly api: string;
  readonly provider: string;
  readonly rpId: string;
  /** The pinned identity key of the SAM. */
  readonly samIdentity: JWK;
  readonly terms: { readonly id: string; readonly version: string; readonly texts: Readonly<Record<string, string>> };
  /** The policy's lock, as signers are told of it. */
  readonly lock: { readonly failures: number; readonly minutes: number };
  /** For each signing profile, the combinations of factors that suffice. */
  readonly factors: Readonly<Record<string, readonly (readonly FactorType[])[]>>;
  /** Undefined: nobody is sent to sign in. */
  readonly identityProvider: IdentityProvider | undefined;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown, most = 4096): value is string => typeof value === 'string' && value.length > 0 && value.length <= most;
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) > 0;
const isCombination = (value: unknown): value is FactorType[] =>
  Array.isArray(value) && value.length > 0 && value.every((factor) => factorTypes.includes(factor)) && new Set(value).size === value.length;

function parseIdentityProvider(value: unknown): IdentityProvider | undefined {
  if (!isObject(value)) return undefined;
  const { name, issuer, authorization_endpoint: authorizationEndpoint } = value;
  if (!isText(name, 255) || !isText(issuer, 255) || !isText(authorizationEndpoint, 2048)) return undefined;
  if (!/^https:\/\/[A-Za-z0-9.:[\]-]+(?:\/[^\s#]*)?$/.test(authorizationEndpoint)) return undefined;
  return { name, issuer, authorizationEndpoint };
}

/** site.json; throws when a member is missing or is not what it should be. */
export function parseSite(value: unknown): Site {
  const wrong = (what: string): never => { throw new Error(`site.json: ${what}`); };
  if (!isObject(value)) return wrong('no object');
  const { api, provider, rp_id: rpId, sam_identity: key, terms, lock, factors, identity_provider: idp } = value as Record<string, unknown> & { api?: unknown };
  if (!isText(api, 300) || !/^https:\/\/[A-Za-z0-9.:[\]-]+$/.test(api)) return wrong('api is no https origin');
  if (!isText(provider, 255)) return wrong('provider');
  if (!isText(rpId, 255)) return wrong('rp_id');
  if (!isObject(key) || key['kty'] !== 'EC' || key['crv'] !== 'P-256' || !isText(key['x'], 64) || !isText(key['y'], 64)) return wrong('sam_identity is no P-256 JWK');
  if (!isObject(terms) || !isText(terms['id'], 256) || !isText(terms['version'], 256) || !isObject(terms['texts'])) return wrong('terms');
  const texts = Object.entries(terms['texts']);
  if (texts.length === 0 || !texts.every((entry): entry is [string, string] => isText(entry[1], 65536))) return wrong('terms.texts');
  if (!isObject(lock) || !isCount(lock['failures']) || !isCount(lock['minutes'])) return wrong('lock');
  if (!isObject(factors) || Object.keys(factors).length === 0) return wrong('factors');
  const combinations: Record<string, FactorType[][]> = {};
  for (const [profile, list] of Object.entries(factors)) {
    if (!Array.isArray(list) || list.length === 0 || !list.every(isCombination)) return wrong(`factors of ${profile}`);
    combinations[profile] = list;
  }
  const identityProvider = parseIdentityProvider(idp);
  if (idp !== undefined && !identityProvider) return wrong('identity_provider');
  if (!identityProvider && Object.values(combinations).flat(2).includes('id-token')) return wrong('factors with an ID token, and no identity_provider');
  return {
    api, provider, rpId, samIdentity: { kty: 'EC', crv: 'P-256', x: key['x'] as string, y: key['y'] as string },
    terms: { id: terms['id'], version: terms['version'], texts: Object.fromEntries(texts) },
    lock: { failures: lock['failures'], minutes: lock['minutes'] }, factors: combinations, identityProvider,
  };
}
