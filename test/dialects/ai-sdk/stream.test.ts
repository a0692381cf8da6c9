/** `/ui/chat` over plain HTTP: its bytes, its ids, and what it refuses. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { UIMessage } from 'ai';
import type { WireUiMessage } from '../../../src/dialects/ai-sdk/schema.ts';
import { parseEvents } from '../../support/event-source.ts';
import { assertGolden } from '../../support/golden.ts';
import type { Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';
import { linesOf } from './chat.ts';

const { model, server } = await useServer();

type Stored = UIMessage<WireUiMessage['metadata']>;
interface Failure {
  error: { message: string; type: string; param: string; code: string };
}

let made = 0;
const newId = () => `id ${++made}/ü`;
const at = (id: string) => `/ui/chat/${encodeURIComponent(id)}`;
const user = (text: string, id = newId()) => ({ id, role: 'user', parts: [{ type: 'text', text }] });
const assistant = (text: string, id = newId()) => ({ ...user(text, id), role: 'assistant' });

function post(client: Client, body: object, headers: Record<string, string> = {}) {
  return client.request<Failure>('POST', '/ui/chat', { body, headers });
}

async function stored(client: Client, id: string): Promise<Stored[]> {
  return (await client.request<Stored[]>('GET', at(id))).body;
}

/** The chunks of a stream, which must end with `[DONE]`. */
function chunksOf(stream: string): { type: string; [field: string]: unknown }[] {
  const data = parseEvents(stream).map((event) => event.data);
  assert.equal(data.at(-1), '[DONE]', stream);
  return data.slice(0, -1).map((text) => JSON.parse(text));
}

const answerOf = (stream: string) =>
  chunksOf(stream)
    .map(({ type, delta }) => (type === 'text-delta' ? delta : ''))
    .join('');
const messageOf = (stream: string) => String(chunksOf(stream)[0]?.messageId);

describe('the stream', () => {
  it('is, byte for byte, what clients of v5 to v7 read', async () => {
    model.next({
      reasoning: ['Hm'],
      text: ['Hel', 'lo\n"you"'],
      tools: [{ id: 'call_1', name: 'look', arguments: ['{"at":', '"it"}'] }],
    });
    const { status, headers, text } = await post(server.client(), { id: newId(), messages: [user('Hi')] });
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(headers['x-vercel-ai-ui-message-stream'], 'v1');
    assert.equal(headers['x-accel-buffering'], 'no');
    assert.match(String(headers['x-conversation-id']), /^conv_[0-9a-f-]{36}$/);
    assertGolden(
      text,
      `${[
        '{"type":"start","messageId":"<uuid>"}',
        '{"type":"start-step"}',
        '{"type":"reasoning-start","id":"0"}',
        '{"type":"reasoning-delta","id":"0","delta":"Hm"}',
        '{"type":"reasoning-end","id":"0"}',
        '{"type":"text-start","id":"1"}',
        '{"type":"text-delta","id":"1","delta":"Hel"}',
        '{"type":"text-delta","id":"1","delta":"lo\\n\\"you\\""}',
        '{"type":"text-end","id":"1"}',
        '{"type":"tool-input-start","toolCallId":"call_1","toolName":"look"}',
        '{"type":"tool-input-delta","toolCallId":"call_1","inputTextDelta":"{\\"at\\":"}',
        '{"type":"tool-input-delta","toolCallId":"call_1","inputTextDelta":"\\"it\\"}"}',
        '{"type":"tool-input-available","toolCallId":"call_1","toolName":"look","input":{"at":"it"}}',
        '{"type":"finish-step"}',
        '{"type":"finish","finishReason":"tool-calls"}',
        '[DONE]',
      ]
        .map((data) => `data: ${data}`)
        .join('\n\n')}\n\n`,
    );
  });

  it('is replayed from its start to every reader, equal to the byte; one that leaves stops nothing', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two ', 'three'], gated: true });
    const first = await client.open('POST', '/ui/chat', { body: { id, messages: [user('Count')] } });
    const call = await model.call(asked);
    await call.release(1);
    await first.until('One');
    const second = await client.open('GET', `${at(id)}/stream`);
    assert.equal(second.status, 200);
    assert.equal(second.headers['x-vercel-ai-ui-message-stream'], 'v1');
    await second.until('One');
    const leaver = await client.open('GET', `${at(id)}/stream`);
    await leaver.until('One');
    leaver.cut();
    await call.release(1);
    await first.until('two');
    const third = await client.open('GET', `${at(id)}/stream`);
    await third.until('two');
    await call.releaseAll();
    const [a, b, c] = await Promise.all([first.ended, second.ended, third.ended]);
    assert.equal(answerOf(a), 'One two three');
    assert.equal(b, a);
    assert.equal(c, a);
    assert.equal((await client.request('GET', `${at(id)}/stream`)).status, 204);
  });

  it('goes on when its reader leaves', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two'], gated: true });
    const only = await client.open('POST', '/ui/chat', { body: { id, messages: [user('Count')] } });
    const call = await model.call(asked);
    await call.release(1);
    await only.until('One');
    only.cut();
    await only.ended;
    const back = await client.open('GET', `${at(id)}/stream`);
    await call.releaseAll();
    assert.equal(answerOf(await back.ended), 'One two');
    assert.deepEqual(linesOf(await stored(client, id)), ['user: Count', 'assistant: One two']);
  });

  it('is 204 where nothing is being written, for unknown chats and for those of others', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: ['One'], gated: true });
    const mine = await client.open('POST', '/ui/chat', { body: { id, messages: [user('Count')] } });
    const conversation = String(mine.headers['x-conversation-id']);
    const call = await model.call(asked);
    const other = server.client();
    for (const path of [id, conversation, conversation.slice(5), newId()]) {
      const { status, text } = await other.request('GET', `${at(path)}/stream`);
      assert.deepEqual([status, text], [204, '']);
      assert.equal((await other.request('POST', `${at(path)}/stop`)).status, 404);
      assert.equal((await other.request('GET', at(path))).status, 404);
    }
    await call.releaseAll();
    assert.equal(answerOf(await mine.ended), 'One');
  });

  it('ends with an error where the model fails, where it breaks off, and where its chat is deleted', async () => {
    const client = server.client();
    model.next({ status: 400, error: 'no' });
    const failed = chunksOf((await post(client, { id: newId(), messages: [user('Hi')] })).text);
    assert.deepEqual(
      failed.map(({ type }) => type),
      ['start', 'start-step', 'error', 'finish-step', 'finish'],
    );
    assert.equal(failed.at(-1)?.finishReason, 'error');

    model.next({ text: 'One two', tools: [{ id: 'a', name: 'go', arguments: ['{"x":', '1}'] }], end: 2 });
    const broken = chunksOf((await post(client, { id: newId(), messages: [user('Hi')] })).text);
    assert.deepEqual(broken.map(({ type }) => type).slice(-4), ['text-end', 'error', 'finish-step', 'finish']);

    const asked = model.calls.length;
    model.next({ text: ['One ', 'two'], gated: true });
    const open = await client.open('POST', '/ui/chat', { body: { id: newId(), messages: [user('Hi')] } });
    await (await model.call(asked)).release(1);
    await open.until('One');
    const conversation = String(open.headers['x-conversation-id']);
    assert.equal((await client.request('DELETE', `/chats/delete/${conversation}`)).status, 200);
    const gone = chunksOf(await open.ended);
    assert.deepEqual(gone.map(({ type }) => type).slice(-3), ['error', 'finish-step', 'finish']);
  });

  it('after a crash is whole as far as it was kept, ends with an error, and is the same at every replay', async () => {
    const client = server.client();
    const body = { id: newId(), messages: [user('Count')] };
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two ', 'three'], gated: true });
    const open = await client.open('POST', '/ui/chat', { body });
    await (await model.call(asked)).release(1);
    const before = await open.until('One');
    // "With all of its text but at most the last 100 ms."
    await sleep(100);
    await server.kill();
    await open.ended;
    await server.start();
    assert.equal((await client.request('GET', `${at(body.id)}/stream`)).status, 204);
    const again = await post(client, body);
    assert.equal(again.text.slice(0, before.length), before);
    assert.deepEqual(
      chunksOf(again.text)
        .map(({ type }) => type)
        .slice(-3),
      ['error', 'finish-step', 'finish'],
    );
    assert.equal((await post(client, body)).text, again.text);
    assert.deepEqual(linesOf(await stored(client, body.id)), ['user: Count', 'assistant: One ']);
    assert.equal(model.calls.length, asked + 1);
    model.next({ text: 'One two three' });
    await post(client, { ...body, trigger: 'regenerate-message' });
    assert.deepEqual(linesOf(await stored(client, body.id)), ['user: Count', 'assistant: One two three']);
  });

  it('two messages at once are answered one after the other', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: ['One'], gated: true }, { text: ['Two'] });
    const first = await client.open('POST', '/ui/chat', { body: { id, message: user('A') } });
    const call = await model.call(asked);
    const second = await client.open('POST', '/ui/chat', { body: { id, message: user('B') } });
    await second.until('start-step');
    await call.releaseAll();
    assert.equal(answerOf(await first.ended), 'One');
    assert.equal(answerOf(await second.ended), 'Two');
    assert.deepEqual(linesOf(await stored(client, id)), ['user: A', 'assistant: One', 'user: B', 'assistant: Two']);
  });
});

describe('ids', () => {
  it('a message sent again is one message, answered once, with the same bytes', async () => {
    const client = server.client();
    const body = { id: newId(), messages: [user('Once')] };
    const asked = model.calls.length;
    const first = await post(client, body);
    const again = await post(client, body);
    assert.equal(again.text, first.text);
    assert.equal(model.calls.length, asked + 1);
    assert.equal((await stored(client, body.id)).length, 2);
  });

  it('a message sent twenty times at once is one message, answered once', async () => {
    const client = server.client();
    const body = { id: newId(), messages: [user('At once')] };
    const asked = model.calls.length;
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(client, body)));
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]));
    assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
    assert.equal(model.calls.length, asked + 1);
    assert.equal((await stored(client, body.id)).length, 2);
  });

  it('an Idempotency-Key gives the same stream again, for sending, regenerating and editing', async () => {
    const client = server.client();
    const id = newId();
    const message = user('Say');
    const bodies = [
      { id, messages: [message] },
      { id, messages: [message], trigger: 'regenerate-message' },
      { id, messages: [{ ...message, parts: [{ type: 'text', text: 'Say it' }] }], messageId: message.id },
    ];
    for (const [i, body] of bodies.entries()) {
      const headers = { 'idempotency-key': `key-${i}` };
      const asked = model.calls.length;
      const first = await post(client, body, headers);
      const again = await post(client, body, headers);
      assert.equal(first.status, 200, first.text);
      assert.equal(again.text, first.text);
      assert.equal(model.calls.length, asked + 1);
      const other = await post(client, { ...body, messages: [user('Other')] }, headers);
      assert.equal(other.status, 422, other.text);
      assert.equal(other.body.error.code, 'idempotency_mismatch');
    }
    // Each is still what it was when the others have come after it.
    const first = await post(client, bodies[0] as object, { 'idempotency-key': 'key-0' });
    assert.equal(answerOf(first.text), 'You said: Say');
    assert.equal((await stored(client, id)).length, 2);
  });

  it("a client's chat and message ids are its user's own", async () => {
    const [ann, bob] = [server.client(), server.client()];
    const body = { id: newId(), messages: [user('Mine', 'm1')] };
    const theirs = await post(ann, body);
    const own = await post(bob, { ...body, messages: [user('Mine too', 'm1')] });
    assert.notEqual(own.headers['x-conversation-id'], theirs.headers['x-conversation-id']);
    assert.deepEqual(linesOf(await stored(ann, body.id)), ['user: Mine', 'assistant: You said: Mine']);
    assert.deepEqual(linesOf(await stored(bob, body.id)), ['user: Mine too', 'assistant: You said: Mine too']);
    // The id of a conversation of somebody else's is, for all others, an id of their own.
    const foreign = String(theirs.headers['x-conversation-id']);
    for (const id of [foreign, foreign.slice(5)]) {
      const { headers } = await post(bob, { id, message: user('Hello') });
      assert.notEqual(headers['x-conversation-id'], foreign);
      assert.equal((await stored(bob, id)).length, 2);
    }
    assert.equal((await stored(ann, body.id)).length, 2);
    // So is a message of theirs.
    const [, answer] = await stored(ann, body.id);
    const stolen = { id: body.id, trigger: 'regenerate-message', messageId: answer?.id };
    assert.equal((await post(bob, stolen)).status, 404);
  });

  it('a number is never looked up', async () => {
    const client = server.client();
    const { body } = await client.request<{ id: number }>('POST', '/api/chat');
    assert.equal((await client.request('GET', `/ui/chat/${body.id}`)).status, 404);
    await post(client, { id: String(body.id), message: user('Hello') });
    assert.deepEqual((await client.request('GET', `/api/chat/${body.id}/messages`)).body, []);
    assert.equal((await stored(client, String(body.id))).length, 2);
  });

  it('the same message id may be in two chats', async () => {
    const client = server.client();
    for (const id of [newId(), newId()]) {
      assert.equal(answerOf((await post(client, { id, message: user(id, 'same') })).text), `You said: ${id}`);
    }
  });
});

describe('one conversation', () => {
  it('begun here is seen and gone on with in dialect 3, and the other way round', async () => {
    const client = server.client();
    const id = newId();
    const { headers } = await post(client, { id, message: user('Here') });
    const conversation = String(headers['x-conversation-id']).slice(5);
    const entry = { chat_id: conversation, role: 'Human', message: 'There' };
    assert.equal((await client.request('POST', '/conversations/create', { body: entry })).status, 201);
    await client.request('GET', `/conversations/inference/${conversation}`);
    const lines = ['user: Here', 'assistant: You said: Here', 'user: There', 'assistant: You said: There'];
    assert.deepEqual(linesOf(await stored(client, id)), lines);
    assert.deepEqual(linesOf(await stored(client, conversation)), lines);

    const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Old' } });
    const first = { chat_id: chat.id, role: 'Human', message: 'Old' };
    await client.request('POST', '/conversations/create', { body: first });
    await client.request('GET', `/conversations/inference/${chat.id}`);
    const messages = await stored(client, chat.id);
    await post(client, { id: chat.id, messages: [...messages, user('New')] });
    await post(client, { id: `conv_${chat.id}`, message: user('Newer') });
    const entries = await client.request<{ message: string }[]>('GET', `/chats/${chat.id}/conversations`);
    assert.deepEqual(
      entries.body.map(({ message }) => message),
      ['Old', 'You said: Old', 'New', 'You said: New', 'Newer', 'You said: Newer'],
    );
  });

  it('messages of other dialects are edited and answered again by their ids', async () => {
    const client = server.client();
    const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Old' } });
    const entry = { chat_id: chat.id, role: 'Human', message: 'Old' };
    await client.request('POST', '/conversations/create', { body: entry });
    // Not answered yet: that is done first.
    const [question] = await stored(client, chat.id);
    const answered = await post(client, { id: chat.id, trigger: 'regenerate-message' });
    assert.equal(answerOf(answered.text), 'You said: Old');
    const edited = { ...question, parts: [{ type: 'text', text: 'New' }] };
    const { text } = await post(client, { id: chat.id, messages: [edited], messageId: question?.id });
    assert.equal(answerOf(text), 'You said: New');
    model.next({ text: 'Once more' });
    const regenerated = await post(client, { id: chat.id, trigger: 'regenerate-message', messageId: messageOf(text) });
    assert.equal(answerOf(regenerated.text), 'Once more');
    assert.deepEqual(linesOf(await stored(client, chat.id)), ['user: New', 'assistant: Once more']);
  });

  it('one message alone continues what is stored; a list that is not known here is the context itself', async () => {
    const client = server.client();
    const id = newId();
    await post(client, { id, message: user('One') });
    await post(client, { id, message: user('Two') });
    assert.equal(model.calls.at(-1)?.body.messages.length, 3);
    const system = { id: 's', role: 'system', parts: [{ type: 'text', text: 'Obey' }] };
    const list = [system, user('Elsewhere'), assistant('Yes'), user('Three')];
    await post(client, { id, messages: list });
    assert.deepEqual(
      model.calls.at(-1)?.body.messages.map(({ role, content }) => `${role}: ${content}`),
      ['user: Elsewhere', 'assistant: Yes', 'user: Three'],
    );
    assert.deepEqual(
      linesOf(await stored(client, id)).filter((line) => line.startsWith('user')),
      ['user: One', 'user: Two', 'user: Three'],
    );
  });

  it('a new message of a page that does not know the newest ones comes behind them', async () => {
    const client = server.client();
    const id = newId();
    await post(client, { id, message: user('One') });
    const known = await stored(client, id);
    await post(client, { id, message: user('Two') });
    await post(client, { id, messages: [...known, user('Three')] });
    assert.equal((await stored(client, id)).length, 6);
  });

  it('a new message of a page on another branch goes on there', async () => {
    const client = server.client();
    const id = newId();
    const question = user('One');
    await post(client, { id, message: question });
    const old = await stored(client, id);
    await post(client, { id, messages: [question], trigger: 'regenerate-message' });
    await post(client, { id, messages: [...old, user('Two')] });
    const shown = await stored(client, id);
    assert.equal(shown.length, 4);
    assert.equal(shown[1]?.id, old[1]?.id);
    assert.equal(shown[1]?.metadata?.siblings.length, 2);
  });

  it('a chat keeps the assistant it was made with', async () => {
    const client = server.client();
    const id = newId();
    await post(client, { id, message: user('One'), assistant: 'movies' });
    await post(client, { id, message: user('Two'), assistant: 'default' });
    assert.match(String(model.calls.at(-1)?.body.messages[0]?.content), /movie expert/);
  });

  it('has its messages in pages', async () => {
    const client = server.client();
    const id = newId();
    for (const text of ['One', 'Two', 'Three']) await post(client, { id, message: user(text) });
    const { body, headers } = await client.request<Stored[]>('GET', `${at(id)}?limit=2`);
    assert.deepEqual(linesOf(body), ['user: Three', 'assistant: You said: Three']);
    const [, next = ''] = /^<(.*)>; rel="next"$/.exec(String(headers.link)) ?? [];
    const older = await client.request<Stored[]>('GET', next.replace(/^https?:\/\/[^/]+/, ''));
    assert.deepEqual(linesOf(older.body), ['user: Two', 'assistant: You said: Two']);
    assert.equal(body[0]?.metadata?.parent, older.body[1]?.id);
  });

  it('says of each answer how it ended, by which model, and with how many tokens', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: 'Whole', usage: { input: 7, output: 3 } }, { text: ['Half ', 'a'], cut: 1 });
    await post(client, { id, message: user('One') });
    await post(client, { id, message: user('Two') });
    model.next({ text: ['Long ', 'answer'], gated: true });
    const sending = await client.open('POST', '/ui/chat', { body: { id, message: user('Three') } });
    await (await model.call(asked + 2)).release(1);
    await sending.until('Long ');
    await client.request('POST', `${at(id)}/stop`);
    await sending.ended;
    const kept = await stored(client, id);
    const ends = kept.flatMap(({ role, metadata }) => (role === 'assistant' ? [metadata] : []));
    assert.deepEqual(
      ends.map((end) => [end?.status, end?.error?.code, end?.model]),
      [
        ['completed', undefined, 'test-model'],
        ['incomplete', 'broken_off', 'test-model'],
        ['cancelled', 'stopped', 'test-model'],
      ],
    );
    assert.deepEqual([ends[0]?.usage?.inputTokens, ends[0]?.usage?.outputTokens, ends[0]?.cost], [7, 3, null]);
    assert.ok(Math.abs(Date.parse(kept[0]?.metadata?.createdAt ?? '') - Date.now()) < 60_000);
    assert.equal(kept[0]?.metadata?.status, undefined);
  });

  it('searches the web where it is asked to', async () => {
    const client = server.client();
    const offered = () => model.calls.at(-1)?.body.tools?.map((tool) => tool.function.name);
    await post(client, { id: newId(), message: user('News?'), webSearch: true });
    assert.deepEqual(offered(), ['web_search', 'open_page']);
    await post(client, { id: newId(), message: user('News?'), webSearch: false });
    assert.equal(offered(), undefined);
  });

  it('is stopped, with all that waits; what has ended stays as it is', async () => {
    const client = server.client();
    const id = newId();
    const asked = model.calls.length;
    model.next({ text: ['One ', 'two'], gated: true });
    const first = await client.open('POST', '/ui/chat', { body: { id, message: user('A') } });
    await (await model.call(asked)).release(1);
    await first.until('One');
    const second = await client.open('POST', '/ui/chat', { body: { id, message: user('B') } });
    assert.equal((await client.request('POST', `${at(id)}/stop`)).status, 204);
    assert.equal(chunksOf(await first.ended).at(-1)?.finishReason, 'other');
    assert.equal(chunksOf(await second.ended).at(-1)?.finishReason, 'other');
    assert.equal(model.calls.length, asked + 1);
    assert.deepEqual(linesOf(await stored(client, id)), ['user: A', 'assistant: One ', 'user: B']);
    assert.equal((await client.request('POST', `${at(id)}/stop`)).status, 204);
    assert.equal((await stored(client, id)).length, 3);
  });
});

describe('what is refused', () => {
  const bad: Record<string, [body: object, param: string]> = {
    'no id': [{ messages: [user('Hi')] }, 'id'],
    'an empty id': [{ id: '', messages: [user('Hi')] }, 'id'],
    'an id of 256 characters': [{ id: 'x'.repeat(256), messages: [user('Hi')] }, 'id'],
    'an id that is a number': [{ id: 5, messages: [user('Hi')] }, 'id'],
    'no message': [{ id: 'bad' }, 'messages'],
    'an empty list': [{ id: 'bad', messages: [] }, 'messages'],
    'a message without an id': [{ id: 'bad', message: { role: 'user', parts: [] } }, 'message.id'],
    'a message without parts': [{ id: 'bad', messages: [{ id: 'm', role: 'user' }] }, 'messages[0].parts'],
    'another role': [{ id: 'bad', messages: [{ ...user('Hi'), role: 'tool' }] }, 'messages[0].role'],
    'a message of the system’s': [{ id: 'bad', messages: [{ ...user('Hi'), role: 'system' }] }, 'messages'],
    'an empty text': [{ id: 'bad', messages: [user('')] }, 'messages'],
    'a text over 1 MiB': [{ id: 'bad', message: user('x'.repeat(1024 * 1024 + 1)) }, 'message'],
    'a file that is no image': [
      {
        id: 'bad',
        message: {
          ...user('Hi'),
          parts: [{ type: 'file', mediaType: 'application/pdf', url: 'https://example.com/a.pdf' }],
        },
      },
      'message',
    ],
    'an image nobody can read': [
      { id: 'bad', message: { ...user('Hi'), parts: [{ type: 'file', mediaType: 'image/png', url: 'blob:x' }] } },
      'message',
    ],
    'an unknown trigger': [{ id: 'bad', messages: [user('Hi')], trigger: 'resume-stream' }, 'trigger'],
    'an unknown assistant': [{ id: 'bad', messages: [user('Hi')], assistant: 'nobody' }, 'assistant'],
  };
  for (const [what, [body, param]] of Object.entries(bad)) {
    it(`${what}: 400 that names it, and nothing is made`, async () => {
      const client = server.client();
      const answer = await post(client, body);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.body.error.type, 'invalid_request_error');
      assert.equal(answer.body.error.param, param, answer.text);
      assert.deepEqual((await client.request('GET', '/chats/')).body, []);
    });
  }

  it('a result of a tool nobody asked for, and of an answer that is not there', async () => {
    const client = server.client();
    const id = newId();
    const { text } = await post(client, { id, message: user('Hi') });
    const part = { type: 'tool-look', toolCallId: 'x', state: 'output-available', input: {}, output: 1 };
    const message = { id: messageOf(text), role: 'assistant', parts: [part] };
    assert.equal((await post(client, { id, message })).status, 400);
    assert.equal((await post(client, { id, message: { ...message, id: 'unknown' } })).status, 404);
    assert.equal((await post(client, { id: newId(), message })).status, 404);
    assert.equal((await stored(client, id)).length, 2);
  });

  it('an answer under the id of a message of a person’s, and the other way round', async () => {
    const client = server.client();
    const id = newId();
    const { text } = await post(client, { id, message: user('Hi', 'm1') });
    assert.equal((await post(client, { id, message: user('Not mine', messageOf(text)) })).status, 400);
    assert.equal((await post(client, { id, message: assistant('Not mine', 'm1') })).status, 404);
  });

  it('what does not exist is 404 in the same shape', async () => {
    const client = server.client();
    const again = { trigger: 'regenerate-message' };
    const answers = [
      await client.request<Failure>('GET', at('unknown')),
      await client.request<Failure>('POST', `${at('unknown')}/stop`),
      await client.request<Failure>('GET', '/ui/unknown'),
      await post(client, { id: 'unknown', ...again }),
      await post(client, { id: 'unknown', ...again, messageId: 'unknown' }),
    ];
    for (const { status, body, text } of answers) {
      assert.equal(status, 404, text);
      assert.deepEqual([body.error.type, body.error.code], ['not_found_error', 'not_found']);
    }
  });

  it('another method is 405, and a body that is no JSON 400', async () => {
    const client = server.client();
    const put = await client.request<Failure>('PUT', '/ui/chat');
    assert.deepEqual([put.status, put.headers.allow, put.body.error.code], [405, 'POST', 'method_not_allowed']);
    const garbled = await client.request<Failure>('POST', '/ui/chat', { body: '{"id":' });
    assert.deepEqual([garbled.status, garbled.body.error.code], [400, 'invalid_request']);
  });
});
