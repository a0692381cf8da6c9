import assert from 'node:assert/strict';
import { it } from 'node:test';
import { packEvents } from '../../../src/core/event.ts';
import type { Store } from '../../../src/ports/store.ts';
import { describeStore } from './adapters.ts';
import { at, DAY, ending, newConversation, person, refused } from './fixtures.ts';

/** Sweeps until nothing is left to do; gives the number of steps. */
async function sweepAll(store: Store, now: number): Promise<number> {
  let steps = 1;
  while (await store.sweep({ now })) steps += 1;
  return steps;
}

describeStore('Sweeping', (given) => {
  it('has nothing to do in a fresh store', async () => {
    assert.equal(await given.store.sweep({ now: 1 }), false);
  });

  it('keeps the log of a run for 24 hours after its end, and deletes it then; the answer stays', async () => {
    const ann = at(given.store, person());
    const { run, conversation } = await ann.ask('Hello', { now: 10 * DAY });
    const payload = packEvents([{ type: 'run-started', at: 1 }]);
    await given.store.appendEvents({ batches: [{ run: run.id, first: 1, last: 1, payload }] });
    await given.store.finishRun(ending(run.id, 'completed', { lastEvent: 2, now: 11 * DAY }));
    const read = async () => (await given.store.readEvents({ run: run.id, after: 0, limit: 10 })).length;
    await sweepAll(given.store, 12 * DAY - 1);
    assert.equal(await read(), 2);
    await sweepAll(given.store, 12 * DAY);
    assert.equal(await read(), 0);
    assert.equal((await ann.read(conversation.id))?.[1]?.items.length, 1);
  });

  it('keeps the log of a run that is still open, however old', async () => {
    const ann = at(given.store, person());
    const { run } = await ann.ask('Hello', { now: 20 * DAY });
    const payload = packEvents([{ type: 'run-started', at: 1 }]);
    await given.store.appendEvents({ batches: [{ run: run.id, first: 1, last: 1, payload }] });
    await sweepAll(given.store, 25 * DAY);
    assert.equal((await given.store.readEvents({ run: run.id, after: 0, limit: 10 })).length, 1);
  });

  it('takes away many logs in bounded steps, and leaves those between them that are younger', async () => {
    const ann = at(given.store, person());
    const asked = await Promise.all(Array.from({ length: 30 }, () => ann.ask('Hello', { now: 30 * DAY })));
    for (let i = 0; i < 60; i++) {
      const payload = packEvents([{ type: 'text-delta', item: 0, text: 'x' }]);
      const batches = asked.map(({ run }) => ({ run: run.id, first: i + 1, last: i + 1, payload }));
      await given.store.appendEvents({ batches });
    }
    for (const [i, { run }] of asked.entries()) {
      const now = i % 10 === 0 ? 33 * DAY : 31 * DAY;
      await given.store.finishRun(ending(run.id, 'completed', { lastEvent: 61, now }));
    }
    const steps = await sweepAll(given.store, 32 * DAY);
    assert(steps > 3, `${steps} steps for 1,800 rows`);
    for (const [i, { run }] of asked.entries()) {
      const read = await given.store.readEvents({ run: run.id, after: 0, limit: 100 });
      assert.equal(read.length, i % 10 === 0 ? 61 : 0);
    }
  });

  it('deletes unlisted conversations 30 days after their last message, and never listed ones', async () => {
    const ann = at(given.store, person());
    const listed = await ann.create({}, 40 * DAY);
    const unlisted = await ann.create({ listed: false }, 40 * DAY);
    const active = await ann.create({ listed: false }, 40 * DAY);
    const { run } = await ann.ask('Hello', { conversation: unlisted, now: 40 * DAY });
    await given.store.finishRun(ending(run.id, 'completed', { now: 40 * DAY }));
    await ann.say('Hello', { conversation: active, now: 41 * DAY });
    await sweepAll(given.store, 70 * DAY - 1);
    assert.notEqual(await ann.find(unlisted.id), null);
    await sweepAll(given.store, 70 * DAY);
    assert.equal(await ann.find(unlisted.id), null);
    assert.equal(await given.store.findRun(person(), run.id), null);
    assert.notEqual(await ann.find(listed.id), null);
    assert.notEqual(await ann.find(active.id), null);
  });

  it('deletes hundreds of unlisted conversations in more than one step', async () => {
    const ann = at(given.store, person());
    await Promise.all(Array.from({ length: 100 }, () => ann.create({ listed: false }, 80 * DAY)));
    assert((await sweepAll(given.store, 120 * DAY)) > 1);
    const all = { owner: person(), now: 1, once: null, limit: 100 };
    assert.equal((await given.store.deleteConversations(all)).value.conversations.length, 0);
  });

  it('keeps the outcome of a command for 24 hours; afterwards the key is free, also for a deleted conversation', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const once = { key: 'k', command: 'c' };
    const make = (now: number) => given.store.createConversation({ owner, now, once, conversation: newConversation() });
    const { value } = await make(200 * DAY);
    await ann.remove(value.id, 200 * DAY);
    await sweepAll(given.store, 201 * DAY - 1);
    await refused(make(201 * DAY - 1), 'not_found');
    await sweepAll(given.store, 201 * DAY);
    assert.equal((await make(201 * DAY)).replayed, false);
  });
});
