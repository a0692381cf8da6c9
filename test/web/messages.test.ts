/** The web app's reading of streams, of stored messages, and of what changed between them. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RunEvent } from '../../src/core/event.ts';
import { emptyAnswer, fold } from '../../src/core/fold.ts';
import type { Item, Turn } from '../../src/core/turn.ts';
import { createEncoder, toMessages } from '../../src/dialects/ai-sdk/encode.ts';
import { createEventParser } from '../../web/src/api/event-stream.ts';
import { createMessageReader, emptyMessage, type Message, readMessage } from '../../web/src/api/messages.ts';
import { mergeNewest } from '../../web/src/state/merge.ts';

describe('server-sent events', () => {
  it('are the same wherever the text is cut', () => {
    const text = 'id: 1\n\ndata: a\r\ndata: b\r\n\r\n: comment\n\nevent: x\ndata:c\rid: 7\r\rdata\n\n';
    const whole = createEventParser()(text);
    assert.deepEqual(whole, [
      { type: 'message', data: '', id: '1' },
      { type: 'message', data: 'a\nb', id: '1' },
      { type: 'x', data: 'c', id: '7' },
      { type: 'message', data: '', id: '7' },
    ]);
    fc.assert(
      fc.property(fc.array(fc.nat(text.length), { maxLength: 20 }), (cuts) => {
        const parse = createEventParser();
        const places = [0, ...cuts.sort((a, b) => a - b), text.length];
        const events = places.slice(1).flatMap((to, i) => parse(text.slice(places[i], to)));
        assert.deepEqual(events, whole);
      }),
    );
  });
});

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const item = (type: 'message' | 'reasoning' | 'function_call', id: string): Item => {
  const base = { id, status: 'in_progress' } as const;
  if (type === 'reasoning') return { ...base, type, text: '' };
  if (type === 'message') return { ...base, type, role: 'assistant', content: [{ type: 'text', text: '' }] };
  return { ...base, type, callId: `call ${id}`, name: 'look', arguments: '' };
};
const DELTAS = { message: 'text-delta', reasoning: 'reasoning-delta', function_call: 'arguments-delta' } as const;

const said = fc.array(
  fc.record({
    type: fc.constantFrom('message' as const, 'reasoning' as const, 'function_call' as const),
    words: fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 4 }),
  }),
  { maxLength: 6 },
);

function eventsOf(items: { type: 'message' | 'reasoning' | 'function_call'; words: string[] }[]): RunEvent[] {
  const events: RunEvent[] = [{ type: 'run-started', at: 1 }];
  items.forEach(({ type, words }, at) => {
    const texts = type === 'function_call' ? [JSON.stringify({ words })] : words;
    events.push({ type: 'item-added', item: item(type, String(at)) });
    for (const text of texts) events.push({ type: DELTAS[type], item: at, text });
    events.push({ type: 'item-completed', item: at });
  });
  events.push({
    type: 'run-ended',
    status: 'completed',
    finish: 'stop',
    error: null,
    usage: null,
    model: 'm',
  } as never);
  return events;
}

describe('an answer', () => {
  it('is the same message while it comes, cut anywhere, as it is from the history', () => {
    fc.assert(
      fc.property(said, fc.integer({ min: 1, max: 40 }), (items, size) => {
        const events = eventsOf(items);
        const turn: Turn = {
          id: ID,
          conversation: 'c',
          parent: null,
          depth: 1,
          role: 'assistant',
          status: 'completed',
          run: null,
          answers: null,
          createdAt: 1,
          updatedAt: 1,
          items: fold(emptyAnswer(), events).items,
        };
        const encoder = createEncoder(ID, () => null);
        const stream = encoder.start({ ...turn, items: [], status: 'in_progress' }, []) + encoder.events(events);
        const parse = createEventParser();
        const reader = createMessageReader(emptyMessage('', 'assistant'));
        for (let at = 0; at < stream.length; at += size) {
          const chunks = parse(stream.slice(at, at + size)).filter(({ data }) => data !== '[DONE]');
          reader.apply(chunks.map(({ data }) => JSON.parse(data)));
        }
        const [stored] = toMessages([turn], [], new Map());
        assert.deepEqual(reader.message.parts, stored === undefined ? [] : readMessage(stored)?.parts);
        assert.equal(reader.message.status, 'completed');
      }),
    );
  });

  it('changes only the parts that changed', () => {
    const reader = createMessageReader(emptyMessage('', 'assistant'));
    reader.apply([{ type: 'start', messageId: ID }, { type: 'start-step' }, { type: 'text-start', id: '0' }]);
    reader.apply([
      { type: 'text-delta', id: '0', delta: 'One' },
      { type: 'text-start', id: '1' },
    ]);
    const before = reader.message;
    reader.apply([{ type: 'text-delta', id: '1', delta: 'Two' }]);
    assert.equal(reader.message.parts[0], before.parts[0]);
    assert.notEqual(reader.message, before);
    assert.deepEqual(before.parts[1], { type: 'text', text: '' });
  });

  it('that fails says why, and one that was stopped is no failure', () => {
    const failed = createMessageReader(emptyMessage('', 'assistant'));
    failed.apply([
      { type: 'start', messageId: ID },
      { type: 'error', errorText: 'Gone.' },
    ]);
    failed.apply([{ type: 'finish', finishReason: 'error' }]);
    assert.deepEqual([failed.message.status, failed.message.problem], ['failed', 'Gone.']);
    const stopped = createMessageReader(emptyMessage('', 'assistant'));
    stopped.apply([{ type: 'finish', finishReason: 'other' }]);
    assert.equal(stopped.message.status, 'cancelled');
  });

  it('asks for a decision, and shows what became of it', () => {
    const reader = createMessageReader(emptyMessage('', 'assistant'));
    reader.apply([
      { type: 'tool-input-start', toolCallId: 'a', toolName: 'write' },
      { type: 'tool-input-available', toolCallId: 'a', toolName: 'write', input: { to: 1 } },
      { type: 'tool-approval-request', approvalId: 'id', toolCallId: 'a' },
    ]);
    assert.deepEqual(reader.message.parts[0], {
      type: 'tool',
      callId: 'a',
      name: 'write',
      state: 'asking',
      input: '{\n  "to": 1\n}',
      output: null,
      approval: 'id',
    });
    reader.apply([{ type: 'tool-output-denied', toolCallId: 'a' }]);
    assert.equal((reader.message.parts[0] as { state: string }).state, 'denied');
  });
});

describe('what is shown, and what is stored', () => {
  const message = (id: string, role: 'user' | 'assistant' = 'user', text = id): Message => ({
    ...emptyMessage(id, role),
    parts: [{ type: 'text', text }],
    status: role === 'assistant' ? 'completed' : null,
  });
  const ids = (messages: Message[]) => messages.map(({ id }) => id);

  it('older messages stay, and those that are the same stay the same objects', () => {
    const shown = [message('1'), message('2', 'assistant'), message('3')];
    const page = [message('2', 'assistant'), message('3', 'user', 'changed'), message('4', 'assistant')];
    const { messages, kept } = mergeNewest(shown, page, false);
    assert.deepEqual([ids(messages), kept], [['1', '2', '3', '4'], 1]);
    assert.equal(messages[1], shown[1]);
    assert.notEqual(messages[2], shown[2]);
  });

  it('another branch takes the place of what was shown', () => {
    const { messages, kept } = mergeNewest([message('1'), message('2')], [message('8'), message('9')], false);
    assert.deepEqual([ids(messages), kept], [['8', '9'], 0]);
  });

  it('an answer being written stays while it may go on, and goes where it has ended unsaid', () => {
    const open = { ...message('a', 'assistant'), status: null };
    assert.deepEqual(ids(mergeNewest([message('1'), open], [message('1')], true).messages), ['1', 'a']);
    assert.deepEqual(ids(mergeNewest([message('1'), open], [message('1')], false).messages), ['1']);
    const ended = message('a', 'assistant', 'whole');
    assert.deepEqual(mergeNewest([message('1'), open], [message('1'), ended], true).messages[1], ended);
  });
});
