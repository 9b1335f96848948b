// What a collector and a load balancer read of a node: figures of fixed names, and whether it would serve.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { send } from '../harness/http.mjs';
import { digestOf } from '../harness/protocol.mjs';
import { signerOf } from '../harness/signer.mjs';
import { repository, System, withoutLimits } from '../harness/system.mjs';

describe('figures of a node', () => {
  let system, client, alice;
  before(async () => {
    system = await System.start({ policy: withoutLimits });
    ({ client, signer: alice } = await signerOf(system));
  });
  after(() => system?.stop());

  const read = (path, service = 'ssa') => send(`http://127.0.0.1:${system.services[service].event('ready').metrics_port}${path}`);
  /** The value of one line: name, with its labels as they are written. */
  const figure = async (name, service) => {
    const line = (await read('/metrics', service)).text.split('\n').find((one) => one.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length + 1));
  };
  /** A figure of the node of the SAM. */
  const ofSam = (which) => figure(`intaglio_sam_${which}{node="127.0.0.1:${system.ports.sam}"}`);
  const state = (of, sam) => ({ state: of, sam, sam_nodes: [{ node: `127.0.0.1:${system.ports.sam}`, state: sam }], clock: true, audit: true });
  const signed = (status) => figure(`intaglio_http_requests_total{listener="public",route="/csc/v2/signatures/signHash",status="${status}"}`);

  it('count answers by route and status, and the signatures of the token', async () => {
    const before = await ofSam('token_signatures_total');
    const { sad } = await alice.sign(['a contract']);
    const another = await client.signHash({ credential: alice.credential, sad, digests: [digestOf('sha256', 'another')], suite: 'ecdsa-sha256' });
    assert.equal(another.status, 400);
    assert.equal(await signed(200), 1);
    assert.equal(await signed(400), 1);
    assert.equal(await ofSam('token_signatures_total'), before + 1);
    assert.equal(await ofSam('audited_signatures_total'), await ofSam('token_signatures_total'));
  });

  it('name no signer, no credential and no client', async () => {
    const { text, headers } = await read('/metrics');
    assert.match(headers['content-type'], /^text\/plain; version=0\.0\.4/);
    for (const name of ['alice', alice.credential, client.id]) assert.ok(name && !text.includes(name), name);
  });

  it('are each explained to who watches them', async () => {
    const page = readFileSync(path.join(repository, 'docs/operate/figures.md'), 'utf8');
    for (const service of ['ssa', 'pki']) {
      const names = (await read('/metrics', service)).text.match(/^# TYPE (intaglio_\w+)/gm).map((line) => line.slice('# TYPE '.length));
      assert.ok(names.length > 10, service);
      for (const name of names) assert.ok(page.includes(`\`${name}\``), name);
    }
  });

  it('tell when each TLS certificate ends', async () => {
    for (const listener of ['public', 'registration', 'sam']) {
      assert.ok(await figure(`intaglio_tls_certificate_end_seconds{listener="${listener}"}`) > Date.now() / 1000, listener);
    }
  });

  it('of the PKI tell what was asked of it, and when what it publishes ends', async () => {
    const asked = () => figure('intaglio_http_requests_total{listener="public",route="/crl/issuing.crl",status="200"}', 'pki');
    const before = await asked() ?? 0;
    assert.equal((await send(`${system.pkiUrl}/crl/issuing.crl`)).status, 200);
    assert.equal(await asked(), before + 1);
    assert.ok(await figure('intaglio_http_requests_total{listener="internal",route="/pki/v1/certificates",status="200"}', 'pki') >= 1);
    assert.deepEqual((await read('/health/state', 'pki')).json, { state: 'serving', clock: true, audit: true, list: true, responder: true });
    assert.equal((await read('/health/ready', 'pki')).status, 200);
    for (const name of ['revocation_list_end_seconds{list="issuing"}', 'revocation_list_end_seconds{list="root"}', 'certificate_end_seconds{certificate="issuing"}']) {
      assert.ok(await figure(`intaglio_pki_${name}`, 'pki') > Date.now() / 1000, name);
    }
    for (const path of ['/metrics', '/health/state']) assert.equal((await send(`${system.pkiUrl}${path}`)).status, 404);
  });

  it('are not shown on the listener of the public', async () => {
    for (const path of ['/metrics', '/health/state']) assert.equal((await client.get(path)).status, 404);
  });

  it('say that a node without its SAM would not serve, and that it serves again', async () => {
    assert.deepEqual((await read('/health/state')).json, state('serving', 'serving'));
    assert.equal((await read('/health/ready')).status, 200);
    await system.services.sam.stop('SIGKILL');
    assert.deepEqual((await read('/health/state')).json, state('refusing', 'unreachable'));
    assert.equal((await read('/health/ready')).status, 503);
    assert.equal((await read('/health/alive')).status, 200);
    assert.equal(await ofSam('up'), 0);
    await system.startService('sam');
    assert.equal((await read('/health/state')).json.state, 'serving');
    assert.equal(await ofSam('up'), 1);
  });
});
