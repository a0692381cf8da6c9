/** The web app's list of conversations: days, and what is done a little later. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { groupByDay } from '../../web/src/sidebar/groups.ts';
import { createPending } from '../../web/src/state/pending.ts';

describe('conversations by day', () => {
  const now = new Date(2026, 2, 15, 9, 30);
  const at = (...time: [number, number, number, number, number]) => new Date(...time).getTime() / 1000;
  const conversation = (activeAt: number) => ({
    id: String(activeAt),
    title: null,
    archived: false,
    assistant: 'default',
    activeAt,
  });

  it('are divided at midnight, local time', () => {
    const rows = groupByDay(
      [
        at(2026, 2, 15, 9, 29),
        at(2026, 2, 15, 0, 0),
        at(2026, 2, 14, 23, 59),
        at(2026, 2, 9, 0, 0),
        at(2026, 2, 8, 23, 59),
        at(2026, 1, 14, 0, 0),
        at(2026, 1, 13, 23, 59),
        at(2025, 11, 31, 12, 0),
      ].map(conversation),
      now,
    );
    assert.deepEqual(
      rows.map((row) => (row.type === 'heading' ? row.group : '·')),
      [
        'today',
        '·',
        '·',
        'yesterday',
        '·',
        'week',
        '·',
        'month',
        '·',
        '·',
        { year: 2026, month: 1 },
        '·',
        { year: 2025, month: 11 },
        '·',
      ],
    );
  });

  it('of the future, by another clock, are of today', () => {
    const [heading] = groupByDay([conversation(at(2026, 2, 17, 0, 0))], now);
    assert.deepEqual(heading, { type: 'heading', group: 'today' });
  });
});

describe('what is done a little later', () => {
  function start() {
    const done: [string, boolean][] = [];
    let waiting: (() => void)[] = [];
    const pending = createPending<string>({
      waitMs: 6000,
      act: (item, leaving) => done.push([item, leaving]),
      after: (_ms, work) => {
        waiting.push(work);
        return () => {
          waiting = waiting.filter((other) => other !== work);
        };
      },
    });
    return { pending, done, pass: () => waiting.forEach((work) => void work()) };
  }

  it('is done when the time is over, once', () => {
    const { pending, done, pass } = start();
    pending.add('a');
    pending.add('a');
    assert.deepEqual(done, []);
    pass();
    pass();
    pending.flush();
    assert.deepEqual(done, [['a', false]]);
    assert.equal(pending.undo('a'), false);
  });

  it('is not done when it is taken back', () => {
    const { pending, done, pass } = start();
    pending.add('a');
    assert.equal(pending.undo('a'), true);
    pass();
    assert.deepEqual([done, pending.has('a')], [[], false]);
  });

  it('is done at once when the page is left', () => {
    const { pending, done } = start();
    pending.add('a');
    pending.add('b');
    pending.flush();
    assert.deepEqual(done, [
      ['a', true],
      ['b', true],
    ]);
  });
});
