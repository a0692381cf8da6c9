/**
 * Connections to one origin: HTTP/1.1, as many as there are streams, through the proxy where one is set. Time limits
 * for an answer are the caller's (its abort signal); here is only the one for connecting.
 */

import { isIPv4 } from 'node:net';
import { Agent, type Dispatcher, EnvHttpProxyAgent, fetch as undiciFetch, request as undiciRequest } from 'undici';

export interface ProxySettings {
  http: string | null;
  https: string | null;
  /** As in `NO_PROXY`: names, suffixes, `host:port`, `*`. */
  noProxy: string | null;
}

export interface ConnectionSettings {
  proxy: ProxySettings;
  connectTimeoutMs: number;
}

/** A share of the connections, taken for one request; `release` once that is over. */
export interface Lease {
  dispatcher: Dispatcher;
  release(): void;
}

export interface Connections {
  take(): Lease;
  /** `fetch` over these connections, for libraries that want one. */
  fetch: typeof globalThis.fetch;
  /** A small request whose whole answer is read; the body is at most `maxBytes`. */
  request(
    path: string,
    options: { method?: 'GET' | 'POST'; headers?: Record<string, string>; body?: unknown; signal: AbortSignal },
  ): Promise<{ status: number; headers: Record<string, string | string[] | undefined>; text: string }>;
  close(): Promise<void>;
}

/**
 * Streams on one pool: `undici` looks through all connections of a pool at every dispatch, so the pools are kept small.
 * The first with room is taken, so that few streams share few connections and find them warm.
 */
const STREAMS_PER_POOL = 100;
/** The most of a whole answer that is read: a model list of a large provider is under 1 MiB. */
const MAX_ANSWER = 8 * 1024 * 1024;

/** Connections to `origin`. Nothing is opened before the first request. */
export function createConnections(origin: string, { proxy, connectTimeoutMs }: ConnectionSettings): Connections {
  const pools: { dispatcher: Dispatcher; streams: number }[] = [];

  const createPool = (): Dispatcher => {
    const options = {
      allowH2: false,
      connections: null,
      connectTimeout: connectTimeoutMs,
      connect: { timeout: connectTimeoutMs },
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    if ((proxy.http ?? proxy.https) === null || isLocal(new URL(origin).hostname)) return new Agent(options);
    // Given as '' and never left out: `undici` would look into the environment itself.
    return new EnvHttpProxyAgent({
      ...options,
      httpProxy: proxy.http ?? '',
      httpsProxy: proxy.https ?? '',
      noProxy: proxy.noProxy ?? '',
    });
  };

  const take = (): Lease => {
    let pool = pools.find(({ streams }) => streams < STREAMS_PER_POOL);
    if (!pool) {
      pool = { dispatcher: createPool(), streams: 0 };
      pools.push(pool);
    }
    const taken = pool;
    taken.streams += 1;
    let released = false;
    return {
      dispatcher: taken.dispatcher,
      release() {
        if (!released) taken.streams -= 1;
        released = true;
      },
    };
  };

  const first = () => {
    const lease = take();
    lease.release();
    return lease.dispatcher;
  };

  return {
    take,
    fetch: ((input: string, init?: object) =>
      undiciFetch(input, { ...init, dispatcher: first() })) as unknown as typeof globalThis.fetch,
    async request(path, { method = 'GET', headers = {}, body, signal }) {
      const lease = take();
      try {
        const answer = await undiciRequest(new URL(path, origin), {
          dispatcher: lease.dispatcher,
          method,
          headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          headersTimeout: 0,
          bodyTimeout: 0,
          signal,
        });
        const chunks: Buffer[] = [];
        let size = 0;
        for await (const chunk of answer.body as AsyncIterable<Buffer>) {
          size += chunk.length;
          if (size > MAX_ANSWER) throw new Error(`The answer is over ${MAX_ANSWER} bytes.`);
          chunks.push(chunk);
        }
        return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() };
      } finally {
        lease.release();
      }
    },
    async close() {
      await Promise.all(pools.map(({ dispatcher }) => dispatcher.destroy()));
    },
  };
}

/** Whether a URL's host is this machine: loopback, or Docker's name for the host. Such hosts are never proxied. */
export function isLocal(hostname: string): boolean {
  const host = hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '::1' ||
    host === '::ffff:7f00:1' ||
    (isIPv4(host) && host.startsWith('127.')) ||
    host === 'host.docker.internal'
  );
}
