// SRG_KM.3.2-3: SAM, SSA and PKI share neither token nor PIN, and what the SSA can open holds no signer's key.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import path from 'node:path';
import { signerOf } from '../harness/signer.mjs';
import { repository, run, System } from '../harness/system.mjs';

const services = ['sam', 'ssa', 'pki'];
const noSuchToken = 3;
const loginRefused = 6;

describe('tokens of the services', () => {
  let system, program;
  before(async () => {
    system = await System.start();
    await signerOf(system);
    await system.stopServices();
    program = system.path('take_keys');
    const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
    const built = run('cc', [...headers, '-o', program, path.join(repository, 'tests/data/token/take_keys.c'), '-ldl']);
    assert.equal(built.status, 0, built.stderr);
  });
  after(() => system?.stop());

  const setting = (name, key) => new RegExp(`^${key} = "(.*?)"`, 'm').exec(system.read(`config/${name}.toml`))[1];
  const pin = (name) => system.read(`secrets/${name}.pin`).trim();
  /** Tries to open the token `label` as the process `as` sees tokens, with the PIN of `known`. */
  const open = ({ as, label, known }) =>
    run(program, [setting(as, 'module'), setting(label, 'label'), pin(known)], { environment: { SOFTHSM2_CONF: system.path('tokens', `${as}.conf`) } });

  for (const name of services) {
    it(`opens that of ${name} with its own PIN, and with no other service's`, () => {
      assert.equal(open({ as: name, label: name, known: name }).status, 0);
      for (const other of services.filter((one) => one !== name)) {
        assert.equal(open({ as: name, label: name, known: other }).status, loginRefused, `with the PIN of ${other}`);
      }
    });

    it(`shows ${name} no token but its own`, () => {
      for (const other of services.filter((one) => one !== name)) {
        assert.equal(open({ as: name, label: other, known: other }).status, noSuchToken, other);
      }
    });
  }

  it('holds in that of the SSA its own two keys, and no third', () => {
    const keys = (name) => open({ as: name, label: name, known: name }).stdout.split('\n').filter((line) => line.includes(' read ')).length;
    assert.equal(keys('ssa'), 2);
    assert.ok(keys('sam') > 2, 'the search finds keys where they are');
  });
});
