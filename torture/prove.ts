/**
 * `npm run prove`: the promises, tried out before your eyes in less than a minute, without a network and without a
 * model, on data that is thrown away. At a terminal it then leaves a server running for you to kill; elsewhere it ends,
 * unless `--hold` is given.
 */

import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startServer, type TestServer } from '../test/support/server.ts';
import { passed, type Scenario, type Sizes } from './scenario.ts';
import { equal } from './scenarios/conversations.ts';
import { cuts } from './scenarios/cuts.ts';
import { kills } from './scenarios/kills.ts';
import { power } from './scenarios/power.ts';
import { processOf } from './stage.ts';

const HOLD_MS = 10 * 60_000;

const STEPS: { name: string; story: string[]; scenario: Scenario; sizes: Sizes }[] = [
  {
    name: 'Nothing that was acknowledged is lost, nothing is stored twice',
    story: [
      'Sixteen writers store messages, ask questions and delete chats, as fast as they can. Meanwhile the server gets',
      '`kill -9` at random moments and is started again. A writer without an answer sends the same request again, with the',
      'same Idempotency-Key. In the end every ledger is compared with what the API and the database file hold.',
    ],
    scenario: kills,
    sizes: { kills: 8, writers: 16 },
  },
  {
    name: 'A stream that breaks is picked up again, byte for byte',
    story: [
      'Readers follow answers while they are written. Their connections are cut at random bytes; they come back with',
      'Last-Event-ID. In the end each must hold the same bytes as a reader who was never cut off.',
    ],
    scenario: cuts,
    sizes: { cuts: 100 },
  },
  {
    name: 'Retries are never billed twice',
    story: [
      'One question a hundred times at once with the same Idempotency-Key, and one answer asked for by a hundred readers.',
    ],
    scenario: equal,
    sizes: { rounds: 2 },
  },
  {
    name: 'A power cut loses nothing, and this check can fail',
    story: [
      'The server writes; then only what SQLite had synced survives. And the control: the same on a disk that ignores',
      'fsync. If nothing were found lost there, the checks above would prove nothing. (That the kernel is really told to',
      'sync before every acknowledgement is traced by `npm run torture -- fsync`, on Linux with strace.)',
    ],
    scenario: power,
    sizes: { rounds: 20 },
  },
];

const { values } = parseArgs({ options: { hold: { type: 'boolean', default: process.stdout.isTTY === true } } });
const end = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // Before the last step there is nothing to be closed that does not close by itself.
    if (!end.signal.aborted && holding) end.abort();
    else process.exit(130);
  });
}
let holding = false;

async function prove(): Promise<boolean> {
  const began = performance.now();
  let good = true;
  say('Parlance, put to the proof. Offline; the data is temporary; the server is the one you run, unchanged.');
  for (const [i, { name, story, scenario, sizes }] of STEPS.entries()) {
    say('', `${i + 1}. ${name}`, ...story.map((line) => `   ${line}`), '');
    const result = await scenario.run(sizes);
    for (const { name: figure, value, wanted, ok } of result.figures) {
      say(
        `   ${wanted === null ? ' ' : ok ? '✔' : '✘'} ${value.padStart(7)}  ${figure}${ok ? '' : ` (wanted: ${wanted})`}`,
      );
    }
    for (const sentence of result.evidence) say(`   ✘ ${sentence}`);
    good &&= passed(result);
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  say('', good ? `All of it held, in ${seconds} s.` : `NOT all of it held (${seconds} s): see the lines with ✘.`);
  say('The long versions: npm run torture. What is promised, and what is not: docs/guarantees.md.');
  return good;
}

/** A server with a long answer under way, for whoever wants to kill it by hand. */
async function offer(): Promise<void> {
  const server = await startServer({ env: { PORT: String(await freePort()) } });
  try {
    const visitor = server.visitor();
    const { body: chat } = await visitor.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Doubt' } });
    const entry = { chat_id: chat.id, role: 'Human', message: '/long 60' };
    await visitor.request('POST', '/conversations/create', { body: entry });
    const path = `/conversations/inference/${chat.id}`;
    const pid = processOf(server);
    say(
      '',
      'You do not believe it? A server is running, with the process id',
      '',
      `   ${pid}`,
      '',
      'This begins an answer that takes a minute (the built-in guide writes it; no model is needed):',
      '',
      `   curl -N ${server.url}${path}`,
      '',
      'Kill it in the middle, from another terminal, as you like:',
      '',
      `   kill -9 ${pid}`,
    );
    if (!values.hold) {
      say('', 'It ends now, since nobody is watching: with `npm run prove -- --hold` it waits for you.');
      return;
    }
    say('', 'It is started again by itself, and you are told what was kept. Ctrl-C ends it all.');
    holding = true;
    await watch(server, chat.id, path);
  } finally {
    await server.close();
  }
}

/** Starts the server again whenever somebody kills it, and tells what was kept. */
async function watch(server: TestServer, chat: string, path: string): Promise<void> {
  const until = performance.now() + HOLD_MS;
  let pid = processOf(server);
  while (!end.signal.aborted && performance.now() < until) {
    await wait(200, null, { signal: end.signal }).catch(() => {});
    if (end.signal.aborted || isAlive(pid)) continue;
    await server.start();
    pid = processOf(server);
    const { body } = await server
      .visitor()
      .request<{ role: string; message: string }[]>('GET', `/chats/${chat}/conversations`);
    const kept = body.find(({ role }) => role === 'Assistant')?.message ?? '';
    say(
      '',
      kept === ''
        ? `It was killed before the answer began, and is back with the process id ${pid}.`
        : `It was killed, and is back with the process id ${pid}. Kept of the answer: ${kept.length} characters, up to "…${kept.slice(-40).trim()}"`,
      'The same curl line shows it, and `-H "Last-Event-ID: N"` with the last id you saw takes it up from there:',
      `   curl -N ${server.url}${path}`,
    );
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** It stays the same when the server is started again. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

function say(...lines: string[]): void {
  for (const line of lines) console.log(line);
}

process.exitCode = (await prove()) ? 0 : 1;
await offer();
