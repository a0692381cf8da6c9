import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import { at, ending, newTurn, person, text, uuid } from './fixtures.ts';

describeStore('Turns in front of an input', (given) => {
  it('are put in a chain before it, in the same commit, and are part of what a model is given', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    await given.store.finishRun(ending(first.run.id, 'completed'));
    const lead = [newTurn('Be brief', { role: 'system' }), newTurn('Two'), newTurn('Yes?', { role: 'assistant' })];
    const { answer, input, conversation } = await ann.ask('Three', { conversation: first.conversation, lead });

    const path = (await ann.read(conversation.id)) ?? [];
    const said = path.map(({ id, role, depth, parent }) => ({ id, role, depth, parent }));
    const [one, reply, system, two, yes, three] = path.map(({ id }) => id);
    assert.deepEqual(said, [
      { id: one, role: 'user', depth: 1, parent: null },
      { id: reply, role: 'assistant', depth: 2, parent: one },
      { id: system, role: 'system', depth: 3, parent: reply },
      { id: two, role: 'user', depth: 4, parent: system },
      { id: yes, role: 'assistant', depth: 5, parent: two },
      { id: three, role: 'user', depth: 6, parent: yes },
      { id: answer.id, role: 'assistant', depth: 7, parent: three },
    ]);
    assert.deepEqual([system, two, yes, three], [...lead.map(({ id }) => id), input.id]);
    assert.equal(path[4]?.answers, two, 'an assistant’s turn answers the user’s before it');
    assert.equal(conversation.head, answer.id);
    const context = await given.store.readContext({ conversation: conversation.id, turn: input.id, tokens: 1000 });
    assert.equal(context.length, 6);
  });

  it('hang from the parent that is named, and fork there', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    await given.store.finishRun(ending(first.run.id, 'completed'));
    await ann.say('Two', { conversation: first.conversation });
    const lead = [newTurn('Be brief', { role: 'system' })];
    const fork = await ann.say('Other two', { conversation: first.conversation, parent: first.answer.id, lead });
    const context = await given.store.readContext({
      conversation: first.conversation.id,
      turn: fork.value.input.id,
      tokens: 1000,
    });
    assert.deepEqual(
      context.map(({ id }) => id),
      [first.input.id, first.answer.id, lead[0]?.id, fork.value.input.id],
    );
  });
});

describeStore('An item by its id', (given) => {
  it('is found with its turn and conversation by its owner alone', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const items = [text('One'), text('Two')];
    const { value } = await ann.say(newTurn('', { items }));
    const found = await given.store.findItem(owner, items[1]?.id ?? '');
    assert.deepEqual(found?.item, items[1]);
    assert.equal(found?.turn.id, value.input.id);
    assert.equal(found?.conversation.id, value.conversation.id);
    assert.equal(await given.store.findItem(person({ tenant: owner.tenant, user: 'bob' }), items[1]?.id ?? ''), null);
    assert.equal(await given.store.findItem(owner, uuid()), null);
  });

  it('is not found any more once its conversation is deleted', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { value } = await ann.say('One');
    const id = value.input.items[0]?.id ?? '';
    assert.notEqual(await given.store.findItem(owner, id), null);
    await ann.remove(value.conversation.id);
    assert.equal(await given.store.findItem(owner, id), null);
  });
});
