/** The server's own routes: sign-in, web app, health, metrics and documentation. Their error shape is also that of paths nobody claims. */

import { readFile } from 'node:fs/promises';
import { errorStatus, type ServiceError } from '#core/errors.ts';
import { inviteRoutes, type Redeem } from './invite.ts';
import { type Dialect, type Reply, type Route, route, type TextReply, type WireError } from './route.ts';
import { type SessionParts, sessionRoutes } from './session.ts';
import { webRoutes } from './static.ts';

/** Whether the server can do its work. */
export interface Health {
  ok: boolean;
  /** Each a sentence. */
  problems: string[];
}

export interface SystemParts extends SessionParts {
  /** Database reachable, migrations done, not draining. */
  health(): Promise<Health>;
  metrics(): Promise<{ text: string; contentType: string }>;
  /** The OpenAPI document as JSON text. */
  openapi(): string;
  redeem: Redeem;
  /** Where the web app is built; may not be there. */
  webFolder: string;
}

const PAGE_HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

/** The shape of `/v1`; `param` and `code` are texts, never null (one client drops the message otherwise). */
export function plainError(error: ServiceError): WireError {
  const status = errorStatus[error.code];
  const type = TYPES[status] ?? (status >= 500 ? 'server_error' : 'invalid_request_error');
  return {
    status,
    body: { error: { message: error.message, type, param: error.details.param ?? '', code: error.code } },
  };
}

const TYPES: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  429: 'rate_limit_error',
};

export function systemDialect(parts: SystemParts): Dialect {
  return {
    name: 'server',
    title: 'The server itself: sign-in, web app, health, metrics, documentation',
    claims: ['/v1/session', '/v1/users'],
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: [
      ...healthRoutes(parts),
      ...documentRoutes(parts),
      ...sessionRoutes(parts),
      ...inviteRoutes(parts),
      ...webRoutes(parts.webFolder),
    ],
  };
}

function healthRoutes({ health, metrics }: SystemParts): Route[] {
  return [
    route({
      method: 'GET',
      path: '/healthz',
      summary: 'Whether the server is alive',
      scope: 'read',
      counts: 'none',
      open: true,
      answers: [{ status: 200, description: 'It is', example: { status: 'ok' } }],
      handle: async () => ({ status: 200, body: { status: 'ok' } }),
    }),
    route({
      method: 'GET',
      path: '/readyz',
      summary: 'Whether the server can take work: database reachable, migrations done, not shutting down',
      scope: 'read',
      counts: 'none',
      open: true,
      answers: [
        { status: 200, description: 'It can', example: { status: 'ready' } },
        { status: 503, description: 'It cannot', example: { status: 'not ready', problems: ['Shutting down.'] } },
      ],
      async handle() {
        const { ok, problems } = await health();
        return ok
          ? { status: 200, body: { status: 'ready' } }
          : { status: 503, body: { status: 'not ready', problems } };
      },
    }),
    route({
      method: 'GET',
      path: '/metrics',
      summary: 'Metrics for Prometheus',
      scope: 'read',
      counts: 'none',
      answers: [{ status: 200, description: 'The metrics', contentType: 'text/plain' }],
      handle: async (): Promise<Reply> => ({ status: 200, ...(await metrics()) }),
    }),
  ];
}

function documentRoutes({ openapi }: SystemParts): Route[] {
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      summary: 'This API as an OpenAPI 3.1 document',
      scope: 'read',
      counts: 'none',
      answers: [{ status: 200, description: 'The document' }],
      handle: async (): Promise<Reply> => ({
        status: 200,
        text: openapi(),
        contentType: 'application/json; charset=utf-8',
        headers: { 'cache-control': 'no-cache' },
      }),
    }),
    page('/docs', 'The API documentation, to read', 'index.html', 'text/html; charset=utf-8'),
    page('/docs/docs.css', 'Its style', 'docs.css', 'text/css; charset=utf-8'),
    page('/docs/docs.js', 'Its script', 'docs.js', 'text/javascript; charset=utf-8'),
  ];
}

/** A file of the folder `docs`, read when it is first asked for. */
function page(path: string, summary: string, file: string, contentType: string): Route {
  let reply: Promise<TextReply> | null = null;
  return route({
    method: 'GET',
    path,
    summary,
    scope: 'read',
    counts: 'none',
    answers: [{ status: 200, description: 'The page', contentType }],
    handle() {
      reply ??= readFile(new URL(`docs/${file}`, import.meta.url), 'utf8').then((text) => ({
        status: 200,
        text,
        contentType,
        headers: PAGE_HEADERS,
      }));
      return reply;
    },
  });
}
