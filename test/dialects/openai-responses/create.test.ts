/** What a response may be asked with, what it shows again, and what the model is given. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { startServer, type TestServer } from '../../support/server.ts';
import { ask, get, refusal, setUp } from './fixtures.ts';
import { assertOrder, assertResponse, readStream, textOf } from './spec.ts';

const FUNCTION = { type: 'function', name: 'weather' } as const;

describe('A response', () => {
  const world = setUp();
  const asked = () => world.model.calls.at(-1)?.body ?? assert.fail('the model was not asked');
  const said = () => asked().messages.map(({ role, content }) => [role, content]);

  it('has every key, with what it is without being asked for', async () => {
    const response = await ask(world.me, { input: 'Hi' });
    const { id, created_at, completed_at, output, usage, ...rest } = response;
    assert.match(id, /^resp_[0-9a-f-]{36}$/);
    assert.ok(created_at > 1_700_000_000 && completed_at !== null && completed_at >= created_at && usage !== null);
    assert.match(output[0]?.id ?? '', /^msg_/);
    assert.deepEqual(rest, {
      object: 'response',
      status: 'completed',
      incomplete_details: null,
      error: null,
      model: 'test-model',
      conversation: null,
      instructions: null,
      previous_response_id: null,
      tools: [],
      tool_choice: 'auto',
      parallel_tool_calls: true,
      max_tool_calls: null,
      max_output_tokens: null,
      text: { format: { type: 'text' } },
      reasoning: null,
      temperature: 1,
      top_p: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      top_logprobs: 0,
      truncation: 'disabled',
      store: true,
      background: false,
      service_tier: 'default',
      metadata: {},
      safety_identifier: null,
      prompt_cache_key: null,
    });
    assert.deepEqual(await get(world.me, id), response);
  });

  it('shows again what it was asked with, and the model is given it', async () => {
    const wishes = {
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      top_logprobs: 3,
      parallel_tool_calls: false,
      max_tool_calls: 2,
      max_output_tokens: 100,
      truncation: 'auto',
      service_tier: 'flex',
      safety_identifier: 'someone',
      prompt_cache_key: 'key',
      metadata: { a: 'b' },
      instructions: 'Be brief',
    };
    const schema = { type: 'object', properties: { a: { type: 'string' } } };
    const format = { type: 'json_schema', name: 'answer', schema, strict: true };
    const response = await ask(world.me, {
      input: 'Hi',
      ...wishes,
      tools: [{ ...FUNCTION, description: 'Tells', parameters: schema, strict: true }],
      tool_choice: { type: 'function', name: 'weather' },
      text: { format, verbosity: 'low' },
      reasoning: { effort: 'low' },
    });
    for (const [name, value] of Object.entries(wishes)) assert.deepEqual(response[name], value, name);
    assert.deepEqual(response.tools, [{ ...FUNCTION, description: 'Tells', parameters: schema, strict: true }]);
    assert.deepEqual(response.text, {
      format: { type: 'json_schema', name: 'answer', description: null, schema: null, strict: true },
      verbosity: 'low',
    });
    assert.deepEqual(response.reasoning, { effort: 'low', summary: null });
    const { messages, tools, stream, stream_options, ...body } = asked();
    assert.deepEqual(body, {
      model: 'test-model',
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      parallel_tool_calls: false,
      max_tokens: 100,
      service_tier: 'flex',
      prompt_cache_key: 'key',
      verbosity: 'low',
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
      tool_choice: { type: 'function', function: { name: 'weather' } },
    });
    assert.deepEqual(tools?.[0]?.function, { name: 'weather', description: 'Tells', parameters: schema });
    assert.deepEqual(await get(world.me, response.id), response);
  });

  it('takes items of every kind, and the model is given them', async () => {
    const image = 'data:image/png;base64,iVBORw0KGgo=';
    await ask(world.me, {
      input: [
        { role: 'developer', content: 'Be brief' },
        { role: 'user', content: 'Weather?' },
        { type: 'reasoning', summary: [{ type: 'summary_text', text: 'Ask' }] },
        { type: 'function_call', call_id: 'c1', name: 'weather', arguments: '{}' },
        {
          type: 'function_call_output',
          call_id: 'c1',
          output: [
            { type: 'input_text', text: 'Ra' },
            { type: 'input_text', text: 'in' },
          ],
        },
        { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Rain' }], phase: 'final_answer' },
        {
          role: 'user',
          content: [
            { type: 'input_image', image_url: image, detail: 'low' },
            { type: 'input_text', text: 'And this?' },
          ],
        },
      ],
    });
    assert.deepEqual(said(), [
      ['system', 'Be brief'],
      ['user', 'Weather?'],
      ['assistant', null],
      ['tool', 'Rain'],
      ['assistant', 'Rain'],
      [
        'user',
        [
          { type: 'image_url', image_url: { url: image, detail: 'low' } },
          { type: 'text', text: 'And this?' },
        ],
      ],
    ]);
  });

  it('goes on behind another: its history is the model’s, its instructions are not', async () => {
    world.model.next({ text: 'Hello Ann' });
    const first = await ask(world.me, { input: 'I am Ann', instructions: 'Be formal' });
    const second = await ask(world.me, { input: 'Who am I?', previous_response_id: first.id });
    assert.equal(second.previous_response_id, first.id);
    assert.equal(second.instructions, null);
    assert.deepEqual(said(), [
      ['user', 'I am Ann'],
      ['assistant', 'Hello Ann'],
      ['user', 'Who am I?'],
    ]);
  });

  it('forks: two that go on behind the same one do not see each other', async () => {
    const root = await ask(world.me, { input: 'Root' });
    const one = await ask(world.me, { input: 'One', previous_response_id: root.id });
    const two = await ask(world.me, { input: 'Two', previous_response_id: root.id });
    await ask(world.me, { input: 'After one', previous_response_id: one.id });
    assert.deepEqual(
      said().filter(([role]) => role === 'user'),
      [
        ['user', 'Root'],
        ['user', 'One'],
        ['user', 'After one'],
      ],
    );
    await ask(world.me, { input: 'After two', previous_response_id: two.id });
    assert.deepEqual(
      said().filter(([role]) => role === 'user'),
      [
        ['user', 'Root'],
        ['user', 'Two'],
        ['user', 'After two'],
      ],
    );
  });

  it('goes on in a conversation, named as a text or an object, and the whole of it is the history', async () => {
    const { body } = await world.me.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
    const first = await ask(world.me, { input: 'One', conversation: `conv_${body.id}` });
    assert.deepEqual(first.conversation, { id: `conv_${body.id}` });
    const second = await ask(world.me, { input: 'Two', conversation: { id: body.id } });
    assert.deepEqual(second.conversation, { id: `conv_${body.id}` });
    assert.deepEqual(
      said().map(([role]) => role),
      ['user', 'assistant', 'user'],
    );
    // Its newest input is answered where none is sent.
    const entry = { chat_id: body.id, role: 'Human', message: 'Three' };
    await world.me.request('POST', '/conversations/create', { body: entry });
    await ask(world.me, { conversation: body.id });
    assert.deepEqual(said().at(-1), ['user', 'Three']);
  });

  it('refers to items by their ids; one that is there already is not said twice', async () => {
    const first = await ask(world.me, { input: 'Red' });
    const { body } = await world.me.request<{ data: { id: string }[] }>('GET', `/v1/responses/${first.id}/input_items`);
    const references = [{ type: 'item_reference', id: body.data[0]?.id }, { id: first.output[0]?.id }];
    await ask(world.me, { input: [...references, { role: 'user', content: 'And?' }] });
    assert.deepEqual(said(), [
      ['user', 'Red'],
      ['assistant', 'You said: Red'],
      ['user', 'And?'],
    ]);
    await ask(world.me, { input: [...references, { role: 'user', content: 'So?' }], previous_response_id: first.id });
    assert.deepEqual(said(), [
      ['user', 'Red'],
      ['assistant', 'You said: Red'],
      ['user', 'So?'],
    ]);
    const stranger = world.server.client();
    const foreign = await refusal(stranger, { input: [...references, { role: 'user', content: 'And?' }] });
    const unknown = await refusal(stranger, { input: [{ id: 'msg_0198c7c1-5d00-7000-8000-5717b3fc2c96' }] });
    assert.deepEqual(foreign, unknown);
  });

  it('ends with calls of the caller’s tools, and their outputs go on', async () => {
    world.model.next({ tools: [{ id: 'c1', name: 'weather', arguments: '{"city":"Rome"}' }] });
    const first = await ask(world.me, { input: 'Weather in Rome?', tools: [FUNCTION] });
    assert.deepEqual(first.output, [
      {
        type: 'function_call',
        id: first.output[0]?.id,
        status: 'completed',
        call_id: 'c1',
        name: 'weather',
        arguments: '{"city":"Rome"}',
      },
    ]);
    world.model.next({ text: 'It rains' });
    const second = await ask(world.me, {
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: 'c1', output: 'Rain' }],
      tools: [FUNCTION],
    });
    assert.equal(textOf(second), 'It rains');
    assert.deepEqual(
      asked().messages.map(({ role, tool_call_id, tool_calls }) => [role, tool_call_id ?? tool_calls?.[0]?.id]),
      [
        ['user', undefined],
        ['assistant', 'c1'],
        ['tool', 'c1'],
      ],
    );
  });

  it('lets the model call some of the tools only', async () => {
    const tools = [FUNCTION, { type: 'function', name: 'time' }];
    const allowed = { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'time' }] };
    const response = await ask(world.me, { input: 'Hi', tools, tool_choice: allowed });
    assert.deepEqual(response.tool_choice, allowed);
    assert.deepEqual(
      asked().tools?.map((tool) => tool.function.name),
      ['time'],
    );
    assert.equal(asked().tool_choice, 'required');
    const unknown = await refusal(world.me, { input: 'Hi', tools, tool_choice: { type: 'function', name: 'none' } });
    assert.deepEqual([unknown.status, unknown.param], [400, 'tool_choice']);
  });

  it('is kept nowhere with store: false, but may go on behind what is kept', async () => {
    const first = await ask(world.me, { input: 'I am Ann' });
    const second = await ask(world.me, { input: 'Who am I?', previous_response_id: first.id, store: false });
    assert.deepEqual([second.store, second.instructions], [false, null]);
    assert.deepEqual(said()[0], ['user', 'I am Ann']);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/cancel'],
      ['GET', '/input_items'],
    ] as const) {
      const { status } = await world.me.request(method, `/v1/responses/${second.id}${path}`);
      assert.equal(status, 404, `${method} ${path}`);
    }
    const next = await refusal(world.me, { input: 'And?', previous_response_id: second.id });
    assert.deepEqual(
      [next.status, next.code, next.param],
      [400, 'previous_response_not_found', 'previous_response_id'],
    );
  });

  it('is cancelled with store: false when its reader leaves', async () => {
    world.model.next({ text: 'On and on ', endless: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true, store: false } });
    await open.until('output_text.delta');
    open.cut();
    assert.equal(await (await world.model.call(index)).over, 'left');
  });

  it('can be cancelled with store: false by whoever asked, while it is written', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const open = await world.me.open('POST', '/v1/responses', { body: { input: 'Hi', stream: true, store: false } });
    await (await world.model.call(index)).release(1);
    const { id } = JSON.parse(/data: (.*)/.exec(await open.until('"delta":"One "'))?.[1] ?? '').response;
    const path = `/v1/responses/${id}/cancel`;
    assert.equal((await world.server.client().request('POST', path)).status, 404);
    const cancelled = assertResponse((await world.me.request('POST', path)).body);
    assert.deepEqual([cancelled.status, textOf(cancelled), cancelled.store], ['cancelled', 'One ', false]);
    assert.equal(assertOrder(readStream(await open.ended)).status, 'cancelled');
    assert.equal((await world.me.request('POST', path)).status, 404);
  });

  it('is given at once in the background, goes on without anybody, and is followed later', async () => {
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const response = await ask(world.me, { input: 'Hi', background: true });
    assert.deepEqual([response.status, response.output, response.background], ['in_progress', [], true]);
    const call = await world.model.call(index);
    await call.release(1);
    const open = await world.me.open('GET', `/v1/responses/${response.id}?stream=true&starting_after=1`);
    await open.until('"delta":"One "');
    assert.equal(textOf(await get(world.me, response.id)), 'One ', 'what is written so far is shown');
    await call.releaseAll();
    await open.ended;
    const whole = await get(world.me, response.id);
    assert.deepEqual([whole.status, textOf(whole)], ['completed', 'One two']);
  });

  it('is queued in the background behind another one of its conversation', async () => {
    const first = await ask(world.me, { input: 'One' });
    world.model.next({ text: ['One ', 'two'], gated: true });
    const index = world.model.calls.length;
    const running = await ask(world.me, { input: 'Two', previous_response_id: first.id, background: true });
    const waiting = await ask(world.me, { input: 'Three', previous_response_id: first.id, background: true });
    assert.deepEqual([running.status, waiting.status], ['in_progress', 'queued']);
    const cancelled = await world.me.request('POST', `/v1/responses/${waiting.id}/cancel`);
    assert.equal(assertResponse(cancelled.body).status, 'cancelled');
    await (await world.model.call(index)).releaseAll();
    assert.equal(world.model.calls.length, index + 1);
  });

  it('is one under one Idempotency-Key, and another request under it is 422', async () => {
    const headers = { 'idempotency-key': 'one' };
    const first = await ask(world.me, { input: 'Hi' }, headers);
    const calls = world.model.calls.length;
    assert.deepEqual(await ask(world.me, { input: 'Hi' }, headers), first);
    assert.equal(world.model.calls.length, calls);
    const other = await world.me.request('POST', '/v1/responses', { body: { input: 'Ho' }, headers });
    assert.equal(other.status, 422);
    const unkept = await ask(world.me, { input: 'Hi', store: false }, { 'idempotency-key': 'two' });
    assert.deepEqual(await ask(world.me, { input: 'Hi', store: false }, { 'idempotency-key': 'two' }), unkept);
  });

  it('is refused with what is wrong: the field, the code, the status', async () => {
    const stranger = await ask(world.server.client(), { input: 'Mine' });
    const unknown = 'resp_0198c7c1-5d00-7000-8000-5717b3fc2c96';
    const cases: [unknown, number, string, string][] = [
      [{}, 400, 'invalid_request', 'input'],
      [{ input: [] }, 400, 'invalid_request', 'input'],
      [{ input: 7 }, 400, 'invalid_request', 'input'],
      [{ input: 'Hi', previous_response_id: unknown }, 400, 'previous_response_not_found', 'previous_response_id'],
      [{ input: 'Hi', previous_response_id: stranger.id }, 400, 'previous_response_not_found', 'previous_response_id'],
      [{ input: 'Hi', previous_response_id: 'x' }, 400, 'previous_response_not_found', 'previous_response_id'],
      [{ input: 'Hi', conversation: 'conv_x' }, 404, 'not_found', ''],
      [{ input: 'Hi', conversation: 'conv_x', previous_response_id: unknown }, 400, 'invalid_request', 'conversation'],
      [{ input: 'Hi', background: true, store: false }, 400, 'invalid_request', 'background'],
      [{ input: 'Hi', metadata: { a: 1 } }, 400, 'invalid_request', 'metadata.a'],
      [{ input: 'Hi', max_output_tokens: 1 }, 400, 'invalid_request', 'max_output_tokens'],
      [{ input: 'Hi', top_logprobs: 21 }, 400, 'invalid_request', 'top_logprobs'],
      [{ input: 'Hi', tools: [{ type: 'file_search' }] }, 400, 'invalid_request', 'tools[0].type'],
      [{ input: 'Hi', truncation: 'maybe' }, 400, 'invalid_request', 'truncation'],
      [{ input: Array(10_001).fill({ role: 'user', content: 'Hi' }) }, 400, 'invalid_request', 'input'],
      [{ input: [{ type: 'file_search_call' }] }, 400, 'invalid_request', 'input[0].type'],
      [{ input: [{ role: 'robot', content: 'Hi' }] }, 400, 'invalid_request', 'input[0].role'],
      [
        { input: [{ role: 'user', content: [{ type: 'input_file' }] }] },
        400,
        'invalid_request',
        'input[0].content[0].type',
      ],
      [{ input: 'Hi', tools: [{ type: 'function', name: 'a b' }] }, 400, 'invalid_request', 'tools[0].name'],
      [{ input: 'Hi', prompt: { id: 'pmpt_1' } }, 400, 'invalid_request', 'prompt'],
      [{ input: Array.from({ length: 1001 }, (_, i) => ({ id: `msg_${i}` })) }, 400, 'invalid_request', 'input'],
      ['{"input":', 400, 'invalid_request', ''],
      ['[]', 400, 'invalid_request', ''],
    ];
    const calls = world.model.calls.length;
    for (const [body, status, code, param] of cases) {
      const error = await refusal(world.me, body);
      assert.deepEqual(
        [error.status, error.code, error.param],
        [status, code, param],
        `${JSON.stringify(body).slice(0, 200)}: ${error.message}`,
      );
    }
    assert.equal(world.model.calls.length, calls);
  });
});

describe('A model', () => {
  const world = setUp();

  it('that its provider does not know is 404 model_not_found', async () => {
    world.model.next({ status: 404, error: { error: { message: 'no such model', code: 'model_not_found' } } });
    const error = await refusal(world.me, { input: 'Hi', model: 'nope' });
    assert.deepEqual([error.status, error.code, error.param], [404, 'model_not_found', 'model']);
  });
});

describe('The guide', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer();
  });
  after(() => server.close());

  it('is the only model where there is no other: 404 for any name', async () => {
    const error = await refusal(server.visitor(), { input: 'Hi', model: 'gpt-5' });
    assert.deepEqual([error.status, error.code, error.param], [404, 'model_not_found', 'model']);
  });

  it('is given no images: 400 says that it takes none', async () => {
    const content = [{ type: 'input_image', image_url: 'https://a.example/b.png' }];
    const error = await refusal(server.visitor(), { input: [{ role: 'user', content }] });
    assert.deepEqual([error.status, error.param], [400, 'input']);
    assert.match(error.message, /"guide" takes no images/);
  });
});
