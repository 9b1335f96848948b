// Authorization codes: a client that is not ours (npm openid-client) asks, the signer's device approves, and the token signs exactly that.
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import * as oauth from 'openid-client';
import { good, send, sendForm, sendJson } from '../harness/http.mjs';
import { digestOf, hashOids } from '../harness/protocol.mjs';
import { signAlgorithms } from '../harness/client.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

const page = 'https://page.invalid/approve';
const callback = 'https://client.invalid/back';
const withCodes = (text) => text.replace('approval_page = ""', `approval_page = "${page}"`).replace('redirect_uris = []', `redirect_uris = ["${callback}"]`);

describe('authorization codes', () => {
  let system, client, alice, server, authentication;
  before(async () => {
    system = await System.start({ policy: withoutLimits, configure: { ssa: withCodes } });
    ({ client, signer: alice } = await signerOf(system));
    const key = await crypto.subtle.importKey('pkcs8', client.key.export({ type: 'pkcs8', format: 'der' }), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
    authentication = oauth.PrivateKeyJwt(key);
    server = (await oauth.discovery(new URL(system.publicUrl), client.id, {}, authentication, { algorithm: 'oauth2', [oauth.customFetch]: overOurTls })).serverMetadata();
  });
  after(() => system?.stop());

  /** What openid-client sends, over the agent that trusts this instance alone. */
  async function overOurTls(url, { method, headers, body }) {
    const answer = await send(url, { method, headers: Object.fromEntries(new Headers(headers)), body: body === undefined || body === null ? undefined : String(body), tls: client.tls });
    return new Response(answer.octets.length > 0 ? answer.octets : null, { status: answer.status, headers: Object.fromEntries(Object.entries(answer.headers).filter(([, value]) => typeof value === 'string')) });
  }

  /** openid-client by the clock of the services, which one-time passwords move. */
  function configuration() {
    const made = new oauth.Configuration(server, client.id, { [oauth.clockSkew]: system.clockOffset }, authentication);
    made[oauth.customFetch] = overOurTls;
    return made;
  }

  const detailsOf = (texts, changes = {}) => [{
    type: 'https://cloudsignatureconsortium.org/2025/credential', credentialID: alice.credential, numSignatures: texts.length, hashAlgorithmOID: hashOids.sha256,
    documentDigests: texts.map((text) => ({ hash: digestOf('sha256', text).toString('base64'), label: text, hashType: 'DTBSR' })), ...changes,
  }];

  /** A request as openid-client makes it: its address, and what its answer is checked with. */
  async function ask(texts, more = {}) {
    const pkceCodeVerifier = oauth.randomPKCECodeVerifier();
    const expectedState = oauth.randomState();
    const parameters = {
      redirect_uri: callback, state: expectedState, code_challenge: await oauth.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
      authorization_details: JSON.stringify(detailsOf(texts)), ...more,
    };
    return { url: await oauth.buildAuthorizationUrlWithPAR(configuration(), parameters), parameters, checks: { pkceCodeVerifier, expectedState } };
  }

  /** The browser goes to the request's address; gives the page's view of it. */
  async function atThePage(url) {
    const sent = await send(url, { tls: client.tls });
    assert.equal(sent.status, 302, sent.text);
    const [address, handle] = sent.headers.location.split('#');
    assert.equal(address, page);
    const opened = good('approvals', await sendJson(client.url('/sic/v1/approvals'), { handle }, { tls: client.tls }));
    system.secret('the bearer of an approval', opened.bearer);
    return opened;
  }
  const decide = (opened, path, body) => sendJson(client.url(path), body, { tls: client.tls, headers: { authorization: `Bearer ${opened.bearer}` } });
  async function approve(opened) {
    const taken = await alice.take(opened, 'sign');
    return new URL(good('approve', await decide(opened, '/sic/v1/approvals/messages', { message: await alice.message(taken, alice.factors(taken)) })).redirect);
  }

  const signHash = (token, texts, more = {}) => sendJson(client.url('/csc/v2/signatures/signHash'), {
    credentialID: alice.credential, hashes: texts.map((text) => digestOf('sha256', text).toString('base64')), signAlgo: signAlgorithms['ecdsa-sha256'].signAlgo, ...more,
  }, { tls: client.tls, headers: { authorization: `Bearer ${token}` } });

  it('give openid-client a token that signs what the signer saw, and nothing else', async () => {
    const { url, checks } = await ask(['first', 'second']);
    const opened = await atThePage(url);
    const taken = await alice.take(opened, 'sign');
    assert.deepEqual(taken.parsed.documents.map(({ label }) => label), ['first', 'second']);
    const back = await approve(opened);
    assert.equal(back.searchParams.get('iss'), system.publicUrl);
    system.secret('an authorization code', back.searchParams.get('code'));
    const tokens = await oauth.authorizationCodeGrant(configuration(), back, checks);
    const token = system.secret('an access token', tokens.access_token);
    assert.deepEqual(tokens.authorization_details, detailsOf(['first', 'second']));

    assert.equal((await signHash(token, ['third'])).status, 400);
    assert.equal((await signHash(token, ['first'], { SAD: 'x' })).status, 400);
    const { signatures } = good('signHash', await signHash(token, ['second', 'first']));
    const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
    assert.ok(verify('sha256', Buffer.from('second'), key, Buffer.from(signatures[0], 'base64')));
    assert.ok(verify('sha256', Buffer.from('first'), key, Buffer.from(signatures[1], 'base64')));
    assert.equal((await sendJson(client.url('/csc/v2/credentials/list'), {}, { tls: client.tls, headers: { authorization: `Bearer ${token}` } })).status, 401);
  });

  it('give a token that signs a PDF by the digest of its byte range, and no other', async () => {
    const { url, checks } = await ask(['a byte range'], { authorization_details: JSON.stringify(detailsOf(['a byte range']).map((one) => ({ ...one, documentDigests: one.documentDigests.map((two) => ({ ...two, hashType: 'sdr' })) }))) });
    const back = await approve(await atThePage(url));
    const { access_token: token } = await oauth.authorizationCodeGrant(configuration(), back, checks);
    const signDoc = (text) => sendJson(client.url('/csc/v2/signatures/signDoc'), {
      credentialID: alice.credential, documentDigests: [{ hashes: digestOf('sha256', text).toString('base64'), signature_format: 'P', signAlgo: signAlgorithms['ecdsa-sha256'].signAlgo }],
    }, { tls: client.tls, headers: { authorization: `Bearer ${token}` } });
    const other = await signDoc('another');
    assert.deepEqual([other.status, other.json.error, other.json.error_description], [403, 'invalid_hash', 'Document or documentDigest does not match authroized hash']);
    assert.equal((await signHash(token, ['a byte range'])).status, 400, 'the digest of a document is not what is signed');
    assert.equal(good('signDoc', await signDoc('a byte range')).SignatureObject.length, 1);
  });

  it('give a token that older clients put in the place of the SAD', async () => {
    const { url, checks } = await ask(['older']);
    const back = await approve(await atThePage(url));
    const { access_token: token } = await oauth.authorizationCodeGrant(configuration(), back, checks);
    system.secret('an access token', token);
    assert.equal((await signHash(client.token, ['older'], { SAD: `${token.slice(0, -4)}AAAA` })).status, 400);
    assert.equal((await signHash(client.token, ['older'], { SAD: token })).status, 200);
  });

  it('end what they gave when they come a second time', async () => {
    const { url, checks } = await ask(['once']);
    const back = await approve(await atThePage(url));
    const { access_token: token } = await oauth.authorizationCodeGrant(configuration(), back, checks);
    await assert.rejects(oauth.authorizationCodeGrant(configuration(), back, checks), (error) => error.error === 'invalid_grant');
    assert.equal((await signHash(token, ['once'])).status, 401);
  });

  it('come with the name of their issuer, so that a client notices a mix-up', async () => {
    const { url, checks } = await ask(['mixed']);
    const back = await approve(await atThePage(url));
    const mixed = new URL(back);
    mixed.searchParams.set('iss', 'https://other.invalid');
    await assert.rejects(oauth.authorizationCodeGrant(configuration(), mixed, checks));
    const forged = new URL(back);
    forged.searchParams.set('state', 'another');
    await assert.rejects(oauth.authorizationCodeGrant(configuration(), forged, checks));
    await oauth.authorizationCodeGrant(configuration(), back, checks);
  });

  it('are not given to a signer who declines', async () => {
    const { url, checks } = await ask(['declined']);
    const opened = await atThePage(url);
    const back = new URL(good('decline', await decide(opened, '/sic/v1/approvals/refusals', {})).redirect);
    await assert.rejects(oauth.authorizationCodeGrant(configuration(), back, checks), (error) => error.error === 'access_denied');
    assert.equal((await decide(opened, '/sic/v1/approvals/refusals', {})).status, 401);
  });

  const list = (token) => sendJson(client.url('/csc/v2/credentials/list'), {}, { tls: client.tls, headers: { authorization: `Bearer ${token}` } });

  it('renew the service for the signer, and a stolen refresh token ends the whole family', async () => {
    const { url, checks } = await ask(['renewed'], { scope: 'service' });
    const back = await approve(await atThePage(url));
    const first = await oauth.authorizationCodeGrant(configuration(), back, checks);
    const second = await oauth.refreshTokenGrant(configuration(), first.refresh_token);
    for (const token of [first.refresh_token, second.refresh_token]) system.secret('a refresh token', token);
    assert.deepEqual(good('list', await list(second.access_token)).credentialIDs, [alice.credential]);
    assert.equal((await signHash(second.access_token, ['renewed'])).status, 400, 'a renewed token signs nothing without a SAD');
    await assert.rejects(oauth.refreshTokenGrant(configuration(), first.refresh_token), (error) => error.error === 'invalid_grant');
    await assert.rejects(oauth.refreshTokenGrant(configuration(), second.refresh_token), (error) => error.error === 'invalid_grant');
    assert.equal((await list(second.access_token)).status, 401);
  });

  it('give a token bound to a key of the client, which is worth nothing without it (DPoP)', async () => {
    const { url, checks } = await ask(['bound']);
    const back = await approve(await atThePage(url));
    const keys = await oauth.randomDPoPKeyPair('ES256');
    const asking = configuration();
    const { access_token: token, token_type: type } = await oauth.authorizationCodeGrant(asking, back, checks, {}, { DPoP: oauth.getDPoPHandle(asking, keys) });
    assert.equal(type, 'dpop');
    assert.equal((await signHash(token, ['bound'])).status, 401);
    const use = (holder) => oauth.fetchProtectedResource(asking, token, new URL(client.url('/csc/v2/signatures/signHash')), 'POST', JSON.stringify({
      credentialID: alice.credential, hashes: [digestOf('sha256', 'bound').toString('base64')], signAlgo: signAlgorithms['ecdsa-sha256'].signAlgo,
    }), new Headers({ 'content-type': 'application/json' }), { DPoP: oauth.getDPoPHandle(asking, holder) });
    await assert.rejects(async () => use(await oauth.randomDPoPKeyPair('ES256')), (error) => error.status === 401);
    assert.equal((await use(keys)).status, 200);
  });

  it('end with the token that is revoked', async () => {
    const { url, checks } = await ask(['revoked'], { scope: 'service' });
    const back = await approve(await atThePage(url));
    const { access_token: token, refresh_token: renewing } = await oauth.authorizationCodeGrant(configuration(), back, checks);
    assert.equal((await list(token)).status, 200);
    const revoked = await sendForm(client.url('/csc/v2/oauth2/revoke'), {
      token: renewing, client_id: client.id, client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: await client.assertion(),
    }, { tls: client.tls });
    assert.equal(revoked.status, 204, revoked.text);
    assert.equal((await list(token)).status, 401);
  });

  /** Requests that never reach a signer: what is changed, and how the answer says so. */
  const negatives = [
    ['a redirect address that is not registered', { redirect_uri: 'https://evil.invalid/back' }, { status: 400, error: 'invalid_request' }],
    ['a redirect address with one octet more', { redirect_uri: `${callback}/` }, { status: 400, error: 'invalid_request' }],
    ['an unknown client', { client_id: 'nobody' }, { status: 400, error: 'invalid_request' }],
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, { error: 'invalid_request' }],
    ['PKCE without protection', { code_challenge_method: 'plain' }, { error: 'invalid_request' }],
    ['the implicit grant', { response_type: 'token' }, { error: 'unsupported_response_type' }],
    ['an answer in the fragment', { response_mode: 'fragment' }, { error: 'invalid_request' }],
    ['an unknown scope', { scope: 'everything' }, { error: 'invalid_scope' }],
    ['a credential described twice', { credentialID: 'other' }, { error: 'invalid_request' }],
    ['details of another type', (texts) => ({ authorization_details: JSON.stringify(detailsOf(texts, { type: 'payment' })) }), { error: 'invalid_authorization_details' }],
    ['details with a member that nobody knows', (texts) => ({ authorization_details: JSON.stringify(detailsOf(texts, { signed_props: [] })) }), { error: 'invalid_authorization_details' }],
    ['more signatures than digests', (texts) => ({ authorization_details: JSON.stringify(detailsOf(texts, { numSignatures: 9 })) }), { error: 'invalid_authorization_details' }],
    ['a credential of nobody', (texts) => ({ authorization_details: JSON.stringify(detailsOf(texts, { credentialID: 'nobodys' })) }), { error: 'access_denied' }],
  ];
  for (const [what, change, { status = 302, error }] of negatives) {
    it(`are refused for ${what}`, async () => {
      const { parameters } = await ask(['negative']);
      const all = { client_id: client.id, response_type: 'code', ...parameters, ...(typeof change === 'function' ? change(['negative']) : change) };
      const query = new URLSearchParams(Object.entries(all).filter(([, value]) => value !== undefined));
      const answer = await send(`${client.url('/csc/v2/oauth2/authorize')}?${query}`, { tls: client.tls });
      assert.equal(answer.status, status, answer.text);
      if (status === 400) {
        assert.equal(answer.headers.location, undefined);
        assert.equal(answer.json.error, error);
        return;
      }
      const back = new URL(answer.headers.location);
      assert.equal(back.origin + back.pathname, callback);
      assert.equal(back.searchParams.get('error'), error);
      assert.equal(back.searchParams.get('iss'), system.publicUrl);
    });
  }

  it('are asked for by a pushed request once, and by its own client', async () => {
    const { url } = await ask(['pushed']);
    await atThePage(url);
    assert.equal((await send(url, { tls: client.tls })).status, 400);
    const { url: foreign } = await ask(['pushed']);
    foreign.searchParams.set('client_id', 'nobody');
    assert.equal((await send(foreign, { tls: client.tls })).status, 400);
    const unproved = await sendForm(client.url('/csc/v2/oauth2/pushed_authorize'), { client_id: client.id, response_type: 'code' }, { tls: client.tls });
    assert.equal(unproved.status, 401);
  });
});
