/**
 * "When a conversation is deleted while it is being answered, the model call is aborted and followers get the 404 error,
 * then the end" (DIALECTS.md): races of deleting against writing, following and asking; nothing comes back to life.
 */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { countRows, inspect } from '../../torture/inspect.ts';
import { parseEvents } from '../support/event-source.ts';
import { echo, type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Answer, type Client, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, openSocket } from '../support/socket.ts';
import { DIALECTS, type Named, named } from './dialects.ts';

const RACES = Number(process.env.TEST_RACES ?? 60);
const TABLES = ['conversations', 'turns', 'items', 'runs', 'run_logs', 'run_events'];

let model: ModelServer;
let server: TestServer;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
});
beforeEach(() => model.answer(echo));
after(async () => {
  closeSockets();
  await server?.close();
  await model.close();
});

/** Proves that nothing of the deleted conversations is kept, neither in what is shown nor in the file. */
function assertNothingLeft(): void {
  for (const table of TABLES) {
    assert.equal(countRows(server.data, `select count(*) as count from ${table}`), 0, `rows of ${table}`);
  }
  assert.deepEqual(inspect(server.data), []);
}

/** A chat with an entry, whose answer waits at the gate after its first word. */
async function running(client: Client) {
  const from = model.calls.length;
  model.next({ text: 'One two three four', gated: true });
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
  const entry = { chat_id: chat.id, role: 'Human', message: 'Count.' };
  await client.request('POST', '/conversations/create', { body: entry });
  const stream = await client.open('GET', `/conversations/inference/${chat.id}`);
  const call = await model.call(from);
  await call.release();
  await stream.until('data: One');
  return { chat: chat.id, stream, call };
}

describe('deleted while its answer is written', () => {
  for (const { name, remove } of DIALECTS) {
    it(`with ${name}: the model call is aborted, and every follower gets the 404`, async () => {
      const client = server.client();
      const { chat, stream, call } = await running(client);
      const second = await client.open('GET', `/conversations/inference_internet/${chat}`);
      await second.until('data: One');
      const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
      const socket = await openSocket(server.url, '/ws?stream=true', { headers });
      socket.send({ type: 'message', content: 'And?', conversation_id: chat });
      const waiting = await socket.next();
      const plain = client.request<{ detail: string }>('POST', '/chat', {
        body: { message: 'And then?', conversation_id: chat },
      });
      while (countRows(server.data, 'select count(*) as count from runs where ended_at is null') < 3) {
        await new Promise(setImmediate);
      }

      const deleted = await remove(client, await named(client, chat));
      assert.ok([200, 204].includes(deleted.status), `${deleted.status} ${deleted.text}`);
      assert.equal(await call.over, 'left');
      for (const text of [await stream.ended, await second.ended]) {
        const events = parseEvents(text);
        assert.deepEqual(
          events.map(({ event }) => event),
          ['message', 'error'],
          text,
        );
        assert.equal(JSON.parse(events.at(-1)?.data ?? '').code, 404);
        assert.ok(Number(events.at(-1)?.id) > Number(events[0]?.id));
      }
      const { conversation_id, message_id } = waiting;
      const told = { type: 'error', detail: 'Resource not found', conversation_id, message_id };
      assert.deepEqual(await socket.next(), told);
      const answer = await plain;
      assert.deepEqual([answer.status, answer.body], [404, { detail: 'Resource not found' }]);
      assert.equal((await client.request('GET', `/conversations/inference/${chat}`)).status, 404);
      const again = await client.request('GET', `/conversations/inference/${chat}`, {
        headers: { 'last-event-id': '1' },
      });
      assert.equal(again.status, 404, 'who reconnects gets it too');
      await socket.close();
      assertNothingLeft();
    });
  }

  it('with "delete all", the same', async () => {
    const client = server.client();
    const all = await Promise.all([running(client)]);
    await client.request('DELETE', '/api/chat/');
    for (const { stream, call } of all) {
      assert.equal(await call.over, 'left');
      assert.equal(parseEvents(await stream.ended).at(-1)?.event, 'error');
    }
    assertNothingLeft();
  });
});

describe(`${RACES} races of deleting against writing`, () => {
  /** What runs against the deletion, each more than once. */
  const writes: ((client: Client, conversation: Named) => Promise<Answer>)[] = [
    (client, { number }) => client.request('POST', `/api/chat/${number}/messages`, { body: { content: 'x' } }),
    (client, { number }) => client.request('POST', `/api/chat_sessions/${number}/chat`, { body: { message: 'x' } }),
    (client, { id }) => client.request('POST', '/chat', { body: { message: 'x', conversation_id: id } }),
    (client, { id }) => client.request('POST', '/ask', { body: { prompt: 'x', conversation_id: id } }),
    (client, { id }) => client.request('GET', `/conversations/inference/${id}`),
    (client, { id }) => {
      const body = { chat_id: id, role: 'Human', message: 'x' };
      return client.request('POST', '/conversations/create', { body });
    },
    (client, { id }) => client.request('PUT', `/chats/update/${id}`, { body: { name: 'x' } }),
  ];

  it('each write is done or 404, and nothing is left', async () => {
    const outcomes = new Map<number, number>();
    for (let race = 0; race < RACES; race++) {
      const client = server.client();
      const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
      const entry = { chat_id: chat.id, role: 'Human', message: 'Before.' };
      await client.request('POST', '/conversations/create', { body: entry });
      const conversation = await named(client, chat.id);
      const remove = DIALECTS[race % DIALECTS.length]?.remove;
      assert.ok(remove !== undefined);
      // The deletion comes after so many of the writes, of which all are under way at once.
      const before = race % (writes.length + 1);
      const answers: Promise<Answer>[] = [];
      for (const [i, write] of writes.entries()) {
        if (i === before) answers.push(remove(client, conversation));
        answers.push(write(client, conversation));
      }
      if (before === writes.length) answers.push(remove(client, conversation));
      for (const { status, text } of await Promise.all(answers)) {
        assert.ok([200, 201, 204, 404].includes(status), `${status} ${text}`);
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1);
      }
      assert.equal((await client.request('GET', '/chats/')).text, '[]', `race ${race}`);
      assert.equal((await client.request('GET', `/conversations/${chat.id}`)).status, 404, `race ${race}`);
    }
    assert.ok((outcomes.get(404) ?? 0) > 0 && (outcomes.get(201) ?? 0) > 0, 'some writes won, and some lost');
    // What a model was still being asked is over before the file is looked at.
    await Promise.all(model.calls.map((call) => call.over));
    assertNothingLeft();
  });

  it('while the answers stream: every one ends, aborted or complete, and nothing is left', async () => {
    model.answer({ text: 'more and more ', endless: true });
    const from = model.calls.length;
    await Promise.all(
      Array.from({ length: RACES }, async (_, race) => {
        const client = server.client();
        const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
        const entry = { chat_id: chat.id, role: 'Human', message: 'Go.' };
        await client.request('POST', '/conversations/create', { body: entry });
        const stream = await client.open('GET', `/conversations/inference/${chat.id}`);
        // At a moment of its own: so many events later, and at once for some.
        if (race % 4 > 0) await stream.until(`id: ${4 + (race % 20)}\n`);
        assert.equal((await client.request('DELETE', `/chats/delete/${chat.id}`)).status, 200);
        const last = parseEvents(await stream.ended).at(-1);
        assert.equal(last?.event, 'error');
        assert.equal(JSON.parse(last?.data ?? '').code, 404);
      }),
    );
    for (const call of model.calls.slice(from)) assert.equal(await call.over, 'left');
    assertNothingLeft();
  });
});
