// The SAP statement and the SAP message. The message is opened here with Node's own primitives and not with the library that sealed it.
import assert from 'node:assert/strict';
import { createDecipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { SignJWT } from 'jose';
import { sealMessage } from '../src/sap/message.ts';
import { AnotherSam, thumbprint, Untimely, verifyStatement } from '../src/sap/statement.ts';

const pair = () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: publicKey.export({ format: 'jwk' }) };
};
const now = 1800000000;
const identity = pair();
const sap = pair();

const statement = ({ signer = identity, typ = 'intaglio-sap-key+jwt', ...changes } = {}) =>
  new SignJWT({ kid: 'sap-1', jwk: sap.jwk, iat: now - 10, exp: now + 3600, sam: 'sam-1', ...changes }).setProtectedHeader({ alg: 'ES256', typ }).sign(signer.privateKey);

describe('the SAP statement', () => {
  it('of the pinned identity key gives the key to seal to', async () => {
    const key = await verifyStatement(await statement(), identity.jwk, now);
    assert.deepEqual(key, { kid: 'sap-1', jwk: { kty: 'EC', crv: 'P-256', x: sap.jwk.x, y: sap.jwk.y } });
  });

  const wrong = {
    'another identity key': [{ signer: pair() }, AnotherSam],
    'another type': [{ typ: 'intaglio-key+jwt' }, AnotherSam],
    'no kid': [{ kid: undefined }, AnotherSam],
    'a kid without end': [{ kid: 'k'.repeat(129) }, AnotherSam],
    'no key': [{ jwk: undefined }, AnotherSam],
    'a key of another curve': [{ jwk: generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' }) }, AnotherSam],
    'a private key': [{ jwk: { ...sap.jwk, d: 'AA' } }, AnotherSam],
    'no end': [{ exp: undefined }, AnotherSam],
    'an end that has passed': [{ exp: now }, Untimely],
    'a begin that is to come': [{ iat: now + 120, exp: now + 3600 }, Untimely],
    'a life of more than a day': [{ exp: now + 25 * 3600 }, Untimely],
  };
  for (const [what, [changes, error]] of Object.entries(wrong)) {
    it(`is refused with ${what}`, async () => assert.rejects(verifyStatement(await statement(changes), identity.jwk, now), error));
  }

  it('without a signature, or with a changed one, is refused', async () => {
    const [header, payload, signature] = (await statement()).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'intaglio-sap-key+jwt' })).toString('base64url');
    const changed = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(payload, 'base64url')), kid: 'sap-2' })).toString('base64url');
    for (const compact of [`${none}.${payload}.`, `${header}.${changed}.${signature}`, `${header}.${payload}.`, 'x', '']) {
      await assert.rejects(verifyStatement(compact, identity.jwk, now), AnotherSam);
    }
  });

  it('is compared by the thumbprint of RFC 7638', async () => {
    const { crv, kty, x, y } = identity.jwk;
    assert.equal(await thumbprint(identity.jwk), createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url'));
  });
});

/** ECDH-ES+A256KW and A256GCM (RFC 7518, 4.6, 4.4, 5.3) as a SAM opens them. */
function open(compact, privateKey) {
  const [head, wrapped, iv, ciphertext, tag] = compact.split('.');
  const header = JSON.parse(Buffer.from(head, 'base64url'));
  const shared = diffieHellman({ privateKey, publicKey: createPublicKey({ key: header.epk, format: 'jwk' }) });
  const part = (octets) => Buffer.concat([Buffer.from([0, 0, 0, octets.length]), octets]);
  const algorithm = Buffer.from('ECDH-ES+A256KW');
  const other = Buffer.concat([part(algorithm), part(Buffer.from(header.apu, 'base64url')), part(Buffer.from(header.apv, 'base64url')), Buffer.from([0, 0, 1, 0])]);
  const wrapping = createHash('sha256').update(Buffer.concat([Buffer.from([0, 0, 0, 1]), shared, other])).digest();
  const unwrap = createDecipheriv('id-aes256-wrap', wrapping, Buffer.alloc(8, 0xa6));
  const key = Buffer.concat([unwrap.update(Buffer.from(wrapped, 'base64url')), unwrap.final()]);
  const opener = createDecipheriv('aes-256-gcm', key, Buffer.from(iv, 'base64url'));
  opener.setAAD(Buffer.from(head, 'ascii')).setAuthTag(Buffer.from(tag, 'base64url'));
  return { header, payload: JSON.parse(Buffer.concat([opener.update(Buffer.from(ciphertext, 'base64url')), opener.final()])) };
}

describe('the SAP message', () => {
  const approval = () => ({
    ticket: 'ticket', nonce: Uint8Array.from(randomBytes(16)), terms: { id: 'terms', version: '1', language: 'el' }, act: 'pressed-sign',
    consent: Uint8Array.from(randomBytes(32)), binding: Uint8Array.from(randomBytes(32)),
  });
  const key = { kid: 'sap-1', jwk: sap.jwk };

  it('is opened with the SAP key alone and holds what the contract names, and nothing else', async () => {
    const approved = approval();
    const factors = [{ type: 'pin', value: 'π"\\ 4711' }, { type: 'totp', value: '123456' }];
    const { header, payload } = open(await sealMessage(key, approved, factors), sap.privateKey);
    const { epk, ...rest } = header;
    assert.deepEqual(rest, {
      alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ: 'intaglio-sap-sign+jwe', kid: 'sap-1',
      apu: Buffer.from(approved.nonce).toString('base64url'), apv: Buffer.from('sap-1').toString('base64url'),
    });
    assert.deepEqual(Object.keys(epk).sort(), ['crv', 'kty', 'x', 'y']);
    const { id, epk: answers, ...told } = payload;
    assert.deepEqual(told, {
      ticket: 'ticket', terms: approved.terms, act: 'pressed-sign', consent: Buffer.from(approved.consent).toString('base64url'),
      binding: Buffer.from(approved.binding).toString('base64url'), factors,
    });
    assert.match(id, /^[A-Za-z0-9_-]{22}$/);
    assert.deepEqual(Object.keys(answers).sort(), ['crv', 'kty', 'x', 'y']);
    assert.throws(() => open('a.b.c.d.e', createPrivateKey(pair().privateKey.export({ type: 'pkcs8', format: 'pem' }))));
  });

  it('is another one each time: its id, its keys', async () => {
    const approved = approval();
    const [first, second] = await Promise.all([1, 2].map(async () => open(await sealMessage(key, approved, []), sap.privateKey)));
    assert.notEqual(first.payload.id, second.payload.id);
    assert.notEqual(first.header.epk.x, second.header.epk.x);
    assert.notEqual(first.payload.epk.x, second.payload.epk.x);
  });
});
