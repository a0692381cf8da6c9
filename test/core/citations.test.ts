import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { citationsOf } from '#core/citations.ts';
import type { Source } from '#core/turn.ts';

const evidence = {
  of: 'page' as const,
  readAt: 1,
  hash: 'h',
  quotes: ['Berlin is a large city.', 'Lang directed Metropolis.'],
};
const SOURCES: Source[] = [
  { index: 1, title: 'One', url: 'https://one.example/', evidence },
  { index: 2, title: 'Two', url: 'https://two.example/' },
];
/** What is cited, and by which of the sources. */
const cited = (text: string) =>
  citationsOf(text, SOURCES).map(({ start, end, source }) => [text.slice(start, end), source.index]);

describe('citations', () => {
  const cases: [what: string, text: string, expected: [string, number][]][] = [
    [
      'behind a word, a space or another one',
      'A[1] b [2]. c[1][2]',
      [
        ['[1]', 1],
        ['[2]', 2],
        ['[1]', 1],
        ['[2]', 2],
      ],
    ],
    [
      'several in one',
      'A [1, 2] b [2,1]',
      [
        ['[1, 2]', 1],
        ['[1, 2]', 2],
        ['[2,1]', 2],
        ['[2,1]', 1],
      ],
    ],
    ['of no source', 'A [3] b [0] [x] [] [12345]', []],
    ['that are links, or define one', '[1](https://x.example) [1]: https://x.example', []],
    ['in code', 'See `a[1]` and ``b[1]``.\n```js\nc[1]\n```\nso [2].\n~~~\nd[1]\n~~~', [['[2]', 2]]],
    ['in code that is not closed', 'So [2].\n```\nc[1]', [['[2]', 2]]],
    ['behind an emoji', '😀 [1]', [['[1]', 1]]],
  ];
  for (const [what, text, expected] of cases) test(what, () => assert.deepEqual(cited(text), expected));

  test('quote the passage nearest to their own sentence', () => {
    const text = 'It lies in Berlin, a city [1]. Metropolis was directed by Lang [1].\nNothing here. [2]';
    assert.deepEqual(
      citationsOf(text, SOURCES).map(({ quote }) => quote),
      ['Berlin is a large city.', 'Lang directed Metropolis.', null],
    );
  });

  test('are found in any text, in order, where they stand', () => {
    const piece = fc.oneof(
      fc.string(),
      fc.constantFrom('[1]', '[2]', '[1, 2]', '`', '```\n', '[', ']', '(', '1', '\n'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        const text = pieces.join('');
        let last = 0;
        for (const { start, end } of citationsOf(text, SOURCES)) {
          assert.match(text.slice(start, end), /^\[\d+( ?, ?\d+)*\]$/);
          assert.ok(start >= last);
          last = start;
        }
      }),
    );
  });

  for (const [what, text] of [
    ['citations', '[1] '.repeat(16_000)],
    ['brackets', '[1'.repeat(32_000)],
    ['back ticks', '`'.repeat(64_000)],
    ['fences', '```\n'.repeat(16_000)],
    ['numbers', `[${'1, '.repeat(20_000)}]`],
  ] as const) {
    test(`of 64 kB of ${what} stall nobody`, () => {
      const began = performance.now();
      citationsOf(text, SOURCES);
      assert.ok(performance.now() - began < 500);
    });
  }
});
