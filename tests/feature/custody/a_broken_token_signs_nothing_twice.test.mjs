// TC-4, TC-5, TC-10: the token misbehaves below the SAM (tools/virtual-hsm). A few representative faults; `make faults` runs the whole table.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { FaultBench } from '../../faults/bench.mjs';
import { modes } from '../../faults/table.mjs';

const representative = [
  'session lost, CKR_SESSION_CLOSED',
  'login lost',
  'C_SignInit 1 CKR_GENERAL_ERROR',
  'C_Sign fails before its effect, CKR_DEVICE_ERROR',
  'C_Sign signs and reports CKR_DEVICE_ERROR',
  'first bit of the signature flipped',
  'token removed',
  'login lost, and C_FindObjectsInit fails',
  'third of four: signs and reports CKR_DEVICE_ERROR',
  'no checkpoint can be signed while the signer\'s signature is made',
];

const more = {
  resident: [],
  wrapped: ['C_UnwrapKey of the key, CKR_GENERAL_ERROR', 'login lost between keypass and key', 'C_UnwrapKey hangs', 'C_DestroyObject never works', 'approval: the HMAC of the lock fails'],
};

for (const mode of modes) {
  describe(`a broken token, ${mode.name} custody`, () => {
    let bench;
    before(async () => {
      bench = await FaultBench.start({ mode });
    });
    after(() => bench?.stop());

    for (const name of [...representative, ...more[mode.name]]) {
      it(`signs nothing twice and loses no outcome: ${name}`, async () => {
        const fault = mode.faults.find((one) => one.name === name);
        assert.ok(fault, 'the table has no such fault');
        const { double, lost, restarts, wrong } = await bench.run(fault);
        assert.deepEqual({ double, lost, restarts, wrong }, { double: 0, lost: 0, restarts: 0, wrong: [] });
      });
    }
  });
}
