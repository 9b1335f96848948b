// A passkey signs the binding (api/sap/README.md, 6: Passkeys). It must be one that the authenticator finds by itself, as nobody
// but the SAM knows whose passkey is which.
import { base64url, type Octets } from './sap/octets.ts';
import type { Factor } from './sap/message.ts';

/** The person, the browser or the authenticator ended the ceremony: nothing was sent. */
export class NoPasskey extends Error {}

export async function askPasskey(binding: Octets, rpId: string, until: number): Promise<Factor> {
  if (!('credentials' in navigator) || typeof PublicKeyCredential === 'undefined') throw new NoPasskey('no WebAuthn');
  let answered: Credential | null;
  try {
    answered = await navigator.credentials.get({
      publicKey: { challenge: binding, rpId, userVerification: 'required', allowCredentials: [], timeout: Math.max(1000, until - Date.now()) },
    });
  } catch {
    throw new NoPasskey('the ceremony ended');
  }
  if (!(answered instanceof PublicKeyCredential) || !(answered.response instanceof AuthenticatorAssertionResponse)) throw new NoPasskey('no assertion');
  const { clientDataJSON, authenticatorData, signature } = answered.response;
  const text = (buffer: ArrayBuffer): string => base64url(new Uint8Array(buffer));
  return { type: 'passkey', id: text(answered.rawId), client_data: text(clientDataJSON), authenticator_data: text(authenticatorData), signature: text(signature) };
}
