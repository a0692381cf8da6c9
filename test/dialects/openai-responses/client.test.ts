/** The official client against `/v1/responses`, unmodified. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { ResponseStreamEvent } from 'openai/resources/responses/responses';
import { ResponsesWS } from 'openai/resources/responses/ws';
import { setUp } from './fixtures.ts';
import { assertOrder, assertResponse, checkEvent, type StreamedEvent } from './spec.ts';

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const checked = (events: readonly ResponseStreamEvent[]) =>
  events.map((event) => checkEvent(event as unknown as StreamedEvent));

describe('openai-responses, by the official client', () => {
  const world = setUp();

  it('creates, gets, cancels and deletes', async () => {
    const { responses } = world.openai();
    const created = await responses.create({ model: 'test-model', input: 'Hello' });
    assert.equal(created.output_text, 'You said: Hello');
    const { output_text: _, ...resource } = created;
    assertResponse(resource);
    const got = await responses.retrieve(created.id);
    assert.equal(got.output_text, created.output_text);
    assert.equal((await responses.cancel(created.id)).status, 'completed');
    await responses.delete(created.id);
    await assert.rejects(() => responses.retrieve(created.id), OpenAI.NotFoundError);
  });

  it('streams, by events', async () => {
    world.model.next({ reasoning: 'Hm', text: ['Hel', 'lo'] });
    const stream = await world.openai().responses.create({ model: 'test-model', input: 'Hello', stream: true });
    const events = await all(stream);
    assertOrder(checked(events));
  });

  it('streams, by the helper, which throws on any disorder', async () => {
    world.model.next({
      reasoning: 'Hm',
      text: ['Hel', 'lo'],
      tools: [{ id: 'c1', name: 'f', arguments: ['{"a"', ':1}'] }],
    });
    const stream = world.openai().responses.stream({
      model: 'test-model',
      input: 'Hello',
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }],
    });
    const deltas: string[] = [];
    stream.on('response.output_text.delta', ({ delta }) => deltas.push(delta));
    const final = await stream.finalResponse();
    assert.deepEqual([final.output_text, deltas.join('')], ['Hello', 'Hello']);
    const call = final.output.find((item) => item.type === 'function_call');
    assert.deepEqual(call?.type === 'function_call' && [call.call_id, call.arguments], ['c1', '{"a":1}']);
    assert.deepEqual(
      final.output.map(({ type }) => type),
      ['reasoning', 'message', 'function_call'],
    );
  });

  it('picks a stream up again, by the helper and by retrieve with starting_after', async () => {
    const { responses } = world.openai();
    world.model.next({ text: ['One ', 'two ', 'three'], gated: true });
    const index = world.model.calls.length;
    const background = await responses.create({ model: 'test-model', input: 'Hello', background: true });
    assert.equal(background.status, 'in_progress');
    const call = await world.model.call(index);
    await call.release(2);
    const seen: ResponseStreamEvent[] = [];
    for await (const event of await responses.retrieve(background.id, { stream: true })) {
      seen.push(event);
      if (event.type === 'response.output_text.delta') break;
    }
    const cursor = seen.at(-1)?.sequence_number ?? 0;
    await call.releaseAll();
    const rest = await all(await responses.retrieve(background.id, { stream: true, starting_after: cursor }));
    const response = assertOrder(checked([...seen, ...rest]));
    assert.equal(response.status, 'completed');
    const final = await responses.stream({ response_id: background.id, starting_after: 0 }).finalResponse();
    assert.equal(final.output_text, 'One two three');
  });

  it('reads what a structured answer holds', async () => {
    world.model.next({ text: '{"name":"Ann"}' });
    const schema = {
      type: 'object',
      properties: { name: { type: 'string' } },
      required: ['name'],
      additionalProperties: false,
    };
    const parsed = await world.openai().responses.parse({
      model: 'test-model',
      input: 'Who?',
      text: { format: { type: 'json_schema', name: 'person', schema, strict: true } },
    });
    assert.deepEqual(parsed.output_parsed, { name: 'Ann' });
  });

  it('pages over 250 input items, both ways', async () => {
    const { responses } = world.openai();
    const input = Array.from({ length: 250 }, (_, i) => ({
      role: i % 2 === 0 ? ('user' as const) : ('assistant' as const),
      content: `Item ${i}`,
    }));
    const { id } = await responses.create({ model: 'test-model', input });
    const texts = async (order: 'asc' | 'desc') =>
      (await all(responses.inputItems.list(id, { order, limit: 60 }))).map((item) => {
        const [part] = item.type === 'message' ? item.content : [];
        return part !== undefined && 'text' in part ? part.text : '';
      });
    const expected = input.map(({ content }) => content);
    assert.deepEqual(await texts('asc'), expected);
    assert.deepEqual(await texts('desc'), expected.toReversed());
  });

  it('compacts and counts', async () => {
    const { responses } = world.openai();
    world.model.next({ text: 'They said hello.' });
    const compacted = await responses.compact({ model: 'test-model', input: 'Hello' });
    assert.equal(compacted.object, 'response.compaction');
    const next = await responses.create({
      model: 'test-model',
      input: [...compacted.output, { role: 'user', content: 'So?' }] as never,
    });
    assert.equal(next.output_text, 'You said: So?');
    const counted = await responses.inputTokens.count({ model: 'test-model', input: 'Hello' });
    assert.ok(counted.input_tokens > 0);
  });

  it('throws the error of each status, with its message, param and code', async () => {
    const { responses } = world.openai();
    const unknown = 'resp_0198c7c1-5d00-7000-8000-5717b3fc2c96';
    await assert.rejects(
      () => responses.create({ model: 'test-model', input: 'Hi', previous_response_id: unknown }),
      (error: unknown) => {
        assert.ok(error instanceof OpenAI.BadRequestError);
        assert.deepEqual([error.code, error.param], ['previous_response_not_found', 'previous_response_id']);
        assert.match(error.message, /not found/);
        return true;
      },
    );
    await assert.rejects(() => responses.retrieve(unknown), OpenAI.NotFoundError);
    const stranger = new OpenAI({ apiKey: `plk_${'0'.repeat(64)}`, baseURL: `${world.server.url}/v1`, maxRetries: 0 });
    await assert.rejects(
      () => stranger.responses.create({ model: 'test-model', input: 'Hi' }),
      OpenAI.AuthenticationError,
    );
    world.model.next({ status: 401, error: 'no' }, { status: 401, error: 'no' });
    await assert.rejects(() => responses.create({ model: 'test-model', input: 'Hi' }), OpenAI.InternalServerError);
    const stream = await responses.create({ model: 'test-model', input: 'Hi', stream: true });
    await assert.rejects(() => all(stream), OpenAI.APIError);
  });

  it('speaks over the WebSocket', async () => {
    const ws = new ResponsesWS(world.openai(), { headers: { 'x-user-id': world.me.user } });
    try {
      const turns: string[] = [];
      let previous: string | null = null;
      for (const input of ['My name is Ann', 'What did I say?']) {
        ws.send({ type: 'response.create', model: 'test-model', input, previous_response_id: previous, store: false });
        const events: StreamedEvent[] = [];
        for await (const event of ws.stream()) {
          if (event.type === 'error') throw event.error;
          if (event.type !== 'message') continue;
          events.push(checkEvent(event.message as unknown as StreamedEvent));
          if (event.message.type === 'response.completed') break;
        }
        const response = assertOrder(events);
        previous = response.id;
        turns.push(
          response.output
            .flatMap(({ content }) => content ?? [])
            .map((part) => part.text)
            .join(''),
        );
      }
      assert.deepEqual(turns, ['You said: My name is Ann', 'You said: What did I say?']);
      assert.deepEqual(
        world.model.calls.at(-1)?.body.messages.map(({ content }) => content),
        ['My name is Ann', 'You said: My name is Ann', 'What did I say?'],
      );
    } finally {
      ws.close();
    }
  });
});
