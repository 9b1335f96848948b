// The SAM's interface is the operations of its protection profile (EN 419 241-2) and nothing else: whoever adds a call says here what for.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Sam } from '../harness/sam.mjs';
import { repository, System } from '../harness/system.mjs';

const operations = {
  'signer creation': ['create_signer', 'open_enrolment', 'enrol_factors'],
  'signer maintenance': ['open_factor_change', 'change_factors', 'reset_factors'],
  'key pair generation': ['open_key_generation', 'generate_key', 'bind_certificate'],
  'end of an authorisation': ['end_grant'],
  'key pair deletion and suspension': ['open_key_change', 'change_key', 'suspend_key', 'suspend_by_operator', 'resume_key'],
  'supply of what is to be signed': ['open_signing', 'open_grant'],
  signing: ['authorise', 'extend', 'sign'],
  'a session with a one-time key: identification, key pair, signing, deletion': ['open_one_time', 'one_time_identify', 'one_time_sign', 'report_orphan'],
  'SAM maintenance': ['put_revocation_data'],
  'signer authentication, of a device that asks what waits for its signer': ['recognise_device'],
  'reading, which changes nothing': ['list_credentials', 'credential', 'receipt', 'status', 'public_keys'],
};
const managed = {
  'privileged user creation': ['add-user'],
  'privileged user maintenance': ['change-roles', 'suspend-user', 'resume-user'],
  'SAM maintenance': ['install-policy'],
  'backup and restore, which the listener refuses: it is done offline': ['restore'],
  'reading, which changes nothing': ['show-status', 'show-users', 'show-policy', 'show-proposals', 'show-proposal', 'read-audit'],
};
const sorted = (table) => Object.values(table).flat().sort();

describe('the interface of the SAM', () => {
  let system;
  before(async () => {
    system = await System.start({ start: ['sam'] });
  });
  after(() => system?.stop());

  const proto = readFileSync(path.join(repository, 'src/protocol/wire/intaglio_sam.proto'), 'utf8');
  const calls = [...proto.match(/message Request \{\s*oneof call \{([\s\S]*?)\n {2}\}/)[1].matchAll(/^\s*\w+ (\w+) = (\d+);/gm)]
    .map(([, name, number]) => ({ name, number: Number(number) }));

  it('has a call on the wire for each operation of the profile, and no other', () => {
    assert.deepEqual(calls.map(({ name }) => name).sort(), sorted(operations));
  });

  it('has an operation on the management listener for each of the profile, and no other', () => {
    const matrix = readFileSync(path.join(repository, 'tests/data/roles/matrix.txt'), 'utf8');
    assert.deepEqual(matrix.trim().split('\n').map((line) => line.split(':')[0]).sort(), sorted(managed));
  });

  it('answers no number that is not in the list', async () => {
    const last = Math.max(...calls.map(({ number }) => number));
    assert.equal(last, calls.length, 'the numbers have no gap');
    for (const number of [last + 1, last + 2, 100, 1000]) {
      const sam = await Sam.connect(system);
      try {
        await assert.rejects(sam.call(number, []), (error) => error.refusal === 'invalid_request' || /closed the connection/.test(error.message), `call ${number}`);
      } finally {
        sam.close();
      }
    }
    const sam = await Sam.connect(system);
    try {
      assert.equal((await sam.status()).state, 'serving');
    } finally {
      sam.close();
    }
  });
});
