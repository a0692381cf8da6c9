/** The HTTP server: registers every dialect's table with Fastify, listens, and closes without cutting anybody off. */

import { randomBytes } from 'node:crypto';
import { createServer as createHttpServer, type Server, type ServerOptions, ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import type { Principal } from '#core/principal.ts';
import { type AccessOptions, accessRules } from './access.ts';
import { createConnections } from './connections.ts';
import type { Log } from './exchange.ts';
import { createGate, type Gatekeeper } from './gate.ts';
import { findUnanswered } from './half-open.ts';
import { createMetrics, type MetricSources } from './metrics.ts';
import { createOpenApi } from './openapi.ts';
import { answerParserError } from './parser-errors.ts';
import type { Dialect } from './route.ts';
import { createServe } from './serve.ts';
import { type SystemParts, systemDialect } from './system.ts';
import { registerRoutes } from './table.ts';
import { asksForSocket, upgrades } from './websocket.ts';

/** What the configuration says about HTTP. */
export interface HttpOptions extends AccessOptions {
  /** 0: any free one. */
  port: number;
  /** Proxies whose `X-Forwarded-For` tells the client's address, as addresses or networks; for logs only. */
  trustedProxies: readonly string[];
  /** Bytes. */
  maxBody: number;
  /** Streams, sockets and requests that wait for an answer. */
  maxStreamsPerUser: number;
  /** Of each address it listens on. */
  maxConnections: number;
}

export interface HttpParts {
  options: HttpOptions;
  dialects: readonly Dialect[];
  gate: Gatekeeper;
  /** Whether an open stream of a key, or of a session, may go on. */
  isLive(principal: Principal): Promise<boolean>;
  /** What the server's own routes need beside what is made here. */
  system: Omit<SystemParts, 'metrics' | 'openapi' | 'rules' | 'version'>;
  metrics: MetricSources;
  /** SHA-256 as lower-case hex. */
  digest(text: string): string;
  clock: { monotonic(): number; after(ms: number, task: () => void): () => void };
  log: Log;
  version: string;
  /** Another way to find peers that are gone than the kernel's word. */
  findUnanswered?: () => Promise<ReadonlySet<string>>;
  /** Other time limits than the usual ones. */
  limits?: TimeLimits;
}

/** Milliseconds: for the head of a request, for all of it, until the next one; and how often that is looked at. */
type TimeLimits = Pick<
  ServerOptions,
  'headersTimeout' | 'requestTimeout' | 'keepAliveTimeout' | 'connectionsCheckingInterval'
>;

export interface HttpServer {
  /** Starts listening; the addresses, as `http://…` without a path. Rejects with the system's error (`EADDRINUSE`). */
  listen(): Promise<string[]>;
  /** Takes nothing new: no connections, and 503 for requests on open ones. Streams and sockets go on. */
  stop(): void;
  /**
   * Stops, ends open streams and sockets so that their readers come back elsewhere, waits for other answers up to
   * `graceMs` milliseconds, then cuts what is left.
   */
  close(graceMs: number): Promise<void>;
}

const MAX_HEAD = 16 * 1024;
/** That connections are refused is logged at most this often, in milliseconds. */
const TELL_DROPS_MS = 60_000;
/** A stream may take as long as it wants once its request is complete. */
const LIMITS: TimeLimits = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 20_000,
  connectionsCheckingInterval: 2_000,
};
/** Errors of a machine that has no such address, as one without IPv6. */
const NO_ADDRESS = new Set(['EADDRNOTAVAIL', 'EAFNOSUPPORT']);
/** A request id of the caller that is kept. */
const REQUEST_ID = /^[\w.-]{1,64}$/;

export async function createServer(parts: HttpParts): Promise<HttpServer> {
  const { options, clock, log } = parts;
  const connections = createConnections({
    isLive: parts.isLive,
    findUnanswered: parts.findUnanswered ?? findUnanswered,
    after: clock.after,
    maxPerUser: options.maxStreamsPerUser,
  });
  const metrics = createMetrics({ sources: parts.metrics, connections: connections.count, monotonic: clock.monotonic });
  const openapi = createOpenApi(() => dialects, { version: parts.version, publicUrl: options.publicUrl });
  const rules = accessRules(options);
  const { version } = parts;
  const system = systemDialect({ ...parts.system, metrics: metrics.text, openapi, rules, version });
  const dialects = [...parts.dialects, system];
  const requestId = requestIds();
  const { gate: keeper, digest } = parts;
  const { monotonic } = clock;
  const gate = createGate({ keeper, rules, log, monotonic });
  const serve = createServe({ gate, keeper, connections, digest, log, monotonic });

  const app = Fastify({
    serverFactory: (handler) => createHttpServer({ ...HTTP_OPTIONS, ...LIMITS, ...parts.limits }, handler),
    genReqId: (req) => requestId(req.headers['x-request-id']),
    trustProxy: options.trustedProxies.length > 0 ? [...options.trustedProxies] : false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    logger: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: MAX_HEAD },
    clientErrorHandler: (error, socket) => answerParserError(error, socket as Socket, { endOf, requestId }),
    frameworkErrors: (_error, request, reply) => {
      serve.malformed(endOf(request.raw.url ?? ''), request as FastifyRequest, reply as FastifyReply);
    },
  });
  const endOf = registerRoutes(app, dialects, { serve, metrics, maxBody: options.maxBody, fallback: system });
  app.setNotFoundHandler((request, reply) => void serve.refuse(endOf(request.raw.url ?? ''), request, reply));
  const { server } = app;
  boundConnections(server);
  // An upload that would be refused anyway is not asked for: `readBody` says to go on.
  server.on('checkContinue', app.routing);
  server.on('checkExpectation', app.routing);
  server.on('upgrade', (req, socket, head) => {
    const res = new ServerResponse(req);
    res.shouldKeepAlive = false;
    res.assignSocket(socket as Socket);
    res.once('finish', () => socket.end());
    socket.on('error', () => socket.destroy());
    upgrades.set(req, { socket, head });
    app.routing(req, res);
  });
  await app.ready();
  /** Servers of the addresses but the first, which hand their connections on. */
  const sides: NetServer[] = [];

  let stopped: Promise<unknown> | null = null;

  return { listen, stop, close };

  function boundConnections(one: NetServer): void {
    const { maxConnections } = options;
    let told = Number.NEGATIVE_INFINITY;
    one.maxConnections = maxConnections;
    one.on('drop', () => {
      if (monotonic() - told < TELL_DROPS_MS) return;
      told = monotonic();
      log.warn(
        { maxConnections },
        'Connections are closed as they come: as many as may be are open; raise PARLANCE_MAX_CONNECTIONS',
      );
    });
  }

  async function listen(): Promise<string[]> {
    const [first = '127.0.0.1', ...others] = options.listen;
    try {
      await app.listen({ host: first, port: options.port });
      const { port } = server.address() as AddressInfo;
      const urls = [urlOf(first, port)];
      for (const host of others) {
        const side = await listenBeside(server, host, port);
        if (side === null) continue;
        boundConnections(side);
        sides.push(side);
        urls.push(urlOf(host, port));
      }
      return urls;
    } catch (error) {
      await close(0);
      throw error;
    }
  }

  function stop(): void {
    serve.stop();
    stopped ??= Promise.all([app.close(), ...sides.map((side) => new Promise((resolve) => side.close(resolve)))]);
  }

  async function close(graceMs: number): Promise<void> {
    stop();
    connections.closeAll();
    // Connections that were busy become idle, and nobody else closes them before their own time limit.
    const idle = setInterval(() => server.closeIdleConnections(), 50);
    const cancel = clock.after(graceMs, () => {
      connections.destroyAll();
      server.closeAllConnections();
    });
    await stopped;
    clearInterval(idle);
    cancel();
    metrics.close();
  }
}

const HTTP_OPTIONS: ServerOptions = {
  maxHeaderSize: MAX_HEAD,
  // Checked by `enter`, so that the answer has the dialect's shape.
  requireHostHeader: false,
  shouldUpgradeCallback: asksForSocket,
};

/** A second address for the same server. Null where the machine has no such address. */
async function listenBeside(server: Server, host: string, port: number): Promise<NetServer | null> {
  const side = createNetServer({ allowHalfOpen: true, noDelay: true }, (socket) => server.emit('connection', socket));
  try {
    await new Promise<void>((resolve, reject) => {
      side.once('error', reject);
      side.listen({ host, port, ipv6Only: host.includes(':') }, resolve);
    });
    return side;
  } catch (error) {
    if (NO_ADDRESS.has((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

function urlOf(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Ids for requests: the caller's own if it is sane, else one of ours, unique over restarts. */
function requestIds(): (given?: string | string[]) => string {
  const prefix = randomBytes(6).toString('hex');
  let count = 0;
  return (given) =>
    typeof given === 'string' && REQUEST_ID.test(given) ? given : `req-${prefix}-${(++count).toString(36)}`;
}
