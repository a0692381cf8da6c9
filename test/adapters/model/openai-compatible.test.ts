/** The client for OpenAI-compatible servers, against a real one. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import type { Dispatcher } from 'undici';
import type { Connections } from '../../../src/adapters/model/connections.ts';
import { streamChat } from '../../../src/adapters/model/openai-compatible/chat-stream.ts';
import { createOpenAiCompatible } from '../../../src/adapters/model/openai-compatible/client.ts';
import type { ModelProvider } from '../../../src/adapters/model/provider.ts';
import { ModelError } from '../../../src/ports/model.ts';
import { type ModelServer, type Script, startModelServer } from '../../support/model-server.ts';
import { answerOf, asking, never, settings, textIn } from './calls.ts';

const KEY = 'sk-canary-0123456789abcdef';
let model: ModelServer;
let provider: ModelProvider;

const clientOf = (baseUrl: string, more: { apiKey?: string | null; proxy?: typeof settings.proxy } = {}) =>
  createOpenAiCompatible(
    {
      name: 'openai',
      baseUrl,
      apiKey: more.apiKey === undefined ? KEY : more.apiKey,
      keySetting: 'OPENAI_API_KEY',
      urlSetting: 'OPENAI_BASE_URL',
    },
    { ...settings, proxy: more.proxy ?? settings.proxy },
  );

beforeEach(async () => {
  model = await startModelServer();
  provider = clientOf(model.url);
});
afterEach(async () => {
  await provider.close?.();
  await model.close();
});

const ask = (text = 'Hi', signal = never) => answerOf(provider.stream('test-model', asking(text), signal));

describe('openai-compatible client', () => {
  it('streams text, usage and finish, and says who it is', async () => {
    model.answer({ text: 'Grüße 👋 "dir"\n', usage: { input: 3, cached: 1, output: 4, reasoning: 0 } });
    const { events, error, text } = await ask();
    assert.equal(error, null);
    assert.equal(text, 'Grüße 👋 "dir"\n');
    assert.deepEqual(events.slice(-2), [
      { type: 'usage', usage: { inputTokens: 3, cachedInputTokens: 1, outputTokens: 4, reasoningTokens: 0 } },
      { type: 'finish', reason: 'stop' },
    ]);
    const { headers, body } = await model.call(0);
    assert.equal(headers.authorization, `Bearer ${KEY}`);
    assert.equal(headers['content-type'], 'application/json');
    assert.deepEqual(body, {
      model: 'test-model',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it('sends no key where there is none, and the credentials of the address', async () => {
    await answerOf(clientOf(model.url, { apiKey: null }).stream('m', asking('x'), never));
    assert.equal((await model.call(0)).headers.authorization, undefined);
    const withUser = clientOf(model.url.replace('//', '//me:secret@'), { apiKey: null });
    await answerOf(withUser.stream('m', asking('x'), never));
    assert.equal((await model.call(1)).headers.authorization, `Basic ${btoa('me:secret')}`);
  });

  it('gives what one read brought as one batch', async () => {
    const frames = Array.from(
      { length: 200 },
      (_, index) => `data: {"choices":[{"index":0,"delta":{"content":" ${index}"},"finish_reason":null}]}\n\n`,
    );
    model.answer({ raw: `${frames.join('')}data: [DONE]\n\n` });
    let batches = 0;
    for await (const batch of provider.stream('m', asking('x'), never)) if (batch.length > 0) batches += 1;
    assert.equal(batches, 1);
  });

  it('streams while the answer is being written', async () => {
    model.answer({ text: 'one two three', gated: true });
    const iterator = provider.stream('m', asking('x'), never)[Symbol.asyncIterator]();
    const call = model.call(0);
    for (const word of ['one', ' two']) {
      const next = iterator.next();
      await (await call).release();
      assert.equal(textIn((await next).value ?? []), word);
    }
    const rest = answerOf({ [Symbol.asyncIterator]: () => iterator });
    await (await call).release();
    assert.equal((await rest).text, ' three');
  });

  for (const split of ['bytes', [1, 30, 31, 200, 333]] as const) {
    it(`reads the same with the body split at ${split}`, async () => {
      model.answer({ text: 'Grüße 👋 an alle', split: split as number[] | 'bytes' });
      assert.equal((await ask()).text, 'Grüße 👋 an alle');
    });
  }

  it('uses a connection again', async () => {
    const sockets = new Set<unknown>();
    const counting = createServer((_, response) => {
      sockets.add(response.socket);
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end('data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
    });
    await listen(counting);
    const client = clientOf(urlOf(counting));
    for (let turn = 0; turn < 5; turn += 1) await answerOf(client.stream('m', asking('x'), never));
    // One is freed only when the event loop has turned: a call right after another makes a second one.
    assert.ok(sockets.size <= 2, `${sockets.size} connections for 5 calls`);
    await client.close?.();
    counting.close();
  });

  it('answers from a server that does not stream', async () => {
    const whole = {
      choices: [
        {
          message: {
            role: 'assistant',
            content: 'Hello',
            tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
      usage: { prompt_tokens: 1, completion_tokens: 2 },
    };
    for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'text/plain' }]) {
      model.answer({ raw: JSON.stringify(whole), headers });
      const { events, error } = await ask();
      assert.equal(error, null);
      assert.deepEqual(
        events.map(({ type }) => type),
        ['text', 'tool-call', 'tool-arguments', 'usage', 'finish'],
      );
    }
  });

  it('tries again without stream_options where they are refused, and remembers it', async () => {
    model.next({ status: 400, error: { error: { message: 'Unknown parameter: stream_options' } } });
    assert.equal((await ask()).text, 'You said: Hi');
    assert.equal((await ask()).text, 'You said: Hi');
    assert.deepEqual(
      model.calls.map(({ body }) => body.stream_options),
      [{ include_usage: true }, undefined, undefined],
    );
    model.answer({ status: 400, error: { error: { message: 'stream_options again' } } });
    assert.equal((await ask()).error?.code, 'refused');
    assert.equal(model.calls.length, 4);
  });
});

describe('openai-compatible client: model list', () => {
  it('takes windows where the server tells them, else by name, and chat models first', async () => {
    model.models = [
      { id: 'text-embedding-3-small' },
      { id: 'gpt-4o' },
      { id: 'gpt-5-mini' },
      { id: 'vllm-model', max_model_len: 16_384 },
      { id: 'router/model', context_length: 65_536 },
      { id: 'unknown' },
    ];
    const listed = await provider.list(never);
    assert.deepEqual(
      listed.map(({ id, window, chat }) => [id, window, chat]),
      [
        ['gpt-5-mini', 400_000, true],
        ['text-embedding-3-small', 8192, false],
        ['gpt-4o', 128_000, true],
        ['vllm-model', 16_384, true],
        ['router/model', 65_536, true],
        ['unknown', 8192, true],
      ],
    );
    assert.deepEqual([listed[0]?.provider, listed[0]?.local], ['openai', true]);
  });

  it('finds the API under /v1 when the address has no path', async () => {
    const client = clientOf(model.url.replace('/v1', ''));
    assert.deepEqual(
      (await client.list(never)).map(({ id }) => id),
      ['test-model'],
    );
    assert.equal((await answerOf(client.stream('m', asking('x'), never))).text, 'You said: x');
    await client.close?.();
  });

  it('fails with a sentence where there is none', async () => {
    await assert.rejects(clientOf(`${model.url}/nowhere`).list(never), { code: 'refused', status: 404 });
  });
});

describe('openai-compatible client: faults', () => {
  const rows: [
    string,
    Script,
    { code: string; retryable: boolean; status?: number | null; says?: RegExp; retryAfterMs?: number },
  ][] = [
    [
      '400',
      { status: 400, error: { error: { message: 'Too long.' } } },
      { code: 'refused', retryable: false, says: /Too long\./ },
    ],
    ['401', { status: 401 }, { code: 'refused', retryable: false, says: /OPENAI_API_KEY/ }],
    ['402', { status: 402 }, { code: 'refused', retryable: false }],
    [
      '403',
      { status: 403, error: { error: { message: 'No access to this region' } } },
      { code: 'refused', retryable: false, says: /OPENAI_API_KEY.*region/ },
    ],
    [
      '404 of a path',
      { status: 404, error: 'Not Found' },
      { code: 'refused', retryable: false, says: /OPENAI_BASE_URL/ },
    ],
    [
      '404 of a model by code',
      { status: 404, error: { error: { message: 'nope', code: 'model_not_found' } } },
      { code: 'model_not_found', retryable: false },
    ],
    [
      '404 of a model by sentence',
      { status: 404, error: { error: { message: 'model "x" not found, try pulling it first' } } },
      { code: 'model_not_found', retryable: false },
    ],
    ['408', { status: 408 }, { code: 'provider_error', retryable: true }],
    ['409', { status: 409 }, { code: 'provider_error', retryable: true }],
    ['413', { status: 413, error: 'too big' }, { code: 'refused', retryable: false, says: /too big/ }],
    [
      '422 as FastAPI says it',
      { status: 422, error: { detail: [{ loc: ['body'], msg: 'field required' }] } },
      { code: 'refused', retryable: false, says: /field required/ },
    ],
    ['425', { status: 425 }, { code: 'provider_error', retryable: true }],
    [
      '429 with seconds',
      { status: 429, headers: { 'retry-after': '7' } },
      { code: 'rate_limited', retryable: true, retryAfterMs: 7000 },
    ],
    [
      '429 with milliseconds',
      { status: 429, headers: { 'retry-after-ms': '150' } },
      { code: 'rate_limited', retryable: true, retryAfterMs: 150 },
    ],
    [
      '429 of a used-up quota',
      { status: 429, error: { error: { message: 'You exceeded your quota.', code: 'insufficient_quota' } } },
      { code: 'rate_limited', retryable: false, says: /quota/ },
    ],
    ['500', { status: 500 }, { code: 'provider_error', retryable: true }],
    ['503 with a web page', { status: 503, error: '<html>Bad</html>' }, { code: 'provider_error', retryable: true }],
    [
      'a redirect',
      { status: 302, headers: { location: 'https://else.example' } },
      { code: 'refused', retryable: false, says: /OPENAI_BASE_URL/ },
    ],
    [
      'a web page',
      { raw: '<!doctype html>', headers: { 'content-type': 'text/html' } },
      { code: 'malformed', retryable: false, status: null, says: /OPENAI_BASE_URL/ },
    ],
    [
      'JSON that is no answer',
      { raw: '{"hello":1}', headers: { 'content-type': 'application/json' } },
      { code: 'malformed', retryable: false, status: null },
    ],
    [
      'an error with status 200',
      { raw: '{"error":{"message":"boom","code":503}}', headers: { 'content-type': 'application/json' } },
      { code: 'provider_error', retryable: true, status: 503 },
    ],
    [
      'garbage events',
      { raw: 'data: {"choices": [garbage\n\n' },
      { code: 'malformed', retryable: false, status: null },
    ],
    ['an empty body', { raw: '' }, { code: 'broken_off', retryable: true, status: null }],
    [
      'a body that ends early',
      { text: 'one two three', end: 0 },
      { code: 'broken_off', retryable: true, status: null },
    ],
    [
      'a reset before the first token',
      { text: 'one two', cut: 0 },
      { code: 'broken_off', retryable: true, status: null },
    ],
    ['a reset after it', { text: 'one two', cut: 1 }, { code: 'broken_off', retryable: false, status: null }],
  ];
  for (const [name, script, expected] of rows) {
    it(`${name} is ${expected.code}${expected.retryable ? ', to be tried again' : ''}`, async () => {
      model.answer(script);
      const { error } = await ask();
      assert.ok(error instanceof ModelError, `threw ${error}`);
      const { says, ...facts } = expected;
      const status = expected.status === undefined ? (script.status ?? null) : expected.status;
      const { code, retryable, retryAfterMs } = error;
      assert.deepEqual(
        { code, retryable, status: error.status, retryAfterMs },
        { retryAfterMs: null, ...facts, status },
      );
      if (says) assert.match(error.message, says);
    });
  }

  it('a Retry-After date is counted from now', async () => {
    model.answer({ status: 503, headers: { 'retry-after': new Date(Date.now() + 60_000).toUTCString() } });
    const ms = (await ask()).error?.retryAfterMs ?? 0;
    assert.ok(ms > 55_000 && ms <= 60_000, `${ms} ms`);
  });

  it('keeps what was said before it broke off', async () => {
    model.answer({ text: 'one two three', cut: 2 });
    const { text, error } = await ask();
    assert.deepEqual([text, error?.code], ['one two', 'broken_off']);
  });

  it('never says a key, wherever the server repeats it', async () => {
    for (const status of [400, 401, 403, 404, 429, 500]) {
      model.answer({
        status,
        error: { error: { message: `Bad key ${KEY} or sk-proj-abc123def456ghi, Bearer xyz789secret` } },
      });
      const { error } = await ask();
      assert.doesNotMatch(`${error?.message}${error?.stack}`, /canary|abc123|xyz789/, `status ${status}`);
    }
  });

  it('bounds the sentence of the server', async () => {
    model.answer({ status: 400, error: { error: { message: 'word '.repeat(5000) } } });
    assert.ok(((await ask()).error?.message.length ?? 0) <= 550);
  });

  it('a refused connection is unreachable', async () => {
    await model.close();
    const { error } = await ask();
    assert.deepEqual([error?.code, error?.retryable], ['unreachable', true]);
    assert.match(error?.message ?? '', /127\.0\.0\.1:\d+ cannot be reached: the connection is refused/);
  });

  it('a name that is not known is unreachable', async () => {
    const { error } = await answerOf(clientOf('http://model.invalid/v1').stream('m', asking('x'), never));
    assert.equal(error?.code, 'unreachable');
  });

  it('a connection that closes before the headers is unreachable', async () => {
    const slamming = createTcpServer((socket) => socket.once('data', () => socket.destroy()));
    await listen(slamming);
    const { error } = await answerOf(clientOf(urlOf(slamming)).stream('m', asking('x'), never));
    assert.deepEqual([error?.code, error?.retryable], ['unreachable', true]);
    slamming.close();
  });

  it('an address with a password does not show it', async () => {
    const client = clientOf('http://me:canary-password@127.0.0.1:9/v1', { apiKey: null });
    const { error } = await answerOf(client.stream('m', asking('x'), never));
    assert.doesNotMatch(error?.message ?? '', /canary/);
  });

  it('a key that no header can hold is told by its setting', async () => {
    const { error } = await answerOf(clientOf(model.url, { apiKey: 'canary\nkey' }).stream('m', asking('x'), never));
    assert.match(error?.message ?? '', /OPENAI_API_KEY/);
    assert.doesNotMatch(error?.message ?? '', /canary/);
  });
});

describe('openai-compatible client: stopping', () => {
  for (const stall of ['headers', 'first-token', 2] as const) {
    it(`an abort while it waits (${stall}) closes the connection at once`, async () => {
      model.answer({ text: 'one two three', stall });
      const controller = new AbortController();
      const answer = ask('x', controller.signal);
      const call = await model.call(0);
      controller.abort(new Error('enough'));
      assert.equal((await answer).error?.message, 'enough');
      assert.equal(await call.over, 'left');
    });
  }

  it('an aborted signal makes no call', async () => {
    assert.equal((await ask('x', AbortSignal.abort(new Error('before')))).error?.message, 'before');
    assert.equal(model.requests.length, 0);
  });

  it('leaving the loop closes the connection', async () => {
    model.answer({ text: 'on and on ', endless: true });
    for await (const _ of provider.stream('m', asking('x'), never)) break;
    assert.equal(await (await model.call(0)).over, 'left');
  });

  it('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = ((...given: Parameters<typeof addEventListener>) => {
      listeners += 1;
      return addEventListener.apply(signal, given);
    }) as typeof addEventListener;
    signal.removeEventListener = ((...given: Parameters<typeof removeEventListener>) => {
      listeners -= 1;
      return removeEventListener.apply(signal, given);
    }) as typeof removeEventListener;
    await ask('x', signal);
    model.answer({ status: 500 });
    await ask('x', signal);
    assert.equal(listeners, 0);
  });

  it('a server that never closes after [DONE] is not waited for', async () => {
    const open = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n');
    });
    await listen(open);
    const client = clientOf(urlOf(open));
    assert.equal((await answerOf(client.stream('m', asking('x'), never))).text, 'x');
    await client.close?.();
    open.closeAllConnections();
    open.close();
  });
});

describe('openai-compatible client: a reader that is behind', () => {
  it('stops the socket at 256 KiB and starts it again', async () => {
    const seen: string[] = [];
    let handler: Dispatcher.DispatchHandler = {};
    const controller = {
      paused: false,
      aborted: false,
      reason: null,
      abort: () => {},
      pause() {
        seen.push('pause');
        this.paused = true;
      },
      resume() {
        seen.push('resume');
        this.paused = false;
      },
    };
    const dispatcher = {
      dispatch(_: unknown, given: Dispatcher.DispatchHandler) {
        handler = given;
        return true;
      },
    } as unknown as Dispatcher;
    const connections = { take: () => ({ dispatcher, release: () => {} }) } as unknown as Connections;
    const asked = { name: 'x', address: 'x', keySetting: '', urlSetting: '', apiKey: null };
    const call = { asked, connections, origin: 'http://x', path: '/', headers: {}, body: '', another: () => null };
    const iterator = streamChat(call, never)[Symbol.asyncIterator]();
    const first = iterator.next();
    handler.onRequestStart?.(controller, {});
    handler.onResponseStart?.(controller, 200, {});
    const frame = Buffer.from(`data: {"choices":[{"delta":{"content":"${'x'.repeat(1000)}"}}]}\n\n`);
    handler.onResponseData?.(controller, frame);
    assert.equal(textIn((await first).value ?? []).length, 1000);
    for (let size = 0; size <= 256 * 1024; size += frame.length) {
      assert.deepEqual(seen, []);
      handler.onResponseData?.(controller, frame);
    }
    assert.deepEqual(seen, ['pause']);
    await iterator.next();
    assert.deepEqual(seen, ['pause', 'resume']);
  });

  it('gets all of 8 MiB that came faster than it reads', async () => {
    const text = Array.from({ length: 2000 }, (_, index) => `${index} ${'é'.repeat(2000)}`);
    model.answer({ text });
    let got = '';
    for await (const batch of provider.stream('m', asking('x'), never)) {
      got += textIn(batch);
      await new Promise(setImmediate);
    }
    assert.ok(got === text.join(''), `${got.length} of ${text.join('').length} characters`);
  });
});

describe('openai-compatible client: proxy', () => {
  /** What the proxy was asked for: `GET http://…` or `CONNECT host:port`. */
  let asked: string[] = [];
  let authorization: (string | undefined)[] = [];
  const proxy = createServer(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    authorization.push(request.headers['proxy-authorization']);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    // The name is not known here: all there is is the model server.
    const answer = await fetch(`${model.url}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat(chunks),
    });
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    response.end(Buffer.from(await answer.arrayBuffer()));
  });
  proxy.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n');
  });
  const proxied = (baseUrl: string, noProxy: string | null = null) => {
    const url = `http://user:word@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    return clientOf(baseUrl, { proxy: { http: url, https: url, noProxy } });
  };
  before(() => listen(proxy));
  beforeEach(() => {
    asked = [];
    authorization = [];
  });
  after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });

  it('is used for http, with its credentials', async () => {
    const client = proxied('http://model.example/v1');
    assert.equal((await answerOf(client.stream('m', asking('x'), never))).text, 'You said: x');
    assert.deepEqual(asked, ['POST http://model.example/v1/chat/completions']);
    assert.deepEqual(authorization, [`Basic ${btoa('user:word')}`]);
    await client.close?.();
  });

  it('is used for https by CONNECT, and its refusal is unreachable', async () => {
    const client = proxied('https://model.example/v1');
    const { error } = await answerOf(client.stream('m', asking('x'), never));
    assert.equal(error?.code, 'unreachable');
    assert.deepEqual(asked, ['CONNECT model.example:443']);
    await client.close?.();
  });

  it('is never used for this machine', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const client = proxied(`http://${host}:${model.port}/v1`);
      assert.equal((await answerOf(client.stream('m', asking('x'), never))).text, 'You said: x');
      await client.close?.();
    }
    assert.deepEqual(asked, []);
  });

  it('is not used for what NO_PROXY names', async () => {
    const client = proxied('http://model.invalid/v1', '.invalid,other.example');
    assert.equal((await answerOf(client.stream('m', asking('x'), never))).error?.code, 'unreachable');
    assert.deepEqual(asked, []);
    await client.close?.();
  });

  it('is not taken from the environment behind the configuration', async () => {
    process.env.HTTP_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    try {
      const client = clientOf('http://model.invalid/v1');
      assert.equal((await answerOf(client.stream('m', asking('x'), never))).error?.code, 'unreachable');
      assert.deepEqual(asked, []);
    } finally {
      delete process.env.HTTP_PROXY;
    }
  });
});

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}
