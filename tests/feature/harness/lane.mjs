// A signer at work, one signature after the other, as an integrator's application does it: what is answered 503 is asked again, unchanged.
import { setTimeout as pause } from 'node:timers/promises';
import { documentsOf } from './signer.mjs';

const patience = 60000;

/** The answer to a request that is sent again, unchanged, while it is answered 503 or its connection breaks. */
export async function asked(counts, act) {
  const end = Date.now() + patience;
  for (;;) {
    const answer = await act().catch((error) => ({ broken: error }));
    const again = answer.broken || answer.status === 503;
    if (!again || Date.now() > end) {
      if (answer.broken) throw answer.broken;
      return answer;
    }
    counts[answer.broken ? 'broken' : 'unavailable'] += 1;
    await pause(50);
  }
}

export const counted = () => ({ made: 0, approvedAgain: 0, unavailable: 0, broken: 0, other: [], signatures: new Map(), doubled: 0, milliseconds: [] });

/**
 * One approval and one signature of one text. An approval or a signature of which only one of two things is known, that it was begun, is
 * refused with 400 when it is asked again: the signer then approves once more (docs/develop/integrate.md). `clientOf` gives a client for
 * each request, so that each may go to another node.
 */
export async function signOnce(signer, text, counts, clientOf = () => signer.client) {
  const [{ digest, label }] = documentsOf(text);
  const begun = performance.now();
  for (let tried = 0; tried < 5; tried += 1) {
    if (tried > 0) counts.approvedAgain += 1;
    const open = await asked(counts, () => clientOf().post('/sic/v1/transactions', {
      credentialID: signer.credential, hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', documents: [{ hash: digest.toString('base64'), label }],
    }));
    if (open.status !== 200) counts.other.push(`open: ${open.status} ${open.text}`);
    if (open.status !== 200) continue;
    const opened = await signer.take(open.json, 'sign');
    const message = await signer.message(opened, await signer.factors(opened));
    const authorised = await asked(counts, () => clientOf().post('/sic/v1/messages', { message }));
    if (authorised.status !== 200 && authorised.status !== 400) counts.other.push(`approve: ${authorised.status} ${authorised.text}`);
    if (authorised.status !== 200) continue;
    const sad = signer.client.system.secret('a SAD', authorised.json.SAD);
    const sign = () => clientOf().signHash({ credential: signer.credential, sad, digests: [digest], suite: 'ecdsa-sha256' });
    const signed = await asked(counts, sign);
    if (signed.status !== 200 && signed.status !== 400) counts.other.push(`sign: ${signed.status} ${signed.text}`);
    if (signed.status !== 200) continue;
    counts.made += 1;
    counts.milliseconds.push(performance.now() - begun);
    const [signature] = signed.json.signatures;
    // One SAD for one digest: another signature would be of another occurrence, and there is none.
    const earlier = counts.signatures.get(sad);
    if (earlier !== undefined && earlier !== signature) counts.doubled += 1;
    counts.signatures.set(sad, signature);
    return { sad, digest, signature, answer: signed.json, ask: sign };
  }
  throw new Error(`no signature for ${text}: ${counts.other.slice(-3).join('; ')}`);
}
