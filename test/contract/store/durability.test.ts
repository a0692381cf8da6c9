import assert from 'node:assert/strict';
import { it } from 'node:test';
import { packEvents } from '../../../src/core/event.ts';
import { describeStore } from './adapters.ts';
import { at, ending, openRunsOf, person, refused, uuid } from './fixtures.ts';

describeStore('A store', (given) => {
  it('has everything again after it was closed and opened: turns, runs, logs, keys, outcomes', async () => {
    const owner = person();
    const once = { key: 'k', command: 'c' };
    const done = await at(given.store, owner).ask('One', { once });
    const { conversation } = done;
    const payload = packEvents([{ type: 'run-started', at: 1 }]);
    await given.store.appendEvents({ batches: [{ run: done.run.id, first: 1, last: 1, payload }] });
    await given.store.finishRun(ending(done.run.id, 'completed', { lastEvent: 2 }));
    const open = await at(given.store, owner).ask('Two', { conversation });
    const queued = await at(given.store, owner).ask('Three', { conversation });
    const before = await at(given.store, owner).read(conversation.id);

    await given.reopen();
    const ann = at(given.store, owner);
    assert.deepEqual(await ann.read(conversation.id), before);
    assert.deepEqual(await openRunsOf(given.store, owner.tenant), [open.run, queued.run]);
    assert.equal((await given.store.readEvents({ run: done.run.id, after: 0, limit: 9 })).length, 2);
    const again = await ann.say('One', { answer: true, once });
    assert.deepEqual([again.replayed, again.value.input.id], [true, done.input.id]);
    assert.equal((await ann.create()).number, 2);
    const { next } = await given.store.finishRun(ending(open.run.id, 'incomplete'));
    assert.equal(next?.id, queued.run.id);
  });

  it('refuses one unit of many at once, and does all the others', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const taken = uuid();
    const units = Array.from({ length: 30 }, (_, i) => {
      // Every third fails after it has written something: its parent is unknown, or its id is taken.
      if (i % 3 === 0) return ann.say('Hello', { parent: uuid() });
      const id = i % 3 === 1 ? taken : uuid();
      return ann.say({ id, role: 'user', items: [], externalId: null }, { conversation });
    });
    const results = await Promise.allSettled(units);
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 11);
    assert.equal((await ann.read(conversation.id))?.length, 11);
    assert.equal((await ann.list()).length, 1);
  });

  it('refuses what is not its own error with a plain one, and goes on', async () => {
    const ann = at(given.store, person());
    const conversation = await ann.create();
    await assert.rejects(ann.create({ id: conversation.id }), (error: Error) => error.constructor === Error);
    assert.notEqual(await ann.find((await ann.create()).id), null);
  });

  it('answers each unit after it is stored: a read that follows sees it', async () => {
    const owner = person();
    await Promise.all(
      Array.from({ length: 20 }, async (_, user) => {
        const ann = at(given.store, { ...owner, user: `user-${user}` });
        for (let i = 0; i < 10; i++) {
          const { conversation } = (await ann.say('Hello')).value;
          assert.equal((await ann.find(conversation.id))?.head, conversation.head);
          await ann.remove(conversation.id);
          assert.equal(await ann.find(conversation.id), null);
        }
      }),
    );
  });

  it('reads a conversation as of one moment while it is written to', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    let writing = true;
    const writer = (async () => {
      for (let i = 0; i < 200; i++) await ann.say(`${i}`, { conversation });
      writing = false;
    })();
    while (writing) {
      const read = await given.store.readPath({
        owner,
        ref: { by: 'id', id: conversation.id },
        limit: 1000,
        before: null,
      });
      assert.equal(read?.turns.at(-1)?.id ?? null, read?.conversation.head);
      await new Promise(setImmediate);
    }
    await writer;
  });

  it('says that it is sound', async () => {
    assert.deepEqual(await given.store.health(false), { ok: true, problems: [] });
    assert.deepEqual(await given.store.health(true), { ok: true, problems: [] });
  });

  it('counts the units that wait, and none when they are done', async () => {
    const ann = at(given.store, person());
    const units = [ann.create(), ann.create(), ann.create()];
    assert.equal(given.store.queued(), 3);
    await Promise.all(units);
    assert.equal(given.store.queued(), 0);
  });

  it('refuses everything once it is closed, and says that it is not sound', async () => {
    const owner = person();
    const closed = given.store;
    await given.reopen();
    await assert.rejects(at(closed, owner).create());
    await assert.rejects(closed.findConversation(owner, { by: 'id', id: uuid() }));
    assert.equal((await closed.health(false)).ok, false);
    await refused(at(given.store, owner).remove(uuid()), 'not_found');
  });
});
