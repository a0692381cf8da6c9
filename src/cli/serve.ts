/** `serve`: runs the server until it is told to end. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock as clock, systemIds as ids } from '../adapters/clock/system.ts';
import { openSqliteStore } from '../adapters/store/sqlite.ts';
import { type Config, ConfigError, ownAddress } from '../config.ts';
import { type Running, serve as startServer, VERSION } from '../main.ts';
import { CommandError, type Invocation } from './command.ts';
import { findPortProblem } from './port.ts';
import { print, say, styled } from './terminal.ts';

/** Through npm a Ctrl-C comes twice: what comes within this is one request, a later one is impatience. */
const IMPATIENT_MS = 1000;

export async function serve(invocation: Invocation): Promise<number> {
  const config = await invocation.config();
  const own = ownAddress(config);
  if (own !== null) throw new ConfigError([own]);
  // Looked at before anything is made: the owner's key is shown at the first start, and a start that fails shows nothing.
  const problem = await findPortProblem(config);
  if (problem !== null) throw new CommandError(problem.sentence);
  const ended = listenForTheEnd();
  const running = await startServer(config);
  try {
    printBanner(config, running, await keyLines(config, running));
    await ended;
  } finally {
    await running.close();
    // What listens for the launcher's end would keep this process from ending itself.
    process.channel?.unref();
  }
  return 0;
}

/** A signal, or the end of whoever started us: `npm start` holds the other end of the IPC channel. */
function listenForTheEnd(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let asked = 0;
  const ask = (why: string) => {
    if (asked === 0) {
      asked = performance.now();
      say(`Ending (${why}); open answers may finish first.`);
      resolve();
    } else if (performance.now() - asked > IMPATIENT_MS) {
      say('Not waiting for the open answers.');
      process.exit(1);
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ask(signal));
  if (process.channel) process.on('disconnect', () => ask('npm start has ended'));
  return promise;
}

function printBanner(config: Config, running: Running, key: string[]): void {
  const { perMinute, perHour } = config.rates;
  const limits = [perMinute > 0 && `${perMinute} requests a minute`, perHour > 0 && `${perHour} an hour`].filter(
    Boolean,
  );
  const { ended, started } = running.recovered;
  const rows: [string, string[]][] = [
    ['URL', running.urls],
    ['Docs', [`${running.urls[0]}/docs`]],
    ['Data', [config.data]],
    [
      'Recovered',
      ended + started === 0 ? [] : [`${ended} answers that were cut short, and ${started} that had not begun`],
    ],
    ['Model', modelLines(running.models)],
    ['Tools', toolLines(config)],
    ['Mode', [modeLine(config, running)]],
    ['Limits', [limits.length === 0 ? 'none' : `${limits.join(' and ')}, per user`]],
    ['Key', key],
  ];
  print('');
  print(styled(['bold', 'green'], `Parlance ${VERSION} is running.`));
  for (const [name, lines] of rows) {
    for (const [i, line] of lines.entries()) print(`  ${styled('bold', (i === 0 ? name : '').padEnd(9))} ${line}`);
  }
}

function modeLine({ access, listen }: Config, { local }: Running): string {
  if (local) return 'local: whoever has an account on this machine needs no key (PARLANCE_LOCAL=off ends that)';
  const why = access.local ? `because it listens on ${listen.hosts.join(', ')}` : 'because of PARLANCE_LOCAL=off';
  return `keys: every request needs one, ${why}`;
}

/** Which model answers and where it is from; where the guide does, what was looked for, and how to connect a model. */
function modelLines(models: Running['models']): string[] {
  const model = models.find(null);
  const failed = models.sources().filter(({ state }) => state === 'failed');
  const problems = failed.map(({ name, reason }) => (reason.startsWith(name) ? reason : `${name}: ${reason}`));
  if (model === null) return [models.why()];
  if (model.provider === 'guide') {
    const places = models.notFound().map(({ name, address }) => `${name} (${address})`);
    return [
      'the built-in guide, which is no language model',
      ...(places.length === 0 ? [] : [`Looked for ${places.join(', ')}: not running.`]),
      'To connect one, start Ollama or set OPENAI_API_KEY; more in docs/operating/models.md.',
    ];
  }
  const source = models.sources().find(({ name }) => name === model.provider);
  const from = source === undefined ? model.provider : `${source.name} at ${source.address}`;
  const others = models.list().filter(({ chat }) => chat).length - 1;
  const more = others > 0 ? [`${others} more: ./parlance model list`] : [];
  return [`${model.id}, of ${from}${source?.configured === false ? ', found by itself' : ''}`, ...more, ...problems];
}

/** They are connected when they are first needed, so that nothing is known of them yet. */
function toolLines({ mcpServers }: Config): string[] {
  if (mcpServers.length === 0) return [];
  const names = mcpServers.map(({ name, reach }) => `${name} (${reach.kind})`);
  return [`of the MCP servers ${names.join(', ')}; ./parlance doctor looks at them`];
}

const ANOTHER = 'Another: ./parlance keys create --user NAME';

/** Where the owner's key is. It is shown on a terminal only: elsewhere it would stay in a log. */
async function keyLines({ data, ownerKey }: Config, running: Running): Promise<string[]> {
  const file = join(data, 'owner-key');
  if (ownerKey !== null) {
    if (running.ownerKey !== null || (await isKnown(data, ownerKey))) {
      return ["the owner's is the one in PARLANCE_OWNER_KEY", ANOTHER];
    }
    return ['not the one in PARLANCE_OWNER_KEY, which counts at the first start only', ANOTHER];
  }
  if (running.ownerKey === null) {
    return [existsSync(file) ? `the owner's is in ${file}` : 'as made before: ./parlance keys list', ANOTHER];
  }
  const { secret } = running.ownerKey;
  if (process.stdout.isTTY) return [styled('bold', secret), "It is the owner's, and shown this once.", ANOTHER];
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return [`the owner's is in ${file}`, ANOTHER];
}

async function isKnown(folder: string, key: string): Promise<boolean> {
  const store = await openSqliteStore({ folder, exclusive: false, now: clock.now });
  const found = await store.findKey(ids.digest(key));
  await store.close();
  return found !== null;
}
