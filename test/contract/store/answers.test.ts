import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Accepted, AnswerTurn } from '../../../src/ports/store.ts';
import { describeStore } from './adapters.ts';
import { at, ending, newAnswer, newTurn, openRunsOf, person, refused, terminal, text, uuid } from './fixtures.ts';

describeStore('Answering a stored turn', (given) => {
  const answer = (owner: AnswerTurn['owner'], target: AnswerTurn['target'], now = 9): Promise<Accepted> =>
    given.store.answerTurn({ owner, now, target, answer: newAnswer() });

  it("answers the conversation's newest user turn, at the head", async () => {
    const owner = person();
    const ann = at(given.store, owner);
    await ann.create();
    const { conversation } = (await ann.say('One')).value;
    const { input } = (await ann.say('Two', { conversation })).value;
    const accepted = await answer(owner, { conversation: { by: 'id', id: conversation.id } });
    assert.deepEqual(accepted.input, input);
    assert.equal(accepted.fresh, true);
    assert.deepEqual(
      [accepted.answer?.parent, accepted.answer?.answers, accepted.answer?.depth, accepted.answer?.status],
      [input.id, input.id, 3, 'in_progress'],
    );
    assert.deepEqual([accepted.run?.status, accepted.run?.answers], ['started', input.id]);
    assert.deepEqual([accepted.conversation.head, accepted.conversation.activeAt], [accepted.answer?.id, 9]);
    assert.deepEqual((await ann.read(conversation.id))?.at(-1), accepted.answer);
  });

  it('gives the answer there is, being written or written, and asks for none again', async () => {
    const owner = person();
    const { conversation } = (await at(given.store, owner).say('One')).value;
    const target = { conversation: { by: 'id', id: conversation.id } } as const;
    const first = await answer(owner, target);
    const again = await answer(owner, target);
    assert.deepEqual([again.fresh, again.run?.id, again.answer?.id], [false, first.run?.id, first.answer?.id]);
    await given.store.finishRun(ending(first.run?.id ?? '', 'completed'));
    const later = await answer(owner, target);
    assert.deepEqual([later.fresh, later.run?.status, later.answer?.items.length], [false, 'completed', 1]);
    const byTurn = await answer(owner, { turn: first.input.id });
    assert.equal(byTurn.answer?.id, first.answer?.id);
  });

  it('asks for one answer only, of 20 calls at once', async () => {
    const owner = person();
    const { conversation } = (await at(given.store, owner).say('One')).value;
    const target = { conversation: { by: 'id', id: conversation.id } } as const;
    const all = await Promise.all(Array.from({ length: 20 }, () => answer(owner, target)));
    assert.equal(all.filter(({ fresh }) => fresh).length, 1);
    assert.equal(new Set(all.map(({ run }) => run?.id)).size, 1);
    assert.equal((await openRunsOf(given.store, owner.tenant)).length, 1);
  });

  it('appends the answer to an older turn at the head, and says which turn it answers', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = (await ann.say('One')).value;
    const { conversation } = first;
    const second = (await ann.say('Two', { conversation })).value;
    const accepted = await answer(owner, { turn: first.input.id });
    assert.deepEqual([accepted.answer?.parent, accepted.answer?.answers], [second.input.id, first.input.id]);
    const newest = await answer(owner, { conversation: { by: 'id', id: conversation.id } });
    assert.deepEqual([newest.fresh, newest.answer?.answers, newest.run?.status], [true, second.input.id, 'queued']);
  });

  it('takes an answer made by hand for the answer', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const { conversation, input } = (await ann.say('Question')).value;
    const byHand = (await ann.say(newTurn('By hand', { role: 'assistant' }), { conversation })).value.input;
    const accepted = await answer(owner, { turn: input.id });
    assert.deepEqual(accepted.answer, byHand);
    assert.deepEqual([accepted.run, accepted.fresh], [null, false]);
  });

  it('makes a new run on the same turn where the first failed before its first token', async () => {
    const owner = person();
    const { conversation } = (await at(given.store, owner).say('One')).value;
    const target = { conversation: { by: 'id', id: conversation.id } } as const;
    const first = await answer(owner, target);
    await given.store.finishRun(ending(first.run?.id ?? '', 'failed'));
    const second = await answer(owner, target, 20);
    assert.equal(second.fresh, true);
    assert.notEqual(second.run?.id, first.run?.id);
    assert.deepEqual(second.answer, { ...first.answer, run: second.run?.id, updatedAt: 20 });
    assert.equal((await at(given.store, owner).read(conversation.id))?.length, 2);
    assert.deepEqual(await given.store.findRunOfTurn(owner, first.answer?.id ?? ''), second.run);
    assert.equal((await given.store.findRun(owner, first.run?.id ?? ''))?.status, 'failed');
  });

  it('keeps what a run wrote before it broke off, however it ended', async () => {
    const owner = person();
    for (const status of ['incomplete', 'cancelled', 'failed'] as const) {
      const { conversation } = (await at(given.store, owner).say('One')).value;
      const target = { conversation: { by: 'id', id: conversation.id } } as const;
      const first = await answer(owner, target);
      const items = [text('Half an', 'assistant')];
      await given.store.finishRun(ending(first.run?.id ?? '', status, { items, end: terminal(status) }));
      const again = await answer(owner, target);
      assert.deepEqual([again.fresh, again.run?.id, again.answer?.items], [false, first.run?.id, items]);
    }
  });

  it('asks no second time for what was stopped or cut off by a restart without a word', async () => {
    const owner = person();
    for (const status of ['incomplete', 'cancelled'] as const) {
      const { conversation } = (await at(given.store, owner).say('One')).value;
      const target = { conversation: { by: 'id', id: conversation.id } } as const;
      const first = await answer(owner, target);
      await given.store.finishRun(ending(first.run?.id ?? '', status));
      assert.deepEqual((await answer(owner, target)).fresh, false);
    }
  });

  it('finds nothing to answer: conflict; nothing at all: not_found', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const empty = await ann.create();
    await refused(answer(owner, { conversation: { by: 'id', id: empty.id } }), 'conflict');
    const { input, conversation } = (await ann.say(newTurn('Welcome', { role: 'assistant' }))).value;
    await refused(answer(owner, { conversation: { by: 'id', id: conversation.id } }), 'conflict');
    await refused(answer(owner, { turn: input.id }), 'conflict');
    await refused(answer(owner, { turn: uuid() }), 'not_found');
    await refused(answer(owner, { conversation: { by: 'id', id: uuid() } }), 'not_found');
  });

  it('looks for the newest user turn on the shown branch, past whatever stands after it', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One');
    const { conversation } = first;
    await given.store.finishRun(ending(first.run.id, 'completed'));
    const two = (await ann.say('Two', { conversation })).value;
    await ann.say(newTurn('A note', { role: 'system' }), { conversation });
    const ref = { conversation: { by: 'id', id: conversation.id } } as const;
    assert.equal((await answer(owner, ref)).input.id, two.input.id);
    const branch = (await ann.say('Two again', { conversation, parent: first.answer.id })).value;
    assert.equal((await answer(owner, ref)).input.id, branch.input.id);
  });
});
