import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import {
  at,
  DAY,
  ending,
  HOUR,
  newAnswer,
  newConversation,
  newTurn,
  openRunsOf,
  person,
  refused,
  text,
} from './fixtures.ts';

const once = { key: 'key-1', command: 'digest-1' };
const other = { key: 'key-1', command: 'digest-2' };

describeStore('Retrying under an Idempotency-Key', (given) => {
  it('gives the conversation made the first time, as it was then', async () => {
    const owner = person();
    const create = (now: number) =>
      given.store.createConversation({ owner, now, once, conversation: newConversation({ title: 'Mine' }) });
    const first = await create(1);
    const ref = { by: 'id', id: first.value.id } as const;
    await given.store.updateConversation({ owner, now: 2, once: null, ref, set: { title: 'Renamed' } });
    assert.deepEqual(await create(3), { value: first.value, replayed: true });
    assert.equal((await at(given.store, owner).list()).length, 1);
  });

  it('gives what an update gave the first time, and changes nothing again', async () => {
    const owner = person();
    const made = await at(given.store, owner).create();
    const ref = { by: 'id', id: made.id } as const;
    const rename = (title: string, key: string) =>
      given.store.updateConversation({ owner, now: 5, once: { key, command: title }, ref, set: { title } });
    const first = await rename('A', 'a');
    await rename('B', 'b');
    assert.deepEqual(await rename('A', 'a'), { value: first.value, replayed: true });
    assert.equal((await at(given.store, owner).find(made.id))?.title, 'B');
  });

  it('refuses another command under the same key, for every unit', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation } = (await ann.say('Hello', { once })).value;
    const ref = { by: 'id', id: conversation.id } as const;
    await refused(ann.say('Other', { once: other }), 'idempotency_mismatch');
    const make = { owner, now: 1, once: other, conversation: newConversation() };
    await refused(given.store.createConversation(make), 'idempotency_mismatch');
    const set = { title: 'x' };
    await refused(given.store.updateConversation({ owner, now: 1, once: other, ref, set }), 'idempotency_mismatch');
    await refused(ann.remove(conversation.id, 1, other), 'idempotency_mismatch');
    await refused(given.store.deleteConversations({ owner, now: 1, once: other, limit: 9 }), 'idempotency_mismatch');
    assert.equal((await ann.list()).length, 1);
    assert.equal((await ann.read(conversation.id))?.length, 1);
  });

  it('keeps the keys of two users and of two tenants apart', async () => {
    const owner = person();
    const all = [owner, { ...owner, user: 'bob' }, person()];
    for (const each of all) {
      const { value, replayed } = await at(given.store, each).say('Hello', { once: { key: 'k', command: each.user } });
      assert.equal(replayed, false);
      assert.equal(value.conversation.user, each.user);
    }
  });

  it('gives the same turns and the same run for an accepted message, as they are by now', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('Hello', { once });
    const again = await ann.say('Hello', { answer: true, once });
    const { interrupts, ...same } = again.value;
    assert.deepEqual(interrupts, []);
    const { interrupts: _, ...accepted } = first;
    assert.deepEqual({ ...same, fresh: true }, accepted);
    assert.deepEqual([again.replayed, again.value.fresh], [true, false]);

    await given.store.finishRun(ending(first.run.id, 'completed'));
    const later = (await ann.say('Hello', { answer: true, once })).value;
    assert.deepEqual([later.run?.status, later.answer?.items.length, later.fresh], ['completed', 1, false]);
    assert.equal((await ann.read(first.conversation.id))?.length, 2);
  });

  it('stores one message and makes one run of 100 equal calls at once', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const all = await Promise.all(
      Array.from({ length: 100 }, () => ann.say('Hello', { conversation, answer: true, once })),
    );
    assert.equal(all.filter(({ replayed }) => !replayed).length, 1);
    assert.equal(all.filter(({ value }) => value.fresh).length, 1);
    assert.equal(new Set(all.map(({ value }) => value.input.id)).size, 1);
    assert.equal((await ann.read(conversation.id))?.length, 2);
    assert.equal((await openRunsOf(given.store, owner.tenant)).length, 1);
  });

  it('makes one conversation of 100 equal calls that begin one', async () => {
    const ann = at(given.store, person());
    const all = await Promise.all(Array.from({ length: 100 }, () => ann.say('Hello', { answer: true, once })));
    assert.equal(new Set(all.map(({ value }) => value.conversation.id)).size, 1);
    assert.equal((await ann.list()).length, 1);
  });

  it('starts a run that failed before its first token anew, on the same turn, and replays that one from then on', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('Hello', { once });
    await given.store.finishRun(ending(first.run.id, 'failed'));
    const wanted = newAnswer();
    const second = await ann.say('Hello', { answer: wanted, once, now: 50 });
    assert.deepEqual([second.replayed, second.value.fresh], [false, true]);
    assert.deepEqual([second.value.run?.id, second.value.run?.status], [wanted.run, 'started']);
    assert.deepEqual(second.value.answer, { ...first.answer, run: wanted.run, updatedAt: 50 });
    assert.deepEqual(second.value.input, first.input);
    assert.equal((await ann.read(first.conversation.id))?.length, 2);

    const third = await ann.say('Hello', { answer: true, once });
    assert.deepEqual([third.replayed, third.value.run?.id, third.value.fresh], [true, wanted.run, false]);
    await given.store.finishRun(ending(wanted.run, 'failed'));
    assert.equal((await ann.say('Hello', { answer: true, once })).value.fresh, true);
  });

  it('queues the new run where something else is being written by then', async () => {
    const ann = at(given.store, person());
    const first = await ann.ask('Hello', { once });
    await given.store.finishRun(ending(first.run.id, 'failed'));
    await ann.ask('Meanwhile', { conversation: first.conversation });
    const { value } = await ann.say('Hello', { answer: true, once });
    assert.deepEqual([value.run?.status, value.answer?.status], ['queued', 'queued']);
    await refused(
      (async () => {
        await given.store.finishRun(ending(value.run?.id ?? '', 'failed'));
        await ann.say('Hello', { answer: true, once, onBusy: 'reject' });
      })(),
      'conflict',
    );
  });

  it('replays every other end: incomplete, cancelled, and failed with text', async () => {
    const ann = at(given.store, person());
    for (const status of ['incomplete', 'cancelled'] as const) {
      const key = { key: status, command: 'c' };
      const first = await ann.ask('Hello', { once: key });
      await given.store.finishRun(ending(first.run.id, status));
      const again = await ann.say('Hello', { answer: true, once: key });
      assert.deepEqual([again.replayed, again.value.run?.id], [true, first.run.id]);
    }
    const first = await ann.ask('Hello', { once });
    await given.store.finishRun(ending(first.run.id, 'failed', { items: [text('Half', 'assistant')] }));
    assert.equal((await ann.say('Hello', { answer: true, once })).replayed, true);
  });

  it('is not_found once the conversation was deleted by another call', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation } = await ann.ask('Hello', { once });
    const rename = { key: 'rename', command: 'r' };
    const ref = { by: 'id', id: conversation.id } as const;
    await given.store.updateConversation({ owner, now: 1, once: rename, ref, set: { title: 'x' } });
    await ann.remove(conversation.id);
    await refused(ann.say('Hello', { answer: true, once }), 'not_found');
    await refused(
      given.store.updateConversation({ owner, now: 1, once: rename, ref, set: { title: 'x' } }),
      'not_found',
    );
    const make = { owner, now: 1, once: { key: 'make', command: 'm' }, conversation: newConversation() };
    const made = await given.store.createConversation(make);
    await ann.remove(made.value.id);
    await refused(given.store.createConversation(make), 'not_found');
    assert.deepEqual(await ann.list(), []);
  });

  it('gives the call that deleted a conversation its own outcome again', async () => {
    const ann = at(given.store, person());
    const { conversation, run } = await ann.ask('Hello');
    const remove = { key: 'delete', command: 'd' };
    const first = await ann.remove(conversation.id, 1, remove);
    assert.deepEqual(first.value.runs, [run.id]);
    assert.deepEqual(await ann.remove(conversation.id, 2, remove), { value: first.value, replayed: true });
    await refused(ann.remove(conversation.id, 2, { key: 'another', command: 'd' }), 'not_found');
  });

  it('goes on with a deletion of many until nothing is left, and only then remembers it', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    for (let i = 0; i < 3; i++) await ann.create();
    const remove = () => given.store.deleteConversations({ owner, now: 1, once, limit: 2 });
    const first = await remove();
    assert.deepEqual([first.value.conversations.length, first.value.more, first.replayed], [2, true, false]);
    const second = await remove();
    assert.deepEqual([second.value.conversations.length, second.value.more, second.replayed], [1, false, false]);
    const kept = await ann.create();
    assert.deepEqual(await remove(), { value: second.value, replayed: true });
    assert.deepEqual(await ann.find(kept.id), kept);
  });

  it('knows an outcome for 24 hours, and takes the key for a new command afterwards', async () => {
    const ann = at(given.store, person());
    const first = await ann.say('Hello', { once, now: HOUR });
    const within = await ann.say('Hello', { once, now: HOUR + DAY - 1 });
    assert.deepEqual([within.replayed, within.value.input.id], [true, first.value.input.id]);
    const after = await ann.say(newTurn('Other'), { once: other, now: HOUR + DAY });
    assert.equal(after.replayed, false);
    const again = await ann.say('Other', { once: other, now: HOUR + DAY + 1 });
    assert.deepEqual([again.replayed, again.value.input.id], [true, after.value.input.id]);
  });

  it('remembers nothing of a refused command', async () => {
    const ann = at(given.store, person());
    const { conversation } = await ann.ask('One');
    await refused(ann.say('Two', { conversation, answer: true, onBusy: 'reject', once }), 'conflict');
    const { replayed } = await ann.say('Something else', { conversation, once: other });
    assert.equal(replayed, false);
  });
});
