import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Conversation } from '../../../src/core/conversation.ts';
import { packEvents } from '../../../src/core/event.ts';
import { describeStore } from './adapters.ts';
import { at, newConversation, person, refused, uuid } from './fixtures.ts';

describeStore('Conversations', (given) => {
  it('gives a new conversation as it is stored, and finds it by id, number and external id', async () => {
    const owner = person();
    const made = await at(given.store, owner).create(
      { title: 'Films', assistant: 'movies', externalId: 'mine-1', metadata: { from: 'app' }, active: true },
      7,
    );
    assert.deepEqual(made, {
      id: made.id,
      tenant: owner.tenant,
      user: 'ann',
      number: 1,
      title: 'Films',
      assistant: 'movies',
      listed: true,
      archived: false,
      active: true,
      head: null,
      createdAt: 7,
      updatedAt: 7,
      activeAt: 7,
      metadata: { from: 'app' },
    });
    assert.deepEqual(await given.store.findConversation(owner, { by: 'id', id: made.id }), made);
    assert.deepEqual(await given.store.findConversation(owner, { by: 'number', number: 1 }), made);
    assert.deepEqual(await given.store.findConversation(owner, { by: 'external', id: 'mine-1' }), made);
  });

  it('finds nothing under an unknown id, number or external id, nor under a number as an external id', async () => {
    const owner = person();
    await at(given.store, owner).create({ externalId: 'x' });
    assert.equal(await given.store.findConversation(owner, { by: 'id', id: uuid() }), null);
    assert.equal(await given.store.findConversation(owner, { by: 'number', number: 99 }), null);
    assert.equal(await given.store.findConversation(owner, { by: 'external', id: '1' }), null);
  });

  it('numbers listed conversations 1, 2, 3 within their tenant and never gives a number twice', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.create();
    const second = await ann.create();
    await ann.remove(second.id);
    const unlisted = await ann.create({ listed: false });
    const third = await at(given.store, { ...owner, user: 'bob' }).create();
    assert.deepEqual([first.number, second.number, unlisted.number, third.number], [1, 2, null, 3]);
    assert.equal((await at(given.store, person()).create()).number, 1);
  });

  it('gives every number once to 50 people who create at once', async () => {
    const { tenant } = person();
    const made = await Promise.all(
      Array.from({ length: 50 }, (_, i) => at(given.store, person({ tenant, user: `user-${i}` })).create()),
    );
    const numbers = made.map((conversation) => conversation.number ?? 0).sort((a, b) => a - b);
    assert.deepEqual(
      numbers,
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
  });

  it('has one active conversation for each user: the one made active last', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const bob = at(given.store, { ...owner, user: 'bob' });
    const bobs = await bob.create({ active: true });
    const first = await ann.create({ active: true });
    const second = await ann.create({ active: true });
    const third = await ann.create();
    const active = await Promise.all([first, second, third].map(async ({ id }) => (await ann.find(id))?.active));
    assert.deepEqual(active, [false, true, false]);
    assert.equal((await bob.find(bobs.id))?.active, true);
    await ann.remove(second.id);
    assert.deepEqual(
      (await ann.list()).map((conversation) => conversation.active),
      [false, false],
    );
  });

  it('gives the conversation a user already has under an external id, instead of a second one', async () => {
    const owner = person();
    const first = await at(given.store, owner).create({ externalId: 'same', title: 'First' });
    const conversation = newConversation({ externalId: 'same', title: 'Second' });
    const again = await given.store.createConversation({ owner, now: 2, once: null, conversation });
    assert.deepEqual(again, { value: first, replayed: true });
    assert.equal((await at(given.store, owner).list()).length, 1);
    const bobs = await at(given.store, { ...owner, user: 'bob' }).create({ externalId: 'same' });
    assert.notEqual(bobs.id, first.id);
  });

  it('makes one conversation of 20 that come at once with the same external id', async () => {
    const owner = person();
    const all = await Promise.all(
      Array.from({ length: 20 }, () => at(given.store, owner).create({ externalId: 'race' })),
    );
    assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  });

  it('lists by newest activity, which messages move and titles do not', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.create({}, 10);
    const second = await ann.create({}, 20);
    assert.deepEqual(ids(await ann.list()), [second.id, first.id]);
    await ann.say('Hello', { conversation: first, now: 30 });
    const ref = { by: 'id', id: second.id } as const;
    await given.store.updateConversation({ owner, now: 40, once: null, ref, set: { title: 'Later' } });
    assert.deepEqual(ids(await ann.list()), [first.id, second.id]);
    assert.deepEqual(ids(await ann.list({ direction: 'asc' })), [second.id, first.id]);
  });

  it('lists by creation, oldest or newest first, with offset and limit', async () => {
    const ann = at(given.store, person());
    const made: string[] = [];
    for (let i = 0; i < 5; i++) made.push((await ann.create({}, 100 - i)).id);
    const oldest = made.toReversed();
    assert.deepEqual(ids(await ann.list({ order: 'created', direction: 'asc' })), oldest);
    assert.deepEqual(ids(await ann.list({ order: 'created', direction: 'desc' })), made);
    assert.deepEqual(
      ids(await ann.list({ order: 'created', direction: 'asc', offset: 1, limit: 2 })),
      oldest.slice(1, 3),
    );
  });

  it('lists archived ones only when asked, unlisted ones never', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const plain = await ann.create();
    const archived = await ann.create();
    await ann.create({ listed: false });
    const ref = { by: 'id', id: archived.id } as const;
    await given.store.updateConversation({ owner, now: 2, once: null, ref, set: { archived: true } });
    assert.deepEqual(ids(await ann.list()), [plain.id]);
    assert.deepEqual(ids(await ann.list({ archived: true })), [archived.id]);
    await given.store.updateConversation({ owner, now: 3, once: null, ref, set: { archived: false } });
    assert.equal((await ann.list()).length, 2);
  });

  it('skips and doubles nothing from page to page, whatever the times and the size of a page', async () => {
    const times = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 12 });
    const order = fc.constantFrom('activity' as const, 'created' as const);
    const direction = fc.constantFrom('asc' as const, 'desc' as const);
    await fc.assert(
      fc.asyncProperty(times, order, direction, fc.integer({ min: 1, max: 5 }), async (all, by, way, limit) => {
        const ann = at(given.store, person());
        const made: Conversation[] = [];
        for (const time of all) made.push(await ann.create({}, time));
        made.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
        if (way === 'desc') made.reverse();
        const seen: string[] = [];
        let after = null;
        for (;;) {
          const page: Conversation[] = await ann.list({ order: by, direction: way, limit, after });
          seen.push(...ids(page));
          const last = page.at(-1);
          if (last === undefined) break;
          after = { at: by === 'activity' ? last.activeAt : last.createdAt, id: last.id };
        }
        assert.deepEqual(seen, ids(made));
      }),
      { numRuns: 40 },
    );
  });

  it('updates what is given: a title or a time moves updatedAt, archiving does not, nothing moves activeAt', async () => {
    const owner = person();
    const made = await at(given.store, owner).create({ title: 'Old' }, 10);
    const ref = { by: 'id', id: made.id } as const;
    const update = async (now: number, set: { title?: string; updatedAt?: number; archived?: boolean }) =>
      (await given.store.updateConversation({ owner, now, once: null, ref, set })).value;

    const renamed = { ...made, title: 'New', updatedAt: 20 };
    assert.deepEqual(await update(20, { title: 'New' }), renamed);
    const archived = { ...renamed, archived: true };
    assert.deepEqual(await update(30, { archived: true }), archived);
    const moved = { ...archived, updatedAt: 5 };
    assert.deepEqual(await update(40, { updatedAt: 5 }), moved);
    assert.deepEqual(await given.store.findConversation(owner, ref), moved);
  });

  it('names an untitled conversation once, without touching its times', async () => {
    const owner = person();
    const made = await at(given.store, owner).create({}, 10);
    const name = (title: string) => given.store.nameConversation({ conversation: made.id, title, now: 20 });
    assert.equal(await name('First'), true);
    assert.equal(await name('Second'), false);
    assert.deepEqual(await at(given.store, owner).find(made.id), { ...made, title: 'First' });
    assert.equal(await given.store.nameConversation({ conversation: uuid(), title: 'None', now: 20 }), false);
  });

  it('refuses to change or delete what is not there', async () => {
    const owner = person();
    const ref = { by: 'id', id: uuid() } as const;
    await refused(given.store.updateConversation({ owner, now: 1, once: null, ref, set: { title: 'x' } }), 'not_found');
    await refused(given.store.deleteConversation({ owner, now: 1, once: null, ref }), 'not_found');
  });

  it('deletes a conversation with everything in it, and says which runs are to be stopped', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    const { conversation } = first;
    const second = await ann.ask('Two', { conversation });
    const run = first.run.id;
    await given.store.appendEvents({
      batches: [{ run, first: 1, last: 1, payload: packEvents([{ type: 'run-started', at: 1 }]) }],
    });
    const title = uuid();
    await given.store.startTitleRun({ conversation: conversation.id, run: title, request: first.run.request, now: 1 });

    const { value } = await ann.remove(conversation.id);
    assert.equal(value.conversation.id, conversation.id);
    assert.deepEqual(value.runs.toSorted(), [run, second.run.id, title].toSorted());
    assert.equal(await ann.find(conversation.id), null);
    assert.equal(await ann.read(conversation.id), null);
    assert.equal(await given.store.findTurn(owner, first.input.id), null);
    assert.equal(await given.store.findRun(owner, run), null);
    assert.equal(await given.store.findRunOfTurn(owner, first.answer.id), null);
    assert.deepEqual(await given.store.readEvents({ run, after: 0, limit: 100 }), []);
    assert.deepEqual(
      await given.store.readContext({ conversation: conversation.id, turn: first.input.id, tokens: 9 }),
      [],
    );
  });

  it("deletes all of a user's own conversations in steps, archived and unlisted ones too, and nobody else's", async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const bobs = await at(given.store, { ...owner, user: 'bob' }).create();
    const made = [await ann.create(), await ann.create(), await ann.create({ listed: false })];
    const asked = await ann.ask('Hello');
    const ref = { by: 'id', id: made[0]?.id ?? '' } as const;
    await given.store.updateConversation({ owner, now: 2, once: null, ref, set: { archived: true } });

    const gone: string[] = [];
    const runs: string[] = [];
    const mores: boolean[] = [];
    for (let more = true; more; ) {
      const { value } = await given.store.deleteConversations({ owner, now: 3, once: null, limit: 2 });
      assert(value.conversations.length <= 2);
      gone.push(...value.conversations);
      runs.push(...value.runs);
      more = value.more;
      mores.push(more);
    }
    assert.deepEqual(gone.toSorted(), [...ids(made), asked.conversation.id].toSorted());
    assert.deepEqual(runs, [asked.run.id]);
    assert.deepEqual(mores, [true, false]);
    assert.deepEqual(await ann.list(), []);
    assert.equal((await at(given.store, { ...owner, user: 'bob' }).find(bobs.id))?.id, bobs.id);
  });
});

function ids(conversations: readonly { id: string }[]): string[] {
  return conversations.map(({ id }) => id);
}
