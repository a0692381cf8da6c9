/**
 * A real Parlance: `src/cli.ts serve` as a process of its own, on a data folder of its own, asking the test's model server.
 *
 *     const model = await startModelServer();
 *     const server = await startServer({ model: model.url });
 *     const alice = server.client();                                     // a user nobody else in the test is
 *     const { status, body } = await alice.request<Chat>('POST', '/api/chat', { body: { title: 'A' } });
 *     await server.kill(); await server.start();                         // as after a crash
 *     await server.close();
 *
 * Titles are off and limits out of the way, so that every call of the model is one a test asked for, and a web search
 * fails at once and no page is read, so that no test asks the internet; `env` says otherwise.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** An answer, read to its end. */
export interface Answer<Body = unknown> {
  status: number;
  headers: IncomingHttpHeaders;
  /** As it came. */
  text: string;
  /** Read as JSON; undefined where it is none. */
  body: Body;
}

export interface RequestOptions {
  /** A text is sent as it is; anything else as JSON, with its `Content-Type`. */
  body?: unknown;
  /** Null leaves a header out that would be sent. */
  headers?: Record<string, string | null>;
  /** Sends the head alone: for what is refused by it. */
  headOnly?: boolean;
}

/** An answer while it comes. */
export interface OpenAnswer {
  status: number;
  headers: IncomingHttpHeaders;
  /** What has come so far. */
  received(): string;
  /** Resolves with all that has come as soon as that holds `text`; rejects if the answer ends without it. */
  until(text: string): Promise<string>;
  /** Resolves with all of it when it has ended, or the connection has. */
  ended: Promise<string>;
  /** Cuts the connection. */
  cut(): void;
}

export interface Client {
  user: string;
  request<Body = unknown>(method: string, path: string, options?: RequestOptions): Promise<Answer<Body>>;
  open(method: string, path: string, options?: RequestOptions): Promise<OpenAnswer>;
}

export interface TestServer {
  /** `http://127.0.0.1:<port>`; another one after each start. */
  readonly url: string;
  readonly ownerKey: string;
  readonly data: string;
  /** Everything it printed, for tests of what it says. */
  output(): string;
  /** Someone with the owner's service key, acting for `user`: by default for one that is new. */
  client(user?: string): Client;
  /** Someone without a key, or with the headers given. */
  visitor(headers?: Record<string, string>): Client;
  /** A key of a user's own, made with the command line. */
  createKey(user: string, ...flags: string[]): Promise<string>;
  start(): Promise<void>;
  /** Ends it as an operator does; resolves with its exit code. */
  stop(): Promise<number | null>;
  /** `kill -9` */
  kill(): Promise<void>;
  /** Kills it, so that no open answer is waited for, and removes its data. */
  close(): Promise<void>;
}

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const OWNER_KEY = `plk_${'0123456789abcdef'.repeat(4)}`;
const READY = /http:\/\/127\.0\.0\.1:\d+/;
const run = promisify(execFile);
let users = 0;

/** @param options.config its `parlance.config.json` */
export async function startServer(
  options: { model?: string; env?: Record<string, string>; config?: object } = {},
): Promise<TestServer> {
  const data = await mkdtemp(join(tmpdir(), 'parlance-test-'));
  if (options.config !== undefined) {
    await writeFile(join(data, 'parlance.config.json'), JSON.stringify(options.config));
  }
  const cache = process.env.NODE_COMPILE_CACHE;
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: data,
    ...(cache !== undefined && { NODE_COMPILE_CACHE: cache }),
    PORT: '0',
    PARLANCE_HOST: '127.0.0.1',
    PARLANCE_DATA: join(data, 'data'),
    PARLANCE_OWNER_KEY: OWNER_KEY,
    PARLANCE_DETECT: 'off',
    PARLANCE_TITLES: 'off',
    SEARXNG_URL: 'http://127.0.0.1:9',
    PARLANCE_WEB_PAGES: '0',
    PARLANCE_RATE_PER_MINUTE: '100000',
    PARLANCE_RATE_PER_HOUR: '100000',
    LOG_LEVEL: 'warn',
    ...(options.model !== undefined && { OPENAI_BASE_URL: options.model, OPENAI_API_KEY: 'test' }),
    ...options.env,
  };
  let child: ChildProcess | null = null;
  let url = '';
  let output = '';

  const server: TestServer = {
    get url() {
      return url;
    },
    ownerKey: OWNER_KEY,
    data: env.PARLANCE_DATA,
    output: () => output,
    client: (user = `user-${process.pid}-${++users}`) =>
      createClient(() => url, user, { authorization: `Bearer ${OWNER_KEY}`, 'x-user-id': user }),
    visitor: (headers = {}) => createClient(() => url, '', headers),
    async createKey(user, ...flags) {
      const args = [CLI, 'keys', 'create', '--user', user, ...flags];
      const { stdout } = await run(process.execPath, args, { cwd: data, env });
      return stdout.trim();
    },
    start,
    stop: () => end('SIGTERM'),
    async kill() {
      await end('SIGKILL');
    },
    async close() {
      await end('SIGKILL');
      await rm(data, { recursive: true, force: true });
    },
  };

  /** Resolves when it says where it listens. With its IPC channel closed, at the latest when the test ends, it ends too. */
  async function start(): Promise<void> {
    const started = spawn(process.execPath, [CLI, 'serve'], {
      cwd: data,
      env,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    child = started;
    output = '';
    url = await new Promise<string>((resolve, reject) => {
      const listen = (chunk: Buffer) => {
        output += chunk;
        const [found] = READY.exec(output) ?? [];
        if (found !== undefined) resolve(found);
      };
      started.stdout?.on('data', listen);
      started.stderr?.on('data', listen);
      started.once('error', reject);
      started.once('exit', (code) => reject(new Error(`The server ended with ${code}:\n${output}`)));
    });
  }

  async function end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const ending = child;
    child = null;
    if (ending === null || ending.exitCode !== null || ending.signalCode !== null) return ending?.exitCode ?? null;
    const exited = once(ending, 'exit');
    ending.kill(signal);
    const [code] = await exited;
    return code;
  }

  try {
    await start();
  } catch (error) {
    await server.close();
    throw error;
  }
  return server;
}

function createClient(url: () => string, user: string, own: Record<string, string>): Client {
  return {
    user,
    async request<Body>(method: string, path: string, options: RequestOptions = {}) {
      const response = await send(url(), method, path, own, options);
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString('utf8');
      return { status: response.statusCode ?? 0, headers: response.headers, text, body: parse(text) as Body };
    },
    async open(method, path, options = {}) {
      return follow(await send(url(), method, path, own, options));
    },
  };
}

function send(
  url: string,
  method: string,
  path: string,
  own: Record<string, string>,
  { body, headers = {}, headOnly = false }: RequestOptions,
): Promise<IncomingMessage> {
  const isText = typeof body === 'string' || body instanceof Uint8Array;
  const json = body === undefined || isText ? body : JSON.stringify(body);
  const all: Record<string, string | null> = {
    ...own,
    ...(json !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(json)),
    }),
    ...headers,
  };
  const sent = Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null));
  return new Promise((resolve, reject) => {
    const request = httpRequest(url + path, { method, headers: sent, agent: false });
    request.once('response', (response) => {
      if (headOnly) response.once('end', () => request.destroy());
      resolve(response);
    });
    request.once('error', reject);
    if (headOnly) request.flushHeaders();
    else request.end(json);
  });
}

function follow(response: IncomingMessage): OpenAnswer {
  let received = '';
  let over = false;
  const waiting = new Set<() => void>();
  const tell = () => {
    for (const look of waiting) look();
  };
  response.setEncoding('utf8');
  response.on('data', (chunk: string) => {
    received += chunk;
    tell();
  });
  response.on('error', () => {});
  const ended = new Promise<string>((resolve) => {
    response.once('close', () => {
      over = true;
      tell();
      resolve(received);
    });
  });
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    received: () => received,
    until: (text) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (!received.includes(text) && !over) return;
          waiting.delete(look);
          if (received.includes(text)) resolve(received);
          else reject(new Error(`The answer ended without ${JSON.stringify(text)}:\n${received}`));
        };
        waiting.add(look);
        look();
      }),
    ended,
    cut: () => response.destroy(),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
