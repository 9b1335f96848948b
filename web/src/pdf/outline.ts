// What of a document a signature touches: the catalogue, the form and the first page.
import { memberOf, PdfFile } from './file.ts';
import { damaged, NotSignable, type Dictionary, type Reference, type Value } from './syntax.ts';

export interface Outline {
  readonly catalogue: Dictionary;
  readonly catalogueAt: Reference;
  readonly page: Dictionary;
  readonly pageAt: Reference;
  readonly pages: number;
  readonly form: Dictionary | undefined;
  readonly formAt: Reference | undefined;
  readonly fields: readonly Value[];
  readonly fieldsAt: Reference | undefined;
  readonly annotations: readonly Value[];
  readonly annotationsAt: Reference | undefined;
}

const maxDepth = 64;
const maxFields = 100000;
const referenceOf = (value: Value | undefined): Reference | undefined => value?.kind === 'reference' ? value : undefined;

async function firstPage(file: PdfFile, root: Value | undefined): Promise<[Reference, Dictionary]> {
  let at = root;
  for (let depth = 0; depth < maxDepth; depth += 1) {
    const node = await file.resolve(at);
    if (at?.kind !== 'reference' || node?.kind !== 'dictionary') break;
    const kids = await file.member(node, 'Kids');
    if (kids === undefined) {
      const type = node.members.get('Type');
      if (type?.kind !== 'name' || type.name !== 'Page') break;
      return [at, node];
    }
    if (kids.kind !== 'array') break;
    at = undefined;
    for (const kid of kids.items) {
      const inner = await file.resolve(kid);
      const count = await file.member(inner, 'Count');
      // A node of the tree without pages leads nowhere.
      if (inner && !(count?.kind === 'number' && count.number === 0)) {
        at = kid;
        break;
      }
    }
  }
  throw damaged('no first page of its own');
}

async function forbidsChanges(file: PdfFile, catalogue: Dictionary): Promise<boolean> {
  const references = await file.member(await file.member(await file.member(catalogue, 'Perms'), 'DocMDP'), 'Reference');
  for (const item of references?.kind === 'array' ? references.items : []) {
    const reference = await file.resolve(item);
    const method = await file.member(reference, 'TransformMethod');
    if (method?.kind !== 'name' || method.name !== 'DocMDP') continue;
    const permission = await file.member(await file.member(reference, 'TransformParams'), 'P');
    if (permission?.kind === 'number' && permission.number === 1) return true;
  }
  return false;
}

/** Throws NotSignable where a signature could not be added faithfully. */
export async function outlineOf(file: PdfFile): Promise<Outline> {
  const catalogueAt = referenceOf(file.trailer.members.get('Root'));
  const catalogue = await file.resolve(catalogueAt);
  if (!catalogueAt || catalogue?.kind !== 'dictionary') throw damaged('no catalogue');
  const dynamic = await file.member(catalogue, 'NeedsRendering');
  if (dynamic?.kind === 'word' && dynamic.word === 'true') throw new NotSignable('dynamic-form', 'dynamic XFA');
  if (await forbidsChanges(file, catalogue)) throw new NotSignable('certified', 'certified against changes');

  const [pageAt, page] = await firstPage(file, catalogue.members.get('Pages'));
  const count = await file.member(await file.member(catalogue, 'Pages'), 'Count');
  if (count?.kind !== 'number' || !Number.isSafeInteger(count.number) || count.number < 1) throw damaged('no number of pages');
  const annotations = await file.member(page, 'Annots');
  if (annotations && annotations.kind !== 'array') throw damaged('annotations that are no array');
  const form = await file.member(catalogue, 'AcroForm');
  if (form && form.kind !== 'dictionary') throw damaged('a form that is no dictionary');
  const fields = await file.member(form, 'Fields');
  if (fields && fields.kind !== 'array') throw damaged('fields that are no array');
  const items = fields?.items ?? [];
  if (items.length > maxFields) throw damaged('too many fields');
  // The next update would make them mean something.
  const promised = (value: Value | undefined): boolean => value?.kind === 'reference' && value.number >= file.size;
  for (const field of items) {
    if (promised(field) || promised(memberOf(await file.resolve(field), 'V'))) throw damaged('the form refers to an object that is not there');
  }
  if ((annotations?.items ?? []).some(promised)) throw damaged('the page refers to an object that is not there');
  return {
    catalogue, catalogueAt, page, pageAt, pages: count.number, form, formAt: referenceOf(catalogue.members.get('AcroForm')), fields: items,
    fieldsAt: referenceOf(memberOf(form, 'Fields')), annotations: annotations?.items ?? [], annotationsAt: referenceOf(page.members.get('Annots')),
  };
}
