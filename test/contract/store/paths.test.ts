import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { estimateTokens } from '../../../src/core/context.ts';
import type { Turn } from '../../../src/core/turn.ts';
import { describeStore } from './adapters.ts';
import { at, ending, newTurn, person, text, uuid } from './fixtures.ts';

describeStore('Reading a path', (given) => {
  it('gives the newest turns of the shown branch, oldest first, and those before a depth', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const ids: string[] = [];
    for (let i = 0; i < 7; i++) ids.push((await ann.say(`${i}`, { conversation })).value.input.id);
    const ref = { by: 'id', id: conversation.id } as const;
    const read = async (limit: number, before: number | null) =>
      (await given.store.readPath({ owner, ref, limit, before }))?.turns.map((turn) => turn.id);
    assert.deepEqual(await read(3, null), ids.slice(4));
    assert.deepEqual(await read(3, 5), ids.slice(1, 4));
    assert.deepEqual(await read(3, 2), ids.slice(0, 1));
    assert.deepEqual(await read(3, 1), []);
    assert.deepEqual(await read(100, null), ids);
  });

  it('gives the conversation with no turns while it is empty, and null where there is none', async () => {
    const owner = person();
    const conversation = await at(given.store, owner).create();
    const read = (id: string) => given.store.readPath({ owner, ref: { by: 'id', id }, limit: 10, before: null });
    assert.deepEqual(await read(conversation.id), { conversation, turns: [] });
    assert.equal(await read(uuid()), null);
  });

  it('reads a path of 3,000 turns', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    await Promise.all(Array.from({ length: 3000 }, (_, i) => ann.say(`${i}`, { conversation })));
    const read = await given.store.readPath({
      owner,
      ref: { by: 'id', id: conversation.id },
      limit: 3000,
      before: null,
    });
    assert.equal(read?.turns.length, 3000);
    const context = await given.store.readContext({
      conversation: conversation.id,
      turn: read?.turns.at(-1)?.id ?? '',
      tokens: 1_000_000,
    });
    assert.equal(context.length, 1000);
    assert.equal(context.at(-1)?.depth, 3000);
  });

  it('gives a run its context: the path up to the turn, and no further back than the tokens reach', async () => {
    const ann = at(given.store, person());
    const conversation = await ann.create();
    const turns: Turn[] = [];
    for (let i = 0; i < 6; i++) turns.push((await ann.say('x'.repeat(40 * i), { conversation })).value.input);
    const read = async (turn: Turn | undefined, tokens: number) =>
      (await given.store.readContext({ conversation: conversation.id, turn: turn?.id ?? '', tokens })).map(
        ({ id }) => id,
      );
    const ids = turns.map(({ id }) => id);
    const cost = turns.map(({ items }) => estimateTokens(items));
    assert.deepEqual(await read(turns[3], 1_000_000), ids.slice(0, 4));
    assert.deepEqual(await read(turns[5], 1), ids.slice(5));
    const two = (cost[5] ?? 0) + (cost[4] ?? 0);
    assert.deepEqual(await read(turns[5], two), ids.slice(4));
    assert.deepEqual(await read(turns[5], two + 1), ids.slice(3));
    assert.deepEqual(await given.store.readContext({ conversation: uuid(), turn: ids[5] ?? '', tokens: 9 }), []);
  });

  it('reads no more than 16 MiB of items at once, and leads on', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const turn = newTurn('', { items: [text('x'.repeat(4 * 1024 * 1024))] });
      ids.push((await ann.say(turn, { conversation })).value.input.id);
    }
    const ref = { by: 'id', id: conversation.id } as const;
    const read = async (before: number | null) =>
      (await given.store.readPath({ owner, ref, limit: 1000, before }))?.turns.map(({ id }) => id);
    assert.deepEqual(await read(null), ids.slice(2));
    assert.deepEqual(await read(3), ids.slice(0, 2));
  });

  it('gives a run whole exchanges, and no more than 32 MiB of items and what completes one', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const ids: string[] = [];
    for (let i = 0; i < 8; i++) {
      const role = i % 2 === 0 ? 'user' : 'assistant';
      const turn = newTurn('', { role, items: [text('x'.repeat(8 * 1024 * 1024), role)] });
      ids.push((await ann.say(turn, { conversation })).value.input.id);
    }
    const read = async (tokens: number) =>
      (await given.store.readContext({ conversation: conversation.id, turn: ids.at(-1) ?? '', tokens })).map(
        ({ id }) => id,
      );
    assert.deepEqual(await read(1), ids.slice(6));
    assert.deepEqual(await read(1e9), ids.slice(2));
  });

  it('counts what an answer came to, once it is written', async () => {
    const ann = at(given.store, person());
    const { conversation } = (await ann.say('Not reached')).value;
    const { run, input: question, answer } = await ann.ask('Hello', { conversation });
    const items = [text('word '.repeat(100), 'assistant')];
    await given.store.finishRun(ending(run.id, 'completed', { items }));
    const { input } = (await ann.say('And?', { conversation })).value;
    const read = await given.store.readContext({
      conversation: conversation.id,
      turn: input.id,
      tokens: estimateTokens(input.items) + 100,
    });
    assert.deepEqual(
      read.map(({ id, items }) => [id, items.length]),
      [
        [question.id, 1],
        [answer.id, 1],
        [input.id, 1],
      ],
    );
  });

  it('shows the way from the root to the head, whatever branches were made', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.option(fc.nat(30)), { maxLength: 15 }), async (parents) => {
        const owner = person();
        const ann = at(given.store, owner);
        const conversation = await ann.create();
        const turns: Turn[] = [];
        for (const pick of parents) {
          const parent = pick === null ? null : (turns[pick % Math.max(1, turns.length)]?.id ?? null);
          turns.push((await ann.say(newTurn('x'), { conversation, parent })).value.input);
        }
        const byId = new Map(turns.map((turn) => [turn.id, turn]));
        const path: Turn[] = [];
        for (let turn = turns.at(-1); turn !== undefined; turn = byId.get(turn.parent ?? '')) path.unshift(turn);
        assert.deepEqual(await ann.read(conversation.id), path);
        assert.deepEqual(
          path.map(({ depth }) => depth),
          path.map((_, i) => i + 1),
        );
      }),
      { numRuns: 40 },
    );
  });
});
