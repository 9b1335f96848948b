// The page's own reader, writer and checker of PDFs: what may follow a document is one update with one signature, and nothing else.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { checkUpdate, maxUpdate, NotOneUpdate } from '../src/pdf/check.ts';
import { maxFile } from '../src/pdf/file.ts';
import { prepare, signedPieces, withContents } from '../src/pdf/prepare.ts';
import { NotSignable } from '../src/pdf/syntax.ts';

const sample = (name) => new Uint8Array(readFileSync(new URL(`../../tests/data/pdf/${name}.pdf`, import.meta.url)));
const contract = () => new Uint8Array(readFileSync(new URL('../../examples/contract.pdf', import.meta.url)));
const room = 2048;
const cms = Uint8Array.of(0x30, 0x03, 0x02, 0x01, 0x2a);
const time = new Date('2026-01-02T03:04:05Z');
const text = (octets) => Buffer.from(octets).toString('latin1');
const octets = (content) => new Uint8Array(Buffer.from(content, 'latin1'));
const sign = async (document) => withContents(await prepare(document, room, time), cms);
const isRefusal = (error) => error instanceof NotOneUpdate || error instanceof NotSignable;

const signable = ['classic', 'form_direct', 'form_indirect', 'generations', 'hybrid', 'linearised', 'linearised_streams', 'no_line_end', 'xref_stream'];

describe('a prepared document', () => {
  let folder;
  before(() => { folder = mkdtempSync(path.join(tmpdir(), 'pages-')); });
  after(() => rmSync(folder, { recursive: true }));

  for (const name of signable) {
    it(`is one update of ${name}.pdf, which qpdf reads without a warning`, async () => {
      const document = sample(name);
      const prepared = await prepare(document, room, time);
      const signed = withContents(prepared, cms);
      await checkUpdate(document, signed, cms, room);
      const file = path.join(folder, `${name}.pdf`);
      writeFileSync(file, signed);
      execFileSync('qpdf', ['--check', file]);
      const pages = (of) => execFileSync('qpdf', ['--show-npages', of], { encoding: 'utf8' });
      assert.equal(pages(file).trim(), String(prepared.outline.pages));
      const [, gap, behind, rest] = prepared.byteRange;
      assert.deepEqual(signedPieces(prepared), octets(text(signed.subarray(0, gap)) + text(signed.subarray(behind, behind + rest))));
    });
  }

  it('can be signed again, and the first signature stays as it is', async () => {
    const once = await sign(contract());
    const twice = await sign(once);
    await checkUpdate(once, twice, cms, room);
    assert.match(text(twice), /\/T \(Signature2\)/);
  });

  const refused = {
    bytes_before_header: 'not-pdf', not_a_pdf: 'not-pdf', encrypted_password: 'encrypted', encrypted_permissions: 'encrypted', certified: 'certified',
    dynamic_xfa: 'dynamic-form', no_page: 'damaged', reference_to_come: 'damaged', truncated: 'damaged', wrong_offsets: 'damaged',
  };
  for (const [name, fault] of Object.entries(refused)) {
    it(`is none of ${name}.pdf: ${fault}`, async () => {
      await assert.rejects(prepare(sample(name), room, time), (error) => error instanceof NotSignable && error.fault === fault);
    });
  }

  it('is none of a file that is too large, or of nothing', async () => {
    await assert.rejects(prepare(new Uint8Array(maxFile + 1), room, time), (error) => error.fault === 'too-large');
    await assert.rejects(prepare(new Uint8Array(0), room, time), (error) => error.fault === 'not-pdf');
  });

  it('holds no CMS that is larger than its place', async () => {
    const prepared = await prepare(contract(), room, time);
    assert.throws(() => withContents(prepared, new Uint8Array(room + 1)), /does not fit/);
  });
});

describe('the checker of the update', () => {
  const document = sample('classic');
  const form = sample('form_indirect');
  const streamed = sample('xref_stream');

  /** The same length: offsets and sections stay true, so that only what was changed is wrong. */
  const instead = (from, to) => (signed) => {
    const [old, changed] = [text(signed), text(signed).slice(0, document.length) + text(signed).slice(document.length).replace(from, to)];
    assert.notEqual(old, changed, `nothing matches ${from}`);
    assert.equal(old.length, changed.length, String(to));
    return octets(changed);
  };
  /** One update more, of these objects, by the rules: number -> body. */
  const updated = (objects, trailer = '') => (signed) => {
    let body = '';
    const offsets = Object.entries(objects).map(([number, content]) => {
      const offset = signed.length + body.length;
      body += `${number} 0 obj\n${content}\nendobj\n`;
      return [number, offset];
    });
    const last = /startxref\n([0-9]+)\n%%EOF\n$/.exec(text(signed))[1];
    const size = Number(text(signed).match(/\/Size ([0-9]+)/g).at(-1).slice(6)) + 1;
    const section = signed.length + body.length;
    const table = offsets.map(([number, offset]) => `${number} 1\n${String(offset).padStart(10, '0')} 00000 n \n`).join('');
    return octets(`${text(signed)}${body}xref\n${table}trailer\n<< /Size ${size} /Prev ${last} /Root 1 0 R ${trailer}>>\nstartxref\n${section}\n%%EOF\n`);
  };
  /** Something put into the update, which moves what follows; the last section is found again. */
  const inserted = (before, what) => (signed) => {
    const at = text(signed).indexOf(before, document.length);
    assert.ok(at > 0);
    const longer = text(signed).slice(0, at) + what + text(signed).slice(at);
    return octets(longer.replace(/startxref\n([0-9]+)\n%%EOF\n$/, (_, offset) => `startxref\n${Number(offset) + what.length}\n%%EOF\n`));
  };
  const firstDigit = (offset) => (signed) => {
    const changed = signed.slice();
    changed[offset(text(signed))] ^= 1;
    return changed;
  };

  const lies = {
    'one byte of the document': firstDigit(() => 40),
    'a document that is shorter': (signed) => signed.subarray(1),
    'no update at all': () => document,
    'another header': instead(/%%EOF\n$/, '%%EOX\n'),
    'bytes after the end': (signed) => octets(`${text(signed)}garbage`),
    'a comment after the end': (signed) => octets(`${text(signed)}% more\n`),
    'white space after the end': (signed) => octets(`${text(signed)}\n`),
    'a second update': updated({ 4: '<< /Length 0 >>\nstream\n\nendstream' }),
    'a second update that changes the page': updated({ 3: '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 1 1] >>' }),
    'a second update with nothing in it': updated({}),
    'a comment between the objects': inserted('xref\n', '% hidden\n'),
    'an object that nothing refers to': inserted('xref\n', '99 0 obj\n(hidden)\nendobj\n'),
    'bytes before the first object': (signed) => inserted(text(signed).slice(document.length, document.length + 8), '%x\n')(signed),
    'a page of another size': instead('/MediaBox [0 0 595 842]', '/MediaBox [0 0 595 841]'),
    'a page with other content': instead('/Contents 4 0 R', '/Contents 5 0 R'),
    'another tree of pages': instead('/Pages 2 0 R /AcroForm', '/Pages 3 0 R /AcroForm'),
    'another catalogue': instead(/\/Root 1 0 R(?=[^]*$)/, '/Root 2 0 R'),
    'an annotation of another kind': instead('/Subtype /Widget', '/Subtype /Stampy'),
    'a field that is shown': instead('/Rect [0 0 0 0]', '/Rect [0 0 9 9]'),
    'a field of another kind': instead('/FT /Sig', '/FT /Btn'),
    'a field with other flags': instead('/F 132', '/F 133'),
    'a field on another page': instead('/P 3 0 R', '/P 2 0 R'),
    'a field whose value is not the signature': instead(/\/V ([0-9]+) 0 R/, (_, number) => `/V ${'1'.repeat(number.length)} 0 R`),
    'another handler': instead('/Adobe.PPKLite', '/Adobe.PPKLate'),
    'another kind of signature': instead('/ETSI.CAdES.detached', '/ETSI.RFC3161.detach'),
    'flags that do not say that there are signatures': instead('/SigFlags 3', '/SigFlags 0'),
    'a byte range that begins later': instead('/ByteRange [0 ', '/ByteRange [1 '),
    'a byte range that ends earlier': instead(/(\/ByteRange \[[0-9]+ [0-9]+ [0-9]+ )([0-9]+)/, (_, head, tail) => head + String(Number(tail) - 1).padStart(tail.length, '0')),
    'a byte range with a longer gap': instead(/(\/ByteRange \[0 )([0-9]+)/, (_, head, gap) => head + String(Number(gap) - 1).padStart(gap.length, '0')),
    'a byte range of two numbers more': instead(/(\/ByteRange \[[0-9 ]*?) {4}/, '$1 1 1'),
    'a CMS with another byte': instead('<3003', '<3004'),
    'bytes behind the CMS': instead(/00>/, '01>'),
    'a CMS in capitals': instead('2a00', '2A00'),
    'a section that points to the section of the document': (signed) => octets(text(signed).replace(/startxref\n[0-9]+\n%%EOF\n$/, `startxref\n${/startxref\s+([0-9]+)/.exec(text(document))[1]}\n%%EOF\n`)),
    'a section that skips the document': instead(/\/Prev ([0-9]+)/, (_, offset) => `/Prev ${'0'.repeat(offset.length)}`),
    'an object of the document redirected into the update': instead(/(xref\n)1 1\n/, '$15 1\n'),
    'an object in use made free': instead(/ 00000 n \ntrailer/, ' 00000 f \ntrailer'),
    'an offset that is off by one': instead(/([0-9]{10}) 00000 n \ntrailer/, (_, offset) => `${String(Number(offset) + 1).padStart(10, '0')} 00000 n \ntrailer`),
    'an update that is too large': (signed) => octets(text(signed) + ' '.repeat(maxUpdate)),
  };
  for (const [what, lie] of Object.entries(lies)) {
    it(`refuses ${what}`, async () => {
      const signed = await sign(document);
      await checkUpdate(document, signed, cms, room);
      await assert.rejects(checkUpdate(document, lie(signed), cms, room), isRefusal);
    });
  }

  it('refuses two signatures, the second of which is as good as the first', async () => {
    const once = await sign(document);
    await assert.rejects(checkUpdate(document, await sign(once), cms, room), isRefusal);
  });

  it('refuses another CMS, and another room for it, than those that were to come', async () => {
    const signed = await sign(document);
    await assert.rejects(checkUpdate(document, signed, Uint8Array.of(0x30, 1, 0), room), isRefusal);
    await assert.rejects(checkUpdate(document, signed, cms, room + 1), isRefusal);
  });

  it('refuses a changed member of a form that was there', async () => {
    const signed = text(await sign(form));
    const at = signed.lastIndexOf('/DR');
    assert.ok(at > form.length);
    await assert.rejects(checkUpdate(form, octets(`${signed.slice(0, at)}/DX${signed.slice(at + 3)}`), cms, room), isRefusal);
    const array = signed.lastIndexOf('[ 8 0 R ');
    assert.ok(array > form.length);
    await assert.rejects(checkUpdate(form, octets(`${signed.slice(0, array)}[ 5 0 R ${signed.slice(array + 8)}`), cms, room), isRefusal);
  });

  it('refuses a cross-reference stream that redirects an object of the document, or hides one in a stream of objects', async () => {
    const signed = await sign(streamed);
    await checkUpdate(streamed, signed, cms, room);
    const [, list] = /\/Type \/XRef \/W \[1 5 2\] \/Index \[([^\]]*)\]/.exec(text(signed).slice(streamed.length));
    const index = text(signed).lastIndexOf(list);
    const number = list.split(' ')[0];
    const free = ['4', '5', '6'].find((other) => other !== number && other.length === number.length);
    const redirected = octets(text(signed).slice(0, index) + free + text(signed).slice(index + number.length));
    await assert.rejects(checkUpdate(streamed, redirected, cms, room), isRefusal);
    const entries = text(signed).lastIndexOf('stream\n', text(signed).lastIndexOf('endstream')) + 7;
    for (const kind of [0, 2, 3]) {
      const changed = signed.slice();
      changed[entries] = kind;
      await assert.rejects(checkUpdate(streamed, changed, cms, room), isRefusal, `an entry of kind ${kind}`);
    }
  });

  it('refuses every change of one bit in the update', async () => {
    const signed = await sign(document);
    const contents = text(signed).indexOf('/Contents <') + 11;
    for (let at = document.length; at < signed.length; at += 1) {
      // Of the zeros behind the CMS one speaks for all; the claimed time and half of the file's identifier are free.
      if (at > contents + 20 && at < contents + 2 * room) continue;
      const around = text(signed.subarray(Math.max(0, at - 60), at + 1));
      if (/\/M \(D:[0-9]*$/.test(around) || /\/ID \[[^\]]*$/.test(text(signed.subarray(Math.max(0, at - 90), at + 1))) || /\/T \(Signature[0-9]$/.test(around)) continue;
      const changed = signed.slice();
      changed[at] ^= 1;
      await assert.rejects(checkUpdate(document, changed, cms, room), isRefusal, `at ${at}: ${JSON.stringify(around)}`);
    }
  });
});
