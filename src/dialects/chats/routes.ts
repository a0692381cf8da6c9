/** Dialect 3, `chats`: see README.md. */

import type { Conversation } from '#core/conversation.ts';
import { formatCursor } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import { nextLink } from '#http/link.ts';
import { type Answer, type Call, type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { sinkTo } from '#http/run-stream.ts';
import { lastEventOf } from '#service/follow-run.ts';
import type { Services } from '#service/services.ts';
import { parseAfter, parseLastEventId, parseTime } from './decode.ts';
import { createEncoder, toChat, toEntry } from './encode.ts';
import { toWireError } from './errors.ts';
import * as schema from './schema.ts';

const CHAT = {
  id: '3fa85f64-5717-4562-b3fc-2c963f66afa6',
  name: 'Chat 1',
  created_at: '2023-08-05T14:48:00.000Z',
  updated_at: '2023-08-05T14:48:00.000Z',
};
const ENTRY = {
  id: '0198c7c1-5d00-7000-8000-5717b3fc2c96',
  role: 'Human',
  chat_id: CHAT.id,
  message: 'Hello',
  created_at: CHAT.created_at,
  updated_at: CHAT.updated_at,
};
const STREAM = [
  'id: 4\ndata: Hello\n\n',
  `id: 6\nevent: done\ndata: {"conversation_id":"${ENTRY.id}","chat_id":"${CHAT.id}","finish_reason":"stop","sources":[]}\n\n`,
].join('');

export function chats(services: Services): Dialect {
  return {
    name: 'chats',
    title: 'Chat API (chats and SSE inference)',
    claims: ['/chats', '/conversations/create', '/conversations/inference', '/conversations/inference_internet'],
    access: 'local',
    namesUser: true,
    error: toWireError,
    routes: routes(services),
  };
}

function routes({ conversations, messages, runs }: Services): Route[] {
  return [
    route({
      method: 'GET',
      path: '/chats',
      summary: 'List chats, newest activity first',
      scope: 'read',
      counts: 'other',
      query: schema.page,
      answers: [answer(200, 'The chats', schema.chat.array(), [CHAT])],
      async handle({ principal, query }) {
        const after = parseAfter(query.after);
        const { limit } = query;
        const page = await conversations.list(principal, {
          order: 'activity',
          direction: 'desc',
          after,
          ...(limit && { limit }),
        });
        const link = page.next && nextLink('/chats/', { ...query, after: formatCursor(page.next) });
        return { status: 200, body: page.data.map(toChat), ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'GET',
      path: '/chats/:id',
      summary: 'Get a chat',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      answers: [answer(200, 'The chat', schema.chat, CHAT)],
      handle: async ({ principal, params }) => ok(await conversations.get(principal, params.id)),
    }),
    route({
      method: 'POST',
      path: '/chats/create',
      summary: 'Create a chat with a name',
      scope: 'write',
      counts: 'other',
      body: schema.newChat,
      example: { name: 'Chat 1' },
      answers: [answer(201, 'The chat', schema.chat, CHAT)],
      async handle({ principal, body, once }) {
        const made = await conversations.create(principal, { title: body.name }, once);
        return { status: 201, body: toChat(made), headers: { location: `/chats/${made.id}` } };
      },
    }),
    route({
      method: 'PUT',
      path: '/chats/update/:id',
      summary: 'Update the name and the updated_at time of a chat',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      body: schema.changedChat,
      example: { name: 'Chat 1, renamed', updated_at: '2024-01-01T00:00:00.000Z' },
      answers: [answer(200, 'The chat', schema.chat, CHAT)],
      async handle({ principal, params, body, once }) {
        const set = {
          ...(body.name !== undefined && { title: body.name }),
          ...(body.updated_at !== undefined && { updatedAt: parseTime(body.updated_at) }),
        };
        return ok(await conversations.update(principal, params.id, set, once));
      },
    }),
    route({
      method: 'DELETE',
      path: '/chats/delete/:id',
      summary: 'Delete a chat with all its entries',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [answer(200, 'The deleted chat', schema.chat, CHAT)],
      handle: async ({ principal, params, once }) => ok(await conversations.remove(principal, params.id, once)),
    }),
    route({
      method: 'GET',
      path: '/chats/:id/conversations',
      summary: "List a chat's entries, oldest first",
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: schema.entriesPage,
      answers: [answer(200, 'The entries', schema.entry.array(), [ENTRY])],
      async handle({ principal, params, query }) {
        const { turns, before } = await conversations.history(principal, params.id, query);
        const link = before && nextLink(`/chats/${params.id}/conversations`, { ...query, before });
        const body = turns.map(toEntry).filter((entry) => entry !== null);
        return { status: 200, body, ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'POST',
      path: '/conversations/create',
      summary: 'Store an entry in a chat; it is not answered',
      scope: 'write',
      counts: 'other',
      body: schema.newEntry,
      example: { chat_id: CHAT.id, role: 'Human', message: 'Hello' },
      answers: [answer(201, 'The entry', schema.entry, ENTRY)],
      async handle({ principal, body, once }) {
        const role = body.role === 'Human' ? 'user' : 'assistant';
        const entry = { conversation: body.chat_id, role, text: body.message } as const;
        return { status: 201, body: toEntry(await messages.add(principal, entry, once)) };
      },
    }),
    inference('/conversations/inference/:id', 'Answer a chat, or an entry, as Server-Sent Events', 'off'),
    inference('/conversations/inference_internet/:id', 'The same, after a search on the web', 'always'),
  ];

  function inference(path: string, summary: string, webSearch: 'off' | 'always'): Route {
    return route({
      method: 'GET',
      path,
      summary,
      scope: 'write',
      streams: true,
      counts: 'run',
      params: schema.byId,
      answers: [
        {
          status: 200,
          description: 'The answer, while it is written',
          contentType: 'text/event-stream',
          example: STREAM,
        },
        { status: 204, description: 'Nothing is left behind Last-Event-ID' },
      ],
      handle: ({ principal, params, headers }: Call<{ id: string }>) =>
        follow(principal, params.id, parseLastEventId(headers['last-event-id']), webSearch),
    });
  }

  async function follow(principal: Principal, id: string, after: number, webSearch: 'off' | 'always'): Promise<Reply> {
    const { answer: turn, run, conversation } = await messages.answer(principal, id, webSearch);
    const end = lastEventOf({ run, turn });
    if (end !== null && after >= end) return { status: 204 };
    const encoder = createEncoder({ turn: turn.id, conversation: conversation.id }, after);
    return {
      stream: (out) =>
        // From the last event the reader has: the encoder wants to see it again.
        runs.follow(principal, { run, turn }, Math.max(0, after - 1), sinkTo(out, encoder)),
    };
  }
}

function ok(conversation: Conversation): Reply {
  return { status: 200, body: toChat(conversation) };
}

function answer(status: number, description: string, body: Answer['schema'], example: unknown): Answer {
  return { status, description, ...(body && { schema: body }), example };
}
