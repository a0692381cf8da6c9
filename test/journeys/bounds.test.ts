/** Bounds on what one user, and all, may have open at once: 503 with `Retry-After` in every dialect's shape, and nothing stored. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Answer, type Client, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, openSocket, refusedUpgrade } from '../support/socket.ts';

let model: ModelServer;
before(async () => {
  model = await startModelServer();
});
after(() => model.close());
afterEach(closeSockets);

interface Chat {
  id: number;
}
interface Entry {
  id: string;
  chat_id: string;
}

/** One way to ask for each dialect, and where its error has the sentence. */
const asks: [
  name: string,
  ask: (client: Client, chat: number) => Promise<Answer>,
  sentence: (body: never) => string,
][] = [
  [
    'movie-chat',
    (client, chat) => client.request('POST', `/api/chat/${chat}/messages`, { body: { content: 'Hi' } }),
    (body: { detail: string }) => body.detail,
  ],
  [
    'chat-sessions',
    (client, chat) => client.request('POST', `/api/chat_sessions/${chat}/chat`, { body: { message: 'Hi' } }),
    (body: { details: string }) => body.details,
  ],
  [
    'conversations',
    (client) => client.request('POST', '/chat', { body: { message: 'Hi' } }),
    (body: { detail: string }) => body.detail,
  ],
  [
    'chats',
    async (client) => client.request('GET', `/conversations/inference/${(await entry(client)).chat_id}`),
    (body: { error: { description: string } }) => body.error.description,
  ],
  [
    'ask',
    (client) => client.request('POST', '/ask', { body: { prompt: 'Hi' } }),
    (body: { error: string }) => body.error,
  ],
  ['openai-chat', (client) => complete(client, {}), (body: { error: { message: string } }) => body.error.message],
  [
    'openai-chat, a stream',
    (client) => complete(client, { stream: true }),
    (body: { error: { message: string } }) => body.error.message,
  ],
  [
    'openai-chat, kept',
    (client) => complete(client, { store: true }),
    (body: { error: { message: string } }) => body.error.message,
  ],
  [
    'ai-sdk',
    (client) => client.request('POST', '/ui/chat', { body: { id: 'new', messages: [message('Hi')] } }),
    (body: { error: { message: string } }) => body.error.message,
  ],
];

const message = (text: string) => ({ id: text, role: 'user', parts: [{ type: 'text', text }] });

function complete(client: Client, given: object): Promise<Answer> {
  const body = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }], ...given };
  return client.request('POST', '/v1/chat/completions', { body });
}

/** A question that nobody was asked yet. */
async function entry(client: Client): Promise<Entry> {
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
  const body = { chat_id: chat.id, role: 'Human', message: 'Hi' };
  return (await client.request<Entry>('POST', '/conversations/create', { body })).body;
}

/** An answer that is being written until the model is released. */
async function beginStream(client: Client) {
  const from = model.calls.length;
  const stream = await client.open('GET', `/conversations/inference/${(await entry(client)).chat_id}`);
  const call = await model.call(from);
  return { stream, call };
}

function refused({ status, headers, text }: Pick<Answer, 'status' | 'headers' | 'text'>, setting: string): void {
  assert.equal(status, 503, text);
  assert.equal(headers['retry-after'], '5');
  assert.match(text, new RegExp(`raise ${setting}\\.`));
}

describe('answers that are open', () => {
  let server: TestServer;
  before(async () => {
    const bounds = { PARLANCE_MAX_RUNS_PER_USER: '3', PARLANCE_MAX_RUNS: '5' };
    server = await startServer({ model: model.url, env: bounds });
  });
  after(() => server?.close());

  it('are bounded for one user, in every dialect, and nothing is stored of what is refused', async () => {
    const client = server.client();
    const { body: chat } = await client.request<Chat>('POST', '/api/chat/');
    const { body: session } = await client.request<{ data: Chat }>('POST', '/api/chat_sessions', {
      body: { title: 'S' },
    });
    model.answer({ text: 'Hello', gated: true });
    const open = [await beginStream(client), await beginStream(client), await beginStream(client)];
    const chats = async () => (await client.request<unknown[]>('GET', '/chats/')).body.length;
    const before = await chats();
    for (const [name, ask, sentence] of asks) {
      const answer = await ask(client, name === 'movie-chat' ? chat.id : session.data.id);
      refused(answer, 'PARLANCE_MAX_RUNS_PER_USER');
      assert.match(sentence(answer.body as never), /^3 answers of this user/, name);
    }
    // The question of dialect 3 is stored by a call of its own.
    assert.equal(await chats(), before + 1);
    const lines = await client.request<unknown[]>('GET', `/api/chat/${chat.id}/messages`);
    assert.deepEqual(lines.body, []);

    const other = await beginStream(server.client());
    await open[0]?.call.releaseAll();
    await open[0]?.stream.ended;
    const next = await beginStream(client);
    for (const { call, stream } of [...open, other, next]) {
      await call.releaseAll();
      await stream.ended;
    }
  });

  it('are bounded exactly where many come at once', async () => {
    const client = server.client();
    const from = model.calls.length;
    model.answer({ text: 'Hello', gated: true });
    const asked = Array.from({ length: 30 }, () => client.request('POST', '/ask', { body: { prompt: 'Hi' } }));
    const calls = [await model.call(from), await model.call(from + 1), await model.call(from + 2)];
    for (const call of calls) await call.releaseAll();
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 503).length, 27);
    assert.equal(statuses.filter((status) => status === 200).length, 3);
    assert.equal(model.calls.length, from + 3);
  });

  it('are bounded for all users together', async () => {
    model.answer({ text: 'Hello', gated: true });
    const [ann, bob, eve] = [server.client(), server.client(), server.client()];
    const open = [];
    for (const client of [ann, ann, ann, bob, bob]) open.push(await beginStream(client));
    refused(await eve.request('POST', '/ask', { body: { prompt: 'Hi' } }), 'PARLANCE_MAX_RUNS');
    for (const { call, stream } of open) {
      await call.releaseAll();
      await stream.ended;
    }
    model.answer({ text: 'Hello' });
    assert.equal((await eve.request('POST', '/ask', { body: { prompt: 'Hi' } })).status, 200);
  });

  it('that wait in a queue count too', async () => {
    const client = server.client();
    model.answer({ text: 'Hello', gated: true });
    const socket = await openSocket(server.url, `/ws?user_id=${client.user}&stream=true`, {
      headers: { authorization: `Bearer ${server.ownerKey}` },
    });
    const from = model.calls.length;
    for (let i = 0; i < 4; i++) socket.send({ type: 'message', content: `${i}` });
    const frames = await socket.until('error');
    assert.match(String(frames.at(-1)?.detail), /PARLANCE_MAX_RUNS_PER_USER/);
    for (let i = 0; i < 3; i++) await (await model.call(from + i)).releaseAll();
    for (let i = 0; i < 3; i++) await socket.until('response');
  });
});

describe('streams, sockets and waiting requests', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ model: model.url, env: { PARLANCE_MAX_STREAMS_PER_USER: '3' } });
  });
  after(() => server?.close());

  it('of one user are bounded together; other requests are not, and whoever leaves makes room', async () => {
    const client = server.client();
    const headers = { authorization: `Bearer ${server.ownerKey}`, 'x-user-id': client.user };
    model.answer({ text: 'Hello', gated: true });
    for (let round = 0; round < 2; round++) {
      const { stream, call } = await beginStream(client);
      const socket = await openSocket(server.url, '/ws', { headers });
      const from = model.calls.length;
      const chat = { id: `chat ${round}`, messages: [message('Hi')] };
      const waiting = client.open('POST', '/ui/chat', { body: chat });
      const answered = await model.call(from);
      const waited = await waiting;

      refused(await client.request('POST', '/ask', { body: { prompt: 'Hi' } }), 'PARLANCE_MAX_STREAMS_PER_USER');
      refused(await refusedUpgrade(server.url, '/ws', headers), 'PARLANCE_MAX_STREAMS_PER_USER');
      const again = `/ui/chat/${encodeURIComponent(chat.id)}/stream`;
      const third = await client.request<{ error: { code: string } }>('GET', again);
      refused(third, 'PARLANCE_MAX_STREAMS_PER_USER');
      assert.equal(third.body.error.code, 'overloaded');
      assert.equal(model.calls.length, from + 1, 'nothing was started');
      assert.equal((await client.request('GET', '/chats/')).status, 200);
      const someone = await beginStream(server.client());
      await someone.call.releaseAll();
      await someone.stream.ended;

      // One leaves without a word, one is told to stop, one says goodbye.
      waited.cut();
      await until(async () => (await client.open('GET', again)).status === 200);
      assert.equal((await client.request('POST', `/ui/chat/${encodeURIComponent(chat.id)}/stop`)).status, 204);
      assert.equal(await answered.over, 'left');
      await call.releaseAll();
      await stream.ended;
      await socket.close();
    }
  });

  it('a request that waits for its answer counts until it has it, or an error', async () => {
    const client = server.client();
    const from = model.calls.length;
    model.answer({ text: 'Hello', gated: true });
    const asked = [1, 2, 3].map(() => client.request('POST', '/ask', { body: { prompt: 'Hi' } }));
    const calls = [await model.call(from), await model.call(from + 1), await model.call(from + 2)];
    refused(await client.request('POST', '/ask', { body: { prompt: 'Hi' } }), 'PARLANCE_MAX_STREAMS_PER_USER');
    for (const call of calls) await call.releaseAll();
    for (const { status } of await Promise.all(asked)) assert.equal(status, 200);
    for (let i = 0; i < 5; i++) {
      assert.equal((await client.request('POST', '/ask', { body: { prompt: '' } })).status, 400);
      assert.equal(
        (await client.request('POST', '/chat', { body: { message: 'Hi', conversation_id: 'no' } })).status,
        404,
      );
    }
    model.answer({ text: 'Hello' });
    assert.equal((await client.request('POST', '/ask', { body: { prompt: 'Hi' } })).status, 200);
  });

  /** Asks again until it is so. */
  async function until(holds: () => Promise<boolean>): Promise<void> {
    while (!(await holds()));
  }
});
