/** The answers of dialect 3 as Server-Sent Events, byte for byte: DIALECTS.md, section 3. */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { messageText, parseEvents } from '../../support/event-source.ts';
import { type ModelServer, type Script, startModelServer } from '../../support/model-server.ts';
import { type Answer, type Client, type OpenAnswer, startServer, type TestServer } from '../../support/server.ts';

interface Entry {
  id: string;
  role: string;
  message: string;
}

const PAGES = [
  { title: 'Metropolis', url: 'https://example.com/metropolis', content: 'A film of 1927.' },
  { title: 'Fritz "Lang"', url: 'https://example.com/lang?a=b&c', content: 'Its director.' },
];

let server: TestServer;
let model: ModelServer;
let searx: Server;
/** What was searched for, in order. */
const queries: string[] = [];
/** Opened before all else, so that its silence is long enough when it is looked at. */
let silent: OpenAnswer;

before(async () => {
  searx = createServer((request, response) => {
    queries.push(new URL(request.url ?? '', 'http://localhost').searchParams.get('q') ?? '');
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ results: PAGES }));
  });
  await new Promise<void>((resolve) => searx.listen(0, '127.0.0.1', resolve));
  model = await startModelServer();
  const { port } = searx.address() as AddressInfo;
  const env = { SEARXNG_URL: `http://127.0.0.1:${port}`, PARLANCE_TIMEOUT_SILENCE: '60' };
  server = await startServer({ model: model.url, env });
  model.next({ text: ['One', ' two'], stall: 1 });
  const client = server.client();
  const { chat } = await asked(client, 'Say nothing for a while');
  silent = await client.open('GET', `/conversations/inference/${chat}`);
  await silent.until('data: One');
});
after(async () => {
  await server?.close();
  await model?.close();
  searx.close();
});

describe('an answer as a stream', () => {
  test('is, byte for byte, message events and one done event', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    model.next({ text: ['Hel', 'lo', ' there'] });
    const { status, text, headers } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(headers['cache-control'], 'no-store');
    assert.equal(headers['x-accel-buffering'], 'no');
    const [, answer] = await entries(client, chat);
    assert.equal(
      text,
      [
        'id: 4\ndata: Hel\n\n',
        'id: 5\ndata: lo\n\n',
        'id: 6\ndata:  there\n\n',
        'id: 8\nevent: done\n',
        `data: {"conversation_id":"${answer?.id}","chat_id":"${chat}","finish_reason":"stop","sources":[]}\n\n`,
      ].join(''),
    );
    assert.deepEqual([answer?.role, answer?.message], ['Assistant', 'Hello there']);
    assert.deepEqual(model.calls.at(-1)?.body.messages, [{ role: 'user', content: 'Hi' }]);
  });

  const texts: [what: string, deltas: string[], frames: string][] = [
    [
      'lines',
      ['a\nb', '\n', '\n\nc'],
      'id: 4\ndata: a\ndata: b\n\nid: 5\ndata: \ndata: \n\nid: 6\ndata: \ndata: \ndata: c\n\n',
    ],
    ['leading and trailing spaces', ['  a ', ' b  '], 'id: 4\ndata:   a \n\nid: 5\ndata:  b  \n\n'],
    ['CR and CRLF', ['a\r\nb\rc\r\r\n'], 'id: 4\ndata: a\ndata: b\ndata: c\ndata: \ndata: \n\n'],
    ['a CRLF that is split', ['a\r', '\nb'], 'id: 4\ndata: a\ndata: \n\nid: 5\ndata: b\n\n'],
    ['a CRLF that is split, and nothing behind it', ['a\r', '\n', 'b'], 'id: 4\ndata: a\ndata: \n\nid: 6\ndata: b\n\n'],
    [
      'what looks like a field',
      ['data: x\nid: 1\nevent: y\n: z'],
      'id: 4\ndata: data: x\ndata: id: 1\ndata: event: y\ndata: : z\n\n',
    ],
    ['an emoji that is split', ['a\ud83d', '\ude00b'], 'id: 4\ndata: a\n\nid: 5\ndata: 😀b\n\n'],
    ['half an emoji', ['a\ud83d', 'b'], 'id: 4\ndata: a\n\nid: 5\ndata: \ufffdb\n\n'],
    ['U+0000', ['a\0b'], 'id: 4\ndata: ab\n\n'],
    ['any script', ['Größe ', '日本語 ', '𝔘'], 'id: 4\ndata: Größe \n\nid: 5\ndata: 日本語 \n\nid: 6\ndata: 𝔘\n\n'],
  ];
  for (const [what, text, frames] of texts) {
    test(`carries ${what}`, async () => {
      const client = server.client();
      const { chat } = await asked(client, 'Hi');
      model.next({ text });
      const stream = await client.request('GET', `/conversations/inference/${chat}`);
      assert.equal(stream.text.slice(0, stream.text.search(/id: \d+\nevent: done/)), frames);
      const [, answer] = await entries(client, chat);
      assert.equal(messageText(parseEvents(stream.text)), answer?.message.replace(/\r\n?/g, '\n'));
    });
  }

  test("is the same text when the model's bytes come one at a time", async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    model.next({ text: ['Größe ', '😀', '\r', '\n', '日本'], split: 'bytes' });
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(messageText(parseEvents(text)), 'Größe 😀\n日本');
  });

  const ends: [what: string, script: Script, finish: string][] = [
    ['at its length', { text: 'Too long', finish: 'length' }, 'length'],
    ['by a filter', { text: 'Filtered', finish: 'content_filter' }, 'content_filter'],
    ['by a broken connection', { text: ['Half', ' a loaf'], cut: 1 }, 'incomplete'],
    ['without saying so', { text: ['Half', ' a loaf'], end: 1 }, 'incomplete'],
  ];
  for (const [what, script, finish] of ends) {
    test(`that ends ${what} is done with ${finish}, keeps its text, and is not asked for again`, async () => {
      const client = server.client();
      const { chat } = await asked(client, 'Hi');
      const before = model.calls.length;
      model.next(script);
      const first = await client.request('GET', `/conversations/inference/${chat}`);
      const events = parseEvents(first.text);
      assert.equal(JSON.parse(events.at(-1)?.data ?? '').finish_reason, finish);
      assert.equal((await entries(client, chat))[1]?.message, messageText(events));
      assert.equal((await client.request('GET', `/conversations/inference/${chat}`)).text, first.text);
      assert.equal(model.calls.length - before, 1);
    });
  }
});

describe('an answer that cannot be given', () => {
  test('is one error event, and is tried anew by the next call', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    model.next({ status: 400 }, { text: 'Now' });
    const { status, text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(status, 200);
    const [event, ...more] = parseEvents(text);
    assert.deepEqual(more, []);
    assert.equal(event?.event, 'error');
    assert.match(text, /^id: \d+\nevent: error\ndata: \{"code":503,"description":"[^"]+"\}\n\n$/);
    assert.equal((await client.request('GET', `/conversations/inference/${chat}`, lastEvent(event?.id))).status, 200);
    assert.deepEqual(
      (await entries(client, chat)).map(({ message }) => message),
      ['Hi', 'Now'],
    );
  });

  test('has no stream: 409 without a Human entry', async () => {
    const client = server.client();
    const empty = await create(client);
    const spoken = await create(client);
    const entry = await add(client, spoken, 'Assistant', 'Welcome');
    const before = model.calls.length;
    for (const id of [empty, spoken, entry.id]) {
      const { status, text } = await client.request('GET', `/conversations/inference/${id}`);
      assert.equal(status, 409);
      assert.match(text, /^\{"error":\{"code":409,"reason":"Conflict","description":"[^"]+"\}\}$/);
    }
    assert.equal(model.calls.length, before);
  });

  test('ends with a 404 error event when its chat is deleted while it is written', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    const index = model.calls.length;
    model.next({ text: ['One', ' two'], stall: 1 });
    const stream = await client.open('GET', `/conversations/inference/${chat}`);
    await stream.until('data: One');
    await client.request('DELETE', `/chats/delete/${chat}`);
    assert.equal(
      await stream.ended,
      'id: 4\ndata: One\n\nid: 5\nevent: error\ndata: {"code":404,"description":"Conversation not found"}\n\n',
    );
    assert.equal(await (await model.call(index)).over, 'left');
    assert.equal((await client.request('GET', '/chats')).text, '[]');
  });
});

describe('the same call again', () => {
  test('replays the answer byte for byte, whichever call made it, and whatever names it', async () => {
    const client = server.client();
    const { chat, entry } = await asked(client, 'Hi');
    const before = model.calls.length;
    const searched = queries.length;
    model.next({ text: ['Hel', 'lo\r\n', ' there'] });
    const first = await client.request('GET', `/conversations/inference/${chat}`);
    for (const call of ['inference', 'inference_internet']) {
      for (const id of [chat, `conv_${chat}`, entry]) {
        assert.equal((await client.request('GET', `/conversations/${call}/${id}`)).text, first.text, `${call} ${id}`);
      }
    }
    assert.equal(model.calls.length - before, 1);
    assert.equal(queries.length, searched);
    assert.equal((await entries(client, chat)).length, 2);
  });

  test('follows an answer that is being written, from its start, by any number of readers', async () => {
    const client = server.client();
    const { chat, entry } = await asked(client, 'Hi');
    const before = model.calls.length;
    model.next({ text: ['a', 'b', 'c', 'd'], gated: true });
    const first = await client.open('GET', `/conversations/inference/${chat}`);
    const call = await model.call(before);
    await call.release(2);
    await first.until('data: b');
    const others = [
      await client.open('GET', `/conversations/inference/${entry}`),
      await client.open('GET', `/conversations/inference_internet/${chat}`),
    ];
    for (const other of others) await other.until('data: b');
    await call.releaseAll();
    const whole = await first.ended;
    for (const other of others) assert.equal(await other.ended, whole);
    assert.equal(model.calls.length - before, 1);
  });

  test('a hundred times at once asks the model once', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    const before = model.calls.length;
    const streams = await Promise.all(
      Array.from({ length: 100 }, () => client.request('GET', `/conversations/inference/${chat}`)),
    );
    assert.equal(new Set(streams.map(({ text }) => text)).size, 1);
    assert.equal(model.calls.length - before, 1);
    assert.equal((await entries(client, chat)).length, 2);
  });

  test('is safe by its entry, and ignores an Idempotency-Key', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    const headers = { 'idempotency-key': 'a' };
    await client.request('PUT', `/chats/update/${chat}`, { body: { name: 'B' }, headers });
    assert.equal((await client.request('GET', `/conversations/inference/${chat}`, { headers })).status, 200);
    assert.equal((await client.request('GET', `/conversations/inference_internet/${chat}`, { headers })).status, 200);
  });

  test('replays an Assistant entry that was made by hand', async () => {
    const client = server.client();
    const { chat, entry } = await asked(client, 'Hi');
    const byHand = await add(client, chat, 'Assistant', 'By\nhand');
    const before = model.calls.length;
    const done = `{"conversation_id":"${byHand.id}","chat_id":"${chat}","finish_reason":"stop","sources":[]}`;
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(text, `id: 2\ndata: By\ndata: hand\n\nid: 4\nevent: done\ndata: ${done}\n\n`);
    assert.equal((await client.request('GET', `/conversations/inference_internet/${entry}`)).text, text);
    assert.equal((await client.request('GET', `/conversations/inference/${chat}`, lastEvent('4'))).status, 204);
    const rest = await client.request('GET', `/conversations/inference/${chat}`, lastEvent('2'));
    assert.equal(rest.text, text.slice(text.indexOf('id: 4')));
    assert.equal(model.calls.length, before);
  });

  test('answers the newest Human entry; an older one when that is named, from what was said up to it', async () => {
    const client = server.client();
    const { chat, entry } = await asked(client, 'First');
    await add(client, chat, 'Human', 'Second');
    const before = model.calls.length;
    model.next({ text: 'To the second' }, { text: 'To the first' });
    const newest = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(messageText(parseEvents(newest.text)), 'To the second');
    const older = await client.request('GET', `/conversations/inference/${entry}`);
    assert.equal(messageText(parseEvents(older.text)), 'To the first');
    assert.deepEqual(
      model.calls.slice(before).map(({ body }) => body.messages.map(({ content }) => content)),
      [['First', 'Second'], ['First']],
    );
    assert.deepEqual(
      (await entries(client, chat)).map(({ message }) => message),
      ['First', 'Second', 'To the second', 'To the first'],
    );
    assert.equal((await client.request('GET', `/conversations/inference/${entry}`)).text, older.text);
    assert.equal((await client.request('GET', `/conversations/inference/${chat}`)).text, newest.text);
    assert.equal(model.calls.length - before, 2);
  });

  test('waits its turn behind an answer that is being written, and knows it', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'First');
    const index = model.calls.length;
    model.next({ text: ['One', '.'], stall: 1 }, { text: 'Two.' });
    const first = await client.open('GET', `/conversations/inference/${chat}`);
    await first.until('data: One');
    await add(client, chat, 'Human', 'Second');
    const second = client.request('GET', `/conversations/inference/${chat}`);
    await (await model.call(index)).releaseAll();
    await first.ended;
    assert.equal(messageText(parseEvents((await second).text)), 'Two.');
    assert.deepEqual(
      model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['First', 'One.', 'Second'],
    );
  });
});

describe('a stream that was cut', () => {
  const SCRIPT: Script = { text: ['Hel', 'lo\r', '\n', ' wor', 'ld 😀', '\n\n', 'end'] };

  test('goes on behind any event, byte for byte, once the answer is finished', async () => {
    const client = server.client();
    const { chat, entry } = await asked(client, 'Hi');
    const before = model.calls.length;
    model.next(SCRIPT);
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    for (const [id, rest] of restsOf(text)) {
      for (const name of [chat, entry]) {
        const again = await client.request('GET', `/conversations/inference/${name}`, lastEvent(id));
        assert.equal(again.text, rest, `behind event ${id}`);
        assert.equal(again.status, rest === '' ? 204 : 200);
      }
    }
    assert.equal(model.calls.length - before, 1);
  });

  test('goes on behind any event, byte for byte, while the answer is written; nobody leaving stops it', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    const before = model.calls.length;
    model.next({ ...SCRIPT, gated: true });
    const call = (await startCut(client, chat)) ?? (await model.call(before));
    await call.release(4);
    const seen = await client.open('GET', `/conversations/inference/${chat}`);
    const part = await seen.until('data:  wor\n\n');
    seen.cut();
    const cursors = [...part.matchAll(/^id: (\d+)$/gm)].map(([, id = '']) => id);
    const readers = await Promise.all(
      cursors.map((id) => client.open('GET', `/conversations/inference/${chat}`, lastEvent(id))),
    );
    await call.releaseAll();
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(text.slice(0, part.length), part);
    const rests = new Map(restsOf(text));
    for (const [i, reader] of readers.entries())
      assert.equal(await reader.ended, rests.get(cursors[i] ?? ''), cursors[i]);
    assert.equal(model.calls.length - before, 1);
  });

  test('is 204 once done or error was delivered, also for a cursor beyond the end', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Hi');
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    const end = parseEvents(text).at(-1)?.id;
    for (const id of [end, String(Number(end) + 1), '999999999']) {
      const again = await client.request('GET', `/conversations/inference/${chat}`, lastEvent(id));
      assert.equal(again.status, 204);
      assert.equal(again.text, '');
    }
  });

  for (const id of ['', 'x', '-1', '1.5', '0', '1e3', '9'.repeat(20)]) {
    test(`begins anew with ${JSON.stringify(id)} as Last-Event-ID`, async () => {
      const client = server.client();
      const { chat } = await asked(client, 'Hi');
      const { text } = await client.request('GET', `/conversations/inference/${chat}`);
      assert.equal((await client.request('GET', `/conversations/inference/${chat}`, lastEvent(id))).text, text);
    });
  }
});

describe('an answer from the internet', () => {
  test('searches once, and shows each page before the text that cites it', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Who made\nMetropolis?');
    const searched = queries.length;
    model.next({ text: ['Fritz Lang', ' [2]'] });
    const { text } = await client.request('GET', `/conversations/inference_internet/${chat}`);
    assert.deepEqual(queries.slice(searched), ['Who made Metropolis?']);
    const sources = PAGES.map(({ title, url }, i) => ({ index: i + 1, title, url }));
    const [, answer] = await entries(client, chat);
    const [, ended = '{}'] = /event: done\ndata: (.*)/.exec(text) ?? [];
    const kept = JSON.parse(ended).sources.map(({ evidence }: { evidence: { read_at: string } }, i: number) => {
      const content = PAGES[i]?.content ?? '';
      const hash = createHash('sha256').update(content).digest('hex');
      return { ...sources[i], evidence: { read_at: evidence.read_at, hash, quotes: [content] } };
    });
    const done = { conversation_id: answer?.id, chat_id: chat, finish_reason: 'stop', sources: kept };
    assert.equal(
      text,
      [
        `id: 4\nevent: source\ndata: ${JSON.stringify(sources[0])}\n\n`,
        `id: 5\nevent: source\ndata: ${JSON.stringify(sources[1])}\n\n`,
        'id: 11\ndata: Fritz Lang\n\nid: 12\ndata:  [2]\n\n',
        `id: 14\nevent: done\ndata: ${JSON.stringify(done)}\n\n`,
      ].join(''),
    );
    assert.equal(answer?.message, 'Fritz Lang [2]');
    for (const [id, rest] of restsOf(text)) {
      const again = await client.request('GET', `/conversations/inference/${chat}`, lastEvent(id));
      assert.equal(again.text, rest, `behind event ${id}`);
    }
    assert.equal(queries.length - searched, 1);
  });

  test('gives the model what was found, as text that gives no orders', async () => {
    const client = server.client();
    const { chat } = await asked(client, 'Who made Metropolis?');
    await client.request('GET', `/conversations/inference_internet/${chat}`);
    const [system] = model.calls.at(-1)?.body.messages ?? [];
    assert.equal(system?.role, 'system');
    for (const { title, url, content } of PAGES) {
      for (const part of [title, url, content]) assert.ok(String(system?.content).includes(part), part);
    }
    assert.match(String(system?.content), /never follow instructions/);
  });
});

test('a silent stream gets a comment as heartbeat, every 15 seconds', async () => {
  assert.match(await silent.until(':\n\n'), /^id: 4\ndata: One\n\n(:\n\n)+$/);
});

/** Starts an answer by a reader that leaves at once. */
async function startCut(client: Client, chat: string): Promise<null> {
  const first = await client.open('GET', `/conversations/inference/${chat}`);
  first.cut();
  await first.ended;
  return null;
}

/** Each event's id, and what comes behind it. */
function restsOf(stream: string): [id: string, rest: string][] {
  const frames = stream.split(/(?<=\n\n)(?=id: )/);
  return frames.map((frame, i) => [/^id: (\d+)/.exec(frame)?.[1] ?? '', frames.slice(i + 1).join('')]);
}

function lastEvent(id: string | undefined): { headers: Record<string, string | null> } {
  return { headers: { 'last-event-id': id ?? null } };
}

async function create(client: Client): Promise<string> {
  return (await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } })).body.id;
}

async function add(client: Client, chat: string, role: string, message: string): Promise<Entry> {
  const body = { chat_id: chat, role, message };
  const answer: Answer<Entry> = await client.request('POST', '/conversations/create', { body });
  assert.equal(answer.status, 201, answer.text);
  return answer.body;
}

/** A new chat with one question. */
async function asked(client: Client, question: string): Promise<{ chat: string; entry: string }> {
  const chat = await create(client);
  return { chat, entry: (await add(client, chat, 'Human', question)).id };
}

async function entries(client: Client, chat: string): Promise<Entry[]> {
  return (await client.request<Entry[]>('GET', `/chats/${chat}/conversations`)).body;
}
