// `make load`: two SSA and two SAM nodes on one PostgreSQL server under a load of P-256 signatures, each approved by its signer's passkey. One
// SSA and one SAM are stopped in good order and started again meanwhile. Writes what came of it as JSON; ends 1 when a request gave no
// signature, an occurrence was signed twice, or a log does not verify.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Client } from '../feature/harness/client.mjs';
import { counted, signOnce } from '../feature/harness/lane.mjs';
import { Nodes } from '../feature/harness/nodes.mjs';
import { Officer } from '../feature/harness/officer.mjs';
import { Passkey, withPasskeys } from '../feature/harness/passkey.mjs';
import { Signer } from '../feature/harness/signer.mjs';
import { repository, withoutLimits } from '../feature/harness/system.mjs';

const setting = (name, fallback) => Number(process.env[`INTAGLIO_LOAD_${name}`] ?? fallback);
const seconds = setting('SECONDS', 300);
const many = setting('SIGNERS', 1200);
const lanes = setting('LANES', 24);
const file = process.env.INTAGLIO_LOAD_FILE ?? path.join(repository, 'build/load.json');
const shownEvery = 5;

const say = (text) => process.stdout.write(`${text}\n`);
const percentile = (values, share) => {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted.length === 0 ? 0 : Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]);
};

/** Enrols the signers, some at a time, and says how far it is. */
async function enrolled(client, officer) {
  const signers = [];
  let next = 0;
  const lane = async () => {
    for (let at = next; at < many; at = next) {
      next += 1;
      signers.push(await new Signer(client, `signer-${at}`, { pin: null, passkey: new Passkey() }).ready({ officer }));
      if (signers.length % 100 === 0) say(`  ${signers.length} signers enrolled`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(8, many) }, lane));
  return signers;
}

/** Stops a service in good order, at this share of the time, and starts it again a twentieth later. */
async function restart(system, begun, share, service) {
  const until = (part) => new Promise((resolve) => { setTimeout(resolve, Math.max(0, begun + part * seconds * 1000 - Date.now())); });
  await until(share);
  say(`  ${service} is stopped`);
  const { code } = await system.services[service].stop();
  await until(share + 0.05);
  await system.startService(service);
  say(`  ${service} serves again`);
  return { service, code };
}

async function main() {
  const policy = (document) => {
    withoutLimits(document);
    withPasskeys([['passkey']])(document);
  };
  say('two SAM and two SSA nodes on PostgreSQL');
  const nodes = await Nodes.start(['a', 'b'], { policy, ssas: ['a', 'b'] });
  try {
    const { system } = nodes;
    const officer = new Officer(system);
    const first = await new Client(system).signIn();
    const signers = await enrolled(first, officer);
    // One token: what one node has issued, the other one takes.
    const clients = nodes.ssas.map((name) => Object.assign(new Client(system, { node: nodes.ssaUrl(name) }), { token: first.token, tokenEnds: first.tokenEnds }));
    let turn = 0;
    const clientOf = () => clients[turn++ % clients.length];

    const counts = counted();
    const failures = [];
    const begun = Date.now();
    const elapsed = () => (Date.now() - begun) / 1000;
    let asked = 0;
    let shown = 0;
    const progress = setInterval(() => {
      const rate = Math.round((counts.made - shown) / shownEvery);
      shown = counts.made;
      say(`  ${Math.round(elapsed())} s: ${counts.made} signatures, ${rate}/s, p95 ${percentile(counts.milliseconds.slice(-1000), 0.95)} ms, ${failures.length} failed`);
    }, shownEvery * 1000);
    // Each signer once at a time: a newer approval ends the one before.
    const free = [...signers];
    const work = Array.from({ length: Math.min(lanes, many) }, async () => {
      while (elapsed() < seconds) {
        const signer = free.shift();
        asked += 1;
        await signOnce(signer, `document ${asked}`, counts, clientOf).catch((error) => failures.push(error.message));
        free.push(signer);
      }
    });
    const restarts = await Promise.all([restart(system, begun, 0.25, nodes.ssaService('b')), restart(system, begun, 0.6, nodes.service('b'))]);
    await Promise.all(work);
    clearInterval(progress);
    const took = elapsed();
    const verified = await nodes.verify('a', 'b');
    const result = {
      requests: asked, failed: failures.length, duplicates: nodes.doubled() + counts.doubled,
      p95_ms: percentile(counts.milliseconds, 0.95), p50_ms: percentile(counts.milliseconds, 0.5),
      seconds: Math.round(took), signatures_per_second: Number((counts.made / took).toFixed(1)), signers: many, lanes,
      sent_again: { unavailable: counts.unavailable, connection_lost: counts.broken, approved_again: counts.approvedAgain },
      signed_by: Object.fromEntries(nodes.names.map((name) => [name, nodes.count('signature.made', name)])),
      restarts: restarts.map(({ service }) => service), logs_verified: verified.status === 0,
    };
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
    say(JSON.stringify(result));
    for (const failure of [...failures, ...counts.other].slice(0, 10)) say(`  ${failure}`);
    if (verified.status !== 0) say(verified.stdout + verified.stderr);
    const orderly = restarts.every(({ code }) => code === 0);
    return result.failed === 0 && result.duplicates === 0 && result.logs_verified && orderly && counts.other.length === 0 ? 0 : 1;
  } finally {
    await nodes.stop();
  }
}

process.exitCode = await main();
