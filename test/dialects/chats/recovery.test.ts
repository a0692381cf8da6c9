/** Streams of dialect 3 over what goes wrong: a model that is away or silent, a server that is killed (promises 2–4). */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageText, parseEvents } from '../../support/event-source.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';

let model: ModelServer;
let server: TestServer | undefined;

before(async () => {
  model = await startModelServer();
});
afterEach(() => server?.close());
after(() => model.close());

describe('a server that was killed', () => {
  test('ends what was being written as incomplete, and gives the whole saved text to a reader who was ahead', async () => {
    server = await startServer({ model: model.url });
    const client = server.client();
    const chat = await asked(client);
    const index = model.calls.length;
    model.next({ text: ['One', ' two', ' three'], gated: true });
    const stream = await client.open('GET', `/conversations/inference/${chat}`);
    const call = await model.call(index);
    await call.release(2);
    await stream.until('data:  two');
    // "With all of its text but at most the last 100 ms": what came before that is safe, what comes after may be.
    await sleep(100);
    await call.release();
    await stream.until('data:  three');
    await server.kill();
    await stream.ended;
    const seen = parseEvents(stream.received()).at(-1)?.id ?? '';

    await server.start();
    const killed = Date.now();
    const path = `/conversations/inference/${chat}`;
    const rest = parseEvents((await client.request('GET', path, { headers: { 'last-event-id': seen } })).text);
    assert.ok(Date.now() - killed < 15_000);
    assert.equal(rest.length, 1);
    const [done] = rest;
    const { finish_reason, message } = JSON.parse(done?.data ?? '');
    assert.deepEqual([done?.event, finish_reason], ['done', 'incomplete']);
    assert.ok(Number(done?.id) > Number(seen));
    const [, answer] = await entries(client, chat);
    assert.match(answer ?? '', /^One two( three)?$/);
    assert.equal(message, answer === 'One two three' ? undefined : answer);

    const ahead = await client.request('GET', path, { headers: { 'last-event-id': String(Number(seen) + 50) } });
    assert.equal(JSON.parse(parseEvents(ahead.text)[0]?.data ?? '').message, answer, 'whose cursor lies past the log');
    const whole = parseEvents((await client.request('GET', path)).text);
    assert.equal(messageText(whole), answer);
    assert.equal((await client.request('GET', path, { headers: { 'last-event-id': done?.id ?? '' } })).status, 204);
    assert.equal(model.calls.length - index, 1, 'it is never silently run again');
  });

  test('replays a finished answer byte for byte, from any event', async () => {
    server = await startServer({ model: model.url });
    const client = server.client();
    const chat = await asked(client);
    model.next({ text: ['a\r', '\nb', ' 😀', '\n\n', 'end'] });
    const path = `/conversations/inference/${chat}`;
    const { text } = await client.request('GET', path);
    const index = model.calls.length;
    await server.kill();
    await server.start();
    assert.equal((await client.request('GET', path)).text, text);
    const frames = text.split(/(?<=\n\n)(?=id: )/);
    for (const [i, frame] of frames.entries()) {
      const headers = { 'last-event-id': /^id: (\d+)/.exec(frame)?.[1] ?? '' };
      assert.equal((await client.request('GET', path, { headers })).text, frames.slice(i + 1).join(''), frame);
    }
    assert.equal(model.calls.length, index);
  });
});

describe('a model that is not there', () => {
  test('is one error event that says what to do; the entry stays, and is answered when a model is there', async () => {
    const away = await startModelServer();
    server = await startServer({ model: away.url });
    await away.close();
    const client = server.client();
    const chat = await asked(client);
    const { status, text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(status, 200);
    const [event, ...more] = parseEvents(text);
    assert.deepEqual(more, []);
    assert.equal(event?.event, 'error');
    const { code, description } = JSON.parse(event?.data ?? '');
    assert.equal(code, 503);
    assert.match(description, /reach/i);
    assert.deepEqual(await entries(client, chat), ['Hi']);

    const back = await startModelServer({ port: away.port });
    const again = await client.request('GET', `/conversations/inference/${chat}`);
    assert.equal(messageText(parseEvents(again.text)), 'You said: Hi');
    await back.close();
  });

  test('that says nothing is an error event with 504', async () => {
    server = await startServer({ model: model.url, env: { PARLANCE_TIMEOUT_FIRST_TOKEN: '0.3' } });
    const client = server.client();
    const chat = await asked(client);
    model.next({ stall: 'first-token' });
    const { text } = await client.request('GET', `/conversations/inference/${chat}`);
    assert.match(text, /^id: \d+\nevent: error\ndata: \{"code":504,"description":"[^"]+"\}\n\n$/);
  });

  test('that falls silent ends the answer as incomplete, with its text', async () => {
    server = await startServer({ model: model.url, env: { PARLANCE_TIMEOUT_SILENCE: '0.3' } });
    const client = server.client();
    const chat = await asked(client);
    model.next({ text: ['Half', ' a loaf'], stall: 1 });
    const events = parseEvents((await client.request('GET', `/conversations/inference/${chat}`)).text);
    assert.equal(messageText(events), 'Half');
    assert.equal(JSON.parse(events.at(-1)?.data ?? '').finish_reason, 'incomplete');
    assert.deepEqual(await entries(client, chat), ['Hi', 'Half']);
  });
});

async function asked(client: Client): Promise<string> {
  const { body } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } });
  await client.request('POST', '/conversations/create', { body: { chat_id: body.id, role: 'Human', message: 'Hi' } });
  return body.id;
}

async function entries(client: Client, chat: string): Promise<string[]> {
  const { body } = await client.request<{ message: string }[]>('GET', `/chats/${chat}/conversations`);
  return body.map(({ message }) => message);
}
