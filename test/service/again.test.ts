/** An answer that was cut off is gone on from, or made again: over a real store, a real model server, and a real crash. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Principal } from '#core/principal.ts';
import { messageItem, textOf } from '#core/turn.ts';
import type { Answered } from '#service/send-message.ts';
import { systemIds as ids } from '../../src/adapters/clock/system.ts';
import { countRows } from '../../torture/inspect.ts';
import { refused } from '../contract/store/fixtures.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer } from '../support/server.ts';
import { type Answering, person as personOf, startAnswering } from './answering.ts';

let model: ModelServer;
let talk: Answering;

before(async () => {
  talk = await startAnswering();
  model = talk.model;
  model.answer({ text: 'Hello.' });
});
after(() => talk?.close());
afterEach(() => model.answer({ text: 'Hello.' }));

let people = 0;
const person = () => personOf(`user-${++people}`);

/** Asks something, and gets an answer that breaks off after so many words. */
async function cutOff(principal: Principal, listed = true, cut = 3) {
  model.next({ text: 'One two three four', cut });
  const items = [messageItem('', 'user', 'Count')];
  const input = { conversation: { create: { listed } }, items, onBusy: 'queue', request: {} } as const;
  const asked = await talk.messages.accept(principal, input, null);
  return { ...asked, ...(await talk.end(principal, asked)) };
}

/** The shown branch. */
async function path({ store }: Answering, owner: Principal, conversation: string) {
  const read = { owner, ref: { by: 'id', id: conversation }, limit: 100, before: null } as const;
  const found = await store.readPath(read);
  return found?.turns.map(({ role, status, items }) => [role, status, textOf(items)]) ?? [];
}

const calls = () => model.calls.length;

describe('an answer that was cut off', () => {
  for (const listed of [true, false]) {
    it(`is gone on from by a turn of its own, in ${listed ? 'a listed' : 'an unlisted'} conversation`, async () => {
      const me = person();
      const first = await cutOff(me, listed);
      assert.deepEqual([first.status, first.text], ['incomplete', 'One two three']);
      model.next({ text: [' fo', 'ur'] });
      const before = calls();
      const rest = await talk.messages.continueAnswer(me, { turn: first.answer.id, request: {} }, null);
      assert.deepEqual(await talk.end(me, rest), { status: 'completed', text: ' four' });
      assert.equal(calls() - before, 1);
      assert.deepEqual([rest.answer.parent, rest.answer.answers], [first.answer.id, first.answer.id]);
      const { messages } = (await model.call(calls() - 1)).body;
      assert.deepEqual(messages.at(-2), { role: 'assistant', content: 'One two three' });
      assert.equal(messages.at(-1)?.role, 'user');
      assert.match(String(messages.at(-1)?.content), /cut off.*"One two three"$/s);
      assert.deepEqual(
        (await path(talk, me, rest.conversation.id)).slice(1),
        [
          ['assistant', 'incomplete', 'One two three'],
          ['assistant', 'completed', ' four'],
        ],
        'both are there, each as it was said',
      );
    });
  }

  it('is one message to the model from then on', async () => {
    const me = person();
    const first = await cutOff(me);
    model.next({ text: ' four' });
    const again = { turn: first.answer.id, request: {} };
    await talk.end(me, await talk.messages.continueAnswer(me, again, null));
    const next = { conversation: first.conversation.id, text: 'And?' };
    await talk.end(me, await talk.messages.send(me, next, null));
    const { messages } = (await model.call(calls() - 1)).body;
    assert.deepEqual(messages.slice(-2), [
      { role: 'assistant', content: 'One two three four' },
      { role: 'user', content: 'And?' },
    ]);
  });

  it('is gone on from once, however often it is asked for: with a key, without, and at once', async () => {
    const me = person();
    const first = await cutOff(me);
    const before = calls();
    const again = { turn: first.answer.id, request: {} };
    const once = { key: 'go-on', command: 'a' };
    const all = await Promise.all(
      Array.from({ length: 10 }, (_, i) => talk.messages.continueAnswer(me, again, i % 2 === 0 ? once : null)),
    );
    assert.equal(new Set(all.map(({ answer }) => answer.id)).size, 1);
    assert.equal(all.filter(({ fresh }) => fresh).length, 1);
    for (const one of all) await talk.end(me, one);
    await talk.end(me, await talk.messages.continueAnswer(me, again, once));
    assert.equal(calls() - before, 1);
    await refused(talk.messages.continueAnswer(me, again, { ...once, command: 'b' }), 'idempotency_mismatch');
  });

  it('is gone on from with what was asked for the first time, but for what is asked for now', async () => {
    const me = person();
    model.next({ text: 'One two three four', cut: 2 });
    const items = [messageItem('', 'user', 'Count')];
    const request = { instructions: 'Be brief.', parameters: { temperature: 0.5 } };
    const input = { conversation: { create: {} }, items, onBusy: 'queue', request } as const;
    const first = await talk.messages.accept(me, input, null);
    await talk.end(me, first);
    for (const act of [talk.messages.continueAnswer, talk.messages.retryAnswer]) {
      const again = { turn: first.answer.id, request: { parameters: { temperature: 0.1 } } };
      await talk.end(me, await act(me, again, null));
      const { messages, temperature } = (await model.call(calls() - 1)).body;
      assert.deepEqual([messages[0]?.content, temperature], ['Be brief.', 0.1]);
    }
  });

  it('is answered again by a sibling, even where neither is on the shown branch', async () => {
    const me = person();
    const first = await cutOff(me);
    await talk.end(me, await talk.messages.continueAnswer(me, { turn: first.answer.id, request: {} }, null));
    const one = await talk.messages.retryAnswer(me, { turn: first.answer.id, request: {} }, null);
    await talk.end(me, one);
    assert.deepEqual([one.answer.parent, one.answer.answers], [first.input.id, first.input.id]);
    assert.equal(one.conversation.head, one.answer.id);
    // By now the first answer is off the branch: it is gone on from all the same.
    model.next({ text: 'One two', cut: 1 });
    const other = await talk.messages.retryAnswer(me, { turn: first.answer.id, request: {} }, null);
    await talk.end(me, other);
    await talk.end(me, await talk.messages.retryAnswer(me, { turn: one.answer.id, request: {} }, null));
    const rest = await talk.messages.continueAnswer(me, { turn: other.answer.id, request: {} }, null);
    await talk.end(me, rest);
    assert.deepEqual((await path(talk, me, rest.conversation.id)).slice(1), [
      ['assistant', 'incomplete', 'One'],
      ['assistant', 'completed', 'Hello.'],
    ]);
  });

  it('waits, is refused or interrupts while another answer is being written', async () => {
    const me = person();
    const first = await cutOff(me);
    model.next({ text: 'Slow', stall: 'first-token' });
    const before = calls();
    const other = await talk.messages.send(me, { conversation: first.conversation.id, text: 'And?' }, null);
    await model.call(before);
    const again = { turn: first.answer.id, request: {} };
    await refused(talk.messages.continueAnswer(me, { ...again, onBusy: 'reject' }, null), 'conflict');
    const rest = await talk.messages.continueAnswer(me, { ...again, onBusy: 'interrupt' }, null);
    assert.equal(rest.run?.status, 'queued');
    assert.equal((await talk.end(me, other)).status, 'cancelled');
    assert.equal((await talk.end(me, rest)).status, 'completed');
  });

  it('that was stopped is gone on from; one that is whole, being written, foreign or no answer is not', async () => {
    const me = person();
    const before = calls();
    model.next({ text: 'One two three', stall: 2 });
    const asked = await talk.messages.send(me, { conversation: null, text: 'Count' }, null);
    await model.call(before);
    const again = { turn: asked.answer.id, request: {} };
    await refused(talk.messages.continueAnswer(me, again, null), 'conflict');
    await said(me, asked, 'One two');
    await talk.runs.stop(me, asked.run);
    assert.equal((await talk.end(me, asked)).status, 'cancelled');
    const rest = await talk.messages.continueAnswer(me, again, null);
    assert.equal((await talk.end(me, rest)).status, 'completed');
    await refused(talk.messages.continueAnswer(me, { turn: rest.answer.id, request: {} }, null), 'conflict');
    for (const act of [talk.messages.continueAnswer, talk.messages.retryAnswer]) {
      await refused(act(person(), again, null), 'not_found');
      await refused(act(me, { turn: asked.input.id, request: {} }, null), 'not_found');
      await refused(act(me, { turn: ids.uuid(), request: {} }, null), 'not_found');
    }
    const conversation = asked.conversation.id;
    const entry = await talk.messages.add(me, { conversation, role: 'assistant', text: 'By hand' }, null);
    await refused(talk.messages.retryAnswer(me, { turn: entry.id, request: {} }, null), 'conflict');
  });

  /** Resolves when an answer being written says so much. */
  function said(me: Principal, { run, answer }: Answered, words: string): Promise<void> {
    return new Promise((resolve) => {
      let text = '';
      talk.runs.follow(me, { run, turn: answer }, 0, {
        events(_first, events) {
          for (const event of events) if (event.type === 'text-delta') text += event.text;
          if (text.startsWith(words)) resolve();
          return !text.startsWith(words);
        },
        gone: () => {},
      });
    });
  }
});

it('after a kill of the server both work on what was saved', async () => {
  const model = await startModelServer();
  const server = await startServer({ model: model.url });
  model.next({ text: 'One two three four', stall: 3 });
  const owner = server.client('ann');
  const chat = (await owner.request<{ id: string }>('POST', '/chats/create', { body: { name: 'A' } })).body.id;
  const entry = { chat_id: chat, role: 'Human', message: 'Count' };
  const { id } = (await owner.request<{ id: string }>('POST', '/conversations/create', { body: entry })).body;
  const answer = await owner.open('GET', `/conversations/inference/${id}`);
  await answer.until('three');
  const logged = "select count(*) as count from run_events where payload like '%three%'";
  while (countRows(server.data, logged) === 0) await sleep(10);
  await server.kill();
  const later = await startAnswering({ data: { folder: server.data, model } });
  try {
    assert.equal(later.recovered.ended, 1);
    const me = personOf('ann');
    const ref = { by: 'id', id: chat } as const;
    const found = await later.store.readPath({ owner: me, ref, limit: 10, before: null });
    const cut = found?.turns.at(-1);
    assert(cut !== undefined);
    assert.deepEqual([cut.status, textOf(cut.items).trim()], ['incomplete', 'One two three']);
    model.next({ text: 'four' });
    const rest = await later.messages.continueAnswer(me, { turn: cut.id, request: {} }, null);
    assert.deepEqual(await later.end(me, rest), { status: 'completed', text: 'four' });
    const other = await later.messages.retryAnswer(me, { turn: cut.id, request: {} }, null);
    assert.equal((await later.end(me, other)).status, 'completed');
    assert.deepEqual(await path(later, me, chat), [
      ['user', 'completed', 'Count'],
      ['assistant', 'completed', 'You said: Count'],
    ]);
  } finally {
    await later.close();
    await server.close();
    await model.close();
  }
});
