/** The Chromium that tests the web app: one that is there, else Debian's. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome.exe'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
];
const BY_HAND =
  'Install Chromium (as root: apt-get install --no-install-recommends chromium), or name one that is there: PARLANCE_CHROMIUM=/path/to/chrome.';

/** Its path: the one that is named, or one in the usual places. Null where there is none. */
function findChromium() {
  const named = process.env.PARLANCE_CHROMIUM || process.env.CHROME_PATH;
  if (named) return named;
  const inPath = (process.env.PATH ?? '').split(delimiter).flatMap((folder) => NAMES.map((name) => join(folder, name)));
  return [...inPath, ...PLACES].find((path) => existsSync(path)) ?? null;
}

/** Installs Debian's where there is none and it may; says so. Null, with a sentence that says what to do, where it cannot. */
export function prepareChromium() {
  const found = findChromium();
  if (found !== null) return found;
  if (process.getuid?.() !== 0 || !has('apt-get')) {
    console.error(`There is no Chromium for the browser tests: they are skipped. ${BY_HAND}`);
    return null;
  }
  console.error('Installing Chromium for the browser tests (once)…');
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = { env, stdio: ['ignore', 'ignore', 'inherit'], timeout: 5 * 60_000 };
  spawnSync('apt-get', ['update', '-qq'], options);
  spawnSync('apt-get', ['install', '-y', '-qq', '--no-install-recommends', 'chromium'], options);
  const installed = findChromium();
  if (installed === null) console.error(`Chromium could not be installed: the browser tests are skipped. ${BY_HAND}`);
  return installed;
}

const has = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;
