// docs/develop/integrate.md, run as it stands there: the application of an integrator with curl, Node and Python, and `intaglio approve` as the signer's
// own device, which believes neither the application nor the service.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { good, send, sendForm, sendJson } from '../harness/http.mjs';
import { hashOids, sha256 } from '../harness/protocol.mjs';
import { signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, runAside, until, withoutLimits } from '../harness/system.mjs';

const page = readFileSync(path.join(repository, 'docs/develop/integrate.md'), 'utf8');
const block = (language) => new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(page)[1];
const programs = {
  curl: { file: 'sign.sh', text: block('sh'), words: ['bash', 'sign.sh'] },
  Node: { file: 'sign.mjs', text: block('js'), words: [process.execPath, 'sign.mjs'] },
  Python: { file: 'sign.py', text: block('python'), words: ['python3', 'sign.py'] },
};

describe('an integrator', () => {
  let system, alice, folder, registered;
  const children = [];
  before(async () => {
    const secret = run(path.join(binaries, 'intaglio-ssa'), ['--new-client-secret']).stdout;
    const [, value, hash] = /client_secret, shown this once: (\S+)\nsecret_hash for ssa.toml: (\S+)/.exec(secret);
    registered = /```\n(\[\[clients\]\]\n[\s\S]*?)```/.exec(page)[1].replace('hmac-sha256$…', hash);
    assert.ok(registered.includes(hash));
    const configure = { ssa: (text) => `${text.replace('approval_page = ""', 'approval_page = "https://sign.invalid/approve"')}\n${registered}` };
    system = await System.start({ policy: withoutLimits, configure });
    alice = (await signerOf(system)).signer;
    folder = system.path('integrator');
    mkdirSync(folder);
    for (const { file, text } of Object.values(programs)) writeFileSync(path.join(folder, file), text);
    secretFile('client', system.secret('the secret of a client', value));
    secretFile('pin', alice.pin);
    secretFile('seed', alice.seedText);
  });
  after(async () => {
    // Those whose signer never approved still ask.
    for (const child of children) child.kill('SIGKILL');
    await system?.stop();
  });

  const secretFile = (name, text) => writeFileSync(system.path('secrets', name), text, { mode: 0o600 });
  const inFolder = (name) => path.join(folder, name);

  /** A program of the page, at work on a document of this text; gives the address that it shows. */
  async function ask(name, text = `contract for ${name}`) {
    const { words: [program, ...words] } = programs[name];
    const document = inFolder(`${name}.txt`);
    writeFileSync(document, text);
    const environment = {
      ...process.env, SERVICE: system.publicUrl, CA_FILE: system.path('tls/ca.pem'), NODE_EXTRA_CA_CERTS: system.path('tls/ca.pem'),
      SECRET_FILE: system.path('secrets/client'), CREDENTIAL: alice.credential,
    };
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, ...words, document], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    const asked = { document, words: '' };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (said) => { asked.words += said; });
    asked.ended = new Promise((resolve) => { child.on('close', resolve); });
    asked.address = await until('the address', () => /For the signer: (\S+)/.exec(asked.words)?.[1] ?? (child.exitCode !== null && assert.fail(asked.words)));
    secretFile('address', asked.address);
    return asked;
  }
  /** `intaglio approve`, in a step of its own, so that its one-time code was never used. */
  function approve(words, { device = system.path('device.toml'), pin = 'pin' } = {}) {
    system.moveClock(60);
    return runAside(path.join(binaries, 'intaglio'), ['approve', '--device', device, '--address-file', system.path('secrets/address'), '--pin-file', system.path('secrets', pin),
      '--otp-seed-file', system.path('secrets/seed'), '--otp-step-offset', '0', '--yes', ...words], { environment: { INTAGLIO_TEST_CLOCK: system.path('clock') } });
  }
  const refused = (result, words) => {
    assert.equal(result.status, 1, result.stdout + result.stderr);
    assert.match(result.stderr, words);
  };
  const granted = () => system.auditEvents('sam').filter(({ type }) => type === 'authorisation.granted').length;

  for (const name of Object.keys(programs)) {
    it(`signs with ${name}, by the program of the page, when the signer approves that file on his device`, async () => {
      const asked = await ask(name);
      const approved = await approve(['--document', asked.document]);
      assert.equal(approved.status, 0, approved.stdout + approved.stderr);
      assert.match(approved.stdout, /for My application:[\s\S]*Approved\. The application goes on by itself\./);
      assert.ok(approved.stdout.includes(sha256(`contract for ${name}`).toString('hex')));
      assert.equal(await asked.ended, 0, asked.words);
      assert.match(asked.words, /Verified OK/);
    });
  }

  it('gets no approval of another document than the signer named', async () => {
    const before = granted();
    const asked = await ask('curl', 'what the application put in its place');
    writeFileSync(inFolder('meant.txt'), 'what the signer means');
    refused(await approve(['--document', inFolder('meant.txt')]), /another transaction than was asked for: the list of documents differs/);
    // The address opened once; nobody else can use it, and nothing was approved.
    refused(await approve(['--document', asked.document]), /opening the approval/);
    assert.equal(granted(), before);
  });

  it('gets none of two documents when one was named, and none of one when two were', async () => {
    const digest = (text) => sha256(text).toString('hex');
    const before = granted();
    const token = (await sendForm(`${system.publicUrl}/csc/v2/oauth2/token`, { grant_type: 'client_credentials', scope: 'service' },
      { tls: system.tls(), headers: { authorization: `Basic ${Buffer.from(`my-application:${readFileSync(system.path('secrets/client'), 'utf8')}`).toString('base64')}` } })).json.access_token;
    system.secret('an access token', token);
    const asked = good('authorize', await sendJson(`${system.publicUrl}/csc/v2/credentials/authorize`, {
      credentialID: alice.credential, numSignatures: 2, hashes: ['one', 'two'].map((text) => sha256(text).toString('base64')), hashAlgorithmOID: hashOids.sha256,
    }, { tls: system.tls(), headers: { authorization: `Bearer ${token}` } }));
    system.secret('the handle of an application', asked.handle);
    secretFile('address', asked.approvalUri);
    refused(await approve(['--digest', digest('one')]), /the list of documents differs/);
    await ask('Node', 'one');
    refused(await approve(['--digest', digest('one'), '--digest', digest('two')]), /the list of documents differs/);
    await ask('Node', 'one');
    refused(await approve(['--digest', digest('one').slice(2)]), /the list of documents differs/);
    assert.equal(granted(), before);
  });

  it('is told when the signer\'s device believes another SAM: nothing is sent', async () => {
    const before = granted();
    const asked = await ask('Python');
    const other = system.path('other-device.toml');
    const { x, y } = JSON.parse(readFileSync(system.path('sam/checkpoint.jwk'), 'utf8'));
    writeFileSync(other, system.read('device.toml').replace(/identity_jwk = .*/, `identity_jwk = '${JSON.stringify({ kty: 'EC', crv: 'P-256', x, y })}'`));
    refused(await approve(['--document', asked.document], { device: other }), /does not show the SAM that the configuration pins/);
    assert.equal(granted(), before);
  });

  it('learns nothing of a wrong PIN; the device says it', async () => {
    const before = granted();
    secretFile('wrong-pin', '918273');
    const asked = await ask('curl');
    refused(await approve(['--document', asked.document], { pin: 'wrong-pin' }), /invalid_authentication_data/);
    assert.equal(granted(), before);
    assert.ok(system.auditEvents('sam').some(({ type, outcome }) => type === 'authorisation.refused' || outcome === 'failure'));
  });

  it('is refused in words that name what to correct, with the id of the request', async () => {
    const answer = await send(`${system.publicUrl}/csc/v2/credentials/list`, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', authorization: 'Bearer nothing' }, tls: { ca: readFileSync(system.path('tls/ca.pem')) } });
    assert.equal(answer.status, 401);
    assert.equal(answer.json.error, 'invalid_token');
    assert.match(answer.headers['x-request-id'], /^[0-9a-f-]+$/);
  });

  it('cannot have --yes approve what nobody named', async () => {
    copyFileSync(system.path('secrets/pin'), system.path('secrets/address'));
    refused(await approve([]), /--yes approves only what was named before/);
    refused(await approve(['--document', inFolder('meant.txt')]), /this is not the address of an approval/);
  });
});
