// The SSA of the test flavour lies, once in each way that src/ssa/lying_sam.cpp knows, with its own early checks off. It gets no signature
// that the signer did not approve, and none twice.
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Client } from '../harness/client.mjs';
import { Device, withDevices } from '../harness/device.mjs';
import { good } from '../harness/http.mjs';
import { IdentityProvider, delegatedPolicy } from '../harness/identity.mjs';
import { Officer } from '../harness/officer.mjs';
import { Sam } from '../harness/sam.mjs';
import { documentsOf, identityOf, Signer, signerOf } from '../harness/signer.mjs';
import { repository, System, withoutLimits } from '../harness/system.mjs';

const lies = [...readFileSync(path.join(repository, 'src/ssa/lying_sam.cpp'), 'utf8').matchAll(/^\/\/\/ {3}([a-z-]+) {2,}(.*)$/gm)].map(([, name, about]) => ({ name, about }));

// Lies that take nothing from the signer when the SAM holds: what was approved is signed, once.
const harmless = new Set(['sign-twice', 'sign-double']);
// A key for which policy knows several suites of one hash: it is the approval, not the key, that must refuse the other one.
const aboutSuites = new Set(['open-suite', 'sign-suite']);
// Lies about other operations than a signature have tests of their own below.
const others = new Set(['enrol-other', 'key-other', 'create-forged', 'resume-forged', 'bind-other', 'factors-other', 'change-other', 'change-destroy', 'reset-forged', 'extend-key', 'extend-client', 'extend-tampered-sad', 'extend-keep']);

const devicePolicy = () => (document) => {
  withoutLimits(document);
  withDevices([['pin', 'device']])(document);
};
// The profiles, and how a person of each is known: by a one-time password, at an identity provider, or by a device of his.
const ways = [
  { profile: 'direct-resident', by: 'a one-time password', policy: () => withoutLimits },
  { profile: 'delegated-wrapped', by: 'an identity provider', policy: delegatedPolicy, identity: (provider, person) => ({ provider, person }) },
  { profile: 'direct-resident', by: 'a device', policy: devicePolicy, device: () => new Device() },
];

for (const { profile, by, policy, identity, device } of ways) describe(`a lying SSA (${profile}, ${by})`, () => {
  let provider, system, sam, alice, bob, rosa;
  const person = (id) => ({ profile, identity: identity?.(provider, `person of ${id}`), device: device?.() });
  before(async () => {
    provider = await IdentityProvider.start();
    system = await System.start({ policy: policy(provider) });
    sam = await Sam.connect(system);
    alice = (await signerOf(system, { id: 'alice', ...person('alice') })).signer;
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415', ...person('bob') })).signer;
    rosa = (await signerOf(system, { id: 'rosa', pin: '604827135902', algorithm: 'rsa3072', ...person('rosa') })).signer;
  });
  after(async () => {
    sam?.close();
    await system?.stop();
    await provider?.stop();
  });

  async function withLie(lie, act, value = '') {
    await system.restart('ssa', { environment: { INTAGLIO_LIE: lie, INTAGLIO_LIE_WITH: value, INTAGLIO_SKIP_SSA_CHECKS: '1' } });
    try {
      const client = await new Client(system).signIn();
      alice.client = client;
      bob.client = client;
      rosa.client = client;
      await act(client, new Officer(system));
    } finally {
      await system.restart('ssa');
      alice.client = await new Client(system).signIn();
      bob.client = alice.client;
      rosa.client = alice.client;
    }
  }

  /** Approves and signs one document as an honest signer does; gives the signature, or why there is none. */
  async function attempt(text, signer = alice, suite = 'ecdsa-sha256') {
    const documents = documentsOf(text);
    try {
      const sad = await signer.approve({ credential: signer.credential, documents, suites: [suite] });
      const answer = await signer.client.signHash({ credential: signer.credential, sad, digests: [documents[0].digest], suite });
      return answer.status === 200 ? Buffer.from(answer.json.signatures[0], 'base64') : answer.text;
    } catch (error) {
      return error.message;
    }
  }

  /** The signer is not locked and the service is well: it was the lie alone that got no signature. */
  async function honest(name) {
    const before = await sam.signatures();
    const result = await attempt(`after the lie ${name}`);
    assert.ok(Buffer.isBuffer(result), `no signature without the lie either: ${result}`);
    assert.equal(await sam.signatures(), before + 1);
  }

  assert.ok(lies.length >= 30, `only ${lies.length} lies were found in lying_sam.cpp`);
  for (const { name, about } of lies.filter((lie) => !others.has(lie.name))) {
    it(`gets nothing when it ${about} (${name})`, async (context) => {
      await withLie(name, async () => {
        // Some lies need an earlier transaction: the second attempt is the one that is judged.
        const who = aboutSuites.has(name) ? [rosa, 'rsa-pss-sha256'] : [alice, 'ecdsa-sha256'];
        await attempt(`before the lie ${name}`, ...who);
        const before = await sam.signatures();
        const result = await attempt(`the lie ${name}`, ...who);
        const made = (await sam.signatures()) - before;
        if (Buffer.isBuffer(result)) {
          const key = createPublicKey(new X509Certificate(alice.chain[0]).publicKey.export({ type: 'spki', format: 'pem' }));
          assert.ok(harmless.has(name), 'the SSA got a signature');
          assert.ok(verify('sha256', Buffer.from(`the lie ${name}`), key, result));
          assert.equal(made, 1);
        } else {
          assert.ok(made <= (harmless.has(name) ? 1 : 0), `the token signed ${made} times, the client was told: ${result}`);
          context.diagnostic(result.slice(0, 160));
        }
      }, { 'show-signer': 'bob', 'open-key': bob.credential, 'sign-key': bob.credential }[name]);
      await honest(name);
    });
  }

  it('extends no SAD for another key or client, and signs with none that was followed (extend-key, extend-client, extend-tampered-sad, extend-keep)', async () => {
    for (const lie of ['extend-key', 'extend-client', 'extend-tampered-sad', 'extend-keep']) {
      await withLie(lie, async (client) => {
        const before = await sam.signatures();
        const documents = documentsOf('one', 'two');
        const sad = await alice.approve({ credential: alice.credential, documents, suites: ['ecdsa-sha256'] });
        const extended = await client.post('/csc/v2/credentials/extendTransaction', { credentialID: alice.credential, SAD: sad });
        if (lie === 'extend-keep') {
          const next = system.secret('a SAD', good('extendTransaction', extended).SAD);
          assert.notEqual((await client.signHash({ credential: alice.credential, sad: next, digests: [documents[0].digest], suite: 'ecdsa-sha256' })).status, 200);
        } else {
          assert.notEqual(extended.status, 200, lie);
        }
        assert.equal(await sam.signatures(), before, lie);
      }, bob.credential);
    }
    await honest('after what was extended');
  });

  it('enrols nobody with the link of another signer (enrol-other)', async () => {
    const officer = new Officer(system);
    const code = await officer.createSigner('carol', identityOf('carol'));
    const victim = await officer.createSigner('dave', identityOf('dave'));
    await withLie('enrol-other', async (client) => {
      await assert.rejects(new Signer(client, 'carol', person('carol')).enrol(code));
    }, 'dave');
    await new Signer(alice.client, 'dave', person('dave')).enrol(victim);
  });

  it('makes no key for another signer (key-other)', async () => {
    await withLie('key-other', async () => {
      await assert.rejects(alice.generateKey());
    }, 'bob');
  });

  it('creates no signer on its own word (create-forged)', async () => {
    await withLie('create-forged', async (client, officer) => {
      await assert.rejects(officer.createSigner('erin', identityOf('erin')));
    });
  });

  it('changes no factors of another signer (factors-other)', async () => {
    await withLie('factors-other', async () => {
      await assert.rejects(alice.changeFactors({ pin: '730194' }));
    }, 'bob');
    await bob.sign(['with the PIN of before']);
  });

  it('suspends and destroys no key but the one that the signer named, and only as he said (change-other, change-destroy)', async () => {
    await withLie('change-other', async () => {
      await assert.rejects(alice.change('suspend'));
      await assert.rejects(alice.change('destroy'));
    }, bob.credential);
    await withLie('change-destroy', async () => {
      await assert.rejects(alice.change('suspend'));
    });
    await bob.sign(['not suspended']);
    await alice.sign(['not destroyed']);
  });

  it('resets no factors on its own word (reset-forged)', async () => {
    await withLie('reset-forged', async (client, officer) => {
      await assert.rejects(officer.resetFactors('alice', identityOf('alice')));
    });
    await alice.sign(['not reset']);
  });

  it('lifts no suspension on its own word (resume-forged)', async () => {
    await withLie('resume-forged', async (client, officer) => {
      await officer.post('/ra/v1/suspensions', { credentialID: alice.credential, reason: 'test' });
      const before = await sam.signatures();
      await attempt('after a forged resumption');
      assert.equal(await sam.signatures(), before);
    });
    const officer = new Officer(system);
    await officer.post('/ra/v1/resumptions', { request: await officer.request('resume-key', { key: alice.credential }) });
  });

  it('binds no key to the certificate of another one (bind-other)', async () => {
    await withLie('bind-other', async (client, officer) => {
      const first = await alice.generateKey();
      await officer.certify(first, identityOf('alice'));
      const second = await alice.generateKey();
      await assert.rejects(officer.certify(second, identityOf('alice')));
    });
  });
});
