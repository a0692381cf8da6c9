/**
 * The project's own commands, from a fresh clone on: `npm start`, `npm test`, `npm run build`, `npm run check`,
 * `npm run format`, `npm run bench`, `npm run torture`, `npm run prove`.
 * Prepares what is missing, runs the steps of the command one after the other, and takes them down when it is told to end
 * or when whoever started it is gone.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { prepareChromium } from './chromium.mjs';
import { environment, isAlive, prepare, root } from './prepare.mjs';
import { webIsBuilt } from './web-stamp.mjs';

const MINUTE = 60_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const COLORS = process.stdout.isTTY ? [] : ['--colors=off']; // Biome colours pipes, too
const BROWSER_TESTS = 'test/browser';
const WEB_TESTS = 'test/web';
const TSC = 'node_modules/typescript/bin/tsc';
const BIOME = 'node_modules/@biomejs/biome/bin/biome';

/** Each command's steps: arguments for Node, and what to print above each. `web`: see `prepare`. `limit` is in milliseconds. */
const commands = {
  // The server learns from its closed IPC channel that it shall end, so it ends even when this process is killed.
  start: (args) => ({ dev: false, web: 'built', ipc: true, steps: [['', 'src/cli.ts', 'serve', ...args]] }),
  test: (args) => ({
    dev: true,
    ...(names(args, WEB_TESTS) && { web: 'packages' }),
    ...(names(args, BROWSER_TESTS) && { web: 'built', browser: true }),
    limit: 12 * MINUTE,
    steps: [['', ...testArguments(args)]],
  }),
  build: () => ({ dev: false, web: 'built', steps: [] }),
  check: () => ({
    dev: true,
    web: 'packages',
    steps: [
      ['format, lint, layers, circles', BIOME, 'ci', '--error-on-warnings', ...COLORS],
      ['types', TSC],
      ['types in the browser', TSC, '--project', BROWSER_TESTS],
      ...(existsSync(join(root, 'web/tsconfig.json')) ? [['types of the web app', TSC, '--project', 'web']] : []),
      ['unused code', 'node_modules/knip/bin/knip.js'],
    ],
  }),
  format: (args) => ({ dev: true, steps: [['', BIOME, 'check', '--write', ...args]] }),
  // The server is measured as installed; PARLANCE_* settings of the environment reach it.
  bench: (args) =>
    args[0] === 'web'
      ? { dev: true, web: 'built', browser: true, steps: [['', 'bench/web.ts']] }
      : { dev: false, steps: [['', 'bench/run.ts', ...args]] },
  screenshots: () => ({ dev: true, web: 'built', browser: true, steps: [['', 'test/browser/screenshots.ts']] }),
  // Faults, on servers and data of their own.
  torture: (args) => ({ dev: false, steps: [['', 'torture/run.ts', ...args]] }),
  prove: (args) => ({ dev: false, steps: [['', 'torture/prove.ts', ...args]] }),
};

/** Flags go to `node --test` as they are, a folder stands for the tests in it. */
function testArguments(args) {
  const flags = args.filter((arg) => arg.startsWith('-'));
  const files = args.filter((arg) => !arg.startsWith('-')).map((arg) => (isFolder(arg) ? `${arg}/**/*.test.ts` : arg));
  return [
    '--test',
    `--test-concurrency=${Math.max(2, availableParallelism())}`,
    `--test-timeout=${2 * MINUTE}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/no-tests.mjs',
    '--test-reporter-destination=stdout',
    ...flags,
    ...(files.length > 0 ? files : ['test/**/*.test.ts']),
  ];
}

/** Whether tests in this folder are among those named. */
function names(args, folder) {
  const named = args.filter((arg) => !arg.startsWith('-')).map((arg) => arg.replace(/^\.\/|\/$/g, ''));
  return named.length === 0 || named.some((path) => path.startsWith(folder) || folder.startsWith(path));
}

const isFolder = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() ?? false;

/**
 * The processes whose end is ours: the parent, and npm when its shell stands between (a shell neither passes a signal on
 * nor ends when npm is killed). Windows keeps no such line of descent: there it is the parent alone.
 */
function starters() {
  const parent = process.ppid;
  if (!process.env.npm_lifecycle_event || process.platform === 'win32') return [parent];
  try {
    const line =
      process.platform === 'linux'
        ? readFileSync(`/proc/${parent}/stat`, 'utf8').replace(/^\d+ \((.*)\) \S (\d+).*/s, '$2 $1')
        : execFileSync('ps', ['-o', 'ppid=,comm=', '-p', String(parent)], { encoding: 'utf8' });
    const [, npm, shell] = line.trim().match(/^(\d+) (?:.*\/)?(\w*sh)$/) ?? [];
    return shell ? [parent, Number(npm)] : [parent];
  } catch {
    return [parent];
  }
}

/** Runs one step with Node; resolves with its exit code and whether it was told to end. */
function run(node, args, { ipc = false, limit, env }) {
  const child = spawn(node, args, {
    cwd: root,
    env: { ...environment(), ...env },
    stdio: ipc ? ['inherit', 'inherit', 'inherit', 'ipc'] : 'inherit',
  });
  let asked = 0;
  const end = () => {
    // Through npm a Ctrl-C comes twice: what comes within a second is one request, a later one is impatience.
    if (asked !== 0) return Date.now() - asked > 1000 && child.kill('SIGKILL');
    asked = Date.now();
    return child.connected ? child.disconnect() : child.kill('SIGTERM');
  };
  for (const signal of SIGNALS) process.on(signal, end);

  const watch = setInterval(() => {
    if (asked === 0 && (process.ppid !== startedBy[0] || !startedBy.every(isAlive))) end();
  }, 250);
  const outOfTime = () => {
    console.error(
      `Not done after ${limit / MINUTE} minutes: ending it. A test file that never ends leaves something open.`,
    );
    end();
  };
  const timer = limit && setTimeout(outOfTime, limit);

  return new Promise((resolve) => {
    child.on('error', () => resolve({ code: 1, ended: false }));
    child.on('exit', (code) => {
      clearInterval(watch);
      clearTimeout(timer);
      for (const signal of SIGNALS) process.off(signal, end);
      resolve({ code: code ?? 1, ended: asked !== 0 });
    });
  });
}

const startedBy = starters();
const [name, ...args] = process.argv.slice(2);
const { dev, web, browser, steps, ...options } = commands[name](args);
const node = await prepare({ dev, web });
if (name === 'build' && !webIsBuilt()) process.exitCode = 1;
// Tests that need a browser and find none say so, and are skipped.
if (browser) options.env = { CHROME_PATH: prepareChromium() ?? undefined };
for (const [title, ...step] of steps) {
  if (title) console.log(`— ${title}`);
  const { code, ended } = await run(node, step, options);
  if (code !== 0) process.exitCode = code;
  if (ended) break;
}
