/**
 * "Retrying is safe" (DESIGN.md, promise 5): a hundred equal requests at once with one `Idempotency-Key` are one message,
 * one run and one call of the model, in every dialect, over restarts and crashes.
 */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { echo, type ModelServer, startModelServer, textOf } from '../support/model-server.ts';
import { type Answer, type Client, type RequestOptions, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, type Frame, openSocket } from '../support/socket.ts';
import { DIALECTS, type DialectUse, type Named, named } from './dialects.ts';

const AT_ONCE = 100;

let model: ModelServer;
let server: TestServer;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
});
beforeEach(() => model.answer(echo));
after(async () => {
  closeSockets();
  await server?.close();
  await model.close();
});

/** A request as it is repeated. */
interface Write {
  name: string;
  method: string;
  /** In a conversation, where it takes one. */
  path(conversation: Named): string;
  body?(conversation: Named): Record<string, unknown>;
  /** Where that differs from JSON: several ways to write the same command. */
  options?(conversation: Named): RequestOptions[];
  /** What makes it another command. */
  other?: Record<string, unknown>;
  status: number;
  /** Where that is not 502: of an answer that broke off after its first token. */
  brokenOff?: number;
  /** What is then there once: a message "Count me.", or a further conversation. */
  makes?: 'message' | 'conversation';
}

/** Calls that answer. Each stores "Count me." once. */
const answering: Write[] = [
  {
    name: 'movie-chat POST /api/chat/{chat_id}/messages',
    method: 'POST',
    path: ({ number }) => `/api/chat/${number}/messages`,
    body: () => ({ content: 'Count me.' }),
    other: { content: 'Another.' },
    status: 201,
  },
  {
    name: 'chat-sessions POST /api/chat_sessions/:id/chat',
    method: 'POST',
    path: ({ number }) => `/api/chat_sessions/${number}/chat`,
    body: () => ({ message: 'Count me.' }),
    other: { message: 'Another.' },
    status: 200,
  },
  {
    name: 'conversations POST /chat, going on',
    method: 'POST',
    path: () => '/chat',
    body: ({ id }) => ({ message: 'Count me.', conversation_id: id }),
    other: { message: 'Another.' },
    status: 200,
  },
  {
    name: 'conversations POST /chat, a new conversation',
    method: 'POST',
    path: () => '/chat',
    body: () => ({ message: 'Count me.' }),
    other: { message: 'Another.' },
    status: 200,
  },
  {
    name: 'ask POST /ask, going on',
    method: 'POST',
    path: () => '/ask',
    body: ({ id }) => ({ prompt: 'Count me.', conversation_id: id }),
    other: { prompt: 'Another.' },
    status: 200,
  },
  {
    name: 'ask POST /ask, a new conversation, in every form there is',
    method: 'POST',
    path: () => '/ask',
    options: () => [
      { body: { prompt: 'Count me.' } },
      { body: '{ "ignored": 1, "prompt" : "Count me." }' },
      { body: 'prompt=Count%20me.', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      ...['one', 'two'].map((boundary) => ({
        body: `--${boundary}\r\ncontent-disposition: form-data; name="prompt"\r\n\r\nCount me.\r\n--${boundary}--\r\n`,
        headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
      })),
    ],
    other: { prompt: 'Another.' },
    status: 200,
  },
  {
    name: 'openai-conversations POST /v1/responses, in a conversation',
    method: 'POST',
    path: () => '/v1/responses',
    body: ({ id }) => ({ conversation: `conv_${id}`, input: 'Count me.' }),
    other: { input: 'Another.' },
    status: 200,
    brokenOff: 200,
  },
];

/** Calls that store and do not ask. */
const plain: Write[] = [
  {
    name: 'movie-chat POST /api/chat/',
    method: 'POST',
    path: () => '/api/chat/',
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 201,
    makes: 'conversation',
  },
  {
    name: 'movie-chat PATCH /api/chat/{chat_id}',
    method: 'PATCH',
    path: ({ number }) => `/api/chat/${number}`,
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 200,
  },
  {
    name: 'movie-chat DELETE /api/chat/{chat_id}',
    method: 'DELETE',
    path: ({ number }) => `/api/chat/${number}`,
    status: 204,
  },
  { name: 'movie-chat DELETE /api/chat/', method: 'DELETE', path: () => '/api/chat/', status: 200 },
  {
    name: 'chat-sessions POST /api/chat_sessions',
    method: 'POST',
    path: () => '/api/chat_sessions',
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 200,
    makes: 'conversation',
  },
  {
    name: 'chat-sessions PUT /api/contacts/:contactId',
    method: 'PUT',
    path: ({ number }) => `/api/contacts/${number}`,
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 200,
  },
  {
    name: 'chat-sessions DELETE /api/chat_session/:id',
    method: 'DELETE',
    path: ({ number }) => `/api/chat_session/${number}`,
    status: 200,
  },
  {
    name: 'conversations DELETE /conversations/{conversation_id}',
    method: 'DELETE',
    path: ({ id }) => `/conversations/${id}`,
    status: 200,
  },
  {
    name: 'chats POST /chats/create',
    method: 'POST',
    path: () => '/chats/create',
    body: () => ({ name: 'Once' }),
    other: { name: 'Another' },
    status: 201,
    makes: 'conversation',
  },
  {
    name: 'chats PUT /chats/update/<id>',
    method: 'PUT',
    path: ({ id }) => `/chats/update/${id}`,
    body: () => ({ name: 'Once' }),
    other: { name: 'Another' },
    status: 200,
  },
  {
    name: 'chats DELETE /chats/delete/<id>',
    method: 'DELETE',
    path: ({ id }) => `/chats/delete/${id}`,
    status: 200,
  },
  {
    name: 'chats POST /conversations/create',
    method: 'POST',
    path: () => '/conversations/create',
    body: ({ id }) => ({ chat_id: id, role: 'Human', message: 'Count me.' }),
    other: { message: 'Another.' },
    status: 201,
    makes: 'message',
  },
  {
    name: 'ask DELETE /conversation/{conversation_id}',
    method: 'DELETE',
    path: ({ id }) => `/conversation/${id}`,
    status: 204,
  },
  {
    name: 'openai-conversations POST /v1/conversations',
    method: 'POST',
    path: () => '/v1/conversations',
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 200,
    makes: 'conversation',
  },
  {
    name: 'openai-conversations POST /v1/conversations/{id}',
    method: 'POST',
    path: ({ id }) => `/v1/conversations/conv_${id}`,
    body: () => ({ title: 'Once' }),
    other: { title: 'Another' },
    status: 200,
  },
  {
    name: 'openai-conversations POST /v1/conversations/{id}/items',
    method: 'POST',
    path: ({ id }) => `/v1/conversations/conv_${id}/items`,
    body: () => ({ items: [{ type: 'message', role: 'user', content: 'Count me.' }] }),
    other: { items: [{ type: 'message', role: 'user', content: 'Another.' }] },
    status: 200,
    makes: 'message',
  },
  {
    name: 'openai-conversations POST /v1/conversations/{id}/fork',
    method: 'POST',
    path: ({ id }) => `/v1/conversations/conv_${id}/fork`,
    body: () => ({}),
    status: 201,
    makes: 'conversation',
  },
  {
    name: 'openai-conversations DELETE /v1/conversations/{id}',
    method: 'DELETE',
    path: ({ id }) => `/v1/conversations/conv_${id}`,
    status: 200,
  },
];

/** Somebody with one conversation of one message. */
async function someone(): Promise<{ client: Client; conversation: Named }> {
  const client = server.client();
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Theirs' } });
  const entry = { chat_id: chat.id, role: 'Human', message: 'Before.' };
  await client.request('POST', '/conversations/create', { body: entry });
  return { client, conversation: await named(client, chat.id) };
}

function optionsOf({ body, options }: Write, conversation: Named, key: string): RequestOptions[] {
  const all = options?.(conversation) ?? [body === undefined ? {} : { body: body(conversation) }];
  return all.map((one) => ({ ...one, headers: { ...one.headers, 'idempotency-key': key } }));
}

/** Sends it so many times at once; what it is answered with, all alike. */
async function sendAll(client: Client, write: Write, conversation: Named, key: string, times: number): Promise<Answer> {
  const options = optionsOf(write, conversation, key);
  const path = write.path(conversation);
  const answers = await Promise.all(
    Array.from({ length: times }, (_, i) => client.request(write.method, path, options[i % options.length])),
  );
  const [first] = answers as [Answer];
  for (const [i, { status, text }] of answers.entries()) {
    assert.deepEqual([status, text], [first.status, first.text], `answer ${i}`);
  }
  return first;
}

/** Everything that is shown of somebody's conversations, in their order. */
async function shown(client: Client): Promise<string> {
  const { text } = await client.request('GET', '/conversations');
  const { text: chats } = await client.request('GET', '/chats/');
  return `${text}\n${chats}`;
}

/** How often a message is stored, over all conversations of a person. */
async function stored(client: Client, content: string): Promise<number> {
  const { body } = await client.request<{ messages: { content: string }[] }[]>('GET', '/conversations');
  return body.flatMap(({ messages }) => messages).filter((message) => message.content === content).length;
}

/** Calls of the model whose newest message it is, since a moment. */
const askedFor = (from: number, content: string) =>
  model.calls.slice(from).filter(({ body }) => textOf(body.messages.at(-1)) === content).length;

for (const write of answering) {
  describe(write.name, () => {
    it(`${AT_ONCE} at once: one message, one run, one call of the model, and all answers byte-equal`, async () => {
      const { client, conversation } = await someone();
      const from = model.calls.length;
      model.next((body) => ({ ...echo(body), gated: true }));
      const all = sendAll(client, write, conversation, 'once', AT_ONCE);
      await (await model.call(from)).releaseAll();
      const answer = await all;
      assert.equal(answer.status, write.status, answer.text);
      assert.match(answer.text, /You said: Count me\./);
      assert.equal(askedFor(from, 'Count me.'), 1);
      assert.equal(await stored(client, 'Count me.'), 1);
      const state = await shown(client);
      assert.equal((await sendAll(client, write, conversation, 'once', 3)).text, answer.text, 'later');
      assert.equal(await shown(client), state);
      assert.equal(model.calls.length, from + 1);
    });

    it('the same key with another command is 422, and stores nothing', async () => {
      const { client, conversation } = await someone();
      await sendAll(client, write, conversation, 'used', 1);
      const state = await shown(client);
      const from = model.calls.length;
      const body = { ...write.body?.(conversation), ...write.other };
      const headers = { 'idempotency-key': 'used' };
      const answer = await client.request(write.method, write.path(conversation), { body, headers });
      assert.equal(answer.status, 422, answer.text);
      assert.match(answer.text, /Idempotency-Key/);
      assert.equal(await shown(client), state);
      assert.equal(model.calls.length, from);
    });

    it('the same key of somebody else is another key', async () => {
      const [one, two] = await Promise.all([someone(), someone()]);
      const from = model.calls.length;
      for (const { client, conversation } of [one, two]) {
        assert.equal((await sendAll(client, write, conversation, 'shared', 1)).status, write.status);
        assert.equal(await stored(client, 'Count me.'), 1);
      }
      assert.equal(askedFor(from, 'Count me.'), 2);
    });

    it('failed before its first token: the same key starts anew, with one message stored', async () => {
      const { client, conversation } = await someone();
      const from = model.calls.length;
      model.next({ status: 401 });
      const failed = await sendAll(client, write, conversation, 'again', 1);
      assert.equal(failed.status, 503, failed.text);
      assert.equal(await stored(client, 'Count me.'), 1);
      model.next((body) => ({ ...echo(body), gated: true }));
      const all = sendAll(client, write, conversation, 'again', AT_ONCE);
      await (await model.call(from + 1)).releaseAll();
      assert.equal((await all).status, write.status);
      assert.equal(model.calls.length, from + 2);
      assert.equal(await stored(client, 'Count me.'), 1);
      assert.equal(await stored(client, 'You said: Count me.'), 1);
    });

    it('broken off after its first token: the same key gives the same failure, and asks nobody', async () => {
      const { client, conversation } = await someone();
      const from = model.calls.length;
      model.next({ text: 'One two three', cut: 1 });
      const broken = await sendAll(client, write, conversation, 'broken', 1);
      assert.equal(broken.status, write.brokenOff ?? 502);
      const again = await sendAll(client, write, conversation, 'broken', 5);
      assert.deepEqual([again.status, again.text], [broken.status, broken.text]);
      assert.equal(model.calls.length, from + 1);
      assert.equal(await stored(client, 'One'), 1);
    });

    it('after its conversation was deleted: 404', async () => {
      const { client, conversation } = await someone();
      await sendAll(client, write, conversation, 'gone', 1);
      const from = model.calls.length;
      await client.request('DELETE', '/api/chat/');
      assert.equal((await sendAll(client, write, conversation, 'gone', 3)).status, 404);
      assert.equal(await shown(client), '[]\n[]');
      assert.equal(model.calls.length, from);
    });
  });
}

for (const write of plain) {
  describe(write.name, () => {
    it(`${AT_ONCE} at once are done once, and all answers byte-equal`, async () => {
      const { client, conversation } = await someone();
      const answer = await sendAll(client, write, conversation, 'once', AT_ONCE);
      assert.equal(answer.status, write.status, answer.text);
      if (write.makes === 'message') assert.equal(await stored(client, 'Count me.'), 1);
      if (write.makes === 'conversation') {
        assert.equal((await client.request<object[]>('GET', '/chats/')).body.length, 2);
      }
      // Said again it is not done again: what was made since is still there.
      await client.request('POST', '/chats/create', { body: { name: 'Later' } });
      const state = await shown(client);
      const again = await sendAll(client, write, conversation, 'once', 3);
      assert.deepEqual([again.status, again.text], [answer.status, answer.text]);
      assert.equal(await shown(client), state);
    });

    if (write.other !== undefined) {
      it('the same key with another command is 422, and stores nothing', async () => {
        const { client, conversation } = await someone();
        await sendAll(client, write, conversation, 'used', 1);
        const state = await shown(client);
        const body = { ...write.body?.(conversation), ...write.other };
        const headers = { 'idempotency-key': 'used' };
        const answer = await client.request(write.method, write.path(conversation), { body, headers });
        assert.equal(answer.status, 422, answer.text);
        assert.equal(await shown(client), state);
      });
    }
  });
}

it('one key is one command over all dialects', async () => {
  const { client, conversation } = await someone();
  const [first, ...others] = [...answering, ...plain] as [Write, ...Write[]];
  await sendAll(client, first, conversation, 'everywhere', 1);
  const state = await shown(client);
  for (const write of others) {
    assert.equal((await sendAll(client, write, conversation, 'everywhere', 1)).status, 422, write.name);
  }
  assert.equal(await shown(client), state);
});

describe('what is safe without a key', () => {
  for (const path of ['inference', 'inference_internet']) {
    it(`chats GET /conversations/${path}/<id>: ${AT_ONCE} at once are one answer, byte-equal`, async () => {
      const { client, conversation } = await someone();
      const from = model.calls.length;
      model.next((body) => ({ ...echo(body), gated: true }));
      const all = Array.from({ length: AT_ONCE }, () =>
        client.request('GET', `/conversations/${path}/${conversation.id}`),
      );
      await (await model.call(from)).releaseAll();
      const texts = new Set((await Promise.all(all)).map(({ text }) => text));
      assert.equal(texts.size, 1);
      assert.match([...texts][0] ?? '', /event: done/);
      assert.equal(model.calls.length, from + 1);
      assert.equal(await stored(client, 'You said: Before.'), 1);
    });
  }
});

describe('frames of the WebSocket with an idempotency_key', () => {
  it(`${AT_ONCE} at once on ten sockets: one message, one run, one call, and all responses equal`, async () => {
    const { client, conversation } = await someone();
    const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
    const sockets = await Promise.all(
      Array.from({ length: 10 }, () => openSocket(server.url, '/ws?stream=true', { headers })),
    );
    const from = model.calls.length;
    model.next((body) => ({ ...echo(body), gated: true }));
    const frame = {
      type: 'message',
      content: 'Count me.',
      conversation_id: conversation.id,
      idempotency_key: 'frame',
    };
    for (const socket of sockets) for (let i = 0; i < 10; i++) socket.send(frame);
    await (await model.call(from)).releaseAll();
    const responses: Frame[] = [];
    const deltas: Frame[] = [];
    for (const socket of sockets) {
      for (let i = 0; i < 10; i++) {
        const frames = await socket.until('response');
        responses.push(frames.at(-1) as Frame);
        deltas.push(...frames.slice(0, -1));
      }
    }
    for (const response of responses) assert.deepEqual(response, responses[0]);
    // The deltas of ten messages on one socket come mixed: each of them ten times, and no others.
    const counts = Map.groupBy(deltas, ({ seq }) => seq);
    for (const [seq, same] of counts) assert.equal(same.length, AT_ONCE, `delta ${seq}`);
    assert.equal(model.calls.length, from + 1);
    assert.equal(await stored(client, 'Count me.'), 1);
    await Promise.all(sockets.map((socket) => socket.close()));
  });
});

describe('over a restart', () => {
  for (const how of ['SIGTERM', 'kill -9'] as const) {
    it(`every write gives the same again after ${how}`, async () => {
      const done: { write: Write; client: Client; conversation: Named; answer: Answer; state: string }[] = [];
      for (const write of [...answering, ...plain]) {
        const { client, conversation } = await someone();
        const answer = await sendAll(client, write, conversation, how, 1);
        done.push({ write, client, conversation, answer, state: await shown(client) });
      }
      const from = model.calls.length;
      if (how === 'SIGTERM') await server.stop();
      else await server.kill();
      await server.start();
      for (const { write, client, conversation, answer, state } of done) {
        const again = await sendAll(client, write, conversation, how, 2);
        assert.deepEqual([again.status, again.text], [answer.status, answer.text], write.name);
        assert.equal(await shown(client), state, write.name);
      }
      assert.equal(model.calls.length, from);
    });
  }
});

it('every dialect of this server is among them', () => {
  const tried = new Set([...answering, ...plain].map(({ name }) => name.split(' ')[0]));
  assert.deepEqual([...tried].toSorted(), DIALECTS.map(({ name }: DialectUse) => name).toSorted());
});
