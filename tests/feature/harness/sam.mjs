// The SAM's wire, spoken as the SSA does (or as a hostile one would): src/protocol/wire/intaglio_sam.proto in a few lines.
import { readFileSync } from 'node:fs';
import tls from 'node:tls';
import { suiteNames } from './protocol.mjs';

function varint(value) {
  const octets = [];
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 128n) return Buffer.from([...octets, Number(rest)]);
    octets.push(Number(rest & 127n) | 128);
  }
}

/** A message: [field number, value] pairs; numbers become varints, texts, buffers and nested lists become bytes. */
export function encode(pairs) {
  return Buffer.concat(pairs.flatMap(([field, value]) => {
    if (typeof value === 'number') return [varint(field << 3), varint(value)];
    const octets = Array.isArray(value) ? encode(value) : Buffer.from(value);
    return [varint((field << 3) | 2), varint(octets.length), octets];
  }));
}

/** The fields of a message: {number: [value, …]}, bytes as Buffers, numbers as Numbers. */
export function decode(octets) {
  const fields = {};
  let at = 0;
  const next = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const octet = octets[at++];
      value |= BigInt(octet & 127) << shift;
      if (octet < 128) return Number(value);
    }
  };
  while (at < octets.length) {
    const tag = next();
    let value;
    if ((tag & 7) === 0) {
      value = next();
    } else {
      const length = next();
      value = octets.subarray(at, at + length);
      at += length;
    }
    (fields[tag >> 3] ??= []).push(value);
  }
  return fields;
}

/** Names of refusals by their number on the wire (src/base/error.cpp). */
export const refusalNames = [
  '', 'invalid_request', 'not_authorised', 'authentication_failed', 'credential_unknown', 'credential_locked', 'credential_disabled', 'certificate_invalid',
  'ticket_invalid', 'ticket_expired', 'replayed', 'binding_mismatch', 'sad_invalid', 'sad_expired', 'hash_not_authorised', 'algorithm_refused',
  'digest_length', 'limit_exceeded', 'signature_doubtful', 'not_found', 'conflict', 'unsupported', 'too_large', 'busy', 'clock_unsynchronised',
  'audit_unavailable', 'storage_unavailable', 'token_unavailable', 'configuration', 'internal',
];

export class SamRefusal extends Error {
  constructor(number) {
    super(`the SAM refuses: ${refusalNames[number] ?? number}`);
    this.refusal = refusalNames[number];
  }
}

export class Sam {
  static async connect(system, { cert = 'tls/ssa-sam.cert.pem', key = 'tls/ssa-sam.key.pem', port = system.ports.sam } = {}) {
    const socket = tls.connect({
      host: '127.0.0.1', port, cert: readFileSync(system.path(cert)), key: readFileSync(system.path(key)),
      minVersion: 'TLSv1.3', rejectUnauthorized: false,
    });
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    return new Sam(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.waiting = [];
    this.rest = Buffer.alloc(0);
    socket.on('data', (octets) => {
      this.rest = Buffer.concat([this.rest, octets]);
      while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE(0)) {
        const end = 4 + this.rest.readUInt32BE(0);
        this.waiting.shift()?.resolve(this.rest.subarray(4, end));
        this.rest = this.rest.subarray(end);
      }
    });
    const lost = (error) => {
      for (const { reject } of this.waiting.splice(0)) reject(error ?? new Error('the SAM closed the connection'));
    };
    socket.on('error', lost);
    socket.on('close', () => lost());
  }

  /** One frame, one answer; `message` are the bytes of a Request. One request is under way at a time. */
  exchange(message) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(message.length);
    const answer = (this.last ?? Promise.resolve()).then(() => new Promise((resolve, reject) => {
      if (this.socket.destroyed) throw new Error('the SAM closed the connection');
      this.waiting.push({ resolve, reject });
      this.socket.write(Buffer.concat([length, message]));
    }));
    this.last = answer.catch(() => {});
    return answer;
  }

  /** Calls field `call` of Request; gives the fields of the outcome, or throws SamRefusal. */
  async call(call, value) {
    const answer = decode(await this.exchange(encode([[call, value]])));
    if (answer[1]) throw new SamRefusal(answer[1][0]);
    return answer;
  }

  async json(call, value) {
    return JSON.parse((await this.call(call, value))[10][0].toString());
  }

  status() {
    return this.json(16, []);
  }

  receipt(index, leaf) {
    return this.json(15, [[1, index], [2, leaf]]);
  }

  /** C_Sign calls made with signers' keys since the SAM's start. */
  async signatures() {
    return (await this.status()).signer_signatures;
  }

  /** Opens a transaction as the SSA does; gives what Signer.message takes. */
  async openSigning(signer, documents, { clientId = 'demo' } = {}) {
    const opened = decode((await this.call(1, [
      [1, signer.credential], [2, 1], ...documents.map(({ digest, label }) => [4, [[1, digest], [2, label]]]), [5, clientId], [6, clientId],
    ]))[2][0]);
    return signer.take({ ticket: opened[1][0].toString(), transaction: opened[2][0].toString('base64url'), sapStatement: opened[3][0].toString() }, 'sign');
  }

  /** Open and authorise with the right factors; gives the SAD. */
  async approve(signer, documents) {
    const opened = await this.openSigning(signer, documents);
    return signer.client.system.secret('a SAD', await this.authorise(await signer.message(opened, signer.factors(opened))));
  }

  async authorise(message) {
    return decode((await this.call(4, message))[3][0])[1][0].toString();
  }

  /** Signs at the SAM itself, past everything that the SSA checks; gives [{signature, index, redelivered}]. */
  async sign({ sad, key, suite, digests, clientId = 'demo' }) {
    const answer = decode((await this.call(7, [
      [1, sad], [2, key], [3, suiteNames.indexOf(suite) + 1], ...digests.map((digest) => [4, digest]), [5, clientId], [6, '127.0.0.1'],
    ]))[6][0]);
    const given = (answer[1] ?? []).map((one) => {
      const fields = decode(one);
      return { signature: fields[1][0], log: fields[2][0].toString(), index: fields[3]?.[0] ?? 0, leaf: fields[4][0], redelivered: fields[5]?.[0] === 1 };
    });
    // A batch that stopped gives what was signed before.
    if (answer[2]?.[0]) throw Object.assign(new SamRefusal(answer[2][0]), { given });
    return given;
  }

  /** Whose device signed this request. */
  async recognise(request) {
    return (await this.call(31, request))[14][0].toString();
  }

  createSigner(request) {
    return this.call(8, request);
  }

  bindCertificate(request, certificates) {
    return this.call(9, [[1, request], ...certificates.map((certificate) => [2, certificate])]);
  }

  suspend(key, reason) {
    return this.call(10, [[1, key], [2, reason]]);
  }

  /** Gives the sealed answer. */
  async enrolFactors(message) {
    return (await this.call(5, message))[4][0].toString();
  }

  generateKey(message) {
    return this.call(6, message);
  }

  changeFactors(message) {
    return this.call(20, message);
  }

  changeKey(message) {
    return this.call(21, message);
  }

  resetFactors(request) {
    return this.call(22, request);
  }

  suspendByOperator(request) {
    return this.call(23, request);
  }

  resume(request) {
    return this.call(11, request);
  }

  close() {
    this.socket.destroy();
  }
}
