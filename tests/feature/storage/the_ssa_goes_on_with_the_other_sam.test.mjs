// TC-4, TC-5, TC-14: an SSA that speaks to two nodes of the SAM. One of them is killed under load and started again, the other one is stopped
// in good order: whatever is safe to ask again is asked of the one that is left, and nothing is signed twice.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { send } from '../harness/http.mjs';
import { counted, signOnce } from '../harness/lane.mjs';
import { Nodes } from '../harness/nodes.mjs';
import { Officer } from '../harness/officer.mjs';
import { Passkey, withPasskeys } from '../harness/passkey.mjs';
import { Client } from '../harness/client.mjs';
import { Signer } from '../harness/signer.mjs';
import { until, withoutLimits } from '../harness/system.mjs';

const lanes = 6;

describe('an SSA with two nodes of the SAM', () => {
  let nodes, system, signers;
  before(async () => {
    const policy = (document) => {
      withoutLimits(document);
      withPasskeys([['passkey']])(document);
    };
    nodes = await Nodes.start(['a', 'b'], { policy, ssas: ['ssa-1'] });
    ({ system } = nodes);
    const client = await new Client(system).signIn();
    const officer = new Officer(system);
    signers = [];
    for (let lane = 0; lane < lanes; lane += 1) signers.push(await new Signer(client, `signer-${lane}`, { pin: null, passkey: new Passkey() }).ready({ officer }));
  });
  after(() => nodes?.stop());

  const metricsPort = () => system.services.ssa.event('ready').metrics_port;
  const state = async () => (await send(`http://127.0.0.1:${metricsPort()}/health/state`)).json;
  const ready = async () => (await send(`http://127.0.0.1:${metricsPort()}/health/ready`)).status;
  const named = (name) => `127.0.0.1:${nodes.samPort(name)}`;
  const figure = async (which, name) => {
    const { text } = await send(`http://127.0.0.1:${metricsPort()}/metrics`);
    const line = text.split('\n').find((one) => one.startsWith(`intaglio_sam_${which}{node="${named(name)}"}`));
    return line && Number(line.split(' ')[1]);
  };
  const made = (...names) => nodes.count('signature.made', ...names);
  /** All signers at work until `act` is done; gives what became of it. */
  const underLoad = async (what, act) => {
    const counts = counted();
    let stopped = false;
    const work = signers.map(async (signer, lane) => {
      const kept = [];
      for (let round = 0; !stopped; round += 1) kept.push(await signOnce(signer, `${what} ${lane} ${round}`, counts));
      return kept;
    });
    await until('the load to begin', () => counts.made > lanes);
    const outcome = await act(counts).finally(() => { stopped = true; });
    const made = (await Promise.all(work)).flat();
    assert.deepEqual(counts.other, []);
    return { counts, made, outcome };
  };
  it('uses both, and shows how each does', async () => {
    const { counts } = await underLoad('both', () => pause(500));
    assert.deepEqual([counts.unavailable, counts.approvedAgain], [0, 0]);
    for (const name of ['a', 'b']) assert.ok(made(name) > 0 && await figure('calls_total', name) > 0, `${name} signed nothing`);
    assert.deepEqual((await state()).sam_nodes, ['a', 'b'].map((name) => ({ node: named(name), state: 'serving' })));
  });

  it('loses nothing when one is stopped in good order and started again', async () => {
    const { counts } = await underLoad('rolling', async (sofar) => {
      const before = sofar.made;
      await system.services['sam.b'].stop();
      await until('signatures without b', () => sofar.made > before + 2 * lanes);
      assert.equal((await state()).sam_nodes[1].state, 'unreachable');
      assert.equal(await ready(), 200);
      await system.startService('sam.b');
      await until('b to be used again', async () => await figure('left_out', 'b') === 0);
      const earlier = made('b');
      await until('b to sign', () => made('b') > earlier);
    });
    assert.deepEqual([counts.unavailable, counts.broken, counts.approvedAgain], [0, 0, 0], 'a client noticed it');
    assert.equal(nodes.doubled(), 0);
  });

  it('loses what the killed one had begun, and nothing else, and doubles nothing', async (context) => {
    const { counts, made: given } = await underLoad('killed', async (sofar) => {
      const before = sofar.made;
      await system.services['sam.b'].stop('SIGKILL');
      await until('signatures without b', () => sofar.made > before + 2 * lanes, 30000);
      await system.startService('sam.b');
      await until('b to be used again', async () => await figure('left_out', 'b') === 0);
      const again = sofar.made;
      await until('signatures with b', () => sofar.made > again + 2 * lanes);
    });
    context.diagnostic(JSON.stringify({ ...counts, signatures: counts.signatures.size, milliseconds: undefined, other: undefined }));
    // A signer approves again only what the dead node had taken up: it can have had no more than one call of each.
    assert.ok(counts.approvedAgain <= lanes, `${counts.approvedAgain} approvals were lost`);
    assert.equal(counts.doubled, 0);
    assert.equal(nodes.doubled(), 0);
    // What was given is given again, by whichever node, and never another one.
    for (const { ask, signature } of given.slice(-2 * lanes)) {
      const again = await ask();
      if (again.status === 200) assert.equal(again.json.signatures[0], signature);
      else assert.match(again.json.error_description, /SAD/);
    }
    assert.equal(Number(nodes.server.ask('SELECT count(*) FROM open_reservations')), 0);
    const verified = await nodes.verify('a', 'b');
    assert.equal(verified.status, 0, verified.stdout + verified.stderr);
  });

  it('serves from the other one when the first of the list is gone, and refuses when both are', async () => {
    await system.services.sam.stop();
    const counts = counted();
    await signOnce(signers[0], 'without the first', counts);
    assert.equal((await state()).sam, 'serving');
    await system.services['sam.b'].stop();
    assert.equal((await state()).sam, 'unreachable');
    assert.equal(await ready(), 503);
    const refused = await signers[0].client.post('/sic/v1/transactions', {
      credentialID: signers[0].credential, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', documents: [{ hash: Buffer.alloc(32).toString('base64'), label: 'x' }],
    });
    assert.equal(refused.status, 503);
    await system.startService('sam.b');
    await system.startService('sam');
    await until('both to serve', async () => (await state()).sam_nodes.every((node) => node.state === 'serving'));
    await signOnce(signers[0], 'again', counts);
  });

  it('gives the receipt of a signature whichever node made it', async () => {
    for (let round = 0; round < 4; round += 1) {
      const { answer } = await signOnce(signers[1], `receipt ${round}`, counted());
      const [{ log, index, leaf }] = answer.auditReceipts;
      const receipt = await until('the receipt', async () => {
        const told = await signers[1].client.get(`/sic/v1/receipts/${index}?leaf=${encodeURIComponent(Buffer.from(leaf, 'base64').toString('base64url'))}`);
        return told.status === 200 && told.json;
      });
      assert.equal(receipt.log, log);
    }
  });
});
