/** What is measured: the references and Parlance, how each is started and how an answer is asked of it. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bench } from './bench.ts';
import type { Call, Format } from './load.ts';
import { type Running, startServer } from './processes.ts';
import { answerText } from './tokens.ts';

export interface Subject {
  name: string;
  /** How its streams write a delta. */
  format: Format;
  start(bench: Bench): Promise<Running>;
  /** Calls that each open one stream answering `prompt`; what must be there before them is made here, unmeasured. */
  streamCalls(bench: Bench, server: Running, count: number, prompt: string): Promise<Call[]>;
  /** How many of some of these streams' answers of `tokens` unstamped tokens are not stored whole. */
  notStored(bench: Bench, server: Running, calls: Call[], tokens: number): Promise<number>;
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const json = { 'content-type': 'application/json' };

/** A user of a server has a key; this one exists for the length of a bench. */
const KEY = `plk_${'bench0000000000000'.repeat(3)}`;
export const keyed = { ...json, authorization: `Bearer ${KEY}` };

/** A Chat Completions request with one message. */
export function completion(prompt: string, stream: boolean): Call {
  const body = JSON.stringify({ model: 'bench-model', stream, messages: [{ role: 'user', content: prompt }] });
  return { method: 'POST', path: '/v1/chat/completions', headers: json, body };
}

/** A server that keeps nothing and takes Chat Completions requests. */
function relay(name: string, file: string): Subject {
  return {
    name,
    format: 'chat',
    start: (bench) =>
      startServer({
        args: [...bench.serverFlags(name), here(file)],
        env: { OPENAI_BASE_URL: `${bench.model.origin}/v1` },
        core: bench.cores.server,
      }),
    streamCalls: async (_bench, _server, count, prompt) =>
      Array.from({ length: count }, () => completion(prompt, true)),
    notStored: async () => 0,
  };
}

/** The model itself, asked without anything between. */
export const direct: Subject = {
  ...relay('model alone', ''),
  start: async (bench) => bench.model,
};
export const pipe = relay('pipe', 'references/pipe.ts');
export const parsingRelay = relay('parsing relay', 'references/parsing-relay.ts');
export const undiciRelay = relay('undici relay', 'references/undici-relay.ts');
export const storeNothing = relay('route that stores nothing', 'references/store-nothing.ts');

/** Settings under which Parlance is measured; those of the environment go before them. */
export function parlanceEnv(bench: Bench, data: string): Record<string, string> {
  const given = Object.entries(process.env).filter(([name]) => name.startsWith('PARLANCE_') || name === 'LOG_LEVEL');
  return {
    PARLANCE_DATA: data,
    PARLANCE_OWNER_KEY: KEY,
    PARLANCE_RATE_PER_MINUTE: '0',
    PARLANCE_RATE_PER_HOUR: '0',
    PARLANCE_MAX_RUNS_PER_USER: '20000',
    PARLANCE_MAX_STREAMS_PER_USER: '20000',
    PARLANCE_DETECT: 'off',
    PARLANCE_TITLES: 'off',
    OPENAI_BASE_URL: `${bench.model.origin}/v1`,
    OPENAI_API_KEY: 'sk-bench',
    NODE_COMPILE_CACHE: join(bench.folder, 'compile-cache'),
    ...Object.fromEntries(given as [string, string][]),
  };
}

/** Starts Parlance on a data folder of its own, or on the one that is given. */
export function startParlance(bench: Bench, data = newFolder(bench)): Promise<Running> {
  return startServer({
    args: [...bench.serverFlags('parlance'), here('../src/cli.ts'), 'serve'],
    env: parlanceEnv(bench, data),
    core: bench.cores.server,
  });
}

let folders = 0;
export function newFolder(bench: Bench): string {
  const folder = join(bench.folder, `data-${folders++}`);
  mkdirSync(folder);
  return folder;
}

/** Makes chats, each with one Human entry if there is a message, and gives their ids. */
export async function makeChats(
  bench: Bench,
  server: Running,
  count: number,
  message: string | null,
): Promise<string[]> {
  const post = (path: string, body: unknown): Call => ({
    method: 'POST',
    path,
    headers: keyed,
    body: JSON.stringify(body),
  });
  const create = Array.from({ length: count }, (_, i) => post('/chats/create', { name: `Bench ${i}` }));
  const chats = await bench.load<string[]>({ kind: 'calls', origin: server.origin, calls: create, lanes: 32 });
  const ids = chats.map((body) => (JSON.parse(body) as { id: string }).id);
  if (message !== null) {
    const entries = ids.map((chat_id) => post('/conversations/create', { chat_id, role: 'Human', message }));
    await bench.load({ kind: 'calls', origin: server.origin, calls: entries, lanes: 32 });
  }
  return ids;
}

const INFERENCE = '/conversations/inference/';

export const parlance: Subject = {
  name: 'Parlance',
  format: 'entries',
  start: (bench) => startParlance(bench),
  async streamCalls(bench, server, count, prompt) {
    const ids = await makeChats(bench, server, count, prompt);
    return ids.map((id) => ({ method: 'GET', path: INFERENCE + id, headers: keyed }));
  },
  async notStored(bench, server, calls, tokens) {
    const some = calls.filter((_, i) => i % Math.ceil(calls.length / 20) === 0);
    const lists = some.map(
      ({ path }): Call => ({
        method: 'GET',
        path: `/chats/${path.slice(INFERENCE.length)}/conversations`,
        headers: keyed,
      }),
    );
    const bodies = await bench.load<string[]>({ kind: 'calls', origin: server.origin, calls: lists, lanes: 4 });
    const text = answerText(tokens);
    return bodies.filter((body) => (JSON.parse(body) as { message: string }[])[1]?.message !== text).length;
  },
};
