/**
 * Builds the web app: Vite, then every file that gains by it compressed once and for all, then all of it moved into its
 * place at once, so that a running server never serves half of it. Wants the packages of `web/`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { dist, STAMP, web, webStamp } from './web-stamp.mjs';

/** Fonts and pictures are compressed already. */
const COMPRESSED = new Set(['.css', '.html', '.js', '.json', '.svg', '.txt', '.wasm', '.webmanifest']);
/** Below, a header more costs as much as it saves. */
const SMALL = 1024;
const MINUTES = 5;

const home = fileURLToPath(new URL('../.parlance/', import.meta.url));
const building = join(home, 'web');
const old = join(home, 'web-old');

const stamp = webStamp();
mkdirSync(home, { recursive: true });
const vite = [join(web, 'node_modules/vite/bin/vite.js'), 'build', '--outDir', building, '--emptyOutDir'];
const { status } = spawnSync(process.execPath, [...vite, '--logLevel=warn'], {
  cwd: web,
  stdio: ['ignore', 2, 2],
  timeout: MINUTES * 60_000,
});
if (status !== 0) process.exit(status ?? 1);

const files = readdirSync(building, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
await Promise.all(files.map(({ parentPath, name }) => compress(join(parentPath, name))));
writeFileSync(join(building, STAMP), stamp);

rmSync(old, { recursive: true, force: true });
try {
  renameSync(dist, old);
} catch (error) {
  if (error.code !== 'ENOENT') throw error;
}
renameSync(building, dist);
rmSync(old, { recursive: true, force: true });

async function compress(path) {
  const bytes = readFileSync(path);
  if (!COMPRESSED.has(extname(path)) || bytes.length < SMALL) return;
  const params = { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
  writeFileSync(`${path}.br`, await promisify(brotliCompress)(bytes, { params }));
  writeFileSync(`${path}.gz`, await promisify(gzip)(bytes, { level: 9 }));
}
