/** Dialect 0, `movie-chat`: see README.md. */

import { invalid } from '#core/errors.ts';
import { MAX_PAGE } from '#core/page.ts';
import { textOf } from '#core/turn.ts';
import { nextLink } from '#http/link.ts';
import { type Dialect, type Route, route } from '#http/route.ts';
import { wholeAnswer } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { toAnswered, toChat, toMessages } from './encode.ts';
import { toWireError } from './errors.ts';
import * as schema from './schema.ts';

/** "This dialect is bound to the `movies` assistant." */
const ASSISTANT = 'movies';

const CHAT = {
  id: 1,
  title: 'New Chat Title',
  created_at: '2024-01-01T00:00:00.000Z',
  updated_at: '2024-01-01T00:00:00.000Z',
};
const MESSAGE = {
  id: '0198c7c1-5d00-7000-8000-5717b3fc2c96',
  content: 'Your message content here',
  bot_response: 'The answer from the AI',
  created_at: CHAT.created_at,
  status: 'completed',
};

export function movieChat(services: Services): Dialect {
  return {
    name: 'movie-chat',
    title: 'Movie Chatbot API',
    claims: ['/api/chat'],
    access: 'key',
    namesUser: false,
    error: toWireError,
    routes: [...chatRoutes(services), ...messageRoutes(services)],
  };
}

function chatRoutes({ conversations }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/api/chat',
      summary: 'Create new chat',
      scope: 'write',
      counts: 'other',
      body: schema.newChat,
      example: { title: CHAT.title },
      answers: [{ status: 201, description: 'The chat', schema: schema.chat, example: CHAT }],
      async handle({ principal, body, once }) {
        if (body?.messages !== undefined) {
          throw invalid('This is the Movie Chatbot API; useChat: /ui/chat, OpenAI clients: /v1');
        }
        const made = await conversations.create(principal, { title: body?.title ?? null, assistant: ASSISTANT }, once);
        return { status: 201, body: toChat(made) };
      },
    }),
    route({
      method: 'GET',
      path: '/api/chat',
      summary: 'Get all chats, newest activity first',
      scope: 'read',
      counts: 'other',
      query: schema.chatsPage,
      answers: [{ status: 200, description: 'The chats', schema: schema.chat.array(), example: [CHAT] }],
      async handle({ principal, query }) {
        const { limit = MAX_PAGE, offset = 0 } = query;
        const page = await conversations.list(principal, { order: 'activity', direction: 'desc', limit, offset });
        const link = page.next && nextLink('/api/chat/', { limit, offset: offset + limit });
        return { status: 200, body: page.data.map(toChat), ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/chat',
      summary: 'Delete all conversations of the caller, of every API of this server',
      scope: 'write',
      counts: 'other',
      answers: [
        {
          status: 200,
          description: 'Everything is deleted',
          schema: schema.deleted,
          example: { msg: 'All chats were deleted!' },
        },
      ],
      async handle({ principal, once }) {
        await conversations.removeAll(principal, once);
        return { status: 200, body: { msg: 'All chats were deleted!' } };
      },
    }),
    route({
      method: 'GET',
      path: '/api/chat/:chat_id',
      summary: 'Get specific chat',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 200, description: 'The chat', schema: schema.chat, example: CHAT }],
      handle: async ({ principal, params }) => ({
        status: 200,
        body: toChat(await conversations.get(principal, params.chat_id)),
      }),
    }),
    route({
      method: 'PATCH',
      path: '/api/chat/:chat_id',
      summary: 'Change chat title',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      body: schema.changedChat,
      example: { title: CHAT.title },
      answers: [{ status: 200, description: 'The chat', schema: schema.chat, example: CHAT }],
      async handle({ principal, params, body, once }) {
        // What this dialect cannot show it does not change.
        toChat(await conversations.get(principal, params.chat_id));
        const changed = await conversations.update(principal, params.chat_id, { title: body.title }, once);
        return { status: 200, body: toChat(changed) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/api/chat/:chat_id',
      summary: 'Delete a chat',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 204, description: 'It is deleted' }],
      async handle({ principal, params, once }) {
        await conversations.remove(principal, params.chat_id, once);
        return { status: 204 };
      },
    }),
  ];
}

function messageRoutes({ conversations, messages, runs }: Services): Route[] {
  return [
    route({
      method: 'GET',
      path: '/api/chat/:chat_id/messages',
      summary: 'Get all messages from chat, oldest first',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: schema.messagesPage,
      answers: [{ status: 200, description: 'The messages', schema: schema.message.array(), example: [MESSAGE] }],
      async handle({ principal, params, query }) {
        const { limit = MAX_PAGE, before = null } = query;
        // A message here is two turns.
        const history = await conversations.history(principal, params.chat_id, { limit: 2 * limit, before });
        const page = toMessages(history.turns, history.before, limit);
        const link = page.before && nextLink(`/api/chat/${params.chat_id}/messages`, { limit, before: page.before });
        return { status: 200, body: page.messages, ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'POST',
      path: '/api/chat/:chat_id/messages',
      summary: 'Post new message, and get its answer',
      scope: 'write',
      counts: 'run',
      params: schema.byId,
      body: schema.newMessage,
      example: { content: MESSAGE.content },
      answers: [{ status: 201, description: 'The message with its answer', schema: schema.message, example: MESSAGE }],
      async handle({ principal, params, body, once }) {
        const message = { conversation: params.chat_id, text: body.content };
        const { input, answer, run } = await messages.send(principal, message, once);
        const result = wholeAnswer(await runs.result(principal, { run, turn: answer }));
        return { status: 201, body: toAnswered(input, textOf(result.items)) };
      },
    }),
  ];
}
