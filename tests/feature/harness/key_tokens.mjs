// Tokens of other modules than SoftHSM for signers' keys: each started by a script of tests/tokens, in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { repository } from './system.mjs';

const libraries = '/usr/lib/x86_64-linux-gnu';
const kinds = {
  opencryptoki: { module: `${libraries}/pkcs11/libopencryptoki.so`, label: 'unit' },
  'tpm2-pkcs11': { module: `${libraries}/pkcs11/libtpm2_pkcs11.so`, label: 'unit' },
  nss: { module: `${libraries}/libsoftokn3.so`, label: 'NSS Certificate DB' },
};

export class KeyToken {
  /** Starts one; it lives until `stop`, or until this process ends, however that happens: what holds it reads from a pipe of ours. */
  static async start(kind) {
    const token = new KeyToken(kind, mkdtempSync(path.join(tmpdir(), 'intaglio-key-token-')));
    const script = path.join(repository, 'tests/tokens', kind);
    // The shell says its number and its variables, and waits for the end of its input.
    token.holder = spawn(script, [token.folder, 'bash', '-c', 'echo $$; env -0; printf "\\0end\\0"; exec cat'], { stdio: ['pipe', 'pipe', 'pipe'] });
    token.ended = new Promise((resolve) => { token.holder.on('close', resolve); });
    let said = '';
    let complaint = '';
    token.holder.stderr.on('data', (text) => { complaint += text; });
    await new Promise((resolve, reject) => {
      token.holder.stdout.on('data', (text) => {
        said += text;
        if (said.endsWith('\0end\0')) resolve();
      });
      token.ended.then(() => reject(new Error(`tests/tokens/${kind} ended before its token was there:\n${complaint}`)));
    });
    token.pid = Number(said.slice(0, said.indexOf('\n')));
    const variables = said.slice(said.indexOf('\n') + 1).split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
    token.environment = Object.fromEntries(variables.filter(([name]) => /^(TPM2|TSS2|DBUS)/.test(name)));
    return token;
  }

  constructor(kind, folder) {
    Object.assign(this, { kind, folder, ...kinds[kind] });
  }

  /** A table of sam.toml, [key_token] or [token], that names this token. */
  table(name = 'key_token') {
    const nss = this.kind === 'nss' ? `nss_parameters = "configdir='sql:${this.folder}/db'"\n` : '';
    return `[${name}]\nmodule = "${this.module}"\nlabel = "${this.label}"\npin_file = "${this.folder}/pin"\nsessions = 4\n`
      + `profile = "${path.join(repository, 'deploy/hsm-profiles', `${this.kind}.json`)}"\n${nss}`;
  }

  /** Lets the SAM of this instance, which does not run yet, keep signers' keys here. */
  serve(system) {
    system.configure('sam', (text) => `${text}\n${this.table()}`);
    system.around.sam = this.around();
  }

  /** What stands before a command that uses the token: openCryptoki's places are laid over in a namespace of the script's. */
  around() {
    const enter = process.getuid() === 0 ? [] : ['--user', '--preserve-credentials'];
    const words = this.kind === 'opencryptoki' ? ['nsenter', ...enter, '--mount', '--ipc', '--target', String(this.pid), '--'] : [];
    return { words, environment: this.environment };
  }

  async stop() {
    this.holder.stdin.end();
    await this.ended;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
