// One instance whose SAM has the virtual HSM for a token, and one fault after the other: inject, try to sign, lift, ask again, compare three accounts of
// it: the journal of the module (what was signed), the audit log (what was recorded) and the answers (what was released).
import assert from 'node:assert/strict';
import { createPublicKey, verify, X509Certificate } from 'node:crypto';
import path from 'node:path';
import { Sam } from '../feature/harness/sam.mjs';
import { documentsOf, signerOf } from '../feature/harness/signer.mjs';
import { binaries, run, System, until } from '../feature/harness/system.mjs';
import { VirtualHsm } from '../feature/harness/virtual_hsm.mjs';

/** How long an answer is waited for while the fault stands; a call that hangs gives none. */
const answerPatience = 2500;
const recoveryPatience = 20000;
/** Long enough for the circuit breaker to try the token again, twice. */
const operatorPatience = 2500;
/** What the SAM says while it repairs the token. */
const passing = new Set(['audit_unavailable', 'token_unavailable', 'busy', 'configuration', 'internal', 'unsupported']);

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export class FaultBench {
  static async start({ mode }) {
    const bench = new FaultBench();
    const configure = {
      sam: (text) => text.replace(/^call_seconds = \d+/m, 'call_seconds = 1'),
      ssa: (text) => text.replace(/^timeout_seconds = \d+/m, 'timeout_seconds = 4'),
    };
    bench.system = await System.start({ policy: mode.policy, start: [], configure });
    try {
      bench.hsm = new VirtualHsm(bench.system);
      await bench.system.startService('sam', bench.hsm.environment);
      for (const name of ['pki', 'ssa']) await bench.system.startService(name);
      ({ signer: bench.alice } = await signerOf(bench.system, { profile: mode.profile }));
      bench.key = mode.tokenKey ?? bench.alice.credential;
      bench.publicKey = createPublicKey(new X509Certificate(bench.alice.chain[0]).publicKey.export({ format: 'pem', type: 'spki' }));
    } catch (error) {
      await bench.stop();
      throw error;
    }
    return bench;
  }

  stop() {
    for (const sam of this.connections ?? []) sam.close();
    return this.system.stop();
  }

  async #connect() {
    const sam = await Sam.connect(this.system);
    (this.connections ??= new Set()).add(sam);
    return sam;
  }

  #hangUp() {
    for (const sam of this.connections ?? []) sam.close();
    this.connections = new Set();
  }

  /** One request of these documents; what it releases is kept. Gives {refusal, given}. */
  async #ask(sam, sad, documents) {
    const answer = await sam.sign({ sad, key: this.alice.credential, suite: 'ecdsa-sha256', digests: documents.map(({ digest }) => digest) }).then(
      (given) => ({ given }), (error) => {
        if (!error.refusal) throw error;
        return { refusal: error.refusal, given: error.given ?? [] };
      },
    );
    // A batch stops at its first refusal: the signatures are those of the first documents.
    answer.given.forEach(({ signature, redelivered }, at) => {
      const { text, released } = documents[at];
      const key = { key: this.publicKey, dsaEncoding: 'der' };
      assert.ok(verify('sha256', Buffer.from(text), key, signature), `a signature that does not verify was released for ${text}`);
      released.push({ signature: signature.toString('hex'), redelivered });
    });
    return answer;
  }

  /** The SAM anew, between two cases. */
  async #startAgain() {
    this.hsm.plan();
    this.#hangUp();
    await this.system.restart('sam', { environment: this.hsm.environment });
  }

  /** Runs one fault; gives the row of the table. A case that does not come to its end is a row too, and the next one starts from a SAM of its own. */
  async run(fault) {
    // The SAM counts wrong signatures over its whole life: those of earlier cases must not condemn the token in this one.
    if (fault.fresh) await this.#startAgain();
    const row = { case: fault.name, outcome: '', entries: 0, recovery: 0, double: 0, lost: 0, restarts: 0, operator: 0, wrong: [] };
    try {
      await this.#run(fault, row);
    } catch (error) {
      row.wrong.push(error.message);
      if (this.system.services.sam.result) row.restarts += 1;
      await this.#startAgain();
    }
    return row;
  }

  async #run(fault, row) {
    const { system, hsm, alice } = this;
    const process = system.services.sam;
    const count = typeof fault.outcomes === 'number' ? fault.outcomes : fault.outcomes.length;
    const texts = Array.from({ length: count }, (_, at) => `${fault.name}, document ${at}`);
    const documents = documentsOf(...texts).map((document, at) => ({ ...document, text: texts[at], released: [] }));

    let sad;
    const approve = async () => {
      sad = await alice.approve({ credential: alice.credential, documents });
    };
    if (fault.during !== 'approval') await approve();
    const mark = hsm.mark();
    // Signatures of the SAM's own keys (SADs, checkpoints) are left alone, unless the line names their key.
    const plan = fault.plan.map((line) => line.replace(/^(C_SignInit|C_Sign) /, (_, name) => `${name}@${this.key} `));
    hsm.plan(...plan);

    const pending = [];
    if (fault.during === 'approval') {
      await approve().catch(() => {});
    } else {
      const requests = fault.parallel ? [...documents, ...documents].map((document) => [document]) : fault.oneByOne ? documents.map((document) => [document]) : [documents];
      const begin = async (request) => {
        const answer = this.#ask(await this.#connect(), sad, request);
        pending.push(answer);
        await Promise.race([answer, sleep(answerPatience)]);
      };
      for (let attempt = 0; attempt < (fault.attempts ?? 1); attempt += 1) {
        if (fault.parallel) await Promise.all(requests.map(begin));
        else for (const request of requests) await begin(request);
      }
    }
    if (fault.wait) await until('the fault to be met', () => this.#unmet(plan, mark) === undefined);
    // A fault that nobody met would pass for one that did no harm.
    const unmet = this.#unmet(plan, mark);
    if (unmet) row.wrong.push(`nobody met '${unmet}'`);
    const early = documents.map(({ released }) => released.length > 0);

    hsm.plan();
    const lifted = Date.now();
    await Promise.all(pending);
    const beforeRetry = documents.map(({ released }) => released.length > 0);

    if (fault.operator) {
      await sleep(operatorPatience);
      const refused = await this.#ask(await this.#connect(), sad, [documents[0]]);
      if (refused.given.length > 0) row.wrong.push('served before its operator came');
      this.#hangUp();
      if (process.result) row.restarts += 1;
      await system.restart('sam', { environment: hsm.environment });
      row.operator += 1;
    }
    const last = [];
    if (sad !== undefined) {
      for (const document of documents) {
        last.push(await until(`an answer after ${fault.name}`, async () => {
          const answer = await this.#ask(await this.#connect(), sad, [document]);
          return answer.refusal && passing.has(answer.refusal) ? undefined : answer;
        }, recoveryPatience));
      }
    }
    const signed = hsm.signaturesOf(this.key, mark);
    await until(`service after ${fault.name}`, () => alice.sign([`after ${fault.name}`]).then(() => true, () => false), recoveryPatience);
    row.recovery = Date.now() - lifted;
    this.#hangUp();
    if (!fault.operator && (system.services.sam !== process || process.result)) row.restarts += 1;

    const outcomes = sad === undefined ? documents.map(() => 'not approved') : last.map(({ refusal }, at) => {
      if (refusal === 'hash_not_authorised') return 'burned';
      if (refusal) return refusal;
      return early[at] ? 'signed' : beforeRetry[at] ? 'late' : 'given back';
    });
    row.outcome = outcomes.length === 1 ? outcomes[0] : [...new Set(outcomes)].map((one) => `${outcomes.filter((other) => other === one).length} ${one}`).join(', ');
    if (Array.isArray(fault.outcomes)) {
      if (fault.outcomes.join() !== outcomes.join()) row.wrong.push(`expected ${fault.outcomes.join(', ')}`);
    } else if (outcomes.some((outcome) => !['signed', 'given back', 'burned'].includes(outcome))) {
      row.wrong.push(`an outcome that is none: ${outcomes.join(', ')}`);
    }
    this.#compare({ row, documents, sad, outcomes, signed });
  }

  /** The first line of the plan that no call since the mark has met. */
  #unmet(plan, mark) {
    const seen = this.hsm.since(mark);
    return plan.find((line) => {
      const [where, calls] = line.split(' ');
      const [name, key] = where.split('@');
      if (name === 'token' || name === '*') return seen.length < 2;
      const of = seen.filter((one) => one.function === name && (key === undefined || one.key === key)).length + seen.filter(({ note }) => note === `hang ${name}`).length;
      return of < (calls === 'every' ? 1 : Number(calls.split('-')[0]));
    });
  }

  /** The three accounts. */
  #compare({ row, documents, sad, outcomes, signed }) {
    const authorisation = sad && JSON.parse(Buffer.from(sad.split('.')[1], 'base64url').toString()).jti;
    const events = this.system.auditEvents('sam').filter(({ fields }) => authorisation && fields.authorisation === authorisation);
    row.entries = events.length;
    const of = (type, position) => events.filter((event) => event.type === type && (position === undefined || event.fields.position === String(position)));
    documents.forEach(({ released, text }, position) => {
      const made = of('signature.made', position).length;
      const burned = of('signature.burned', position).length + of('reservation.burned', position).length;
      const different = new Set(released.map(({ signature }) => signature)).size;
      // One occurrence: at most one signature, and whoever asks again gets that one.
      row.double += Math.max(0, different - 1) + Math.max(0, made + burned - 1);
      // An intent has one outcome, each of its own; what was released was recorded as made.
      for (const { index } of of('signature.intent', position)) {
        const ends = events.filter((event) => event.fields.intent === String(index)).length;
        if (ends + of('reservation.burned', position).length !== 1) row.lost += 1;
      }
      if (different > 0 && made === 0) row.lost += 1;
      if (outcomes[position] === 'burned' && burned !== 1) row.lost += 1;
      if (outcomes[position] === 'burned' && released.length > 0) row.wrong.push(`released and burned: ${text}`);
    });
    const made = of('signature.made').length;
    const burned = of('signature.burned').length + of('reservation.burned').length;
    // What the token really signed was released or burned; a signature that the SAM holds for refused would be made again.
    row.double += Math.max(0, signed - documents.length);
    row.lost += Math.max(0, signed - made - burned) + Math.max(0, made - signed);
    const words = ['audit', 'verify', '--config', this.system.path('config/sam.toml'), '--key', this.system.path('sam/checkpoint.jwk')];
    const verified = run(path.join(binaries, 'intaglio'), words);
    if (verified.status !== 0) row.wrong.push(`the audit log does not verify: ${verified.stdout}${verified.stderr}`);
  }
}
