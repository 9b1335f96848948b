// A service written from api/sap/README.md that answers the command line, honestly or with one lie: SSA, SAM and registration listener in one
// HTTPS server. It keeps what it was sent.
import { execFileSync, spawn } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { calculateJwkThumbprint, CompactEncrypt, CompactSign, compactDecrypt } from 'jose';
import { base64url, fields, hashCodes, keyAlgorithms, number, randomId, sha256, suiteNames } from './protocol.mjs';
import { binaries } from './system.mjs';

const now = () => Math.floor(Date.now() / 1000);
const terms = { id: 'terms', version: '1', language: 'en' };

const transactionOf = (t) => fields(
  t.purpose, t.nonce, number(1), number(t.expires), t.signer, t.key, t.certificate, t.profile, Buffer.from([t.hash]), Buffer.from(t.suites), t.clientId, 'Test',
  number(t.documents.length), ...t.documents.flatMap(({ digest, label }) => [digest, label]),
);

export class FalseService {
  static async start() {
    const service = new FalseService();
    await service.#prepare();
    return service;
  }

  path(name) {
    return path.join(this.folder, name);
  }

  #openssl(...words) {
    return execFileSync('openssl', words, { cwd: this.folder, stdio: ['ignore', 'pipe', 'ignore'] });
  }

  #key(name) {
    this.#openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', `${name}.key`);
    const key = createPrivateKey(readFileSync(this.path(`${name}.key`)));
    return { key, jwk: createPublicKey(key).export({ format: 'jwk' }), spki: createPublicKey(key).export({ format: 'der', type: 'spki' }) };
  }

  #certificate(name, subject, ...more) {
    this.#openssl('req', '-x509', '-new', '-key', `${name}.key`, '-subj', subject, '-days', '2', '-out', `${name}.pem`, ...more);
    return Buffer.from(readFileSync(this.path(`${name}.pem`), 'utf8').replace(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  }

  async #prepare() {
    process.umask(0o077);
    this.folder = mkdtempSync(path.join(tmpdir(), 'intaglio-false-'));
    for (const name of ['tls', 'client', 'operator', 'identity', 'other', 'sap', 'checkpoint', 'signer']) this[name] = this.#key(name);
    this.#certificate('tls', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1');
    this.chain = [this.#certificate('signer', '/CN=Ada Example')];
    this.otherChain = [this.#certificate('other', '/CN=Ada Example')];
    this.csr = this.#openssl('req', '-new', '-key', 'signer.key', '-subj', '/CN=Ada Example', '-outform', 'DER');
    this.identityRecord = { country: 'GR', givenName: 'Ada', serialNumber: 'PNOGR-1', surname: 'Example' };
    writeFileSync(this.path('identity.json'), JSON.stringify(this.identityRecord));
    writeFileSync(this.path('pin'), '739164\n');
    writeFileSync(this.path('seed'), 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ');
    writeFileSync(this.path('code'), 'ABCDEFGHIJKLMNOP');
    this.server = https.createServer(
      { key: readFileSync(this.path('tls.key')), cert: readFileSync(this.path('tls.pem')), requestCert: true, rejectUnauthorized: false },
      (request, response) => this.#serve(request, response),
    );
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    const url = `https://127.0.0.1:${this.server.address().port}`;
    const client = (more) => `[service]\nbase_url = "${url}"\nca_file = "tls.pem"\n[client]\nid = "test"\nkey_file = "client.key"\n[sam]\n`
      + `identity_thumbprint = "${this.thumbprint}"\n${more}[terms]\nid = "terms"\nversion = "1"\nlanguage = "en"\n[limits]\nreceipt_seconds = 1\n`;
    this.thumbprint = await calculateJwkThumbprint(this.identity.jwk);
    writeFileSync(this.path('client.toml'), client(''));
    const checkpoint = await calculateJwkThumbprint(this.checkpoint.jwk);
    writeFileSync(this.path('pinned.toml'), client(`checkpoint_thumbprint = "${checkpoint}"\nlog_origin = "test/log"\n`));
    writeFileSync(this.path('operator.toml'), `[registration]\nbase_url = "${url}"\nca_file = "tls.pem"\ncertificate_file = "tls.pem"\nprivate_key_file = "tls.key"\n`
      + `[operator]\nid = "ra-1"\nkey_file = "operator.key"\n[sam]\nidentity_jwk = '${JSON.stringify(this.identity.jwk)}'\n`);
    this.honest();
  }

  honest() {
    this.lie = {};
    this.messages = [];
    this.requests = [];
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
    rmSync(this.folder, { recursive: true });
  }

  /** Runs the command line in this folder; gives status, output and errors. */
  run(...words) {
    return new Promise((resolve, reject) => {
      const child = spawn(path.join(binaries, 'intaglio'), words, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      const answer = { out: '', err: '' };
      child.stdout.on('data', (text) => { answer.out += text; });
      child.stderr.on('data', (text) => { answer.err += text; });
      child.on('error', reject);
      child.on('close', (status) => resolve({ status, ...answer }));
    });
  }

  sign(payload, typ, key = this.identity) {
    return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'ES256', typ, kid: 'k' }).sign(key.key);
  }

  seal(payload, typ, jwk) {
    return new CompactEncrypt(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', typ, kid: 'k' })
      .setKeyManagementParameters({ apu: Buffer.alloc(16, 1), apv: Buffer.from('k') })
      .encrypt(createPublicKey({ key: jwk, format: 'jwk' }));
  }

  async #serve(request, response) {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    const body = Buffer.concat(pieces).toString();
    const answer = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    try {
      const value = await this.#answerTo(request.url, body.startsWith('{') ? JSON.parse(body) : body);
      if (value === undefined) answer(404, { error: 'not_found' });
      else answer(200, value);
    } catch (error) {
      answer(500, { error: 'server_error', error_description: String(error) });
    }
  }

  async #open(t) {
    const expires = now() + 300;
    this.transaction = {
      nonce: Buffer.alloc(16, 7), expires, signer: 'ada', key: 'cred', certificate: Buffer.alloc(0), profile: 'direct-resident', hash: 0, suites: [], clientId: 'test',
      documents: [], ...t, ...this.lie.transaction?.(expires),
    };
    this.encoded = transactionOf(this.transaction);
    const statement = { kid: 'sap', jwk: this.sap.jwk, iat: now(), exp: now() + 3600, sam: 'test', ...this.lie.statement };
    return {
      ticket: 'dGlja2V0', transaction: base64url(this.encoded), sapStatement: await this.sign(statement, 'intaglio-sap-key+jwt', this.lie.statementKey),
      expires: new Date(expires * 1000).toISOString().replace(/\.\d+/, ''),
    };
  }

  async #message({ message }) {
    const { plaintext, protectedHeader } = await compactDecrypt(message, this.sap.key);
    const payload = JSON.parse(Buffer.from(plaintext).toString());
    this.messages.push({ header: protectedHeader, payload, encoded: this.encoded, terms });
    if (this.transaction.purpose === 'sign') return { SAD: 'sad', expiresIn: 60 };
    if (this.transaction.purpose === 'enrol') {
      return { answer: await this.seal({ totp_seed: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', issuer: 'Test', account: 'ada' }, 'intaglio-enrol-answer+jwe', payload.epk) };
    }
    return { credentialID: this.lie.credential ?? this.transaction.key, csr: this.csr.toString('base64') };
  }

  async #answerTo(url, body) {
    this.requests.push(url);
    switch (url) {
      case '/csc/v2/oauth2/token': return { access_token: 'token', token_type: 'Bearer', expires_in: 3600, scope: 'service' };
      case '/csc/v2/credentials/info':
        return { key: { status: 'enabled', algo: ['1.2.840.10045.4.3.2'], len: 256 }, cert: { status: 'valid', certificates: this.chain.map((der) => der.toString('base64')) } };
      case '/sic/v1/sam': return { sam: 'test', identity: (this.lie.identity ?? this.identity).jwk, checkpoint: (this.lie.checkpoint ?? this.checkpoint).jwk, log: 'test/log' };
      case '/sic/v1/transactions':
        return this.#open({
          purpose: 'sign', certificate: sha256(this.chain[0]), hash: hashCodes.sha256, suites: body.suites.map((name) => suiteNames.indexOf(name) + 1),
          documents: body.documents.map(({ hash, label }) => ({ digest: Buffer.from(hash, 'base64'), label })),
        });
      case '/sic/v1/sessions':
        return this.#open({
          purpose: 'one-time', signer: 'cred', profile: body.profile, hash: hashCodes.sha256, suites: [7],
          documents: body.documents.map(({ hash, label }) => ({ digest: Buffer.from(hash, 'base64'), label })),
        });
      case '/sic/v1/enrolments': return this.#open({ purpose: 'enrol', key: '', profile: '' });
      case '/sic/v1/keys': return this.#open({ purpose: 'key', suites: [keyAlgorithms.indexOf(body.algorithm) + 1] });
      case '/sic/v1/messages': return this.#message(body);
      case '/csc/v2/signatures/signHash': return this.#signHash(body);
      case '/sic/v1/receipts/5?leaf=bGVhZg': return { log: 'test/log', index: 5, leaf: 'bGVhZg==', event: '{}', inclusion: [], checkpoint: '', ...this.lie.receipt };
      case '/ra/v1/signers':
        return { signerID: 'ada', activationCode: await this.seal({ signer: this.lie.activationSigner ?? 'ada', code: 'ABCDEFGHIJKLMNOP' }, 'intaglio-activation+jwe', this.operator.jwk) };
      case '/ra/v1/requests/cred': return this.#request();
      case '/ra/v1/certificates': return { certificates: (this.lie.chain ?? this.chain).map((der) => der.toString('base64')) };
      case '/ra/v1/bindings': return { credentialID: 'cred', state: 'assigned' };
      default: return undefined;
    }
  }

  #signHash({ hashes }) {
    // The digest is signed as it is: the hash function of the signature must be none of its own.
    const key = (this.lie.signatureKey ?? this.signer).key;
    const signatures = hashes.map((hash) => this.#signDigest(key, Buffer.from(hash, 'base64')).toString('base64'));
    return { signatures, auditReceipts: hashes.map(() => ({ log: 'test/log', index: 5, leaf: 'bGVhZg==' })) };
  }

  #signDigest(key, digest) {
    const name = `digest-${randomId()}`;
    writeFileSync(this.path(name), digest);
    writeFileSync(this.path(`${name}.key`), key.export({ format: 'pem', type: 'pkcs8' }));
    return this.#openssl('pkeyutl', '-sign', '-inkey', `${name}.key`, '-in', name);
  }

  async #request() {
    const assertion = {
      signer: 'ada', key: 'cred', spki_sha256: base64url(sha256(this.signer.spki)), identity_sha256: base64url(sha256(Buffer.from(JSON.stringify(this.identityRecord)))), iat: now(),
      ...this.lie.assertion,
    };
    return { credentialID: 'cred', signerID: 'ada', csr: this.csr.toString('base64'), keyAssertion: await this.sign(assertion, 'intaglio-key+jwt', this.lie.assertionKey) };
  }
}
