/** `/openapi.json`: the route tables as an OpenAPI 3.1 document. Made once, when it is first asked for. */

import { z } from 'zod';
import { type ErrorCode, ServiceError } from '#core/errors.ts';
import type { Answer, Dialect, HttpRoute, Route } from './route.ts';

type Json = Record<string, unknown>;

/** An error every route of its kind can answer with; its body is made by the dialect itself. */
interface CommonError {
  code: ErrorCode;
  /** For whoever reads the document. */
  description: string;
  /** For whoever gets the error. */
  message: string;
  applies(dialect: Dialect, route: Route): boolean;
}

const takesBody = (_: Dialect, route: Route) => route.method !== 'SOCKET' && route.body !== undefined;
const takesInput = (dialect: Dialect, route: Route) =>
  takesBody(dialect, route) || route.params !== undefined || route.query !== undefined;
const isGuarded = (_: Dialect, route: Route) => route.method === 'SOCKET' || route.open === undefined;
const isCounted = (_: Dialect, route: Route) => route.method === 'SOCKET' || route.counts !== 'none';

const COMMON_ERRORS: CommonError[] = [
  { code: 'invalid_request', description: 'Bad input', message: 'limit: Must be a number.', applies: takesInput },
  {
    code: 'unauthorized',
    description: 'No key where one is needed, or a wrong one',
    message: 'The API key is unknown, revoked or expired.',
    applies: isGuarded,
  },
  {
    code: 'forbidden',
    description: 'A key of too small a scope, or a foreign Host or Origin',
    message: 'This needs a key with the scope "write".',
    applies: isGuarded,
  },
  {
    code: 'not_found',
    description: "Unknown, or somebody else's",
    message: 'Resource not found',
    applies: (_, route) => route.path.includes(':'),
  },
  {
    code: 'body_too_large',
    description: 'Too large a body',
    message: 'The body is larger than 8388608 bytes (PARLANCE_MAX_BODY).',
    applies: takesBody,
  },
  {
    code: 'unsupported_media_type',
    description: 'A body of another type',
    message: "Send JSON with -H 'Content-Type: application/json'.",
    applies: takesBody,
  },
  {
    code: 'rate_limited',
    description: 'Too many requests',
    message: 'Rate limit of 100 requests per minute reached.',
    applies: isCounted,
  },
  { code: 'internal', description: 'A fault of the server', message: 'Internal server error', applies: () => true },
];

/** Gives the document as JSON text. `dialects` is asked late, since the document describes itself too. */
export function createOpenApi(
  dialects: () => readonly Dialect[],
  facts: { version: string; publicUrl: string | null },
): () => string {
  let text: string | null = null;
  return () => {
    text ??= JSON.stringify(openApi(dialects(), facts));
    return text;
  };
}

/** The document as a value. */
export function openApi(
  dialects: readonly Dialect[],
  { version, publicUrl }: { version: string; publicUrl: string | null },
): Json {
  const schemas: Json = {};
  const paths: Record<string, Json> = {};
  /** Pattern with nameless parameters → the path as it was first spelled: OpenAPI takes two spellings for one path. */
  const spelled = new Map<string, string>();
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      const pattern = route.path.replace(/:[^/]+/g, ':');
      const path = spelled.get(pattern) ?? route.path.replace(/:([^/]+)/g, '{$1}');
      spelled.set(pattern, path);
      paths[path] ??= {};
      const method = route.method === 'SOCKET' ? 'get' : route.method.toLowerCase();
      (paths[path] as Json)[method] = operation(dialect, route, path, schemas);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Parlance',
      version,
      description:
        'A self-hosted conversation server: one history, many chat APIs. Every path answers with and without a trailing slash.',
    },
    ...(publicUrl === null ? {} : { servers: [{ url: publicUrl }] }),
    tags: dialects.map(({ name, title }) => ({ name, description: title })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description: 'An API key, as `Authorization: Bearer plk_…` or as it is.',
        },
        session: {
          type: 'apiKey',
          in: 'cookie',
          name: 'parlance_session',
          description:
            'The cookie of a signed-in browser (`__Host-parlance_session` over TLS); for pages of this server.',
        },
      },
    },
  };
}

function operation(dialect: Dialect, route: Route, path: string, schemas: Json): Json {
  const open = route.method !== 'SOCKET' && route.open === true;
  return {
    tags: [dialect.name],
    summary: route.summary,
    operationId: operationId(dialect, route),
    security: open
      ? []
      : [
          { key: [] },
          ...(dialect.standard === true ? [{ session: [] }] : []),
          ...(dialect.access === 'local' ? [{}] : []),
        ],
    'x-scope': route.scope,
    parameters: parameters(dialect, route, path, schemas),
    ...(route.method === 'SOCKET'
      ? { 'x-websocket': { maxFrame: route.maxFrame, frames: 'text' } }
      : requestBody(route, schemas)),
    responses: responses(dialect, route, schemas),
  };
}

function operationId({ name }: Dialect, { method, path }: Route): string {
  const words = [name, method.toLowerCase(), ...path.split('/')].map((word) => word.replace(/[^A-Za-z0-9]+/g, '_'));
  return words.filter((word) => word !== '').join('_');
}

function parameters(dialect: Dialect, route: Route, path: string, schemas: Json): Json[] {
  const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name as string);
  const own = [...route.path.matchAll(/:([^/]+)/g)].map(([, name]) => name as string);
  const described = properties(route.params, schemas);
  const query = properties(route.query, schemas);
  return [
    ...names.map((name, i) => ({
      name,
      in: 'path',
      required: true,
      schema: described.properties[own[i] ?? name] ?? { type: 'string' },
    })),
    ...Object.entries(query.properties).map(([name, schema]) => ({
      name,
      in: 'query',
      required: query.required.includes(name),
      schema,
    })),
    ...(route.method === 'SOCKET' || route.streams === true ? [TICKET] : []),
    ...(dialect.namesUser ? [header('X-User-ID', 'The user who is asking.')] : []),
    ...(route.method === 'SOCKET' || route.method === 'GET'
      ? []
      : [header('Idempotency-Key', 'Makes retrying safe: the same key and command give the same result for 24 h.')]),
  ];
}

const TICKET: Json = {
  name: 'ticket',
  in: 'query',
  required: false,
  description: 'Of POST /v1/tickets, for browsers, which can set no headers here.',
  schema: { type: 'string' },
};

function header(name: string, description: string): Json {
  return { name, in: 'header', required: false, description, schema: { type: 'string', maxLength: 255 } };
}

const MEDIA = {
  json: 'application/json',
  form: 'application/x-www-form-urlencoded',
  multipart: 'multipart/form-data',
} as const;

function requestBody(route: HttpRoute, schemas: Json): Json {
  if (route.body === undefined) return {};
  const content: Json = {};
  for (const type of route.bodyTypes ?? (['json'] as const)) {
    content[MEDIA[type]] = {
      schema: schemaOf(route.body, 'input', schemas),
      ...(route.example === undefined ? {} : { example: route.example }),
    };
  }
  return { requestBody: { required: !route.body.safeParse(undefined).success, content } };
}

function responses(dialect: Dialect, route: Route, schemas: Json): Json {
  const answers: Answer[] = route.method === 'SOCKET' ? [{ status: 101, description: 'The socket' }] : route.answers;
  const all: Json = {};
  for (const { status, description, schema, example, contentType } of answers) {
    const described = schema !== undefined || example !== undefined || contentType !== undefined;
    const content = {
      [contentType ?? 'application/json']: {
        ...(schema === undefined ? {} : { schema: schemaOf(schema, 'output', schemas) }),
        ...(example === undefined ? {} : { example }),
      },
    };
    all[status] = { description, ...(described ? { content } : {}) };
  }
  for (const { code, description, message, applies } of COMMON_ERRORS) {
    if (!applies(dialect, route)) continue;
    const { status, body } = dialect.error(new ServiceError(code, message));
    all[status] ??= { description, content: { 'application/json': { example: body } } };
  }
  return all;
}

function properties(schema: z.ZodType | undefined, schemas: Json): { properties: Json; required: string[] } {
  if (schema === undefined) return { properties: {}, required: [] };
  const json = schemaOf(schema, 'input', schemas);
  return { properties: (json.properties ?? {}) as Json, required: (json.required ?? []) as string[] };
}

/** A zod schema as JSON Schema; what it defines under a name is moved to the document's components. */
function schemaOf(schema: z.ZodType, io: 'input' | 'output', schemas: Json): Json {
  const { $schema: _, $defs, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json;
  const moved = (value: unknown) =>
    JSON.parse(JSON.stringify(value).replaceAll('"#/$defs/', '"#/components/schemas/')) as Json;
  for (const [name, definition] of Object.entries(($defs ?? {}) as Json)) schemas[name] = moved(definition);
  return moved(json);
}
