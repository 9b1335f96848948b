// A token has a finite place for keys: a signer makes so many in a day and has so many at once. The refusal says so and is audited.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { signerOf } from '../harness/signer.mjs';
import { System, withoutLimits } from '../harness/system.mjs';

describe('keys of a signer', () => {
  let system, alice;
  before(async () => {
    const limits = { keys_per_signer: 3, keys_per_day: 2 };
    system = await System.start({ policy: (document) => { withoutLimits(document); for (const profile of document.profiles) Object.assign(profile, limits); } });
    alice = (await signerOf(system)).signer;
  });
  after(() => system?.stop());
  const tooMany = { status: 429, description: 'The signer has, or made today, as many keys as are allowed' };

  it('are bounded by the day and in all, and a destroyed one makes room', async () => {
    await alice.generateKey();
    await assert.rejects(alice.generateKey(), tooMany);
    system.moveClock(24 * 3600);
    await alice.client.signIn();
    await alice.generateKey();
    await assert.rejects(alice.generateKey(), tooMany);
    const refused = system.auditEvents('sam').filter(({ type }) => type === 'authorisation.refused');
    assert.deepEqual(refused.map(({ fields }) => [fields.purpose, fields.reason]), [['key', 'limit_exceeded'], ['key', 'limit_exceeded']]);
    await alice.sign(['the attempts were not failures']);
    assert.equal(await alice.change('destroy'), 'destroyed');
    await alice.generateKey();
  });
});
