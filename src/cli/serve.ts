/** `serve`: runs the server until it is told to end. */

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Config, ConfigError, ownAddress } from '../config.ts';
import { type Running, serve as startServer, VERSION } from '../main.ts';
import { CommandError, type Invocation } from './command.ts';
import { modelLines } from './model-lines.ts';
import { print, say, styled } from './terminal.ts';

/** Through npm a Ctrl-C comes twice: what comes within this is one request, a later one is impatience. */
const IMPATIENT_MS = 1000;

export async function serve(invocation: Invocation): Promise<number> {
  const config = await invocation.config();
  const own = ownAddress(config);
  if (own !== null) throw new ConfigError([own]);
  const { ended, fail } = listenForTheEnd();
  const running = await start(config);
  try {
    printBanner(config, running);
    await ended;
  } finally {
    await Promise.race([running.close(), fail]);
    // What listens for the launcher's end would keep this process from ending itself.
    process.channel?.unref();
  }
  return 0;
}

async function start(config: Config): Promise<Running> {
  try {
    return await startServer(config);
  } catch (error) {
    throw listenProblem(config, error as NodeJS.ErrnoException) ?? error;
  }
}

/** What the system says when it cannot listen, as a sentence with the way out; null for anything else. */
export function listenProblem({ listen }: Config, error: NodeJS.ErrnoException): CommandError | null {
  const { code, address = listen.hosts[0] } = error as NodeJS.ErrnoException & { address?: string };
  const sentences: Record<string, string> = {
    EADDRINUSE: `Port ${listen.port} is taken by another program: stop that one, or take another port with npm start -- --port ${listen.port + 1} (or PORT=${listen.port + 1}).`,
    EACCES: `Port ${listen.port} is not for this account to use: take one above 1023 with PORT.`,
    EADDRNOTAVAIL: `This machine has no address ${address} to listen on: set PARLANCE_HOST to one that it has, or to 0.0.0.0.`,
    ENOTFOUND: `PARLANCE_HOST names a host that is not known: set it to an address of this machine, or to 0.0.0.0.`,
  };
  const sentence = error.syscall === 'listen' || code === 'ENOTFOUND' ? sentences[code ?? ''] : undefined;
  return sentence === undefined ? null : new CommandError(sentence);
}

/** A signal, or the end of whoever started us: `npm start` holds the other end of the IPC channel. */
function listenForTheEnd(): { ended: Promise<void>; fail: Promise<void> } {
  const { promise: ended, resolve } = Promise.withResolvers<void>();
  const { promise: fail, resolve: giveUp } = Promise.withResolvers<void>();
  let asked = 0;
  const ask = (why: string) => {
    if (asked === 0) {
      asked = performance.now();
      say(`Ending (${why}); open answers may finish first.`);
      resolve();
    } else if (performance.now() - asked > IMPATIENT_MS) {
      say('Not waited for the open answers.');
      process.exitCode = 1;
      giveUp();
      setImmediate(() => process.exit());
    }
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ask(signal));
  if (process.channel) process.on('disconnect', () => ask('npm start has ended'));
  return { ended, fail };
}

function printBanner(config: Config, running: Running): void {
  const { perMinute, perHour } = config.rates;
  const limits = [perMinute > 0 && `${perMinute} requests a minute`, perHour > 0 && `${perHour} an hour`].filter(
    Boolean,
  );
  const rows: [string, string[]][] = [
    ['URL', running.urls],
    ['Data', [config.data]],
    ['Model', modelLines(config, running.models)],
    ['Mode', [modeLine(config, running)]],
    ['Limits', [limits.length === 0 ? 'none' : `${limits.join(' and ')}, per user`]],
    ['Key', keyLines(config, running)],
  ];
  const { ended, started } = running.recovered;
  if (ended + started > 0) {
    rows.push(['Recovered', [`${ended} answers that were cut short, and ${started} that had not begun`]]);
  }
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

const ANOTHER = 'Another: ./parlance keys create --user NAME';

/** Where the owner's key is. It is shown on a terminal only: elsewhere it would stay in a log. */
function keyLines({ data, ownerKey }: Config, running: Running): string[] {
  const file = join(data, 'owner-key');
  if (ownerKey !== null) return ["the owner's is the one in PARLANCE_OWNER_KEY", ANOTHER];
  if (running.ownerKey === null) {
    return [existsSync(file) ? `the owner's is in ${file}` : "the owner's was shown at the first start", ANOTHER];
  }
  const { secret } = running.ownerKey;
  if (process.stdout.isTTY) return [`${styled('bold', secret)}`, "It is the owner's, and shown this once.", ANOTHER];
  writeFileSync(file, `${secret}\n`, { mode: 0o600 });
  return [`the owner's is in ${file}`, ANOTHER];
}
