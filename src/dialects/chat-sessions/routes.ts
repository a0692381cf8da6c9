/** Dialect 1, `chat-sessions`: see README.md. */

import { nextLink } from '#http/link.ts';
import { type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { wholeAnswer } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { removeTrailingCommas as repairJson } from './decode.ts';
import { toLine, toLines, toSession } from './encode.ts';
import { toWireError } from './errors.ts';
import * as schema from './schema.ts';

const SESSION = { id: 1, title: 'new chat', is_active: 'true', created_at: '2024-01-01T00:00:00.000Z' };
const RENAMED = { ...SESSION, title: 'new chat updated' };
const LINES = [
  { id: '0198c7c1-5d00-7000-8000-5717b3fc2c96', sender: 'user', message: 'Hello', created_at: SESSION.created_at },
  { id: '0198c7c1-5d01-7000-8000-5717b3fc2c97', sender: 'ai', message: 'Hi!', created_at: SESSION.created_at },
];

export function chatSessions(services: Services): Dialect {
  return {
    name: 'chat-sessions',
    title: 'Chat Session API Spec',
    claims: ['/api/chat_sessions', '/api/chat_session', '/api/contacts'],
    access: 'key',
    namesUser: false,
    error: toWireError,
    routes: [...sessionRoutes(services), ...chatRoutes(services)],
  };
}

/** "Endpoint : PUT /api/contacts/:contactId", and the path a reader would expect. */
const RENAME_PATHS = ['/api/contacts/:sessionId', '/api/chat_sessions/:sessionId'];
/** "Endpoint : DELETE /api/chat_session/:chatSessionId", and the path a reader would expect. */
const REMOVE_PATHS = ['/api/chat_session/:sessionId', '/api/chat_sessions/:sessionId'];

function sessionRoutes({ conversations }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/chat_sessions',
      summary: 'Create a chat session, which becomes the active one',
      scope: 'write',
      counts: 'other',
      body: schema.titled,
      repairJson,
      example: { title: SESSION.title },
      answers: [{ status: 200, description: 'The session', schema: schema.one, example: { data: SESSION } }],
      handle: async ({ principal, body, once }) =>
        ok(toSession(await conversations.create(principal, { title: body.title, active: true }, once))),
    }),
    route({
      method: 'GET',
      path: '/api/chat_sessions',
      summary: 'List chat sessions, oldest first',
      scope: 'read',
      counts: 'other',
      query: schema.sessionsPage,
      answers: [
        {
          status: 200,
          description: 'The sessions',
          schema: schema.listed,
          example: { data: [SESSION], paging: { offset: 0, limit: 10 } },
        },
      ],
      async handle({ principal, query: { offset, limit } }) {
        const page = { order: 'created', direction: 'asc', offset, limit } as const;
        const { data } = await conversations.list(principal, page);
        return { status: 200, body: { data: data.map(toSession), paging: { offset, limit } } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/chat_sessions/:sessionId',
      summary: 'Get a chat session',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 200, description: 'The session', schema: schema.one, example: { data: SESSION } }],
      handle: async ({ principal, params }) => ok(toSession(await conversations.get(principal, params.sessionId))),
    }),
    ...RENAME_PATHS.map((path) =>
      route({
        method: 'PUT',
        path,
        summary: 'Update a chat session',
        scope: 'write',
        counts: 'other',
        params: schema.byId,
        body: schema.titled,
        repairJson,
        example: { title: RENAMED.title },
        answers: [{ status: 200, description: 'The session', schema: schema.one, example: { data: RENAMED } }],
        async handle({ principal, params, body, once }) {
          // What this dialect cannot show it does not change.
          toSession(await conversations.get(principal, params.sessionId));
          return ok(toSession(await conversations.update(principal, params.sessionId, { title: body.title }, once)));
        },
      }),
    ),
    ...REMOVE_PATHS.map((path) =>
      route({
        method: 'DELETE',
        path,
        summary: 'Remove a chat session',
        scope: 'write',
        counts: 'other',
        params: schema.byId,
        answers: [{ status: 200, description: 'It is removed', schema: schema.removed, example: { data: true } }],
        async handle({ principal, params, once }) {
          await conversations.remove(principal, params.sessionId, once);
          return ok(true);
        },
      }),
    ),
  ];
}

function chatRoutes({ conversations, messages, runs }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/chat_sessions/:sessionId/chat',
      summary: 'Send a message in a chat session, and get its answer',
      scope: 'write',
      counts: 'run',
      params: schema.byId,
      body: schema.newMessage,
      repairJson,
      example: { message: 'Hello' },
      answers: [{ status: 200, description: 'Message and answer', schema: schema.lines, example: { data: LINES } }],
      async handle({ principal, params, body, once }) {
        const message = { conversation: params.sessionId, text: body.message };
        const { input, answer, run } = await messages.send(principal, message, once);
        const { items } = wholeAnswer(await runs.result(principal, { run, turn: answer }));
        return ok([toLine(input), toLine({ ...answer, items })]);
      },
    }),
    route({
      method: 'GET',
      path: '/api/chat_sessions/:sessionId/chat',
      summary: 'Get the chat of a session, oldest first',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: schema.linesPage,
      answers: [{ status: 200, description: 'The chat', schema: schema.lines, example: { data: LINES } }],
      async handle({ principal, params, query }) {
        const { turns, before } = await conversations.history(principal, params.sessionId, query);
        const link = before && nextLink(`/api/chat_sessions/${params.sessionId}/chat`, { ...query, before });
        return { ...ok(toLines(turns)), ...(link && { headers: { link } }) };
      },
    }),
  ];
}

function ok(data: unknown): Reply {
  return { status: 200, body: { data } };
}
