// EN 319 411-1, 6.2.4 and 6.4.8; RFC 4210, 4.4: docs/operate/ca-rollover.md is done here, command for command, and OpenSSL judges the result.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { send } from '../harness/http.mjs';
import { documentsOf, signerOf } from '../harness/signer.mjs';
import { System, binaries, repository, run, until, withoutLimits } from '../harness/system.mjs';

const page = readFileSync(path.join(repository, 'docs/operate/ca-rollover.md'), 'utf8');
/** The commands of one block of the page, in order. */
const commandsOf = (name) => {
  const [, block] = new RegExp(`<!-- commands: ${name} -->\\s*\`\`\`sh\\n([^]*?)\`\`\``).exec(page);
  return block.trim().split('\n').map((line) => line.trim().split(' '));
};

describe('authorities', () => {
  let system, alice, bob, client;
  const at = (name) => system.path(name);
  const must = (program, words, options) => {
    const result = run(program, words, options);
    assert.equal(result.status, 0, `${program} ${words.join(' ')}\n${result.stdout}${result.stderr}`);
    return result.stdout;
  };
  /** Does what the page says. Ceremonies of the root find their token by their own file; a request is made on the PKI's token. */
  const perform = (name) => commandsOf(name).map(([program, ...words]) => {
    const act = words[words.indexOf('--ceremony') + 1];
    const environment = { SOFTHSM2_CONF: at(act === 'request' ? 'tokens/pki.conf' : 'tokens/root.conf'), INTAGLIO_TEST_CLOCK: at('clock') };
    return must(path.join(binaries, program), words.map((word) => word.replace(/^run\//, `${system.root}/`)), { environment });
  });
  const pem = (name) => must('openssl', ['x509', '-inform', 'DER', '-in', at(`pki/ca/${name}.cer`), '-out', at(`${name}.pem`)]);
  const rootList = () => must('openssl', ['crl', '-inform', 'DER', '-in', at('pki/ca/root.crl'), '-noout', '-text']);
  const numberOf = (list) => Number(/X509v3 CRL Number: *\n *(\d+)/.exec(list)[1]);
  const verify = (certificate, anchor, ...untrusted) => run('openssl', ['verify', '-x509_strict', '-attime', String(system.now()), '-CAfile', at(`${anchor}.pem`),
    ...untrusted.flatMap((name) => ['-untrusted', at(`${name}.pem`)]), at(`${certificate}.pem`)]);

  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ client, signer: alice } = await signerOf(system));
    bob = (await signerOf(system, { id: 'bob', pin: '571938260415' })).signer;
    pem('root');
    pem('issuing');
  });
  after(async () => {
    await system?.stop();
  });

  it('renew the root\'s list', () => {
    const number = numberOf(rootList());
    perform('list');
    assert.equal(numberOf(rootList()), number + 1);
    assert.match(rootList(), /No Revoked Certificates/);
  });

  it('are made beside each other under one root', () => {
    const text = system.read('config/pki.toml');
    writeFileSync(at('config/pki-2.toml'), text.replaceAll('issuing.cer', 'issuing-2.cer').replace(/^issuing = ".*"/m, 'issuing = "pki-issuing-2"')
      .replace(/^ocsp = ".*"/m, 'ocsp = "pki-ocsp-2"').replace('Issuing CA 1', 'Issuing CA 2'), { mode: 0o600 });
    perform('issuing');
    pem('issuing-2');
    assert.match(verify('issuing-2', 'root').stdout, /OK/);
    assert.match(must('openssl', ['x509', '-noout', '-subject', '-in', at('issuing-2.pem')]), /Issuing CA 2/);
  });

  it('follow each other when the root is replaced, in both directions', () => {
    writeFileSync(at('config/pki-root-2.toml'), system.read('config/pki-root.toml').replace(/^key = ".*"/m, 'key = "root-2"').replaceAll('root.cer', 'root-2.cer')
      .replaceAll('root.crl', 'root-2.crl').replace('Root CA', 'Root CA 2'), { mode: 0o600 });
    perform('root');
    for (const name of ['root-2', 'new-with-old', 'old-with-new']) pem(name);
    assert.notEqual(verify('root-2', 'root').status, 0);
    assert.match(verify('new-with-old', 'root').stdout, /OK/, 'who trusts the old root takes the new one');
    assert.match(verify('issuing', 'root-2', 'old-with-new').stdout, /OK/, 'who trusts the new root takes what the old one certified');
    const again = run(path.join(binaries, 'intaglio-pki'), ['--ceremony', 'cross', '--root-config', at('config/pki-root.toml'), '--other', at('pki/ca/issuing.cer'),
      '--certificate', at('pki/ca/none.cer')], { environment: { SOFTHSM2_CONF: at('tokens/root.conf') } });
    assert.notEqual(again.status, 0, 'what is no root is not cross-certified');
  });

  it('are revoked in an emergency: the root\'s list names the authority, and the SAM signs nothing under it', async () => {
    await alice.sign(['before']);
    const sad = await alice.approve({ credential: alice.credential, documents: documentsOf('approved before') });
    perform('revoke');
    await system.restart('pki');
    await system.restart('ssa');
    writeFileSync(at('fetched.crl'), (await send(`${system.pkiUrl}/crl/root.crl`)).octets);
    must('openssl', ['crl', '-inform', 'DER', '-in', at('fetched.crl'), '-out', at('fetched.pem')]);
    const serial = must('openssl', ['x509', '-noout', '-serial', '-in', at('issuing.pem')]).trim().split('=')[1];
    assert.match(rootList(), new RegExp(`Serial Number: ${serial}[^]*CA Compromise`));
    const checked = run('openssl', ['verify', '-attime', String(system.now()), '-CAfile', at('root.pem'), '-crl_check', '-CRLfile', at('fetched.pem'), at('issuing.pem')]);
    assert.match(checked.stderr, /certificate revoked/);
    // The SSA brings the lists to the SAM at its start.
    await until('the SAM to know the list', async () => {
      await client.signIn();
      return bob.approve({ credential: bob.credential, documents: documentsOf('another') }).then(() => false, () => true);
    });
    const digests = documentsOf('approved before').map(({ digest }) => digest);
    const answer = await client.signHash({ credential: alice.credential, sad, digests, suite: 'ecdsa-sha256' });
    assert.notEqual(answer.status, 200, 'what was approved before the revocation is not signed after it');
    assert.doesNotMatch(answer.text, /expired/);
    await assert.rejects(alice.sign(['after']));
    assert.throws(() => perform('revoke'), /names this certificate already/);
  });
});
