/**
 * From the head of a request to its answer. The order of refusals is the order of the lines (DESIGN.md, "Routes are
 * data"): malformed HTTP, Host/Origin 403, 401, scope 403, unknown path 404 and 405 (not counted), 429, 413/415, 400,
 * 404 of an id (counted).
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocketServer } from 'ws';
import { ServiceError } from '#core/errors.ts';
import type { Principal } from '#core/principal.ts';
import { preflightHeaders } from './access.ts';
import { type BodyRules, checkText, readBody } from './body.ts';
import { makeCall } from './call.ts';
import type { Connections } from './connections.ts';
import { Exchange, type Log } from './exchange.ts';
import { type Bucket, type Gate, type Gatekeeper, namedUsers, type Opens, requireScope } from './gate.ts';
import type { RouteMeter } from './metrics.ts';
import { idempotencyKey, once } from './once.ts';
import type { Dialect, Reply, Route, SocketRoute } from './route.ts';
import { openStream } from './sse.ts';
import { asksForSocket, checkHandshake, openSocket, upgrades } from './websocket.ts';
import { headersOf } from './write.ts';

/** A route as it is served: what can be known before any request is. */
export interface Endpoint {
  dialect: Dialect;
  route: Route;
  body: BodyRules;
  /** Null: free. */
  bucket: Bucket | null;
  meter: RouteMeter;
  /** For a socket route. */
  sockets: WebSocketServer | null;
}

/** A path that has no route for the method, or no route at all. */
export interface DeadEnd {
  dialect: Dialect;
  /** The methods it has; empty: an unknown path. */
  allow: readonly string[];
  meter: RouteMeter;
}

/** Whoever asks for what is open to anybody: may do nothing. */
const NOBODY: Principal = {
  tenant: '',
  user: '',
  scopes: [],
  keyId: null,
  rates: null,
  keyless: false,
  findsKeyless: false,
};

export type Serve = ReturnType<typeof createServe>;

export function createServe(parts: {
  gate: Gate;
  keeper: Gatekeeper;
  connections: Connections;
  digest(text: string): string;
  log: Log;
  monotonic(): number;
}) {
  const { gate, keeper, connections, digest, log, monotonic } = parts;
  let stopping = false;

  return { serve, refuse, malformed, stop };

  /** From now on requests are refused: the server is going down. */
  function stop(): void {
    stopping = true;
  }

  /** Answers a request for a route of a table. Never throws. */
  async function serve(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { dialect, route } = endpoint;
    const exchange = begin(request, reply, endpoint);
    /** Whom to count the request for if it fails before it is known who it is for. */
    let uncounted: Principal | null = null;
    try {
      const visit = gate.enter(exchange);
      let principal = NOBODY;
      let users: string[] = [];
      const changes = route.method !== 'GET' || route.scope !== 'read';
      if (route.method === 'SOCKET' || route.open !== true) {
        users = namedUsers(exchange);
        const identifying = gate.identify(exchange, visit, users, { changes, opens: opensOf(route) });
        if (route.method !== 'SOCKET' && route.open === 'unless-known') principal = await identifying.catch(orNobody);
        else {
          principal = await identifying;
          requireScope(principal, route.scope);
        }
        if (stopping) throw shuttingDown();
      }
      if (route.method === 'SOCKET') {
        await upgrade(exchange, endpoint, route, principal);
        return;
      }
      if (asksForSocket(request.raw)) {
        throw new ServiceError('invalid_request', 'This path is not a WebSocket.', { param: 'upgrade' });
      }

      let body: unknown;
      // A user who is named in the body, and maybe there alone, is the one to count the request for.
      if (dialect.namesUser && route.body !== undefined && users.length === 0) uncounted = principal;
      else count(exchange, endpoint, principal);
      if (route.body !== undefined) {
        body = readBody(request.raw, reply.raw, endpoint.body);
        if (body instanceof Promise) body = await body;
        const named = dialect.namesUser ? userOf(body) : null;
        if (named !== null)
          principal = await gate.identify(exchange, visit, [...users, named], { changes, opens: null });
      }
      if (uncounted !== null) {
        uncounted = null;
        count(exchange, endpoint, principal);
      }
      const call = makeCall(exchange, route, principal, body, digest);
      if (route.counts !== 'run') {
        const given = await route.handle(call);
        if ('stream' in given) connections.check(principal);
        answer(exchange, principal, given);
        return;
      }
      // Refused before anything is started; held until the answer is written, or its stream is open.
      connections.wait(principal);
      try {
        answer(exchange, principal, await route.handle(call));
      } finally {
        connections.waited(principal);
      }
    } catch (error) {
      exchange.fail(uncounted === null ? error : countFailed(exchange, endpoint, uncounted, error));
    }
  }

  /** Answers a request that no route takes: 405, or 404 in the shape of whoever claims the path. Never throws. */
  async function refuse(end: DeadEnd, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const exchange = begin(request, reply, end);
    try {
      const visit = gate.enter(exchange);
      if (request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined) {
        // A preflight never has a key.
        if (visit.refused?.header === 'Origin') throw gate.forbid(exchange, visit.refused);
        if (visit.cors !== null) {
          exchange.write(204, preflightHeaders(request.headers));
          return;
        }
      }
      await gate.identify(exchange, visit, namedUsers(exchange), { changes: false, opens: null });
      if (end.allow.length === 0) throw new ServiceError('not_found', 'There is nothing at this path.');
      const allow = end.allow.join(', ');
      throw new ServiceError('method_not_allowed', `${request.method} is not allowed here. Allowed: ${allow}.`, {
        headers: { allow },
      });
    } catch (error) {
      exchange.fail(error);
    }
  }

  /** Answers a request whose path cannot be decoded, whoever asks. */
  function malformed(end: DeadEnd, request: FastifyRequest, reply: FastifyReply): void {
    const message = 'The path is not a valid URL: check its percent-encoding.';
    begin(request, reply, end).fail(new ServiceError('invalid_request', message));
  }

  function begin(request: FastifyRequest, reply: FastifyReply, { dialect, meter }: DeadEnd | Endpoint): Exchange {
    return new Exchange(request, reply, { dialect, meter, since: monotonic(), log });
  }

  function count(exchange: Exchange, { bucket }: Endpoint, principal: Principal): void {
    if (bucket !== null) exchange.admission = keeper.admit(principal, bucket);
  }

  /** Counts a request that failed. Gives what it failed with: the refusal of the limit goes first. */
  function countFailed(exchange: Exchange, endpoint: Endpoint, principal: Principal, error: unknown): unknown {
    if (!(error instanceof ServiceError) || UNCOUNTED.has(error.code)) return error;
    try {
      count(exchange, endpoint, principal);
      return error;
    } catch (refusal) {
      return refusal;
    }
  }

  /** Refuses what is no upgrade, then checks the call, then opens the socket. */
  async function upgrade(
    exchange: Exchange,
    endpoint: Endpoint,
    route: SocketRoute,
    principal: Principal,
  ): Promise<void> {
    const { res } = exchange;
    const { raw } = exchange.request;
    const handed = upgrades.get(raw);
    if (handed === undefined || endpoint.sockets === null) {
      throw new ServiceError('upgrade_required', 'This path is a WebSocket: connect with ws:// instead of http://.', {
        headers: { upgrade: 'websocket', connection: 'upgrade' },
      });
    }
    checkHandshake(raw);
    const call = makeCall(exchange, route, principal, undefined, digest);
    await route.check?.(call);
    if (handed.socket.destroyed) return;
    connections.check(principal);
    exchange.begun(101);
    const context = {
      principal,
      connections,
      lifetimeMs: route.lifetimeMs ?? Number.POSITIVE_INFINITY,
      admit: () => void keeper.admit(principal, endpoint.bucket ?? 'run'),
      once: (given: string, frame: unknown) => {
        const key = idempotencyKey(given) ?? '';
        return once(key, digest, { method: 'SOCKET', path: route.path, params: null, query: null, body: frame });
      },
      failed: (error: unknown) => exchange.logFailure(error),
    };
    openSocket(endpoint.sockets, raw, res, handed, context, (out) => route.open(call, out));
  }

  function answer(exchange: Exchange, principal: Principal, reply: Reply): void {
    if ('stream' in reply) {
      exchange.begun(200);
      const headers = headersOf(exchange, reply.headers);
      openStream(exchange.res, headers, reply, principal, connections, (error) => exchange.logFailure(error));
    } else if ('text' in reply) {
      exchange.write(reply.status, reply.headers, reply.text, reply.contentType);
    } else if ('bytes' in reply) {
      exchange.write(reply.status, reply.headers, reply.bytes, reply.contentType);
    } else {
      const text = reply.body === undefined ? undefined : JSON.stringify(reply.body);
      exchange.write(reply.status, reply.headers, text);
    }
  }
}

/** Whoever shows nothing is nobody; what they do show must be right. */
function orNobody(error: unknown): Principal {
  if (error instanceof ServiceError && error.code === 'key_required') return NOBODY;
  throw error;
}

/** What a ticket would be for, where the route takes one. */
function opensOf(route: Route): Opens | null {
  if (route.method === 'SOCKET') return 'socket';
  return route.streams === true ? 'stream' : null;
}

function shuttingDown(): ServiceError {
  return new ServiceError('overloaded', 'The server is shutting down. Try again in a moment.', {
    headers: { 'retry-after': '5' },
  });
}

/** "401, 403 … are not counted" (DIALECTS.md, Rules for every dialect). */
const UNCOUNTED = new Set(['key_required', 'unauthorized', 'forbidden']);

/** The user a body names. */
function userOf(body: unknown): string | null {
  const named = (body as { user_id?: unknown } | null | undefined)?.user_id;
  if (typeof named !== 'string') return null;
  checkText(named);
  return named;
}
