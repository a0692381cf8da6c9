/**
 * Every route of the server as the walker calls it. The route table itself is read from the composition root; what no
 * table says is here: which of a route's fields hold ids, and what the others take. A route or field that is not here
 * fails the test by its name, so that a new one is covered or seen.
 */

import { z } from 'zod';
import { frame as chatFrame } from '../../src/dialects/conversations/schema.ts';
import { frame as responseFrame } from '../../src/dialects/openai-responses/schema.ts';
import { accessRules } from '../../src/http/access.ts';
import type { Dialect, HttpRoute, Route } from '../../src/http/route.ts';
import { systemDialect } from '../../src/http/system.ts';
import { dialectsOf } from '../../src/main.ts';
import type { Services } from '../../src/service/services.ts';

/** What an id names. A message is an entry, an answer or an input: whatever has an id within a conversation. */
export type Kind = 'conversation' | 'message' | 'item';

/** Where an id can stand. */
export interface IdField {
  place: 'params' | 'query' | 'body' | 'frame';
  name: string;
  /** Each of these is tried there. */
  kinds: Kind[];
  /** Of a socket: the frame it stands in. */
  frame?: Record<string, unknown>;
  /** What an unknown id gives there where that is not what the route says. */
  unknown?: number;
}

interface Facts {
  ids?: IdField[];
  /** A body that is taken, ids aside. */
  body?: Record<string, unknown>;
  /** Fields that hold no ids: of queries, bodies and frames. */
  plain?: string[];
  /** It wants a user to be named by keyless calls. */
  needsUser?: true;
  /** It can start an inference. */
  asks?: true;
  /** What an unknown id gives where that is not 404. */
  unknown?: number;
}

/** A route with all that is known of it. */
export interface KnownRoute {
  name: string;
  dialect: Dialect;
  route: Route;
  ids: IdField[];
  body: Record<string, unknown> | undefined;
  needsUser: boolean;
  asks: boolean;
  unknown: number;
}

const param = (name: string, ...kinds: Kind[]): IdField => ({ place: 'params', name, kinds });
const chat = [param('chat_id', 'conversation')];
const session = [param('sessionId', 'conversation')];
const conversation = [param('conversation_id', 'conversation')];
const id = [param('id', 'conversation')];
const chatOrEntry = [param('id', 'conversation', 'message')];
const page = ['limit', 'offset', 'before', 'after'];
const listed = ['limit', 'order', 'after'];
/** A cursor names a conversation too, but what it gives is the caller's own list. */
const named = ['user_id'];
const response = [param('id', 'message')];
/** What an item of `input` refers to is tested with that dialect. */
const responsePlain = `type id name tools mode input model instructions stream store background tool_choice
  parallel_tool_calls max_tool_calls max_output_tokens temperature top_p presence_penalty frequency_penalty top_logprobs
  reasoning effort summary text format description schema strict verbosity truncation metadata service_tier
  safety_identifier prompt_cache_key prompt`.split(/\s+/);

const KNOWN: Record<string, Facts> = {
  'POST /api/chat': { body: { title: 'Mine' }, plain: ['title', 'messages'] },
  'GET /api/chat': { plain: page },
  'DELETE /api/chat': {},
  'GET /api/chat/:chat_id': { ids: chat },
  'PATCH /api/chat/:chat_id': { ids: chat, body: { title: 'Taken' }, plain: ['title'] },
  'DELETE /api/chat/:chat_id': { ids: chat },
  'GET /api/chat/:chat_id/messages': { ids: chat, plain: page },
  'POST /api/chat/:chat_id/messages': { ids: chat, body: { content: 'Hi' }, plain: ['content'], asks: true },

  'POST /api/chat_sessions': { body: { title: 'Mine' }, plain: ['title'] },
  'GET /api/chat_sessions': { plain: page },
  'GET /api/chat_sessions/:sessionId': { ids: session },
  'PUT /api/contacts/:sessionId': { ids: session, body: { title: 'Taken' }, plain: ['title'] },
  'PUT /api/chat_sessions/:sessionId': { ids: session, body: { title: 'Taken' }, plain: ['title'] },
  'DELETE /api/chat_session/:sessionId': { ids: session },
  'DELETE /api/chat_sessions/:sessionId': { ids: session },
  'POST /api/chat_sessions/:sessionId/chat': { ids: session, body: { message: 'Hi' }, plain: ['message'], asks: true },
  'GET /api/chat_sessions/:sessionId/chat': { ids: session, plain: page },

  'POST /chat': {
    ids: [{ place: 'body', name: 'conversation_id', kinds: ['conversation'] }],
    body: { message: 'Hi' },
    plain: ['message', ...named],
    needsUser: true,
    asks: true,
  },
  'GET /conversations': { plain: [...page, ...named], needsUser: true },
  'GET /conversations/:conversation_id': { ids: conversation, plain: [...page, ...named] },
  'DELETE /conversations/:conversation_id': { ids: conversation, plain: named },
  'SOCKET /ws': {
    ids: [
      { place: 'frame', name: 'conversation_id', kinds: ['conversation'], frame: { type: 'message', content: 'Hi' } },
      { place: 'frame', name: 'message_id', kinds: ['message'], frame: { type: 'resume', after: 0 } },
      { place: 'frame', name: 'message_id', kinds: ['message'], frame: { type: 'stop' } },
    ],
    plain: [...named, 'stream', 'type', 'content', 'after', 'idempotency_key'],
    needsUser: true,
    asks: true,
  },

  'GET /chats': { plain: page },
  'GET /chats/:id': { ids: id },
  'POST /chats/create': { body: { name: 'Mine' }, plain: ['name'] },
  'PUT /chats/update/:id': { ids: id, body: { name: 'Taken' }, plain: ['name', 'updated_at'] },
  'DELETE /chats/delete/:id': { ids: id },
  'GET /chats/:id/conversations': { ids: id, plain: page },
  'POST /conversations/create': {
    ids: [{ place: 'body', name: 'chat_id', kinds: ['conversation'] }],
    body: { role: 'Human', message: 'Put in' },
    plain: ['role', 'message'],
  },
  'GET /conversations/inference/:id': { ids: chatOrEntry, asks: true },
  'GET /conversations/inference_internet/:id': { ids: chatOrEntry, asks: true },

  'POST /ask': {
    ids: [
      { place: 'body', name: 'conversation_id', kinds: ['conversation'] },
      { place: 'query', name: 'conversation_id', kinds: ['conversation'] },
    ],
    body: { prompt: 'Hi' },
    plain: ['prompt'],
    asks: true,
  },
  'DELETE /conversation/:conversation_id': { ids: conversation },

  // A conversation of somebody else's in `X-Conversation-ID` makes one of one's own: tested with that dialect.
  'POST /v1/chat/completions': {
    body: { messages: [{ role: 'user', content: 'Hi' }] },
    plain: `model messages stream stream_options include_usage store tools n web_search_options`.split(' '),
    asks: true,
  },
  'POST /v1/responses': {
    ids: [
      { place: 'body', name: 'conversation', kinds: ['conversation'] },
      { place: 'body', name: 'previous_response_id', kinds: ['message'], unknown: 400 },
    ],
    body: { input: 'Hi' },
    plain: responsePlain,
    asks: true,
  },
  'SOCKET /v1/responses': {
    ids: [
      {
        place: 'frame',
        name: 'conversation',
        kinds: ['conversation'],
        frame: { type: 'response.create', input: 'Hi' },
      },
      {
        place: 'frame',
        name: 'previous_response_id',
        kinds: ['message'],
        frame: { type: 'response.create', input: 'Hi' },
      },
    ],
    plain: [...responsePlain, 'idempotency_key'],
    asks: true,
  },
  'POST /v1/responses/input_tokens': {
    ids: [
      { place: 'body', name: 'conversation', kinds: ['conversation'] },
      { place: 'body', name: 'previous_response_id', kinds: ['message'], unknown: 400 },
    ],
    body: { input: 'Hi' },
    plain: ['id', 'model', 'input', 'instructions', 'tools'],
  },
  'POST /v1/responses/compact': {
    ids: [{ place: 'body', name: 'previous_response_id', kinds: ['message'], unknown: 400 }],
    body: { model: 'test-model', input: 'Hi' },
    plain: ['model', 'input', 'instructions'],
    asks: true,
  },
  'GET /v1/responses/:id': { ids: response, plain: ['stream', 'starting_after'] },
  'DELETE /v1/responses/:id': { ids: response },
  'POST /v1/responses/:id/cancel': { ids: response },
  'GET /v1/responses/:id/input_items': { ids: response, plain: [...page, 'order'] },
  'POST /v1/responses/:id/continue': { ids: response, body: {}, plain: ['model', 'stream'], asks: true },
  'POST /v1/responses/:id/retry': { ids: response, body: {}, plain: ['model', 'stream'], asks: true },
  'GET /v1/models': {},
  'GET /v1/models/:id': { plain: ['id'] },

  // The client makes its own ids: one of somebody else's makes one of one's own. Tested with that dialect.
  'POST /ui/chat': {
    body: { id: 'mine', message: { id: 'hi', role: 'user', parts: [{ type: 'text', text: 'Hi' }] } },
    plain: [
      'id',
      'message',
      'messages',
      'role',
      'parts',
      'trigger',
      'messageId',
      'model',
      'assistant',
      'webSearch',
      'tools',
      'approvals',
    ],
    asks: true,
  },
  'GET /ui/chat/:id/stream': { ids: id, unknown: 204 },
  'GET /ui/chat/:id': { ids: id, plain: page },
  'POST /ui/chat/:id/stop': { ids: id },

  'POST /v1/conversations': { body: { title: 'Mine' }, plain: ['items', 'metadata', 'title', 'assistant'] },
  'GET /v1/conversations': { plain: [...listed, 'archived', 'query', 'sort'] },
  'GET /v1/conversations/:conversation_id': { ids: conversation },
  'POST /v1/conversations/:conversation_id': {
    ids: [...conversation, { place: 'body', name: 'head', kinds: ['item'] }],
    body: { title: 'Taken' },
    plain: ['metadata', 'title', 'archived', 'assistant', 'branch_end'],
  },
  'DELETE /v1/conversations/:conversation_id': { ids: conversation },
  'POST /v1/conversations/:conversation_id/fork': {
    ids: [...conversation, { place: 'body', name: 'item_id', kinds: ['item'] }],
    body: {},
  },
  'GET /v1/conversations/:conversation_id/items': { ids: conversation, plain: listed },
  'POST /v1/conversations/:conversation_id/items': {
    ids: conversation,
    body: { items: [{ type: 'message', role: 'user', content: 'Put in' }] },
    plain: ['items'],
  },
  'GET /v1/conversations/:conversation_id/items/:item_id': { ids: [...conversation, param('item_id', 'item')] },
  'DELETE /v1/conversations/:conversation_id/items/:item_id': { ids: [...conversation, param('item_id', 'item')] },

  'GET /v1/assistants': {},
  'GET /v1/usage': { plain: ['from', 'to', 'user', 'all'] },
  // One's own feed; a number in somebody else's names nothing in it.
  'GET /v1/changes': { plain: ['since', 'limit'] },
  // A ticket stands for whoever asks, so a path of somebody else's leads nowhere: tested with that dialect.
  'POST /v1/tickets': { body: { path: '/v1/changes' }, plain: ['path'] },
  // Keys are of a tenant: another tenant's are tested with that dialect.
  'POST /v1/keys': {
    body: { user: 'made-by-the-walker' },
    plain: ['user', 'kind', 'name', 'scopes', 'rates', 'per_minute', 'per_hour', 'expires_at'],
  },
  'GET /v1/keys': { plain: listed },
  'DELETE /v1/keys/:key_id': { plain: ['key_id'] },
  'POST /v1/invites': { body: { name: 'made-by-the-walker' }, plain: ['name'] },

  'GET /healthz': {},
  'GET /readyz': {},
  'GET /metrics': {},
  'GET /openapi.json': {},
  'GET /invite/:token': { plain: ['token'] },
  'POST /invite/:token': { plain: ['token'] },
  // A try of a stranger's to sign in is refused: they are no page of this server. Tested in test/http/session.test.ts.
  'GET /v1/session': {},
  'POST /v1/session': { body: { key: 'plk_' }, plain: ['key'] },
  'DELETE /v1/session': {},
  'GET /v1/users': { plain: page },

  'GET /': {},
  'GET /c/:id': { plain: ['id'] },
  'GET /assets/:file': { plain: ['file'] },
  'GET /docs': {},
  'GET /docs/docs.css': {},
  'GET /docs/docs.js': {},
};

/** The tables of all dialects, and the server's own. Nothing is called, so nothing needs to be there. */
function allDialects(): Dialect[] {
  const nothing = async () => {
    throw new Error('The walker calls no handler.');
  };
  const system = systemDialect({
    health: nothing,
    metrics: nothing,
    openapi: () => '',
    redeem: nothing,
    rules: accessRules({ listen: [], local: false, hosts: [], origins: [], publicUrl: null }),
    sessions: { signIn: nothing, open: nothing, close: nothing, admitTry: nothing },
    listUsers: nothing,
    models: () => ({ default: null, guide: false, problem: null, providers: [], not_found: [] }),
    version: '0',
    webFolder: '/nowhere',
  });
  return [...dialectsOf({} as Services), system];
}

/** Every route, and what is wrong with the walker's own table: sentences. */
export function knownRoutes(): { routes: KnownRoute[]; problems: string[] } {
  const problems: string[] = [];
  const routes: KnownRoute[] = [];
  for (const dialect of allDialects()) {
    for (const route of dialect.routes) {
      const name = `${route.method} ${route.path}`;
      const facts = KNOWN[name];
      if (facts === undefined) {
        problems.push(
          `${name} (${dialect.name}): the walker does not know this route. Add it to test/access/routes.ts.`,
        );
        continue;
      }
      const { ids = [], body, plain = [], needsUser = false, asks = false, unknown = 404 } = facts;
      const known = new Set([...ids.map((field) => field.name), ...plain]);
      for (const field of fieldsOf(route)) {
        if (!known.has(field))
          problems.push(`${name} (${dialect.name}): is "${field}" an id? test/access/routes.ts must say.`);
      }
      if (route.method !== 'SOCKET' && (route.body === undefined) !== (body === undefined)) {
        problems.push(`${name} (${dialect.name}): test/access/routes.ts must have a body for it, or none.`);
      }
      routes.push({ name, dialect, route, ids, body, needsUser, asks, unknown });
    }
  }
  const names = new Set(routes.map(({ name }) => name));
  for (const name of Object.keys(KNOWN)) if (!names.has(name)) problems.push(`${name}: the server has no such route.`);
  return { routes, problems };
}

/** The names of all that a caller may send: parameters, query, body, and frames. */
function fieldsOf(route: Route): string[] {
  const params = [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? '');
  const schemas = [route.params, route.query, (route as HttpRoute).body];
  if (route.method === 'SOCKET') schemas.push(route.path === '/ws' ? chatFrame : responseFrame);
  return [...params, ...schemas.flatMap((schema) => (schema === undefined ? [] : propertiesOf(schema)))];
}

function propertiesOf(schema: z.ZodType): string[] {
  const names = new Set<string>();
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    const { properties, anyOf = [], oneOf = [], allOf = [] } = node as Record<string, object | unknown[]>;
    for (const [name, inner] of Object.entries(properties ?? {})) {
      names.add(name);
      walk(inner);
    }
    for (const inner of [anyOf, oneOf, allOf].flat()) walk(inner);
  };
  walk(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }));
  return [...names];
}

/** One call of a route, ready to be sent. */
export interface WalkCall {
  method: string;
  path: string;
  body: string | undefined;
  contentType: string | undefined;
}

/**
 * A route's call with an id in one of its fields; other parameters of its path name what nobody has. A route that takes
 * forms gives one call for each way to write its body.
 */
export function callsOf({ route, body }: KnownRoute, field: IdField | null, value: string | number): WalkCall[] {
  const at = (place: IdField['place']) => (field !== null && field.place === place ? { [field.name]: value } : {});
  const path = route.path.replace(/:(\w+)/g, (_, name) =>
    encodeURIComponent(String(field?.place === 'params' && field.name === name ? value : UNKNOWN)),
  );
  const query = new URLSearchParams(at('query') as Record<string, string>).toString();
  const call = { method: route.method, path: query === '' ? path : `${path}?${query}` };
  if (body === undefined) return [{ ...call, body: undefined, contentType: undefined }];
  const fields = { ...body, ...at('body') };
  const calls = [{ ...call, body: JSON.stringify(fields), contentType: 'application/json' }];
  if (route.method !== 'SOCKET' && route.bodyTypes?.includes('form')) {
    const form = new URLSearchParams(
      Object.entries(fields).map(([name, text]): [string, string] => [name, String(text)]),
    ).toString();
    calls.push({ ...call, body: form, contentType: 'application/x-www-form-urlencoded' });
  }
  return calls;
}

/** Ids that nobody has. */
export const UNKNOWN = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
export const UNKNOWN_NUMBER = 987_654_321;
