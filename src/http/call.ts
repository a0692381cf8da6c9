/** What a handler is given: everything decoded and checked. */

import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import { checkText } from './body.ts';
import type { Exchange } from './exchange.ts';
import { idempotencyKey, once } from './once.ts';
import type { Call, Route } from './route.ts';
import { checkBody, checkFields } from './validate.ts';

/** Makes the call of a request. Throws `invalid_request`. */
export function makeCall(
  exchange: Exchange,
  route: Route,
  principal: Principal,
  raw: unknown,
  digest: (text: string) => string,
): HttpCall {
  const { request } = exchange;
  checkTexts(request.params as Record<string, unknown>);
  checkTexts(request.query as Record<string, unknown>);
  const params = route.params === undefined ? request.params : checkFields(route.params, request.params);
  const query = route.query === undefined ? request.query : checkFields(route.query, request.query);
  if (route.method === 'SOCKET') return new HttpCall(exchange, principal, params, query, undefined, null);
  const body = route.body === undefined ? undefined : checkBody(route.body, raw);
  const key = route.method === 'GET' ? null : idempotencyKey(request.headers['idempotency-key']);
  if (key === null) return new HttpCall(exchange, principal, params, query, body, null);
  const said = exchange.dialect.namesUser ? { query: withoutUser(query), body: withoutUser(body) } : { query, body };
  const command = { method: route.method, path: route.path, params, ...said };
  return new HttpCall(exchange, principal, params, query, body, once(key, digest, command));
}

/** Who asks is no part of what is asked: a retry may name the same user in another place. */
function withoutUser(fields: unknown): unknown {
  if (typeof fields !== 'object' || fields === null) return fields;
  const { user_id: _, ...rest } = fields as Record<string, unknown>;
  return rest;
}

/** `body` has whatever type the route's schema gives it; undefined stands for any of them. */
class HttpCall implements Call<unknown, unknown, undefined> {
  readonly principal: Principal;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: undefined;
  readonly headers: Call['headers'];
  readonly once: Once | null;
  readonly #exchange: Exchange;
  #gone: AbortController | null = null;

  constructor(
    exchange: Exchange,
    principal: Principal,
    params: unknown,
    query: unknown,
    body: unknown,
    once: Once | null,
  ) {
    this.principal = principal;
    this.params = params;
    this.query = query;
    this.body = body as undefined;
    this.headers = exchange.request.headers;
    this.once = once;
    this.#exchange = exchange;
  }

  get address(): string {
    return this.#exchange.request.ip;
  }

  get signal(): AbortSignal {
    if (this.#gone === null) {
      const gone = new AbortController();
      const { res } = this.#exchange;
      this.#gone = gone;
      if (res.destroyed) gone.abort();
      else res.once('close', () => res.writableFinished || gone.abort());
    }
    return this.#gone.signal;
  }
}

/** Texts of a path or query; a repeated name has a list. */
function checkTexts(texts: Record<string, unknown>): void {
  for (const name in texts) {
    const text = texts[name];
    checkText(name);
    if (typeof text === 'string') checkText(text);
    else if (Array.isArray(text)) for (const one of text) checkText(String(one));
  }
}
