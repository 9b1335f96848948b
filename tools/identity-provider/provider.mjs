// An OpenID Connect identity provider on loopback, for tests and the demo: npm's oidc-provider with people who sign in as soon as they are
// asked, because the request says by login_hint who sits at the browser. A real provider asks them; everything else is the code flow as it is.
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { SignJWT, exportJWK, generateKeyPair, importJWK } from 'jose';
import Provider from 'oidc-provider';

export const issuer = 'https://id.example.test';
export const clientId = 'intaglio';
export const level = 'http://eidas.europa.eu/LoA/high';
const redirectUri = 'http://127.0.0.1/signed-in';
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

export class IdentityProvider {
  /** `key` is a private JWK with kid and alg; people are all who are named. */
  static async start({ key, port = 0 } = {}) {
    const provider = new IdentityProvider(key ?? await newSigningKey());
    await new Promise((resolve, reject) => {
      provider.server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    provider.port = provider.server.address().port;
    return provider;
  }

  constructor(key) {
    this.key = key;
    const oidc = new Provider(issuer, {
      clients: [{
        client_id: clientId, application_type: 'native', redirect_uris: [redirectUri], response_types: ['code'], grant_types: ['authorization_code'],
        token_endpoint_auth_method: 'none', id_token_signed_response_alg: key.alg, require_auth_time: true,
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
    const answer = oidc.callback();
    this.server = createServer((request, response) => {
      if (!request.url.startsWith('/interaction/')) return answer(request, response);
      return oidc.interactionDetails(request, response).then(
        ({ prompt, params }) => oidc.interactionFinished(request, response, prompt.name === 'login'
          ? { login: { accountId: params.login_hint, acr: level, amr: ['pwd', 'otp'], remember: false } }
          : { consent: {} }),
        (error) => response.writeHead(500).end(String(error)),
      );
    });
  }

  /** What a policy document says of this provider. */
  policy(changes = {}) {
    return policyOf(this.key, changes);
  }

  /** The person signs in for a transaction: the ID token that answers `nonce`. */
  signIn(person, nonce, scope) {
    return signIn(this.port, person, nonce, scope);
  }

  /** An ID token that nobody signed in for: the provider's key in the wrong hands, or a provider that errs. */
  async sign(claims, { header = {}, key = this.key } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const jwt = new SignJWT({ iss: issuer, aud: clientId, acr: level, auth_time: now, iat: now, exp: now + 300, ...claims });
    return jwt.setProtectedHeader({ alg: key.alg, kid: key.kid, ...header }).sign(await importJWK(key, key.alg));
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => { this.server.close(resolve); });
  }
}

/** The code flow with PKCE (RFC 7636), as a signature application and its browser walk through it. */
export async function signIn(port, person, nonce, scope = 'openid') {
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
    response_type: 'code', client_id: clientId, redirect_uri: redirectUri, scope, nonce, state, prompt: 'login', max_age: '0',
    acr_values: level, login_hint: person, code_challenge: createHash('sha256').update(verifier).digest('base64url'), code_challenge_method: 'S256',
  });
  let location = `/auth?${question}`;
  for (let step = 0; step < 6; step += 1) {
    const answer = await go(location);
    const next = answer.headers.get('location');
    if (!next) throw new Error(`the identity provider answered ${answer.status}: ${await answer.text()}`);
    const url = new URL(next, issuer);
    if (!next.startsWith(redirectUri)) {
      location = url.pathname + url.search;
      continue;
    }
    if (url.searchParams.get('state') !== state || url.searchParams.get('iss') !== issuer || !url.searchParams.get('code')) throw new Error(`signing in ended with ${next}`);
    const body = new URLSearchParams({ grant_type: 'authorization_code', code: url.searchParams.get('code'), redirect_uri: redirectUri, client_id: clientId, code_verifier: verifier });
    const tokens = await go('/token', { method: 'POST', body });
    if (!tokens.ok) throw new Error(`the token endpoint answered ${tokens.status}: ${await tokens.text()}`);
    return (await tokens.json()).id_token;
  }
  throw new Error('the identity provider sends its visitor round in circles');
}
