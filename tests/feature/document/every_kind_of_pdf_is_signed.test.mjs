// The command line signs PDFs of every structure, twice, so that two independent programs agree; what cannot be signed faithfully is refused by name;
// a document of 200 MB is signed in bounded memory, and nothing is lost when the output cannot be written.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, ftruncateSync, mkdirSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FalseService } from '../harness/false_service.mjs';
import { binaries, repository } from '../harness/system.mjs';

const samples = ['classic', 'no_line_end', 'generations', 'xref_stream', 'hybrid', 'form_direct', 'form_indirect', 'linearised', 'linearised_streams'];
const refusals = {
  encrypted_password: /encrypted PDF: it opens only with a password/, encrypted_permissions: /encrypted PDF/, truncated: /truncated PDF/, wrong_offsets: /damaged PDF/,
  bytes_before_header: /before the PDF header/, not_a_pdf: /not a PDF/, no_page: /no page/, certified: /certified PDF/, dynamic_xfa: /dynamic XFA/,
  reference_to_come: /refers to an object that is not there/,
};

describe('intaglio sign', () => {
  let service;
  const words = (input, output) => ['sign', input, '-o', output, '--credential', 'cred', '--client', 'client.toml', '--yes', '--no-receipt', '--pin-file', 'pin',
    '--otp-seed-file', 'seed', '--otp-step-offset', '0'];
  before(async () => {
    service = await FalseService.start();
    for (const name of [...samples, ...Object.keys(refusals)]) copyFileSync(path.join(repository, 'tests/data/pdf', `${name}.pdf`), service.path(`${name}.pdf`));
  });
  after(() => service?.stop());

  /** What pdfsig says of each signature: whether it is valid and whether it covers the whole document. */
  function pdfsig(file) {
    const text = spawnSync('pdfsig', ['-nocert', service.path(file)], { encoding: 'utf8' }).stdout;
    return text.split(/^Signature #/m).slice(1).map((part) => ({ valid: /Signature is Valid\./.test(part), whole: /- Total document signed/.test(part) }));
  }

  for (const name of samples) {
    it(`signs ${name}.pdf twice; pdfsig finds both valid and the newer one over the whole document`, async () => {
      const once = await service.run(...words(`${name}.pdf`, `${name}.1.pdf`));
      assert.equal(once.status, 0, once.err);
      assert.deepEqual(pdfsig(`${name}.1.pdf`), [{ valid: true, whole: true }]);
      const twice = await service.run(...words(`${name}.1.pdf`, `${name}.2.pdf`));
      assert.equal(twice.status, 0, twice.err);
      assert.deepEqual(pdfsig(`${name}.2.pdf`), [{ valid: true, whole: false }, { valid: true, whole: true }]);
      assert.ok(readFileSync(service.path(`${name}.2.pdf`)).subarray(0, readFileSync(service.path(`${name}.1.pdf`)).length).equals(readFileSync(service.path(`${name}.1.pdf`))));
      const verified = await service.run('verify', `${name}.2.pdf`, '--anchor', 'signer.pem');
      assert.equal(verified.status, 0, verified.err);
    });
  }

  it('makes a signature that openssl cms verifies over the byte range', async () => {
    const answer = await service.run(...words('classic.pdf', 'cms.pdf'));
    assert.equal(answer.status, 0, answer.err);
    const pdf = readFileSync(service.path('cms.pdf'));
    const [begin, end, from, length] = /\/ByteRange \[(\d+) (\d+) (\d+) (\d+) *\]/.exec(pdf.toString('latin1')).slice(1).map(Number);
    assert.equal(from + length, pdf.length);
    writeFileSync(service.path('covered'), Buffer.concat([pdf.subarray(begin, end), pdf.subarray(from, from + length)]));
    writeFileSync(service.path('cms.der'), Buffer.from(pdf.subarray(end + 1, from - 1).toString('latin1'), 'hex'));
    execFileSync('openssl', ['cms', '-verify', '-binary', '-inform', 'DER', '-in', 'cms.der', '-content', 'covered', '-CAfile', 'signer.pem', '-purpose', 'any', '-out', '/dev/null'],
      { cwd: service.folder, stdio: 'pipe' });
  });

  for (const [name, reason] of Object.entries(refusals)) {
    it(`refuses ${name}.pdf with the reason, before anything is sent`, async () => {
      service.honest();
      const answer = await service.run(...words(`${name}.pdf`, 'never.pdf'));
      assert.equal(answer.status, 1);
      assert.match(answer.err, reason);
      assert.match(answer.err, /\n {2}next: \S/);
      assert.deepEqual(service.requests, []);
      assert.ok(!existsSync(service.path('never.pdf')));
    });
  }

  it('keeps a file that has the name of the output, and replaces it when asked', async () => {
    writeFileSync(service.path('kept.pdf'), 'precious');
    const kept = await service.run(...words('classic.pdf', 'kept.pdf'));
    assert.equal(kept.status, 1);
    assert.match(kept.err, /kept\.pdf exists already/);
    assert.equal(readFileSync(service.path('kept.pdf'), 'utf8'), 'precious');
    assert.equal((await service.run(...words('classic.pdf', 'kept.pdf'), '--replace')).status, 0);
    assert.equal(pdfsig('kept.pdf').length, 1);
  });

  it('signs in place when asked', async () => {
    copyFileSync(service.path('classic.pdf'), service.path('place.pdf'));
    assert.equal((await service.run(...words('place.pdf', 'place.pdf'))).status, 1);
    assert.equal((await service.run(...words('place.pdf', 'place.pdf'), '--replace')).status, 0);
    assert.deepEqual(pdfsig('place.pdf'), [{ valid: true, whole: true }]);
  });

  it('leaves no temporary file behind', () => {
    assert.deepEqual(readdirSync(service.folder).filter((name) => name.endsWith('.tmp')), []);
  });

  it('keeps what completes the document when the disk is full at the last moment', async () => {
    mkdirSync(service.path('small'));
    // A limit on the size of files stands for the full disk: the input is larger than it, the update is not.
    writeLarge(service.path('one.pdf'), 2_000_000);
    const command = `ulimit -f 1000; trap '' XFSZ; exec "$0" "$@"`;
    const { status, err } = await spawnAsync('bash', ['-c', command, path.join(binaries, 'intaglio'), ...words('one.pdf', 'small/out.pdf')], service.folder);
    assert.equal(status, 1);
    assert.match(err, /the signature was made, but the document could not be written/);
    const [, remedy] = /then: (cat .*)/.exec(err);
    assert.deepEqual(readdirSync(service.path('small')), []);
    execFileSync('bash', ['-c', remedy], { cwd: service.folder });
    assert.deepEqual(pdfsig('small/out.pdf'), [{ valid: true, whole: true }]);
    rmSync(/' '([^']+)' >/.exec(remedy)[1]);
  });

  it('signs and verifies 200 MB with no more memory than 2 MB', async () => {
    /** Peak memory of signing and of verifying a document of this length, in kB. */
    const peaks = async (length) => {
      writeLarge(service.path('large.pdf'), length);
      const measured = async (rest) => {
        // ASan keeps what was freed in a quarantine, which would grow with the number of pieces that were read.
        const command = 'ASAN_OPTIONS=$ASAN_OPTIONS:quarantine_size_mb=1 exec /usr/bin/time -f "peak %M" "$0" "$@"';
        const { status, err } = await spawnAsync('bash', ['-c', command, path.join(binaries, 'intaglio'), ...rest], service.folder);
        assert.equal(status, 0, err);
        return Number(/^peak (\d+)$/m.exec(err)[1]);
      };
      const made = await measured(words('large.pdf', 'large.signed.pdf'));
      const verified = await measured(['verify', 'large.signed.pdf', '--anchor', 'signer.pem']);
      rmSync(service.path('large.pdf'));
      rmSync(service.path('large.signed.pdf'));
      return { made, verified };
    };
    const small = await peaks(2_000_000);
    const large = await peaks(200_000_000);
    assert.ok(large.made <= small.made + 16384, `signing: ${small.made} kB became ${large.made} kB`);
    assert.ok(large.verified <= small.verified + 16384, `verifying: ${small.verified} kB became ${large.verified} kB`);
  });
});

function spawnAsync(program, words, cwd) {
  return new Promise((resolve) => {
    const child = spawn(program, words, { cwd, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
    let err = '';
    child.stderr.on('data', (text) => { err += text; });
    child.on('close', (status) => resolve({ status, err }));
  });
}

/** A PDF whose content stream is a hole in the file. */
function writeLarge(file, length) {
  let head = '%PDF-1.7\n';
  const offsets = [];
  for (const body of ['1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n', '2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n',
    '3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>\nendobj\n', `4 0 obj\n<< /Length ${length} >>\nstream\n`]) {
    offsets.push(head.length);
    head += body;
  }
  const end = '\nendstream\nendobj\n';
  const xref = head.length + length + end.length;
  const tail = `${end}xref\n0 5\n0000000000 65535 f \n${offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('')}`
    + `trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n${xref}\n%%EOF\n`;
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, head);
  ftruncateSync(descriptor, head.length + length);
  writeSync(descriptor, tail, head.length + length);
  closeSync(descriptor);
}
