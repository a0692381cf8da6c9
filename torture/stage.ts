/** What every scenario stands on: a real server that can be killed, a fake model server, and callers. */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Pool } from 'undici';
import { type Running, startServer as startProcess, stop } from '../bench/processes.ts';
import { startServer, type TestServer } from '../test/support/server.ts';

export interface Stage {
  server: TestServer;
  /** What it sent so far: requests it was asked, streams that are open. */
  modelCounts(): Promise<{ requests: number; tokens: number; open: number; aborted: number }>;
  /** Settings for another server that asks the same model. */
  env: Record<string, string>;
  close(): Promise<void>;
}

/** The environment of a tortured server: no limits in the way, and quick to start again. */
export function tortureEnv(env: Record<string, string> = {}): Record<string, string> {
  const cache = process.env.NODE_COMPILE_CACHE;
  return {
    PARLANCE_RATE_PER_MINUTE: '0',
    PARLANCE_RATE_PER_HOUR: '0',
    PARLANCE_MAX_RUNS_PER_USER: '20000',
    PARLANCE_MAX_STREAMS_PER_USER: '20000',
    LOG_LEVEL: 'error',
    ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }),
    ...env,
  };
}

/** The flag that loads a file of `preload/` into every thread of a server. */
export function preload(name: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${new URL(`./preload/${name}.ts`, import.meta.url).href}` };
}

export async function openStage(env: Record<string, string> = {}): Promise<Stage> {
  const model = await startModel();
  const all = tortureEnv({ OPENAI_BASE_URL: `${model.origin}/v1`, OPENAI_API_KEY: 'torture', ...env });
  const server = await startServer({ env: all }).catch(async (error) => {
    await stop(model.child);
    throw error;
  });
  return {
    server,
    env: all,
    modelCounts: async () => (await fetch(`${model.origin}/counts`)).json() as never,
    async close() {
      await server.close();
      await stop(model.child);
    },
  };
}

function startModel(): Promise<Running> {
  const file = new URL('../bench/model-server.ts', import.meta.url).pathname;
  return startProcess({ args: [file], env: {}, core: availableParallelism() > 1 ? 1 : 0 });
}

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Somebody who calls a server over connections that stay open. */
export interface Caller {
  call(method: string, path: string, body?: unknown, key?: string): Promise<Answer>;
  close(): Promise<void>;
}

/** As `user`, with the owner's key. */
export function createCaller(server: TestServer, user: string, connections = 32): Caller {
  const pool = new Pool(server.url, { connections, pipelining: 1 });
  const headers = { authorization: `Bearer ${server.ownerKey}`, 'x-user-id': user, 'content-type': 'application/json' };
  return {
    async call(method, path, body, key) {
      const response = await pool.request({
        method: method as 'POST',
        path,
        headers: key === undefined ? headers : { ...headers, 'idempotency-key': key },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { status: response.statusCode, headers: response.headers, text: await response.body.text() };
    },
    close: () => pool.destroy(),
  };
}

/** The body of an answer that must have this status. */
export async function expect<Body>(status: number, answer: Promise<Answer>): Promise<Body> {
  const { status: got, text } = await answer;
  if (got !== status) throw new Error(`${status} was expected, not ${got}: ${text.slice(0, 300)}`);
  return (text === '' ? undefined : JSON.parse(text)) as Body;
}

export interface Entry {
  id: string;
  role: 'Human' | 'Assistant';
  message: string;
}

/** A new chat of dialect 3, with a Human entry if there is a text. */
export async function makeChat(caller: Caller, message?: string): Promise<string> {
  const { id } = await expect<{ id: string }>(201, caller.call('POST', '/chats/create', { name: 'Torture' }));
  if (message !== undefined) {
    await expect(201, caller.call('POST', '/conversations/create', { chat_id: id, role: 'Human', message }));
  }
  return id;
}

/** All entries of a chat, oldest first; null where there is no such chat. */
export async function readEntries(caller: Caller, chat: string): Promise<Entry[] | null> {
  const entries: Entry[] = [];
  for (let path: string | undefined = `/chats/${chat}/conversations?limit=1000`; path !== undefined; ) {
    const { status, headers, text } = await caller.call('GET', path);
    if (status === 404) return null;
    if (status !== 200) throw new Error(`${path} gave ${status}: ${text.slice(0, 300)}`);
    entries.unshift(...(JSON.parse(text) as Entry[]));
    path = /<([^>]+)>; *rel="?next/.exec(String(headers.link ?? ''))?.[1];
  }
  return entries;
}

/** The id of a server's process. */
export function processOf({ data }: TestServer): number {
  return Number(readFileSync(join(data, 'pid'), 'utf8'));
}

/** Bytes a server has in use, without garbage. It must have been started with `memoryEnv` and the same file. */
export async function liveBytes(server: TestServer, file: string): Promise<number> {
  rmSync(file, { force: true });
  process.kill(processOf(server), 'SIGUSR2');
  while (!existsSync(file)) await wait(10);
  return Number(readFileSync(file, 'utf8'));
}

/** The environment of a server that tells its memory. */
export function memoryEnv(file: string): Record<string, string> {
  return { ...preload('memory'), TORTURE_MEMORY_FILE: file };
}

/** A random whole number from `least` to `most`. */
export function between(least: number, most: number): number {
  return least + Math.floor(Math.random() * (most - least + 1));
}
