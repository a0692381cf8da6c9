/**
 * The HTTP server alone, on a free port, with tables made by the test and services that do nothing but what is asked of
 * them; a clock that stands still until it is moved; and clients that see the bytes.
 */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect, type Socket } from 'node:net';
import { after } from 'node:test';
import { ServiceError } from '../../src/core/errors.ts';
import type { ApiKey, Principal, Scope } from '../../src/core/principal.ts';
import type { Dialect, Route, WireError } from '../../src/http/route.ts';
import { createServer, type HttpOptions, type HttpParts, type HttpServer } from '../../src/http/server.ts';
import { createAuthenticate } from '../../src/service/authenticate.ts';

/** What a test can see and set besides HTTP. */
export interface Served {
  port: number;
  origin: string;
  urls: string[];
  server: HttpServer;
  clock: TestClock;
  /** Every counted request, in order. */
  admitted: { user: string; bucket: string }[];
  /** Requests that are still admitted; then `rate_limited`. */
  quota: { left: number };
  /** Keys that were revoked. */
  revoked: Set<string>;
  /** Sessions that were ended, by their cookie's value. */
  ended: Set<string>;
  /** Addresses of tries to sign in. */
  tries: string[];
  logs: { level: 'warn' | 'error'; facts: Record<string, unknown>; message: string }[];
  health: { ok: boolean; problems: string[] };
}

export interface ServeOptions extends Partial<HttpOptions> {
  dialects: Dialect[];
  limits?: HttpParts['limits'];
  findUnanswered?: () => Promise<ReadonlySet<string>>;
  webFolder?: string;
}

/** Starts a server that the test file's end closes. */
export async function serve({ dialects, limits, findUnanswered, webFolder, ...given }: ServeOptions): Promise<Served> {
  const clock = createTestClock();
  const admitted: Served['admitted'] = [];
  const quota = { left: Number.POSITIVE_INFINITY };
  const revoked = new Set<string>();
  const ended = new Set<string>();
  const tries: string[] = [];
  const logs: Served['logs'] = [];
  const health = { ok: true, problems: [] as string[] };
  const log = (level: 'warn' | 'error') => (facts: object, message: string) =>
    void logs.push({ level, facts: facts as Record<string, unknown>, message });
  const server = await createServer({
    options: {
      listen: ['127.0.0.1'],
      port: 0,
      local: true,
      hosts: [],
      origins: [],
      trustedProxies: [],
      publicUrl: null,
      maxBody: 64 * 1024,
      maxStreamsPerUser: 1000,
      maxConnections: 1000,
      ...given,
    },
    dialects,
    gate: {
      authenticate: authenticator(revoked, ended),
      redeemTicket: () => Promise.reject(new ServiceError('unauthorized', 'No ticket is good here.')),
      admit({ user }: Principal, bucket) {
        if (quota.left-- <= 0) {
          throw new ServiceError('rate_limited', 'Rate limit reached.', { headers: { 'retry-after': '7' } });
        }
        admitted.push({ user, bucket });
        return { limit: 100, remaining: 100 - admitted.length, reset: 60 };
      },
    },
    isLive: async ({ keyId, session }) => !revoked.has(keyId ?? '') && !ended.has(session ?? ''),
    system: {
      health: async () => health,
      redeem: async () => ({ key: keyOf('invited', 'user', ['read', 'write']), secret: 'plk_secret' }),
      sessions: {
        signIn: async (secret) => {
          const key = KEYS.get(secret);
          if (key === undefined) throw new ServiceError('unauthorized', 'This key is unknown.');
          return { key, token: tokenOf(secret) };
        },
        open: async () => ({ token: tokenOf('plk_alice') }),
        close: async (digest) => void ended.add(digest),
        admitTry: (address) => void tries.push(address),
      },
      listUsers: async () => [],
      models: () => ({ default: 'test-model', guide: false, problem: null, providers: [], not_found: [] }),
      webFolder: webFolder ?? '/nowhere',
    },
    metrics: { openRuns: () => 3, endedRuns: () => ({ completed: 5 }), writerQueue: () => 2 },
    digest: sha256,
    clock,
    log: { warn: log('warn'), error: log('error') },
    version: '1.2.3',
    ...(limits === undefined ? {} : { limits }),
    ...(findUnanswered === undefined ? {} : { findUnanswered }),
  });
  const urls = await server.listen();
  after(async () => {
    const closed = server.close(0);
    clock.move(0);
    await closed;
  });
  const origin = urls[0] as string;
  return {
    port: Number(new URL(origin).port),
    origin,
    urls,
    server,
    clock,
    admitted,
    quota,
    revoked,
    ended,
    tries,
    logs,
    health,
  };
}

function keyOf(user: string, kind: ApiKey['kind'], scopes: Scope[]): ApiKey {
  return {
    id: `key-${user}`,
    tenant: 'default',
    user,
    kind,
    name: null,
    hint: '',
    scopes,
    rates: null,
    createdAt: 0,
    expiresAt: null,
    revokedAt: null,
  };
}

const KEYS = new Map([
  ['plk_alice', keyOf('alice', 'user', ['read', 'write'])],
  ['plk_bob', keyOf('bob', 'user', ['read', 'write'])],
  ['plk_reader', keyOf('reader', 'user', ['read'])],
  ['plk_service', keyOf('service', 'service', ['read', 'write'])],
]);

/** The value of the session cookie of whoever signed in with a key of the test. */
export function tokenOf(secret: string): string {
  return createHash('sha256').update(`session of ${secret}`).digest('hex');
}

/** Keys of the test: `plk_alice`, `plk_bob`, `plk_reader` (reads only) and `plk_service`. */
function authenticator(revoked: ReadonlySet<string>, ended: ReadonlySet<string>) {
  const findKey = async (secret: string) => {
    const found = KEYS.get(secret) ?? null;
    return found !== null && revoked.has(found.id) ? { ...found, revokedAt: 1 } : found;
  };
  return createAuthenticate({
    keys: { find: findKey, forget() {} },
    findSession: async (token) => {
      const [, key] = [...KEYS].find(([secret]) => tokenOf(secret) === token) ?? [];
      return key === undefined || revoked.has(key.id) || ended.has(token) ? null : { digest: token, key };
    },
    clock: { now: () => 2 } as never,
    ids: { digest: (secret: string) => secret } as never,
  });
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A dialect of the test's own. Its errors are `[status, code, message, fields]`, told apart by `name`. */
export function dialect(routes: Route[], facts: Partial<Dialect> = {}): Dialect {
  const name = facts.name ?? 'test';
  return {
    name,
    title: `The ${name} API`,
    claims: ['/t'],
    access: 'local',
    namesUser: false,
    error: (error) => wireError(name, error),
    routes,
    ...facts,
  };
}

/** What the test's dialects answer errors with. */
export interface TestError {
  dialect: string;
  code: string;
  message: string;
  param: string | null;
  fields: Record<string, string[]> | null;
}

function wireError(dialect: string, { code, message, details }: ServiceError): WireError {
  const body: TestError = { dialect, code, message, param: details.param ?? null, fields: details.fields ?? null };
  return { status: STATUS[code] ?? 500, body };
}

const STATUS: Record<string, number> = {
  request_timeout: 408,
  uri_too_long: 414,
  invalid_request: 400,
  key_required: 401,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  body_too_large: 413,
  unsupported_media_type: 415,
  upgrade_required: 426,
  rate_limited: 429,
  headers_too_large: 431,
  overloaded: 503,
};

export interface TestClock {
  monotonic(): number;
  after(ms: number, task: () => void): () => void;
  /** Moves the time on; what falls due meanwhile is called in order. */
  move(ms: number): void;
}

function createTestClock(): TestClock {
  let now = 1000;
  const due = new Set<{ at: number; task: () => void }>();
  return {
    monotonic: () => now,
    after(ms, task) {
      const entry = { at: now + ms, task };
      due.add(entry);
      return () => void due.delete(entry);
    },
    move(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (next === undefined) break;
        due.delete(next);
        now = next.at;
        next.task();
      }
      now = end;
    },
  };
}

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** The body as JSON; undefined where it is none. */
  json: unknown;
}

/** Sends one request on a connection of its own. */
export async function call(
  { port }: Pick<Served, 'port'>,
  method: string,
  path: string,
  options: { headers?: Record<string, string | string[]>; body?: string | Buffer; host?: string } = {},
): Promise<Reply> {
  const { headers = {}, body, host = '127.0.0.1' } = options;
  const request = httpRequest({ host, port, method, path, headers, agent: false });
  request.end(body);
  const [response] = await once(request, 'response');
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return { status: response.statusCode, headers: response.headers, text, json: jsonOf(text) };
}

/** A request with a JSON body. */
export function post(served: Pick<Served, 'port'>, path: string, body: unknown, headers: Record<string, string> = {}) {
  return call(served, 'POST', path, {
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Sends bytes and gives all that comes until the other side closes. */
export async function raw({ port }: Pick<Served, 'port'>, bytes: string | Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.write(bytes);
  let text = '';
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  socket.on('error', () => {});
  await closed(socket);
  return text;
}

/** The answer in bytes that hold one. */
export function parseRaw(text: string): Reply {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const headers = Object.fromEntries(
    fields.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
    }),
  );
  const body = rest.join('\r\n\r\n');
  return { status: Number(line.split(' ')[1]), headers, text: body, json: jsonOf(body) };
}

/** A connection whose bytes are read only when the test says so. */
export async function open({ port }: Pick<Served, 'port'>, bytes: string): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  socket.write(bytes);
  return socket;
}

/** Resolves when a connection is closed, properly or not. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.once('close', () => resolve()));
}

/** Resolves as soon as `holds` does, looking whenever the event loop has turned. Rejects after 5 s. */
export async function until(holds: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 5000;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`Waited 5 s in vain: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Lets the event loop turn so often that whatever loopback holds has arrived. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
