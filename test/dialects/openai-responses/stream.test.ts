/** Streams of `/v1/responses`: valid, in order, and the same again from any event on. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask, behind, follow, get, refusal, setUp, stream } from './fixtures.ts';
import { assertOrder, readStream, type StreamedEvent, textOf } from './spec.ts';

const types = (events: readonly StreamedEvent[]) => events.map(({ type }) => type.replace('response.', ''));

describe('A stream of /v1/responses', () => {
  const world = setUp();

  it('is created, in_progress, the item with its part and text, completed', async () => {
    world.model.next({ text: ['Hel', 'lo ', '😀'], usage: { input: 5, cached: 2, output: 3, reasoning: 1 } });
    const { events, response } = await stream(world.me, { input: 'Hi', metadata: { a: 'b' } });
    assert.deepEqual(types(events), [
      'created',
      'in_progress',
      'output_item.added',
      'content_part.added',
      'output_text.delta',
      'output_text.delta',
      'output_text.delta',
      'output_text.done',
      'content_part.done',
      'output_item.done',
      'completed',
    ]);
    assert.equal(textOf(response), 'Hello 😀');
    assert.equal(response.status, 'completed');
    assert.deepEqual(response.metadata, { a: 'b' });
    assert.deepEqual(response.usage, {
      input_tokens: 5,
      input_tokens_details: { cached_tokens: 2 },
      output_tokens: 3,
      output_tokens_details: { reasoning_tokens: 1 },
      total_tokens: 8,
    });
    assert.equal(events[0]?.response?.status, 'in_progress');
    assert.equal(events[0]?.response?.model, 'test-model');
    assert.deepEqual(await get(world.me, response.id), response, 'what is got is what was streamed');
  });

  it('shows reasoning as a summary of its own before the text', async () => {
    world.model.next({ reasoning: ['Let me ', 'think'], text: 'Done' });
    const { events, response } = await stream(world.me, {
      input: 'Hi',
      reasoning: { effort: 'high', summary: 'auto' },
    });
    assert.deepEqual(
      response.output.map(({ type, summary }) => [type, summary]),
      [
        ['reasoning', [{ type: 'summary_text', text: 'Let me think' }]],
        ['message', undefined],
      ],
    );
    assert.ok(types(events).includes('reasoning_summary_text.done'));
    assert.deepEqual(response.reasoning, { effort: 'high', summary: 'auto' });
    assert.equal(world.model.calls.at(-1)?.body.reasoning_effort, 'high');
  });

  it('ends with the calls of tools, several beside each other', async () => {
    const tools = [
      { id: 'call_1', name: 'weather', arguments: ['{"city":', '"Rome"}'] },
      { id: 'call_2', name: 'time', arguments: '{}' },
    ];
    world.model.next({ text: 'Let me see', tools });
    const { response } = await stream(world.me, {
      input: 'Hi',
      tools: tools.map(({ name }) => ({ type: 'function', name })),
    });
    const calls = response.output.filter(({ type }) => type === 'function_call');
    assert.deepEqual(
      calls.map(({ call_id, name, arguments: given, status }) => [call_id, name, given, status]),
      [
        ['call_1', 'weather', '{"city":"Rome"}', 'completed'],
        ['call_2', 'time', '{}', 'completed'],
      ],
    );
  });

  it('is the same byte for byte from any event on, once it has ended', async () => {
    world.model.next({
      reasoning: ['Hm', ' hm'],
      text: ['One ', 'two ', 'three'],
      tools: [{ name: 'f', arguments: '{}' }],
    });
    const { raw, events, response } = await stream(world.me, { input: 'Hi', tools: [{ type: 'function', name: 'f' }] });
    assert.equal((await follow(world.me, response.id)).raw, raw);
    for (const { sequence_number: number } of events.slice(0, -1)) {
      assert.equal((await follow(world.me, response.id, number)).raw, behind(raw, number), `behind ${number}`);
    }
  });

  it('gives the terminal event again from the last event, and from beyond it', async () => {
    const { raw, events, response } = await stream(world.me, { input: 'Hi' });
    const last = events.at(-1)?.sequence_number ?? 0;
    const terminal = raw.slice(raw.indexOf('event: response.completed'));
    for (const after of [last, last + 1, 1_000_000]) {
      assert.equal((await follow(world.me, response.id, after)).raw, terminal, `behind ${after}`);
    }
  });

  it('can be followed while it is written, by several, and goes on when its first reader leaves', async () => {
    world.model.next({ text: ['One ', 'two ', 'three ', 'four'], gated: true });
    const index = world.model.calls.length;
    const first = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true } });
    const call = await world.model.call(index);
    await call.release(2);
    const seen = await first.until('"delta":"two "');
    const { id } = JSON.parse(/data: (.*)/.exec(seen)?.[1] ?? '').response;
    first.cut();
    const second = await world.me.open('GET', `/v1/responses/${id}?stream=true`);
    await second.until('"delta":"two "');
    await call.releaseAll();
    const raw = await second.ended;
    const response = assertOrder(readStream(raw));
    assert.equal(textOf(response), 'One two three four');
    assert.ok(raw.startsWith(seen), 'what the first reader saw');
    assert.equal((await follow(world.me, id)).raw, raw);
    assert.equal(world.model.calls.length, index + 1, 'the model was asked once');
  });

  it('ends as incomplete with a reason where the answer breaks off, and a plain answer says so too', async () => {
    world.model.next({ text: ['One ', 'two ', 'three'], cut: 2 }, { text: ['One ', 'two '], cut: 1 });
    const { events, response } = await stream(world.me, { input: 'Hi' });
    assert.equal(types(events).at(-1), 'incomplete');
    assert.deepEqual([response.status, response.incomplete_details], ['incomplete', { reason: 'broken_off' }]);
    assert.equal(response.output[0]?.status, 'incomplete');
    assert.equal(textOf(response), 'One two ');
    const plain = await ask(world.me, { input: 'Hi' });
    assert.deepEqual([plain.status, textOf(plain)], ['incomplete', 'One ']);
  });

  it('is incomplete where the answer was cut at its allowed length, or by a filter', async () => {
    world.model.next({ text: 'One two', finish: 'length' }, { text: 'One', finish: 'content_filter' });
    const { response } = await stream(world.me, { input: 'Hi', max_output_tokens: 16 });
    assert.deepEqual(response.incomplete_details, { reason: 'max_output_tokens' });
    assert.equal(response.max_output_tokens, 16);
    assert.equal(world.model.calls.at(-1)?.body.max_tokens, 16);
    assert.deepEqual((await ask(world.me, { input: 'Hi' })).incomplete_details, { reason: 'content_filter' });
  });

  it('has an error event with both shapes and then fails, where no model answers; a plain answer is 503', async () => {
    const refused = { status: 401, error: { error: { message: 'no' } } };
    world.model.next(refused, refused);
    const { events, response } = await stream(world.me, { input: 'Hi' });
    assert.deepEqual(types(events), ['created', 'in_progress', 'error', 'failed']);
    const error = events[2];
    assert.equal(error?.error?.type, 'server_error');
    assert.deepEqual([error?.code, error?.message], [error?.error?.code, error?.error?.message]);
    assert.equal(response.status, 'failed');
    assert.equal(response.error?.code, 'server_error');
    const plain = await refusal(world.me, { input: 'Hi' });
    assert.deepEqual([plain.status, plain.type], [503, 'server_error']);
  });

  it('is answered anew under the same key after a failure before the first token, as the same response', async () => {
    const headers = { 'idempotency-key': 'again' };
    world.model.next({ status: 401, error: 'no' }, { text: 'There' });
    const failed = await stream(world.me, { input: 'Hi' }, headers);
    assert.equal(failed.response.status, 'failed');
    const { response } = await stream(world.me, { input: 'Hi' }, headers);
    assert.deepEqual([response.id, textOf(response)], [failed.response.id, 'There']);
    const asked = world.model.calls.length;
    const again = await stream(world.me, { input: 'Hi' }, headers);
    assert.equal(again.response.id, response.id);
    assert.equal(world.model.calls.length, asked);
  });

  it('is the same stream for a retry while it is still written', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const options = { body: { input: 'Hi', stream: true }, headers: { 'idempotency-key': 'twice' } };
    const first = await world.me.open('POST', '/v1/responses', options);
    const call = await world.model.call(index);
    await call.release(1);
    await first.until('"delta":"One "');
    const second = await world.me.open('POST', '/v1/responses', options);
    await second.until('"delta":"One "');
    await call.releaseAll();
    assert.equal(await second.ended, await first.ended);
    assert.equal(world.model.calls.length, index + 1);
  });

  it('ends with response.incomplete when it is cancelled, and the text stays', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true } });
    const call = await world.model.call(index);
    await call.release(1);
    const seen = await open.until('"delta":"One "');
    const { id } = JSON.parse(/data: (.*)/.exec(seen)?.[1] ?? '').response;
    const cancelled = await world.me.request<{ status: string }>('POST', `/v1/responses/${id}/cancel`);
    assert.equal(cancelled.body.status, 'cancelled');
    const response = assertOrder(readStream(await open.ended));
    assert.deepEqual([response.status, response.incomplete_details], ['cancelled', { reason: 'cancelled' }]);
    assert.equal(textOf(response), 'One ');
    assert.equal(await call.over, 'left');
    assert.deepEqual(await get(world.me, id), response);
    const again = await world.me.request('POST', `/v1/responses/${id}/cancel`);
    assert.deepEqual(again.body, response, 'one that has ended stays as it is');
  });

  it('tells its readers when its conversation is deleted', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const chat = (await world.me.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } })).body.id;
    const open = await world.me.open('POST', '/v1/responses', {
      body: { input: 'Hi', stream: true, conversation: chat },
    });
    await (await world.model.call(index)).release(1);
    await open.until('"delta":"One "');
    await world.me.request('DELETE', `/chats/delete/${chat}`);
    const events = readStream(await open.ended);
    assert.deepEqual([events.at(-1)?.type, events.at(-1)?.code], ['error', 'not_found']);
  });

  it('writes each event whole: no piece of the socket ends within one', async () => {
    world.model.next({ text: 'abcdefgh '.repeat(30).split(/(?<= )/), gated: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true } });
    const call = await world.model.call(index);
    for (let token = 1; token <= 30; token++) {
      await call.release(1);
      const so = await open.until(`"sequence_number":${token + 3},`);
      assert.ok(so.endsWith('\n\n'), so.slice(-100));
    }
    await call.releaseAll();
    await open.ended;
  });
});
