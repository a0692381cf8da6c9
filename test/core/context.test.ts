import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contextOf, estimateTextTokens, trimContext } from '#core/context.ts';
import { readQuotedPages } from '#core/quoted-pages.ts';
import { joinContinued, messageItem, type Role, type Turn, textOf } from '#core/turn.ts';

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

test('an answer and what goes on from it are one message, in the middle of a word', () => {
  const cut = { ...turn('a1', 'assistant', 'An answ'), status: 'incomplete' } as const;
  const rest = { ...turn('a2', 'assistant', 'er'), answers: 'a1' };
  const next = turn('a3', 'assistant', 'by hand');
  const said = contextOf([turn('q1', 'user', 'One'), cut, rest, next, turn('q2', 'user', 'Two')], 1000, 'mark');
  assert.deepEqual(
    said.map(({ role, items }) => [role, textOf(items)]),
    [
      ['user', 'One'],
      ['assistant', 'An answer'],
      ['assistant', 'by hand'],
      ['user', 'Two'],
    ],
  );
  assert.equal(textOf(cut.items), 'An answ', 'what is stored is left as it is');
});

test('a path that ends with an answer is to be gone on from, and its end is quoted', () => {
  const long = `${'x'.repeat(200)}😀${'y'.repeat(99)}`;
  const said = contextOf([turn('q1', 'user', 'One'), turn('a1', 'assistant', long)], 1000, 'mark');
  assert.deepEqual(
    said.map(({ role }) => role),
    ['user', 'assistant', 'user'],
  );
  const asked = textOf(said.at(-1)?.items ?? []);
  assert.match(asked, /cut off/);
  assert(asked.endsWith(`"${'y'.repeat(99)}"`), asked);
});

test('the pages that an answer stands on are quoted again, to be cited by the same numbers', () => {
  const evidence = { of: 'page', readAt: 1, hash: 'h', quotes: ['Trees grow.'] } as const;
  const found = {
    type: 'web_search_call',
    id: 's',
    status: 'completed',
    action: { type: 'search', queries: ['trees'] },
    sources: [
      { index: 2, title: 'Trees', url: 'https://example.com/', evidence: { ...evidence, quotes: ['Trees grow.'] } },
    ],
  } as const;
  const cut = turn('a1', 'assistant', 'As it says [2');
  const path = [
    turn('q1', 'user', 'One'),
    { ...cut, items: [{ ...found, sources: [...found.sources] }, ...cut.items] },
  ];
  const asked = textOf(contextOf(path as Turn[], 1000, 'mark').at(-1)?.items ?? []);
  assert.deepEqual(readQuotedPages(asked), [{ index: 2, title: 'Trees', quotes: ['Trees grow.'] }]);
  assert(asked.endsWith('"As it says [2"'));
});

test('what failed without a word leaves an answer as it was', () => {
  const cut = { ...turn('a1', 'assistant', 'An answ'), status: 'incomplete' } as const;
  const failed = { ...turn('a2', 'assistant', ''), status: 'failed', answers: 'a1' } as const;
  const rest = { ...turn('a3', 'assistant', 'er'), answers: 'a2' };
  assert.deepEqual(
    joinContinued([cut, failed]).map(({ status, items }) => [status, textOf(items)]),
    [['incomplete', 'An answ']],
  );
  assert.deepEqual(
    joinContinued([cut, failed, rest]).map(({ id, status, items }) => [id, status, textOf(items)]),
    [['a1', 'completed', 'An answer']],
  );
});
