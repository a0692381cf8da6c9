import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { emptyAnswer, fold, hasOutput } from '#core/fold.ts';
import type { Item } from '#core/turn.ts';

const message: Item = { type: 'message', id: 'm', role: 'assistant', status: 'in_progress', content: [] };
const call: Item = { type: 'function_call', id: 'c', status: 'in_progress', callId: 'x', name: 'f', arguments: '' };

const end: TerminalEvent = {
  type: 'run-ended',
  status: 'completed',
  finish: 'stop',
  error: null,
  usage: null,
  sources: [],
  at: 0,
};

test('folding in any split gives the same answer as folding at once', () => {
  const deltas = fc.array(fc.record({ item: fc.nat(2), text: fc.string({ minLength: 1 }) }));
  fc.assert(
    fc.property(deltas, fc.array(fc.nat(30)), (parts, cuts) => {
      const events: RunEvent[] = [
        { type: 'item-added', item: message },
        { type: 'item-added', item: call },
        ...parts.map(
          ({ item, text }): RunEvent => ({ type: item === 0 ? 'text-delta' : 'arguments-delta', item, text }),
        ),
        end,
      ];
      const split = emptyAnswer();
      let from = 0;
      for (const cut of [...cuts, events.length]) {
        const to = Math.min(events.length, from + cut);
        fold(split, events.slice(from, to));
        from = to;
      }
      fold(split, events.slice(from));
      assert.deepEqual(split, fold(emptyAnswer(), events));
    }),
  );
});

test('folding leaves the events as they are, so that a replay gives the same', () => {
  const events: RunEvent[] = [
    { type: 'item-added', item: message },
    { type: 'text-delta', item: 0, text: 'Hello' },
    end,
  ];
  const before = structuredClone(events);
  fold(emptyAnswer(), events);
  assert.deepEqual(events, before);
});

test('an answer that breaks off leaves its open item incomplete, with its text', () => {
  const { items } = fold(emptyAnswer(), [
    { type: 'item-added', item: message },
    { type: 'text-delta', item: 0, text: 'Hel' },
    { ...end, status: 'incomplete' },
  ]);
  assert.deepEqual(items, [{ ...message, status: 'incomplete', content: [{ type: 'text', text: 'Hel' }] }]);
});

test('a snapshot in the terminal event replaces what was folded', () => {
  const whole: Item = { ...message, status: 'completed', content: [{ type: 'text', text: 'whole' }] };
  const { items } = fold(emptyAnswer(), [{ ...end, items: [whole] }]);
  assert.deepEqual(items, [whole]);
});

test('an event for an item that is not there is ignored', () => {
  const answer = fold(emptyAnswer(), [
    { type: 'text-delta', item: 3, text: 'lost' },
    { type: 'item-completed', item: 3 },
  ]);
  assert.deepEqual(answer.items, []);
  assert.equal(hasOutput(answer), false);
});
