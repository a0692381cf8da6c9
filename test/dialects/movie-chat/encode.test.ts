import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Turn } from '../../../src/core/turn.ts';
import { toMessages } from '../../../src/dialects/movie-chat/encode.ts';

type Facts = Partial<Pick<Turn, 'answers' | 'status'>> & { text?: string };

describe('turns as exchanges', () => {
  test('an answer that is an empty text is one; an incomplete one without text is none', () => {
    const rows: [status: Turn['status'], text: string, response: string | null, shown: string][] = [
      ['completed', 'Yes', 'Yes', 'completed'],
      ['completed', '', '', 'completed'],
      ['incomplete', 'Ye', 'Ye', 'incomplete'],
      ['incomplete', '', null, 'incomplete'],
      ['failed', '', null, 'failed'],
      ['in_progress', '', null, 'in_progress'],
      ['queued', '', null, 'in_progress'],
    ];
    for (const [status, text, response, shown] of rows) {
      const turns = [turn('user', 1), turn('assistant', 2, { answers: '1', status, text })];
      const [message] = toMessages(turns, null, 10).messages;
      assert.deepEqual([message?.bot_response, message?.status], [response, shown], `${status} ${text}`);
    }
  });

  test('an answer stands with its question, wherever it was written', () => {
    const turns = [
      turn('user', 1),
      turn('user', 2),
      turn('system', 3),
      turn('assistant', 4, { answers: '2' }),
      turn('assistant', 5, { answers: '1' }),
      turn('assistant', 6, { answers: '1' }),
    ];
    assert.deepEqual(
      toMessages(turns, null, 10).messages.map(({ content, bot_response }) => [content, bot_response]),
      [
        ['user 1', 'assistant 5'],
        ['user 2', 'assistant 4'],
        ['', 'assistant 6'],
      ],
    );
  });

  test('an answer that was cut off and what goes on from it are one', () => {
    const turns = [
      turn('user', 1),
      turn('assistant', 2, { answers: '1', status: 'incomplete', text: 'Half an answ' }),
      turn('assistant', 3, { answers: '2', text: 'er' }),
      turn('user', 4),
    ];
    assert.deepEqual(
      toMessages(turns, null, 10).messages.map(({ content, bot_response, status }) => [content, bot_response, status]),
      [
        ['user 1', 'Half an answer', 'completed'],
        ['user 4', null, 'incomplete'],
      ],
    );
  });

  test('an answer whose question is on the older page goes there with it', () => {
    const turns = [turn('assistant', 6, { answers: '5' }), turn('user', 7), turn('assistant', 8, { answers: '7' })];
    const { messages, before } = toMessages(turns, 6, 10);
    assert.deepEqual(
      messages.map(({ content }) => content),
      ['user 7'],
    );
    assert.equal(before, 7);
  });

  test('a page of nothing but such answers shows them, so that it leads on', () => {
    const { messages, before } = toMessages([turn('assistant', 6, { answers: '1' })], 6, 10);
    assert.equal(messages.length, 1);
    assert.equal(before, 6);
  });

  test('pages of any size show every exchange once, in order, and whole', () => {
    const chat = fc.array(fc.constantFrom('answered', 'unanswered', 'by hand'), { maxLength: 30 });
    fc.assert(
      fc.property(chat, fc.integer({ min: 1, max: 8 }), (kinds, limit) => {
        const turns: Turn[] = [];
        for (const kind of kinds) {
          const depth = turns.length + 1;
          if (kind !== 'by hand') turns.push(turn('user', depth));
          if (kind === 'answered') turns.push(turn('assistant', depth + 1, { answers: String(depth) }));
          if (kind === 'by hand') turns.push(turn('assistant', depth));
        }
        const seen: unknown[] = [];
        let before: number | null = Number.MAX_SAFE_INTEGER;
        for (let pages = 0; before !== null; pages++) {
          assert.ok(pages <= turns.length, 'it leads on for ever');
          const read: Turn[] = turns.filter(({ depth }) => depth < (before ?? 0)).slice(-2 * limit);
          const older = (read[0]?.depth ?? 1) > 1 ? (read[0]?.depth ?? null) : null;
          const page: ReturnType<typeof toMessages> = toMessages(read, older, limit);
          assert.ok(page.messages.length <= limit);
          seen.unshift(...page.messages);
          before = page.before;
        }
        assert.deepEqual(seen, toMessages(turns, null, 1000).messages);
      }),
    );
  });
});

/** A turn that says its role and depth. */
function turn(role: Turn['role'], depth: number, facts: Facts = {}): Turn {
  const { text = `${role} ${depth}`, answers = null, status = 'completed' } = facts;
  const content = text === '' ? [] : [{ type: 'text' as const, text }];
  return {
    id: String(depth),
    conversation: 'c',
    parent: null,
    depth,
    role,
    status,
    run: null,
    answers,
    createdAt: 0,
    updatedAt: 0,
    items: [{ type: 'message', id: 'm', role, status: 'completed', content }],
  };
}
