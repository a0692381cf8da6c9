import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packEvents, type RunEvent, unpackEvents } from '#core/event.ts';

const text = fc.string({ unit: 'grapheme', minLength: 1 });
const item = fc.nat(5);
const plain = { noNullPrototype: true };
const event: fc.Arbitrary<RunEvent> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('text-delta' as const), item, text }, plain) },
  fc.record({ type: fc.constant('reasoning-delta' as const), item, text }, plain),
  fc.record({ type: fc.constant('arguments-delta' as const), item, text }, plain),
  fc.record({ type: fc.constant('item-completed' as const), item }, plain),
  fc.record({ type: fc.constant('run-started' as const), at: fc.nat() }, plain),
);

test('unpackEvents gives back what packEvents was given', () => {
  fc.assert(
    fc.property(fc.array(event), (events) => {
      assert.deepEqual(unpackEvents(packEvents(events)), events);
    }),
  );
});

test('a log grows with the text: a delta of one character costs at most six characters', () => {
  const events: RunEvent[] = Array.from({ length: 1000 }, () => ({ type: 'text-delta', item: 0, text: 'x' }));
  assert.ok(packEvents(events).length <= 6 * events.length);
});
