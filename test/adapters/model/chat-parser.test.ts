/**
 * Bytes to model events. Every stream here is made of pieces whose meaning is known, so that the parser is held against
 * that and not against itself. `FUZZ_RUNS` sets how many random streams are tried (default 500).
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createChatParser, MAX_EVENT } from '../../../src/adapters/model/openai-compatible/chat-parser.ts';
import { ModelError, type ModelEvent } from '../../../src/ports/model.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 500);
const asked = { name: 'test', address: 'host', keySetting: 'KEY', urlSetting: 'URL', apiKey: null };

interface Outcome {
  events: ModelEvent[];
  error: string | null;
}

/** What the parser makes of a body that comes in these pieces, one by one or as one read. */
function read(pieces: Buffer[], together = false): Outcome {
  const parser = createChatParser(asked);
  const events: ModelEvent[] = [];
  let error: string | null = null;
  try {
    if (together) parser.push(pieces, events);
    else for (const piece of pieces) if (!parser.done) parser.push([piece], events);
    parser.end(events);
  } catch (thrown) {
    assert.ok(thrown instanceof ModelError, `not a ModelError: ${thrown}`);
    error = thrown.code;
  }
  return { events, error };
}

const readText = (text: string) => read([Buffer.from(text)]);

/** A body cut at the given places; `copied`: each piece in memory of its own, else all in one, as one read brings them. */
function cut(body: Buffer, places: number[], copied: boolean): Buffer[] {
  const at = [0, ...places.map((place) => place % (body.length + 1)).sort((one, other) => one - other), body.length];
  return at
    .slice(1)
    .map((end, index) => body.subarray(at[index], end))
    .filter((piece) => piece.length > 0)
    .map((piece) => (copied ? Buffer.from(piece) : piece));
}

const chunk = (delta: object, finish: string | null = null, more: object = {}) => ({
  id: 'c',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'm',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  ...more,
});

const frame = (value: object) => `data: ${JSON.stringify(value)}\n\n`;
const DONE = 'data: [DONE]\n\n';
const text = (content: string) => frame(chunk({ content }));
const END: ModelEvent = { type: 'finish', reason: 'stop' };

/** One step of an answer: the JSON a server sends, and the events it means. */
interface Step {
  chunk: object;
  events: ModelEvent[];
}

const words = fc.string({
  unit: fc.oneof(fc.constantFrom('a', '"', '\\', '\n', '\t', 'é', '字', '👋', ' '), fc.string({ unit: 'binary' })),
  maxLength: 12,
});

const textStep = (field: string, type: 'text' | 'reasoning') =>
  words.map((said): Step => ({ chunk: chunk({ [field]: said }), events: said === '' ? [] : [{ type, text: said }] }));

const step: fc.Arbitrary<Step> = fc.oneof(
  { arbitrary: textStep('content', 'text'), weight: 8 },
  textStep('reasoning_content', 'reasoning'),
  textStep('reasoning', 'reasoning'),
  words.map((said) => ({
    // The text stands in the frame twice, and once as a key of its own: only one of them is what was said.
    chunk: chunk({ content: said, echo: { content: said } }, null, { content: said }),
    events: said === '' ? [] : [{ type: 'text' as const, text: said }],
  })),
  fc.tuple(words, fc.string({ unit: 'grapheme-ascii' })).map(([said, padding]) => ({
    chunk: chunk({ content: said }, null, { usage: null, obfuscation: padding }),
    events: said === '' ? [] : [{ type: 'text' as const, text: said }],
  })),
  fc.constant<Step>({ chunk: chunk({ role: 'assistant', content: '' }), events: [] }),
  fc.constant<Step>({ chunk: { choices: [], prompt_filter_results: [] }, events: [] }),
);

/** How a server writes its frames: line ends, the space after the colon, comments and fields between. */
const style = fc.record({
  eol: fc.constantFrom('\n', '\r\n', '\r'),
  colon: fc.constantFrom('data: ', 'data:'),
  before: fc.constantFrom('', ': comment', 'event: message', 'id: 7', 'retry: 3000'),
  /** JSON on one line, on one line with spaces, or on a data line for each of its lines. */
  layout: fc.constantFrom('tight', 'spaced', 'lines'),
  bom: fc.boolean(),
});

function bodyOf(
  steps: Step[],
  { eol, colon, before, layout, bom }: { eol: string; colon: string; before: string; layout: string; bom: boolean },
): Buffer {
  const lines = steps.map((one) => {
    const json = JSON.stringify(one.chunk, null, layout === 'tight' ? 0 : 1).split('\n');
    const data = layout === 'lines' ? json.map((line) => colon + line).join(eol) : colon + json.join(' ');
    return `${before === '' ? '' : before + eol}${data}${eol}${eol}`;
  });
  return Buffer.from(`${bom ? '\ufeff' : ''}${lines.join('')}${colon}[DONE]${eol}${eol}`);
}

const splits = fc.array(fc.nat(), { maxLength: 40 });

describe('chat parser', () => {
  it('gives the events that were meant, however the bytes are split', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 20 }),
        style,
        splits,
        fc.boolean(),
        fc.boolean(),
        (steps, how, places, copied, together) => {
          const expected = [...steps.flatMap(({ events }) => events), END];
          const outcome = read(cut(bodyOf(steps, how), places, copied), together);
          assert.deepEqual(outcome, { events: expected, error: null });
        },
      ),
      { numRuns },
    );
  });

  it('gives the events that were meant one byte at a time', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 6 }), style, (steps, how) => {
        const body = bodyOf(steps, how);
        const outcome = read(
          cut(
            body,
            Array.from(body, (_, place) => place),
            true,
          ),
        );
        assert.deepEqual(outcome, { events: [...steps.flatMap(({ events }) => events), END], error: null });
      }),
      { numRuns: Math.ceil(numRuns / 10) },
    );
  });

  it('never fails but by a ModelError, and alike however broken bytes are split', () => {
    const damage = fc.record({ at: fc.nat(), drop: fc.nat({ max: 20 }), put: fc.uint8Array({ maxLength: 6 }) });
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 8 }),
        style,
        fc.array(damage, { maxLength: 4 }),
        splits,
        fc.boolean(),
        (steps, how, wounds, places, copied) => {
          let body = bodyOf(steps, how);
          for (const { at, drop, put } of wounds) {
            const place = at % (body.length + 1);
            body = Buffer.concat([body.subarray(0, place), put, body.subarray(place + drop)]);
          }
          assert.deepEqual(read(cut(body, places, copied)), read([body]));
        },
      ),
      { numRuns },
    );
  });

  it('takes random bytes alike however they are split', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), splits, (bytes, places) => {
        assert.deepEqual(read(cut(Buffer.from(bytes), places, true)), read([Buffer.from(bytes)]));
      }),
      { numRuns },
    );
  });

  it('keeps a stream of ten thousand equal frames apart from what only looks like them', () => {
    const said = Array.from({ length: 10_000 }, (_, index) =>
      index % 100 === 7 ? `"},"finish_reason":"${index}\\` : ` ${index}`,
    );
    const { events } = readText(said.map(text).join('') + DONE);
    assert.deepEqual(events.map((event) => (event.type === 'text' ? event.text : '')).join(''), said.join(''));
  });

  it('sees what changes around the text: finish, a second choice, an error, a tool call', () => {
    const before = text('a') + text('b') + text('c');
    const finished = readText(before + frame(chunk({ content: 'd' }, 'length')) + DONE);
    assert.deepEqual(finished.events.slice(3), [
      { type: 'text', text: 'd' },
      { type: 'finish', reason: 'length' },
    ]);
    const second = frame({
      ...chunk({ content: 'd' }),
      choices: [{ index: 1, delta: { content: 'other' }, finish_reason: null }],
    });
    assert.deepEqual(readText(before + second + DONE).events.slice(3), [END]);
    assert.equal(
      readText(before + frame(chunk({ content: 'd' }, null, { error: { message: 'no' } }))).error,
      'provider_error',
    );
    const call = { index: 0, id: 'x', function: { name: 'f', arguments: '{}' } };
    assert.deepEqual(readText(before + frame(chunk({ content: 'd', tool_calls: [call] })) + DONE).events.slice(3), [
      { type: 'text', text: 'd' },
      { type: 'tool-call', call: 0, id: 'x', name: 'f' },
      { type: 'tool-arguments', call: 0, text: '{}' },
      { type: 'finish', reason: 'tool_calls' },
    ]);
  });

  it('takes the text from its place, not from one that looks like it', () => {
    const decoy = (content: string) => frame({ content, ...chunk({ content: 'x' }) });
    const { events } = readText(['a', 'b', 'c', 'd'].map(decoy).join('') + DONE);
    assert.deepEqual(events, [...Array(4).fill({ type: 'text', text: 'x' }), END]);
  });

  it('does not take the second line of an event for a frame', () => {
    const { events, error } = readText(`${text('a')}${text('b')}data: {\n${text('c')}${DONE}`);
    assert.deepEqual([events.length, error], [2, 'malformed']);
  });

  it('joins data lines of one event', () => {
    const [first, second] = ['{"choices":[{"delta":', '{"content":"x"}}]}'];
    assert.deepEqual(readText(`data: ${first}\ndata: ${second}\n\n${DONE}`).events, [{ type: 'text', text: 'x' }, END]);
  });

  it('leaves fields it does not know and lines without a colon', () => {
    const { events, error } = readText(`datax: 1\nfoo\n: c\ndata\n\n${text('x')}${DONE}`);
    assert.deepEqual([events, error], [[{ type: 'text', text: 'x' }, END], null]);
  });

  it('tells reasoning from text, whatever it is called', () => {
    const said = [
      { reasoning_content: 'a' },
      { reasoning: 'b' },
      { reasoning: 'c', reasoning_content: 'c' },
      { content: 'd' },
    ];
    const { events } = readText(said.map((delta) => frame(chunk(delta))).join('') + DONE);
    assert.deepEqual(
      events.map((event) => event.type),
      ['reasoning', 'reasoning', 'reasoning', 'text', 'finish'],
    );
  });

  it('takes content that is a list of parts, and a refusal as text', () => {
    const parts = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] },
      { type: 'text', text: 'so' },
    ];
    const { events } = readText(frame(chunk({ content: parts })) + frame(chunk({ refusal: 'No.' })) + DONE);
    assert.deepEqual(events, [
      { type: 'reasoning', text: 'hm' },
      { type: 'text', text: 'so' },
      { type: 'text', text: 'No.' },
      END,
    ]);
  });

  for (const [sent, reason] of [
    ['stop', 'stop'],
    ['length', 'length'],
    ['tool_calls', 'tool_calls'],
    ['function_call', 'tool_calls'],
    ['content_filter', 'content_filter'],
    ['eos', 'stop'],
  ] as const) {
    it(`finish_reason ${sent} is ${reason}`, () => {
      assert.deepEqual(readText(text('x') + frame(chunk({}, sent)) + DONE).events.at(-1), { type: 'finish', reason });
    });
  }

  describe('tool calls', () => {
    const calls = (...deltas: object[]) =>
      readText(
        deltas.map((delta) => frame(chunk({ tool_calls: [delta] }))).join('') + frame(chunk({}, 'tool_calls')) + DONE,
      ).events.slice(0, -1);

    it('in pieces, two at once', () => {
      assert.deepEqual(
        calls(
          { index: 0, id: 'a', type: 'function', function: { name: 'f', arguments: '' } },
          { index: 1, id: 'b', type: 'function', function: { name: 'g', arguments: '{' } },
          { index: 0, function: { arguments: '{"x"' } },
          { index: 1, function: { arguments: '}' } },
          { index: 0, function: { arguments: ':1}' } },
        ),
        [
          { type: 'tool-call', call: 0, id: 'a', name: 'f' },
          { type: 'tool-call', call: 1, id: 'b', name: 'g' },
          { type: 'tool-arguments', call: 1, text: '{' },
          { type: 'tool-arguments', call: 0, text: '{"x"' },
          { type: 'tool-arguments', call: 1, text: '}' },
          { type: 'tool-arguments', call: 0, text: ':1}' },
        ],
      );
    });

    it('whole, all with index 0, arguments as an object', () => {
      assert.deepEqual(
        calls(
          { index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } },
          { index: 0, id: 'b', function: { name: 'f', arguments: '{"x":2}' } },
        ),
        [
          { type: 'tool-call', call: 0, id: 'a', name: 'f' },
          { type: 'tool-arguments', call: 0, text: '{"x":1}' },
          { type: 'tool-call', call: 1, id: 'b', name: 'f' },
          { type: 'tool-arguments', call: 1, text: '{"x":2}' },
        ],
      );
    });

    it('without an id, and with its name late', () => {
      assert.deepEqual(
        calls({ index: 2, function: { arguments: '{' } }, { index: 2, function: { name: 'f', arguments: '}' } }),
        [
          { type: 'tool-call', call: 0, id: 'call_0', name: 'f' },
          { type: 'tool-arguments', call: 0, text: '{}' },
        ],
      );
    });

    it('with the name said again in every piece', () => {
      assert.equal(
        calls(
          { index: 0, id: 'a', function: { name: 'f', arguments: '{' } },
          { index: 0, id: 'a', function: { name: 'f', arguments: '}' } },
        ).length,
        3,
      );
    });

    it('as the old function_call, and ended with stop', () => {
      const { events } = readText(
        frame(chunk({ function_call: { name: 'f', arguments: '{}' } })) + frame(chunk({}, 'stop')) + DONE,
      );
      assert.deepEqual(events, [
        { type: 'tool-call', call: 0, id: 'call_0', name: 'f' },
        { type: 'tool-arguments', call: 0, text: '{}' },
        { type: 'finish', reason: 'tool_calls' },
      ]);
    });
  });

  describe('usage', () => {
    const usage = {
      prompt_tokens: 5,
      completion_tokens: 7,
      prompt_tokens_details: { cached_tokens: 2 },
      completion_tokens_details: { reasoning_tokens: 3 },
    };
    const counted: ModelEvent = {
      type: 'usage',
      usage: { inputTokens: 5, cachedInputTokens: 2, outputTokens: 7, reasoningTokens: 3 },
    };

    it('in a chunk without choices after the finish', () => {
      const { events } = readText(text('x') + frame(chunk({}, 'stop')) + frame({ choices: [], usage }) + DONE);
      assert.deepEqual(events.slice(1), [counted, END]);
    });

    it('in the last chunk, and growing in every chunk: once, the last one', () => {
      const growing = frame(chunk({ content: 'x' }, null, { usage: { prompt_tokens: 5, completion_tokens: 1 } }));
      assert.deepEqual(readText(growing + growing + frame(chunk({}, 'stop', { usage })) + DONE).events.slice(2), [
        counted,
        END,
      ]);
    });

    it('of a wrong type counts nothing', () => {
      const { events } = readText(
        text('x') + frame(chunk({}, 'stop', { usage: { prompt_tokens: '5', completion_tokens: -1 } })) + DONE,
      );
      assert.deepEqual(events[1], {
        type: 'usage',
        usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0 },
      });
    });

    it('is kept of an answer that breaks off', () => {
      assert.deepEqual(readText(frame(chunk({ content: 'x' }, null, { usage }))), {
        events: [{ type: 'text', text: 'x' }, counted],
        error: 'broken_off',
      });
    });
  });

  describe('ends', () => {
    it('without a finish reason and [DONE] is broken off, with what was said', () => {
      assert.deepEqual(readText(text('x')), { events: [{ type: 'text', text: 'x' }], error: 'broken_off' });
      assert.deepEqual(readText(''), { events: [], error: 'broken_off' });
    });

    it('in the middle of a frame is broken off, not malformed', () => {
      assert.equal(readText(text('x') + text('yes').slice(0, -20)).error, 'broken_off');
    });

    it('with a finish reason alone, and with [DONE] alone, is whole', () => {
      assert.deepEqual(readText(text('x') + frame(chunk({}, 'stop'))), {
        events: [{ type: 'text', text: 'x' }, END],
        error: null,
      });
      assert.deepEqual(readText(text('x') + DONE), { events: [{ type: 'text', text: 'x' }, END], error: null });
    });

    it('without the last blank line is whole', () => {
      assert.equal(readText(`${text('x')}data: [DONE]`).error, null);
      assert.equal(readText(text('x') + frame(chunk({}, 'stop')).trimEnd()).error, null);
    });

    it('at [DONE], whatever follows', () => {
      assert.deepEqual(readText(`${text('x')}${DONE}data: garbage\n\n`), {
        events: [{ type: 'text', text: 'x' }, END],
        error: null,
      });
    });
  });

  describe('errors in the stream', () => {
    for (const [name, body, code] of [
      ['garbage', 'data: {"choices":[{"delta"\n\n', 'malformed'],
      ['a number', 'data: 5\n\n', 'malformed'],
      ['an error object', frame({ error: { message: 'boom', type: 'server_error' } }), 'provider_error'],
      ['an error text', frame({ error: 'boom' }), 'provider_error'],
      ['an error with a status', frame({ error: { message: 'slow down', code: 429 } }), 'rate_limited'],
      ['finish_reason error', frame(chunk({}, 'error')), 'provider_error'],
    ] as const) {
      it(`${name} is ${code}`, () => {
        assert.equal(readText(text('x') + body + DONE).error, code);
      });
    }

    it('may be tried again before anything was said, not after', () => {
      const failing = frame({ error: { message: 'overloaded', code: 503 } });
      const retryable = (body: string) => {
        try {
          const parser = createChatParser(asked);
          parser.push([Buffer.from(body)], []);
          parser.end([]);
        } catch (error) {
          return (error as ModelError).retryable;
        }
        return null;
      };
      assert.deepEqual([retryable(failing), retryable(text('x') + failing)], [true, false]);
      assert.deepEqual([retryable(''), retryable(text('x'))], [true, false]);
    });

    it('an event without an end is not taken beyond 1 MiB', () => {
      const parser = createChatParser(asked);
      const piece = Buffer.alloc(64 * 1024, 'x');
      parser.push([Buffer.from('data: ')], []);
      for (let size = 0; size < MAX_EVENT - piece.length; size += piece.length) parser.push([piece], []);
      assert.throws(() => parser.push([piece, piece], []), { code: 'malformed' });
      assert.equal(readText(`data: ${'x'.repeat(1000)}\n`.repeat(2000)).error, 'malformed');
    });
  });
});
