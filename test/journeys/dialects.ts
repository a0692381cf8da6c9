/** The dialects as one person uses them: to begin, to go on, to list, to rename, to delete. */

import assert from 'node:assert/strict';
import { messageText, parseEvents } from '../support/event-source.ts';
import type { Answer, Client } from '../support/server.ts';

/** A conversation as every dialect can name it. */
export interface Named {
  /** The UUID. */
  id: string;
  /** The number. */
  number: number;
}

/** One line of a conversation. */
export type Line = `${'user' | 'assistant'}: ${string}`;

export interface DialectUse {
  name: string;
  /** Begins a conversation with a message; gives its UUID and the answer. */
  begin(client: Client, text: string): Promise<{ id: string; answer: string }>;
  /** Goes on with it; gives the answer. */
  say(client: Client, conversation: Named, text: string): Promise<string>;
  /** What the dialect shows of it, oldest first; null where it shows no messages. */
  lines: ((client: Client, conversation: Named) => Promise<Line[]>) | null;
  /** Ids (or numbers) of the dialect's list. */
  list: ((client: Client) => Promise<(string | number)[]>) | null;
  rename: ((client: Client, conversation: Named, title: string) => Promise<void>) | null;
  /** Its title, where the dialect shows one. */
  title: ((client: Client, conversation: Named) => Promise<string>) | null;
  remove(client: Client, conversation: Named): Promise<Answer>;
  /** A call that finds it, to prove that it is gone. */
  find(client: Client, conversation: Named): Promise<Answer>;
}

async function ok<Body>(answer: Promise<Answer<Body>>): Promise<Body> {
  const { status, body, text } = await answer;
  assert.ok(status >= 200 && status < 300, `${status} ${text}`);
  return body;
}

interface Chat {
  id: number;
  title: string;
}
interface Exchange {
  content: string;
  bot_response: string | null;
}
interface SessionLine {
  sender: 'user' | 'ai';
  message: string;
}
interface Conversation {
  id: string;
  messages: { role: 'user' | 'assistant'; content: string }[];
}
interface Entry {
  id: string;
  role: 'Human' | 'Assistant';
  message: string;
}

/** The UUID of the conversation with that number. */
async function idOf(client: Client, number: number): Promise<string> {
  return (await ok(client.request<Conversation>('GET', `/conversations/${number}`))).id;
}

const movieChat: DialectUse = {
  name: 'movie-chat',
  async begin(client, text) {
    const { id: number } = await ok(client.request<Chat>('POST', '/api/chat/'));
    const id = await idOf(client, number);
    return { id, answer: await movieChat.say(client, { id, number }, text) };
  },
  async say(client, { number }, content) {
    const path = `/api/chat/${number}/messages`;
    return (await ok(client.request<Exchange>('POST', path, { body: { content } }))).bot_response ?? '';
  },
  async lines(client, { number }) {
    const exchanges = await ok(client.request<Exchange[]>('GET', `/api/chat/${number}/messages`));
    return exchanges.flatMap(({ content, bot_response }): Line[] => [
      `user: ${content}`,
      ...(bot_response === null ? [] : [`assistant: ${bot_response}` as const]),
    ]);
  },
  list: async (client) => (await ok(client.request<Chat[]>('GET', '/api/chat/'))).map(({ id }) => id),
  async rename(client, { number }, title) {
    await ok(client.request('PATCH', `/api/chat/${number}`, { body: { title } }));
  },
  title: async (client, { number }) => (await ok(client.request<Chat>('GET', `/api/chat/${number}`))).title,
  remove: (client, { number }) => client.request('DELETE', `/api/chat/${number}`),
  find: (client, { number }) => client.request('GET', `/api/chat/${number}`),
};

const chatSessions: DialectUse = {
  name: 'chat-sessions',
  async begin(client, text) {
    const body = { title: 'Session' };
    const { data } = await ok(client.request<{ data: Chat }>('POST', '/api/chat_sessions', { body }));
    const id = await idOf(client, data.id);
    return { id, answer: await chatSessions.say(client, { id, number: data.id }, text) };
  },
  async say(client, { number }, message) {
    const path = `/api/chat_sessions/${number}/chat`;
    const { data } = await ok(client.request<{ data: SessionLine[] }>('POST', path, { body: { message } }));
    return data[1]?.message ?? '';
  },
  async lines(client, { number }) {
    const { data } = await ok(client.request<{ data: SessionLine[] }>('GET', `/api/chat_sessions/${number}/chat`));
    return data.map(({ sender, message }): Line => `${sender === 'user' ? 'user' : 'assistant'}: ${message}`);
  },
  async list(client) {
    const { data } = await ok(client.request<{ data: Chat[] }>('GET', '/api/chat_sessions?limit=1000'));
    return data.map(({ id }) => id);
  },
  async rename(client, { number }, title) {
    await ok(client.request('PUT', `/api/contacts/${number}`, { body: { title } }));
  },
  async title(client, { number }) {
    return (await ok(client.request<{ data: Chat }>('GET', `/api/chat_sessions/${number}`))).data.title;
  },
  remove: (client, { number }) => client.request('DELETE', `/api/chat_session/${number}`),
  find: (client, { number }) => client.request('GET', `/api/chat_sessions/${number}`),
};

interface Answered {
  response: string;
  conversation_id: string;
}

const conversations: DialectUse = {
  name: 'conversations',
  async begin(client, message) {
    const body = { message, user_id: client.user };
    const answered = await ok(client.request<Answered>('POST', '/chat', { body }));
    return { id: answered.conversation_id, answer: answered.response };
  },
  async say(client, { id }, message) {
    const body = { message, user_id: client.user, conversation_id: id };
    return (await ok(client.request<Answered>('POST', '/chat', { body }))).response;
  },
  async lines(client, { id }) {
    const { messages } = await ok(client.request<Conversation>('GET', `/conversations/${id}`));
    return messages.map(({ role, content }): Line => `${role}: ${content}`);
  },
  async list(client) {
    return (await ok(client.request<Conversation[]>('GET', '/conversations'))).map(({ id }) => id);
  },
  rename: null,
  title: null,
  remove: (client, { id }) => client.request('DELETE', `/conversations/${id}`),
  find: (client, { id }) => client.request('GET', `/conversations/${id}`),
};

const chats: DialectUse = {
  name: 'chats',
  async begin(client, text) {
    const { id } = await ok(client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Chat' } }));
    return { id, answer: await chats.say(client, { id, number: 0 }, text) };
  },
  async say(client, { id: chat_id }, message) {
    const body = { chat_id, role: 'Human', message };
    const { id } = await ok(client.request<Entry>('POST', '/conversations/create', { body }));
    const { text } = await client.request('GET', `/conversations/inference/${id}`);
    const events = parseEvents(text);
    assert.equal(events.at(-1)?.event, 'done', text);
    return messageText(events);
  },
  async lines(client, { id }) {
    const entries = await ok(client.request<Entry[]>('GET', `/chats/${id}/conversations`));
    return entries.map(({ role, message }): Line => `${role === 'Human' ? 'user' : 'assistant'}: ${message}`);
  },
  list: async (client) => (await ok(client.request<{ id: string }[]>('GET', '/chats/'))).map(({ id }) => id),
  async rename(client, { id }, name) {
    await ok(client.request('PUT', `/chats/update/${id}`, { body: { name } }));
  },
  title: async (client, { id }) => (await ok(client.request<{ name: string }>('GET', `/chats/${id}`))).name,
  remove: (client, { id }) => client.request('DELETE', `/chats/delete/${id}`),
  find: (client, { id }) => client.request('GET', `/chats/${id}`),
};

const ask: DialectUse = {
  name: 'ask',
  async begin(client, prompt) {
    const { response } = await ok(
      client.request<{ response: { message: string; conversation_id: string } }>('POST', '/ask', { body: { prompt } }),
    );
    return { id: response.conversation_id, answer: response.message };
  },
  async say(client, { id }, prompt) {
    const body = { prompt, conversation_id: id };
    const { response } = await ok(client.request<{ response: { message: string } }>('POST', '/ask', { body }));
    return response.message;
  },
  lines: null,
  list: null,
  rename: null,
  title: null,
  remove: (client, { id }) => client.request('DELETE', `/conversation/${id}`),
  find: (client, { id }) => client.request('POST', '/ask', { body: { prompt: 'Are you there?', conversation_id: id } }),
};

interface WireConversation {
  id: string;
  title: string | null;
}
interface WireItem {
  type: string;
  role: 'user' | 'assistant';
  /** Of messages. */
  content?: { text: string }[];
}

/** Conversations and Responses, which are one API. */
const openai: DialectUse = {
  name: 'openai-conversations',
  async begin(client, text) {
    const { id } = await ok(client.request<WireConversation>('POST', '/v1/conversations'));
    const uuid = id.replace('conv_', '');
    return { id: uuid, answer: await openai.say(client, { id: uuid, number: 0 }, text) };
  },
  async say(client, { id }, input) {
    const body = { conversation: `conv_${id}`, input };
    const { output } = await ok(client.request<{ output: WireItem[] }>('POST', '/v1/responses', { body }));
    return output.map(({ content }) => content?.[0]?.text ?? '').join('');
  },
  async lines(client, { id }) {
    const path = `/v1/conversations/conv_${id}/items?order=asc&limit=100`;
    const { data } = await ok(client.request<{ data: WireItem[] }>('GET', path));
    const said = data.filter(({ type, role }) => type === 'message' && (role === 'user' || role === 'assistant'));
    return said.map(({ role, content }): Line => `${role}: ${content?.[0]?.text}`);
  },
  async list(client) {
    const { data } = await ok(client.request<{ data: WireConversation[] }>('GET', '/v1/conversations?limit=100'));
    return data.map(({ id }) => id.replace('conv_', ''));
  },
  async rename(client, { id }, title) {
    await ok(client.request('POST', `/v1/conversations/conv_${id}`, { body: { title } }));
  },
  title: async (client, { id }) =>
    (await ok(client.request<WireConversation>('GET', `/v1/conversations/conv_${id}`))).title ?? '',
  remove: (client, { id }) => client.request('DELETE', `/v1/conversations/conv_${id}`),
  find: (client, { id }) => client.request('GET', `/v1/conversations/conv_${id}`),
};

export const DIALECTS: readonly DialectUse[] = [movieChat, chatSessions, conversations, chats, ask, openai];

/** The number of a conversation, which dialects 0 and 1 know it by. */
export async function named(client: Client, id: string): Promise<Named> {
  for (const { id: number } of await ok(client.request<Chat[]>('GET', '/api/chat/'))) {
    if ((await idOf(client, number)) === id) return { id, number };
  }
  throw new Error(`No chat of dialect 0 is ${id}`);
}
