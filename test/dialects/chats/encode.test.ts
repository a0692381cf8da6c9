import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RunEvent, TerminalEvent } from '../../../src/core/event.ts';
import { CRASH_GAP } from '../../../src/core/run.ts';
import type { MessageItem } from '../../../src/core/turn.ts';
import { createEncoder } from '../../../src/dialects/chats/encode.ts';
import { messageText, parseEvents } from '../../support/event-source.ts';

const IDS = { turn: 'entry', conversation: 'chat' };
const DONE = '{"conversation_id":"entry","chat_id":"chat","finish_reason":"stop","sources":[]}';

describe('the stream of a run', () => {
  test('is, byte for byte, what the document of the dialect says', () => {
    const events = run(['Hello', ' wor', 'ld\n', ' x']);
    const expected = [
      'id: 4\ndata: Hello\n\n',
      'id: 5\ndata:  wor\n\n',
      'id: 6\ndata: ld\ndata: \n\n',
      'id: 7\ndata:  x\n\n',
      `id: 9\nevent: done\ndata: ${DONE}\n\n`,
    ];
    assert.equal(createEncoder(IDS, 0).events(1, events), expected.join(''));
  });

  test('shows each source before the text that cites it', () => {
    const source = { index: 1, title: 'A page', url: 'https://example.com/a' };
    const events: RunEvent[] = [
      { type: 'run-started', at: 0 },
      {
        type: 'item-added',
        item: {
          type: 'web_search_call',
          id: 's',
          status: 'in_progress',
          action: { type: 'search', queries: ['q'] },
          sources: [],
        },
      },
      { type: 'source-found', item: 0, source },
      { type: 'item-completed', item: 0 },
      ...run(['As [1] says'], 1).slice(1, -1),
      ended({ sources: [source] }),
    ];
    assert.equal(
      createEncoder(IDS, 0).events(1, events),
      [
        `id: 3\nevent: source\ndata: ${JSON.stringify(source)}\n\n`,
        'id: 7\ndata: As [1] says\n\n',
        `id: 9\nevent: done\ndata: ${JSON.stringify({ ...JSON.parse(DONE), sources: [source] })}\n\n`,
      ].join(''),
    );
  });

  test('carries any text: its line ends become LF, all else arrives as it is', () => {
    fc.assert(
      fc.property(pieces, splits, (texts, cuts) => {
        const events = parseEvents(encode(run(texts), 0, cuts));
        assert.equal(messageText(events), texts.join('').replace(/\r\n?/g, '\n'));
        assert.equal(events.at(-1)?.event, 'done');
      }),
    );
  });

  test('picked up behind any event is, byte for byte, the rest of it', () => {
    fc.assert(
      fc.property(pieces, splits, (texts, cuts) => {
        const events = run(texts);
        const whole = encode(events, 0, []);
        const frames = whole.split(/(?<=\n\n)/);
        const numbers = frames.map((frame) => Number(/^id: (\d+)\n/.exec(frame)?.[1]));
        for (const [i, number] of numbers.slice(0, -1).entries()) {
          assert.equal(encode(events, number, cuts), frames.slice(i + 1).join(''), `behind event ${number}`);
        }
      }),
    );
  });

  test('gives every event an id that only grows', () => {
    fc.assert(
      fc.property(pieces, (texts) => {
        const ids = parseEvents(encode(run(texts), 0, [])).map(({ id }) => Number(id));
        for (const [i, id] of ids.entries()) assert.ok(id > (ids[i - 1] ?? 0), `${ids}`);
      }),
    );
  });
});

describe('the end of a stream', () => {
  const message: MessageItem = {
    type: 'message',
    id: 'm',
    role: 'assistant',
    status: 'incomplete',
    content: [{ type: 'text', text: 'Half' }],
  };
  const rows: [name: string, end: Partial<TerminalEvent>, event: string, data: object][] = [
    ['a whole answer', {}, 'done', { finish_reason: 'stop' }],
    ['an answer cut at its length', { finish: 'length' }, 'done', { finish_reason: 'length' }],
    ['a filtered answer', { finish: 'content_filter' }, 'done', { finish_reason: 'content_filter' }],
    ['an answer with tool calls', { finish: 'tool_calls' }, 'done', { finish_reason: 'stop' }],
    ['a broken-off answer', { status: 'incomplete', finish: null }, 'done', { finish_reason: 'incomplete' }],
    ['an answer over the size limit', { status: 'incomplete', finish: 'length' }, 'done', { finish_reason: 'length' }],
    ['a stopped answer', { status: 'cancelled', finish: null }, 'done', { finish_reason: 'cancelled' }],
    ['a failed answer', failure('unreachable'), 'error', { code: 503, description: 'Why.' }],
    ['a silent model', failure('silent'), 'error', { code: 504, description: 'Why.' }],
    [
      'a crash before the first token',
      { ...failure('server_restarted'), status: 'incomplete', items: [] },
      'error',
      { code: 502, description: 'Why.' },
    ],
  ];
  for (const [name, end, event, data] of rows) {
    test(`${name} is one event: ${event}`, () => {
      const [last, ...more] = parseEvents(createEncoder(IDS, 0).events(1, [ended(end)]));
      assert.deepEqual(more, []);
      const expected = event === 'done' ? { conversation_id: 'entry', chat_id: 'chat', ...data, sources: [] } : data;
      assert.deepEqual({ ...last, data: JSON.parse(last?.data ?? '') }, { id: '1', event, data: expected });
    });
  }

  test('brings the whole saved message to a reader whose cursor lay past the log, and to no other', () => {
    const end = ended({ status: 'incomplete', finish: null, items: [message] });
    const number = 7 + CRASH_GAP;
    const dataFor = (after: number) =>
      JSON.parse(parseEvents(createEncoder(IDS, after).events(number, [end]))[0]?.data ?? '');
    assert.equal(dataFor(9).message, 'Half');
    assert.equal(dataFor(7).message, undefined, 'the last logged event was received: nothing is missing');
    assert.equal(dataFor(0).message, undefined);
  });
});

const piece = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }),
  fc.constantFrom('\n', '\r', '\r\n', ' ', '\n\n', ' lead', 'a\rb', '\r\r\n', '😀', ':', 'data: x', 'end\r', '\nstart'),
);
const pieces = fc.array(piece, { minLength: 1, maxLength: 12 });
/** Where a batch ends, as the number of events in it. */
const splits = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 12 });

/** A whole run that says these texts. */
function run(texts: readonly string[], item = 0): RunEvent[] {
  return [
    { type: 'run-started', at: 0 },
    { type: 'model-chosen', model: 'm' },
    { type: 'item-added', item: { type: 'message', id: 'i', role: 'assistant', status: 'in_progress', content: [] } },
    ...texts.map((text): RunEvent => ({ type: 'text-delta', item, text })),
    { type: 'item-completed', item },
    ended({}),
  ];
}

function ended(end: Partial<TerminalEvent>): TerminalEvent {
  return {
    type: 'run-ended',
    status: 'completed',
    finish: 'stop',
    error: null,
    usage: null,
    sources: [],
    at: 0,
    ...end,
  };
}

function failure(code: 'unreachable' | 'silent' | 'server_restarted'): Partial<TerminalEvent> {
  return { status: 'failed', finish: null, error: { code, message: 'Why.' } };
}

/** What a reader with the cursor `after` gets, the events coming in batches. Like the service, from the event before it. */
function encode(events: readonly RunEvent[], after: number, batches: readonly number[]): string {
  const encoder = createEncoder(IDS, after);
  let from = Math.max(0, after - 1);
  let text = '';
  for (const size of [...batches, events.length]) {
    text += encoder.events(from + 1, events.slice(from, from + size));
    from = Math.min(events.length, from + size);
  }
  return text;
}
