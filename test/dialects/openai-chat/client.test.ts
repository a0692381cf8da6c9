/** The official client against `/v1/chat/completions` and `/v1/models`, unmodified. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import { countRows } from '../../../torture/inspect.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';

const hello = [{ role: 'user' as const, content: 'Hello' }];

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('openai-chat, by the official client', () => {
  let model: ModelServer;
  let server: TestServer;
  let openai: OpenAI;
  let me: Client;

  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
    me = server.client();
    openai = new OpenAI({
      apiKey: server.ownerKey,
      baseURL: `${server.url}/v1`,
      maxRetries: 0,
      defaultHeaders: { 'x-user-id': me.user },
    });
  });
  after(async () => {
    await server.close();
    await model.close();
  });

  it('answers whole, with usage', async () => {
    model.next({ text: 'Hello there', usage: { input: 7, cached: 2, output: 2 } });
    const completion = await openai.chat.completions.create({ model: 'test-model', messages: hello });
    assert.equal(completion.object, 'chat.completion');
    assert.equal(completion.model, 'test-model');
    assert.deepEqual(completion.choices, [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello there', refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ]);
    assert.deepEqual(completion.usage, {
      prompt_tokens: 7,
      completion_tokens: 2,
      total_tokens: 9,
      prompt_tokens_details: { cached_tokens: 2 },
      completion_tokens_details: { reasoning_tokens: 0 },
    });
  });

  it('streams: one id, a first delta with the role, the text, a finish, the usage', async () => {
    model.next({ text: ['Hel', 'lo'], usage: { input: 3, output: 2 } });
    const stream = await openai.chat.completions.create({
      model: 'test-model',
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    assert.equal(new Set(chunks.map(({ id }) => id)).size, 1);
    assert.deepEqual(
      chunks.map(({ choices: [choice] }) => choice && [choice.delta, choice.finish_reason]),
      [
        [{ role: 'assistant', content: '' }, null],
        [{ content: 'Hel' }, null],
        [{ content: 'lo' }, null],
        [{}, 'stop'],
        undefined,
      ],
    );
    assert.equal(chunks.at(-1)?.usage?.total_tokens, 5);
  });

  it('the stream helper puts the answer together', async () => {
    model.next({ text: 'One two three' });
    const stream = openai.chat.completions.stream({ model: 'test-model', messages: hello });
    assert.equal((await stream.finalChatCompletion()).choices[0]?.message.content, 'One two three');
  });

  it('sampling parameters, images, tools and tool results reach the model as given', async () => {
    const tool = {
      type: 'function' as const,
      function: { name: 'weather', description: 'Of a city', parameters: { type: 'object', properties: {} } },
    };
    const call = {
      id: 'call_1',
      type: 'function' as const,
      function: { name: 'weather', arguments: '{"city":"Oslo"}' },
    };
    const image = {
      type: 'image_url' as const,
      image_url: { url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'low' as const },
    };
    const asked = model.calls.length;
    model.next({ text: 'Rain' });
    await openai.chat.completions.create({
      model: 'test-model',
      temperature: 0.3,
      max_tokens: 77,
      stop: ['END'],
      seed: 5,
      response_format: { type: 'json_object' },
      tools: [tool],
      tool_choice: 'auto',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] },
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'call_1', content: 'Rain' },
      ],
    });
    const { temperature, max_tokens, stop, seed, response_format, tools, tool_choice, messages } = (
      await model.call(asked)
    ).body;
    assert.deepEqual(
      { temperature, max_tokens, stop, seed, response_format, tool_choice },
      {
        temperature: 0.3,
        max_tokens: 77,
        stop: ['END'],
        seed: 5,
        response_format: { type: 'json_object' },
        tool_choice: 'auto',
      },
    );
    assert.deepEqual(tools, [tool]);
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be short.' },
      { role: 'user', content: [{ type: 'text', text: 'What is this?' }, image] },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: 'Rain' },
    ]);
  });

  it('tool calls: first the name, then the arguments, side by side', async () => {
    const messages = hello;
    const calls = [
      { id: 'a', name: 'one', arguments: ['{"x":', '1}'] },
      { id: 'b', name: 'two', arguments: '{}' },
    ];
    model.next({ tools: calls });
    const whole = await openai.chat.completions.create({ model: 'test-model', messages });
    assert.equal(whole.choices[0]?.finish_reason, 'tool_calls');
    const expected = [
      { id: 'a', type: 'function', function: { name: 'one', arguments: '{"x":1}' } },
      { id: 'b', type: 'function', function: { name: 'two', arguments: '{}' } },
    ];
    assert.deepEqual(whole.choices[0]?.message.tool_calls, expected);
    assert.equal(whole.choices[0]?.message.content, null);

    model.next({ tools: calls });
    const chunks = await all(await openai.chat.completions.create({ model: 'test-model', messages, stream: true }));
    const deltas = chunks.flatMap(({ choices: [choice] }) => choice?.delta.tool_calls ?? []);
    assert.deepEqual(deltas[0], { index: 0, id: 'a', type: 'function', function: { name: 'one', arguments: '' } });
    assert.ok(deltas.some(({ index, id }) => index === 1 && id === 'b'));
    const joined = deltas.filter(({ index }) => index === 0).map((delta) => delta.function?.arguments);
    assert.equal(joined.join(''), '{"x":1}');
    assert.equal(chunks.at(-1)?.choices[0]?.finish_reason, 'tool_calls');
  });

  it('reasoning comes as reasoning_content', async () => {
    model.next({ reasoning: ['hm'], text: 'So' });
    const { choices } = await openai.chat.completions.create({ model: 'test-model', messages: hello });
    const message = choices[0]?.message as { reasoning_content?: string } | undefined;
    assert.equal(message?.reasoning_content, 'hm');
  });

  it('an answer that breaks off in mid-stream is an error, and never a stop', async () => {
    model.next({ text: 'One two three', cut: 2 });
    const reasons: unknown[] = [];
    await assert.rejects(async () => {
      for await (const chunk of await openai.chat.completions.create({
        model: 'test-model',
        messages: hello,
        stream: true,
      })) {
        reasons.push(chunk.choices[0]?.finish_reason);
      }
    }, OpenAI.APIError);
    assert.ok(reasons.every((reason) => reason === null));
  });

  it('errors have the classes and fields the client knows', async () => {
    const ask = (options: object) =>
      openai.chat.completions.create({
        model: 'test-model',
        messages: hello,
        ...options,
      } as OpenAI.ChatCompletionCreateParamsNonStreaming);
    await assert.rejects(ask({ messages: [] }), OpenAI.BadRequestError);
    await assert.rejects(ask({ n: 2 }), OpenAI.BadRequestError);
    const wrong = new OpenAI({ apiKey: 'plk_wrong', baseURL: `${server.url}/v1`, maxRetries: 0 });
    await assert.rejects(wrong.models.list(), OpenAI.AuthenticationError);
    model.next({ status: 400, error: { error: { message: 'no such thing' } } });
    await assert.rejects(ask({}), (error: InstanceType<typeof OpenAI.APIError>) => {
      assert.equal(error.status, 503);
      assert.match(error.message, /no such thing/);
      return true;
    });
  });

  it('nothing is kept of a plain one; its reader leaving cancels it', async () => {
    model.next({ text: 'One two three', gated: true });
    const calls = model.calls.length;
    const stream = await openai.chat.completions.create({ model: 'test-model', messages: hello, stream: true });
    const call = await model.call(calls);
    stream.controller.abort();
    assert.equal(await call.over, 'left');
    assert.deepEqual((await me.request('GET', '/chats/')).body, []);
  });

  it('an Idempotency-Key: the same answer again, the model asked once, nothing listed', async () => {
    model.next({ text: 'Once' });
    const calls = model.calls.length;
    const ask = () =>
      openai.chat.completions.create({ model: 'test-model', messages: hello }, { headers: { 'Idempotency-Key': 'k' } });
    assert.deepEqual(await ask(), await ask());
    assert.equal(model.calls.length, calls + 1);
    assert.deepEqual((await me.request('GET', '/chats/')).body, []);
  });

  it('X-Conversation-ID keeps the exchange; one message continues it, in every dialect', async () => {
    const calls = model.calls.length;
    model.answer({ text: 'Yes' });
    const ask = (messages: OpenAI.ChatCompletionMessageParam[]) =>
      openai.chat.completions
        .create({ model: 'test-model', messages }, { headers: { 'X-Conversation-ID': 'mine' } })
        .withResponse();
    const { response } = await ask(hello);
    const id = response.headers.get('x-conversation-id') ?? '';
    assert.match(id, /^conv_[0-9a-f-]{36}$/);
    await ask([{ role: 'user', content: 'And?' }]);
    const said = (at: number) => model.calls[at]?.body.messages ?? [];
    assert.equal(said(calls + 1).length, 3);
    await ask([...hello, { role: 'assistant', content: 'Other' }, { role: 'user', content: 'Mine' }]);
    assert.deepEqual(
      said(calls + 2).map(({ content }) => content),
      ['Hello', 'Other', 'Mine'],
    );
    const entries = await me.request<{ message: string }[]>('GET', `/chats/${id}/conversations`);
    assert.deepEqual(
      entries.body.map(({ message }) => message),
      ['Hello', 'Yes', 'And?', 'Yes', 'Mine', 'Yes'],
    );
  });

  it('a list of two user messages is itself the context, and both are kept; nothing of a list is kept twice', async () => {
    model.answer({ text: 'Yes' });
    const ask = (messages: OpenAI.ChatCompletionMessageParam[]) =>
      openai.chat.completions
        .create({ model: 'test-model', messages }, { headers: { 'X-Conversation-ID': 'two at once' } })
        .withResponse();
    await ask(hello);
    const calls = model.calls.length;
    const { response } = await ask([
      { role: 'user', content: 'Secret plan' },
      { role: 'user', content: 'And?' },
    ]);
    const contents = (at: number) => model.calls[at]?.body.messages.map(({ content }) => content);
    assert.deepEqual(contents(calls), ['Secret plan', 'And?']);
    await ask([{ role: 'user', content: 'More' }]);
    assert.deepEqual(contents(calls + 1), ['Hello', 'Yes', 'Secret plan', 'And?', 'Yes', 'More']);
    const id = response.headers.get('x-conversation-id');
    const entries = await me.request<{ message: string }[]>('GET', `/chats/${id}/conversations`);
    assert.deepEqual(
      entries.body.map(({ message }) => message),
      ['Hello', 'Yes', 'Secret plan', 'And?', 'Yes', 'More', 'Yes'],
    );
    const inRuns = "select count(*) as count from runs where request like '%Secret plan%'";
    assert.equal(countRows(server.data, inRuns), 0);
  });

  it('results of tools alone continue the answer that is stored', async () => {
    const headers = { 'X-Conversation-ID': 'tools' };
    const ask = (messages: OpenAI.ChatCompletionMessageParam[]) =>
      openai.chat.completions.create({ model: 'test-model', messages }, { headers });
    model.next({
      tools: [
        { id: 'a', name: 'look', arguments: '{}' },
        { id: 'b', name: 'look', arguments: '{}' },
      ],
    });
    await ask(hello);
    const calls = model.calls.length;
    await ask([
      { role: 'tool', tool_call_id: 'a', content: 'One' },
      { role: 'tool', tool_call_id: 'b', content: 'Two' },
    ]);
    assert.deepEqual(
      model.calls[calls]?.body.messages.map(({ role }) => role),
      ['user', 'assistant', 'tool', 'tool'],
    );
  });

  it("another user's conversation id makes one of one's own", async () => {
    model.answer({ text: 'Yes' });
    const other = server.client();
    const { body } = await other.request<{ conversation_id: string }>('POST', '/chat', { body: { message: 'Secret' } });
    const { response } = await openai.chat.completions
      .create({ model: 'test-model', messages: hello }, { headers: { 'X-Conversation-ID': body.conversation_id } })
      .withResponse();
    assert.notEqual(response.headers.get('x-conversation-id'), `conv_${body.conversation_id}`);
    const theirs = await other.request<{ messages: unknown[] }>('GET', `/conversations/${body.conversation_id}`);
    assert.equal(theirs.body.messages.length, 2);
  });

  it('lists the models, and gets one; an unknown one is 404 model_not_found', async () => {
    const models = await all(openai.models.list());
    assert.ok(models.some(({ id }) => id === 'test-model'));
    assert.equal((await openai.models.retrieve('test-model')).object, 'model');
  });
});
