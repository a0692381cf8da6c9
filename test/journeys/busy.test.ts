/**
 * Many messages at once to one conversation, from every dialect: one order that all readers agree on, and each answer is
 * given what stood before it (QUALITY.md, 1: "50 people write to one conversation").
 */

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { inspect } from '../../torture/inspect.ts';
import { messageText, parseEvents } from '../support/event-source.ts';
import { echo, textOf } from '../support/model-server.ts';
import type { Client } from '../support/server.ts';
import { closeSockets, openSocket, type Socket } from '../support/socket.ts';
import { useServer } from '../support/use-server.ts';
import { DIALECTS, type Line, type Named, named } from './dialects.ts';

const { model, server } = await useServer();
after(closeSockets);

/** Ways to say something in a conversation and be answered; they give the answer. */
type Say = (client: Client, conversation: Named, text: string) => Promise<string>;

const chats = DIALECTS.find(({ name }) => name === 'chats');

function ways(socket: Socket): Say[] {
  const plain = DIALECTS.filter((dialect) => dialect !== chats).map(({ say }): Say => say);
  let turn: Promise<unknown> = Promise.resolve();
  const bySocket: Say = (_client, { id }, text) => {
    // Responses of one socket come in the order of its messages.
    const answer = turn.then(() => socket.next());
    turn = answer;
    socket.send({ type: 'message', content: text, conversation_id: id });
    return answer.then(({ content = '' }) => content);
  };
  return [...plain, bySocket];
}

async function conversationOf(client: Client): Promise<Named> {
  const { body } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Busy' } });
  return named(client, body.id);
}

for (const count of [2, 50]) {
  describe(`${count} messages at once`, () => {
    it('are answered one after the other, in an order all readers agree on', async () => {
      const client = server.client();
      const conversation = await conversationOf(client);
      const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
      const socket = await openSocket(server.url, '/ws', { headers });
      const from = model.calls.length;
      model.next((body) => ({ ...echo(body), gated: true }));
      const all = ways(socket);
      const texts = Array.from({ length: count }, (_, i) => `message ${i}`);
      const answers = texts.map((text, i) => (all[i % all.length] as Say)(client, conversation, text));
      // The first is held back until the others have come behind it, so that they do wait.
      const first = await model.call(from);
      let shown: Line[] = [];
      while (shown.length < count) shown = await linesOf('conversations', client, conversation);
      await first.releaseAll();
      assert.deepEqual(
        await Promise.all(answers),
        texts.map((text) => `You said: ${text}`),
      );
      await socket.close();

      const order = await linesOf('conversations', client, conversation);
      const said = order.filter((line) => line.startsWith('user: ')).map((line) => line.slice(6));
      assert.deepEqual(said.toSorted(), texts.toSorted(), 'each is there once');
      assert.deepEqual(
        order,
        said.flatMap((text) => [`user: ${text}`, `assistant: You said: ${text}`]),
        'each stands before its answer',
      );
      for (const { name, lines } of DIALECTS) {
        if (lines !== null) assert.deepEqual(await lines(client, conversation), order, name);
      }
      const calls = model.calls.slice(from);
      assert.equal(calls.length, count);
      for (const [i, { body }] of calls.entries()) {
        const given = body.messages.map((message) => `${message.role}: ${textOf(message)}`);
        assert.deepEqual(given, order.slice(0, 2 * i + 1), `what the model was given for message ${i}`);
      }
      assert.deepEqual(inspect(server.data), []);
    });

    it('stored by hand stand in one order too, and the newest is answered', async () => {
      const client = server.client();
      const { id: chat_id, ...rest } = await conversationOf(client);
      const texts = Array.from({ length: count }, (_, i) => `entry ${i}`);
      await Promise.all(
        texts.map((message) =>
          client.request('POST', '/conversations/create', { body: { chat_id, role: 'Human', message } }),
        ),
      );
      const order = await linesOf('chats', client, { id: chat_id, ...rest });
      assert.deepEqual(order.map((line) => line.slice(6)).toSorted(), texts.toSorted());
      const { text } = await client.request('GET', `/conversations/inference/${chat_id}`);
      assert.equal(messageText(parseEvents(text)), `You said: ${order.at(-1)?.slice(6)}`);
      const given = model.calls.at(-1)?.body.messages.map((message) => `${message.role}: ${textOf(message)}`);
      assert.deepEqual(given, order);
    });
  });
}

it('a message among answers that wait is answered in its turn, and a rename or a read does not wait', async () => {
  const client = server.client();
  const conversation = await conversationOf(client);
  const from = model.calls.length;
  model.next((body) => ({ ...echo(body), gated: true }));
  const one = client.request('POST', '/ask', { body: { prompt: 'one', conversation_id: conversation.id } });
  const call = await model.call(from);
  for (const { rename, list, lines } of DIALECTS) {
    await rename?.(client, conversation, 'Renamed meanwhile');
    await list?.(client);
    await lines?.(client, conversation);
  }
  const other = await conversationOf(client);
  const elsewhere = await client.request<{ response: string }>('POST', '/chat', {
    body: { message: 'elsewhere', conversation_id: other.id },
  });
  assert.equal(elsewhere.body.response, 'You said: elsewhere', 'another conversation does not wait');
  await call.releaseAll();
  assert.equal((await one).status, 200);
});

async function linesOf(name: string, client: Client, conversation: Named): Promise<Line[]> {
  const lines = DIALECTS.find((dialect) => dialect.name === name)?.lines;
  assert.ok(lines != null);
  return lines(client, conversation);
}
