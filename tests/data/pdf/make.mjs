// Makes the sample documents of this folder and examples/contract.pdf, the same at each run but for the two encrypted ones:
//   node tests/data/pdf/make.mjs
// qpdf (the program) makes the linearised and the encrypted ones; the rest is written here byte by byte.
import { execFileSync } from 'node:child_process';
import { writeFileSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..', '..');
const id = '/ID [<000102030405060708090a0b0c0d0e0f> <000102030405060708090a0b0c0d0e0f>]';

const stream = (dictionary, data) => {
  const bytes = Buffer.isBuffer(data) ? data : Buffer.from(data, 'latin1');
  return Buffer.concat([Buffer.from(`<< ${dictionary} /Length ${bytes.length} >>\nstream\n`), bytes, Buffer.from('\nendstream')]);
};

// Objects: Map of number -> { gen, body }. Gives the bytes and each offset.
function writeObjects(header, objects) {
  const parts = [Buffer.from(header, 'latin1')];
  let at = parts[0].length;
  const offsets = new Map();
  for (const [number, { gen = 0, body }] of objects) {
    const bytes = Buffer.concat([Buffer.from(`${number} ${gen} obj\n`), Buffer.isBuffer(body) ? body : Buffer.from(body, 'latin1'), Buffer.from('\nendobj\n')]);
    offsets.set(number, { offset: at, gen });
    parts.push(bytes);
    at += bytes.length;
  }
  return { bytes: Buffer.concat(parts), offsets };
}

function tableOf(offsets, size, { hidden = new Set() } = {}) {
  let out = `xref\n0 ${size}\n0000000000 65535 f \n`;
  for (let n = 1; n < size; n += 1) {
    const entry = offsets.get(n);
    out += entry && !hidden.has(n) ? `${String(entry.offset).padStart(10, '0')} ${String(entry.gen).padStart(5, '0')} n \n` : '0000000000 00001 f \n';
  }
  return out;
}

function classic(objects, { size, trailer = '', header = '%PDF-1.4\n%\xe2\xe3\xcf\xd3\n', end = '\n' } = {}) {
  const { bytes, offsets } = writeObjects(header, objects);
  const count = size ?? Math.max(...objects.keys()) + 1;
  const tail = `${tableOf(offsets, count)}trailer\n<< /Size ${count} /Root 1 0 R ${trailer} >>\nstartxref\n${bytes.length}\n%%EOF${end}`;
  return Buffer.concat([bytes, Buffer.from(tail, 'latin1')]);
}

const font = '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>';
const textOf = (lines, size = 12, top = 760, leading = 20) =>
  `BT /F1 ${size} Tf 72 ${top} Td ${leading} TL ${lines.map((line) => `(${line.replace(/[()\\]/g, (c) => `\\${c}`)}) Tj T*`).join(' ')} ET`;

function simple({ catalog = '', page = '', extra = [], pageGen = 0, text = 'A sample document.' } = {}) {
  return new Map([
    [1, { body: `<< /Type /Catalog /Pages 2 0 R ${catalog} >>` }],
    [2, { body: `<< /Type /Pages /Kids [3 ${pageGen} R] /Count 1 >>` }],
    [3, { gen: pageGen, body: `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> ${page} >>` }],
    [4, { body: stream('', textOf([text])) }],
    [5, { body: font }],
    ...extra,
  ]);
}

// A file whose newest section is a cross-reference stream; catalogue, pages and font stand in an object stream.
function streamed({ hybrid = false, catalog = '' } = {}) {
  const inside = [
    [1, `<< /Type /Catalog /Pages 2 0 R ${catalog} >>`],
    [2, '<< /Type /Pages /Kids [3 0 R] /Count 1 >>'],
    [3, '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>'],
    [5, font],
  ].filter(([n]) => !hybrid || n === 5);
  let head = '';
  let body = '';
  for (const [n, text] of inside) {
    head += `${n} ${body.length} `;
    body += `${text}\n`;
  }
  const objectStream = stream(`/Type /ObjStm /N ${inside.length} /First ${head.length} /Filter /FlateDecode`, deflateSync(Buffer.from(head + body, 'latin1')));
  const all = simple({ catalog });
  const outside = new Map([...all].filter(([n]) => !inside.some(([m]) => m === n)));
  outside.set(6, { body: objectStream });
  const { bytes, offsets } = writeObjects('%PDF-1.5\n%\xe2\xe3\xcf\xd3\n', outside);
  const rows = [];
  const row = (type, second, third) => rows.push(Buffer.from([type, (second >>> 24) & 255, (second >>> 16) & 255, (second >>> 8) & 255, second & 255, third]));
  const numbers = hybrid ? [5] : [0, 1, 2, 3, 4, 5, 6, 7];
  for (const n of numbers) {
    const place = inside.findIndex(([m]) => m === n);
    if (n === 0) row(0, 0, 255);
    else if (n === 7) row(1, bytes.length, 0);
    else if (place >= 0) row(2, 6, place);
    else row(1, offsets.get(n).offset, 0);
  }
  const index = hybrid ? '[5 1]' : '[0 8]';
  const xref = Buffer.concat([Buffer.from('7 0 obj\n'), stream(`/Type /XRef /Size 8 /W [1 4 1] /Index ${index} /Root 1 0 R ${id} /Filter /FlateDecode`, deflateSync(Buffer.concat(rows))), Buffer.from('\nendobj\n')]);
  const withStream = Buffer.concat([bytes, xref]);
  if (!hybrid) return Buffer.concat([withStream, Buffer.from(`startxref\n${bytes.length}\n%%EOF\n`)]);
  const table = `${tableOf(offsets, 8)}trailer\n<< /Size 8 /Root 1 0 R ${id} /XRefStm ${bytes.length} >>\nstartxref\n${withStream.length}\n%%EOF\n`;
  return Buffer.concat([withStream, Buffer.from(table, 'latin1')]);
}

const save = (name, bytes) => writeFileSync(join(here, name), bytes);
const qpdf = (...args) => execFileSync('qpdf', args, { cwd: here });

const withInfo = simple({ extra: [[6, { body: '<< /Title (A sample) /Producer (make.mjs) >>' }]] });
save('classic.pdf', classic(withInfo, { trailer: `/Info 6 0 R /DocChecksum /00112233 ${id}` }));
save('no_line_end.pdf', classic(simple(), { end: '' }));
save('generations.pdf', classic(simple({ pageGen: 3 }), { size: 9, trailer: id }));
save('xref_stream.pdf', streamed());
save('hybrid.pdf', streamed({ hybrid: true }));
save('form_direct.pdf', classic(simple({
  catalog: '/AcroForm << /Fields [6 0 R] /NeedAppearances true /DA (/Helv 0 Tf 0 g) >>',
  page: '/Annots [6 0 R]',
  extra: [[6, { body: '<< /Type /Annot /Subtype /Widget /FT /Tx /T (Signature1) /V (typed) /Rect [72 600 300 620] /P 3 0 R /F 4 >>' }]],
}), { trailer: id }));
save('form_indirect.pdf', classic(simple({
  catalog: '/AcroForm 6 0 R',
  page: '/Annots 7 0 R',
  extra: [
    [6, { body: '<< /Fields 7 0 R /SigFlags 1 /DR << /Font << /Helv 5 0 R >> >> >>' }],
    [7, { body: '[ 8 0 R ]' }],
    [8, { body: '<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /Rect [72 600 300 620] /P 3 0 R /F 4 >>' }],
  ],
}), { trailer: id }));
save('certified.pdf', classic(simple({
  catalog: '/AcroForm << /Fields [6 0 R] /SigFlags 3 >> /Perms << /DocMDP 7 0 R >>',
  page: '/Annots [6 0 R]',
  extra: [
    [6, { body: '<< /Type /Annot /Subtype /Widget /FT /Sig /T (author) /V 7 0 R /Rect [0 0 0 0] /P 3 0 R /F 132 >>' }],
    [7, { body: '<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /ByteRange [0 1 2 3] /Contents <00> /Reference [ << /Type /SigRef /TransformMethod /DocMDP /TransformParams << /Type /TransformParams /V /1.2 /P 1 >> >> ] >>' }],
  ],
}), { trailer: id }));
save('reference_to_come.pdf', classic(simple({
  catalog: '/AcroForm << /Fields [6 0 R 8 0 R] >>',
  page: '/Annots [6 0 R]',
  extra: [[6, { body: '<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /Rect [72 600 300 620] /P 3 0 R /F 4 >>' }]],
}), { trailer: id }));
save('dynamic_xfa.pdf', classic(simple({ catalog: '/NeedsRendering true /AcroForm << /Fields [] /XFA 6 0 R >>', extra: [[6, { body: stream('', '<xdp/>') }]] }), { trailer: id }));
qpdf('--deterministic-id', '--linearize', 'classic.pdf', 'linearised.pdf');
qpdf('--deterministic-id', '--linearize', '--object-streams=generate', 'form_direct.pdf', 'linearised_streams.pdf');
qpdf('--static-id', '--encrypt', 'open', 'owner', '256', '--', 'classic.pdf', 'encrypted_password.pdf');
qpdf('--static-id', '--encrypt', '', 'owner', '128', '--use-aes=y', '--', 'classic.pdf', 'encrypted_permissions.pdf');

const whole = classic(withInfo, { trailer: id });
save('truncated.pdf', whole.subarray(0, whole.length - 60));
save('wrong_offsets.pdf', Buffer.from(whole.toString('latin1').replace('/MediaBox [0 0 595 842]', '/MediaBox [0 0 5950 8420]'), 'latin1'));
save('bytes_before_header.pdf', Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), whole]));
save('no_page.pdf', classic(new Map([[1, { body: '<< /Type /Catalog /Pages 2 0 R >>' }], [2, { body: '<< /Type /Pages /Kids [] /Count 0 >>' }]]), { trailer: id }));
save('not_a_pdf.pdf', Buffer.from('GIF89a is what this file says that it is.\n'.repeat(40)));

const pages = [
  ['Heading', 'Contract of sale', 'between Ada Example, resident of Athens (the seller), and Ben Sample, resident of Patras (the buyer).', '',
    '1. Object. The seller sells to the buyer one sailing boat of the name "Halcyon", built in 2011,',
    '    length 9.80 m, with the equipment listed in the inventory that both parties have seen.', '',
    '2. Price. The buyer pays 31,500 euros by bank transfer within ten days of the last signature.', '',
    '3. Handing over. The boat is handed over at the harbour of Patras on the first Monday after payment.',
    '    Property passes with the handing over.', '',
    '4. Condition. The buyer has inspected the boat and accepts its condition. The seller declares',
    '    that the boat is free of any charge and of any defect that the seller knows of.'],
  ['Heading', 'Contract of sale (continued)', '',
    '5. Costs. Each party bears its own costs; the buyer bears the fees of registration.', '',
    '6. Form. The parties sign this document electronically. Each signature is made with the signer\'s',
    '    own key in a remote signature device and can be verified by anyone without asking the parties.', '',
    '7. Law. The law of the place of handing over applies.', '', '', 'The seller                                                            The buyer'],
];
const contract = new Map([
  [1, { body: '<< /Type /Catalog /Pages 2 0 R /Lang (en) /ViewerPreferences << /DisplayDocTitle true >> >>' }],
  [2, { body: '<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 /MediaBox [0 0 595 842] /Resources << /Font << /F1 7 0 R /F2 8 0 R >> >> >>' }],
  [3, { body: '<< /Type /Page /Parent 2 0 R /Contents 5 0 R >>' }],
  [4, { body: '<< /Type /Page /Parent 2 0 R /Contents 6 0 R >>' }],
  ...pages.map(([, title, ...lines], i) => [5 + i, {
    body: stream('', `BT /F2 18 Tf 56 770 Td (${title.replace(/[()\\]/g, (c) => `\\${c}`)}) Tj ET\n${textOf(lines, 10.5, 735, 17).replace('72 735', '56 735')}\nBT /F1 9 Tf 285 40 Td (${i + 1} / 2) Tj ET`),
  }]),
  [7, { body: font }],
  [8, { body: font.replace('/Helvetica', '/Helvetica-Bold') }],
  [9, { body: '<< /Title (Contract of sale) /Author (Intaglio examples) /CreationDate (D:20261120090000Z) >>' }],
]);
mkdirSync(join(root, 'examples'), { recursive: true });
writeFileSync(join(root, 'examples', 'contract.pdf'), classic(contract, { trailer: `/Info 9 0 R ${id}`, header: '%PDF-1.7\n%\xe2\xe3\xcf\xd3\n' }));
