// Signers who sign in at an identity provider: npm's oidc-provider on loopback (tools/identity-provider), pinned in the policy.
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fields, number, sha256 } from './protocol.mjs';
import { repository, withoutLimits } from './system.mjs';

import { IdentityProvider, issuer, newSigningKey } from '../../../tools/identity-provider/provider.mjs';

export { IdentityProvider, issuer, clientId, level, newSigningKey } from '../../../tools/identity-provider/provider.mjs';

/** The example policy of the profile delegated-wrapped with this provider in it; `changes` goes over its provider, `factors` over the profile's. */
export const delegatedPolicy = (provider, { changes = {}, factors } = {}) => () => {
  const document = JSON.parse(readFileSync(path.join(repository, 'deploy/examples/delegated-wrapped/policy.json'), 'utf8'));
  withoutLimits(document);
  document.identity_providers = [provider.policy(changes)];
  if (factors) for (const profile of document.profiles) profile.factors = factors;
  return document;
};

/** The example policy of the profile one-time with this provider in it; `seconds`: how long a session lasts. */
export const oneTimePolicy = (provider, { seconds = 60 } = {}) => () => {
  const document = JSON.parse(readFileSync(path.join(repository, 'deploy/examples/one-time/policy.json'), 'utf8'));
  for (const profile of document.profiles) {
    Object.assign(profile, { per_minute: 0, per_day: 0 });
    profile.one_time.session_seconds = seconds;
  }
  document.identity_providers = [provider.policy()];
  return document;
};

/** What an identity provider answers when a session begins with it (api/sap, 10); `parsed` is T. */
export const sessionOf = (parsed, terms, act) => sha256(fields(
  'intaglio/session/1', number(parsed.documents.length), ...parsed.documents.flatMap(({ digest, label }) => [digest, label]),
  terms.id, terms.version, terms.language, act, parsed.clientId, parsed.clientName, parsed.profile, parsed.nonce,
));

/** The same provider for browsers too: with TLS under its own name, and the page of an SSA as its client. */
export class ProviderForPages {
  /** `folder` takes its certificate and the client's key. */
  static async start(folder, { secret } = {}) {
    const made = Object.assign(new ProviderForPages(), { folder, secret });
    const [cert, key] = ['identity-provider.crt', 'identity-provider.key'].map((name) => path.join(folder, name));
    execFileSync('openssl', [
      'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=identity provider', '-addext', `subjectAltName=DNS:${new URL(issuer).host},IP:127.0.0.1`,
      '-keyout', key, '-out', cert,
    ], { stdio: 'pipe' });
    made.certificate = readFileSync(cert, 'utf8');
    made.clientKey = await newSigningKey();
    writeFileSync(path.join(folder, 'client.pem'), createPrivateKey({ key: made.clientKey, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    if (secret) writeFileSync(path.join(folder, 'client.secret'), `${secret}\n`, { mode: 0o600 });
    made.provider = await IdentityProvider.start({ tls: { cert: made.certificate, key: readFileSync(key) } });
    return made;
  }

  /** Where a browser gets to the provider under its name: an argument of Chromium. */
  get resolved() {
    return `--host-resolver-rules=MAP ${new URL(issuer).host}:443 127.0.0.1:${this.provider.securePort}`;
  }

  /** The example of site.json with an identity provider, in the place of the other one. */
  site() {
    return readFileSync(path.join(repository, 'deploy/examples/site-identity-provider.json'), 'utf8');
  }

  /** ssa.toml with the example of [identity_provider] for this provider, which gets to know the page by it. */
  table(text) {
    const { clientKey, secret, folder, provider } = this;
    const [, redirectUri] = /^approval_page = "(.+)"$/m.exec(text);
    const { kty, crv, x, y, kid } = clientKey;
    provider.register({ redirectUri, ...(secret ? { secret } : { privateKey: clientKey, publicKey: { kty, crv, x, y, kid, alg: 'ES256', use: 'sig' } }) });
    const table = readFileSync(path.join(repository, 'deploy/examples/ssa-identity-provider.toml'), 'utf8')
      .replace(/^token_endpoint = .*$/m, `token_endpoint = "https://127.0.0.1:${provider.securePort}/token"`)
      .replace(/^client_authentication = .*$/m, `client_authentication = "${secret ? 'client_secret_basic' : 'private_key_jwt'}"`)
      .replace(/^private_key = .*$/m, `private_key = "${path.join(folder, 'client.pem')}"`).replace(/^client_secret_file = .*$/m, `client_secret_file = "${path.join(folder, 'client.secret')}"`)
      .replace(/^key_id = .*$/m, `key_id = "${secret ? '' : kid}"`)
      .replace(/^ca_file = .*$/m, `ca_file = "${path.join(folder, 'identity-provider.crt')}"`);
    return `${text}\n${table}`;
  }

  stop() {
    return this.provider.stop();
  }
}

const spkiOf = ({ x, y }) => Buffer.concat([
  Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'), Buffer.from([4]), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url'),
]);

/** What the SAM keeps of an approval by an identity (api/sap, 9); `provider` is the entry of the policy, with ES256 keys. */
export const identityApprovalOf = ({ transaction, terms, act, provider, salt, subject, taken, token }) => fields(
  'intaglio/identity-approval/1', transaction, terms.id, terms.version, terms.language, act, provider.issuer, provider.client_id,
  number(provider.acr.length), ...provider.acr, number(1), number(provider.max_auth_seconds), number(provider.max_skew_seconds),
  'keys', number(provider.keys.length), ...provider.keys.flatMap((key) => [key.kid, key.alg, spkiOf(key)]), salt, subject, number(taken), token,
);
/** How the audit log names a linked identity. */
export const identityDigestOf = (salt, issuer, subject) => sha256(fields('intaglio/identity/1', salt, issuer, subject));

/** The fields of an approval, as octets. */
export function fieldsOf(encoded) {
  const found = [];
  for (let at = 0; at < encoded.length;) {
    const length = encoded.readUInt32BE(at);
    found.push(encoded.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}
