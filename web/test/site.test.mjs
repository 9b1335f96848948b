// What a deployment says of itself is read strictly; the catalogues say the same things in each language.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseSite } from '../src/site.ts';
import { catalogues, preferred, text } from '../src/texts.ts';

const example = () => JSON.parse(readFileSync(new URL('../../deploy/examples/site.json', import.meta.url), 'utf8'));

describe('site.json', () => {
  it('is read as the example has it', () => {
    const site = parseSite(example());
    assert.equal(site.rpId, 'localhost');
    assert.deepEqual(site.factors['direct-resident'], [['pin', 'totp']]);
    assert.deepEqual(Object.keys(site.terms.texts), ['en', 'el']);
  });

  const wrong = {
    'an API without TLS': (site) => { site.api = 'http://127.0.0.1:8443'; },
    'an API with a path': (site) => { site.api = 'https://api.example.org/v1'; },
    'an API with somebody in front': (site) => { site.api = 'https://api.example.org@evil.example'; },
    'no pinned key': (site) => { delete site.sam_identity; },
    'a pinned key of another kind': (site) => { site.sam_identity = { kty: 'oct', k: 'AA' }; },
    'no terms': (site) => { site.terms.texts = {}; },
    'terms without words': (site) => { site.terms.texts.en = ''; },
    'no lock': (site) => { delete site.lock; },
    'a lock of no time': (site) => { site.lock.minutes = 0; },
    'a lock of half an attempt': (site) => { site.lock.failures = 1.5; },
    'no factors': (site) => { site.factors = {}; },
    'a combination of nothing': (site) => { site.factors = { p: [[]] }; },
    'an unknown factor': (site) => { site.factors = { p: [['pin', 'sms']] }; },
    'a factor twice': (site) => { site.factors = { p: [['pin', 'pin']] }; },
  };
  for (const [what, change] of Object.entries(wrong)) {
    it(`is refused with ${what}`, () => {
      const site = example();
      change(site);
      assert.throws(() => parseSite(site), /^Error: site\.json: /);
    });
  }
});

describe('the catalogues', () => {
  it('hold the same keys with the same {names}, all of them filled', () => {
    const names = (words) => [...words.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
    for (const [language, catalogue] of Object.entries(catalogues)) {
      assert.deepEqual(Object.keys(catalogue).sort(), Object.keys(catalogues.en).sort(), language);
      for (const [key, words] of Object.entries(catalogue)) {
        assert.ok(words.trim().length > 0, `${language} ${key}`);
        assert.deepEqual(names(words), names(catalogues.en[key]), `${language} ${key}`);
      }
    }
  });

  it('are chosen by what the reader prefers', () => {
    assert.equal(preferred(['el-GR', 'en'], ['en', 'el']), 'el');
    assert.equal(preferred(['nb-NO', 'en-GB'], ['en', 'el']), 'en');
    assert.equal(preferred(['nb'], ['el']), 'el');
    assert.equal(text('el', 'sealed', { provider: 'X' }).includes('X'), true);
  });
});
