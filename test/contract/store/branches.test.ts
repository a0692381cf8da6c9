/** Siblings: messages that replace another, further answers, and the tree they make. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Owner } from '../../../src/core/principal.ts';
import type { EndStatus } from '../../../src/core/run.ts';
import type { AcceptMessage, AnswerAgain, FinishRun, Store } from '../../../src/ports/store.ts';
import { describeStore } from './adapters.ts';
import { at, ending, newAnswer, newConversation, newTurn, person, refused, terminal, text } from './fixtures.ts';

describeStore('Branches', (given) => {
  /** A message that replaces another. */
  function replace(store: Store, owner: Owner, conversation: string, unit: Partial<AcceptMessage>) {
    return store.acceptMessage({
      owner,
      now: 5,
      once: null,
      conversation: { ref: { by: 'id', id: conversation } },
      input: newTurn('Changed'),
      parent: null,
      answer: newAnswer(),
      onBusy: 'queue',
      ...unit,
    });
  }

  function again(store: Store, owner: Owner, conversation: string, turn: string, unit: Partial<AnswerAgain> = {}) {
    const plain = { now: 5, once: null, onBusy: 'queue' as const, sibling: true };
    return store.answerAgain({ owner, conversation, turn, answer: newAnswer(), ...plain, ...unit });
  }

  /** Two exchanges, both answered. */
  async function talk(owner = person()) {
    const { store } = given;
    const me = at(store, owner);
    const first = await me.ask(newTurn('One', { externalId: 'm1' }));
    await store.finishRun(ending(first.run.id, 'completed'));
    const second = await me.ask(newTurn('Two', { externalId: 'm2' }), { conversation: first.conversation });
    await store.finishRun(ending(second.run.id, 'completed'));
    return { store, owner, me, first, second, id: first.conversation.id };
  }

  it('a message that replaces another is its sibling and the head moves behind it', async () => {
    const { store, owner, me, first, second, id } = await talk();
    const { value } = await replace(store, owner, id, { replaces: second.input.id });
    assert.equal(value.input.parent, first.answer.id);
    assert.equal(value.input.depth, second.input.depth);
    assert.equal(value.conversation.head, value.answer?.id);
    assert.deepEqual(
      (await me.read(id))?.map((turn) => turn.id),
      [first.input.id, first.answer.id, value.input.id, value.answer?.id],
    );
  });

  it('the first message can be replaced too', async () => {
    const { store, owner, me, first, id } = await talk();
    const { value } = await replace(store, owner, id, { replaces: first.input.id });
    assert.deepEqual([value.input.parent, value.input.depth], [null, 1]);
    assert.deepEqual((await me.read(id))?.[0]?.id, value.input.id);
  });

  it("a client's own id is the newest one's", async () => {
    const { store, owner, second, id } = await talk();
    const input = newTurn('Changed', { externalId: 'm2' });
    await replace(store, owner, id, { replaces: second.input.id, input });
    assert.equal((await store.findMessage(owner, id, 'm2'))?.id, input.id);
    assert.equal((await store.findMessage(owner, id, second.input.id))?.id, second.input.id);
    const tree = await store.readTree({ owner, conversation: id, depth: 1, limit: 10 });
    assert.deepEqual(
      tree.filter(({ externalId }) => externalId === 'm2').map((node) => node.id),
      [input.id],
    );
  });

  it("another message's id cannot be taken, and the replaced one keeps its own then", async () => {
    const { store, owner, second, id } = await talk();
    const taken = newTurn('Changed', { externalId: 'm1' });
    await refused(replace(store, owner, id, { replaces: second.input.id, input: taken }), 'conflict');
    assert.equal((await store.findMessage(owner, id, 'm2'))?.id, second.input.id);
    await replace(store, owner, id, { replaces: second.input.id, input: newTurn('Changed', { externalId: 'm3' }) });
    assert.equal((await store.findMessage(owner, id, 'm2'))?.id, second.input.id);
  });

  it('what is no message of a person’s in this conversation cannot be replaced or answered again', async () => {
    const { store, owner, first, id } = await talk();
    const other = await talk(owner);
    for (const turn of [first.answer.id, other.first.input.id, newTurn('').id]) {
      await refused(replace(store, owner, id, { replaces: turn }), 'not_found');
    }
    for (const turn of [other.first.input.id, newTurn('').id]) {
      await refused(again(store, owner, id, turn), 'not_found');
    }
    const stranger = person({ tenant: owner.tenant, user: 'eve' });
    await refused(replace(store, stranger, id, { replaces: first.input.id }), 'not_found');
    await refused(again(store, stranger, id, first.input.id), 'not_found');
    assert.equal(await store.findMessage(stranger, id, 'm1'), null);
    assert.deepEqual(await store.readTree({ owner: stranger, conversation: id, depth: 1, limit: 10 }), []);
    assert.equal((await store.readTree({ owner, conversation: id, depth: 1, limit: 10 })).length, 4);
  });

  it('a further answer is a sibling, and the head moves to it', async () => {
    const { store, owner, me, first, id } = await talk();
    const { value } = await again(store, owner, id, first.input.id);
    assert.equal(value.fresh, true);
    assert.deepEqual([value.answer?.parent, value.answer?.answers], [first.input.id, first.input.id]);
    assert.notEqual(value.answer?.id, first.answer.id);
    assert.deepEqual(
      (await me.read(id))?.map((turn) => turn.id),
      [first.input.id, value.answer?.id],
    );
  });

  it('without a sibling the newest answer comes back; one that failed without a word is written anew', async () => {
    const { store, owner, first, id } = await talk();
    const same = await again(store, owner, id, first.input.id, { sibling: false });
    assert.deepEqual([same.value.answer?.id, same.value.fresh], [first.answer.id, false]);
    const made = (await again(store, owner, id, first.input.id)).value;
    await store.finishRun(ending(made.run?.id ?? '', 'failed'));
    for (const sibling of [false, true]) {
      const { value } = await again(store, owner, id, first.input.id, { sibling });
      assert.deepEqual([value.answer?.id, value.fresh, value.run?.status], [made.answer?.id, true, 'started']);
      await store.finishRun(ending(value.run?.id ?? '', 'failed'));
    }
  });

  it('a message without an answer gets its first below itself', async () => {
    const { store } = given;
    const owner = person();
    const { value: said } = await at(store, owner).say('Alone', { conversation: { create: newConversation() } });
    const { value } = await again(store, owner, said.conversation.id, said.input.id, { sibling: false });
    assert.deepEqual([value.fresh, value.answer?.parent, value.run?.status], [true, said.input.id, 'started']);
  });

  it('is done once under its Idempotency-Key', async () => {
    const { store, owner, first, second, id } = await talk();
    const once = { key: 'again', command: 'a' };
    const made = await again(store, owner, id, first.input.id, { once });
    const replayed = await again(store, owner, id, first.input.id, { once });
    assert.deepEqual([made.replayed, replayed.replayed], [false, true]);
    assert.deepEqual([replayed.value.answer?.id, replayed.value.fresh], [made.value.answer?.id, false]);
    const other = { key: 'again', command: 'b' };
    await refused(again(store, owner, id, second.input.id, { once: other }), 'idempotency_mismatch');

    const edit = { key: 'edit', command: 'a' };
    const changed = await replace(store, owner, id, { replaces: second.input.id, once: edit });
    const same = await replace(store, owner, id, { replaces: second.input.id, once: edit });
    assert.deepEqual([same.replayed, same.value.input.id], [true, changed.value.input.id]);
  });

  /** An exchange whose answer was cut off. */
  async function cutOff(facts: Partial<FinishRun> = {}, status: EndStatus = 'incomplete') {
    const { store } = given;
    const owner = person();
    const me = at(store, owner);
    const asked = await me.ask('One');
    await store.finishRun(ending(asked.run.id, status, { items: [text('Half an', 'assistant')], ...facts }));
    return { store, owner, me, asked, id: asked.conversation.id, answer: asked.answer.id };
  }

  it('an answer that was cut off is gone on from below itself, and the head moves there', async () => {
    for (const status of ['incomplete', 'cancelled'] as const) {
      const { store, owner, me, asked, id, answer } = await cutOff({}, status);
      await me.ask('Two', { conversation: asked.conversation });
      const { value } = await again(store, owner, id, answer, { sibling: false });
      assert.deepEqual([value.fresh, value.input.id, value.run?.answers], [true, answer, answer]);
      assert.deepEqual([value.answer?.parent, value.answer?.answers], [answer, answer]);
      assert.deepEqual(
        (await me.read(id))?.map((turn) => turn.id),
        [asked.input.id, answer, value.answer?.id],
      );
    }
  });

  it('what goes on from it already comes back, and where that was cut off too, it is gone on from there', async () => {
    const { store, owner, id, answer } = await cutOff();
    const second = (await again(store, owner, id, answer, { sibling: false })).value;
    const same = (await again(store, owner, id, answer, { sibling: false })).value;
    assert.deepEqual([same.answer?.id, same.fresh], [second.answer?.id, false]);
    await store.finishRun(ending(second.run?.id ?? '', 'cancelled', { items: [text(' answ', 'assistant')] }));
    const third = (await again(store, owner, id, answer, { sibling: false })).value;
    assert.deepEqual([third.fresh, third.input.id, third.answer?.parent], [true, second.answer?.id, second.answer?.id]);
    await store.finishRun(ending(third.run?.id ?? '', 'completed'));
    const whole = (await again(store, owner, id, answer, { sibling: false })).value;
    assert.deepEqual([whole.answer?.id, whole.fresh], [third.answer?.id, false]);
    const other = (await again(store, owner, id, answer, { sibling: true })).value;
    assert.deepEqual([other.fresh, other.answer?.parent], [true, answer]);
    assert.notEqual(other.answer?.id, second.answer?.id);
  });

  it('one cut at its allowed length can be gone on from; one that is whole, empty or being written cannot', async () => {
    const long = await cutOff({ end: terminal('completed', { finish: 'length' }) }, 'completed');
    assert.equal((await again(long.store, long.owner, long.id, long.answer, { sibling: false })).value.fresh, true);
    for (const nothing of [
      await cutOff({}, 'completed'),
      await cutOff({ items: [] }),
      await cutOff({ items: [] }, 'failed'),
    ]) {
      await refused(again(nothing.store, nothing.owner, nothing.id, nothing.answer, { sibling: false }), 'conflict');
    }
    const { store } = given;
    const owner = person();
    const open = await at(store, owner).ask('One');
    await refused(again(store, owner, open.conversation.id, open.answer.id, { sibling: false }), 'conflict');
    const stranger = person({ tenant: owner.tenant, user: 'eve' });
    await refused(again(store, stranger, open.conversation.id, open.answer.id, { sibling: false }), 'not_found');
  });

  it('while an answer is being written a further one waits, is refused, or interrupts', async () => {
    const { store } = given;
    const owner = person();
    const asked = await at(store, owner).ask('One');
    const { id } = asked.conversation;
    await refused(again(store, owner, id, asked.input.id, { onBusy: 'reject' }), 'conflict');
    const { value } = await again(store, owner, id, asked.input.id, { onBusy: 'interrupt' });
    assert.deepEqual([value.run?.status, value.interrupts], ['queued', [asked.run.id]]);
    const { next } = await store.finishRun(ending(asked.run.id, 'cancelled'));
    assert.equal(next?.id, value.run?.id);
  });

  it('a message is found by an id of the client’s before one of the store’s, in its conversation only', async () => {
    const { store, owner, me, first, second, id } = await talk();
    const named = newTurn('Odd', { externalId: first.answer.id });
    await me.say(named, { conversation: first.conversation });
    assert.equal((await store.findMessage(owner, id, first.answer.id))?.id, named.id);
    assert.equal((await store.findMessage(owner, id, second.answer.id))?.items.length, 1);
    const other = await talk(owner);
    assert.equal(await store.findMessage(owner, other.id, second.answer.id), null);
    assert.equal(await store.findMessage(owner, id, 'm3'), null);
  });

  it('the tree has all branches from a depth on, in order, and the newest where there are too many', async () => {
    const { store, owner, first, second, id } = await talk();
    const { value } = await again(store, owner, id, first.input.id);
    const read = (depth: number, limit: number) => store.readTree({ owner, conversation: id, depth, limit });
    const node = (
      turn: { id: string; parent: string | null; depth: number; role: string },
      externalId: string | null,
    ) => {
      const { id: key, parent, depth, role } = turn;
      return { id: key, parent, depth, role, externalId };
    };
    assert(value.answer !== null);
    const all = [
      node(first.input, 'm1'),
      node(first.answer, null),
      node(second.input, 'm2'),
      node(second.answer, null),
      node(value.answer, null),
    ];
    assert.deepEqual(await read(1, 10), all);
    assert.deepEqual(await read(1, 2), all.slice(-2));
    assert.deepEqual(await read(3, 10), [all[2], all[3]]);
  });
});
