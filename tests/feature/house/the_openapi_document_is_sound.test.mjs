// api/csc/openapi.yaml: every schema compiles in ajv's strict mode, every reference leads somewhere, and no answer that differs is taken for one of it.
// The harness holds every answer of /csc that any test gets against the document (harness/http.mjs).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openapi, schemas, undescribed } from '../harness/openapi.mjs';

const verbs = ['get', 'post'];

describe('the OpenAPI document of the CSC API', () => {
  it('has a summary, a refusal and a body that compiles at every operation', () => {
    assert.equal(openapi.openapi, '3.0.3');
    for (const [route, methods] of Object.entries(openapi.paths)) {
      assert.match(route, /^\/[A-Za-z0-9_/]+$/);
      for (const [verb, operation] of Object.entries(methods)) {
        assert.ok(verbs.includes(verb), `${verb} ${route}`);
        assert.ok(operation.summary, route);
        for (const [status, response] of Object.entries(operation.responses)) {
          assert.match(status, /^[2345]\d\d$/, route);
          assert.ok(response.description ?? response.$ref, `${route} ${status}`);
        }
        if (operation.requestBody && route !== '/info') assert.ok(operation.responses['400'], route);
      }
    }
    const all = schemas();
    assert.equal(all.length, Object.values(openapi.paths).flatMap(Object.values).flatMap(({ requestBody, responses }) => [requestBody, ...Object.values(responses)]).flatMap((one) => Object.values(one?.content ?? {})).filter(({ schema }) => schema).length);
    for (const { where, schema } of all) assert.equal(typeof schema, 'function', where);
  });

  it('follows every reference to something', () => {
    const follow = (value) => {
      if (Array.isArray(value)) return value.forEach(follow);
      if (value === null || typeof value !== 'object') return undefined;
      if (value.$ref) assert.ok(value.$ref.slice(2).split('/').reduce((at, part) => at?.[part], openapi), value.$ref);
      return Object.values(value).forEach(follow);
    };
    follow(openapi);
  });

  it('tells a good answer from one with a member missing, of another type, or of a status that it does not name', () => {
    const refused = { error: 'invalid_request', error_description: 'Invalid parameter SAD' };
    const signed = { signatures: ['AA=='], auditReceipts: [{ log: 'x', index: 0, leaf: 'AA==' }] };
    const at = (status, json) => undescribed('POST', '/csc/v2/signatures/signHash', status, json);
    assert.equal(at(200, signed), undefined);
    assert.equal(at(400, refused), undefined);
    assert.equal(at(413, refused), undefined);
    assert.match(at(200, { signatures: [] }), /auditReceipts/);
    assert.equal(at(200, { responseID: 'x' }), undefined);
    assert.match(at(200, { ...signed, signatures: [5] }), /must be string/);
    assert.match(at(400, { error: 'invalid_request' }), /error_description/);
    assert.match(at(400, { ...refused, error: 'a new word' }), /allowed values/);
    assert.match(at(413, undefined), /without error/);
    assert.match(at(204, undefined), /no answer of the document/);
    assert.match(undescribed('POST', '/csc/v2/oauth2/pushed_authorize', 201, {}), /request_uri/);
    assert.equal(undescribed('GET', '/sic/v1/sam', 200, {}), undefined);
  });
});
