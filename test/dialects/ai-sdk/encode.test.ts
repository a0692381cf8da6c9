import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai';
import fc from 'fast-check';
import type { RunEvent, TerminalEvent } from '../../../src/core/event.ts';
import { emptyAnswer, fold } from '../../../src/core/fold.ts';
import type { Item, Turn } from '../../../src/core/turn.ts';
import { createEncoder, toMessages } from '../../../src/dialects/ai-sdk/encode.ts';
import { failureOf } from '../../../src/service/send-message.ts';
import { parseEvents } from '../../support/event-source.ts';
import { plain, VERSIONS } from './chat.ts';

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';

const texts = fc.array(fc.string({ unit: 'grapheme', minLength: 1 }), { maxLength: 4 });
/** One item of an answer and what is said of it; whether it is finished. */
const said = fc.oneof(
  fc.record({ type: fc.constant('message' as const), texts: fc.array(fc.string({ minLength: 1 }), { minLength: 1 }) }),
  fc.record({
    type: fc.constant('reasoning' as const),
    texts: fc.array(fc.string({ minLength: 1 }), { minLength: 1 }),
  }),
  fc.record({
    type: fc.constant('function_call' as const),
    input: fc.dictionary(fc.string(), fc.string()),
    name: fc.stringMatching(/^[a-z_]{1,9}$/),
  }),
  fc.record({ type: fc.constant('web_search_call' as const), texts }),
);
type Said = typeof said extends fc.Arbitrary<infer T> ? T : never;

function eventsOf(items: readonly Said[], end: Partial<TerminalEvent>): RunEvent[] {
  const events: RunEvent[] = [
    { type: 'run-started', at: 1 },
    { type: 'model-chosen', model: 'm' },
  ];
  items.forEach((it, item) => {
    const head = { id: `item-${item}`, status: 'in_progress' } as const;
    switch (it.type) {
      case 'message':
        events.push({ type: 'item-added', item: { ...head, type: 'message', role: 'assistant', content: [] } });
        for (const text of it.texts) events.push({ type: 'text-delta', item, text });
        break;
      case 'reasoning':
        events.push({ type: 'item-added', item: { ...head, type: 'reasoning', text: '' } });
        for (const text of it.texts) events.push({ type: 'reasoning-delta', item, text });
        break;
      case 'function_call': {
        const call = { ...head, type: 'function_call', callId: `call-${item}`, name: it.name, arguments: '' } as const;
        events.push({ type: 'item-added', item: call });
        const text = JSON.stringify(it.input);
        events.push({ type: 'arguments-delta', item, text: text.slice(0, 3) });
        if (text.length > 3) events.push({ type: 'arguments-delta', item, text: text.slice(3) });
        break;
      }
      case 'web_search_call':
        events.push({
          type: 'item-added',
          item: { ...head, type: 'web_search_call', action: { type: 'search', queries: ['q'] }, sources: [] },
        });
        it.texts.forEach((title, i) => {
          const source = { index: i + 1, title, url: `https://example.com/${i}` };
          events.push({ type: 'source-found', item, source });
        });
        break;
    }
    events.push({ type: 'item-completed', item });
  });
  events.push({
    type: 'run-ended',
    status: 'completed',
    finish: 'stop',
    error: null,
    usage: null,
    sources: [],
    at: 2,
    ...end,
  });
  return events;
}

function write(events: readonly RunEvent[], size = events.length): string {
  const encoder = createEncoder(ID, (end) => (end.status === 'cancelled' ? null : failureOf(end)));
  let text = encoder.start(turnOf([], { status: 'in_progress' }), []);
  for (let from = 0; from < events.length; from += size) text += encoder.events(events.slice(from, from + size));
  return text;
}

function chunksOf(stream: string): UIMessageChunk[] {
  return parseEvents(stream)
    .map(({ data }) => data)
    .filter((data) => data !== '[DONE]')
    .map((data) => JSON.parse(data));
}

/** What the official client makes of it. */
async function read(chunks: readonly UIMessageChunk[]): Promise<UIMessage | undefined> {
  let message: UIMessage | undefined;
  for await (const state of readUIMessageStream({ stream: ReadableStream.from(chunks) as never })) message = state;
  return message;
}

function turnOf(items: Item[], given: Partial<Turn> = {}): Turn {
  const plainTurn = {
    conversation: 'c',
    parent: null,
    depth: 1,
    status: 'completed',
    run: null,
    answers: null,
  } as const;
  return { id: ID, role: 'assistant', createdAt: 1, updatedAt: 1, items, ...plainTurn, ...given };
}

describe('the encoder of the UI message stream', () => {
  it('writes the same bytes however the events come', () => {
    fc.assert(
      fc.property(fc.array(said, { maxLength: 6 }), fc.integer({ min: 1, max: 7 }), (items, size) => {
        const events = eventsOf(items, {});
        assert.equal(write(events, size), write(events));
      }),
    );
  });

  it('is read by the official client as the message that the history has, in chunks that v5 to v7 know', async () => {
    const schemas = Object.values(VERSIONS).map(({ uiMessageChunkSchema }) => uiMessageChunkSchema());
    await fc.assert(
      fc.asyncProperty(fc.array(said, { maxLength: 6 }), async (items) => {
        const events = eventsOf(items, {});
        const chunks = chunksOf(write(events));
        for (const chunk of chunks) {
          for (const schema of schemas) assert.equal((await schema.validate?.(chunk))?.success, true);
        }
        const [kept] = toMessages([turnOf(fold(emptyAnswer(), events).items)], [], new Map());
        const message = await read(chunks);
        assert.equal(message?.id, ID);
        // A step in which nothing is said is not shown by the client before the next part.
        if (chunks.length > 4) assert.deepEqual(plain(message?.parts), kept?.parts);
      }),
    );
  });

  it('goes on in the text of an answer that was cut off, and is read as the one message that the history has', async () => {
    const items = fc.array(said, { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(items, items, items, async (before, behind, second) => {
        const first = [...before, { type: 'message' as const, texts: ['Half a wo'] }, ...behind];
        const cut = turnOf(fold(emptyAnswer(), eventsOf(first, {})).items, { status: 'incomplete' });
        const events = eventsOf(second, {}).map((event) =>
          event.type === 'item-added' && event.item.type === 'function_call'
            ? { ...event, item: { ...event.item, callId: `${event.item.callId}-again` } }
            : event,
        );
        const rest = turnOf(fold(emptyAnswer(), events).items, { id: 'rest', answers: ID, parent: ID });
        const encoder = createEncoder(ID, () => null);
        const text = encoder.start({ ...rest, items: [], status: 'in_progress' }, [cut]) + encoder.events(events);
        const [kept, ...more] = toMessages([cut, rest], [], new Map());
        const message = await read(chunksOf(text));
        assert.deepEqual([message?.id, kept?.id, more], [ID, ID, []]);
        assert.deepEqual(plain(message?.parts), kept?.parts);
      }),
    );
  });

  it('closes what is open where an answer breaks off, and gives no call away that is not whole', () => {
    const whole = eventsOf(
      [
        { type: 'reasoning', texts: ['Hm'] },
        { type: 'function_call', input: {}, name: 'go' },
      ],
      {
        status: 'incomplete',
        finish: null,
        error: { code: 'broken_off', message: 'The model broke its answer off.' },
      },
    );
    const types = chunksOf(write(whole.filter(({ type }) => type !== 'item-completed'))).map(({ type }) => type);
    assert.deepEqual(types, [
      'start',
      'start-step',
      'reasoning-start',
      'reasoning-delta',
      'tool-input-start',
      'tool-input-delta',
      'reasoning-end',
      'error',
      'finish-step',
      'finish',
    ]);
  });
});

describe('the history', () => {
  it('leaves out what is being written, and what was emptied or never said', () => {
    const text = (words: string): Item => ({
      type: 'message',
      id: words,
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'text', text: words }],
    });
    const turns = [
      turnOf([text('One')], { id: '1', role: 'user' }),
      turnOf([text('Half')], { id: '2', status: 'incomplete', parent: '1' }),
      turnOf([], { id: '3', role: 'user', parent: '2' }),
      turnOf([], { id: '4', status: 'failed', parent: '3' }),
      turnOf([text('Two')], { id: '5', role: 'user', parent: '4' }),
      turnOf([], { id: '6', status: 'in_progress', parent: '5', run: 'r' }),
    ];
    assert.deepEqual(
      toMessages(turns, [], new Map()).map(({ id, metadata }) => [id, metadata.parent]),
      [
        ['1', null],
        ['2', '1'],
        ['5', '2'],
      ],
    );
  });
});
