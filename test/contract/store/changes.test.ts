import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import { at, DAY, ending, newTurn, person, refused } from './fixtures.ts';

describeStore('The feed of a user', (given) => {
  const read = (owner = person(), since: number | null = 0, limit = 100) =>
    given.store.readChanges({ owner, since, limit });

  it('is empty before anything happened, and expired beyond its end', async () => {
    const ann = person();
    assert.deepEqual(await read(ann), { changes: [], newest: 0, expired: false });
    assert.deepEqual(await read(ann, null), { changes: [], newest: 0, expired: false });
    assert.equal((await read(ann, 1)).expired, true);
  });

  it('has a line for everything that can be seen of a listed conversation, and none for unlisted ones', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create();
    const { input } = (await ann.say('By hand', { conversation })).value;
    const { run } = await ann.ask('First', { conversation });
    await ann.ask('Second, which waits', { conversation });
    await given.store.finishRun(ending(run.id, 'completed'));
    const ref = { by: 'id', id: conversation.id } as const;
    const set = (set: Parameters<typeof given.store.updateConversation>[0]['set']) =>
      given.store.updateConversation({ owner, now: 3, once: null, ref, set });
    await set({ title: 'T' });
    await set({ title: 'T' });
    await set({ archived: true, metadata: { a: 'b' } });
    await set({ metadata: { a: 'c' } });
    await set({ metadata: { a: 'c' } });
    await set({ head: input.id });
    await set({ assistant: 'movies' });
    await ann.say('Said in a new one', {});
    await at(given.store, owner).create({ listed: false });
    const { changes, newest } = await read(owner);
    assert.deepEqual(
      changes.map(({ type, run }) => (run === null ? type : [type, run])),
      [
        'conversation-created',
        'conversation-updated',
        ['run-started', run.id],
        'conversation-updated',
        ['run-ended', run.id],
        ['run-started', changes[5]?.run],
        'conversation-renamed',
        'conversation-archived',
        'conversation-updated',
        'conversation-updated',
        'conversation-updated',
        'conversation-created',
      ],
    );
    assert.deepEqual(
      changes.map(({ number }) => number),
      changes.map((_, i) => i + 1),
    );
    assert.equal(newest, changes.length);
    assert.deepEqual(await read(owner, 3, 2), { changes: changes.slice(3, 5), newest, expired: false });
    assert.deepEqual(await read({ ...owner, user: 'bob' }), { changes: [], newest: 0, expired: false });
    assert.deepEqual(await read({ ...person(), user: owner.user }), { changes: [], newest: 0, expired: false });
  });

  it('says when what comes next is not kept any more', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    for (const day of [1, 2, 40]) await ann.create({}, day * DAY);
    while (await given.store.sweep({ now: 41 * DAY }));
    assert.equal((await read(owner, 0)).expired, true);
    assert.equal((await read(owner, 1)).expired, true);
    const rest = await read(owner, 2);
    assert.deepEqual([rest.expired, rest.changes.map(({ number }) => number)], [false, [3]]);
    assert.deepEqual(await read(owner, null), rest);
    while (await given.store.sweep({ now: 80 * DAY }));
    assert.equal((await read(owner, 2)).expired, true);
    assert.deepEqual(await read(owner, 3), { changes: [], newest: 3, expired: false });
    assert.deepEqual(await read(owner, null), { changes: [], newest: 3, expired: false });
  });

  it('tells its listeners of every commit that wrote a line, once it can be read, and of no other', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const told: (number | undefined)[] = [];
    const stop = given.store.onChange(async (tenant, user) => {
      if (tenant !== owner.tenant) return;
      assert.equal(user, owner.user);
      told.push((await read(owner)).changes.at(-1)?.number);
    });
    const conversation = await ann.create();
    const { run } = await ann.ask('Hello', { conversation });
    await given.store.appendEvents({ batches: [{ run: run.id, first: 1, last: 1, payload: '[]' }] });
    await refused(ann.remove('00000000-0000-7000-8000-000000000000'), 'not_found');
    await given.store.finishRun(ending(run.id, 'completed'));
    await ann.create({ listed: false });
    await ann.find(conversation.id);
    assert.deepEqual(told, [1, 2, 3]);
    stop();
    await ann.remove(conversation.id);
    assert.equal(told.length, 3);
  });
});

describeStore('An update', (given) => {
  it('shows another branch from any turn of the conversation, and moves no time', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = (await ann.say('One', { now: 1 })).value;
    const { conversation } = first;
    await ann.say('Two', { conversation, now: 2 });
    const ref = { by: 'id', id: conversation.id } as const;
    const unit = { owner, now: 9, once: null, ref };
    const { value } = await given.store.updateConversation({ ...unit, set: { head: first.input.id } });
    assert.deepEqual([value.head, value.updatedAt, value.activeAt], [first.input.id, 2, 2]);
    const next = (await ann.say('Instead of two', { conversation, now: 10 })).value.input;
    assert.deepEqual([next.parent, next.depth], [first.input.id, 2]);
    const other = (await ann.say('Elsewhere')).value.input;
    for (const head of [other.id, conversation.id]) {
      await refused(given.store.updateConversation({ ...unit, set: { head } }), 'not_found');
    }
  });

  it('takes a title away, and sets what else is given', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { id } = await ann.create({ title: 'T', metadata: { a: 'b' } });
    const set = { title: null, assistant: 'movies', metadata: { c: 'd' }, archived: true };
    const unit = { owner, now: 4, once: null, ref: { by: 'id', id } as const };
    const { value } = await given.store.updateConversation({ ...unit, set });
    assert.deepEqual(value, { ...(await ann.find(id)), ...set, updatedAt: 4, activeAt: 1 });
    assert.equal(await given.store.nameConversation({ conversation: id, title: 'Named', now: 5 }), true);
    assert.deepEqual((await given.store.updateConversation({ ...unit, set: {} })).value.title, 'Named');
  });

  it('refuses a turn that is not in it', async () => {
    const ann = at(given.store, person());
    const turn = newTurn('One');
    await ann.say(turn);
    await refused(
      given.store.updateConversation({
        owner: person(),
        now: 1,
        once: null,
        ref: { by: 'id', id: turn.id },
        set: { head: turn.id },
      }),
      'not_found',
    );
  });
});
