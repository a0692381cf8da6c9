/**
 * `kill -9` (DESIGN.md, promises 1 and 2): nothing acknowledged is lost or doubled, every run ends, and the model is never
 * asked twice. Here in small; `npm run torture` is the long run. More kills: `TEST_KILLS=500`.
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { countRows, inspect } from '../../torture/inspect.ts';
import { parseEvents } from '../support/event-source.ts';
import { echo, type ModelServer, startModelServer, textOf } from '../support/model-server.ts';
import { type Answer, type Client, type OpenAnswer, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, type Frame, openSocket } from '../support/socket.ts';

const KILLS = Number(process.env.TEST_KILLS ?? 20);
const WRITERS = 32;
/** Long enough that it is never over before the kill, and short enough for any model's window. */
const TEXT = 'abcdefghijklmnopqrstuvwxy '.repeat(400);
const LETTERS = [...TEXT];

let model: ModelServer;
before(async () => {
  model = await startModelServer();
});
after(async () => {
  closeSockets();
  await model.close();
});

interface Ids {
  conversation_id: string;
}

describe(`${KILLS} times kill -9 under ${WRITERS} writers`, () => {
  /** What each kind of writer sends, and how what it sent is read back, in order. */
  const kinds = [
    {
      name: 'entries of chats',
      begin: async (call: Persist) => (await call<{ id: string }>('POST', '/chats/create', { name: 'C' })).body.id,
      write: (chat_id: string, message: string) =>
        ['/conversations/create', { chat_id, role: 'Human', message }] as const,
      statuses: [201],
      async read(client: Client, id: string) {
        const path = `/chats/${id}/conversations`;
        return (await client.request<{ message: string }[]>('GET', path)).body.map(({ message }) => message);
      },
    },
    {
      name: 'exchanges of movie-chat',
      begin: async (call: Persist) => String((await call<{ id: number }>('POST', '/api/chat', {})).body.id),
      write: (chat: string, content: string) => [`/api/chat/${chat}/messages`, { content }] as const,
      // 502: the crash came while it was answered; the message is stored.
      statuses: [201, 502],
      async read(client: Client, chat: string) {
        const path = `/api/chat/${chat}/messages`;
        return (await client.request<{ content: string }[]>('GET', path)).body.map(({ content }) => content);
      },
    },
    {
      name: 'messages of conversations',
      begin: async (call: Persist) => {
        const { body } = await call<Ids>('POST', '/chats/create', { name: 'C' });
        return (body as unknown as { id: string }).id;
      },
      write: (conversation_id: string, message: string) => ['/chat', { message, conversation_id }] as const,
      statuses: [200, 502],
      async read(client: Client, id: string) {
        const { body } = await client.request<{ messages: { role: string; content: string }[] }>(
          'GET',
          `/conversations/${id}`,
        );
        return body.messages.filter(({ role }) => role === 'user').map(({ content }) => content);
      },
    },
  ];
  type Persist = <Body>(method: string, path: string, body: object) => Promise<Answer<Body>>;

  let server: TestServer;
  before(async () => {
    model.answer(echo);
    server = await startServer({ model: model.url });
  });
  after(() => server?.close());

  it('every acknowledged write is there exactly once, in order, and the model was asked once at most', async () => {
    let up = Promise.withResolvers<void>();
    up.resolve();
    let over = false;
    let acknowledged = 0;
    let cutOff = 0;
    /** The next kill waits for so many acknowledgements. */
    let awaited = { count: Number.POSITIVE_INFINITY, reached: () => {} };

    /** Sends it until there is an answer, each time with the same key. */
    async function persist(client: Client, method: string, path: string, body: object, key: string): Promise<Answer> {
      for (;;) {
        await up.promise;
        try {
          const answer = await client.request(method, path, { body, headers: { 'idempotency-key': key } });
          if (++acknowledged >= awaited.count) awaited.reached();
          return answer;
        } catch {
          cutOff++;
        }
      }
    }

    async function write(writer: number) {
      const client = server.client();
      const kind = kinds[writer % kinds.length] as (typeof kinds)[number];
      const id = await kind.begin((method, path, body) =>
        persist(client, method, path, body, 'begin').then((answer) => answer as Answer<never>),
      );
      const written: string[] = [];
      while (!over) {
        const text = `writer ${writer} message ${written.length}`;
        const [path, body] = kind.write(id, text);
        const answer = await persist(client, 'POST', path, body, text);
        assert.ok(kind.statuses.includes(answer.status), `${text}: ${answer.status} ${answer.text}`);
        written.push(text);
      }
      return { client, kind, id, written };
    }

    const writing = Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
    writing.catch(() => {});
    for (let kill = 0; kill < KILLS; kill++) {
      await Promise.race([
        writing,
        new Promise<void>((reached) => {
          awaited = { count: acknowledged + 1 + Math.floor(Math.random() * 150), reached };
        }),
      ]);
      up = Promise.withResolvers();
      await server.kill();
      await server.start();
      up.resolve();
    }
    over = true;
    const writers = await writing;

    for (const { client, kind, id, written } of writers) {
      assert.deepEqual(await kind.read(client, id), written, kind.name);
    }
    const asked = Map.groupBy(model.calls, ({ body }) => textOf(body.messages.at(-1)));
    for (const [text, calls] of asked) assert.equal(calls.length, 1, `the model was asked twice: ${text}`);
    assert.deepEqual(inspect(server.data), []);
    assert.ok(cutOff > 0, 'some were cut off and sent again');
    assert.ok(acknowledged > KILLS * 10, `${acknowledged} writes were acknowledged`);
  });
});

describe('answers that are being written', () => {
  let server: TestServer;
  beforeEach(async () => {
    server = await startServer({ model: model.url });
  });
  afterEach(() => server.close());

  it('end as incomplete with their text but at most the last 100 ms; waiting ones are started; none is asked twice', async () => {
    const client = server.client();
    const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
    const socket = await openSocket(server.url, '/ws?stream=true', { headers });
    const from = model.calls.length;
    model.answer((body) => {
      const asked = textOf(body.messages.at(-1));
      return asked === 'first' ? { text: LETTERS, gated: true } : echo(body);
    });
    for (const content of ['first', 'second', 'third']) {
      socket.send({ type: 'message', content, idempotency_key: content });
    }
    const opening = [await socket.next(), await socket.next(), await socket.next()];
    const { conversation_id } = opening[0] as Frame;

    /** How much text had come at what time. */
    const heard: { at: number; length: number }[] = [{ at: 0, length: 0 }];
    socket.ws.on('message', (data: Buffer) => {
      const { content } = JSON.parse(data.toString('utf8')) as { content: string };
      heard.push({ at: performance.now(), length: (heard.at(-1)?.length ?? 0) + content.length });
    });
    const call = await model.call(from);
    const began = performance.now();
    while (performance.now() - began < 600 && call.sent < LETTERS.length - 100) {
      await call.release();
      await new Promise(setImmediate);
    }
    const killed = performance.now();
    await server.kill();
    const received = heard.at(-1)?.length ?? 0;
    const safe = heard.findLast(({ at }) => at <= killed - 100)?.length ?? 0;
    assert.ok(safe > 100, `only ${safe} characters had come`);

    await server.start();
    const contents = async () => {
      const path = `/conversations/${conversation_id}`;
      const { body } = await client.request<{ messages: { content: string }[] }>('GET', path);
      return body.messages.map(({ content }) => content);
    };
    const [first, kept = ''] = await contents();
    assert.equal(first, 'first');
    assert.ok(TEXT.startsWith(kept), 'the text is the model’s');
    assert.ok(
      kept.length >= safe,
      `${kept.length} characters were kept; ${safe} were older than 100 ms of ${received}`,
    );
    const { body: chats } = await client.request<{ id: number }[]>('GET', '/api/chat');
    const { body: exchanges } = await client.request<{ status: string }[]>('GET', `/api/chat/${chats[0]?.id}/messages`);
    assert.equal(exchanges[0]?.status, 'incomplete');

    // The newest one is answered when those before it are.
    const { text } = await client.request('GET', `/conversations/inference/${conversation_id}`);
    assert.match(text, /event: done/);
    assert.deepEqual((await contents()).slice(2), ['second', 'You said: second', 'third', 'You said: third']);
    assert.deepEqual(
      model.calls.slice(from).map(({ body }) => textOf(body.messages.at(-1))),
      ['first', 'second', 'third'],
    );
    assert.ok(model.calls[from + 1]?.body.messages[1]?.content === kept, 'the model is told what was kept');

    // Sent again with its key it is not asked again.
    const again = await openSocket(server.url, '/ws', { headers });
    again.send({ type: 'message', content: 'first', idempotency_key: 'first' });
    const { type, message_id } = await again.next();
    assert.deepEqual([type, message_id], ['error', opening[0]?.message_id]);
    assert.equal(model.calls.length, from + 3);
    assert.deepEqual(inspect(server.data), []);
  });

  it('that had said nothing yet end too, and are not asked again', async () => {
    const client = server.client();
    const from = model.calls.length;
    model.answer({ text: 'Never said.', stall: 'first-token' });
    const body = { message: 'Hi' };
    const request = { body, headers: { 'idempotency-key': 'silent' } };
    const asked = client.request('POST', '/chat', request).catch(() => null);
    const call = await model.call(from);
    await server.kill();
    assert.equal(await asked, null);
    assert.equal(await call.over, 'left');
    await server.start();
    const answer = await client.request('POST', '/chat', request);
    assert.equal(answer.status, 502, answer.text);
    assert.equal(model.calls.length, from + 1);
    const { body: list } = await client.request<{ messages: object[] }[]>('GET', '/conversations');
    assert.deepEqual(
      list.map(({ messages }) => messages.length),
      [1],
    );
  });
});

describe('a reader whose cursor lies beyond what was saved', () => {
  let server: TestServer;
  beforeEach(async () => {
    // So seldom that the test decides what is saved.
    server = await startServer({ model: model.url, env: { PARLANCE_FLUSH_MS: '1000' } });
  });
  afterEach(() => server.close());

  /** Follows the only answer of a chat with `tokens` of it saved and as many again that are not, and pulls the plug. */
  async function pullThePlug(tokens: number): Promise<{ client: Client; chat: string; heard: string; saved: string }> {
    const client = server.client();
    const from = model.calls.length;
    model.answer({ text: LETTERS, gated: true });
    const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
    const entry = { chat_id: chat.id, role: 'Human', message: 'Count.' };
    await client.request('POST', '/conversations/create', { body: entry });
    const stream = await client.open('GET', `/conversations/inference/${chat.id}`);
    const call = await model.call(from);
    const saved = await release(stream, call, tokens, 0);
    const logged = `select coalesce(max(e.last), 0) as count from run_events e
      join runs r on r.sequence = e.run where r.conversation = ?`;
    while (tokens > 0 && countRows(server.data, logged, chat.id) < lastId(stream)) await wait(10);
    const heard = await release(stream, call, tokens + 1, tokens);
    await server.kill();
    await stream.ended;
    await server.start();
    return { client, chat: chat.id, heard: String(lastId(stream, heard)), saved };
  }

  const lastId = (stream: OpenAnswer, text = stream.received()) => Number(parseEvents(text).at(-1)?.id ?? 0);

  /** Lets tokens go until the reader has them; gives the whole text so far. */
  async function release(
    stream: OpenAnswer,
    call: Awaited<ReturnType<ModelServer['call']>>,
    count: number,
    before: number,
  ): Promise<string> {
    if (count === 0) return '';
    await call.release(count);
    const all = LETTERS.slice(0, before + count);
    await stream.until(`data: ${all.at(-1)}\n\n`);
    return before === 0 ? all.join('') : stream.received();
  }

  it('is given the whole saved text by the terminal event', async () => {
    const { client, chat, heard, saved } = await pullThePlug(5);
    const { text } = await client.request('GET', `/conversations/inference/${chat}`, {
      headers: { 'last-event-id': heard },
    });
    const events = parseEvents(text);
    assert.equal(events.length, 1, text);
    assert.equal(events[0]?.event, 'done');
    const done = JSON.parse(events[0]?.data ?? '');
    assert.deepEqual([done.finish_reason, done.message, done.chat_id], ['incomplete', saved, chat]);
    assert.ok(Number(events[0]?.id) > 100_000 - 1, 'it is numbered beyond every cursor');

    // Then there is nothing more, and who reads from the beginning gets the saved text and the same end.
    const after = { headers: { 'last-event-id': events[0]?.id ?? '' } };
    assert.equal((await client.request('GET', `/conversations/inference/${chat}`, after)).status, 204);
    const whole = parseEvents((await client.request('GET', `/conversations/inference/${chat}`)).text);
    const text2 = whole.filter(({ event }) => event === 'message').map(({ data }) => data);
    assert.equal(text2.join(''), saved);
    assert.equal(whole.at(-1)?.id, events[0]?.id);
    assert.equal(JSON.parse(whole.at(-1)?.data ?? '').message, undefined);
  });

  it('is told by an error event where nothing was saved', async () => {
    const { client, chat, heard } = await pullThePlug(0);
    const { text } = await client.request('GET', `/conversations/inference/${chat}`, {
      headers: { 'last-event-id': heard },
    });
    const [event, ...others] = parseEvents(text);
    assert.deepEqual([event?.event, others], ['error', []], text);
    assert.equal(JSON.parse(event?.data ?? '').code, 502);
  });
});
