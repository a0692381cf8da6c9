/**
 * The project's own commands, from a fresh clone on: `npm start`, `npm test`, `npm run check`, `npm run format`,
 * `npm run bench`.
 * Prepares what is missing, runs the steps of the command one after the other, and takes them down when it is told to end
 * or when whoever started it is gone.
 */
import { spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { environment, isAlive, prepare, root } from './prepare.mjs';

const MINUTE = 60_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const BIOME = 'node_modules/@biomejs/biome/bin/biome';

/** Each command's steps: arguments for Node, and what to print above each. `limit` is in milliseconds. */
const commands = {
  // The server learns from its closed IPC channel that it shall end, so it ends even when this process is killed.
  start: (args) => ({ dev: false, ipc: true, steps: [['', 'src/cli.ts', 'serve', ...args]] }),
  test: (args) => ({ dev: true, limit: 12 * MINUTE, steps: [['', ...testArguments(args)]] }),
  check: () => ({
    dev: true,
    steps: [
      ['format, lint, layers, circles', BIOME, 'ci', '--error-on-warnings'],
      ['types', 'node_modules/typescript/bin/tsc'],
      ['unused code', 'node_modules/knip/bin/knip.js'],
    ],
  }),
  format: (args) => ({ dev: true, steps: [['', BIOME, 'check', '--write', ...args]] }),
  // The server is measured as installed; PARLANCE_* settings of the environment reach it.
  bench: (args) => ({ dev: false, steps: [['', 'bench/run.ts', ...args]] }),
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

const isFolder = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory() ?? false;

/** Runs one step with Node; resolves with its exit code and whether it was told to end. */
function run(node, args, { ipc = false, limit }) {
  const child = spawn(node, args, {
    cwd: root,
    env: environment(),
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

  const parent = process.ppid;
  const watch = setInterval(() => {
    if (asked === 0 && (process.ppid !== parent || !isAlive(parent))) end();
  }, 500);
  const timer = limit && setTimeout(end, limit);

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

const [name, ...args] = process.argv.slice(2);
const { dev, steps, ...options } = commands[name](args);
const node = await prepare({ dev });
for (const [title, ...step] of steps) {
  if (title) console.log(`— ${title}`);
  const { code, ended } = await run(node, step, options);
  if (code !== 0) process.exitCode = code;
  if (ended) break;
}
