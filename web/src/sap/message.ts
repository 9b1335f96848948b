// The SAP message (api/sap/README.md, 6): what the signer decided and showed, sealed to the SAM.
import { CompactEncrypt, exportJWK, generateKeyPair, importJWK } from 'jose';
import type { Terms } from './binding.ts';
import { base64url, utf8, type Octets } from './octets.ts';
import type { SapKey } from './statement.ts';

export type Factor =
  | { readonly type: 'pin' | 'signerpass' | 'totp' | 'id-token'; readonly value: string }
  | { readonly type: 'passkey'; readonly id: string; readonly client_data: string; readonly authenticator_data: string; readonly signature: string };

export interface Approval {
  readonly ticket: string;
  readonly nonce: Octets;
  readonly terms: Terms;
  readonly act: string;
  readonly consent: Octets;
  readonly binding: Octets;
}

/** Compact JWE for the key of a statement that was verified. Its id is new each time, as the SAM consumes it with every attempt. */
export async function sealMessage(sap: SapKey, { ticket, nonce, terms, act, consent, binding }: Approval, factors: readonly Factor[]): Promise<string> {
  const { publicKey } = await generateKeyPair('ECDH-ES+A256KW', { crv: 'P-256' });
  const { kty, crv, x, y } = await exportJWK(publicKey);
  const payload = {
    id: base64url(crypto.getRandomValues(new Uint8Array(16))), ticket, terms, act,
    consent: base64url(consent), binding: base64url(binding), factors, epk: { kty, crv, x, y },
  };
  return new CompactEncrypt(utf8(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ: 'intaglio-sap-sign+jwe', kid: sap.kid })
    .setKeyManagementParameters({ apu: nonce, apv: utf8(sap.kid) })
    .encrypt(await importJWK(sap.jwk, 'ECDH-ES+A256KW'));
}
