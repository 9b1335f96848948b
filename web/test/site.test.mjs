// What a deployment says of itself is read strictly; the catalogues say the same things in each language.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseSite } from '../src/site.ts';
import { catalogues, preferred, text } from '../src/texts.ts';

const read = (name) => JSON.parse(readFileSync(new URL(`../../deploy/examples/${name}.json`, import.meta.url), 'utf8'));
const example = () => read('site');

describe('site.json', () => {
  it('is read as the example has it', () => {
    const site = parseSite(example());
    assert.equal(site.rpId, 'localhost');
    assert.deepEqual(site.factors['direct-resident'], [['pin', 'totp']]);
    assert.deepEqual(Object.keys(site.terms.texts), ['en', 'el']);
  });

  it('is read with an identity provider as the example has it', () => {
    const { identityProvider, factors } = parseSite(read('site-identity-provider'));
    assert.deepEqual(identityProvider, { name: 'Example ID', issuer: 'https://id.example.test', authorizationEndpoint: 'https://id.example.test/auth' });
    assert.deepEqual(factors['delegated-wrapped'], [['pin', 'id-token'], ['signerpass', 'id-token']]);
    assert.equal(parseSite(example()).identityProvider, undefined);
  });

  const provider = (changes) => (site) => { site.identity_provider = { name: 'X', issuer: 'https://id.example', authorization_endpoint: 'https://id.example/auth', ...changes }; };
  const wrong = {
    'an ID token without a provider': (site) => { site.factors = { p: [['pin', 'id-token']] }; },
    'a provider without a name': provider({ name: undefined }),
    'a provider without an issuer': provider({ issuer: '' }),
    'a provider without TLS': provider({ authorization_endpoint: 'http://id.example/auth' }),
    'a provider that is a script': provider({ authorization_endpoint: 'javascript:0' }),
    'a provider with somebody in front': provider({ authorization_endpoint: 'https://id.example@evil.example/auth' }),
    'a provider with a fragment': provider({ authorization_endpoint: 'https://id.example/auth#x' }),
    'a provider that is no object': (site) => { site.identity_provider = null; },
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
