// An OpenID Connect identity provider on loopback, for tests and the demo: npm's oidc-provider with people who sign in as soon as they are
// asked, because the request says by login_hint who sits at the browser. A real provider asks them; everything else is the code flow as it is.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import https from 'node:https';
import { SignJWT, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

export const issuer = 'https://id.example.test';
export const clientId = 'intaglio';
export const level = 'http://eidas.europa.eu/LoA/high';
const redirectUri = 'http://127.0.0.1/signed-in';
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
/** What stands before the provider would say: it is reached by https under the issuer's name. */
const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': new URL(issuer).host };

/** A new signing key of the provider, as private JWK. */
export async function newSigningKey(alg = 'ES256') {
  const { privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  return { ...await exportJWK(privateKey), kid: `signing-${randomBytes(4).toString('hex')}`, alg, use: 'sig' };
}

/** What the provider says of a person beside the subject, under the scope `identity`: a name, and a number as EN 319 412-1 writes them. */
export const identityOf = (subject) => ({
  given_name: 'Ada', family_name: `Example ${subject}`, country: 'NO',
  person_identifier: `PNONO-${BigInt(`0x${createHash('sha256').update(subject).digest('hex').slice(0, 8)}`).toString().padStart(11, '0')}`,
});

const publicPart = ({ kty, crv, x, y, n, e, kid, alg, use }) => JSON.parse(JSON.stringify({ kty, crv, x, y, n, e, kid, alg, use }));

/** What a policy document says of the provider with this key. */
export const policyOf = (key, changes = {}) => ({
  issuer, client_id: clientId, keys: [publicPart(key)], acr: [level], max_auth_seconds: 300, max_skew_seconds: 30, ...changes,
});

const escaped = (text) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
/** What a person sees whom no request names: whoever he says he is. */
const signInPage = (action, client) => `<!doctype html><html lang="en"><title>Example ID</title><h1>Sign in at Example ID</h1><p>for ${escaped(client)}</p>
<form method="post" action="${escaped(action)}"><label>Person <input name="person" id="person" autocomplete="off"></label>
<button name="act" value="in" id="sign-in">Sign in</button><button name="act" value="cancel" id="cancel">Cancel</button><button name="act" value="fail" id="fail">Fail</button></form></html>`;

const bodyOf = async (request) => {
  let text = '';
  for await (const piece of request) if ((text += piece).length > 4096) throw new Error('too long');
  return new URLSearchParams(text);
};

export class IdentityProvider {
  /** `key` is a private JWK with kid and alg; people are all who are named. `tls`: {cert, key} of a second listener, for browsers. */
  static async start({ key, port = 0, tls } = {}) {
    const provider = new IdentityProvider(key ?? await newSigningKey());
    if (tls) {
      provider.secure = https.createServer({ ...tls, minVersion: 'TLSv1.2' }, (request, response) => {
        // By its own name and by its address alike it is the issuer.
        Object.assign(request.headers, forwarded);
        return provider.answer(request, response);
      });
      await new Promise((resolve, reject) => { provider.secure.once('error', reject).listen(0, '127.0.0.1', resolve); });
      provider.securePort = provider.secure.address().port;
    }
    await new Promise((resolve, reject) => {
      provider.server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    provider.port = provider.server.address().port;
    return provider;
  }

  constructor(key) {
    this.key = key;
    /** Codes that were asked for, in order. */
    this.redeemed = [];
    this.register();
    this.server = createServer((request, response) => this.answer(request, response));
  }

  /** The one client: `redirectUri`, where its browsers come back, and how it proves itself: `publicKey` and `privateKey` (JWK; private_key_jwt), `secret` (client_secret_basic), or not at all. */
  register(page) {
    const { key } = this;
    this.page = page;
    const oidc = new Provider(issuer, {
      clients: [{
        client_id: clientId, application_type: page ? 'web' : 'native', redirect_uris: page ? [page.redirectUri] : [redirectUri], response_types: ['code'], grant_types: ['authorization_code'],
        ...authenticationOf(page), id_token_signed_response_alg: key.alg, require_auth_time: true,
      }],
      jwks: { keys: [key] },
      acrValues: [level],
      claims: { openid: ['sub'], identity: Object.keys(identityOf('')), acr: null, auth_time: null },
      conformIdTokenClaims: false,
      cookies: { keys: [randomBytes(16).toString('hex')] },
      features: { devInteractions: { enabled: false } },
      pkce: { required: () => true },
      ttl: { IdToken: 300, AccessToken: 60, AuthorizationCode: 60, Grant: 300, Interaction: 60, Session: 300 },
      findAccount: (context, subject) => ({ accountId: subject, claims: () => ({ sub: subject, ...identityOf(subject) }) }),
      // The person approves the document at the signer's side: there is nothing more to consent to here.
      loadExistingGrant: async (context) => {
        const grant = new context.oidc.provider.Grant({ accountId: context.oidc.session.accountId, clientId: context.oidc.client.clientId });
        grant.addOIDCScope('openid identity');
        grant.addOIDCClaims(['acr', 'auth_time']);
        await grant.save();
        return grant;
      },
      interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
    });
    oidc.proxy = true;
    const serve = oidc.callback();
    oidc.on('grant.success', ({ oidc: { params } }) => this.redeemed.push(params.code));
    const signedIn = (accountId) => ({ login: { accountId, acr: level, amr: ['pwd', 'otp'], remember: false } });
    const interact = async (request, response) => {
      const { prompt, params } = await oidc.interactionDetails(request, response);
      const finish = (result) => oidc.interactionFinished(request, response, result);
      if (prompt.name !== 'login') return finish({ consent: {} });
      if (params.login_hint) return finish(signedIn(params.login_hint));
      if (request.method !== 'POST') return response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(signInPage(request.url, params.client_id));
      const form = await bodyOf(request);
      if (form.get('act') === 'cancel') return finish({ error: 'access_denied', error_description: 'the person left' });
      if (form.get('act') === 'fail') return finish({ error: 'server_error', error_description: 'something broke' });
      return finish(signedIn(form.get('person')));
    };
    this.answer = (request, response) => {
      if (!request.url.startsWith('/interaction/')) return serve(request, response);
      return interact(request, response).catch((error) => response.writeHead(500).end(String(error)));
    };
  }

  /** What a policy document says of this provider. */
  policy(changes = {}) {
    return policyOf(this.key, changes);
  }

  /** The person signs in for a transaction: the ID token that answers `nonce`. */
  signIn(person, nonce, scope) {
    return signIn(this.port, person, nonce, scope, this.page);
  }

  /** An ID token that nobody signed in for: the provider's key in the wrong hands, or a provider that errs. */
  async sign(claims, { header = {}, key = this.key } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const jwt = new SignJWT({ iss: issuer, aud: clientId, acr: level, auth_time: now, iat: now, exp: now + 300, ...claims });
    return jwt.setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(await importJWK(key, key.alg));
  }

  async stop() {
    this.secure?.closeAllConnections();
    this.secure?.close();
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** How the provider knows its client. */
function authenticationOf(page) {
  if (page?.publicKey) return { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [page.publicKey] } };
  if (page?.secret) return { token_endpoint_auth_method: 'client_secret_basic', client_secret: page.secret };
  return { token_endpoint_auth_method: 'none' };
}

/** The same from the client's side: what is added to a token request, and its header. */
async function proofOf({ privateKey, publicKey, secret } = {}) {
  if (secret) return { headers: { authorization: `Basic ${Buffer.from(`${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`).toString('base64')}` } };
  if (!privateKey) return { values: { client_id: clientId } };
  const assertion = new SignJWT({ iss: clientId, sub: clientId, aud: issuer, jti: randomBytes(16).toString('hex') }).setIssuedAt().setExpirationTime('1m');
  return { values: {
    client_id: clientId, client_assertion_type: assertionType, client_assertion: await assertion.setProtectedHeader({ alg: 'ES256', kid: publicKey.kid }).sign(await importJWK(privateKey, 'ES256')),
  } };
}

/** The code flow with PKCE (RFC 7636), as a signature application and its browser walk through it. */
export async function signIn(port, person, nonce, scope = 'openid', page = { redirectUri }) {
  const base = `http://127.0.0.1:${port}`;
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const cookies = new Map();
  const go = async (path, options = {}) => {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const answer = await fetch(new URL(path, base), { redirect: 'manual', ...options, headers: { ...forwarded, ...(cookie ? { cookie } : {}), ...options.headers } });
    for (const line of answer.headers.getSetCookie()) {
      const [pair] = line.split(';');
      cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
    }
    return answer;
  };
  const question = new URLSearchParams({
    response_type: 'code', client_id: clientId, redirect_uri: page.redirectUri, scope, nonce, state, prompt: 'login', max_age: '0',
    acr_values: level, login_hint: person, code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  let location = `/auth?${question}`;
  for (let step = 0; step < 6; step += 1) {
    const answer = await go(location);
    const next = answer.headers.get('location');
    if (!next) throw new Error(`the identity provider answered ${answer.status}: ${await answer.text()}`);
    const url = new URL(next, issuer);
    if (!next.startsWith(page.redirectUri)) {
      location = url.pathname + url.search;
      continue;
    }
    if (url.searchParams.get('state') !== state || url.searchParams.get('iss') !== issuer || !url.searchParams.get('code')) throw new Error(`signing in ended with ${next}`);
    const { values = {}, headers = {} } = await proofOf(page);
    const body = new URLSearchParams({ grant_type: 'authorization_code', code: url.searchParams.get('code'), redirect_uri: page.redirectUri, code_verifier: verifier, ...values });
    const tokens = await go('/token', { method: 'POST', body, headers });
    if (!tokens.ok) throw new Error(`the token endpoint answered ${tokens.status}: ${await tokens.text()}`);
    return (await tokens.json()).id_token;
  }
  throw new Error('the identity provider sends its visitor round in circles');
}
