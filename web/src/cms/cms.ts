// The CMS of a PDF's signature (RFC 5652; EN 319 142-1, level B-B): the same template as the service's, made here, from the document
// that is here. Of the service it takes a certificate and a signature, and verifies the one with the other.
import { concatenate, type Octets } from '../sap/octets.ts';
import { element, elementsOf, octetString, oid, only, sequence, setOf } from './der.ts';

const idData = '1.2.840.113549.1.7.1';
const nothing = Uint8Array.of(5, 0);
const hashOids = { 'SHA-256': '2.16.840.1.101.3.4.2.1', 'SHA-384': '2.16.840.1.101.3.4.2.2', 'SHA-512': '2.16.840.1.101.3.4.2.3' } as const;
export type Hash = keyof typeof hashOids;

/** A suite: its number in T (api/sap/README.md, 2), its hash, its kind. */
export interface Suite {
  readonly number: number;
  readonly hash: Hash;
  readonly kind: 'pss' | 'pkcs1' | 'ecdsa';
}

const hashes: readonly Hash[] = ['SHA-256', 'SHA-384', 'SHA-512'];
const kinds = { 'rsa-pss': 'pss', 'rsa-pkcs1': 'pkcs1', ecdsa: 'ecdsa' } as const;

/** `rsa-pss-sha256` and the like; undefined for another text. */
export function suiteOf(name: string): Suite | undefined {
  const found = /^(rsa-pss|rsa-pkcs1|ecdsa)-sha(256|384|512)$/.exec(name);
  const hash = hashes.find((one) => one === `SHA-${found?.[2]}`);
  const family = Object.keys(kinds).indexOf(found?.[1] ?? '');
  const kind = Object.values(kinds)[family];
  return hash && kind ? { number: family * 3 + hashes.indexOf(hash) + 1, hash, kind } : undefined;
}

export interface Certificate {
  readonly der: Octets;
  readonly issuer: Octets;
  readonly serial: Octets;
  readonly publicKey: Octets;
}

/** Throws for what is no X.509 certificate. */
export function parseCertificate(der: Octets): Certificate {
  const [body] = elementsOf(only(der, 0x30).content);
  if (!body) throw new Error('no certificate');
  const fields = elementsOf(body.content);
  const [serial, , issuer, , , publicKey] = fields[0]?.tag === 0xa0 ? fields.slice(1) : fields;
  if (serial?.tag !== 2 || issuer?.tag !== 0x30 || publicKey?.tag !== 0x30) throw new Error('no certificate');
  return { der, issuer: issuer.whole, serial: serial.whole, publicKey: publicKey.whole };
}

export const digestOf = async (hash: Hash, octets: Octets): Promise<Octets> => new Uint8Array(await crypto.subtle.digest(hash, octets));

/** contentType, messageDigest and signingCertificateV2, whose digest is the DTBS/R. */
export async function signedAttributes(contentDigest: Octets, signer: Certificate): Promise<Octets> {
  const attribute = (type: string, value: Octets): Octets => sequence(oid(type), setOf(value));
  const certificateId = sequence(octetString(await digestOf('SHA-256', signer.der)));
  return setOf(
    attribute('1.2.840.113549.1.9.3', oid(idData)), attribute('1.2.840.113549.1.9.4', octetString(contentDigest)),
    attribute('1.2.840.113549.1.9.16.2.47', sequence(sequence(certificateId))));
}

/** r and s of an ECDSA-Sig-Value side by side, as WebCrypto has them. */
function plainEcdsa(signature: Octets, length: number): Octets {
  const parts = elementsOf(only(signature, 0x30).content).map(({ tag, content }) => {
    const digits = content[0] === 0 ? content.slice(1) : content;
    if (tag !== 2 || digits.length === 0 || digits.length > length || (content[0] ?? 0) > 127) throw new Error('no ECDSA signature');
    return concatenate([new Uint8Array(length - digits.length), digits]);
  });
  if (parts.length !== 2) throw new Error('no ECDSA signature');
  return concatenate(parts);
}

const curves = { '1.2.840.10045.3.1.7': ['P-256', 32], '1.3.132.0.34': ['P-384', 48], '1.3.132.0.35': ['P-521', 66] } as const;

/** Whether the certificate's key made this signature over the signed attributes. */
export async function verifies(attributes: Octets, signature: Octets, { hash, kind }: Suite, { publicKey }: Certificate): Promise<boolean> {
  try {
    if (kind !== 'ecdsa') {
      const name = kind === 'pss' ? 'RSA-PSS' : 'RSASSA-PKCS1-v1_5';
      const key = await crypto.subtle.importKey('spki', publicKey, { name, hash }, false, ['verify']);
      return await crypto.subtle.verify({ name, saltLength: Number(hash.slice(4)) / 8 }, key, signature, attributes);
    }
    const [algorithm] = elementsOf(only(publicKey, 0x30).content);
    const named = elementsOf(algorithm?.content ?? new Uint8Array())[1]?.whole.join();
    const curve = Object.entries(curves).find(([dotted]) => oid(dotted).join() === named)?.[1];
    if (!curve) return false;
    const key = await crypto.subtle.importKey('spki', publicKey, { name: 'ECDSA', namedCurve: curve[0] }, false, ['verify']);
    return await crypto.subtle.verify({ name: 'ECDSA', hash }, key, plainEcdsa(signature, curve[1]), attributes);
  } catch {
    return false;
  }
}

function signatureAlgorithm({ hash, kind }: Suite): Octets {
  const at = hashes.indexOf(hash);
  if (kind === 'ecdsa') return sequence(oid(`1.2.840.10045.4.3.${at + 2}`));
  if (kind === 'pkcs1') return sequence(oid(`1.2.840.113549.1.1.${at + 11}`), nothing);
  const hashAlgorithm = sequence(oid(hashOids[hash]), nothing);
  const salt = element(2, Uint8Array.of(Number(hash.slice(4)) / 8));
  return sequence(oid('1.2.840.113549.1.1.10'), sequence(
    element(0xa0, hashAlgorithm), element(0xa1, sequence(oid('1.2.840.113549.1.1.8'), hashAlgorithm)), element(0xa2, salt)));
}

/** ContentInfo with detached SignedData and one SignerInfo, version 1. `chain`: the signer's certificate first. */
export function assembleCms(attributes: Octets, signature: Octets, suite: Suite, chain: readonly [Certificate, ...Certificate[]]): Octets {
  const one = element(2, Uint8Array.of(1));
  const hashAlgorithm = sequence(oid(hashOids[suite.hash]));
  const signerInfo = sequence(
    one, sequence(chain[0].issuer, chain[0].serial), hashAlgorithm, element(0xa0, only(attributes, 0x31).content), signatureAlgorithm(suite), octetString(signature));
  const signedData = sequence(one, setOf(hashAlgorithm), sequence(oid(idData)), element(0xa0, only(setOf(...chain.map(({ der }) => der)), 0x31).content), setOf(signerInfo));
  return sequence(oid('1.2.840.113549.1.7.2'), element(0xa0, signedData));
}
