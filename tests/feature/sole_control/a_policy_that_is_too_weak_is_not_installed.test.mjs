// SRA_SAP.1.1: a policy that lets one factor suffice, outlive its use or be guessed cheaply is refused before anything is made of it.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { run, System } from '../harness/system.mjs';

describe('a policy that is too weak', () => {
  let system, good;
  before(async () => {
    system = await System.start({ start: [] });
    good = JSON.parse(readFileSync(system.path('config/policy.json'), 'utf8'));
  });
  after(() => system?.stop());

  /** What --initialise says of a changed document. */
  const install = (change) => {
    const document = structuredClone(good);
    change(document, document.profiles[0]);
    const file = system.path('weak.json');
    writeFileSync(file, JSON.stringify(document));
    const { program, words, environment } = system.command('sam', '--initialise', '--policy', file, '--public-keys', system.path('keys.json'));
    return run(program, words, { environment });
  };
  const refuses = (change, reason) => {
    const result = install(change);
    assert.equal(result.status, 1, result.stdout);
    assert.match(result.stderr, reason);
  };

  it('is the only reason: the document itself is read to its end', () => {
    refuses(() => {}, /initialised already/);
  });

  const factors = [['pin'], ['totp'], [], ['pin', 'pin'], ['totp', 'totp'], ['pin', 'password']];
  for (const list of factors) {
    it(`is refused with the factors ${JSON.stringify(list)}, which are not two of different categories`, () => {
      refuses((document, profile) => { profile.factors = list; }, /factors/);
    });
  }

  it('is refused when it calls a profile qualified whose keys have no authorisation of their own', () => {
    refuses((document, profile) => { profile.qualified = true; }, /a qualified profile needs per-key authorisation in the token/);
  });

  it('is refused when it is no demonstration and nobody vouches for the clock', () => {
    refuses((document) => { document.demo = false; }, /clock = "declared" is for demonstrations/);
  });

  it('is refused when an approval, a ticket or a list may be larger than the bounds', () => {
    const beyond = { sad_seconds: 3601, ticket_seconds: 301, max_documents: 4097 };
    for (const [name, value] of Object.entries(beyond)) refuses((document, profile) => { profile[name] = value; }, new RegExp(name));
  });

  it('is refused when Argon2id costs less than 19 MiB and two passes', () => {
    const least = { memory_kib: 19 * 1024, passes: 2 };
    refuses((document) => { document.argon2 = least; }, /initialised already/);
    for (const name of Object.keys(least)) refuses((document) => { document.argon2 = { ...least, [name]: least[name] - 1 }; }, new RegExp(name));
  });
});
