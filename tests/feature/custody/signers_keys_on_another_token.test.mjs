// [key_token]: signers' resident keys on another token than the SAM's own keys. A token serves what it can and is refused the rest in clear words.
import assert from 'node:assert/strict';
import { constants, randomBytes, verify, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { KeyToken } from '../harness/key_tokens.mjs';
import { Sam } from '../harness/sam.mjs';
import { identityOf, Signer, signerOf } from '../harness/signer.mjs';
import { run, System } from '../harness/system.mjs';

/** Resident keys of these algorithms; with `wrapped`, a second profile in wrapped custody with those. */
const policyOf = (resident, wrapped = []) => (document) => {
  const [profile] = document.profiles;
  document.profiles = [{ ...profile, key_algorithms: resident }];
  if (wrapped.length === 0) return;
  document.profiles.push({ ...profile, name: 'direct-wrapped', custody: 'wrapped', key_algorithms: wrapped });
  // What a secret costs that opens a key.
  document.argon2 = { memory_kib: 65536, passes: 3 };
};

/** Signs these texts and verifies the signatures outside, with the certificate's key, in the default suite of its kind. */
async function signAndVerify(signer, ...texts) {
  const { signatures } = await signer.sign(texts);
  const key = new X509Certificate(signer.chain[0]).publicKey;
  const padding = key.asymmetricKeyType === 'rsa' ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST } : {};
  assert.equal(signatures.length, texts.length);
  for (const [at, text] of texts.entries()) assert.ok(verify('sha256', Buffer.from(text), { key, ...padding }, signatures[at]), text);
}

/** The SAM does not serve; gives what it said. */
async function refusalOf(system) {
  const service = await system.startService('sam', {}, { wait: false });
  const served = await service.ready().then(() => true, () => false);
  await service.stop();
  assert.ok(!served, 'the SAM serves');
  assert.deepEqual(service.result, { code: 1, signal: null });
  return service.words();
}

/** Another instance with this policy, whose SAM was never started, for `work`. */
async function withInstance(token, policy, work) {
  const system = await System.start({ policy, start: [] });
  try {
    token.serve(system);
    await work(system);
  } finally {
    await system.stop();
  }
}

const signaturesOf = ({ token }) => ({ own: token.signer_signatures, signers: token.key_token.signer_signatures });
/** Objects of the token's that its probe made and did not destroy would be among these. */
const objectsOf = ({ token }) => ({ own: token.objects, signers: token.key_token.objects });

for (const { kind, algorithm, beyond } of [
  { kind: 'opencryptoki', algorithm: 'rsa3072', beyond: 'p256' },
  { kind: 'tpm2-pkcs11', algorithm: 'p256', beyond: 'rsa4096' },
]) {
  describe(`signers' keys on ${kind}`, () => {
    let token, system, alice, sam, client, officer;
    before(async () => {
      token = await KeyToken.start(kind);
      system = await System.start({ policy: policyOf([algorithm], ['p384']), start: [] });
      token.serve(system);
      for (const name of ['sam', 'pki', 'ssa']) await system.startService(name);
      ({ signer: alice, client, officer } = await signerOf(system, { algorithm }));
      sam = await Sam.connect(system);
    });
    after(async () => {
      sam?.close();
      await system?.stop();
      await token?.stop();
    });

    it('are made there and sign there, and the SAM keeps its own elsewhere', async () => {
      const before_ = await sam.status();
      await signAndVerify(alice, 'a contract');
      await signAndVerify(alice, 'its annex');
      const after_ = await sam.status();
      assert.deepEqual(signaturesOf(after_), { own: 0, signers: signaturesOf(before_).signers + 2 });
      assert.equal(after_.signer_signatures, after_.audited_signatures, 'what the tokens signed is what the log says');
      assert.notEqual(after_.token.description, after_.token.key_token.description);
      // A pair, and no throw-away key of the self-tests.
      assert.equal(objectsOf(after_).signers, 2);
    });

    it('sign on after a restart of the SAM, whose self-tests leave nothing there', async () => {
      sam.close();
      await system.restart('sam');
      sam = await Sam.connect(system);
      await signAndVerify(alice, 'an addendum');
      assert.equal(objectsOf(await sam.status()).signers, 2);
    });

    it('stand beside wrapped ones, which the SAM\'s own token serves whatever this one can', async () => {
      const walter = await new Signer(client, 'walter', { pin: '604827135902' }).ready({ officer, algorithm: 'p384', profile: 'direct-wrapped' });
      const before_ = await sam.status();
      await signAndVerify(walter, 'wrapped');
      const after_ = await sam.status();
      assert.deepEqual(signaturesOf(after_), { own: signaturesOf(before_).own + 1, signers: signaturesOf(before_).signers });
      assert.deepEqual(objectsOf(after_), objectsOf(before_));
      assert.equal(after_.signer_signatures, after_.audited_signatures);
    });

    it('are destroyed there when the signer\'s factors are reset', async () => {
      await officer.resetFactors('alice', identityOf('alice'));
      assert.equal(objectsOf(await sam.status()).signers, 0);
    });

    it('are refused beyond what the token serves, by name', () => withInstance(token, policyOf([algorithm, beyond]), async (other) => {
      // With a management listener it would wait for another policy.
      other.configure('sam', (text) => text.replace(/(^\[management\][\s\S]*?)^port = \d+\n/m, '$1'));
      assert.match(await refusalOf(other), new RegExp(`profile direct-resident names ${beyond}, which the token does not serve: the HSM profile ${kind} has no ${beyond}`));
    }));

    it('are all that the token holds: the SAM does not start with its own keys on it', () => withInstance(token, policyOf([algorithm]), async (other) => {
      other.configure('sam', (text) => text.replace(/^\[token\][^[]*/m, '').replace('[key_token]', '[token]'));
      assert.match(await refusalOf(other), new RegExp(`HSM profile ${kind} holds signers' keys only, never the SAM's own`));
    }));
  });
}

describe('signers\' keys on SoftHSM, in the folder of the SAM\'s own token', () => {
  let system, plain;
  before(async () => {
    system = await System.start({ start: [] });
    plain = system.read('config/sam.toml');
  });
  after(() => system?.stop());

  it('are made in a second token there, sign there, and sign on after a restart', async () => {
    const pin = randomBytes(16).toString('hex');
    writeFileSync(system.path('secrets/signers.pin'), `${system.secret('PIN of the token signers', pin)}\n`, { mode: 0o600 });
    const made = run('softhsm2-util', ['--init-token', '--free', '--label', 'signers', '--so-pin', randomBytes(16).toString('hex'), '--pin', pin], { environment: system.command('sam').environment });
    assert.equal(made.status, 0, made.stderr);
    const own = /^\[token\][^[]*/m.exec(plain)[0];
    const other = own.replace('[token]', '[key_token]').replace(/^label = ".*?"/m, 'label = "signers"').replace(/^pin_file = ".*?"/m, 'pin_file = "../secrets/signers.pin"');
    system.configure('sam', () => `${plain}\n${other}`);
    for (const name of ['sam', 'pki', 'ssa']) await system.startService(name);
    const { signer } = await signerOf(system);
    for (const text of ['before', 'after']) {
      await signAndVerify(signer, text);
      const sam = await Sam.connect(system);
      assert.deepEqual([signaturesOf(await sam.status()).own, objectsOf(await sam.status()).signers], [0, 2]);
      sam.close();
      await system.restart('sam');
    }
    await system.services.sam.stop();
  });

  it('are refused when both tables name one token: one token is opened once', async () => {
    system.configure('sam', () => `${plain}\n${/^\[token\][^[]*/m.exec(plain)[0].replace('[token]', '[key_token]')}`);
    assert.match(await refusalOf(system), /key_token\.label.*leave \[key_token\] out/);
  });
});

describe('signers\' keys on NSS', () => {
  let token, system;
  before(async () => {
    token = await KeyToken.start('nss');
    system = await System.start({ start: [] });
    token.serve(system);
  });
  after(async () => {
    await system?.stop();
    await token?.stop();
  });

  it('are refused with the failed self-test named', async () => {
    assert.match(await refusalOf(system), /the token failed the self-test .*refuses to .*\(CKR_OK\); it cannot hold signers' keys/);
  });

  it('are refused by the probe, which lists what NSS gives away', () => {
    const { program, words, environment } = system.command('sam', '--probe', '--quick');
    const probe = run(program, words, { environment });
    assert.equal(probe.status, 1, probe.stdout + probe.stderr);
    assert.match(probe.stdout, /BROKEN\s+refuses to wrap a non-extractable p256\s+CKR_OK/);
    assert.match(probe.stderr, /it failed the self-test "refuses to .*"; it cannot hold signers' keys/);
  });
});
