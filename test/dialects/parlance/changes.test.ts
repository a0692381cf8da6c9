/** The change feed over real HTTP: pages, the live stream, and what lies between the two. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseEvents } from '../../support/event-source.ts';
import type { Client, OpenAnswer } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';

const { server } = await useServer({ PARLANCE_TITLES: 'words' });

interface Change {
  object: 'change';
  number: number;
  type: string;
  conversation_id: string;
  run_id?: string;
  response_id?: string;
  created_at: number;
}
interface Page {
  object: 'list';
  data: Change[];
  has_more: boolean;
  newest: number;
}
interface WireError {
  error: { code: string; message: string; param: string };
}

const EVENTS = { accept: 'text/event-stream' };

describe('GET /v1/changes', () => {
  const read = async (client: Client, query = '') =>
    (await client.request<Page & WireError>('GET', `/v1/changes${query}`)).body;

  async function create(client: Client, name = 'A chat'): Promise<string> {
    return (await client.request<{ id: string }>('POST', '/chats/create', { body: { name } })).body.id;
  }

  /** The changes an event stream has given. */
  function changesIn(text: string): Change[] {
    return parseEvents(text).map(({ id, event, data }) => {
      const change: Change = JSON.parse(data);
      assert.deepEqual([event, id], ['message', String(change.number)]);
      return change;
    });
  }

  async function numbersUntil(stream: OpenAnswer, number: number): Promise<number[]> {
    return changesIn(await stream.until(`id: ${number}\ndata: `)).map((change) => change.number);
  }

  it('gives what happened in pages, oldest first, each change once', async () => {
    const ann = server.client();
    assert.deepEqual(await read(ann), { object: 'list', data: [], has_more: false, newest: 0 });
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push(await create(ann));
    const first = await read(ann, '?since=0&limit=5');
    assert.deepEqual([first.data.length, first.has_more, first.newest], [5, true, 7]);
    const rest = await read(ann, '?since=5&limit=5');
    assert.deepEqual([rest.data.length, rest.has_more, rest.newest], [2, false, 7]);
    assert.deepEqual(
      [...first.data, ...rest.data].map(({ object, number, type, conversation_id }) => [
        object,
        number,
        type,
        conversation_id,
      ]),
      ids.map((id, i) => ['change', i + 1, 'conversation-created', `conv_${id}`]),
    );
    const { created_at } = first.data[0] as Change;
    assert.ok(Math.abs(created_at - Date.now() / 1000) < 60, `${created_at} is in seconds`);
    assert.deepEqual((await read(server.client())).data, []);
  });

  it('shows a write of every dialect at once on an open stream, titles too', async () => {
    const ann = server.client();
    const stream = await ann.open('GET', '/v1/changes', { headers: EVENTS });
    assert.match(String(stream.headers['content-type']), /^text\/event-stream/);
    await stream.until('id: 0\n\n');
    const told: [string, string | undefined][] = [];
    const expect = async (what: string, ...types: string[]) => {
      const seen = changesIn(await stream.until(`id: ${told.length + types.length}\ndata: `));
      const fresh = seen
        .slice(told.length)
        .map(({ type, response_id }): [string, string | undefined] => [type, response_id]);
      assert.deepEqual(
        fresh.map(([type]) => type),
        types,
        what,
      );
      told.push(...fresh);
    };
    const chat = await create(ann);
    await expect('chats', 'conversation-created');
    const entry = { chat_id: chat, role: 'Human', message: 'Hi' };
    await ann.request('POST', '/conversations/create', { body: entry });
    await expect('an entry by hand', 'conversation-updated');
    await (await ann.open('GET', `/conversations/inference/${chat}`)).ended;
    await expect('its answer', 'run-started', 'run-ended');
    await ann.request('PUT', `/chats/update/${chat}`, { body: { name: 'Other' } });
    await expect('renamed', 'conversation-renamed');
    const { id } = (await ann.request<{ id: number }>('POST', '/api/chat', { body: {} })).body;
    await expect('movie-chat', 'conversation-created');
    await ann.request('POST', `/api/chat/${id}/messages`, { body: { content: 'What to watch?' } });
    await expect('its answer and its title', 'run-started', 'run-ended', 'conversation-renamed');
    await ann.request('DELETE', `/api/chat/${id}`);
    await expect('deleted', 'conversation-deleted');
    await ann.request('POST', '/api/chat_sessions', { body: { title: 'S' } });
    await expect('chat-sessions', 'conversation-created');
    const { body } = await ann.request<{ conversation_id: string }>('POST', '/chat', { body: { message: 'Hi' } });
    await expect('conversations', 'conversation-created', 'run-started', 'run-ended', 'conversation-renamed');
    const ask = { prompt: 'And?', conversation_id: body.conversation_id };
    await ann.request('POST', '/ask', { body: ask });
    await expect('ask', 'run-started', 'run-ended');
    const headers = { 'x-conversation-id': body.conversation_id };
    await ann.request('POST', '/v1/chat/completions', {
      body: { messages: [{ role: 'user', content: 'Hi' }] },
      headers,
    });
    await expect('openai-chat', 'run-started', 'run-ended');
    const message = { id: 'm1', role: 'user', parts: [{ type: 'text', text: 'Hi' }] };
    await (await ann.open('POST', '/ui/chat', { body: { id: body.conversation_id, message } })).ended;
    await expect('ai-sdk', 'run-started', 'run-ended');
    for (const [type, response] of told) {
      assert.match(response ?? 'none', type.startsWith('run-') ? /^resp_[0-9a-f-]{36}$/ : /^none$/, type);
    }
    const ran = (await read(ann, '?limit=100')).data.findLast(({ type }) => type === 'run-ended');
    assert.match(ran?.run_id ?? '', /^[0-9a-f-]{36}$/);
    stream.cut();
  });

  it('goes on after Last-Event-ID, which wins over since, and after since', async () => {
    const ann = server.client();
    for (let i = 0; i < 4; i++) await create(ann);
    for (const [query, headers, expected] of [
      ['', {}, []],
      ['?since=0', {}, [1, 2, 3, 4]],
      ['?since=3', {}, [4]],
      ['?since=0', { 'last-event-id': '2' }, [3, 4]],
      ['', { 'last-event-id': '4' }, []],
      ['?since=1', { 'last-event-id': '' }, [2, 3, 4]],
    ] as const) {
      const stream = await ann.open('GET', `/v1/changes${query}`, { headers: { ...EVENTS, ...headers } });
      const from = expected.length === 0 ? 4 : (expected[0] ?? 0) - 1;
      await stream.until(`id: ${from}\n\n`);
      if (expected.length > 0) await stream.until('id: 4\ndata: ');
      assert.deepEqual(
        changesIn(stream.received()).map(({ number }) => number),
        expected,
        `${query} ${JSON.stringify(headers)}`,
      );
      stream.cut();
    }
  });

  it('loses and doubles nothing between the log and what is live, wherever a reader comes in', async () => {
    const ann = server.client();
    const writing = Promise.all(
      Array.from({ length: 8 }, async () => {
        for (let i = 0; i < 25; i++) await create(ann);
      }),
    );
    const readers: { since: number; stream: OpenAnswer }[] = [];
    for (let newest = 0; newest < 200; ) {
      newest = (await read(ann, '?limit=1')).newest;
      const since = Math.floor(Math.random() * (newest + 1));
      readers.push({ since, stream: await ann.open('GET', `/v1/changes?since=${since}`, { headers: EVENTS }) });
      if (readers.length > 60) readers.shift()?.stream.cut();
    }
    await writing;
    assert.ok(readers.length > 3, `${readers.length} readers came in while it was written`);
    for (const { since, stream } of readers) {
      const all = Array.from({ length: 200 - since }, (_, i) => since + i + 1);
      assert.deepEqual(since === 200 ? [] : await numbersUntil(stream, 200), all, `since ${since}`);
      stream.cut();
    }
  });

  it('a reader that reconnects for each change sees each one', async () => {
    const ann = server.client();
    const writing = (async () => {
      for (let i = 0; i < 40; i++) await create(ann);
    })();
    const seen: number[] = [];
    while (seen.length < 40) {
      const headers = { ...EVENTS, 'last-event-id': String(seen.at(-1) ?? 0) };
      const stream = await ann.open('GET', '/v1/changes', { headers });
      await stream.until('\ndata: ');
      stream.cut();
      seen.push(...changesIn(stream.received()).map(({ number }) => number));
    }
    await writing;
    assert.deepEqual(
      seen,
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
  });

  it('goes on after a kill of the server where the reader left', async () => {
    const ann = server.client();
    await create(ann);
    const stream = await ann.open('GET', '/v1/changes?since=0', { headers: EVENTS });
    await numbersUntil(stream, 1);
    await create(ann);
    await server.kill();
    await server.start();
    await create(ann);
    const again = await ann.open('GET', '/v1/changes', { headers: { ...EVENTS, 'last-event-id': '1' } });
    assert.deepEqual(await numbersUntil(again, 3), [2, 3]);
    again.cut();
  });

  it('is 410 for a number that was never given, and says how to begin anew', async () => {
    const ann = server.client();
    await create(ann);
    for (const headers of [{}, EVENTS]) {
      const { status, body } = await ann.request<WireError>('GET', '/v1/changes?since=2', { headers });
      assert.deepEqual([status, body.error.code, body.error.param], [410, 'cursor_expired', 'since']);
      assert.match(body.error.message, /from 1 on/);
    }
  });

  it('refuses what is no number, and too long a page', async () => {
    const ann = server.client();
    for (const [query, param] of [
      ['?since=x', 'since'],
      ['?since=-1', 'since'],
      ['?since=1.5', 'since'],
      ['?limit=0', 'limit'],
      ['?limit=101', 'limit'],
    ]) {
      const { status, body } = await ann.request<WireError>('GET', `/v1/changes${query}`);
      assert.deepEqual([status, body.error.param], [400, param], query);
    }
    const headers = { ...EVENTS, 'last-event-id': 'x' };
    const { status, body } = await ann.request<WireError>('GET', '/v1/changes', { headers });
    assert.deepEqual([status, body.error.param], [400, 'last-event-id']);
  });
});
