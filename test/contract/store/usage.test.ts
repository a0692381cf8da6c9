import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Usage } from '../../../src/core/run.ts';
import { describeStore } from './adapters.ts';
import { at, DAY, ending, person, terminal } from './fixtures.ts';

const usage = (inputTokens: number, outputTokens: number): Usage => ({
  inputTokens,
  cachedInputTokens: 1,
  outputTokens,
  reasoningTokens: 2,
});

describeStore('Usage', (given) => {
  const read = (tenant: string, user: string | null, from = 0, to = 1e6, limit = 100) =>
    given.store.readUsage({ tenant, user, from, to, limit });

  it('adds up by user, day and model, and stays when the conversations are deleted', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const bob = at(given.store, { ...owner, user: 'bob' });
    const end = async (who: typeof ann, day: number, model: string | null, of: Usage | null) => {
      const { run, conversation } = await who.ask('Hello');
      const end = terminal('completed', { usage: of });
      await given.store.finishRun(ending(run.id, 'completed', { end, model, now: day * DAY }));
      await given.store.finishRun(ending(run.id, 'completed', { end, model, now: day * DAY }));
      await who.remove(conversation.id);
    };
    await end(ann, 100, 'a', usage(10, 20));
    await end(ann, 100, 'a', usage(1, 2));
    await end(ann, 100, 'b', null);
    await end(ann, 101, null, null);
    await end(bob, 100, 'a', usage(5, 5));
    await end(at(given.store, person()), 100, 'a', usage(5, 5));
    const anns = [
      {
        user: 'ann',
        day: 100,
        model: 'a',
        runs: 2,
        usage: { ...usage(11, 22), cachedInputTokens: 2, reasoningTokens: 4 },
      },
      {
        user: 'ann',
        day: 100,
        model: 'b',
        runs: 1,
        usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0 },
      },
    ];
    const last = { ...anns[1], day: 101, model: null };
    assert.deepEqual(await read(owner.tenant, 'ann'), [...anns, last]);
    assert.deepEqual(await read(owner.tenant, 'ann', 100, 100), anns);
    assert.deepEqual(await read(owner.tenant, 'ann', 101, 101), [last]);
    assert.deepEqual(await read(owner.tenant, 'ann', 0, 99), []);
    const bobs = { user: 'bob', day: 100, model: 'a', runs: 1, usage: usage(5, 5) };
    assert.deepEqual(await read(owner.tenant, null), [...anns, bobs, last]);
    assert.equal((await read(owner.tenant, null, 0, 1e6, 2)).length, 2);
  });

  it('counts the tokens of titles and not their runs, and what was kept nowhere', async () => {
    const owner = person();
    const { run, conversation } = await at(given.store, owner).ask('Hello');
    const title = { conversation: conversation.id, run: conversation.id, request: run.request, now: 1 };
    await given.store.startTitleRun(title);
    const end = terminal('completed', { usage: usage(3, 4) });
    await given.store.finishRun(ending(title.run, 'completed', { end, tail: null, items: [], model: 'a', now: DAY }));
    const unkept = { ...run, id: run.answers ?? '', conversation: null, turn: null, answers: null, model: 'a' };
    await given.store.recordRun({ run: { ...unkept, status: 'completed', usage: usage(5, 6), endedAt: DAY } });
    const all = { ...usage(8, 10), cachedInputTokens: 2, reasoningTokens: 4 };
    assert.deepEqual(await read(owner.tenant, 'ann'), [{ user: 'ann', day: 1, model: 'a', runs: 1, usage: all }]);
  });

  it('is swept away after two years', async () => {
    const owner = person();
    const { run } = await at(given.store, owner).ask('Hello');
    await given.store.finishRun(ending(run.id, 'completed', { now: 10 * DAY }));
    while (await given.store.sweep({ now: (10 + 731) * DAY }));
    assert.equal((await read(owner.tenant, 'ann')).length, 1);
    while (await given.store.sweep({ now: (10 + 733) * DAY }));
    assert.equal((await read(owner.tenant, 'ann')).length, 0);
  });
});
