// Consent and binding (api/sap/README.md, 3), from what was shown and never from a value of the service.
import { sha256, type Octets } from './octets.ts';
import { fields } from './transaction.ts';

export interface Terms {
  readonly id: string;
  readonly version: string;
  readonly language: string;
}

export const consentDigest = (transaction: Octets, terms: Terms, act: string): Promise<Octets> =>
  sha256(fields('intaglio/consent/1', transaction, terms.id, terms.version, terms.language, act));

export const bindingDigest = (transaction: Octets, consent: Octets): Promise<Octets> => sha256(fields('intaglio/binding/1', transaction, consent));
