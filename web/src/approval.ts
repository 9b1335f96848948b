// What a signer approves, on whichever page: read from what was opened, sealed to the SAM, and what became of it.
import { AnotherProvider, Changed } from './identity.ts';
import { askPasskey, NoPasskey } from './passkey.ts';
import { bindingDigest, consentDigest, type Terms } from './sap/binding.ts';
import { sealMessage, type Factor } from './sap/message.ts';
import { base64url, parseBase64url, same, type Octets } from './sap/octets.ts';
import { AnotherSam, thumbprint, Untimely, verifyStatement } from './sap/statement.ts';
import { encodeTransaction, NotATransaction, parseTransaction, type Transaction } from './sap/transaction.ts';
import { Refusal, type Reason } from './service.ts';
import type { Site } from './site.ts';
import type { Key } from './texts.ts';
import { asksSecret, type Combination, type Entered } from './view.ts';

/** What the signer did (api/sap/README.md, 3): ticked that the terms are accepted, and pressed the button. */
const act = 'pressed-sign';
/** A ticket lives 5 minutes at most; one minute for clocks that differ. */
const longestLife = 360;

export const now = (): number => Math.floor(Date.now() / 1000);

export const stops = {
  'no-handle': ['stopNoHandleTitle', 'stopNoHandle'], 'link-used': ['stopLinkUsedTitle', 'stopLinkUsed'], locked: ['stopLockedTitle', 'stopLocked'],
  expired: ['stopExpiredTitle', 'stopExpired'], idle: ['stopIdleTitle', 'stopIdle'], finished: ['stopFinishedTitle', 'stopFinished'],
  answered: ['stopAnsweredTitle', 'stopAnswered'], limit: ['stopLimitTitle', 'stopLimit'], refused: ['stopRefusedTitle', 'stopRefused'],
  unavailable: ['stopUnavailableTitle', 'stopUnavailable'], 'no-answer': ['stopUnavailableTitle', 'stopUnavailable'],
  'another-device': ['stopOtherDeviceTitle', 'stopOtherDevice'], clock: ['stopClockTitle', 'stopClock'], unreadable: ['stopUnreadableTitle', 'stopUnreadable'],
  profile: ['stopProfileTitle', 'stopProfile'], foreign: ['stopForeignTitle', 'stopForeign'], changed: ['stopChangedTitle', 'stopChanged'],
  'another-provider': ['stopOtherProviderTitle', 'stopOtherProvider'], declined: ['stopDeclinedTitle', 'stopDeclined'], lied: ['stopLiedTitle', 'stopLied'], left: ['stopLeftTitle', 'stopLeft'], told: ['stopToldTitle', 'stopTold'],
} as const satisfies Record<string, readonly [Key, Key]>;
export type Stop = keyof typeof stops;
/** What beginning again would not mend. */
export const forProvider: ReadonlySet<Stop> = new Set<Stop>(['another-device', 'unreadable', 'profile', 'lied', 'another-provider', 'changed']);

/** What can be approved. */
export interface Approvable {
  readonly site: Site;
  readonly transaction: Transaction;
  readonly ticket: string;
  readonly statement: string;
  readonly combinations: readonly Combination[];
  readonly deviceThumbprint: string;
}

class UnknownProfile extends Error {
  readonly profile: string;

  constructor(profile: string) {
    super(profile);
    this.profile = profile;
  }
}

/** What the service sent does not belong to the document that is here. */
export class Lie extends Error {}

/** T is read, its form is the one form, and the statement is one of the pinned SAM; `serves`: the combinations of factors that this page asks for. */
export async function readApproval(site: Site, ticket: string, encoded: string, statement: string, serves: (combination: Combination) => boolean = () => true): Promise<Approvable> {
  await verifyStatement(statement, site.samIdentity, now());
  const octets = parseBase64url(encoded);
  const transaction = parseTransaction(octets);
  if (!same(encodeTransaction(transaction), octets)) throw new NotATransaction('T has another form than its one');
  if (transaction.expires <= now()) throw new Refusal('expired');
  if (transaction.expires > now() + longestLife) throw new Untimely('T lasts longer than it may');
  const combinations = (site.factors[transaction.profile] ?? []).filter(serves);
  if (combinations.length === 0) throw new UnknownProfile(transaction.profile);
  return { site, transaction, ticket, statement, combinations, deviceThumbprint: await thumbprint(site.samIdentity) };
}

export function reasonOf(error: unknown): [Stop, Readonly<Record<string, string>>?] {
  if (error instanceof Refusal) return [error.reason === 'wrong-factor' || error.reason === 'not-confirmed' ? 'refused' : error.reason];
  if (error instanceof AnotherSam) return ['another-device'];
  if (error instanceof Untimely) return ['clock'];
  if (error instanceof UnknownProfile) return ['profile', { profile: error.profile }];
  if (error instanceof Lie) return ['lied'];
  if (error instanceof AnotherProvider) return ['another-provider'];
  if (error instanceof Changed) return ['changed'];
  return ['unreadable'];
}

/** What the signer may try again here. */
export function retryOf(error: unknown, combination: Combination): Key | undefined {
  if (error instanceof NoPasskey) return 'retryNoPasskey';
  const reason: Reason | undefined = error instanceof Refusal ? error.reason : undefined;
  // What was said at the identity provider is good for one message.
  if (combination.includes('id-token') && (reason === 'no-answer' || reason === 'unavailable')) return 'retryIdentityAgain';
  if (reason === 'no-answer') return 'retryNoAnswer';
  if (reason === 'unavailable') return 'retryUnavailable';
  if (reason !== 'wrong-factor') return undefined;
  if (combination.includes('id-token')) return 'retryPinIdentity';
  if (combination.includes('totp')) return 'retryPinTotp';
  return asksSecret(combination) ? 'retryPinPasskey' : 'retryPasskey';
}

/** What is missing in the form before anything may be sealed. */
export function missingIn({ accepted, combination, leaves, pin, totp }: Entered): readonly (readonly [string, Key])[] {
  const missing: [string, Key][] = [];
  if (!accepted) missing.push(['accept', 'needAccept']);
  // Asked for when the signer is back.
  if (leaves) return missing;
  if (combination.includes('signerpass') && pin === '') missing.push(['pin', 'needSignerpass']);
  if (combination.includes('pin') && pin === '') missing.push(['pin', 'needPin']);
  if (combination.includes('totp') && !/^[0-9]{6,8}$/.test(totp)) missing.push(['totp', 'needTotp']);
  return missing;
}

/** What the signer agrees to by pressing the button, from the transaction that was shown. */
async function agreement({ site, transaction }: Approvable, termsLanguage: string): Promise<{ terms: Terms; consent: Octets; binding: Octets }> {
  const encoded = encodeTransaction(transaction);
  const terms = { id: site.terms.id, version: site.terms.version, language: termsLanguage };
  const consent = await consentDigest(encoded, terms, act);
  return { terms, consent, binding: await bindingDigest(encoded, consent) };
}

/** What an identity provider confirms when it confirms that. */
export async function nonceFor(approvable: Approvable, termsLanguage: string): Promise<string> {
  return base64url((await agreement(approvable, termsLanguage)).binding);
}

/** Consent and binding of what was shown, and the factors: sealed to the key of the pinned SAM. */
export async function seal(approvable: Approvable, { combination, pin, totp }: Entered, { termsLanguage, idToken, askingPasskey }: { termsLanguage: string; idToken?: string | undefined; askingPasskey: () => void }): Promise<string> {
  const { site, transaction, ticket, statement } = approvable;
  const { terms, consent, binding } = await agreement(approvable, termsLanguage);
  const sap = await verifyStatement(statement, site.samIdentity, now());
  const factors: Factor[] = [];
  if (combination.includes('pin')) factors.push({ type: 'pin', value: pin });
  if (combination.includes('signerpass')) factors.push({ type: 'signerpass', value: pin });
  if (combination.includes('totp')) factors.push({ type: 'totp', value: totp });
  if (combination.includes('passkey')) {
    askingPasskey();
    factors.push(await askPasskey(binding, site.rpId, transaction.expires * 1000));
  }
  if (combination.includes('id-token') && idToken !== undefined) factors.push({ type: 'id-token', value: idToken });
  return sealMessage(sap, { ticket, nonce: transaction.nonce, terms, act, consent, binding }, factors);
}
