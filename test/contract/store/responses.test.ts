import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import { at, ending, newAnswer, newConversation, newTurn, person, refused, uuid } from './fixtures.ts';

describeStore('An answer as a response', (given) => {
  it('is found with its run by its owner alone, and an input is none', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { answer, run, input } = await ann.ask('One', { answer: newAnswer({ echo: { metadata: { a: 'b' } } }) });
    await given.store.finishRun(ending(run.id, 'completed'));
    const found = await given.store.findAnswer(owner, answer.id);
    assert.equal(found?.turn.items.length, 1);
    assert.equal(found?.run?.status, 'completed');
    assert.deepEqual(found?.run?.request.echo, { metadata: { a: 'b' } });
    assert.equal(await given.store.findAnswer(owner, input.id), null);
    assert.equal(await given.store.findAnswer(owner, uuid()), null);
    assert.equal(await given.store.findAnswer(person({ tenant: owner.tenant, user: 'bob' }), answer.id), null);
  });

  it('may be made by hand: then no run wrote it', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { value } = await ann.say(newTurn('Hello', { role: 'assistant' }));
    assert.equal((await given.store.findAnswer(owner, value.input.id))?.run, null);
  });

  it('has its input: the turn it answers and those that came with it', async () => {
    const ann = at(given.store, person());
    const first = await ann.ask('One');
    await given.store.finishRun(ending(first.run.id, 'completed'));
    const lead = [newTurn('Be brief', { role: 'system' }), newTurn('Two')];
    const { input } = await ann.ask('Three', { conversation: first.conversation, lead });
    const chain = (count: number) => given.store.readChain({ turn: input.id, count });
    assert.deepEqual(
      (await chain(3)).map(({ id }) => id),
      [...lead.map(({ id }) => id), input.id],
    );
    assert.equal((await chain(100)).length, 5);
    assert.deepEqual(await given.store.readChain({ turn: uuid(), count: 3 }), []);
  });
});

describeStore('Deleting a response', (given) => {
  it('leaves its items in a conversation that is listed, and takes its log', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { answer, run, conversation } = await ann.ask('One');
    await given.store.finishRun(ending(run.id, 'completed'));
    const unit = { owner, now: 3, once: null, turn: answer.id };
    const { value } = await given.store.deleteAnswer(unit);
    assert.deepEqual([value.erased, value.runs], [false, []]);
    assert.equal(await given.store.findAnswer(owner, answer.id), null);
    assert.deepEqual(await given.store.readEvents({ run: run.id, after: 0, limit: 10 }), []);
    assert.deepEqual(
      (await ann.read(conversation.id))?.map(({ items }) => items.length),
      [1, 1],
    );
    await refused(given.store.deleteAnswer(unit), 'not_found');
  });

  it('takes an unlisted conversation with the last of its responses, and names what is still open there', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const one = await ann.ask('One', { conversation: { create: newConversation({ listed: false }) } });
    await given.store.finishRun(ending(one.run.id, 'completed'));
    const two = await ann.ask('Two', { conversation: one.conversation });
    const remove = (turn: string) => given.store.deleteAnswer({ owner, now: 3, once: null, turn });
    assert.equal((await remove(one.answer.id)).value.erased, false);
    assert.equal((await ann.read(one.conversation.id))?.length, 4);
    const { value } = await remove(two.answer.id);
    assert.deepEqual([value.erased, value.runs], [true, [two.run.id]]);
    assert.equal(await ann.find(one.conversation.id), null);
  });

  it('is done once under one key, and is refused for another user’s', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { answer, run } = await ann.ask('One', { conversation: { create: newConversation({ listed: false }) } });
    await given.store.finishRun(ending(run.id, 'completed'));
    const bob = person({ tenant: owner.tenant, user: 'bob' });
    await refused(given.store.deleteAnswer({ owner: bob, now: 3, once: null, turn: answer.id }), 'not_found');
    const unit = { owner, now: 3, once: { key: 'k', command: 'delete' }, turn: answer.id };
    assert.equal((await given.store.deleteAnswer(unit)).replayed, false);
    assert.equal((await given.store.deleteAnswer(unit)).replayed, true);
  });
});

describeStore('A secret of the database', (given) => {
  it('is the first that was kept under its name', async () => {
    const name = uuid();
    assert.equal(await given.store.keepSecret({ name, value: 'one' }), 'one');
    assert.equal(await given.store.keepSecret({ name, value: 'two' }), 'one');
  });
});
