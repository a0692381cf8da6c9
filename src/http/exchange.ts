/**
 * One request, from its head to its answer. The order of refusals is the order of the lines of `serve` (DESIGN.md,
 * "Routes are data"): malformed HTTP, Host/Origin 403, 401, scope 403, unknown path 404 and 405 (not counted), 429,
 * 413/415, 400, 404 of an id (counted).
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { WebSocketServer } from 'ws';
import { ServiceError } from '#core/errors.ts';
import type { Principal, Scope } from '#core/principal.ts';
import { type AccessRules, judge, keyOf, preflightHeaders, type Refused, type Visit } from './access.ts';
import { type BodyRules, checkText, discardBody, readBody, SenderGone } from './body.ts';
import type { Connections } from './connections.ts';
import type { RouteMeter } from './metrics.ts';
import { idempotencyKey, once } from './once.ts';
import type { Call, Dialect, HttpRoute, Reply, Route, SocketRoute } from './route.ts';
import { openStream } from './sse.ts';
import { checkBody, checkFields } from './validate.ts';
import { asksForSocket, checkHandshake, openSocket, upgrades } from './websocket.ts';
import { type Envelope, headersOf, writeAnswer } from './write.ts';

/** The service functions every request needs, whatever its route. */
export interface Gate {
  authenticate(presented: {
    key: string | null;
    local: boolean;
    access: 'key' | 'local';
    namesUser: boolean;
    users: string[];
    loose: boolean;
  }): Promise<Principal>;
  /** Counts a request; null where no limit applies; throws `rate_limited`. */
  admit(principal: Principal, bucket: Bucket): Envelope['admission'];
}

export type Bucket = 'run' | 'light';

/** What a logger must offer; pino does. */
export interface Log {
  debug(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

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

export interface ExchangeParts {
  gate: Gate;
  rules: AccessRules;
  connections: Connections;
  digest(text: string): string;
  log: Log;
  /** Milliseconds that only grow. */
  monotonic(): number;
}

/** A path that has no route for the method, or no route at all. */
export interface DeadEnd {
  dialect: Dialect;
  /** The methods it has; empty: an unknown path. */
  allow: readonly string[];
  meter: RouteMeter;
}

/** The longest request target taken, in characters. */
export const MAX_TARGET = 8192;
/** A refused Host or Origin is logged at most this often, in milliseconds. */
const REFUSAL_LOG_EVERY = 1000;
const NOBODY: Principal = {
  tenant: '',
  user: '',
  scopes: [],
  keyId: null,
  rates: null,
  keyless: false,
  findsKeyless: false,
};
const NO_USERS: string[] = [];

export type Exchanges = ReturnType<typeof createExchanges>;

export function createExchanges({ gate, rules, connections, digest, log, monotonic }: ExchangeParts) {
  let refusalLogged = Number.NEGATIVE_INFINITY;

  return { serve, refuse, begin, fail };

  /** Answers a request for a route of a table. Never throws. */
  async function serve(endpoint: Endpoint, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { dialect, route } = endpoint;
    const exchange = begin(request, reply, endpoint);
    try {
      const visit = enter(exchange);
      const users = dialect.namesUser ? usersOf(request) : NO_USERS;
      let principal = isOpen(route) ? NOBODY : await identify(exchange, visit, users);
      if (!isOpen(route)) requireScope(principal, route.scope);
      if (route.method === 'SOCKET') return await upgrade(exchange, endpoint, route, principal);
      if (asksForSocket(request.raw)) {
        throw new ServiceError('invalid_request', 'This path is not a WebSocket.', { param: 'upgrade' });
      }

      let body: unknown;
      if (route.body === undefined) {
        count(exchange, endpoint, principal);
      } else if (dialect.namesUser) {
        ({ principal, body } = await readNamed(exchange, endpoint, visit, principal, users));
      } else {
        count(exchange, endpoint, principal);
        body = await readBody(request.raw, reply.raw, endpoint.body);
      }
      const call = makeCall(exchange, route, principal, body);
      await answer(exchange, principal, await route.handle(call));
    } catch (error) {
      fail(exchange, error);
    }
  }

  /** Answers a request that no route takes: 405, or 404 in the shape of whoever claims the path. Never throws. */
  async function refuse(end: DeadEnd, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const exchange = begin(request, reply, end);
    try {
      const visit = enter(exchange);
      const { headers } = request;
      if (request.method === 'OPTIONS' && headers.origin !== undefined) {
        if (visit.refused?.header === 'Origin') throw forbid(exchange, visit.refused);
        const asked = headers['access-control-request-method'] !== undefined;
        if (asked && visit.cors !== null) return write(exchange, 204, preflightHeaders(headers));
      }
      await identify(exchange, visit, end.dialect.namesUser ? usersOf(request) : NO_USERS);
      if (end.allow.length === 0) throw new ServiceError('not_found', 'There is nothing at this path.');
      const allow = end.allow.join(', ');
      throw new ServiceError('method_not_allowed', `${request.method} is not allowed here. Allowed: ${allow}.`, {
        headers: { allow },
      });
    } catch (error) {
      fail(exchange, error);
    }
  }

  function begin(
    request: FastifyRequest,
    reply: FastifyReply,
    { dialect, meter }: Pick<Endpoint, 'dialect' | 'meter'>,
  ) {
    reply.hijack();
    return new Exchange(request, reply, dialect, meter, monotonic());
  }

  /** Refuses what no request should look like, then judges who may ask. */
  function enter(exchange: Exchange): Visit {
    const { raw } = exchange.request;
    if ((raw.url ?? '').length > MAX_TARGET) {
      exchange.status = 414;
      throw new ServiceError('invalid_request', `The request target is longer than ${MAX_TARGET} characters.`);
    }
    if (raw.url?.charCodeAt(0) !== SLASH)
      throw new ServiceError('invalid_request', 'The request target must be a path.');
    if (raw.headers.host === undefined ? raw.httpVersion !== '1.0' : hosts(raw.rawHeaders) > 1) {
      throw new ServiceError('invalid_request', 'Send exactly one Host header.', { param: 'host' });
    }
    const coding = raw.headers['transfer-encoding'];
    if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
      throw new ServiceError('invalid_request', 'The only Transfer-Encoding taken is chunked.', {
        param: 'transfer-encoding',
      });
    }
    const visit = judge(rules, raw.headers);
    exchange.cors = visit.cors;
    return visit;
  }

  /** Who is asking. A refused Host or Origin is forgiven to a valid key alone. */
  async function identify(exchange: Exchange, visit: Visit, users: string[]): Promise<Principal> {
    const { dialect, request } = exchange;
    const key = keyOf(request.headers.authorization);
    const { refused } = visit;
    if (refused !== null && key === null) throw forbid(exchange, refused);
    try {
      return await gate.authenticate({
        key,
        local: visit.local,
        access: dialect.access,
        namesUser: dialect.namesUser,
        users,
        loose: dialect.standard === true,
      });
    } catch (error) {
      const wrong = error instanceof ServiceError && error.code === 'unauthorized';
      throw refused !== null && wrong ? forbid(exchange, refused) : error;
    }
  }

  function forbid({ request, dialect }: Exchange, { header, value, setting }: Refused): ServiceError {
    const shown = value.slice(0, 200);
    const now = monotonic();
    if (now - refusalLogged >= REFUSAL_LOG_EVERY) {
      refusalLogged = now;
      log.warn(
        { requestId: request.id, dialect: dialect.name, client: request.ip, header, value: shown, setting },
        `Refused a request from a foreign ${header}; list it in ${setting} to allow it`,
      );
    }
    return new ServiceError(
      'forbidden',
      `${header} "${shown}" is not allowed here without a valid API key. To allow it, list it in ${setting}.`,
      { param: header.toLowerCase() },
    );
  }

  function count(exchange: Exchange, { bucket }: Endpoint, principal: Principal): void {
    if (bucket !== null) exchange.admission = gate.admit(principal, bucket);
  }

  /**
   * Reads the body where its user is named, maybe there alone: then the request is counted for that user after parsing,
   * and for the caller's own where it cannot be parsed.
   */
  async function readNamed(
    exchange: Exchange,
    endpoint: Endpoint,
    visit: Visit,
    caller: Principal,
    users: string[],
  ): Promise<{ principal: Principal; body: unknown }> {
    let counted = users.length > 0;
    if (counted) count(exchange, endpoint, caller);
    try {
      const body = await readBody(exchange.request.raw, exchange.res, endpoint.body);
      const named = (body as { user_id?: unknown } | null | undefined)?.user_id;
      const principal =
        typeof named === 'string' ? await identify(exchange, visit, [...users, checked(named)]) : caller;
      if (!counted) {
        counted = true;
        count(exchange, endpoint, principal);
      }
      return { principal, body };
    } catch (error) {
      if (!counted && isCounted(error)) count(exchange, endpoint, caller);
      throw error;
    }
  }

  function makeCall(exchange: Exchange, route: HttpRoute | SocketRoute, principal: Principal, raw: unknown): HttpCall {
    const { request } = exchange;
    checkTexts(request.params as Record<string, unknown>);
    checkTexts(request.query as Record<string, unknown>);
    const params = route.params === undefined ? request.params : checkFields(route.params, request.params);
    const query = route.query === undefined ? request.query : checkFields(route.query, request.query);
    if (route.method === 'SOCKET') return new HttpCall(exchange, principal, params, query, undefined, null);
    const body = route.body === undefined ? undefined : checkBody(route.body, raw);
    const key = route.method === 'GET' ? null : idempotencyKey(request.headers['idempotency-key']);
    const command = { method: route.method, path: route.path, params, query, body };
    return new HttpCall(exchange, principal, params, query, body, key === null ? null : once(key, digest, command));
  }

  /** Refuses what is no upgrade, then checks the call, then opens the socket. */
  async function upgrade(
    exchange: Exchange,
    endpoint: Endpoint,
    route: SocketRoute,
    principal: Principal,
  ): Promise<void> {
    const { request, res } = exchange;
    const { raw } = request;
    const handed = upgrades.get(raw);
    if (handed === undefined || endpoint.sockets === null) {
      throw new ServiceError('upgrade_required', 'This path is a WebSocket: connect with ws:// instead of http://.', {
        headers: { upgrade: 'websocket', connection: 'upgrade' },
      });
    }
    checkHandshake(raw);
    const call = makeCall(exchange, route, principal, undefined);
    await route.check?.(call);
    if (handed.socket.destroyed) return;
    exchange.finish(101);
    const context = {
      principal,
      connections,
      admit: () => void gate.admit(principal, endpoint.bucket ?? 'run'),
      once: (key: string, command: unknown) => frameOnce(key, route, command),
      failed: (error: unknown) => logFailure(exchange, error),
    };
    openSocket(endpoint.sockets, raw, res, handed, context, (out) => route.open(call, out));
  }

  function frameOnce(key: string, { path }: SocketRoute, body: unknown) {
    idempotencyKey(key);
    return once(key, digest, { method: 'SOCKET', path, params: null, query: null, body });
  }

  async function answer(exchange: Exchange, principal: Principal, reply: Reply): Promise<void> {
    if ('stream' in reply) {
      exchange.finish(200);
      const headers = headersOf(exchange, reply.headers);
      openStream(exchange.res, headers, reply, principal, connections, (error) => logFailure(exchange, error));
    } else if ('text' in reply) {
      write(exchange, reply.status, reply.headers, reply.text, reply.contentType);
    } else {
      write(exchange, reply.status, reply.headers, reply.body === undefined ? undefined : JSON.stringify(reply.body));
    }
  }

  function write(
    exchange: Exchange,
    status: number,
    headers?: Record<string, string>,
    text?: string,
    contentType?: string,
  ): void {
    discardBody(exchange.request.raw);
    exchange.finish(status);
    writeAnswer(exchange.res, status, headersOf(exchange, headers), text, contentType);
  }

  /** Answers with an error in the dialect's shape. What is no `ServiceError` is a 500 that says nothing, and a log line. */
  function fail(exchange: Exchange, thrown: unknown): void {
    const { res, dialect } = exchange;
    if (thrown instanceof SenderGone) {
      exchange.finish(499);
      return;
    }
    const error = thrown instanceof ServiceError ? thrown : new ServiceError('internal', 'Internal server error');
    if (error.code === 'internal') logFailure(exchange, thrown);
    if (res.headersSent || res.destroyed) {
      res.destroy();
      return;
    }
    const wire = dialect.error(error);
    const status = exchange.status ?? wire.status;
    write(exchange, status, error.details.headers, JSON.stringify(wire.body));
  }

  function logFailure({ request, dialect }: Exchange, error: unknown): void {
    log.error(
      {
        err: error,
        requestId: request.id,
        dialect: dialect.name,
        method: request.method,
        path: request.routeOptions.url,
      },
      'A request failed',
    );
  }
}

const SLASH = 0x2f;

/** The state of one request on its way. */
export class Exchange implements Envelope {
  readonly request: FastifyRequest;
  readonly res: FastifyReply['raw'];
  readonly dialect: Dialect;
  readonly requestId: string;
  cors: string | null = null;
  admission: Envelope['admission'] = null;
  /** A status the catalogue of errors has no code for. */
  status: number | null = null;
  readonly #meter: RouteMeter;
  readonly #since: number;

  constructor(request: FastifyRequest, reply: FastifyReply, dialect: Dialect, meter: RouteMeter, since: number) {
    this.request = request;
    this.res = reply.raw;
    this.dialect = dialect;
    this.requestId = request.id;
    this.#meter = meter;
    this.#since = since;
  }

  /** Counts the answer, when it is begun. */
  finish(status: number): void {
    this.#meter(status, this.#since);
  }
}

/** `body` has whatever type the route's schema gives it: undefined stands for any of them. */
class HttpCall implements Call<unknown, unknown, undefined> {
  readonly principal: Principal;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: undefined;
  readonly headers: Call['headers'];
  readonly once: Call['once'];
  readonly #res: FastifyReply['raw'];
  #gone: AbortController | null = null;

  constructor(
    { request, res }: Exchange,
    principal: Principal,
    params: unknown,
    query: unknown,
    body: unknown,
    once: Call['once'],
  ) {
    this.principal = principal;
    this.params = params;
    this.query = query;
    this.body = body as undefined;
    this.headers = request.headers;
    this.once = once;
    this.#res = res;
  }

  get signal(): AbortSignal {
    if (this.#gone === null) {
      const gone = new AbortController();
      const res = this.#res;
      this.#gone = gone;
      if (res.destroyed) gone.abort();
      else res.once('close', () => res.writableFinished || gone.abort());
    }
    return this.#gone.signal;
  }
}

function isOpen(route: Route): boolean {
  return route.method !== 'SOCKET' && route.open === true;
}

function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.includes(scope)) {
    throw new ServiceError('forbidden', `This needs a key with the scope "${scope}".`);
  }
}

/** "All that are given must agree" (DIALECTS.md, section 2): whoever the header and the query name. */
function usersOf(request: FastifyRequest): string[] {
  const header = request.headers['x-user-id'];
  const query = (request.query as { user_id?: unknown }).user_id;
  if (header === undefined && query === undefined) return NO_USERS;
  return [header, query]
    .flat()
    .filter((user) => typeof user === 'string')
    .map(checked);
}

function checked(user: string): string {
  checkText(user);
  return user;
}

/** 401 and 403 are not counted; nor is a body whose sender left. */
function isCounted(error: unknown): boolean {
  return (
    error instanceof ServiceError &&
    error.code !== 'unauthorized' &&
    error.code !== 'forbidden' &&
    error.code !== 'rate_limited'
  );
}

/** How many Host headers there are. */
function hosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}

/** Texts of a path or query; a repeated name gives a list. */
function checkTexts(texts: Record<string, unknown>): void {
  for (const name in texts) {
    const text = texts[name];
    if (typeof text === 'string') checkText(text);
    else if (Array.isArray(text)) for (const one of text) checkText(String(one));
    checkText(name);
  }
}
