// Builds the signer's pages: node web/build.mjs [FOLDER], by default build/web. The same sources and lock file give the same bytes, on any machine and in any folder.
// SHA256SUMS names every file of the bundle; its own SHA-256 is the digest of the bundle, which is what gets published.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const web = path.dirname(fileURLToPath(import.meta.url));
const target = path.resolve(process.argv[2] ?? path.join(web, '../build/web'));
const sha256 = (octets) => createHash('sha256').update(octets).digest('hex');

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const name of readdirSync(path.join(web, 'pages'))) writeFileSync(path.join(target, name), readFileSync(path.join(web, 'pages', name)));
await build({
  absWorkingDir: web, entryPoints: ['src/approve.ts', 'src/sign.ts'], outdir: target, bundle: true, format: 'esm', platform: 'browser', target: ['es2023'],
  // Readers compare the bundle with the sources: it keeps its names and lines.
  preserveSymlinks: true, minify: false, legalComments: 'inline', charset: 'utf8', sourcemap: false, logLevel: 'warning',
});
writeFileSync(path.join(target, 'licences.txt'), `jose, in approve.js and sign.js:\n\n${readFileSync(path.join(web, '../node_modules/jose/LICENSE.md'), 'utf8')}`);
const names = readdirSync(target).sort();
const sums = names.map((name) => `${sha256(readFileSync(path.join(target, name)))}  ${name}\n`).join('');
writeFileSync(path.join(target, 'SHA256SUMS'), sums);
console.log(`signer's pages: ${names.length} files in ${path.relative(process.cwd(), target) || '.'}, digest of the bundle ${sha256(sums)}`);
