/** Whether the web app is built from what lies in `web/` now: its build leaves a hash of all it was made from. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** The app's own package. */
export const web = join(root, 'web');
/** Where it is built, and served from. */
export const dist = join(web, 'dist');
/** Written last, so that a build that was cut short is none. */
export const STAMP = '.stamp';

/** A hash of everything the build is made from. */
export function webStamp() {
  const hash = createHash('sha256');
  for (const file of [...filesOf(web), join(root, 'scripts', 'build-web.mjs')]) {
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesOf(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== 'node_modules' && name !== 'dist')
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      return entry.isDirectory() ? filesOf(path) : [path];
    });
}

/** True too where there is nothing to build. */
export function webIsBuilt() {
  if (!existsSync(join(web, 'package.json'))) return true;
  try {
    return readFileSync(join(dist, STAMP), 'utf8') === webStamp();
  } catch {
    return false;
  }
}
