// The way to the identity provider and back: an answer belongs to a question of this tab, and the question is about what was shown.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnotherProvider, answers, checkAddress, parseLeft, readArrival } from '../src/identity.ts';

const left = { handle: 'h', state: 'the-state', nonce: 'n', language: 'en', combination: 'pin-id-token', expires: 1800000000 };

describe('the way back', () => {
  it('begins with a handle, with what was left in this tab, or with nothing', () => {
    assert.deepEqual(readArrival('', '#abc', undefined), { kind: 'handle', handle: 'abc' });
    assert.deepEqual(readArrival('', '#abc', left), { kind: 'handle', handle: 'abc' });
    assert.deepEqual(readArrival('', '', left), { kind: 'left', left, answer: undefined });
    assert.deepEqual(readArrival('', '#', undefined), { kind: 'nothing' });
  });

  it('takes the answer to the question of this tab', () => {
    assert.deepEqual(readArrival('?code=c&state=the-state&iss=https%3A%2F%2Fid', '', left), { kind: 'left', left, answer: { code: 'c', issuer: 'https://id' } });
    assert.deepEqual(readArrival('?state=the-state&code=c', '', left), { kind: 'left', left, answer: { code: 'c', issuer: undefined } });
    assert.deepEqual(readArrival('?error=access_denied&state=the-state', '', left), { kind: 'left', left, answer: { declined: true } });
    assert.deepEqual(readArrival('?error=server_error&state=the-state', '', left), { kind: 'left', left, answer: { declined: false } });
    assert.equal(readArrival('?code=c&state=the-state&iss=a&iss=b', '', left).answer.issuer, '', 'two names are none');
  });

  const foreign = {
    'an answer that this tab did not ask for': ['?code=c&state=the-state', undefined],
    'another state': ['?code=c&state=another', left],
    'no state': ['?code=c', left],
    'two states': ['?code=c&state=the-state&state=the-state', left],
    'no code and no error': ['?state=the-state', left],
    'a code and an error': ['?state=the-state&code=c&error=access_denied', left],
    'two codes': ['?state=the-state&code=c&code=d', left],
    'an issuer alone': ['?iss=https%3A%2F%2Fid', left],
    'an error without a state': ['?error=access_denied', left],
  };
  for (const [what, [search, kept]] of Object.entries(foreign)) {
    it(`is refused with ${what}`, () => assert.deepEqual(readArrival(search, '#handle', kept), { kind: 'foreign' }));
  }

  it('forgets what was left in another form', () => {
    assert.deepEqual(parseLeft(JSON.stringify(left)), left);
    for (const name of Object.keys(left)) assert.equal(parseLeft(JSON.stringify({ ...left, [name]: undefined })), undefined, name);
    assert.equal(parseLeft(JSON.stringify({ ...left, expires: 'soon' })), undefined);
  });
});

describe('the address to sign in at', () => {
  const page = 'https://sign.example.org/approve';
  const provider = { name: 'Example ID', issuer: 'https://id.example.org', authorizationEndpoint: 'https://id.example.org/auth' };
  const address = (changes = {}, at = provider.authorizationEndpoint) => {
    const query = new URLSearchParams();
    const parameters = {
      response_type: 'code', client_id: 'intaglio', redirect_uri: page, scope: 'openid', state: 's', nonce: 'the-nonce', code_challenge: 'c', code_challenge_method: 'S256', prompt: 'login', max_age: '0',
      ...changes,
    };
    for (const [name, value] of Object.entries(parameters)) for (const one of [value].flat()) if (one !== undefined) query.append(name, one);
    return `${at}${at.includes('?') ? '&' : '?'}${query}`;
  };

  it('is one of the pinned provider that has this nonce confirmed and leads back here', () => {
    assert.equal(checkAddress(address(), provider, 'the-nonce', page), 's');
    const withQuery = { ...provider, authorizationEndpoint: 'https://id.example.org/auth?tenant=1' };
    assert.equal(checkAddress(address({}, withQuery.authorizationEndpoint), withQuery, 'the-nonce', page), 's');
  });

  const wrong = {
    'another host': address({}, 'https://id.example.org.evil.example/auth'),
    'another host behind the pinned one': address({}, 'https://id.example.org/auth@evil.example/'),
    'another path': address({}, 'https://id.example.org/auth2'),
    'a path below': address({}, 'https://id.example.org/auth/other'),
    'no TLS': address({}, 'http://id.example.org/auth'),
    'a script': 'javascript:alert(1)',
    'a fragment': `${address()}#x`,
    'another nonce': address({ nonce: 'another' }),
    'no nonce': address({ nonce: undefined }),
    'two nonces': address({ nonce: ['the-nonce', 'another'] }),
    'another way back': address({ redirect_uri: 'https://evil.example/approve' }),
    'another answer than a code': address({ response_type: 'code id_token' }),
    'an answer in another place': address({ response_mode: 'form_post' }),
    'no challenge': address({ code_challenge: undefined }),
    'an empty challenge': address({ code_challenge: '' }),
    'a plain challenge': address({ code_challenge_method: 'plain' }),
    'no state': address({ state: undefined }),
    'a request object': address({ request: 'e30.e30.' }),
    'an address of a request object': address({ request_uri: 'https://evil.example/request' }),
    'claims': address({ claims: '{}' }),
  };
  for (const [what, refused] of Object.entries(wrong)) {
    it(`is refused with ${what}`, () => assert.throws(() => checkAddress(refused, provider, 'the-nonce', page), AnotherProvider));
  }
});

describe('an ID token', () => {
  const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`;
  it('answers the nonce that it holds', () => assert.equal(answers(token({ nonce: 'n' }), 'n'), true));
  it('that says something else, or nothing that can be read, answers nothing', () => {
    for (const refused of [token({ nonce: 'm' }), token({}), token(null), token({ nonce: ['n'] }), '', 'e30', 'e30.!.x', `e30.${Buffer.from('{').toString('base64url')}.x`, `${token({ nonce: 'n' })}${'x'.repeat(16384)}`]) {
      assert.equal(answers(refused, 'n'), false, refused.slice(0, 60));
    }
  });
});
