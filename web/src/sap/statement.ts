// The SAP statement (api/sap/README.md, 5): which key the factors are sealed to, on the word of the pinned identity key of the SAM.
import { calculateJwkThumbprint, compactVerify, importJWK, type JWK } from 'jose';

export interface SapKey {
  readonly kid: string;
  readonly jwk: JWK;
}

/** Whoever answered does not show the SAM that this page pins: nothing may be sealed, no secret asked for. */
export class AnotherSam extends Error {}
/** The statement or T is not of this time, by the clock of this device. */
export class Untimely extends Error {}

/** SAP keys live 24 hours at most; one minute for clocks that differ. */
const longestLife = 24 * 3600 + 60;
const clockSkew = 60;

const isP256 = (jwk: unknown): jwk is JWK => {
  const key = jwk as JWK | null | undefined;
  return typeof key === 'object' && key !== null && key.kty === 'EC' && key.crv === 'P-256' && typeof key.x === 'string' && typeof key.y === 'string' && key.d === undefined;
};

/** RFC 7638, SHA-256: by this digest people compare the identity key. */
export const thumbprint = (jwk: JWK): Promise<string> => calculateJwkThumbprint(jwk, 'sha256');

/** The key of the statement; throws AnotherSam unless `identity` signed it, and Untimely unless it is valid at `now`, seconds since 1970. */
export async function verifyStatement(compact: string, identity: JWK, now: number): Promise<SapKey> {
  let payload: unknown;
  try {
    const verified = await compactVerify(compact, await importJWK(identity, 'ES256'), { algorithms: ['ES256'] });
    if (verified.protectedHeader.typ !== 'intaglio-sap-key+jwt') throw new AnotherSam('a statement of another type');
    payload = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(verified.payload));
  } catch (error) {
    throw error instanceof AnotherSam ? error : new AnotherSam('a statement that the pinned key did not sign');
  }
  const { kid, jwk, iat, exp } = (payload ?? {}) as Record<string, unknown> & { kid?: unknown; jwk?: unknown; iat?: unknown; exp?: unknown };
  if (typeof kid !== 'string' || kid.length < 1 || kid.length > 128 || typeof iat !== 'number' || typeof exp !== 'number' || !isP256(jwk)) {
    throw new AnotherSam('an incomplete statement');
  }
  if (iat > now + clockSkew || exp <= now || exp - iat > longestLife) throw new Untimely('a statement that is not valid now');
  return { kid, jwk: { kty: 'EC', crv: 'P-256', x: jwk.x as string, y: jwk.y as string } };
}
