// Two nodes of the SSA on one PostgreSQL: what is begun on one ends on the other, what may be used once is used once over both, and either
// goes on when the other one dies.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '../harness/client.mjs';
import { send, sendForm } from '../harness/http.mjs';
import { counted, signOnce } from '../harness/lane.mjs';
import { Nodes } from '../harness/nodes.mjs';
import { Passkey, withPasskeys } from '../harness/passkey.mjs';
import { signerOf } from '../harness/signer.mjs';
import { until, withoutLimits } from '../harness/system.mjs';

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

describe('two nodes of the SSA', () => {
  let nodes, system, signer;
  const clients = {};
  before(async () => {
    const policy = (document) => {
      withoutLimits(document);
      withPasskeys([['passkey']])(document);
    };
    nodes = await Nodes.start(['a'], { policy, ssas: ['one', 'two'] });
    ({ system } = nodes);
    ({ signer } = await signerOf(system, { pin: null, passkey: new Passkey() }));
    for (const name of nodes.ssas) clients[name] = new Client(system, { node: nodes.ssaUrl(name) });
    await clients.one.signIn();
    Object.assign(clients.two, { token: clients.one.token, tokenEnds: clients.one.tokenEnds });
  });
  after(() => nodes?.stop());

  const list = (name) => clients[name].post('/csc/v2/credentials/list', { userID: signer.id });
  const token = async (name, assertion) => (await sendForm(`${nodes.ssaUrl(name)}/csc/v2/oauth2/token`, {
    grant_type: 'client_credentials', scope: 'service', client_id: 'demo', client_assertion_type: assertionType, client_assertion: assertion,
  }, { tls: clients[name].tls })).status;

  it('sign access tokens with one key, and take what the other one issued', async () => {
    const sets = await Promise.all(nodes.ssas.map(async (name) => (await clients[name].get('/csc/v2/oauth2/jwks')).json));
    assert.equal(sets[0].keys.length, 1);
    assert.deepEqual(sets[0], sets[1]);
    for (const name of nodes.ssas) assert.equal((await list(name)).status, 200, name);
  });

  it('end on one what was begun on the other', async () => {
    let turn = 0;
    const counts = counted();
    for (let round = 0; round < 6; round += 1) await signOnce(signer, `document ${round}`, counts, () => clients[nodes.ssas[turn++ % 2]]);
    assert.deepEqual([counts.made, counts.approvedAgain, counts.unavailable, counts.other], [6, 0, 0, []]);
  });

  it('take a client assertion once, whichever is asked first', async () => {
    for (let round = 0; round < 5; round += 1) {
      const assertion = await clients.one.assertion();
      const answers = await Promise.all(['one', 'two', 'one', 'two'].map((name) => token(name, assertion)));
      assert.equal(answers.filter((status) => status === 200).length, 1, `${answers}`);
    }
  });

  it('refuse a token within a second after the other one revoked it', async () => {
    const revoked = await sendForm(`${nodes.ssaUrl('one')}/csc/v2/oauth2/revoke`, {
      token: clients.one.token, client_id: 'demo', client_assertion_type: assertionType, client_assertion: await clients.one.assertion(),
    }, { tls: clients.one.tls });
    assert.ok([200, 204].includes(revoked.status), revoked.text);
    assert.equal((await list('one')).status, 401);
    // The clock's second has to pass in which it was last asked for.
    await pause(1100);
    assert.equal((await list('two')).status, 401);
    await clients.two.signIn();
    Object.assign(clients.one, { token: clients.two.token, tokenEnds: clients.two.tokenEnds });
  });

  it('have one of them alone see to what is for all', () => {
    assert.equal(nodes.server.ask("SELECT node FROM storage_leases WHERE name = 'upkeep'", 'intaglio_ssa'), 'ssa-1');
  });

  it('go on alone when one is killed, and are two again', async () => {
    await system.services['ssa.two'].stop('SIGKILL');
    await signOnce(signer, 'alone', counted(), () => clients.one);
    await system.startService('ssa.two');
    await until('the other one to be ready', async () => (await send(`http://127.0.0.1:${system.services['ssa.two'].event('ready').metrics_port}/health/ready`)).status === 200);
    await signOnce(signer, 'with both', counted(), () => clients.two);
  });

  it('are each one process', async () => {
    const running = system.services['ssa.two'];
    const second = await system.startService('ssa.two', {}, { wait: false });
    system.services['ssa.two'] = running;
    assert.equal((await second.ended).code, 1);
    assert.match(second.words(), /another process has the database open for writing as node ssa-two/);
  });
});
