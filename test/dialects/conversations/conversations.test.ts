/** Dialect 2, `/conversations`: list, one, delete. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Answer, Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

interface Message {
  id: string;
  content: string;
  role: string;
  created_at: string;
}
interface Conversation {
  id: string;
  user_id: string;
  created_at: string;
  messages: Message[];
}

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const UNKNOWN = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const NOT_FOUND = '{"detail":"Resource not found"}';
const MIB = 1024 * 1024;

const { server } = await useServer();

async function chat(client: Client, message: string): Promise<string> {
  const { body } = await client.request<{ conversation_id: string }>('POST', '/chat', { body: { message } });
  return body.conversation_id;
}

/** A conversation without messages, by dialect 3. */
async function make(client: Client, name: string): Promise<string> {
  const { body } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name } });
  return body.id;
}

/** A stored message that nobody answers, by dialect 3. */
async function add(client: Client, chat_id: string, message: string, role = 'Human'): Promise<void> {
  const { status } = await client.request('POST', '/conversations/create', { body: { chat_id, role, message } });
  assert.equal(status, 201);
}

/** The path of `Link: <…>; rel="next"`; null without one. */
function next(link: string | string[] | undefined): string | null {
  if (link === undefined) return null;
  const [, path] = /^<([^>]+)>; rel="next"$/.exec(String(link)) ?? [];
  assert.ok(path !== undefined, `Link: ${link}`);
  return path;
}

/** All pages of a list. */
async function pages(client: Client, path: string): Promise<Conversation[][]> {
  const all: Conversation[][] = [];
  for (let at: string | null = path; at !== null; ) {
    const page: Answer<Conversation[]> = await client.request('GET', at);
    assert.equal(page.status, 200, at);
    all.push(page.body);
    at = next(page.headers.link);
  }
  return all;
}

describe('GET /conversations', () => {
  it('gives the documented fields, and no others', async () => {
    const alice = server.client();
    const id = await chat(alice, 'Hi');
    const { status, body, headers } = await alice.request<Conversation[]>(
      'GET',
      `/conversations?user_id=${alice.user}`,
    );
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json; charset=utf-8');
    assert.equal(headers.link, undefined);
    const [conversation] = body;
    assert.deepEqual(Object.keys(conversation ?? {}), ['id', 'user_id', 'created_at', 'messages']);
    assert.equal(conversation?.id, id);
    assert.equal(conversation?.user_id, alice.user);
    assert.match(conversation?.created_at ?? '', TIME);
    assert.deepEqual(
      conversation?.messages.map(({ content, role }) => ({ content, role })),
      [
        { content: 'Hi', role: 'user' },
        { content: 'You said: Hi', role: 'assistant' },
      ],
    );
    for (const message of conversation?.messages ?? []) {
      assert.deepEqual(Object.keys(message), ['id', 'content', 'role', 'created_at']);
      assert.match(message.id, UUID);
      assert.match(message.created_at, TIME);
    }
  });

  it('gives an empty array to a user who has none', async () => {
    const answer = await server.client().request('GET', '/conversations/');
    assert.deepEqual([answer.status, answer.text], [200, '[]']);
  });

  it('lists the conversations of every dialect, newest first', async () => {
    const alice = server.client();
    const { body: session } = await alice.request<{ data: { id: number } }>('POST', '/api/chat_sessions', {
      body: { title: 's' },
    });
    const { body: movie } = await alice.request<{ id: number }>('POST', '/api/chat', {});
    const three = await make(alice, 'c');
    const { body: asked } = await alice.request<{ response: { conversation_id: string } }>('POST', '/ask', {
      body: { prompt: 'p' },
    });
    const two = await chat(alice, 'm');
    const { body } = await alice.request<Conversation[]>('GET', '/conversations');
    assert.deepEqual(
      body.map(({ id }) => id).filter((id) => [two, three, asked.response.conversation_id].includes(id)),
      [two, asked.response.conversation_id, three],
    );
    assert.equal(body.length, 5);
    for (const [number, id] of [
      [session.data.id, body[4]?.id],
      [movie.id, body[3]?.id],
    ]) {
      const { body: same } = await alice.request<Conversation>('GET', `/conversations/${number}`);
      assert.equal(same.id, id);
    }
  });

  it('shows nobody else’s', async () => {
    const [alice, eve] = [server.client(), server.client()];
    await chat(alice, 'secret');
    assert.equal((await eve.request('GET', '/conversations')).text, '[]');
  });

  it('gives 50 at a time and leads on by Link, skipping and doubling nothing while the list changes', async () => {
    const alice = server.client();
    const made: string[] = [];
    for (let i = 0; i < 103; i++) made.unshift(await make(alice, `c${i}`));
    const first = await alice.request<Conversation[]>('GET', '/conversations');
    assert.equal(first.body.length, 50);
    await make(alice, 'newer');
    const deleted = made[60] ?? '';
    await alice.request('DELETE', `/conversations/${deleted}`);
    const others = await pages(alice, next(first.headers.link) ?? '');
    assert.deepEqual(
      [first.body, ...others].map((page) => page.length),
      [50, 50, 2],
    );
    assert.deepEqual(
      [first.body, ...others].flat().map(({ id }) => id),
      made.filter((id) => id !== deleted),
    );
  });

  it('takes limit from 1 to 1,000, and keeps it and the user in Link', async () => {
    const nobody = server.visitor();
    const user = 'Jürgen & Søn';
    const headers = {};
    for (const message of ['a', 'b', 'c']) {
      await nobody.request('POST', '/chat', { body: { message, user_id: user }, headers });
    }
    const path = `/conversations?user_id=${encodeURIComponent(user)}&limit=`;
    assert.deepEqual(
      (await pages(nobody, `${path}2`)).map((page) => page.map(({ messages }) => messages[0]?.content)),
      [['c', 'b'], ['a']],
    );
    assert.deepEqual((await pages(nobody, `${path}3`)).length, 1, 'no Link to an empty page');
    assert.deepEqual((await pages(nobody, `${path}1000`)).length, 1);
  });

  it('refuses a bad limit or before', async () => {
    const alice = server.client();
    const { body } = await alice.request<{ id: string }>('POST', '/chats/create', { body: { name: 'c' } });
    const wrong = ['limit=0', 'limit=1001', 'limit=-1', 'limit=1.5', 'limit=a', 'limit=', 'limit=1&limit=2'];
    for (const query of [...wrong, 'before=', 'before=x', `before=${body.id}`, 'before=1', 'before=-1.%00']) {
      const answer = await alice.request<{ detail: string }>('GET', `/conversations?${query}`);
      assert.deepEqual([answer.status, Object.keys(answer.body)], [400, ['detail']], query);
      assert.match(answer.body.detail, /limit|before|U\+0000/, query);
    }
  });

  it('holds at most 4 MiB of messages, and leads on', async () => {
    const alice = server.client();
    const made: string[] = [];
    for (let i = 0; i < 3; i++) {
      const id = await make(alice, `c${i}`);
      made.unshift(id);
      for (let j = 0; j < 2; j++) await add(alice, id, 'x'.repeat(MIB));
    }
    const all = await pages(alice, '/conversations');
    assert.deepEqual(
      all.map((page) => page.map(({ id }) => id)),
      [made.slice(0, 2), made.slice(2)],
    );
  });

  it('leaves out a conversation that is deleted while the list is read', async () => {
    const alice = server.client();
    const made = await Promise.all(Array.from({ length: 30 }, (_, i) => make(alice, `c${i}`)));
    const lists = Array.from({ length: 30 }, () => alice.request<Conversation[]>('GET', '/conversations'));
    const deletes = made.map((id) => alice.request('DELETE', `/conversations/${id}`));
    for (const { status } of await Promise.all([...lists, ...deletes])) assert.equal(status, 200);
  });
});

describe('GET /conversations/{conversation_id}', () => {
  it('gives the same object as the list, by every form of the id', async () => {
    const alice = server.client();
    const id = await chat(alice, 'Hi');
    const { body: list } = await alice.request<Conversation[]>('GET', '/conversations');
    const { body: chats } = await alice.request<{ id: number }[]>('GET', '/api/chat');
    for (const form of [id, id.toUpperCase(), `conv_${id}`, chats[0]?.id, `${id}/`]) {
      const answer = await alice.request<Conversation>('GET', `/conversations/${form}?user_id=${alice.user}`);
      assert.deepEqual([answer.status, answer.body], [200, list[0]], `as ${form}`);
    }
  });

  it('shows messages stored by hand, oldest first, and no system or empty ones', async () => {
    const alice = server.client();
    const id = await make(alice, 'by hand');
    await add(alice, id, 'question');
    await add(alice, id, 'answer', 'Assistant');
    const { body } = await alice.request<Conversation>('GET', `/conversations/${id}`);
    assert.deepEqual(
      body.messages.map(({ role, content }) => `${role}: ${content}`),
      ['user: question', 'assistant: answer'],
    );
  });

  it('gives the newest 1,000 messages, and leads to the older ones', async () => {
    const alice = server.client();
    const id = await make(alice, 'long');
    for (let i = 0; i < 1002; i += 167) {
      await Promise.all(Array.from({ length: 167 }, (_, j) => add(alice, id, `${i + j}`)));
    }
    const { body, headers } = await alice.request<Conversation>('GET', `/conversations/${id}?user_id=${alice.user}`);
    assert.equal(body.messages.length, 1000);
    const path = next(headers.link) ?? '';
    assert.match(path, new RegExp(`^/conversations/${id}\\?user_id=${alice.user}&before=3$`));
    const older = await alice.request<Conversation>('GET', path);
    assert.equal(older.body.messages.length, 2);
    assert.equal(older.headers.link, undefined);
    const all = [...older.body.messages, ...body.messages].map(({ content }) => Number(content));
    assert.deepEqual(
      all.toSorted((a, b) => a - b),
      Array.from({ length: 1002 }, (_, i) => i),
    );
  });

  it('gives at most 4 MiB of the newest messages, and leads to the older ones', async () => {
    const alice = server.client();
    const id = await make(alice, 'large');
    for (const letter of 'abcdef') await add(alice, id, letter.repeat(MIB));
    const letters = ({ messages }: Conversation) => messages.map(({ content }) => content[0]).join('');
    const newest = await alice.request<Conversation>('GET', `/conversations/${id}`);
    assert.equal(letters(newest.body), 'cdef');
    const older = await alice.request<Conversation>('GET', next(newest.headers.link) ?? '');
    assert.equal(letters(older.body), 'ab');
    assert.equal(older.headers.link, undefined);
  });

  it('refuses a bad before', async () => {
    const alice = server.client();
    const id = await make(alice, 'c');
    for (const before of ['0', '-1', 'x', '1.5', '']) {
      const { status } = await alice.request('GET', `/conversations/${id}?before=${before}`);
      assert.equal(status, 400, before);
    }
  });

  it('gives the same 404 for what is unknown, somebody else’s, or no id at all', async () => {
    const [alice, eve] = [server.client(), server.client()];
    const id = await chat(alice, 'Hi');
    const { body: chats } = await alice.request<{ id: number }[]>('GET', '/api/chat');
    for (const form of [UNKNOWN, id, `conv_${id}`, chats[0]?.id, 'x', '0', '-1', '1e3', '%F0%9F%91%8B', `${id}x`]) {
      for (const method of ['GET', 'DELETE']) {
        const answer = await eve.request(method, `/conversations/${form}`);
        assert.deepEqual([answer.status, answer.text], [404, NOT_FOUND], `${method} ${form}`);
      }
    }
    assert.equal((await alice.request<Conversation>('GET', `/conversations/${id}`)).body.messages.length, 2);
  });
});

describe('DELETE /conversations/{conversation_id}', () => {
  it('deletes it with its messages, for every dialect', async () => {
    const alice = server.client();
    const id = await chat(alice, 'Hi');
    const answer = await alice.request('DELETE', `/conversations/${id}?user_id=${alice.user}`);
    assert.deepEqual([answer.status, answer.text], [200, '{"message":"Conversation deleted successfully"}']);
    assert.equal((await alice.request('GET', `/conversations/${id}`)).text, NOT_FOUND);
    assert.equal((await alice.request('GET', `/chats/${id}`)).status, 404);
    assert.equal((await alice.request('GET', '/conversations')).text, '[]');
    const again = await alice.request('DELETE', `/conversations/${id}`);
    assert.deepEqual([again.status, again.text], [404, NOT_FOUND]);
  });

  it('leaves the others alone', async () => {
    const alice = server.client();
    const [one, two] = [await chat(alice, '1'), await chat(alice, '2')];
    await alice.request('DELETE', `/conversations/${one}`);
    const { body } = await alice.request<Conversation[]>('GET', '/conversations');
    assert.deepEqual(
      body.map(({ id }) => id),
      [two],
    );
  });

  it('ignores a body', async () => {
    const alice = server.client();
    const id = await chat(alice, 'Hi');
    const answer = await alice.request('DELETE', `/conversations/${id}`, { body: '{broken' });
    assert.equal(answer.status, 200);
  });
});
