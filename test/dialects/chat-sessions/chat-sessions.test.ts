/** What the document and DIALECTS.md, section 1, say of chat sessions; the rules for every dialect are in rules.test.ts. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertGolden } from '../../support/golden.ts';
import type { Answer, Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

interface Session {
  id: number;
  title: string;
  is_active: string;
  created_at: string;
}

interface Line {
  id: string;
  sender: string;
  message: string;
}

const SESSION = '{"data":{"id":<number>,"title":"new chat","is_active":"true","created_at":"<time>"}}';
/** As the document writes it, trailing comma and all. */
const BODY = '{\n  "title" : "new chat",\n}';

const { model, server } = await useServer();

describe('Create Chat Session', () => {
  for (const [what, body] of [
    ["the document's own body, with its trailing comma", BODY],
    ['a body without one', '{"title":"new chat"}'],
    ['commas behind everything', '{"list":[1,2,],"inner":{"a":1,},"title":"new chat" ,\r\n\t}'],
  ]) {
    test(`takes ${what}`, async () => {
      const { status, text } = await server.client().request('POST', '/api/chat_sessions', { body });
      assert.equal(status, 200);
      assertGolden(text, SESSION);
    });
  }

  for (const body of [
    '{"title":"new chat",,}',
    '{,}',
    '{"title":"new chat"},',
    '{"title":"new chat"',
    "{'title':'x',}",
  ]) {
    test(`refuses ${body}`, async () => {
      const answer = await server.client().request<{ errors: string }>('POST', '/api/chat_sessions', { body });
      assert.equal(answer.status, 400);
      assert.equal(answer.body.errors, 'Bad Request');
    });
  }

  test('leaves commas in a title alone', async () => {
    const title = 'a,} b,] "c,}" \\,}';
    const { body } = await server
      .client()
      .request<{ data: Session }>('POST', '/api/chat_sessions', { body: { title } });
    assert.equal(body.data.title, title);
  });

  test('takes a title of 1 to 100 characters', async () => {
    for (const title of ['x', ' ', 'x'.repeat(100)]) {
      assert.equal((await create(server.client(), title)).title, title);
    }
  });

  test("makes the session the caller's active one, and no other; nothing else changes that", async () => {
    const client = server.client();
    const other = server.client();
    const theirs = await create(other, 'theirs');
    const [first, second] = [await create(client, 'first'), await create(client, 'second')];
    await client.request('POST', '/chats/create', { body: { name: 'of dialect 3' } });
    await client.request('POST', '/ask', { body: { prompt: 'of dialect 4' } });
    await client.request('POST', `/api/chat_sessions/${first.id}/chat`, { body: { message: 'Hi' } });
    await client.request('PUT', `/api/chat_sessions/${first.id}`, { body: { title: 'renamed' } });
    const { data } = await list(client);
    assert.deepEqual(
      data.map(({ title, is_active }) => [title, is_active]),
      [
        ['renamed', 'false'],
        ['second', 'true'],
        ['of dialect 3', 'false'],
        ['New chat', 'false'],
      ],
    );
    assert.equal((await get(other, theirs.id)).is_active, 'true');
    await client.request('DELETE', `/api/chat_sessions/${second.id}`);
    assert.deepEqual(
      (await list(client)).data.map(({ is_active }) => is_active),
      ['false', 'false', 'false'],
    );
  });
});

describe('Get Chat Session', () => {
  test('gives what was created', async () => {
    const client = server.client();
    const made = await client.request<{ data: Session }>('POST', '/api/chat_sessions', { body: BODY });
    const { status, text } = await client.request('GET', `/api/chat_sessions/${made.body.data.id}`);
    assert.equal(status, 200);
    assert.equal(text, made.text);
  });

  test('fails with the documented words', async () => {
    const client = server.client();
    const unauthorized = await server.visitor().request<{ errors: string }>('GET', '/api/chat_sessions/1');
    assert.deepEqual([unauthorized.status, unauthorized.body.errors], [401, 'Unauthorized']);
    const badRequest = await client.request<{ errors: string }>('GET', '/api/chat_sessions/x');
    assert.deepEqual([badRequest.status, badRequest.body.errors], [400, 'Bad Request']);
    const notFound = await client.request('GET', '/api/chat_sessions/999999999');
    assert.deepEqual(
      [notFound.status, notFound.text],
      [404, '{"errors":"Not Found","details":"Conversation not found"}'],
    );
  });
});

describe('Update Chat Session', () => {
  for (const path of ['/api/contacts', '/api/chat_sessions']) {
    test(`PUT ${path}/:id takes the document's body and gives the session with its new title`, async () => {
      const client = server.client();
      const { id, created_at } = await create(client, 'new chat');
      const body = '{\n  "title" : "new chat updated",\n}';
      const { status, text } = await client.request('PUT', `${path}/${id}`, { body });
      assert.equal(status, 200);
      const updated = { id, title: 'new chat updated', is_active: 'true', created_at };
      assert.equal(text, JSON.stringify({ data: updated }));
      assert.deepEqual(await get(client, id), updated);
    });
  }
});

describe('Remove Chat Session', () => {
  for (const path of ['/api/chat_session', '/api/chat_sessions']) {
    test(`DELETE ${path}/:id is {"data":true}, and the session is gone`, async () => {
      const client = server.client();
      const { id } = await create(client, 'new chat');
      const { status, text } = await client.request('DELETE', `${path}/${id}`);
      assert.equal(status, 200);
      assert.equal(text, '{"data":true}');
      assert.equal((await client.request('GET', `/api/chat_sessions/${id}`)).status, 404);
      assert.equal((await client.request('DELETE', `${path}/${id}`)).status, 404);
    });
  }
});

describe('the list of sessions', () => {
  test('is oldest first, with its paging', async () => {
    const client = server.client();
    assert.equal(
      (await client.request('GET', '/api/chat_sessions')).text,
      '{"data":[],"paging":{"offset":0,"limit":10}}',
    );
    for (let i = 1; i <= 12; i++) await create(client, String(i));
    const titles = ({ data }: { data: Session[] }) => data.map(({ title }) => Number(title));
    assert.deepEqual(titles(await list(client)), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const rest = await list(client, '?offset=9&limit=2');
    assert.deepEqual(titles(rest), [10, 11]);
    assert.deepEqual(rest.paging, { offset: 9, limit: 2 });
    assert.deepEqual(titles(await list(client, '?offset=99')), []);
    assert.deepEqual(titles(await list(client, '?limit=1000')).length, 12);
  });
});

describe("a session's chat", () => {
  test('gives the message and the answer; both are then in the list', async () => {
    const client = server.client();
    const { id } = await create(client, 'new chat');
    const path = `/api/chat_sessions/${id}/chat`;
    assert.equal((await client.request('GET', path)).text, '{"data":[]}');
    model.next({ text: 'Hello, you.' });
    const { status, text } = await client.request('POST', path, { body: '{"message":"Hi",}' });
    assert.equal(status, 200);
    const user = '{"id":"<uuid>","sender":"user","message":"Hi","created_at":"<time>"}';
    const ai = '{"id":"<uuid>","sender":"ai","message":"Hello, you.","created_at":"<time>"}';
    assertGolden(text, `{"data":[${user},${ai}]}`);
    assert.equal((await client.request('GET', path)).text, text);
    assert.deepEqual(model.calls.at(-1)?.body.messages, [{ role: 'user', content: 'Hi' }]);
  });

  test('shows an answer without text where it was given, and not in the list', async () => {
    const client = server.client();
    const { id } = await create(client, 'new chat');
    model.next({});
    const path = `/api/chat_sessions/${id}/chat`;
    const { body } = await client.request<{ data: Line[] }>('POST', path, { body: { message: 'Hi' } });
    assert.deepEqual(
      body.data.map(({ sender, message }) => [sender, message]),
      [
        ['user', 'Hi'],
        ['ai', ''],
      ],
    );
    assert.equal((await client.request<{ data: Line[] }>('GET', path)).body.data.length, 1);
  });

  test('pages from the newest back with limit and Link', async () => {
    const client = server.client();
    const { id } = await create(client, 'new chat');
    const path = `/api/chat_sessions/${id}/chat`;
    for (const message of ['1', '2', '3']) {
      model.next({ text: `re ${message}` });
      await client.request('POST', path, { body: { message } });
    }
    const pages: string[][] = [];
    let next: string | undefined = `${path}?limit=4`;
    while (next !== undefined) {
      const { body, headers }: Answer<{ data: Line[] }> = await client.request('GET', next);
      pages.push(body.data.map(({ message }) => message));
      next = /^<([^>]+)>; rel="next"$/.exec(String(headers.link))?.[1];
    }
    assert.deepEqual(pages, [
      ['2', 're 2', '3', 're 3'],
      ['1', 're 1'],
    ]);
  });
});

async function create(client: Client, title: string): Promise<Session> {
  const { status, text, body } = await client.request<{ data: Session }>('POST', '/api/chat_sessions', {
    body: { title },
  });
  assert.equal(status, 200, text);
  return body.data;
}

async function get(client: Client, id: number): Promise<Session> {
  return (await client.request<{ data: Session }>('GET', `/api/chat_sessions/${id}`)).body.data;
}

async function list(
  client: Client,
  query = '',
): Promise<{ data: Session[]; paging: { offset: number; limit: number } }> {
  const path = `/api/chat_sessions${query}`;
  return (await client.request<{ data: Session[]; paging: { offset: number; limit: number } }>('GET', path)).body;
}
