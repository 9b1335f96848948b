// Whether a file is a document with one incremental update that adds one signature, and nothing else (ISO 32000-1, 7.5.6 and 12.8). It
// trusts nobody for the update: it reads the file anew, by the rules of a viewer, and compares every object with the document.
import { same, type Octets } from '../sap/octets.ts';
import { memberOf, PdfFile } from './file.ts';
import { outlineOf } from './outline.ts';
import { latin1, Reader, source, type Dictionary, type Value } from './syntax.ts';

export class NotOneUpdate extends Error {}

const wrong = (what: string): NotOneUpdate => new NotOneUpdate(what);

/** No update of ours is larger: CMS, four objects and copies of catalogue, page and form. */
export const maxUpdate = 4 * 1024 * 1024;

/** The members of a dictionary as text, without those named. */
function without(dictionary: Dictionary, names: readonly string[]): string {
  return [...dictionary.members].filter(([name]) => !names.includes(name)).map(([name, value]) => `/${name} ${source(value)}`).sort().join('\n');
}

function sameBut(before: Dictionary, after: Dictionary, names: readonly string[], what: string): void {
  if (without(before, names) !== without(after, names)) throw wrong(`${what} changed in more than a signature changes`);
}

function oneMore(before: readonly Value[], after: readonly Value[], what: string): Value {
  const added = after.at(-1);
  if (!added || after.length !== before.length + 1 || before.some((item, at) => source(item) !== source(after[at] ?? added))) throw wrong(`${what}: not one more`);
  return added;
}

function exactly(dictionary: Value | undefined, expected: Readonly<Record<string, RegExp>>, what: string): Dictionary {
  if (dictionary?.kind !== 'dictionary' || dictionary.members.size !== Object.keys(expected).length) throw wrong(`${what} has other members`);
  for (const [name, pattern] of Object.entries(expected)) {
    const value = dictionary.members.get(name);
    if (!value || !pattern.test(source(value))) throw wrong(`${what} has another ${name}`);
  }
  return dictionary;
}

/** The object that an offset holds, of which nothing hides between its parts: where it ends. */
function endOfObject(octets: Octets, offset: number, number: number): number {
  const reader = new Reader(octets, offset);
  if (!latin1(octets, offset, offset + 24).startsWith(`${number} `) || reader.whole() !== number) throw wrong('an object is not where its section says');
  reader.whole();
  reader.expect('obj');
  const value = reader.value();
  const length = memberOf(value, 'Type');
  if (length?.kind === 'name' && length.name === 'XRef') {
    const size = memberOf(value, 'Length');
    if (size?.kind !== 'number' || latin1(octets, reader.at, reader.at + 8) !== '\nstream\n') throw wrong('no cross-reference stream');
    reader.at += 8 + size.number;
    reader.expect('endstream');
  }
  reader.expect('endobj');
  return reader.at + 1;
}

/**
 * Throws NotOneUpdate, or NotSignable where `signed` cannot be read. `contents`: what must stand in /Contents, padded with zeros; its
 * room is `room` octets.
 */
export async function checkUpdate(original: Octets, signed: Octets, contents: Octets, room: number): Promise<void> {
  if (signed.length <= original.length || !same(signed.subarray(0, original.length), original)) throw wrong('the document itself changed');
  if (signed.length - original.length > maxUpdate) throw wrong('the update is too large');
  const [before, after] = [await PdfFile.open(original), await PdfFile.open(signed)];
  const [old, now] = [await outlineOf(before), await outlineOf(after)];

  // One section, after the document, which continues the document's last.
  if (after.lastSection < original.length) throw wrong('the last section is not in the update');
  const previous = after.trailer.members.get('Prev');
  if (previous?.kind !== 'number' || previous.number !== before.lastSection) throw wrong('more or fewer than one update');
  if (after.trailer.members.has('XRefStm') || after.sectionKind !== before.sectionKind) throw wrong('a section of another kind');
  const own = ['Size', 'Prev', 'ID', 'XRefStm', ...(after.sectionKind === 'stream' ? ['Type', 'W', 'Index', 'Length', 'Filter', 'DecodeParms'] : [])];
  sameBut(before.trailer, after.trailer, own, 'the trailer');

  // Which objects are new or written again, and where.
  const changed = new Map<number, number>();
  for (const [number, entry] of after.entries) {
    if (JSON.stringify(entry) === JSON.stringify(before.entries.get(number))) continue;
    if (entry.kind !== 'offset' || entry.offset < original.length) throw wrong(`object ${number} was redirected`);
    changed.set(number, entry.offset);
  }
  if (after.size !== Math.max(before.size - 1, ...changed.keys()) + 1) throw wrong('another size');
  if (old.catalogueAt.number !== now.catalogueAt.number || old.pageAt.number !== now.pageAt.number || old.pages !== now.pages) throw wrong('another catalogue or page');

  // One field more, and its signature.
  const [field, annotation] = [oneMore(old.fields, now.fields, 'fields'), oneMore(old.annotations, now.annotations, 'annotations')];
  if (field.kind !== 'reference' || annotation.kind !== 'reference' || source(field) !== source(annotation) || field.generation !== 0) throw wrong('the field is not its annotation');
  const isNew = (number: number): boolean => changed.has(number) && !before.entries.has(number) && number >= before.size;
  const page = `^${now.pageAt.number} ${now.pageAt.generation} R$`;
  const widget = exactly(await after.resolve(field), {
    Type: /^\/Annot$/, Subtype: /^\/Widget$/, FT: /^\/Sig$/, T: /^\(Signature[0-9]{1,6}\)$/, F: /^132$/, Rect: /^\[0 0 0 0\]$/, P: new RegExp(page), V: /^[0-9]+ 0 R$/,
  }, 'the field');
  const value = widget.members.get('V');
  if (value?.kind !== 'reference' || !isNew(value.number) || !isNew(field.number)) throw wrong('field or signature is no new object');
  const signature = exactly(await after.resolve(value), {
    Type: /^\/Sig$/, Filter: /^\/Adobe\.PPKLite$/, SubFilter: /^\/ETSI\.CAdES\.detached$/, M: /^\(D:[0-9]{14}Z\)$/, ByteRange: /^\[[0-9 ]+\]$/, Contents: /^<[0-9a-f]+>$/,
  }, 'the signature');
  const allowed = new Set([value.number, field.number]);

  // Catalogue, form and page: the same but for it.
  const allow = (number: number | undefined): void => { if (number !== undefined) allowed.add(number); };
  if (!now.form) throw wrong('no form');
  if (old.form) {
    sameBut(old.form, now.form, ['Fields', 'SigFlags'], 'the form');
    sameBut(old.catalogue, now.catalogue, old.formAt ? [] : ['AcroForm'], 'the catalogue');
    if (old.formAt?.number !== now.formAt?.number) throw wrong('another form');
    if (!old.formAt) allow(old.catalogueAt.number);
  } else {
    if (!now.formAt || !isNew(now.formAt.number) || now.form.members.size !== 2) throw wrong('a form with more than a field');
    sameBut(old.catalogue, now.catalogue, ['AcroForm'], 'the catalogue');
    allow(old.catalogueAt.number);
  }
  allow(now.formAt?.number);
  allow(old.fieldsAt?.number);
  const [flags, earlier] = [now.form.members.get('SigFlags'), old.form?.members.get('SigFlags')];
  if (flags?.kind !== 'number' || flags.number !== ((earlier?.kind === 'number' ? earlier.number : 0) | 3)) throw wrong('other signature flags');
  sameBut(old.page, now.page, ['Annots'], 'the page');
  allow(old.pageAt.number);
  allow(old.annotationsAt?.number);
  if (after.sectionKind === 'stream') {
    const section = [...changed].find(([, offset]) => offset === after.lastSection)?.[0];
    if (section === undefined || !isNew(section)) throw wrong('the section is no new object');
    allow(section);
  }
  for (const number of changed.keys()) if (!allowed.has(number)) throw wrong(`object ${number} is none that a signature changes`);

  // ByteRange: everything but the place of the CMS, which holds it and zeros.
  const range = signature.members.get('ByteRange');
  const place = signature.members.get('Contents');
  if (range?.kind !== 'array' || place?.kind !== 'string') throw wrong('no byte range');
  const numbers = range.items.map((item) => (item.kind === 'number' ? item.number : -1));
  if (numbers.join(' ') !== [0, place.start, place.end, signed.length - place.end].join(' ')) throw wrong('the byte range leaves something out');
  if (place.end - place.start !== 2 * room + 2) throw wrong('another room for the CMS');
  const held = place.content;
  if (!held.startsWith(latin1(contents)) || /[^\0]/.test(held.slice(contents.length))) throw wrong('the place of the CMS holds something else');

  // Nothing between the objects, nothing after the end.
  let at = original.length;
  const last = original.at(-1);
  if (last !== 10 && last !== 13) at += 1;
  if (at === original.length + 1 && signed[original.length] !== 10) throw wrong('bytes before the first object');
  for (const offset of [...changed.values()].sort((left, right) => left - right)) {
    if (offset !== at) throw wrong('bytes between the objects');
    const number = [...changed].find(([, where]) => where === offset)?.[0] ?? -1;
    at = endOfObject(signed, offset, number);
    if (signed[at - 1] !== 10) throw wrong('bytes after an object');
  }
  const end = latin1(signed, at);
  const tail = after.sectionKind === 'stream'
    ? /^startxref\n[0-9]{1,10}\n%%EOF\n$/
    : /^xref\n(?:[0-9]+ 1\n[0-9]{10} [0-9]{5} n \n)+trailer\n<<[^\n]* >>\nstartxref\n[0-9]{1,10}\n%%EOF\n$/;
  const trailer = source(after.trailer);
  const bare = after.sectionKind === 'stream' ? end : end.replace(trailer, '<<  >>');
  if (!tail.test(bare) || (after.sectionKind === 'table' && at !== after.lastSection)) throw wrong('bytes around the section');
}
