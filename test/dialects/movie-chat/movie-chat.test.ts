/** What the document and DIALECTS.md, section 0, say of `/api/chat`; the rules for every dialect are in rules.test.ts. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertGolden } from '../../support/golden.ts';
import type { Answer, Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

interface Chat {
  id: number;
  title: string;
  created_at: string;
  updated_at: string;
}

interface Message {
  id: string;
  content: string;
  bot_response: string | null;
  created_at: string;
  status: string;
}

const CHAT = '{"id":<number>,"title":"New chat","created_at":"<time>","updated_at":"<time>"}';

const { model, server } = await useServer();

describe('Create New Chat', () => {
  const bodies: [what: string, body: unknown, title: string][] = [
    ['nothing', undefined, 'New chat'],
    ['an empty object', {}, 'New chat'],
    ['a title', { title: 'Film noir' }, 'Film noir'],
    ['white space, which is text', { title: ' ' }, ' '],
    ['a title of 255 characters', { title: 'x'.repeat(255) }, 'x'.repeat(255)],
    ['initial parameters or participants', { participants: ['a'], genre: 'noir', id: 7 }, 'New chat'],
  ];
  for (const [what, body, title] of bodies) {
    test(`with ${what} gives 201 and the chat`, async () => {
      const { status, text } = await server.client().request('POST', '/api/chat/', { body });
      assert.equal(status, 201);
      assertGolden(text, CHAT.replace('New chat', title));
    });
  }

  for (const messages of [[{ role: 'user', content: 'Hi' }], [], null]) {
    test(`with ${JSON.stringify(messages)} as messages says where its client wants to go`, async () => {
      const client = server.client();
      const body = { id: 'x', model: 'm', trigger: 'submit-message', messages };
      const answer = await client.request('POST', '/api/chat', { body });
      assert.equal(answer.status, 400);
      assert.equal(answer.text, '{"detail":"This is the Movie Chatbot API; useChat: /ui/chat, OpenAI clients: /v1"}');
      assert.deepEqual((await client.request('GET', '/api/chat')).body, []);
    });
  }
});

describe('Get All Chats', () => {
  test('gives a bare array, newest activity first: messages move a chat, titles do not', async () => {
    const client = server.client();
    assert.equal((await client.request('GET', '/api/chat/')).text, '[]');
    const [a, b, c] = [await create(client, 'a'), await create(client, 'b'), await create(client, 'c')];
    await post(client, a.id, 'Hi');
    await client.request('PATCH', `/api/chat/${b.id}`, { body: { title: 'b2' } });
    const { status, body, headers } = await client.request<Chat[]>('GET', '/api/chat/');
    assert.equal(status, 200);
    assert.deepEqual(
      body.map(({ id }) => id),
      [a.id, c.id, b.id],
    );
    assert.equal(headers.link, undefined);
  });

  test("shows the chats of all dialects, and only the caller's own", async () => {
    const client = server.client();
    const mine = await create(client, 'mine');
    await create(server.client(), 'not mine');
    await client.request('POST', '/chats/create', { body: { name: 'of dialect 3' } });
    await client.request('POST', '/ask', { body: { prompt: 'of dialect 4' } });
    const { body } = await client.request<Chat[]>('GET', '/api/chat');
    assert.deepEqual(
      body.map(({ title }) => title),
      ['New chat', 'of dialect 3', 'mine'],
    );
    assert.deepEqual(body.at(-1), mine);
  });

  test('pages with limit and offset, and leads on with Link', async () => {
    const client = server.client();
    for (const title of ['1', '2', '3', '4', '5']) await create(client, title);
    const titles: string[] = [];
    let next: string | undefined = '/api/chat?limit=2';
    let pages = 0;
    while (next !== undefined) {
      const { body, headers }: Answer<Chat[]> = await client.request('GET', next);
      titles.push(...body.map(({ title }) => title));
      next = linked(headers.link);
      pages++;
    }
    assert.deepEqual(titles, ['5', '4', '3', '2', '1']);
    assert.equal(pages, 3);
    const { body } = await client.request<Chat[]>('GET', '/api/chat?offset=3');
    assert.deepEqual(
      body.map(({ title }) => title),
      ['2', '1'],
    );
    assert.equal((await client.request('GET', '/api/chat?offset=9')).text, '[]');
  });
});

describe('Get Specific Chat', () => {
  test('gives the chat as it was created, by its number, UUID and conv_ form', async () => {
    const client = server.client();
    const made = await client.request<Chat>('POST', '/api/chat', { body: { title: 'A' } });
    const [{ id: uuid } = { id: '' }] = (await client.request<{ id: string }[]>('GET', '/chats')).body;
    for (const id of [made.body.id, uuid, `conv_${uuid}`, uuid.toUpperCase()]) {
      const { status, text } = await client.request('GET', `/api/chat/${id}`);
      assert.equal(status, 200, String(id));
      assert.equal(text, made.text, String(id));
    }
  });
});

describe('Change Chat Title', () => {
  test('gives the updated details, and sets updated_at', async () => {
    const client = server.client();
    const made = await create(client, 'A');
    const body = { title: 'New Chat Title' };
    const { status, text } = await client.request<Chat>('PATCH', `/api/chat/${made.id}`, { body });
    assert.equal(status, 200);
    assertGolden(
      text,
      `{"id":${made.id},"title":"New Chat Title","created_at":"${made.created_at}","updated_at":"<time>"}`,
    );
    assert.equal((await client.request('GET', `/api/chat/${made.id}`)).text, text);
    assert.ok((JSON.parse(text) as Chat).updated_at >= made.updated_at);
  });
});

describe('Delete All Chats', () => {
  test("deletes all of the caller's own, of every dialect, and nobody else's", async () => {
    const client = server.client();
    const other = server.client();
    await create(client, 'A');
    await client.request('POST', '/ask', { body: { prompt: 'Hi' } });
    await client.request('POST', '/chats/create', { body: { name: 'C' } });
    await create(other, 'theirs');
    const { status, text } = await client.request('DELETE', '/api/chat/');
    assert.equal(status, 200);
    assert.equal(text, '{"msg":"All chats were deleted!"}');
    for (const path of ['/api/chat', '/chats', '/conversations']) {
      assert.equal((await client.request('GET', path)).text, '[]', path);
    }
    assert.equal((await other.request<Chat[]>('GET', '/api/chat')).body.length, 1);
    assert.equal((await client.request('DELETE', '/api/chat')).status, 200, 'with nothing left, too');
  });
});

describe('Delete a chat', () => {
  test('is 204 without a body, and the chat and its messages are gone', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    await post(client, id, 'Hi');
    const { status, text } = await client.request('DELETE', `/api/chat/${id}`);
    assert.equal(status, 204);
    assert.equal(text, '');
    for (const path of [`/api/chat/${id}`, `/api/chat/${id}/messages`]) {
      assert.equal((await client.request('GET', path)).text, '{"detail":"Conversation not found"}');
    }
  });
});

describe('Post New Message', () => {
  test('gives 201, the message and the answer from the AI; both are then in the list', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    assert.equal((await client.request('GET', `/api/chat/${id}/messages`)).text, '[]');
    model.next({ text: 'Metropolis (1927).' });
    const { status, text } = await client.request('POST', `/api/chat/${id}/messages`, { body: { content: 'Silent?' } });
    assert.equal(status, 201);
    assertGolden(
      text,
      '{"id":"<uuid>","content":"Silent?","bot_response":"Metropolis (1927).","created_at":"<time>","status":"completed"}',
    );
    assert.equal((await client.request('GET', `/api/chat/${id}/messages`)).text, `[${text}]`);
  });

  test('asks as a movie expert, with all that was said in the chat', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    model.next({ text: 'Noted.' }, { text: 'Then see Stalker.' });
    await post(client, id, 'I love slow films.');
    await post(client, id, 'What next?');
    const [system, ...said] = model.calls.at(-1)?.body.messages ?? [];
    assert.equal(system?.role, 'system');
    for (const duty of [/movie expert/, /recommend/i, /compare/i, /explain/i, /remember/i, /not know/]) {
      assert.match(String(system?.content), duty);
    }
    assert.deepEqual(said, [
      { role: 'user', content: 'I love slow films.' },
      { role: 'assistant', content: 'Noted.' },
      { role: 'user', content: 'What next?' },
    ]);
  });

  test('a chat keeps the assistant it was made with, in every dialect', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    await client.request('POST', '/ask', { body: { prompt: 'Hi', conversation_id: id } });
    assert.equal(model.calls.at(-1)?.body.messages[0]?.role, 'system');
    const plain = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'plain' } });
    await post(client, plain.body.id, 'Hi');
    assert.deepEqual(model.calls.at(-1)?.body.messages, [{ role: 'user', content: 'Hi' }]);
  });

  test('without content it is the documented 400, word for word', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    for (const body of [{}, { text: 'x' }, undefined]) {
      const answer = await client.request('POST', `/api/chat/${id}/messages`, { body });
      assert.equal(answer.status, 400);
      assert.equal(answer.text, '{"detail":"content is required","content":["This field is required."]}');
    }
  });

  test('over 1 MiB it is 400 and names the field', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    const path = `/api/chat/${id}/messages`;
    const { status, body } = await client.request<{ content: string[] }>('POST', path, {
      body: { content: 'x'.repeat(1024 * 1024 + 1) },
    });
    assert.equal(status, 400);
    assert.deepEqual(body.content, ['This field may have at most 1 MiB of text.']);
    model.next({ text: 'Long.' });
    assert.equal((await client.request('POST', path, { body: { content: 'x'.repeat(1024 * 1024) } })).status, 201);
  });
});

describe('Get All Messages from Chat', () => {
  test('shows what is being written and what waits as in_progress, without a response', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    const from = model.calls.length;
    model.next({ text: 'One.', stall: 'first-token' }, { text: 'Two.' });
    const posts = [post(client, id, 'First'), post(client, id, 'Second')];
    const call = await model.call(from);
    await listed(client, id, (messages) => messages.length === 2);
    const waiting = await messagesOf(client, id);
    assert.deepEqual(
      waiting.map(({ bot_response, status }) => ({ bot_response, status })),
      Array.from({ length: 2 }, () => ({ bot_response: null, status: 'in_progress' })),
    );
    await call.releaseAll();
    const done = await Promise.all(posts);
    assert.deepEqual((await messagesOf(client, id)).map(({ id }) => id).sort(), done.map(({ id }) => id).sort());
    assert.deepEqual(
      (await messagesOf(client, id)).map(({ bot_response, status }) => [bot_response, status]),
      [
        ['One.', 'completed'],
        ['Two.', 'completed'],
      ],
    );
  });

  test('shows a failed answer as failed without a response, and a broken-off one as incomplete with its text', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    model.next({ status: 400 }, { text: ['Half ', 'a', ' loaf'], cut: 1 });
    for (const [content, status] of [
      ['First', 503],
      ['Second', 502],
    ] as const) {
      assert.equal((await client.request('POST', `/api/chat/${id}/messages`, { body: { content } })).status, status);
    }
    const { text } = await client.request('GET', `/api/chat/${id}/messages`);
    const first = '{"id":"<uuid>","content":"First","bot_response":null,"created_at":"<time>","status":"failed"}';
    const second =
      '{"id":"<uuid>","content":"Second","bot_response":"Half ","created_at":"<time>","status":"incomplete"}';
    assertGolden(text, `[${first},${second}]`);
  });

  test('pairs entries made by hand: an answer with its question, or alone, and a question nobody answered', async () => {
    const client = server.client();
    const { body } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'by hand' } });
    for (const [role, message] of [
      ['Assistant', 'Welcome'],
      ['Human', 'Hello'],
      ['Assistant', 'Hi'],
      ['Assistant', 'And again'],
      ['Human', 'Anybody?'],
    ]) {
      await client.request('POST', '/conversations/create', { body: { chat_id: body.id, role, message } });
    }
    assert.deepEqual(
      (await messagesOf(client, body.id)).map(({ content, bot_response, status }) => [content, bot_response, status]),
      [
        ['', 'Welcome', 'completed'],
        ['Hello', 'Hi', 'completed'],
        ['', 'And again', 'completed'],
        ['Anybody?', null, 'incomplete'],
      ],
    );
  });

  test('pages from the newest back with limit and Link, and never tears an exchange', async () => {
    const client = server.client();
    const { id } = await create(client, 'A');
    model.answer(({ messages }) => ({ text: `re ${messages.at(-1)?.content}` }));
    const all = ['1', '2', '3', '4', '5'];
    for (const content of all) await post(client, id, content);
    const pages: string[][] = [];
    let next: string | undefined = `/api/chat/${id}/messages?limit=2`;
    while (next !== undefined) {
      const { body, headers }: Answer<Message[]> = await client.request('GET', next);
      for (const { content, bot_response } of body) assert.equal(bot_response, `re ${content}`);
      pages.push(body.map(({ content }) => content));
      next = linked(headers.link);
    }
    assert.deepEqual(pages, [['4', '5'], ['2', '3'], ['1']]);
  });
});

async function create(client: Client, title: string): Promise<Chat> {
  return (await client.request<Chat>('POST', '/api/chat', { body: { title } })).body;
}

async function post(client: Client, chat: number | string, content: string): Promise<Message> {
  const { status, text, body } = await client.request<Message>('POST', `/api/chat/${chat}/messages`, {
    body: { content },
  });
  assert.equal(status, 201, text);
  return body;
}

async function messagesOf(client: Client, chat: number | string): Promise<Message[]> {
  return (await client.request<Message[]>('GET', `/api/chat/${chat}/messages`)).body;
}

/** Resolves when the list of messages is as wanted. */
async function listed(client: Client, chat: number, wanted: (messages: Message[]) => boolean): Promise<void> {
  while (!wanted(await messagesOf(client, chat)));
}

/** Where a `Link: rel="next"` leads. */
function linked(link: string | string[] | undefined): string | undefined {
  return /^<([^>]+)>; rel="next"$/.exec(String(link))?.[1];
}
