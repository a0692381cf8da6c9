import assert from 'node:assert/strict';
import { it } from 'node:test';
import { describeStore } from './adapters.ts';
import { at, ending, newAnswer, newConversation, newTurn, openRunsOf, person, refused, uuid } from './fixtures.ts';

describeStore('Accepting a message', (given) => {
  it('stores an input alone: a completed turn that is the head and moves both times', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create({}, 10);
    const input = newTurn('Hello');
    const { value, replayed } = await ann.say(input, { conversation, now: 20 });
    const turn = {
      id: input.id,
      conversation: conversation.id,
      parent: null,
      depth: 1,
      role: 'user',
      status: 'completed',
      run: null,
      answers: null,
      createdAt: 20,
      updatedAt: 20,
      items: input.items,
    };
    const moved = { ...conversation, head: input.id, updatedAt: 20, activeAt: 20 };
    assert.equal(replayed, false);
    assert.deepEqual(value, {
      conversation: moved,
      input: turn,
      answer: null,
      run: null,
      interrupts: [],
      fresh: false,
    });
    assert.deepEqual(await ann.find(conversation.id), moved);
    assert.deepEqual(await ann.read(conversation.id), [turn]);
  });

  it('stores both turns and the run with an answer, and starts it', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const conversation = await ann.create({ assistant: 'movies' });
    const wanted = newAnswer({ model: 'big', webSearch: 'always', parameters: { temperature: 0.5 } });
    const accepted = await ann.ask('Hello', { conversation, answer: wanted, now: 5 });
    const answer = {
      id: wanted.turn,
      conversation: conversation.id,
      parent: accepted.input.id,
      depth: 2,
      role: 'assistant',
      status: 'in_progress',
      run: wanted.run,
      answers: accepted.input.id,
      createdAt: 5,
      updatedAt: 5,
      items: [],
    };
    const run = {
      id: wanted.run,
      tenant: owner.tenant,
      user: 'ann',
      conversation: conversation.id,
      turn: wanted.turn,
      answers: accepted.input.id,
      kind: 'answer',
      status: 'started',
      request: { ...wanted.request, assistant: 'movies' },
      model: null,
      attempts: [],
      usage: null,
      finish: null,
      error: null,
      lastEvent: 0,
      createdAt: 5,
      startedAt: 5,
      endedAt: null,
    };
    assert.deepEqual(accepted.answer, answer);
    assert.deepEqual(accepted.run, run);
    assert.equal(accepted.fresh, true);
    assert.equal(accepted.conversation.head, wanted.turn);
    assert.deepEqual(await ann.read(conversation.id), [accepted.input, answer]);
    assert.deepEqual(await given.store.findRun(owner, wanted.run), run);
    assert.deepEqual(await given.store.findRunOfTurn(owner, wanted.turn), run);
    assert.deepEqual(await given.store.findTurn(owner, wanted.turn), {
      conversation: accepted.conversation,
      turn: answer,
    });
    assert.deepEqual(await openRunsOf(given.store, owner.tenant), [run]);
  });

  it('keeps the assistant a request names, instead of the conversation its own', async () => {
    const ann = at(given.store, person());
    const { run } = await ann.ask('Hello', { answer: newAnswer({ assistant: 'movies' }) });
    assert.equal(run.request.assistant, 'movies');
  });

  it('makes the conversation in the same commit, with its number', async () => {
    const ann = at(given.store, person());
    const create = newConversation({ title: 'New', active: true });
    const { conversation } = await ann.ask('Hello', { conversation: { create } });
    assert.deepEqual(
      [conversation.id, conversation.number, conversation.title, conversation.active],
      [create.id, 1, 'New', true],
    );
    assert.deepEqual(await ann.find(create.id), conversation);
  });

  it('goes on in the conversation the user has under the external id of a new one', async () => {
    const ann = at(given.store, person());
    const there = await ann.create({ externalId: 'chat-1' });
    const { value } = await ann.say('Hello', { conversation: { create: newConversation({ externalId: 'chat-1' }) } });
    assert.equal(value.conversation.id, there.id);
    assert.equal((await ann.list()).length, 1);
  });

  it('puts each input under the head, be it an input or an answer, finished or not', async () => {
    const ann = at(given.store, person());
    const first = await ann.ask('One');
    const { conversation } = first;
    const second = (await ann.say('Two', { conversation })).value;
    const third = await ann.ask('Three', { conversation });
    assert.deepEqual([second.input.parent, second.input.depth], [first.answer.id, 3]);
    assert.deepEqual([third.input.parent, third.input.depth], [second.input.id, 4]);
    assert.deepEqual(
      (await ann.read(conversation.id))?.map((turn) => turn.depth),
      [1, 2, 3, 4, 5],
    );
  });

  it('puts an input under a given parent, as a branch that becomes the shown one', async () => {
    const ann = at(given.store, person());
    const first = await ann.ask('One');
    const { conversation } = first;
    await ann.say('Two', { conversation });
    const edited = (await ann.say('Two, edited', { conversation, parent: first.answer.id })).value;
    assert.deepEqual([edited.input.parent, edited.input.depth], [first.answer.id, 3]);
    const shown = await ann.read(conversation.id);
    assert.deepEqual(
      shown?.map((turn) => turn.id),
      [first.input.id, first.answer.id, edited.input.id],
    );
  });

  it('refuses a parent that is no turn of the conversation, and stores nothing', async () => {
    const ann = at(given.store, person());
    const elsewhere = await ann.ask('Elsewhere');
    const conversation = await ann.create();
    for (const parent of [uuid(), elsewhere.input.id]) {
      await refused(ann.say('Hello', { conversation, parent, answer: true }), 'not_found');
    }
    assert.deepEqual(await ann.find(conversation.id), conversation);
    assert.deepEqual(await ann.read(conversation.id), []);
  });

  it('makes no conversation where the message to begin it with is refused', async () => {
    const ann = at(given.store, person());
    const create = newConversation();
    await refused(ann.say('Hello', { conversation: { create }, parent: uuid() }), 'not_found');
    assert.equal(await ann.find(create.id), null);
    assert.equal((await ann.create()).number, 1);
  });

  it('refuses an unknown conversation', async () => {
    const ann = at(given.store, person());
    await refused(ann.say('Hello', { conversation: { ref: { by: 'number', number: 1 } } }), 'not_found');
    await refused(ann.say('Hello', { conversation: { ref: { by: 'id', id: uuid() } } }), 'not_found');
    await refused(ann.say('Hello', { conversation: { ref: { by: 'external', id: 'x' } } }), 'not_found');
  });

  it('queues a second answer behind the first', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const first = await ann.ask('One', { now: 1 });
    const second = await ann.ask('Two', { conversation: first.conversation, now: 2 });
    assert.deepEqual([second.run.status, second.run.startedAt, second.answer.status], ['queued', null, 'queued']);
    assert.equal(second.fresh, true);
    assert.deepEqual(second.interrupts, []);
    assert.deepEqual(await openRunsOf(given.store, owner.tenant), [first.run, second.run]);
  });

  it('refuses a second answer with reject, and stores nothing of it', async () => {
    const ann = at(given.store, person());
    const { conversation } = await ann.ask('One');
    await refused(ann.say('Two', { conversation, answer: true, onBusy: 'reject' }), 'conflict');
    assert.equal((await ann.read(conversation.id))?.length, 2);
  });

  it('takes a message without an answer at any time, reject or not', async () => {
    const ann = at(given.store, person());
    const { conversation } = await ann.ask('One');
    const { value } = await ann.say('Two', { conversation, onBusy: 'reject' });
    assert.equal(value.input.depth, 3);
  });

  it('names the open runs to be stopped with interrupt, and queues the new one behind them', async () => {
    const ann = at(given.store, person());
    const first = await ann.ask('One');
    const { conversation } = first;
    const second = await ann.ask('Two', { conversation });
    const third = await ann.ask('Three', { conversation, onBusy: 'interrupt' });
    assert.equal(third.run.status, 'queued');
    assert.deepEqual(third.interrupts, [first.run.id, second.run.id]);
    assert.equal((await given.store.finishRun(ending(second.run.id, 'cancelled'))).next, null);
    assert.equal((await given.store.finishRun(ending(first.run.id, 'cancelled'))).next?.id, third.run.id);
  });

  it('starts at once, interrupt or reject, where nothing is being written', async () => {
    const ann = at(given.store, person());
    for (const onBusy of ['interrupt', 'reject'] as const) {
      const { run, interrupts } = await ann.ask('One', { onBusy });
      assert.deepEqual([run.status, interrupts], ['started', []]);
    }
  });

  it('takes an assistant turn made by hand for the answer to the user turn above it', async () => {
    const ann = at(given.store, person());
    const question = (await ann.say('Question')).value;
    const { conversation } = question;
    const byHand = (await ann.say(newTurn('By hand', { role: 'assistant' }), { conversation })).value;
    assert.equal(byHand.input.answers, question.input.id);
    const more = (await ann.say(newTurn('More', { role: 'assistant' }), { conversation })).value;
    assert.equal(more.input.answers, null);
    const parent = question.input.id;
    const other = (await ann.say(newTurn('Other', { role: 'assistant' }), { conversation, parent })).value;
    assert.equal(other.input.answers, parent);
  });

  it('takes an assistant turn at the root of a conversation for nobody its answer', async () => {
    const { value } = await at(given.store, person()).say(newTurn('Welcome', { role: 'assistant' }));
    assert.deepEqual([value.input.answers, value.input.role, value.input.depth], [null, 'assistant', 1]);
  });

  it('keeps items of every type as they are, in their order', async () => {
    const ann = at(given.store, person());
    const status = 'completed' as const;
    const evidence = { of: 'page' as const, readAt: 1, hash: 'ab', quotes: ['One.', 'Two.'] };
    const source = { index: 1, title: 'A page', url: 'https://example.org/', evidence };
    const items = [
      { type: 'message' as const, id: uuid(), role: 'user' as const, status, content: [] },
      { type: 'reasoning' as const, id: uuid(), status, text: 'hm "\\ 𝄞' },
      { type: 'function_call' as const, id: uuid(), status, callId: 'c', name: 'f', arguments: '{"a":1}' },
      { type: 'function_call_output' as const, id: uuid(), status, callId: 'c', output: 'line\nline' },
      {
        type: 'web_search_call' as const,
        id: uuid(),
        status,
        action: { type: 'search' as const, queries: ['q'] },
        sources: [source],
      },
    ];
    const { value } = await ann.say(newTurn('', { items }));
    assert.deepEqual((await ann.read(value.conversation.id))?.[0]?.items, items);
  });

  it("refuses a client's own id of a message that is in the conversation already, and takes it in another", async () => {
    const ann = at(given.store, person());
    const { value } = await ann.say(newTurn('One', { externalId: 'm-1' }));
    const again = newTurn('Two', { externalId: 'm-1' });
    await refused(ann.say(again, { conversation: value.conversation }), 'conflict');
    assert.equal((await ann.say(again)).value.input.id, again.id);
  });

  it('gives 50 messages sent to one conversation at once a total order without gaps', async () => {
    const owner = person();
    const conversation = await at(given.store, owner).create();
    await Promise.all(Array.from({ length: 50 }, (_, i) => at(given.store, owner).say(`${i}`, { conversation })));
    const turns = (await at(given.store, owner).read(conversation.id)) ?? [];
    assert.deepEqual(
      turns.map((turn) => turn.depth),
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
    for (const [i, turn] of turns.entries()) assert.equal(turn.parent, turns[i - 1]?.id ?? null);
  });
});
