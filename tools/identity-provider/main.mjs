// The identity provider as commands, for tools/demo:
//   node main.mjs policy FOLDER POLICY.json    the policy document with this provider in it; its key is kept in FOLDER
//   node main.mjs serve FOLDER                 serves until it is stopped; FOLDER/port says where
//   node main.mjs token FOLDER PERSON NONCE    PERSON signs in: prints the ID token
//   node main.mjs identity FOLDER PERSON NONCE the same, with what the provider knows of the person in it
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { IdentityProvider, newSigningKey, policyOf, signIn } from './provider.mjs';

const [command, folder, ...rest] = process.argv.slice(2);

async function keptKey() {
  const file = path.join(folder, 'key.jwk');
  if (!existsSync(file)) writeFileSync(file, JSON.stringify(await newSigningKey()), { mode: 0o600, flag: 'wx' });
  return JSON.parse(readFileSync(file, 'utf8'));
}

const commands = {
  async policy(file) {
    const document = JSON.parse(readFileSync(file, 'utf8'));
    document.identity_providers = [policyOf(await keptKey())];
    process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
  },
  async serve() {
    const provider = await IdentityProvider.start({ key: await keptKey() });
    // In one step: whoever waits for the file reads the whole number.
    writeFileSync(path.join(folder, 'port.new'), String(provider.port));
    renameSync(path.join(folder, 'port.new'), path.join(folder, 'port'));
    for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => provider.stop());
  },
  async token(person, nonce, scope) {
    process.stdout.write(`${await signIn(Number(readFileSync(path.join(folder, 'port'), 'utf8')), person, nonce, scope)}\n`);
  },
  async identity(person, nonce) {
    await commands.token(person, nonce, 'openid identity');
  },
};

if (!folder || !Object.hasOwn(commands, command)) {
  process.stderr.write('usage: main.mjs policy|serve|token|identity FOLDER …\n');
  process.exit(2);
}
await commands[command](...rest);
