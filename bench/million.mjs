// What a PKI with many certificates costs: start, a revocation with its new list, a question to OCSP. Rows are put into the PKI's database as a
// million issues would have left them; then the service is started over them and measured. usage:
// node bench/million.mjs [--certificates N] [--revoked N] [--bin DIRECTORY] [--folder DIRECTORY]
import { X509Certificate, createHash, randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: { certificates: { type: 'string', default: '1000000' }, revoked: { type: 'string', default: '50000' }, bin: { type: 'string' }, folder: { type: 'string', default: tmpdir() } },
});
process.env.INTAGLIO_BIN ??= path.resolve(options.bin ?? path.join(import.meta.dirname, '../build/testing/bin'));
const { System, run } = await import('../tests/feature/harness/system.mjs');
const { send } = await import('../tests/feature/harness/http.mjs');
const { signerOf } = await import('../tests/feature/harness/signer.mjs');
const certificates = Number(options.certificates);
const revoked = Number(options.revoked);
const day = 86400;

/** Serial numbers as the authority makes them: 20 octets, the second bit set. */
function serialNumber() {
  const serial = randomBytes(20);
  serial[0] = (serial[0] & 0x3f) | 0x40;
  return serial.toString('hex');
}

function fill(file, template) {
  const database = new DatabaseSync(file);
  const now = Math.floor(Date.now() / 1000);
  database.exec('BEGIN');
  const issue = database.prepare('INSERT INTO pki_certificate (serial, kind, profile, signer, key_id, operator, request_id, not_before, not_after, issued_at, spki_sha256, der) '
    + "VALUES (?, 'signer', 'natural-person', ?, ?, 'ra-1', ?, ?, ?, ?, ?, ?)");
  const revoke = database.prepare("INSERT INTO pki_revocation (serial, revoked_at, reason, operator) VALUES (?, ?, 1, 'ra-1')");
  const change = database.prepare("INSERT INTO pki_status_change (number, serial, changed_at, reason, operator) VALUES (?, ?, ?, 1, 'ra-1')");
  for (let index = 0; index < certificates; ++index) {
    const serial = serialNumber();
    issue.run(serial, `signer-${index}`, `key-${index}`, `request-${index}`, now - 30 * day, now + 700 * day, now - 30 * day, createHash('sha256').update(serial).digest(), template);
    if (index >= revoked) continue;
    revoke.run(serial, now - day);
    change.run(index + 1, serial, now - day);
  }
  database.exec('COMMIT');
  database.close();
}

const memoryOf = ({ child }) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024;
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const timed = async (act) => {
  const began = performance.now();
  const result = await act();
  return [performance.now() - began, result];
};
const report = (what, value, unit) => console.log(`${what.padEnd(66)} ${value.toFixed(1).padStart(10)} ${unit}`);

const system = await System.start({ folder: options.folder });
try {
  const { officer, signer } = await signerOf(system);
  const leaf = new X509Certificate(signer.chain[0]);
  await system.services.pki.stop();
  const [empty] = await timed(() => system.startService('pki'));
  await system.services.pki.stop();
  const [filling] = await timed(() => fill(system.path('pki/pki.db'), signer.chain[0]));
  report(`${certificates} certificates, ${revoked} of them revoked: rows made in`, filling / 1000, 's');
  report('database', statSync(system.path('pki/pki.db')).size / 1048576, 'MiB');
  const [first] = await timed(() => system.startService('pki'));
  await system.services.pki.stop();
  const [again] = await timed(() => system.startService('pki'));
  report('start with one certificate', empty, 'ms');
  report('first start over the rows, which makes the list that shows them', first, 'ms');
  report('start over the rows and their list', again, 'ms');
  const list = await send(`${system.pkiUrl}/crl/issuing.crl`);
  report('complete list', list.octets.length / 1048576, 'MiB');
  const delta = await send(`${system.pkiUrl}/crl/issuing-delta.crl`);
  report('delta list', delta.octets.length / 1024, 'KiB');

  const must = (...words) => {
    const result = run('openssl', words);
    if (result.status !== 0) throw new Error(result.stderr);
  };
  must('x509', '-inform', 'DER', '-in', system.path('pki/ca/issuing.cer'), '-out', system.path('issuing.pem'));
  writeFileSync(system.path('leaf.pem'), leaf.toString());
  must('ocsp', '-issuer', system.path('issuing.pem'), '-cert', system.path('leaf.pem'), '-reqout', system.path('question'));
  const body = readFileSync(system.path('question'));
  const answers = [];
  for (let round = 0; round < 500; ++round) {
    const [took, answer] = await timed(() => send(`${system.pkiUrl}/ocsp`, { method: 'POST', body, headers: { 'content-type': 'application/ocsp-request' } }));
    if (answer.status !== 200 || answer.octets.length < 200) throw new Error('OCSP refused');
    answers.push(took);
  }
  report('OCSP, live, one client with a new connection each (median)', median(answers), 'ms');
  const request = await officer.request('revoke-certificate', { key: signer.credential, serial: leaf.serialNumber.toLowerCase(), reason: 'keyCompromise' });
  const [revocation, answer] = await timed(() => officer.post('/ra/v1/revocations', { request }));
  report(`revocation to OCSP, to the list and to the SAM (${answer.status})`, revocation, 'ms');
  report('memory of the PKI', memoryOf(system.services.pki), 'MiB');
} finally {
  await system.stop();
}
