/** What the document and DIALECTS.md, section 3, say of chats and their entries; the streams are in stream.test.ts. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertGolden } from '../../support/golden.ts';
import type { Answer, Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

interface Chat {
  id: string;
  name: string;
  created_at: string;
  updated_at: string;
}

interface Entry {
  id: string;
  role: string;
  chat_id: string;
  message: string;
  created_at: string;
  updated_at: string;
}

const CHAT = '{"id":"<uuid>","name":"Chat 1","created_at":"<time>","updated_at":"<time>"}';

const { model, server } = await useServer();

describe('Create Chat', () => {
  test('gives 201, the chat, and where it is', async () => {
    const client = server.client();
    const { status, text, body, headers } = await client.request<Chat>('POST', '/chats/create', {
      body: { name: 'Chat 1' },
    });
    assert.equal(status, 201);
    assertGolden(text, CHAT);
    assert.equal(headers.location, `/chats/${body.id}`);
    assert.equal((await client.request('GET', headers.location ?? '')).text, text);
  });

  test('takes a name of 1 to 255 characters', async () => {
    for (const name of ['x', ' ', 'x'.repeat(255)]) assert.equal((await create(server.client(), name)).name, name);
  });
});

describe('List Chats', () => {
  test('gives a bare array, newest activity first: entries move a chat, updates do not', async () => {
    const client = server.client();
    assert.equal((await client.request('GET', '/chats/')).text, '[]');
    const [a, b, c] = [await create(client, 'a'), await create(client, 'b'), await create(client, 'c')];
    await add(client, a.id, 'Human', 'Hi');
    await client.request('PUT', `/chats/update/${b.id}`, { body: { name: 'b2', updated_at: '2099-01-01' } });
    const { status, body, headers } = await client.request<Chat[]>('GET', '/chats/');
    assert.equal(status, 200);
    assert.deepEqual(
      body.map(({ id }) => id),
      [a.id, c.id, b.id],
    );
    assert.equal(headers.link, undefined);
  });

  test("shows the conversations of all dialects, and only the caller's own", async () => {
    const client = server.client();
    const mine = await create(client, 'mine');
    await create(server.client(), 'not mine');
    await client.request('POST', '/api/chat', { body: {} });
    await client.request('POST', '/api/chat_sessions', { body: { title: 'of dialect 1' } });
    const { body } = await client.request<Chat[]>('GET', '/chats');
    assert.deepEqual(
      body.map(({ name }) => name),
      ['of dialect 1', 'New chat', 'mine'],
    );
    assert.deepEqual(body.at(-1), mine);
  });

  test('leads on with Link, and neither skips nor doubles while the list changes', async () => {
    const client = server.client();
    for (const name of ['1', '2', '3', '4', '5']) await create(client, name);
    const names: string[] = [];
    let next: string | undefined = '/chats?limit=2';
    while (next !== undefined) {
      const { body, headers }: Answer<Chat[]> = await client.request('GET', next);
      names.push(...body.map(({ name }) => name));
      next = linked(headers);
      await create(client, 'newer');
    }
    assert.deepEqual(names, ['5', '4', '3', '2', '1']);
  });
});

describe('Get Chat', () => {
  test('gives the chat by its UUID, conv_ form and number', async () => {
    const client = server.client();
    const made = await client.request<Chat>('POST', '/chats/create', { body: { name: 'Chat 1' } });
    const [{ id: number } = { id: 0 }] = (await client.request<{ id: number }[]>('GET', '/api/chat')).body;
    for (const id of [made.body.id, `conv_${made.body.id}`, number]) {
      const { status, text } = await client.request('GET', `/chats/${id}`);
      assert.equal(status, 200);
      assert.equal(text, made.text);
    }
  });
});

describe('Update Chat', () => {
  test('gives the chat with the provided name and updated_at', async () => {
    const client = server.client();
    const { id, created_at } = await create(client, 'Chat 1');
    const body = { name: 'Chat 2', updated_at: '2023-08-05T16:48:00+02:00' };
    const { status, text } = await client.request('PUT', `/chats/update/${id}`, { body });
    assert.equal(status, 200);
    assert.equal(text, JSON.stringify({ id, name: 'Chat 2', created_at, updated_at: '2023-08-05T14:48:00.000Z' }));
    assert.equal((await client.request('GET', `/chats/${id}`)).text, text);
  });

  const old = { updated_at: '2001-02-03T04:05:06.007Z' };
  const changes: [what: string, act: (client: Client, id: string) => Promise<unknown>][] = [
    ['a rename', (client, id) => client.request('PUT', `/chats/update/${id}`, { body: { name: 'renamed' } })],
    [
      'a rename in another dialect',
      (client, id) => client.request('PATCH', `/api/chat/${id}`, { body: { title: 'x' } }),
    ],
    ['an update that says nothing', (client, id) => client.request('PUT', `/chats/update/${id}`, { body: {} })],
    ['a later entry', (client, id) => add(client, id, 'Human', 'Hi')],
  ];
  for (const [what, act] of changes) {
    test(`${what} sets updated_at to now`, async () => {
      const client = server.client();
      const { id, created_at } = await create(client, 'Chat 1');
      await client.request('PUT', `/chats/update/${id}`, { body: old });
      assert.equal((await get(client, id)).updated_at, old.updated_at);
      await act(client, id);
      assert.ok((await get(client, id)).updated_at >= created_at);
    });
  }

  test('with updated_at alone leaves the name', async () => {
    const client = server.client();
    const { id } = await create(client, 'Chat 1');
    const { body } = await client.request<Chat>('PUT', `/chats/update/${id}`, { body: old });
    assert.deepEqual([body.name, body.updated_at], ['Chat 1', old.updated_at]);
  });

  for (const updated_at of ['', 'now', '2024-02-30', 1704067200, null, {}, ['2024-01-01']]) {
    test(`with ${JSON.stringify(updated_at)} as updated_at is 400, and changes nothing`, async () => {
      const client = server.client();
      const chat = await create(client, 'Chat 1');
      const body = { name: 'Chat 2', updated_at };
      const { status, text } = await client.request('PUT', `/chats/update/${chat.id}`, { body });
      assert.equal(status, 400);
      assert.match(text, /"code":400,"reason":"Bad Request","description":"[^"]*updated_at/);
      assert.deepEqual(await get(client, chat.id), chat);
    });
  }
});

describe('Delete Chat', () => {
  test('gives the deleted chat; its entries go with it', async () => {
    const client = server.client();
    const { id } = await create(client, 'Chat 1');
    const entry = await add(client, id, 'Human', 'Hi');
    const chat = await get(client, id);
    const { status, body } = await client.request('DELETE', `/chats/delete/${id}`);
    assert.equal(status, 200);
    assert.deepEqual(body, chat);
    for (const path of [`/chats/${id}`, `/chats/${id}/conversations`, `/conversations/inference/${entry.id}`]) {
      assert.equal((await client.request('GET', path)).status, 404, path);
    }
    assert.equal((await client.request('GET', '/chats')).text, '[]');
  });
});

describe('Create Conversation', () => {
  for (const role of ['Human', 'Assistant']) {
    test(`stores an entry of the role ${role}, and asks nobody`, async () => {
      const client = server.client();
      const { id } = await create(client, 'Chat 1');
      const asked = model.calls.length;
      const body = { chat_id: id, role, message: ' \r\n Größe 😀\t' };
      const { status, text } = await client.request('POST', '/conversations/create', { body });
      assert.equal(status, 201);
      const written = JSON.stringify(body.message);
      assertGolden(
        text,
        `{"id":"<uuid>","role":"${role}","chat_id":"${id}","message":${written},"created_at":"<time>","updated_at":"<time>"}`,
      );
      assert.equal((await client.request('GET', `/chats/${id}/conversations`)).text, `[${text}]`);
      assert.equal(model.calls.length, asked);
    });
  }

  const wrong: [what: string, fields: Record<string, unknown>, sentence: RegExp][] = [
    ['no role', { role: undefined }, /role is required/],
    ['the role human', { role: 'human' }, /role.*"Human".*"Assistant"/],
    ['the role System', { role: 'System' }, /role.*"Human".*"Assistant"/],
    ['an empty role', { role: '' }, /role.*"Human".*"Assistant"/],
    ['1 as role', { role: 1 }, /role.*"Human".*"Assistant"/],
    ['no chat_id', { chat_id: undefined }, /chat_id is required/],
    ['null as chat_id', { chat_id: null }, /chat_id/],
    ['a list as chat_id', { chat_id: [] }, /chat_id/],
  ];
  for (const [what, fields, sentence] of wrong) {
    test(`with ${what} is 400, and nothing is stored`, async () => {
      const client = server.client();
      const { id } = await create(client, 'Chat 1');
      const body = { chat_id: id, role: 'Human', message: 'Hi', ...fields };
      const answer = await client.request<{ error: { description: string } }>('POST', '/conversations/create', {
        body,
      });
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.body.error.description, sentence);
      assert.equal((await client.request('GET', `/chats/${id}/conversations`)).text, '[]');
    });
  }
});

describe("a chat's entries", () => {
  test('are listed oldest first, answers too, but not one that is still being written or failed', async () => {
    const client = server.client();
    const { id } = await create(client, 'Chat 1');
    await add(client, id, 'Human', 'First');
    model.next({ text: 'Answer.' }, { status: 400 }, { text: 'Late.', stall: 'first-token' });
    await client.request('GET', `/conversations/inference/${id}`);
    await add(client, id, 'Human', 'Second');
    await client.request('GET', `/conversations/inference/${id}`);
    await add(client, id, 'Human', 'Third');
    const index = model.calls.length;
    const stream = await client.open('GET', `/conversations/inference/${id}`);
    const call = await model.call(index);
    const shown = async () =>
      (await client.request<Entry[]>('GET', `/chats/${id}/conversations`)).body.map(({ role, message }) => [
        role,
        message,
      ]);
    const written = [
      ['Human', 'First'],
      ['Assistant', 'Answer.'],
      ['Human', 'Second'],
      ['Human', 'Third'],
    ];
    assert.deepEqual(await shown(), written);
    await call.releaseAll();
    await stream.ended;
    assert.deepEqual(await shown(), [...written, ['Assistant', 'Late.']]);
  });

  test('are paged from the newest back with limit and Link', async () => {
    const client = server.client();
    const { id } = await create(client, 'Chat 1');
    for (const message of ['1', '2', '3', '4', '5']) await add(client, id, 'Human', message);
    const pages: string[][] = [];
    let next: string | undefined = `/chats/${id}/conversations?limit=2`;
    while (next !== undefined) {
      const { body, headers }: Answer<Entry[]> = await client.request('GET', next);
      pages.push(body.map(({ message }) => message));
      next = linked(headers);
    }
    assert.deepEqual(pages, [['4', '5'], ['2', '3'], ['1']]);
  });
});

describe('who is asking, in local mode', () => {
  test('is the user that X-User-ID or user_id names; they must agree', async () => {
    const alice = server.visitor({ 'x-user-id': 'alice' });
    const chat = await create(alice, 'hers');
    assert.deepEqual((await server.visitor().request('GET', '/chats?user_id=alice')).body, [chat]);
    assert.equal((await alice.request('GET', '/chats?user_id=bob')).status, 400);
    assert.equal((await server.visitor({ 'x-user-id': 'bob' }).request('GET', `/chats/${chat.id}`)).status, 404);
  });

  test("is the machine's owner without either, who finds any keyless user's chat by its id", async () => {
    const carol = await create(server.visitor({ 'x-user-id': 'carol' }), 'hers');
    const dave = await create(server.client('dave'), 'made with a key');
    const owner = server.visitor();
    const own = await create(owner, 'his');
    assert.deepEqual((await owner.request('GET', '/chats')).body, [own]);
    assert.deepEqual(await get(owner, carol.id), carol);
    assert.equal((await owner.request('GET', `/chats/${dave.id}`)).status, 404);
  });
});

async function create(client: Client, name: string): Promise<Chat> {
  return (await client.request<Chat>('POST', '/chats/create', { body: { name } })).body;
}

async function get(client: Client, id: string): Promise<Chat> {
  return (await client.request<Chat>('GET', `/chats/${id}`)).body;
}

async function add(client: Client, chat: string, role: string, message: string): Promise<Entry> {
  const body = { chat_id: chat, role, message };
  const answer = await client.request<Entry>('POST', '/conversations/create', { body });
  assert.equal(answer.status, 201, answer.text);
  return answer.body;
}

/** Where a `Link: rel="next"` leads. */
function linked({ link }: Answer['headers']): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(String(link))?.[1];
}
