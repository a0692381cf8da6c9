/** Anthropic and Google through the AI SDK's provider packages, against servers that speak their wire formats. */

import assert from 'node:assert/strict';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { toCallOptions, toPrompt } from '../../../src/adapters/model/ai-sdk/call-options.ts';
import { createAiSdkProvider } from '../../../src/adapters/model/ai-sdk/provider.ts';
import type { ModelProvider } from '../../../src/adapters/model/provider.ts';
import { emptyAnswer, fold } from '../../../src/core/fold.ts';
import { type Item, messageItem } from '../../../src/core/turn.ts';
import { ModelError, type ModelEvent } from '../../../src/ports/model.ts';
import { createTranslator } from '../../../src/service/translate.ts';
import { answerOf, asking, never, settings, textIn } from './calls.ts';

const KEY = 'sk-ant-canary-0123456789';

interface Asked {
  path: string;
  headers: IncomingHttpHeaders;
  body: Record<string, unknown>;
}

let server: Server;
let asked: Asked[];
let respond: (response: ServerResponse, request: Asked) => void;
/** Resolves when a client has left its answer. */
let left: PromiseWithResolvers<void>;

const events = (...list: object[]) =>
  list
    .map((event) => `event: ${(event as { type?: string }).type ?? 'message'}\ndata: ${JSON.stringify(event)}\n\n`)
    .join('');
const sse = (body: string) => (response: ServerResponse) => {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.end(body);
};
const json =
  (status: number, value: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  };

beforeEach(async () => {
  asked = [];
  left = Promise.withResolvers();
  server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString();
    const seen = { path: request.url ?? '', headers: request.headers, body: text === '' ? {} : JSON.parse(text) };
    asked.push(seen);
    response.once('close', () => left.resolve());
    respond(response, seen);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterEach(() => {
  server.closeAllConnections();
  server.close();
});

const open = (name: 'anthropic' | 'google', path: string): ModelProvider => {
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  return createAiSdkProvider(name, { apiKey: KEY, baseUrl }, settings).provider;
};

/** An answer as it is kept. */
function itemsOf(seen: readonly ModelEvent[]): Item[] {
  const ids = { uuid: () => 'id', secret: () => '', digest: () => '' };
  const translator = createTranslator({ ids, model: 'm' });
  return fold(emptyAnswer(), [...translator.translate(seen).events, ...translator.close()]).items;
}

const weather = {
  name: 'weather',
  description: 'The weather',
  parameters: { type: 'object', properties: { at: { type: 'string' } } },
};

describe('anthropic', () => {
  const ask = (more: object = {}, signal = never) =>
    answerOf(
      open('anthropic', '/v1').stream('claude-sonnet-5-5', asking('Hi', { system: 'Be brief.', ...more }), signal),
    );
  const start = {
    type: 'message_start',
    message: {
      id: 'm',
      type: 'message',
      role: 'assistant',
      model: 'claude',
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: { input_tokens: 10, output_tokens: 1, cache_read_input_tokens: 4 },
    },
  };
  const block = (index: number, content_block: object, ...deltas: object[]) => [
    { type: 'content_block_start', index, content_block },
    ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
    { type: 'content_block_stop', index },
  ];
  const text = (...words: string[]) =>
    block(0, { type: 'text', text: '' }, ...words.map((word) => ({ type: 'text_delta', text: word })));
  const stop = (stop_reason: string) => [
    { type: 'message_delta', delta: { stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } },
    { type: 'message_stop' },
  ];

  it('streams text, usage and finish, and asks as its API wants it', async () => {
    respond = sse(events(start, ...text('Hel', 'lo 👋'), ...stop('end_turn')));
    const { events: seen, error } = await ask({ parameters: { temperature: 0.5, max_tokens: 100, stop: 'END' } });
    assert.equal(error, null);
    assert.deepEqual(seen, [
      { type: 'text', text: 'Hel' },
      { type: 'text', text: 'lo 👋' },
      { type: 'usage', usage: { inputTokens: 14, cachedInputTokens: 4, outputTokens: 7, reasoningTokens: 0 } },
      { type: 'finish', reason: 'stop' },
    ]);
    const [{ path, headers, body } = { path: '', headers: {}, body: {} }] = asked;
    assert.equal(path, '/v1/messages');
    assert.equal(headers['x-api-key'], KEY);
    assert.deepEqual(body.system, [{ type: 'text', text: 'Be brief.' }]);
    assert.deepEqual(body.messages, [{ role: 'user', content: [{ type: 'text', text: 'Hi' }] }]);
    assert.deepEqual(
      [body.model, body.max_tokens, body.stop_sequences, body.stream],
      ['claude-sonnet-5-5', 100, ['END'], true],
    );
  });

  it('streams reasoning apart from text', async () => {
    const thinking = block(
      0,
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'thinking_delta', thinking: 'Hm.' },
      { type: 'signature_delta', signature: 'x' },
    );
    respond = sse(events(start, ...thinking, ...text('So.'), ...stop('end_turn')));
    const { events: seen } = await ask();
    assert.deepEqual([textIn(seen, 'reasoning'), textIn(seen)], ['Hm.', 'So.']);
  });

  it('thinks on after a tool: what it thought and signed goes back as it came, and only within the answer', async () => {
    const thinking = block(
      0,
      { type: 'thinking', thinking: '', signature: '' },
      { type: 'thinking_delta', thinking: 'Hm.' },
      { type: 'signature_delta', signature: 'signed-by-anthropic' },
    );
    const hidden = block(1, { type: 'redacted_thinking', data: 'hidden-by-anthropic' });
    const tool = block(2, { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} });
    respond = sse(events(start, ...thinking, ...hidden, ...tool, ...stop('tool_use')));
    const parameters = { reasoning_effort: 'high' };
    const { events: seen } = await ask({ parameters, tools: [weather] });
    const items = itemsOf(seen);
    const output: Item = { type: 'function_call_output', id: 'o', status: 'completed', callId: 'toolu_1', output: '7' };
    const question = { role: 'user' as const, items: [messageItem('q', 'user', 'Hi')] };
    const turns = [question, { role: 'assistant' as const, items: [...items, output] }];
    respond = sse(events(start, ...text('So.'), ...stop('end_turn')));
    await ask({ parameters, tools: [weather], turns });
    const messages = asked[1]?.body.messages as { role: string; content: object[] }[];
    assert.partialDeepStrictEqual(messages[1]?.content, [
      { type: 'thinking', thinking: 'Hm.', signature: 'signed-by-anthropic' },
      { type: 'redacted_thinking', data: 'hidden-by-anthropic' },
      { type: 'tool_use', id: 'toolu_1', name: 'weather' },
    ]);
    assert.notEqual(asked[1]?.body.thinking ?? asked[1]?.body.output_config, undefined);
    // The next question: it is over.
    await ask({ parameters, tools: [weather], turns: [...turns, question] });
    const later = asked[2]?.body.messages as { content: { type: string }[] }[];
    assert.ok(later.every(({ content }) => content.every(({ type }) => !type.includes('thinking'))));
    // A caller's history has no signatures: it goes on without thinking.
    const bare = items.filter(({ type }) => type === 'function_call');
    await ask({ parameters, tools: [weather], turns: [question, { role: 'assistant', items: [...bare, output] }] });
    assert.equal(asked[3]?.body.thinking, undefined);
  });

  it('streams tool calls with their arguments', async () => {
    const tool = block(
      0,
      { type: 'tool_use', id: 'toolu_1', name: 'weather', input: {} },
      { type: 'input_json_delta', partial_json: '{"at":' },
      { type: 'input_json_delta', partial_json: '"Rome"}' },
    );
    respond = sse(events(start, ...tool, ...stop('tool_use')));
    const { events: seen, error } = await ask({ tools: [weather] });
    assert.equal(error, null);
    assert.deepEqual(seen[0], { type: 'tool-call', call: 0, id: 'toolu_1', name: 'weather' });
    const args = seen.flatMap((event) => (event.type === 'tool-arguments' ? [event.text] : [])).join('');
    assert.deepEqual(JSON.parse(args), { at: 'Rome' });
    assert.deepEqual(seen.at(-1), { type: 'finish', reason: 'tool_calls' });
    assert.equal((asked[0]?.body.tools as { name: string }[] | undefined)?.[0]?.name, 'weather');
  });

  for (const [reason, finish] of [
    ['max_tokens', 'length'],
    ['stop_sequence', 'stop'],
    ['refusal', 'content_filter'],
  ] as const) {
    it(`stop_reason ${reason} is ${finish}`, async () => {
      respond = sse(events(start, ...text('x'), ...stop(reason)));
      assert.deepEqual((await ask()).events.at(-1), { type: 'finish', reason: finish });
    });
  }

  const said = (type: string, message: string) => ({ type: 'error', error: { type, message } });
  for (const [name, make, expected, says] of [
    ['400', json(400, said('invalid_request_error', 'Too long.')), ['refused', false, 400], /Too long/],
    [
      '401',
      json(401, said('authentication_error', `invalid x-api-key ${KEY}`)),
      ['refused', false, 401],
      /ANTHROPIC_API_KEY/,
    ],
    ['404', json(404, said('not_found_error', 'model: claude-x')), ['model_not_found', false, 404], /claude-x/],
    [
      '429',
      json(429, said('rate_limit_error', 'Slow down.'), { 'retry-after': '3' }),
      ['rate_limited', true, 429],
      /Slow down/,
    ],
    ['529', json(529, said('overloaded_error', 'Overloaded')), ['provider_error', true, 529], /Overloaded/],
    [
      'an error event first',
      sse(events(said('overloaded_error', 'Overloaded'))),
      ['provider_error', true, 529],
      /Overloaded/,
    ],
    [
      'an error event after text',
      sse(events(start, ...text('x'), said('overloaded_error', 'Overloaded'))),
      ['provider_error', false, 529],
      /Overloaded/,
    ],
    ['half a stream', sse(events(start, ...text('x'))), ['broken_off', false, null], /ended/],
    ['an empty stream', sse(events(start)), ['broken_off', true, null], /ended/],
    ['garbage', sse(`${events(start)}data: {"garbage\n\n`), ['malformed', false, null], /read/],
  ] as const) {
    it(`${name} is ${expected[0]}`, async () => {
      respond = make;
      const { error } = await ask();
      assert.ok(error instanceof ModelError, `threw ${error}`);
      assert.deepEqual([error.code, error.retryable, error.status], expected);
      assert.match(error.message, says);
      assert.doesNotMatch(`${error.message}${error.stack}`, /canary/);
    });
  }

  it('obeys Retry-After', async () => {
    respond = json(429, said('rate_limit_error', 'x'), { 'retry-after': '3' });
    assert.equal((await ask()).error?.retryAfterMs, 3000);
  });

  it('keeps the text of a connection that breaks', async () => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(events(start, ...text('half')), () => response.socket?.resetAndDestroy());
    };
    const { events: seen, error } = await ask();
    assert.deepEqual([textIn(seen), error?.code, error?.retryable], ['half', 'broken_off', false]);
  });

  it('a closed port is unreachable', async () => {
    const provider = open('anthropic', '/v1');
    await new Promise((resolve) => server.close(resolve));
    const { error } = await answerOf(provider.stream('claude-x', asking('x'), never));
    assert.deepEqual([error?.code, error?.retryable], ['unreachable', true]);
  });

  it('an abort closes the connection', async () => {
    const controller = new AbortController();
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(events(start, ...text('on and on')));
    };
    const seen: string[] = [];
    await assert.rejects(async () => {
      for await (const batch of open('anthropic', '/v1').stream('claude-x', asking('x'), controller.signal)) {
        seen.push(textIn(batch));
        controller.abort(new Error('enough'));
      }
    }, /enough/);
    await left.promise;
    assert.deepEqual(seen, ['on and on']);
  });

  it('leaving the loop closes the connection', async () => {
    respond = (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(events(start, ...text('on and on')));
    };
    for await (const _ of open('anthropic', '/v1').stream('claude-x', asking('x'), never)) break;
    await left.promise;
  });

  it('lists its models, the usual one first', async () => {
    respond = json(200, {
      data: [
        { type: 'model', id: 'claude-opus-5-5', max_input_tokens: 1_000_000 },
        { type: 'model', id: 'claude-sonnet-5-5' },
        { type: 'model', id: 'claude-sonnet-4-5-20250929' },
      ],
      has_more: false,
    });
    const models = await open('anthropic', '/v1').list(never);
    assert.deepEqual(
      models.map(({ id, window, chat }) => [id, window, chat]),
      [
        ['claude-sonnet-5-5', 200_000, true],
        ['claude-sonnet-4-5-20250929', 200_000, true],
        ['claude-opus-5-5', 1_000_000, true],
      ],
    );
    assert.deepEqual(
      [asked[0]?.path, asked[0]?.headers['x-api-key'], asked[0]?.headers['anthropic-version']],
      ['/v1/models?limit=1000', KEY, '2023-06-01'],
    );
  });
});

describe('google', () => {
  const ask = (more: object = {}) =>
    answerOf(
      open('google', '/v1beta').stream('gemini-3.8-flash', asking('Hi', { system: 'Be brief.', ...more }), never),
    );
  const chunk = (parts: object[], finishReason?: string) => ({
    candidates: [
      { content: { role: 'model', parts }, index: 0, ...(finishReason === undefined ? {} : { finishReason }) },
    ],
    usageMetadata: {
      promptTokenCount: 9,
      candidatesTokenCount: 4,
      thoughtsTokenCount: 2,
      cachedContentTokenCount: 3,
      totalTokenCount: 15,
    },
  });

  it('streams text, reasoning, usage and finish, and asks as its API wants it', async () => {
    respond = sse(
      events(chunk([{ text: 'Hm.', thought: true }]), chunk([{ text: 'Hel' }]), chunk([{ text: 'lo' }], 'STOP')),
    );
    const { events: seen, error } = await ask({ parameters: { top_p: 0.9 } });
    assert.equal(error, null);
    assert.deepEqual([textIn(seen, 'reasoning'), textIn(seen)], ['Hm.', 'Hello']);
    assert.deepEqual(seen.slice(-2), [
      { type: 'usage', usage: { inputTokens: 9, cachedInputTokens: 3, outputTokens: 6, reasoningTokens: 2 } },
      { type: 'finish', reason: 'stop' },
    ]);
    const [{ path, headers, body } = { path: '', headers: {}, body: {} }] = asked;
    assert.match(path, /^\/v1beta\/models\/gemini-3\.8-flash:streamGenerateContent\?alt=sse/);
    assert.equal(headers['x-goog-api-key'], KEY);
    assert.deepEqual(body.contents, [{ role: 'user', parts: [{ text: 'Hi' }] }]);
    assert.deepEqual(body.systemInstruction, { parts: [{ text: 'Be brief.' }] });
    assert.equal((body.generationConfig as { topP: number }).topP, 0.9);
  });

  it('goes on after a tool with what the call was signed with', async () => {
    const functionCall = { name: 'weather', args: { at: 'Rome' } };
    respond = sse(events(chunk([{ functionCall, thoughtSignature: 'signed-by-google' }], 'STOP')));
    const { events: seen } = await ask({ tools: [weather] });
    const items = itemsOf(seen);
    const callId = items[0]?.type === 'function_call' ? items[0].callId : '';
    const output: Item = { type: 'function_call_output', id: 'o', status: 'completed', callId, output: '7' };
    const question = { role: 'user' as const, items: [messageItem('q', 'user', 'Hi')] };
    await ask({ tools: [weather], turns: [question, { role: 'assistant', items: [...items, output] }] });
    const contents = asked[1]?.body.contents as { parts: object[] }[];
    assert.partialDeepStrictEqual(contents[1]?.parts[0], { functionCall, thoughtSignature: 'signed-by-google' });
  });

  it('streams tool calls whole', async () => {
    respond = sse(events(chunk([{ functionCall: { name: 'weather', args: { at: 'Rome' } } }], 'STOP')));
    const { events: seen } = await ask({ tools: [weather] });
    assert.deepEqual(
      seen.map(({ type }) => type),
      ['tool-call', 'tool-arguments', 'usage', 'finish'],
    );
    assert.deepEqual(seen.at(-1), { type: 'finish', reason: 'tool_calls' });
  });

  for (const [name, make, expected, says] of [
    [
      'a wrong key',
      json(400, {
        error: {
          code: 400,
          message: 'API key not valid.',
          status: 'INVALID_ARGUMENT',
          details: [{ reason: 'API_KEY_INVALID' }],
        },
      }),
      ['refused', false, 401],
      /GEMINI_API_KEY/,
    ],
    [
      '404',
      json(404, { error: { code: 404, message: 'models/gemini-x is not found', status: 'NOT_FOUND' } }),
      ['model_not_found', false, 404],
      /gemini-x/,
    ],
    [
      '429',
      json(429, { error: { code: 429, message: 'Quota', status: 'RESOURCE_EXHAUSTED' } }),
      ['rate_limited', true, 429],
      /Quota/,
    ],
    [
      '503',
      json(503, { error: { code: 503, message: 'Overloaded', status: 'UNAVAILABLE' } }),
      ['provider_error', true, 503],
      /Overloaded/,
    ],
    ['half a stream', sse(events(chunk([{ text: 'x' }]))), ['broken_off', false, null], /ended/],
    ['safety', sse(events(chunk([{ text: 'x' }], 'SAFETY'))), null, /./],
  ] as const) {
    it(`${name} is ${expected?.[0] ?? 'content_filter'}`, async () => {
      respond = make;
      const { error, events: seen } = await ask();
      if (expected === null) {
        assert.deepEqual(seen.at(-1), { type: 'finish', reason: 'content_filter' });
        return;
      }
      assert.ok(error instanceof ModelError, `threw ${error}`);
      assert.deepEqual([error.code, error.retryable, error.status], expected);
      assert.match(error.message, says);
    });
  }

  it('lists its chat models with their windows', async () => {
    respond = json(200, {
      models: [
        { name: 'models/gemini-embedding-001', inputTokenLimit: 2048, supportedGenerationMethods: ['embedContent'] },
        { name: 'models/gemini-4-argon', inputTokenLimit: 2_000_000, supportedGenerationMethods: ['generateContent'] },
        {
          name: 'models/gemini-3.8-flash',
          inputTokenLimit: 1_048_576,
          supportedGenerationMethods: ['generateContent'],
        },
      ],
    });
    const models = await open('google', '/v1beta').list(never);
    assert.deepEqual(
      models.map(({ id, window, chat }) => [id, window, chat]),
      [
        ['gemini-3.8-flash', 1_048_576, true],
        ['gemini-embedding-001', 2048, false],
        ['gemini-4-argon', 2_000_000, true],
      ],
    );
  });

  it('a list with a wrong key names the setting', async () => {
    respond = json(400, {
      error: { code: 400, message: 'API key not valid.', details: [{ reason: 'API_KEY_INVALID' }] },
    });
    await assert.rejects(open('google', '/v1beta').list(never), { code: 'refused', status: 401 });
  });
});

describe('prompts for the AI SDK', () => {
  const call: Item = {
    type: 'function_call',
    id: 'c',
    status: 'completed',
    callId: 'a',
    name: 'f',
    arguments: '{"x":1}',
  };
  const output: Item = { type: 'function_call_output', id: 'o', status: 'completed', callId: 'a', output: '1' };
  const second: Item = { ...call, callId: 'b' };
  const result: Item = { ...output, callId: 'b', output: '2' };
  const lost: Item = { ...call, callId: 'lost' };
  const image: Item = {
    type: 'message',
    id: 'i',
    role: 'user',
    status: 'completed',
    content: [
      { type: 'text', text: 'What?' },
      { type: 'image', url: 'data:image/png;base64,AA==', detail: 'auto' },
      { type: 'image', url: 'https://example.org/a.png', detail: 'auto' },
    ],
  };

  it('hold system, text, images, calls and outputs', () => {
    const turns = [
      { role: 'user' as const, items: [image] },
      { role: 'system' as const, items: [messageItem('s', 'system', 'Note.')] },
      {
        role: 'assistant' as const,
        items: [messageItem('a', 'assistant', 'Let me see.'), call, second, output, result, lost],
      },
    ];
    assert.deepEqual(toPrompt({ system: 'Be brief.', turns }), [
      { role: 'system', content: 'Be brief.\n\nNote.' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What?' },
          { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'AA==' } },
          { type: 'file', mediaType: 'image', data: { type: 'url', url: new URL('https://example.org/a.png') } },
        ],
      },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Let me see.' },
          { type: 'tool-call', toolCallId: 'a', toolName: 'f', input: { x: 1 } },
          { type: 'tool-call', toolCallId: 'b', toolName: 'f', input: { x: 1 } },
        ],
      },
      {
        role: 'tool',
        content: [
          { type: 'tool-result', toolCallId: 'a', toolName: 'f', output: { type: 'text', value: '1' } },
          { type: 'tool-result', toolCallId: 'b', toolName: 'f', output: { type: 'text', value: '2' } },
        ],
      },
    ]);
  });

  it('take parameters by their names in Chat Completions, leaving what is of a wrong type', () => {
    const parameters = {
      max_tokens: 5,
      max_completion_tokens: 7,
      temperature: 'hot',
      stop: ['a', 'b'],
      reasoning_effort: 'low',
      response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' } } },
      tool_choice: { type: 'function', function: { name: 'weather' } },
      parallel_tool_calls: false,
      unknown: 1,
    };
    const { prompt, abortSignal, tools, ...options } = toCallOptions(
      'anthropic.messages',
      asking('x', { parameters, tools: [weather] }),
      never,
    );
    assert.deepEqual(options, {
      maxOutputTokens: 7,
      stopSequences: ['a', 'b'],
      reasoning: 'low',
      responseFormat: { type: 'json', name: 'n', schema: { type: 'object' } },
      toolChoice: { type: 'tool', toolName: 'weather' },
      providerOptions: { anthropic: { disableParallelToolUse: true } },
    });
  });
});
