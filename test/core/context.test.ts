import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { estimateTextTokens, trimContext } from '#core/context.ts';
import { messageItem, type Role, type Turn } from '#core/turn.ts';

function turn(id: string, role: Role, text: string): Turn {
  const items = text === '' ? [] : [messageItem(id, role, text)];
  return {
    id,
    conversation: 'c',
    parent: null,
    depth: 1,
    role,
    status: 'completed',
    run: null,
    answers: null,
    createdAt: 0,
    updatedAt: 0,
    items,
  };
}

const path = ['q1', 'a1', 'q2', 'a2', 'q3'].map((id) =>
  turn(id, id.startsWith('q') ? 'user' : 'assistant', 'x'.repeat(400)),
);
const kept = (budget: number) => trimContext(path, budget).map(({ id }) => id);

test('all of a path that fits is kept', () => {
  assert.deepEqual(kept(10_000), ['q1', 'a1', 'q2', 'a2', 'q3']);
});

test('the oldest exchange goes first, and goes whole', () => {
  assert.deepEqual(kept(400), ['q2', 'a2', 'q3']);
});

test('the newest exchange never goes', () => {
  assert.deepEqual(kept(1), ['q3']);
});

test('emptied turns carry nothing', () => {
  assert.deepEqual(
    trimContext([turn('q1', 'user', ''), turn('q2', 'user', 'hi')], 100).map(({ id }) => id),
    ['q2'],
  );
});

test('what is kept is the end of the path, beginning with a user turn', () => {
  const turns = fc.array(fc.record({ user: fc.boolean(), length: fc.integer({ min: 1, max: 2000 }) }), {
    minLength: 1,
  });
  fc.assert(
    fc.property(turns, fc.nat(3000), (parts, budget) => {
      const all = parts.map(({ user, length }, i) => turn(String(i), user ? 'user' : 'assistant', 'x'.repeat(length)));
      const result = trimContext(all, budget);
      assert.deepEqual(result, all.slice(all.length - result.length));
      if (result.length < all.length) assert.equal(result[0]?.role, 'user');
    }),
  );
});

test('tokens: four ASCII characters are one, any other character is one', () => {
  assert.equal(estimateTextTokens('abcdefgh'), 2);
  assert.equal(estimateTextTokens('日本語'), 3);
});
