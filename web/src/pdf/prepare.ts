// The incremental update that carries a signature (ISO 32000-1, 7.5.6 and 12.8; EN 319 142-1): the bytes of the document are never changed.
import { concatenate, hex, type Octets } from '../sap/octets.ts';
import { PdfFile } from './file.ts';
import { outlineOf, type Outline } from './outline.ts';
import { damaged, fromLatin1, latin1, source, type Dictionary, type Reference, type Value } from './syntax.ts';

export interface Prepared {
  readonly document: PdfFile;
  readonly outline: Outline;
  /** What follows the document, with zeros where the CMS goes. */
  readonly update: Octets;
  /** In the whole file: offset and length of the two signed pieces. */
  readonly byteRange: readonly [number, number, number, number];
  /** Room for the CMS, in octets. */
  readonly room: number;
}

const rangeRoom = 44;
/** Members of a trailer that belong to its own section. */
const ownMembers = new Set(['Size', 'Prev', 'XRefStm', 'ID', 'Type', 'W', 'Index', 'Length', 'Filter', 'DecodeParms', 'F', 'FFilter', 'FDecodeParms', 'DL']);

const refer = ({ number, generation }: { readonly number: number; readonly generation: number }): string => `${number} ${generation} R`;

/** A dictionary with members replaced or added; everything else of it is copied. */
function withMembers(dictionary: Dictionary, changes: Readonly<Record<string, string>>): string {
  const kept = [...dictionary.members].filter(([name]) => !(name in changes)).map(([name, value]) => ` ${dictionary.keys.get(name) ?? ''} ${source(value)}`);
  return `<<${kept.join('')}${Object.entries(changes).map(([name, value]) => ` /${name} ${value}`).join('')} >>`;
}

const withItem = (items: readonly Value[], item: string): string => `[${items.map((one) => ` ${source(one)}`).join('')} ${item} ]`;

class Update {
  readonly #file: PdfFile;
  readonly #entries = new Map<number, { readonly offset: number; readonly generation: number }>();
  readonly #bodies = new Map<number, string>();
  #next: number;
  text: string;

  constructor(file: PdfFile) {
    this.#file = file;
    this.#next = file.size;
    const last = file.octets.at(-1);
    this.text = last === 10 || last === 13 ? '' : '\n';
  }

  number(): number {
    return this.#next++;
  }

  write({ number, generation }: { readonly number: number; readonly generation: number }, body: string): number {
    // One array may be both the fields of the form and the annotations of the page.
    const written = this.#bodies.get(number);
    if (written === body) return -1;
    if (written !== undefined) throw damaged('an object in two places of the document');
    this.#bodies.set(number, body);
    this.#entries.set(number, { offset: this.#file.octets.length + this.text.length, generation });
    this.text += `${number} ${generation} obj\n`;
    const at = this.text.length;
    this.text += `${body}\nendobj\n`;
    return at;
  }

  finish(secondId: string): void {
    const section = this.#file.octets.length + this.text.length;
    const own = this.#file.sectionKind === 'stream' ? this.number() : undefined;
    if (own !== undefined) this.#entries.set(own, { offset: section, generation: 0 });
    const id = this.#file.trailer.members.get('ID');
    const first = id?.kind === 'array' && id.items[0]?.kind === 'string' ? hex(fromLatin1(id.items[0].content)) : secondId;
    const copied = [...this.#file.trailer.members].filter(([name]) => !ownMembers.has(name)).map(([name, value]) => ` ${this.#file.trailer.keys.get(name) ?? ''} ${source(value)}`);
    const members = ` /Size ${this.#next} /Prev ${this.#file.lastSection} /ID [<${first}> <${secondId}>]${copied.join('')}`;
    const sorted = [...this.#entries].sort(([left], [right]) => left - right);
    if (own === undefined) {
      this.text += 'xref\n';
      for (const [number, { offset, generation }] of sorted) this.text += `${number} 1\n${String(offset).padStart(10, '0')} ${String(generation).padStart(5, '0')} n \n`;
      this.text += `trailer\n<<${members} >>\n`;
    } else {
      const big = (value: number, width: number): string => latin1(Uint8Array.from({ length: width }, (_, at) => Math.floor(value / 256 ** (width - 1 - at)) % 256));
      const data = sorted.map(([, { offset, generation }]) => big(1, 1) + big(offset, 5) + big(generation, 2)).join('');
      this.text += `${own} 0 obj\n<< /Type /XRef /W [1 5 2] /Index [${sorted.map(([number]) => `${number} 1`).join(' ')}] /Length ${data.length}${members} >>\nstream\n${data}\nendstream\nendobj\n`;
    }
    this.text += `startxref\n${section}\n%%EOF\n`;
  }
}

function addToPage(update: Update, { page, pageAt, annotations, annotationsAt }: Outline, widget: string): void {
  const items = withItem(annotations, widget);
  if (annotationsAt && page.members.has('Annots') && annotations.length > 0) update.write(annotationsAt, items);
  else update.write(pageAt, withMembers(page, { Annots: items }));
}

/** SigFlags: SignaturesExist and AppendOnly (ISO 32000-1, 12.7.2). */
function addToForm(update: Update, { catalogue, catalogueAt, form, formAt, fields, fieldsAt }: Outline, field: string): void {
  const items = withItem(fields, field);
  if (!form) {
    const made = { number: update.number(), generation: 0 };
    update.write(made, `<< /Fields ${items} /SigFlags 3 >>`);
    update.write(catalogueAt, withMembers(catalogue, { AcroForm: refer(made) }));
    return;
  }
  const flags = form.members.get('SigFlags');
  const before = flags?.kind === 'number' ? flags.number : 0;
  const changes: Record<string, string> = (before & 3) === 3 ? {} : { SigFlags: String(before | 3) };
  if (fieldsAt && fields.length > 0) update.write(fieldsAt, items);
  else changes['Fields'] = items;
  if (Object.keys(changes).length === 0) return;
  const body = withMembers(form, changes);
  if (formAt) update.write(formAt, body);
  else update.write(catalogueAt, withMembers(catalogue, { AcroForm: body }));
}

async function unusedName(file: PdfFile, fields: readonly Value[]): Promise<string> {
  const taken = new Set<string>();
  for (const field of fields) {
    const name = await file.member(await file.resolve(field), 'T');
    // UTF-16 or PDFDocEncoding: of the names that are looked for, both without their zero octets and mark are the same.
    if (name?.kind === 'string') taken.add(name.content.replace(/^\u00fe\u00ff/, '').replaceAll('\0', ''));
  }
  for (let number = 1; ; number += 1) if (!taken.has(`Signature${number}`)) return `Signature${number}`;
}

/** `room`: for the CMS, in octets. `time`: the claimed signing time, /M. Throws NotSignable. */
export async function prepare(octets: Octets, room: number, time: Date): Promise<Prepared> {
  const document = await PdfFile.open(octets);
  const outline = await outlineOf(document);
  const update = new Update(document);
  const signature: Pick<Reference, 'number' | 'generation'> = { number: update.number(), generation: 0 };
  const widget = { number: update.number(), generation: 0 };
  const date = time.toISOString().replaceAll(/[^0-9]/g, '').slice(0, 14);
  const before = `<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /M (D:${date}Z) /ByteRange [`;
  const between = '] /Contents <';
  const bodyAt = update.write(signature, `${before}${' '.repeat(rangeRoom)}${between}${'0'.repeat(2 * room)}> >>`);
  const name = await unusedName(document, outline.fields);
  // F 132: Print and Locked; a rectangle without area is how an invisible signature is written (ISO 32000-1, 12.7.4.5).
  update.write(widget, `<< /Type /Annot /Subtype /Widget /FT /Sig /T (${name}) /F 132 /Rect [0 0 0 0] /P ${refer(outline.pageAt)} /V ${refer(signature)} >>`);
  addToPage(update, outline, refer(widget));
  addToForm(update, outline, refer(widget));
  update.finish(hex(crypto.getRandomValues(new Uint8Array(16))));

  const gap = octets.length + bodyAt + before.length + rangeRoom + between.length - 1;
  const behind = gap + 2 * room + 2;
  const byteRange = [0, gap, behind, octets.length + update.text.length - behind] as const;
  const written = fromLatin1(update.text);
  written.set(fromLatin1(byteRange.join(' ')), bodyAt + before.length);
  return { document, outline, update: written, byteRange, room };
}

/** Document and update without the place of the CMS: what is signed. */
export function signedPieces({ document, update, byteRange }: Prepared): Octets {
  const gap = byteRange[1] - document.octets.length;
  return concatenate([document.octets, update.subarray(0, gap), update.subarray(byteRange[2] - document.octets.length)]);
}

/** The signed document. */
export function withContents({ document, update, byteRange, room }: Prepared, cms: Octets): Octets {
  if (cms.length > room) throw new Error('the CMS does not fit');
  const whole = concatenate([document.octets, update]);
  whole.set(fromLatin1(hex(cms)), byteRange[1] + 1);
  return whole;
}
