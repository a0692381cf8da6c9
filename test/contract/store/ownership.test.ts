import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Owner } from '../../../src/core/principal.ts';
import type { Store } from '../../../src/ports/store.ts';
import { describeStore } from './adapters.ts';
import { at, newAnswer, newTurn, openRunsOf, person, refused } from './fixtures.ts';

/** Every way to reach a conversation, a turn or a run of somebody. */
async function assertOutOfReach(store: Store, stranger: Owner, asked: Asked): Promise<void> {
  const refs = [
    { by: 'id', id: asked.conversation.id },
    { by: 'number', number: asked.conversation.number ?? 0 },
    { by: 'external', id: 'mine' },
  ] as const;
  const plain = { owner: stranger, now: 9, once: null };
  for (const ref of refs) {
    assert.equal(await store.findConversation(stranger, ref), null);
    assert.equal(await store.readPath({ owner: stranger, ref, limit: 10, before: null }), null);
    await refused(store.updateConversation({ ...plain, ref, set: { title: 'Mine now', archived: true } }), 'not_found');
    await refused(store.deleteConversation({ ...plain, ref }), 'not_found');
    const message = { conversation: { ref }, input: newTurn('Hi'), parent: null, answer: newAnswer() };
    await refused(store.acceptMessage({ ...plain, ...message, onBusy: 'interrupt' }), 'not_found');
    const target = { conversation: ref };
    await refused(store.answerTurn({ owner: stranger, now: 9, target, answer: newAnswer() }), 'not_found');
  }
  const target = { turn: asked.input.id };
  await refused(store.answerTurn({ owner: stranger, now: 9, target, answer: newAnswer() }), 'not_found');
  assert.equal(await store.findTurn(stranger, asked.input.id), null);
  assert.equal(await store.findTurn(stranger, asked.answer.id), null);
  assert.equal(await store.findRun(stranger, asked.run.id), null);
  assert.equal(await store.findRunOfTurn(stranger, asked.answer.id), null);
  const list = { order: 'activity', direction: 'desc', archived: false, limit: 10, offset: 0, after: null } as const;
  assert.deepEqual(await store.listConversations({ owner: stranger, ...list }), []);
  await store.deleteConversations({ ...plain, limit: 10 });
}

type Asked = Awaited<ReturnType<typeof askAs>>;

function askAs(store: Store, owner: Owner) {
  const create = { id: crypto.randomUUID(), title: null, assistant: 'default', listed: true, externalId: 'mine' };
  return at(store, owner).ask('Hello', { conversation: { create: { ...create, metadata: {}, active: false } } });
}

/** Everything that is there of it, to see that nothing of it changed. */
async function snapshot(store: Store, owner: Owner, asked: Asked) {
  return [
    await at(store, owner).find(asked.conversation.id),
    await at(store, owner).read(asked.conversation.id),
    await openRunsOf(store, owner.tenant),
  ];
}

describeStore('What is somebody else its owner', (given) => {
  it('does not exist for another user, and nothing of it changes, whatever they try', async () => {
    const owner = person();
    const asked = await askAs(given.store, owner);
    const before = await snapshot(given.store, owner, asked);
    await assertOutOfReach(given.store, { ...owner, user: 'bob' }, asked);
    assert.deepEqual(await snapshot(given.store, owner, asked), before);
  });

  it('does not exist for the user of the same name in another tenant', async () => {
    const owner = person();
    const asked = await askAs(given.store, owner);
    const before = await snapshot(given.store, owner, asked);
    await assertOutOfReach(given.store, person(), asked);
    assert.deepEqual(await snapshot(given.store, owner, asked), before);
  });

  it('does not exist for a keyless caller if a key made it, nor for a keyless caller who names a user', async () => {
    const keyed = person();
    const keyless = { ...keyed, user: 'kim', keyless: true };
    await at(given.store, keyless).create();
    const asked = await askAs(given.store, keyed);
    await assertOutOfReach(given.store, { ...keyed, user: 'local', keyless: true, findsKeyless: true }, asked);
    await assertOutOfReach(given.store, { ...keyed, user: 'someone', keyless: true }, asked);
    assert.notEqual(await at(given.store, keyed).find(asked.conversation.id), null);
  });

  it('does not exist for another tenant in which a keyless caller finds keyless users', async () => {
    const kim = person({ user: 'kim', keyless: true });
    const asked = await askAs(given.store, kim);
    await assertOutOfReach(given.store, person({ user: 'local', keyless: true, findsKeyless: true }), asked);
  });

  it('is refused as a parent and as a target also where the caller has something of their own', async () => {
    const owner = person();
    const asked = await askAs(given.store, owner);
    const bob = at(given.store, { ...owner, user: 'bob' });
    const bobs = await bob.create();
    await refused(bob.say('Hi', { conversation: bobs, parent: asked.input.id }), 'not_found');
    assert.deepEqual(await bob.read(bobs.id), []);
  });
});

describeStore('A keyless caller who names no user', (given) => {
  it("finds, continues, answers and deletes the conversations of every keyless user by id, as that user's", async () => {
    const kim = person({ user: 'kim', keyless: true });
    const local = { ...kim, user: 'local', findsKeyless: true };
    const kims = await at(given.store, kim).create({ externalId: 'x-1' });
    const asLocal = at(given.store, local);
    assert.deepEqual(await asLocal.find(kims.id), kims);
    assert.deepEqual(await given.store.findConversation(local, { by: 'number', number: 1 }), kims);
    assert.deepEqual(await given.store.findConversation(local, { by: 'external', id: 'x-1' }), kims);

    const accepted = await asLocal.ask('Hello', { conversation: kims });
    assert.deepEqual([accepted.conversation.user, accepted.run.user], ['kim', 'kim']);
    assert.equal((await given.store.findRun(kim, accepted.run.id))?.id, accepted.run.id);
    assert.equal((await given.store.findRunOfTurn(local, accepted.answer.id))?.id, accepted.run.id);
    assert.equal((await given.store.findTurn(local, accepted.input.id))?.turn.id, accepted.input.id);
    const target = { turn: accepted.input.id };
    const answered = await given.store.answerTurn({ owner: local, now: 2, target, answer: newAnswer() });
    assert.equal(answered.fresh, false);
    const ref = { by: 'id', id: kims.id } as const;
    const renamed = await given.store.updateConversation({
      owner: local,
      now: 3,
      once: null,
      ref,
      set: { title: 'T' },
    });
    assert.deepEqual([renamed.value.user, renamed.value.title], ['kim', 'T']);
    await asLocal.remove(kims.id);
    assert.equal(await at(given.store, kim).find(kims.id), null);
  });

  it('lists and deletes all of its own only', async () => {
    const kim = person({ user: 'kim', keyless: true });
    const local = { ...kim, user: 'local', findsKeyless: true };
    const kims = await at(given.store, kim).create();
    const own = await at(given.store, local).create();
    assert.deepEqual(await at(given.store, local).list(), [own]);
    const { value } = await given.store.deleteConversations({ owner: local, now: 1, once: null, limit: 9 });
    assert.deepEqual(value.conversations, [own.id]);
    assert.deepEqual(await at(given.store, kim).find(kims.id), kims);
  });

  it('finds its own first where several keyless users gave the same external id', async () => {
    const kim = person({ user: 'kim', keyless: true });
    const local = { ...kim, user: 'local', findsKeyless: true };
    await at(given.store, kim).create({ externalId: 'same' });
    const own = await at(given.store, local).create({ externalId: 'same' });
    const found = await given.store.findConversation(local, { by: 'external', id: 'same' });
    assert.equal(found?.id, own.id);
  });

  it('makes a conversation of its own under an external id that only another user has', async () => {
    const kim = person({ user: 'kim', keyless: true });
    const local = { ...kim, user: 'local', findsKeyless: true };
    const kims = await at(given.store, kim).create({ externalId: 'same' });
    const own = await at(given.store, local).create({ externalId: 'same' });
    assert.notEqual(own.id, kims.id);
    assert.equal(own.user, 'local');
  });
});
