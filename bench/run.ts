/**
 * `npm run bench -- [scenario …] [--rounds N] …`: runs the scenarios and prints their results as Markdown.
 * The measured server has one core to itself; the model, the load generator and this process have the other.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Bench, Sizes } from './bench.ts';
import type { Job } from './load.ts';
import { spawnPinned, startServer, stop } from './processes.ts';
import { scenarios } from './scenarios.ts';

const SIZES = {
  rounds: 'rounds',
  streams: 'streams',
  lanes: 'lanes',
  tokens: 'tokens',
  write: 'perWrite',
  rate: 'rate',
  seconds: 'seconds',
  writers: 'writers',
  messages: 'messages',
  conversations: 'conversations',
} as const satisfies Record<string, keyof Sizes>;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...Object.fromEntries(Object.keys(SIZES).map((name) => [name, { type: 'string' as const }])),
    only: { type: 'string' },
    cores: { type: 'string', default: availableParallelism() > 1 ? '0,1' : '0,0' },
    folder: { type: 'string', default: tmpdir() },
    profile: { type: 'string' },
  },
});

function sizes(): Sizes {
  const given: Sizes = {};
  for (const [option, size] of Object.entries(SIZES)) {
    const value = (values as Record<string, string | undefined>)[option];
    if (value === undefined) continue;
    if (!(Number(value) > 0)) throw new Error(`--${option} wants a number above 0, not "${value}".`);
    given[size] = Number(value);
  }
  return given;
}

function chosenScenarios(): string[] {
  const unknown = positionals.filter((name) => !(name in scenarios));
  if (unknown.length > 0)
    throw new Error(`No scenario "${unknown[0]}". There are: ${Object.keys(scenarios).join(', ')}.`);
  return positionals.length > 0 ? positionals : Object.keys(scenarios);
}

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** Starts the load generator; its jobs are given one after another. */
function startLoad(core: number) {
  const child = spawnPinned({ args: [here('load.ts')], env: {}, core, channel: true });
  const load = <Result>(job: Job) =>
    new Promise<Result>((done, fail) => {
      const gone = () => fail(new Error('The load generator has ended.'));
      child.once('exit', gone);
      child.once('message', (reply: { result: Result } | { error: string }) => {
        child.off('exit', gone);
        if ('error' in reply) fail(new Error(reply.error));
        else done(reply.result);
      });
      child.send(job);
    });
  return { child, load };
}

/** What an fsync and a SQLite commit cost on the disk that holds the data: median of 200, in ms. */
function diskCosts(folder: string): { fdatasync: number; commit: number } {
  const file = openSync(join(folder, 'probe'), 'w');
  const page = Buffer.alloc(4096, 1);
  const fdatasync = medianMs(() => {
    writeSync(file, page);
    fdatasyncSync(file);
  });
  closeSync(file);
  const database = new DatabaseSync(join(folder, 'probe.db'));
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT)');
  const insert = database.prepare('INSERT INTO t (text) VALUES (?)');
  const commit = medianMs(() => {
    insert.run('a message of some length');
  });
  database.close();
  return { fdatasync, commit };
}

function medianMs(work: () => void): number {
  const times = Array.from({ length: 200 }, () => {
    const began = performance.now();
    work();
    return performance.now() - began;
  });
  return times.sort((a, b) => a - b)[100] ?? Number.NaN;
}

function commitId(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], { cwd: here('.'), encoding: 'utf8' }).trim();
  } catch {
    return 'no git';
  }
}

function version(name: string): string {
  const { version: found } = JSON.parse(readFileSync(here(`../node_modules/${name}/package.json`), 'utf8'));
  return `${name} ${found}`;
}

function header(folder: string, cores: Bench['cores']): string {
  const { fdatasync, commit } = diskCosts(folder);
  return [
    `# Bench, ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    '',
    `- Parlance ${commitId()}; node ${process.versions.node}, SQLite ${process.versions.sqlite}, ${version('fastify')}, ${version('undici')}`,
    `- ${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${process.platform} ${release()}; server on core ${cores.server}, model and load on core ${cores.load}`,
    `- one fdatasync of 4 KiB: ${fdatasync.toFixed(3)} ms; one SQLite commit (WAL, FULL): ${commit.toFixed(3)} ms (medians of 200)`,
    `- load of the machine before the start: ${loadavg()[0]?.toFixed(1)}; figures: median (least–most) of the rounds, ratios taken round by round`,
  ].join('\n');
}

async function main(): Promise<void> {
  const chosen = chosenScenarios();
  const given = sizes();
  const folder = mkdtempSync(join(resolve(String(values.folder)), 'parlance-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1));
  const [server = 0, other = 0] = String(values.cores).split(',').map(Number);
  const cores = { server, load: other };
  const profile = values.profile === undefined ? null : resolve(String(values.profile));
  const model = await startServer({ args: [here('model-server.ts')], env: {}, core: cores.load });
  const { child, load } = startLoad(cores.load);
  const bench: Bench = {
    model,
    cores,
    folder,
    sizes: given,
    only: values.only === undefined ? [] : String(values.only).toLowerCase().split(','),
    load,
    serverFlags(name) {
      if (profile === null) return [];
      const directory = join(profile, name.replaceAll(/\W+/g, '-'));
      mkdirSync(directory, { recursive: true });
      return ['--cpu-prof', '--cpu-prof-dir', directory];
    },
  };
  console.log(header(folder, cores));
  for (const name of chosen) {
    const scenario = scenarios[name];
    if (scenario) console.log(`\n## ${scenario.title} (\`${name}\`)\n\n${await scenario.run(bench)}`);
  }
  child.disconnect();
  await stop(model.child);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
