/** The test model server itself: what every other test stands on. Asked with fetch, a client that is not ours. */

import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { type ModelServer, startModelServer, words } from './model-server.ts';

let model: ModelServer;
beforeEach(async () => {
  model = await startModelServer();
});
afterEach(() => model.close());

const ask = (body: object = {}, signal: AbortSignal | null = null) =>
  fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi you' }], ...body }),
    signal,
  });

interface Chunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
  usage?: { completion_tokens: number };
}

function chunksOf(text: string): Chunk[] {
  return text
    .split('\n\n')
    .filter((frame) => frame.startsWith('data: {'))
    .map((frame) => JSON.parse(frame.slice(6)));
}

const deltasOf = (chunks: Chunk[]) => chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? ''));

describe('test model server', () => {
  it('echoes word by word and ends with finish, usage and [DONE]', async () => {
    const response = await ask({ stream_options: { include_usage: true } });
    assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
    const text = await response.text();
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const chunks = chunksOf(text);
    assert.deepEqual(deltasOf(chunks), ['', 'You', ' said:', ' Hi', ' you', '']);
    assert.equal(chunks.at(-2)?.choices[0]?.finish_reason, 'stop');
    assert.deepEqual(chunks.at(-1)?.choices, []);
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 4);
  });

  it('answers a plain request with one body, tools and reasoning too', async () => {
    model.answer({ text: 'It is', reasoning: 'hm', tools: [{ name: 'now', arguments: ['{', '}'] }] });
    const body = (await (await ask({ stream: false })).json()) as { choices: object[] };
    assert.deepEqual(body.choices[0], {
      index: 0,
      message: {
        role: 'assistant',
        content: 'It is',
        reasoning_content: 'hm',
        tool_calls: [{ id: 'call_0_0', type: 'function', function: { name: 'now', arguments: '{}' } }],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    });
  });

  it('keeps what it was sent', async () => {
    await (await ask({ temperature: 0.5 })).text();
    await (await fetch(`${model.url}/models`)).text();
    assert.equal(model.calls[0]?.body.temperature, 0.5);
    assert.deepEqual(
      model.requests.map((request) => request.path),
      ['/v1/chat/completions', '/v1/models'],
    );
  });

  it('uses queued answers once, then the standing one', async () => {
    model.next({ status: 429, headers: { 'retry-after': '7' } });
    const refused = await ask();
    assert.equal(refused.status, 429);
    assert.equal(refused.headers.get('retry-after'), '7');
    await refused.text();
    assert.equal((await ask()).status, 200);
  });

  it('lets each token go when the test says so', async () => {
    model.answer({ text: 'one two three', gated: true });
    const response = await ask();
    const call = await model.call(0);
    assert.equal(call.sent, 0);
    await call.release(2);
    assert.equal(call.sent, 2);
    await Promise.all([call.releaseAll(), response.text()]);
    assert.equal(await call.over, 'end');
  });

  it('stalls before the headers, before the first token and after some', async () => {
    for (const stall of ['headers', 'first-token', 2] as const) {
      model.answer({ text: 'one two three', stall });
      const count = model.calls.length;
      const response = ask();
      await (await model.call(count)).release();
      assert.equal(chunksOf(await (await response).text()).length, 5, `stall ${stall}`);
    }
  });

  it('breaks an answer off, by reset or by a proper end', async () => {
    model.answer({ text: 'one two three', cut: 2 });
    await assert.rejects(async () => (await ask()).text());
    assert.equal(await model.calls[0]?.over, 'cut');
    model.answer({ text: 'one two three', end: 2 });
    const text = await (await ask()).text();
    assert.ok(text.includes(' two') && !text.includes(' three') && !text.includes('[DONE]'));
  });

  it('sees a client leave an endless answer', async () => {
    model.answer({ text: 'more ', endless: true });
    const controller = new AbortController();
    const response = await ask({}, controller.signal);
    controller.abort();
    await assert.rejects(response.text());
    assert.equal(await (await model.call(0)).over, 'left');
  });

  it('sends the same bytes however they are split', async () => {
    for (const split of [undefined, [1, 40, 41, 200], 'bytes'] as const) {
      model.answer({ text: 'Grüße 👋 dir', ...(split ? { split: split as number[] | 'bytes' } : {}) });
      const chunks = chunksOf(await (await ask()).text());
      assert.equal(deltasOf(chunks).join(''), 'Grüße 👋 dir', `split ${split}`);
    }
  });

  it('splits words so that they join to the text', () => {
    assert.deepEqual(words(' a  b\nc '), [' a', '  b', '\nc', ' ']);
  });
});
