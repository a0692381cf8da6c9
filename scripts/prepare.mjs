/**
 * What lies between a fresh clone and one that runs: a Node that is new enough, the packages of the lockfile, and the
 * built web app.
 * Runs on Node >= 20 with no package installed, and speaks on stderr only.
 */
import { spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { web, webIsBuilt } from './web-stamp.mjs';

const OLDEST_NODE = 24;
export const root = fileURLToPath(new URL('..', import.meta.url));
/** Ignored by git: the fetched Node, its compile cache, the lock of a running installation. */
const home = join(root, '.parlance');

/**
 * Makes the clone ready and returns the path of the Node to run it with.
 * `dev` also wants the packages that only tests and checks need; once there, they are kept. `web` wants the web app:
 * its `packages`, or these and the app `built`.
 * Ends the process with a sentence that says what to do when something cannot be had; but the web app: without it there is
 * still the API, and `webIsBuilt` tells.
 */
export async function prepare({ dev, web: wanted }) {
  if (!ready(dev) || !webIsReady(wanted)) {
    const release = await installationLock();
    try {
      if (!nodeIsThere()) await fetchNode();
      if (!packagesAreThere(root, dev)) await installPackages(dev);
      if (!webIsReady(wanted)) await prepareWeb(wanted);
    } finally {
      release();
    }
  }
  return node();
}

/** The environment for everything that is run with that Node. */
export function environment() {
  return {
    ...process.env,
    PATH: dirname(node()) + delimiter + process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(home, 'cache'),
    PARLANCE_CHROMIUM: undefined, // ours, and no setting of the server's
  };
}

const ready = (dev) => nodeIsThere() && packagesAreThere(root, dev);
const webIsReady = (wanted) => {
  if (wanted === 'packages') return !existsSync(join(web, 'package.json')) || packagesAreThere(web, true);
  return wanted !== 'built' || webIsBuilt();
};
const say = (line) => process.stderr.write(`${line}\n`);
const readJson = (...path) => JSON.parse(readFileSync(join(...path), 'utf8'));

function fail(...lines) {
  say(lines.join('\n'));
  process.exit(1);
}

// ---- Node

const isNewEnough = () => Number(process.versions.node.split('.')[0]) >= OLDEST_NODE;
const binary = (folder) => join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
const node = () => (isNewEnough() ? process.execPath : binary(join(home, 'node')));

/** The pinned package that holds Node for this machine: its name, version and hash are in scripts/node/package-lock.json. */
function nodePackage() {
  const entry = Object.entries(readJson(root, 'scripts/node/package-lock.json').packages).find(
    ([, { os, cpu }]) => os === process.platform && cpu === process.arch,
  );
  return entry && { path: entry[0], version: entry[1].version };
}

function nodeIsThere() {
  if (isNewEnough()) return true;
  const folder = join(home, 'node');
  return existsSync(binary(folder)) && readJson(folder, 'package.json').version === nodePackage()?.version;
}

/** Fetched beside its place and moved there whole, so that an interrupted fetch is simply done again. */
async function fetchNode() {
  const wanted = nodePackage();
  const byHand = `Install Node.js ${OLDEST_NODE} or newer from https://nodejs.org, then run the same command again.`;
  if (!wanted) fail(`There is no ready-made Node for ${process.platform} on ${process.arch}.`, byHand);
  say(`Fetching Node ${wanted.version} (once; Parlance needs Node ${OLDEST_NODE}, this is ${process.version})…`);
  const fetching = join(home, 'fetching');
  rmSync(fetching, { recursive: true, force: true });
  cpSync(join(root, 'scripts/node'), fetching, { recursive: true });
  const fetched = join(fetching, wanted.path);
  // Under npm a package for one platform is optional, and an optional one that cannot be fetched is no error: look for it.
  if ((await npmCi(process.execPath, fetching)) !== 0 || !existsSync(binary(fetched))) {
    fail(`Could not fetch Node ${wanted.version} from the npm registry.`, ...NETWORK_HELP, `Or: ${byHand}`);
  }
  if ((await run(binary(fetched), ['--version'], { stdio: 'ignore' })) !== 0) {
    fail('The Node from the npm registry does not run on this system (it needs glibc on Linux).', byHand);
  }
  rmSync(join(fetched, 'include'), { recursive: true, force: true });
  rmSync(join(home, 'node'), { recursive: true, force: true });
  renameSync(fetched, join(home, 'node'));
  rmSync(fetching, { recursive: true, force: true });
}

// ---- packages

/** npm's own record of what is in a node_modules; it writes it last. */
const installedRecord = (folder) => join(folder, 'node_modules', '.package-lock.json');

/** Whether a folder's node_modules holds what its lockfile names, in the same versions, and nothing else. */
function packagesAreThere(folder, dev) {
  if (!existsSync(installedRecord(folder))) return false;
  const { '': _project, ...wanted } = readJson(folder, 'package-lock.json').packages;
  const installed = readJson(installedRecord(folder)).packages;
  const isNeeded = (p) => !p.optional && !p.devOptional && (dev || !p.dev);
  return (
    Object.entries(wanted).every(
      ([path, p]) => installed[path]?.integrity === p.integrity || !(isNeeded(p) || installed[path]),
    ) && Object.keys(installed).every((path) => path in wanted)
  );
}

const devPackagesAreThere = () =>
  existsSync(installedRecord(root)) && Object.values(readJson(installedRecord(root)).packages).some((p) => p.dev);

async function installPackages(dev) {
  const withDev = dev || devPackagesAreThere();
  say(`Installing packages${withDev ? '' : ' for production'} (once)…`);
  rmSync(installedRecord(root), { force: true }); // an installation that is cut short must not look whole
  if ((await npmCi(node(), root, withDev ? '--include=dev' : '--omit=dev')) !== 0) {
    fail('Could not install the packages of package-lock.json.', ...NETWORK_HELP);
  }
}

// ---- the web app

/** Its packages are its own: what builds it is not what serves it. */
async function prepareWeb(wanted) {
  if (!packagesAreThere(web, true)) {
    say('Installing what builds the web app (once)…');
    rmSync(installedRecord(web), { force: true });
    if ((await npmCi(node(), web, '--include=dev')) !== 0) return say(`${NO_WEB}\n${NETWORK_HELP.join('\n')}`);
  }
  if (wanted !== 'built') return;
  say('Building the web app (once)…');
  const options = { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] };
  if ((await run(node(), ['scripts/build-web.mjs'], options)) !== 0) say(NO_WEB);
}

const NO_WEB = 'The web app could not be built. The API works without it; `npm run build` tries again.';

// ---- npm

const NETWORK_HELP = [
  'Is the npm registry reachable from here? `npm ping` tells. Behind a proxy, set HTTPS_PROXY; for a registry of your own,',
  'set npm_config_registry. Then run the same command again: it goes on where it stopped.',
];

/** `npm ci` in a folder, under the given Node, with no install scripts; resolves with its exit code. npm's errors are shown. */
function npmCi(nodePath, folder, ...flags) {
  const quiet = [
    '--loglevel=error',
    '--no-progress',
    '--no-update-notifier',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
  ];
  const patience = ['--fetch-retries=3', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=8000'];
  const env = {
    // npm looks for the machine's settings (registry, certificates) beside the Node that runs it: let it be the machine's own.
    PREFIX: dirname(process.platform === 'win32' ? process.execPath : dirname(process.execPath)),
    ...process.env,
    PATH: dirname(nodePath) + delimiter + process.env.PATH,
  };
  const args = [npmCli(), 'ci', ...quiet, ...patience, ...flags];
  return run(nodePath, args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'], env });
}

/** npm's script: of the npm that started us, of the one in PATH, or of the one that came with the running Node. */
function npmCli() {
  const beside = dirname(process.execPath);
  const modules = [join(beside, 'node_modules'), join(beside, '..', 'lib', 'node_modules')];
  const inPath = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'npm'));
  const candidates = [
    process.env.npm_execpath,
    ...inPath.filter((file) => existsSync(file)).map((file) => realpathSync(file)),
    ...(process.env.PATH ?? '')
      .split(delimiter)
      .map((folder) => join(folder, 'node_modules', 'npm', 'bin', 'npm-cli.js')),
    ...modules.map((folder) => join(folder, 'npm', 'bin', 'npm-cli.js')),
  ];
  const found = candidates.find((file) => file?.endsWith('npm-cli.js') && existsSync(file));
  return (
    found ??
    fail(
      'npm was not found. It comes with Node.js: install it from https://nodejs.org, then run the same command again.',
    )
  );
}

/** Runs a program and resolves with its exit code; ends it when we are told to end. */
function run(program, args, options) {
  const child = spawn(program, args, options);
  if (child.pid) appendFileSync(lockFile, ` ${child.pid}`); // npm survives a killed launcher, and goes on writing
  const end = () => {
    child.kill();
    process.exit(1);
  };
  process.on('SIGINT', end).on('SIGTERM', end);
  return new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  }).finally(() => process.off('SIGINT', end).off('SIGTERM', end));
}

// ---- two commands at once on a fresh clone

/** Names the processes that install: the launcher and the programs it runs. Void when all of them are dead. */
const lockFile = join(home, 'installing');

/** Waits until no other process installs, then holds the lock; resolves with its release. */
async function installationLock() {
  mkdirSync(home, { recursive: true });
  for (let told = false; !takeLock(); told = true) {
    if (!told) say(`Waiting for another command that is installing (if there is none, delete ${lockFile})…`);
    await sleep(250);
    if (!holderIsAlive()) rmSync(lockFile, { force: true });
  }
  const release = () => rmSync(lockFile, { force: true });
  process.on('exit', release); // also when it ends with a sentence or by a signal
  return () => {
    process.off('exit', release); // from now on the lock may be another's
    release();
  };
}

function takeLock() {
  try {
    writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') fail(`Cannot write in ${home} (${error.code}). Is the folder yours?`);
    return false;
  }
}

function holderIsAlive() {
  try {
    const pids = readFileSync(lockFile, 'utf8').split(' ').filter(Boolean).map(Number);
    return pids.length === 0 || pids.some(isAlive); // without one it is just being written
  } catch {
    return false; // released meanwhile
  }
}

/** Whether a process of that id exists (it may be another user's) and is not merely waiting to be reaped. */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch (error) {
    return error.code !== 'ESRCH'; // no such process; else no right to signal it, or no /proc
  }
}
