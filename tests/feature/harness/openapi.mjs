// What api/csc/openapi.yaml says of the answers, held against every answer that the tests get from /csc: a document that nobody compares says little.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { parse } from 'yaml';

const file = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../api/csc/openapi.yaml');
export const openapi = parse(readFileSync(file, 'utf8'));
/** Where the paths of the document stand. */
const base = '/csc/v2';
const errors = { type: 'object', required: ['error', 'error_description'], properties: { error: { type: 'string' }, error_description: { type: 'string' } } };

const ajv = new Ajv({ strict: true, allErrors: true, formats: { byte: true } });
// Of OpenAPI 3.0.3, beside JSON Schema.
ajv.addVocabulary(['components', 'paths', 'info', 'servers', 'security', 'openapi']);
ajv.addSchema(openapi, 'csc');

const pointer = (...parts) => parts.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** The place of a response in the document, references followed. */
function responseAt(route, method, status) {
  const place = ['paths', route, method, 'responses', String(status)];
  const response = openapi.paths[route]?.[method]?.responses[String(status)];
  if (!response?.$ref) return { response, place };
  const parts = response.$ref.slice(2).split('/');
  return { response: parts.reduce((value, part) => value[part], openapi), place: parts };
}

/** Why this answer is not what the document says; undefined when it is, or when the path is none of the document's. */
export function undescribed(method, pathname, status, json) {
  const route = pathname.startsWith(`${base}/`) ? pathname.slice(base.length) : undefined;
  const verb = method.toLowerCase();
  if (!openapi.paths[route]?.[verb]) return undefined;
  const { response, place } = responseAt(route, verb, status);
  // What the listener refuses by itself (length, method, load) stands at no path.
  if (!response && status >= 400) return ajv.validate(errors, json) ? undefined : `${method} ${route}: ${status} without error and error_description`;
  if (!response) return `${method} ${route}: ${status} is no answer of the document`;
  if (!response.content?.['application/json']?.schema) return undefined;
  const schema = ajv.getSchema(`csc#${pointer(...place, 'content', 'application/json', 'schema')}`);
  return schema(json) ? undefined : `${method} ${route}: ${status}: ${ajv.errorsText(schema.errors)}`;
}

/** Every schema of the document that stands in a request or a response, as {where, schema}. */
export function schemas() {
  const found = [];
  for (const [route, methods] of Object.entries(openapi.paths)) {
    for (const [verb, operation] of Object.entries(methods)) {
      const take = (place, content = {}) => {
        for (const type of Object.keys(content)) {
          if (content[type].schema) found.push({ where: `${verb} ${route} ${place.join(' ')}`, schema: ajv.getSchema(`csc#${pointer('paths', route, verb, ...place, 'content', type, 'schema')}`) });
        }
      };
      take(['requestBody'], operation.requestBody?.content);
      for (const [status, response] of Object.entries(operation.responses)) take(['responses', status], response.content);
    }
  }
  return found;
}
