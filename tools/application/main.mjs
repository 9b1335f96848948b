// A signature application for `make up`: asks a signer to approve one file in the browser, then lets the service sign its digest and verifies the
// signature. usage: node main.mjs RUN CREDENTIAL FILE, with the folder of an instance that serves the signer's pages.
import { createHash, createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import path from 'node:path';
import * as oauth from 'openid-client';

const [run, credential, file] = process.argv.slice(2);
if (!file) {
  console.error('usage: node tools/application/main.mjs RUN CREDENTIAL FILE');
  process.exit(2);
}
const fail = (what) => {
  console.error(`application: ${what}`);
  process.exit(1);
};
const { ports } = JSON.parse(readFileSync(path.join(run, 'up.json'), 'utf8'));
const service = `https://127.0.0.1:${ports.ssa_public}`;
const address = `http://127.0.0.1:${ports.application}/back`;
const ca = readFileSync(path.join(run, 'tls/ca.pem'));
const content = readFileSync(file);
const digest = createHash('sha256').update(content).digest('base64');
const sha256 = '2.16.840.1.101.3.4.2.1';

/** fetch() that trusts the instance's own authority and no other. */
const overTls = (url, { method = 'GET', headers = {}, body } = {}) => new Promise((resolve, reject) => {
  const request = https.request(url, { method, headers: Object.fromEntries(new Headers(headers)), ca, minVersion: 'TLSv1.3' }, async (answer) => {
    const parts = [];
    for await (const part of answer) parts.push(part);
    const octets = Buffer.concat(parts);
    resolve(new Response(octets.length > 0 ? octets : null, { status: answer.statusCode, headers: { 'content-type': answer.headers['content-type'] ?? '', 'cache-control': 'no-store' } }));
  });
  request.on('error', reject);
  request.end(body === undefined || body === null ? undefined : String(body));
});
const call = async (method, token, body) => {
  const answer = await overTls(`${service}/csc/v2/${method}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: JSON.stringify(body) });
  if (answer.status !== 200) fail(`${method}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

const pem = readFileSync(path.join(run, 'clients/demo/client.key.pem'), 'utf8');
const key = await crypto.subtle.importKey('pkcs8', Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64'), { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const server = await oauth.discovery(new URL(service), 'demo', {}, oauth.PrivateKeyJwt(key), { algorithm: 'oauth2', [oauth.customFetch]: overTls });

const { access_token: own } = await oauth.clientCredentialsGrant(server, { scope: 'service' });
const described = await call('credentials/info', own, { credentialID: credential, certificates: 'single' });
const certificate = new X509Certificate(Buffer.from(described.cert.certificates[0], 'base64'));
const isRsa = certificate.publicKey.asymmetricKeyType === 'rsa';

const verifier = oauth.randomPKCECodeVerifier();
const state = oauth.randomState();
const url = await oauth.buildAuthorizationUrlWithPAR(server, {
  redirect_uri: address, state, code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
  authorization_details: JSON.stringify([{
    type: 'https://cloudsignatureconsortium.org/2025/credential', credentialID: credential, numSignatures: 1, hashAlgorithmOID: sha256,
    documentDigests: [{ hash: digest, label: path.basename(file), hashType: 'DTBSR' }],
  }]),
});

const came = new Promise((resolve) => {
  const listener = http.createServer((request, response) => {
    const back = new URL(request.url, address);
    if (back.pathname !== '/back') return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'text/html;charset=utf-8', connection: 'close' })
      .end('<!doctype html><html lang="en"><title>Back in the application</title><h1>Back in the application</h1><p>The terminal says what came of it.</p></html>');
    response.on('finish', () => listener.close());
    return resolve(back);
  }).on('error', (error) => fail(`${address}: ${error.message}`));
  listener.listen(ports.application, '127.0.0.1');
});
console.log(`Open within 90 seconds, and approve:\n\n  ${url.href}\n\nThe browser does not know the demo's certificates: let it trust ${path.join(run, 'tls/ca.pem')}, or accept them for 127.0.0.1 and localhost.`);

const back = await came;
if (back.searchParams.get('error')) fail(`not signed: ${back.searchParams.get('error')}: ${back.searchParams.get('error_description') ?? ''}`);
const { access_token: token } = await oauth.authorizationCodeGrant(server, back, { pkceCodeVerifier: verifier, expectedState: state });
const { signatures } = await call('signatures/signHash', token, {
  credentialID: credential, hashes: [digest], hashAlgorithmOID: sha256, signAlgo: isRsa ? '1.2.840.113549.1.1.11' : '1.2.840.10045.4.3.2',
});
const good = verify('sha256', content, createPublicKey(certificate.publicKey.export({ type: 'spki', format: 'pem' })), Buffer.from(signatures[0], 'base64'));
if (!good) fail('the signature does not verify');
console.log(`Signed by ${certificate.subject.replaceAll('\n', ', ')}: the signature over ${path.basename(file)} is good.\n${signatures[0]}`);
