/** People of several tenants with things of their own in one running server, and all that is kept of one of them. */

import assert from 'node:assert/strict';
import type { ModelCall, ModelServer } from '../support/model-server.ts';
import type { Client, TestServer } from '../support/server.ts';
import { openSocket, type Socket } from '../support/socket.ts';
import { UNKNOWN, UNKNOWN_NUMBER } from './routes.ts';

/** Who is calling: what every request and socket of theirs is sent with. */
export type Headers = Record<string, string>;

/** The ids of somebody's things, and beside each one an id of the same form that nobody has. */
export interface Things {
  conversation: [string | number, string | number][];
  message: [string, string][];
  item: [string, string][];
}

/** Somebody whose things others go for. */
export interface Victim {
  what: string;
  client: Client;
  things: Things;
  /** A part of every text of theirs, and of nobody else's. */
  canary: string;
  /** An answer of theirs that is being written, and the socket that waits for it. */
  running: { call: ModelCall; socket: Socket };
}

interface Listed {
  id: string;
  messages: { id: string; content: string }[];
}

/** Makes someone's things: an answered conversation, one made by hand, and one whose answer is being written. */
export async function furnish(
  server: TestServer,
  model: ModelServer,
  facts: { what: string; headers: Headers; canary: string; byNumber: boolean },
): Promise<Victim> {
  const { what, headers, canary, byNumber } = facts;
  const client = server.visitor(headers);
  await client.request('POST', '/chat', { body: { message: `${canary} question` } });
  const { body: made } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: canary } });
  const entry = { chat_id: made.id, role: 'Human', message: `${canary} entry` };
  await client.request('POST', '/conversations/create', { body: entry });

  const from = model.calls.length;
  model.next({ text: `${canary} answer`, gated: true });
  const socket = await openSocket(server.url, '/ws?stream=true', { headers });
  socket.send({ type: 'message', content: `${canary} running` });
  const { message_id = '' } = await socket.next();
  const call = await model.call(from);

  const things: Things = { conversation: [], message: [[message_id, UNKNOWN]], item: [] };
  const { body: list } = await client.request<Listed[]>('GET', '/conversations');
  for (const { id, messages } of list) {
    things.conversation.push([id, UNKNOWN], [`conv_${id}`, `conv_${UNKNOWN}`]);
    things.message.push(...messages.map((message): [string, string] => [message.id, UNKNOWN]));
    const items = await client.request<{ data: { id: string }[] }>('GET', `/v1/conversations/${id}/items`);
    things.item.push(...items.body.data.map((item): [string, string] => [item.id, `msg_${UNKNOWN}`]));
  }
  if (byNumber) {
    for (const { id } of (await client.request<{ id: number }[]>('GET', '/api/chat')).body) {
      things.conversation.push([id, UNKNOWN_NUMBER]);
    }
  }
  assert.equal(things.conversation.length, byNumber ? 9 : 6);
  assert.equal(things.message.length, 5);
  assert.equal(things.item.length, 4);
  return { what, client, things, canary, running: { call, socket } };
}

/** Lets the answer that is being written go, and proves that nothing happened to it. */
export async function finish({ running, canary }: Victim): Promise<void> {
  await running.call.releaseAll();
  const frames = await running.socket.until('response');
  assert.equal(frames.at(-1)?.content, `${canary} answer`);
  await running.socket.close();
}

/** Everything that any dialect shows of somebody's things, as texts by path. */
export async function everything(client: Client): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  const read = async <Body>(path: string): Promise<Body> => {
    const { text, body } = await client.request<Body>('GET', path);
    all[path] = text;
    return body;
  };
  const [chats] = await Promise.all([
    read<{ id: string }[]>('/chats/'),
    read('/conversations'),
    read('/api/chat'),
    read('/api/chat_sessions?limit=1000'),
    read('/v1/conversations?limit=100'),
    read('/v1/changes?limit=100'),
  ]);
  for (const { id } of chats) {
    const paths = ['/chats/@', '/chats/@/conversations', '/conversations/@', '/api/chat/@', '/api/chat/@/messages'];
    const sessions = ['/api/chat_sessions/@', '/api/chat_sessions/@/chat', '/v1/conversations/@/items?limit=100'];
    await Promise.all([...paths, ...sessions].map((path) => read(path.replace('@', id))));
  }
  return all;
}
