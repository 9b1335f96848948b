// The modes of custody, for tests that hold in each of them; and whoever has taken all that lies about: the database, the token's login, these sources.
import { createDecipheriv, hkdfSync, createCipheriv } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fields, number } from './protocol.mjs';
import { repository, run, withoutLimits } from './system.mjs';

const policyOf = (file) => () => {
  const document = JSON.parse(readFileSync(path.join(repository, 'deploy/examples', file), 'utf8'));
  withoutLimits(document);
  return document;
};

/** Each mode with the example policy that offers it, and what it adds to the crash points of a signature and of a new key. */
export const custodyModes = [
  { name: 'resident', profile: 'direct-resident', policy: policyOf('policy.json'), points: [] },
  { name: 'wrapped', profile: 'direct-wrapped', policy: policyOf('direct-wrapped/policy.json'), points: ['sam.wrapped.opened'] },
];

/** The fields of a record of the SAM. */
function fieldsOf(encoded) {
  const found = [];
  for (let at = 0; at < encoded.length;) {
    const length = encoded.readUInt32BE(at);
    found.push(encoded.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return found;
}

export class Thief {
  /** The SAM is not running: SoftHSM's folder has one user at a time. */
  constructor(system) {
    this.system = system;
    this.program = system.path('token_user');
    if (!existsSync(this.program)) {
      const headers = run('pkg-config', ['--cflags', 'p11-kit-1']).stdout.trim().split(/\s+/);
      const built = run('cc', [...headers, '-o', this.program, path.join(repository, 'tests/data/token/token_user.c'), '-ldl', '-largon2']);
      if (built.status !== 0) throw new Error(built.stderr);
    }
    this.dataKeys = new Map();
  }

  /** Gives commands to the token; an answer for each: bytes, or {refused: step}. */
  token(commands) {
    const setting = (name) => new RegExp(`^${name} = "(.*?)"`, 'm').exec(this.system.read('config/sam.toml'))[1];
    const words = [setting('module'), setting('label'), this.system.read('secrets/sam.pin').trim()];
    const input = commands.map((words_) => `${words_.map((word) => (typeof word === 'string' ? word : word.toString('hex') || '-')).join(' ')}\n`).join('');
    const done = run(this.program, words, { input, environment: this.system.command('sam').environment });
    if (done.status !== 0) throw new Error(`token_user ended with ${done.status}: ${done.stderr}`);
    const answers = done.stdout.trim().split('\n').map((line) => (line.startsWith('refused') ? { refused: line.slice(8) } : Buffer.from(line, 'hex')));
    if (answers.length !== commands.length) throw new Error(`${commands.length} commands, ${answers.length} answers`);
    return answers;
  }

  rows(table) {
    const database = this.system.database('sam');
    try {
      const statement = database.prepare(`SELECT * FROM ${table}`);
      statement.setReadBigInts(true);
      return statement.all();
    } finally {
      database.close();
    }
  }

  /** The content of a sealed record: the token opens the data key, these sources say the rest. */
  unseal(table, { id, version, record }) {
    const sealed = Buffer.from(record);
    const keyId = sealed.readBigUInt64BE(0);
    if (!this.dataKeys.has(keyId)) {
      const stored = this.rows('sealed_data_keys').find((key) => key.id === keyId);
      const context = fields('intaglio/data-key/1', number(stored.id), stored.kind, number(stored.created));
      const wrapped = Buffer.from(stored.wrapped);
      const [key] = this.token([['decrypt', 'sealing', wrapped.subarray(0, 12), context, wrapped.subarray(12)]]);
      if (key.refused) throw new Error(`the token does not open a data key: ${key.refused}`);
      this.dataKeys.set(keyId, key);
    }
    const context = fields('intaglio/sealed/1', table, id, number(version));
    const key = Buffer.from(hkdfSync('sha256', this.dataKeys.get(keyId), Buffer.alloc(0), context, 32));
    const opened = createDecipheriv('aes-256-gcm', key, sealed.subarray(8, 20));
    opened.setAAD(context);
    opened.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([opened.update(sealed.subarray(20, -16)), opened.final()]);
  }

  record(table, id) {
    return fieldsOf(this.unseal(table, this.rows(table).find((row) => row.id === id)));
  }

  /** What the database has of a key: record, row and signer, as the SAM sees them. */
  keyOf(credential) {
    const [, id, owner, holder, , algorithm, spki, profile] = this.record('keys', credential);
    const [, , policyVersion, blob, locked] = this.record('wrapped_keys', credential);
    const signer = this.record('signers', owner.toString());
    return { id, owner, holder, algorithm, spki, profile, policyVersion, blob, locked, pinVersion: signer[11], salt: signer[12], verifier: signer[13],
      cost: Buffer.concat([signer[16].subarray(4), signer[17].subarray(4)]) };
  }

  /** PINs or signerpasses after Argon2id. */
  stretchedOf(key, secrets) {
    return this.token(secrets.map((secret) => ['argon2id', Buffer.from(secret), key.salt, key.cost]));
  }

  /** The locks that PINs or signerpasses give, made as the SAM makes them. */
  locksOf(key, secrets) {
    const stretched = this.stretchedOf(key, secrets);
    const macs = this.token(stretched.map((value) => ['hmac', 'pepper-lock', fields('lock/1', key.owner, key.id, key.pinVersion, value)]));
    return macs.map((mac) => Buffer.from(hkdfSync('sha256', mac, Buffer.alloc(0), 'intaglio/lock/1', 32)));
  }

  /** Tries locks; for each the private key, or the step that refused. */
  open(key, locks) {
    const associated = fields('intaglio/wrapped-key/1', key.owner, key.holder, key.id, key.profile, key.algorithm, key.spki, key.policyVersion);
    const [inner] = this.token([['decrypt', 'custody-seal', key.blob.subarray(0, 12), associated, key.blob.subarray(12)]]);
    if (inner.refused) return locks.map(() => inner);
    return this.token(locks.map((lock) => ['open', 'custody-wrap', unlocked(key, lock), inner]));
  }

  /** The same with a wrapped keypass that was come by in another way. */
  openWith(key, keypasses) {
    const associated = fields('intaglio/wrapped-key/1', key.owner, key.holder, key.id, key.profile, key.algorithm, key.spki, key.policyVersion);
    const [inner] = this.token([['decrypt', 'custody-seal', key.blob.subarray(0, 12), associated, key.blob.subarray(12)]]);
    return this.token(keypasses.map((keypass) => ['open', 'custody-wrap', keypass, inner]));
  }
}

/** The wrapped keypass that a lock gives: 40 bytes for any lock. */
export function unlocked(key, lock) {
  const info = fields('intaglio/wrapped-custody/lock/1', key.owner, key.id);
  const keys = Buffer.from(hkdfSync('sha256', lock, key.locked.subarray(0, 32), info, 48));
  const cipher = createCipheriv('aes-256-ctr', keys.subarray(0, 32), keys.subarray(32));
  return Buffer.concat([cipher.update(key.locked.subarray(32)), cipher.final()]);
}
