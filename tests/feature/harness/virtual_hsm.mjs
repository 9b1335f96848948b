// The virtual HSM around the SAM's token: the plan of faults that the running SAM meets, and the journal of its calls (docs/develop/virtual-hsm.md).
import { closeSync, openSync, readSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { binaries } from './system.mjs';

export const library = path.join(binaries, '../lib/libintaglio-virtual-hsm.so');

export class VirtualHsm {
  /** Puts the virtual HSM between the SAM of this instance, which does not run yet, and its token. */
  constructor(system) {
    this.planFile = system.path('virtual-hsm.plan');
    this.journalFile = system.path('virtual-hsm.journal');
    let wrapped;
    system.configure('sam', (text) => text.replace(/^module = "(.*?)"/m, (line, module) => {
      wrapped = module;
      return `module = "${library}"`;
    }));
    if (!wrapped) throw new Error('sam.toml names no module');
    this.environment = { INTAGLIO_VIRTUAL_HSM_MODULE: wrapped, INTAGLIO_VIRTUAL_HSM_PLAN: this.planFile, INTAGLIO_VIRTUAL_HSM_JOURNAL: this.journalFile };
    writeFileSync(this.journalFile, '', { mode: 0o600 });
    this.plan();
  }

  /** From now on these lines hold, and no others. Replaced in one step, as it is read at each call. */
  plan(...lines) {
    writeFileSync(`${this.planFile}.new`, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
    renameSync(`${this.planFile}.new`, this.planFile);
  }

  /** A place in the journal. */
  mark() {
    return statSync(this.journalFile).size;
  }

  /** The calls since a mark: [{function, call, result, effect, key}], and the notes among them as {note}. */
  since(mark) {
    const octets = Buffer.alloc(this.mark() - mark);
    const file = openSync(this.journalFile, 'r');
    try {
      readSync(file, octets, 0, octets.length, mark);
    } finally {
      closeSync(file);
    }
    return octets.toString().split('\n').filter((line) => line !== '').map((line) => {
      if (!/^\d/.test(line)) return { note: line };
      const [, name, call, result, effect, key] = line.split(' ');
      return { function: name, call: Number(call), result, effect, key: key && Buffer.from(key.slice('key='.length), 'hex').toString() };
    });
  }

  /** Signatures that the token really made with this signer's key since a mark, whatever it reported. */
  signaturesOf(credential, mark) {
    return this.since(mark).filter((one) => one.function === 'C_Sign' && one.effect === 'done' && one.key === credential).length;
  }
}
