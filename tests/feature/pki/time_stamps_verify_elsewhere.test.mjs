// RFC 3161, EN 319 421/422: what the time-stamping authority gives out is verified by OpenSSL and by GnuTLS, is in the audit log, and is
// not given out without a clock, without a record, or for a request that is not served.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { send } from '../harness/http.mjs';
import { System, run } from '../harness/system.mjs';

const query = 'application/timestamp-query';

describe('time-stamps', () => {
  let system;
  const at = (name) => system.path(name);
  const must = (program, words) => {
    const result = run(program, words);
    assert.equal(result.status, 0, `${program} ${words.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout + result.stderr;
  };
  const ask = (body, { type = query, method = 'POST' } = {}) => send(`${system.pkiUrl}/tsa`, { method, headers: { 'content-type': type }, body });
  /** Makes a request with openssl, asks, and keeps both beside the instance. */
  const stamp = async (...options) => {
    must('openssl', ['ts', '-query', '-data', at('contract'), ...options, '-out', at('query.tsq')]);
    const answer = await ask(readFileSync(at('query.tsq')));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/timestamp-reply');
    writeFileSync(at('answer.tsr'), answer.octets);
    return must('openssl', ['ts', '-reply', '-in', at('answer.tsr'), '-text']);
  };
  const issued = () => system.auditEvents('pki').filter(({ type }) => type === 'timestamp.issued');

  before(async () => {
    system = await System.start({ start: ['pki'] });
    writeFileSync(at('contract'), 'contract');
    for (const name of ['root', 'issuing']) {
      writeFileSync(at(`${name}.cer`), (await send(`${system.pkiUrl}/ca/${name}.cer`)).octets);
      must('openssl', ['x509', '-inform', 'DER', '-in', at(`${name}.cer`), '-out', at(`${name}.pem`)]);
    }
  });
  after(async () => {
    await system?.stop();
  });

  it('are verified by OpenSSL, with the request and with the data', async () => {
    for (const options of [['-sha256', '-cert'], ['-sha384', '-cert', '-tspolicy', '2.999.1.2.1'], ['-sha512', '-cert', '-no_nonce']]) {
      const text = await stamp(...options);
      assert.match(text, /Status: Granted\./);
      assert.match(text, /Policy OID: 2\.999\.1\.2\.1/);
      assert.match(text, /Accuracy: 0x01 seconds/);
      assert.match(text, /Ordering: no/);
      for (const about of [['-queryfile', at('query.tsq')], ['-data', at('contract')]]) {
        assert.match(must('openssl', ['ts', '-verify', ...about, '-in', at('answer.tsr'), '-CAfile', at('root.pem'), '-untrusted', at('issuing.pem')]), /Verification: OK/);
      }
      const other = run('openssl', ['ts', '-verify', '-data', at('root.pem'), '-in', at('answer.tsr'), '-CAfile', at('root.pem'), '-untrusted', at('issuing.pem')]);
      assert.notEqual(other.status, 0);
    }
  });

  it('are verified by GnuTLS, as the CMS that they are', async () => {
    await stamp('-sha256', '-cert');
    must('openssl', ['ts', '-reply', '-in', at('answer.tsr'), '-token_out', '-out', at('token.der')]);
    const words = ['--p7-verify', '--inder', '--infile', at('token.der'), '--load-ca-certificate', at('root.pem')];
    assert.match(must('certtool', words), /Signature status: ok/);
    const changed = readFileSync(at('token.der'));
    changed[changed.length - 1] ^= 1;
    writeFileSync(at('token.der'), changed);
    assert.notEqual(run('certtool', words).status, 0);
  });

  it('carry no certificate when none is asked for', async () => {
    await stamp('-sha256');
    must('openssl', ['ts', '-reply', '-in', at('answer.tsr'), '-token_out', '-out', at('token.der')]);
    assert.equal(must('openssl', ['pkcs7', '-inform', 'DER', '-in', at('token.der'), '-print_certs']).trim(), '');
  });

  it('are entries of the audit log, each with the digest of its answer', async () => {
    await stamp('-sha256', '-cert');
    const entry = issued().at(-1);
    assert.equal(entry.fields.response_sha256, createHash('sha256').update(readFileSync(at('answer.tsr'))).digest('base64url'));
    assert.equal(entry.fields.imprint, createHash('sha256').update('contract').digest('base64url'));
    const database = system.database('pki');
    assert.equal(database.prepare('SELECT count(*) AS n FROM pki_timestamp').get().n, issued().length);
    assert.equal(database.prepare("SELECT count(*) AS n FROM pki_certificate WHERE kind = 'tsu'").get().n, 1);
    database.close();
  });

  it('are refused in the words of the standard, and leave no entry', async () => {
    const entries = issued().length;
    assert.match(await stamp('-sha1', '-cert'), /unrecognized or unsupported algorithm identifier/);
    assert.match(await stamp('-sha256', '-tspolicy', '1.2.3'), /the requested TSA policy is not supported by the TSA/);
    const good = readFileSync(at('query.tsq'));
    for (const body of [Buffer.from('rubbish'), Buffer.concat([good, Buffer.of(0)]), good.subarray(0, 20), Buffer.alloc(5000, 0x30)]) {
      const answer = await ask(body);
      assert.equal(answer.status, 200);
      writeFileSync(at('answer.tsr'), answer.octets);
      assert.match(must('openssl', ['ts', '-reply', '-in', at('answer.tsr'), '-text']), /the data submitted has the wrong format/);
    }
    assert.equal((await ask(good, { type: 'application/ocsp-request' })).status, 415);
    assert.equal((await ask(good, { method: 'PUT' })).status, 405);
    assert.equal((await ask(Buffer.alloc(128 * 1024))).status, 413);
    assert.equal(issued().length, entries);
  });

  it('stop without a clock and go on with one, and the log tells both', async () => {
    const entries = issued().length;
    system.setClock('unsynchronised');
    assert.match(await stamp('-sha256', '-cert'), /the TSA's time source is not available/);
    assert.equal(issued().length, entries);
    system.setClock('0');
    assert.match(await stamp('-sha256', '-cert'), /Status: Granted\./);
    const types = system.auditEvents('pki').map(({ type }) => type);
    assert.ok(types.indexOf('timestamp.stopped') > 0 && types.indexOf('timestamp.stopped') < types.indexOf('timestamp.resumed'));
  });

  it('do not leave when the process dies before they are recorded', async () => {
    const entries = issued().length;
    await system.restart('pki', { environment: { INTAGLIO_FAULT: 'pki.timestamp.stored' } });
    await assert.rejects(ask(readFileSync(at('query.tsq'))));
    await system.services.pki.ended;
    await system.restart('pki');
    assert.equal(issued().length, entries);
    assert.match(await stamp('-sha256', '-cert'), /Status: Granted\./);
    assert.equal(issued().length, entries + 1);
  });

  it('are signed by one key, certified once, and by none after its end', async () => {
    system.moveClock(366 * 86400);
    await system.restart('pki');
    assert.match(await stamp('-sha256', '-cert'), /Failure info: (system failure|the request cannot be handled due to system failure)/);
    const certified = system.auditEvents('pki').filter(({ type, fields }) => type === 'certificate.issued' && fields.kind === 'tsu');
    assert.equal(certified.length, 1);
  });

  it('go on with a new key of the ceremony', async () => {
    await system.services.pki.stop();
    system.configure('pki', (text) => text.replace('"pki-tsu-1"', '"pki-tsu-2"'));
    const { program, words, environment } = system.command('pki', '--ceremony', 'tsa');
    const made = run(program, words, { environment });
    assert.equal(made.status, 0, made.stderr);
    assert.match(made.stdout, /time-stamping key: pki-tsu-2/);
    assert.notEqual(run(program, words, { environment }).status, 0, 'a ceremony makes no key twice');
    await system.restart('pki');
    assert.match(await stamp('-sha256', '-cert'), /Status: Granted\./);
  });
});
