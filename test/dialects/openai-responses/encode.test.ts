/** The encoder alone: whatever a run's events are, and however they come, what is written is valid, in order, and the same. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ServiceError } from '../../../src/core/errors.ts';
import type { RunEvent, TerminalEvent } from '../../../src/core/event.ts';
import { emptyAnswer, fold } from '../../../src/core/fold.ts';
import { CRASH_GAP, type Run } from '../../../src/core/run.ts';
import type { Item, Source } from '../../../src/core/turn.ts';
import { createEncoder, DONE, toFrame } from '../../../src/dialects/openai-responses/encode.ts';
import { assertOrder, readStream } from './spec.ts';

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const uuid = (n: number) => `0198c7c1-5d00-7000-8000-${String(n).padStart(12, '0')}`;

const RUN: Run = {
  id: uuid(1),
  tenant: 't',
  user: 'u',
  conversation: uuid(2),
  turn: ID,
  answers: uuid(3),
  kind: 'answer',
  status: 'started',
  request: {
    assistant: 'default',
    model: null,
    instructions: null,
    webSearch: 'off',
    parameters: {},
    tools: [],
    approvals: false,
    context: null,
    lead: 0,
    echo: { model: 'asked', metadata: { a: 'b' } },
  },
  model: null,
  attempts: [],
  usage: null,
  finish: null,
  error: null,
  lastEvent: 0,
  createdAt: 1_700_000_000_000,
  startedAt: 1_700_000_000_000,
  endedAt: null,
};

/** The whole stream of batches, as it is written. */
function written(batches: [first: number, events: RunEvent[]][], after = -1, run: Run = RUN): string {
  let raw = '';
  const facts = { id: ID, run, turn: null, conversation: null };
  const encoder = createEncoder(facts, after, (type, json) => {
    raw += toFrame(type, json);
  });
  encoder.start();
  for (const [first, events] of batches) encoder.events(first, events);
  return raw + DONE;
}

const ended = (given: Partial<TerminalEvent> = {}): TerminalEvent => ({
  type: 'run-ended',
  status: 'completed',
  finish: 'stop',
  error: null,
  usage: { inputTokens: 1, cachedInputTokens: 0, outputTokens: 2, reasoningTokens: 0 },
  sources: [],
  at: 1_700_000_001_000,
  ...given,
});

const SOURCE: Source = {
  index: 1,
  title: 'One',
  url: 'https://one.example',
  evidence: { of: 'page', readAt: 1_700_000_000_500, hash: 'abc', quotes: ['It is so.', 'Truly.'] },
};

/** A piece of a run, given the position and id of its first item. */
type Piece = (position: number) => RunEvent[];

const added = (item: Item): RunEvent => ({ type: 'item-added', item });
const base = (position: number) => ({ id: uuid(100 + position), status: 'in_progress' }) as const;

const deltas = fc.array(fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('[1]', ' [', '1]', '\n\n', '"')), {
  maxLength: 6,
});

const message = deltas.map(
  (texts): Piece =>
    (position) => [
      added({ ...base(position), type: 'message', role: 'assistant', content: [] }),
      ...texts.filter((text) => text !== '').map((text): RunEvent => ({ type: 'text-delta', item: position, text })),
      { type: 'item-completed', item: position },
    ],
);
const reasoning = deltas.map(
  (texts): Piece =>
    (position) => [
      added({ ...base(position), type: 'reasoning', text: '' }),
      ...texts.map((text): RunEvent => ({ type: 'reasoning-delta', item: position, text })),
      { type: 'item-completed', item: position },
    ],
);
/** Written side by side, closed together. */
const calls = fc.array(deltas, { minLength: 1, maxLength: 3 }).map(
  (all): Piece =>
    (position) => [
      ...all.map((_, i) =>
        added({ ...base(position + i), type: 'function_call', callId: `c${position + i}`, name: 'f', arguments: '' }),
      ),
      ...all.flatMap((texts, i) =>
        texts.map((text): RunEvent => ({ type: 'arguments-delta', item: position + i, text })),
      ),
      ...all.map((_, i): RunEvent => ({ type: 'item-completed', item: position + i })),
    ],
);
const served = fc.tuple(deltas, fc.constantFrom('files', 'web', ''), fc.boolean()).map(
  ([texts, server, fails]): Piece =>
    (position) => [
      added({ ...base(position), type: 'function_call', callId: `s${position}`, name: 'read', arguments: '', server }),
      ...texts.map((text): RunEvent => ({ type: 'arguments-delta', item: position, text })),
      { type: 'item-completed', item: position },
      added({
        id: uuid(100 + position + 1),
        type: 'function_call_output',
        status: fails ? 'incomplete' : 'completed',
        callId: `s${position}`,
        output: 'what it gave',
      }),
      { type: 'item-completed', item: position + 1 },
    ],
);
/** It ends its turn: a person has to approve it. */
const asking = deltas.map(
  (texts): Piece =>
    (position) => [
      added({
        ...base(position),
        type: 'function_call',
        callId: `a${position}`,
        name: 'write',
        arguments: '',
        server: 'files',
        asks: true,
      }),
      ...texts.map((text): RunEvent => ({ type: 'arguments-delta', item: position, text })),
      { type: 'item-completed', item: position },
    ],
);
const search = fc.constant<Piece>((position) => [
  added({ ...base(position), type: 'web_search_call', action: { type: 'search', queries: [] }, sources: [] }),
  { type: 'search-started', item: position, queries: ['what'] },
  { type: 'source-found', item: position, source: SOURCE },
  { type: 'item-completed', item: position },
]);

/** What a run says up to its end: items one after the other. */
const said = fc.array(fc.oneof(message, reasoning, calls, served, asking, search), { maxLength: 6 }).map((pieces) => {
  const events: RunEvent[] = [
    { type: 'run-started', at: 1 },
    { type: 'model-chosen', model: 'chosen' },
  ];
  let position = 0;
  for (const piece of pieces) {
    const more = piece(position);
    position += more.filter(({ type }) => type === 'item-added').length;
    events.push(...more);
  }
  return events;
});

describe('Streaming events', () => {
  it('are valid and in order, whatever is said', () => {
    fc.assert(
      fc.property(said, (events) => {
        const response = assertOrder(readStream(written([[1, [...events, ended()]]])));
        assert.deepEqual([response.status, response.model, response.metadata], ['completed', 'chosen', { a: 'b' }]);
      }),
      { numRuns: 200 },
    );
  });

  it('are the same however the events come together', () => {
    fc.assert(
      fc.property(said, fc.array(fc.nat({ max: 5 })), (events, sizes) => {
        const all = [...events, ended()];
        const batches: [number, RunEvent[]][] = [];
        for (let at = 0, i = 0; at < all.length; i++) {
          const size = 1 + (sizes[i % Math.max(1, sizes.length)] ?? 0);
          batches.push([at + 1, all.slice(at, at + size)]);
          at += size;
        }
        assert.equal(written(batches), written([[1, all]]));
      }),
    );
  });

  it('are the same from any event on', () => {
    fc.assert(
      fc.property(said, fc.nat(), (events, somewhere) => {
        const all: [number, RunEvent[]][] = [[1, [...events, ended()]]];
        const raw = written(all);
        const numbers = readStream(raw).map(({ sequence_number: number }) => number);
        const after = numbers[somewhere % (numbers.length - 1)] ?? 0;
        assert.ok(raw.endsWith(written(all, after)));
        assert.equal(readStream(written(all, after)).length, numbers.length - 1 - after);
      }),
    );
  });

  it('close what is open where an answer is broken off anywhere, and say why', () => {
    fc.assert(
      fc.property(said, fc.nat(), (events, somewhere) => {
        const cut = events.slice(0, 1 + (somewhere % events.length));
        const error = { code: 'broken_off', message: 'It broke off.' } as const;
        const response = assertOrder(
          readStream(written([[1, [...cut, ended({ status: 'incomplete', finish: null, error })]]])),
        );
        assert.deepEqual([response.status, response.incomplete_details], ['incomplete', { reason: 'broken_off' }]);
      }),
    );
  });

  it('after a crash bring the whole saved text to a reader who had more than was logged', () => {
    fc.assert(
      fc.property(said, fc.nat(), (events, somewhere) => {
        const logged = events.slice(0, 1 + (somewhere % events.length));
        const error = { code: 'server_restarted', message: 'Restarted.' } as const;
        const end = ended({ status: 'incomplete', finish: null, error, usage: null });
        const { items } = fold(emptyAnswer(), [...logged, end]);
        const crashed: [number, RunEvent[]][] = [
          [1, logged],
          [logged.length + CRASH_GAP, [{ ...end, items }]],
        ];
        const whole = readStream(written(crashed));
        const response = assertOrder(whole, { crashed: true });
        const before = readStream(written([[1, [...events, ended()]]]));
        const cursor = before.at(-2)?.sequence_number ?? 0;
        const rest = readStream(written(crashed, cursor));
        assert.deepEqual(rest.at(-1)?.response, response, 'a reader ahead of the log has the end');
        assert.ok(rest.every(({ sequence_number: number }) => number > cursor));
      }),
    );
  });

  it('cite a page when the text is whole, with what lasts of it', () => {
    const events: RunEvent[] = [
      { type: 'run-started', at: 1 },
      added({ ...base(0), type: 'web_search_call', action: { type: 'search', queries: ['what'] }, sources: [] }),
      { type: 'source-found', item: 0, source: SOURCE },
      { type: 'item-completed', item: 0 },
      added({ ...base(1), type: 'message', role: 'assistant', content: [] }),
      { type: 'text-delta', item: 1, text: 'So it is [' },
      { type: 'text-delta', item: 1, text: '1].' },
      { type: 'item-completed', item: 1 },
      ended(),
    ];
    const stream = readStream(written([[1, events]]));
    assertOrder(stream);
    const annotation = {
      type: 'url_citation',
      url: SOURCE.url,
      title: 'One',
      start_index: 9,
      end_index: 12,
      evidence: { read_at: 1_700_000_000, hash: 'abc', quote: 'It is so.' },
    };
    const citations = stream.filter(({ type }) => type === 'response.output_text.annotation.added');
    assert.deepEqual(
      citations.map((event) => event.annotation),
      [annotation],
    );
    const [, text] = stream.at(-1)?.response?.output ?? [];
    assert.deepEqual((text?.content?.[0] as { annotations?: unknown } | undefined)?.annotations, [annotation]);
  });

  it('of a snapshot are only the terminal event for a reader who has some, and all for one who has none', () => {
    const events: RunEvent[] = [
      added({ ...base(0), type: 'message', role: 'assistant', content: [] }),
      { type: 'text-delta', item: 0, text: 'The whole text' },
      { type: 'item-completed', item: 0 },
    ];
    const snapshot: [number, RunEvent[]][] = [
      [1, events],
      [5000, [ended()]],
    ];
    const run: Run = { ...RUN, status: 'completed' };
    assertOrder(readStream(written(snapshot, -1, run)));
    for (const after of [0, 3, 4000]) {
      assert.deepEqual(
        readStream(written(snapshot, after, run)).map(({ type }) => type),
        ['response.completed'],
      );
    }
  });

  it('of a background response are queued first', () => {
    const run: Run = { ...RUN, request: { ...RUN.request, echo: { background: true } } };
    const stream = readStream(written([[1, [{ type: 'run-started', at: 1 }, ended()]]], -1, run));
    assert.deepEqual(
      stream.map(({ type, response }) => [type, response?.status]),
      [
        ['response.created', 'queued'],
        ['response.queued', 'queued'],
        ['response.in_progress', 'in_progress'],
        ['response.completed', 'completed'],
      ],
    );
  });

  it('end with an error where the conversation is gone', () => {
    let raw = '';
    const encoder = createEncoder({ id: ID, run: RUN, turn: null, conversation: null }, 10, (type, json) => {
      raw += toFrame(type, json);
    });
    encoder.start();
    encoder.gone(new ServiceError('not_found', 'Conversation not found'));
    const [error] = readStream(raw + DONE);
    assert.deepEqual([error?.type, error?.code, error?.error?.code], ['error', 'not_found', 'not_found']);
  });
});
