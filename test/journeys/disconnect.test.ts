/**
 * "A disconnect is not a cancel" (DESIGN.md, promise 3): clients that go away at the first event, or before it, in every
 * call that answers. The run goes on; who comes back finds it complete. Stopping is a call of its own.
 */

import assert from 'node:assert/strict';
import { type ClientRequest, request } from 'node:http';
import { after, describe, it } from 'node:test';
import type { ModelCall } from '../support/model-server.ts';
import type { Client } from '../support/server.ts';
import { closeSockets, openSocket } from '../support/socket.ts';
import { useServer } from '../support/use-server.ts';

const TEXT = 'One two three four five.';
const CLIENTS = 25;

const { model, server } = await useServer();
after(closeSockets);

interface Listed {
  id: string;
  messages: { id: string; content: string }[];
}

/** Sends a request and gives it up once the model was asked. */
function sendAndLeave(client: Client, path: string, body: object): ClientRequest {
  const sent = request(server.url + path, {
    method: 'POST',
    agent: false,
    headers: { authorization: server.ownerKey, 'x-user-id': client.user, 'content-type': 'application/json' },
  });
  sent.on('error', () => {});
  sent.end(JSON.stringify(body));
  return sent;
}

async function makeChat(client: Client): Promise<string> {
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
  const entry = { chat_id: chat.id, role: 'Human', message: 'Count.' };
  await client.request('POST', '/conversations/create', { body: entry });
  return chat.id;
}

/** Begins an answer that waits at the gate. */
async function begin(ask: () => void): Promise<ModelCall> {
  const from = model.calls.length;
  model.next({ text: TEXT, gated: true });
  ask();
  return model.call(from);
}

/** Lets the answer go, and finds it whole in the only conversation there is. */
async function findsItComplete(client: Client, call: ModelCall): Promise<void> {
  const asked = model.calls.length;
  await call.releaseAll();
  assert.equal(await call.over, 'end', 'the model could say it all');
  const { body } = await client.request<Listed[]>('GET', '/conversations');
  const { text } = await client.request('GET', `/conversations/inference/${body[0]?.id}`);
  assert.match(text, /event: done\ndata: .*"finish_reason":"stop"/);
  const after = await client.request<Listed[]>('GET', '/conversations');
  assert.deepEqual(
    after.body.map(({ messages }) => messages.map(({ content }) => content)),
    [['Count.', TEXT]],
  );
  assert.equal(model.calls.length, asked);
}

describe('a client that leaves before there is an answer', () => {
  const calls: Record<string, (client: Client) => Promise<ClientRequest>> = {
    'POST /chat': async (client) => sendAndLeave(client, '/chat', { message: 'Count.' }),
    'POST /ask': async (client) => sendAndLeave(client, '/ask', { prompt: 'Count.' }),
    'POST /api/chat/{chat_id}/messages': async (client) => {
      const { body } = await client.request<{ id: number }>('POST', '/api/chat');
      return sendAndLeave(client, `/api/chat/${body.id}/messages`, { content: 'Count.' });
    },
    'POST /api/chat_sessions/:id/chat': async (client) => {
      const title = { title: 'S' };
      const { body } = await client.request<{ data: { id: number } }>('POST', '/api/chat_sessions', { body: title });
      return sendAndLeave(client, `/api/chat_sessions/${body.data.id}/chat`, { message: 'Count.' });
    },
  };
  for (const [name, send] of Object.entries(calls)) {
    it(`of ${name} finds it complete`, async () => {
      const client = server.client();
      const from = model.calls.length;
      model.next({ text: TEXT, gated: true });
      const sent = await send(client);
      const call = await model.call(from);
      sent.destroy();
      await findsItComplete(client, call);
    });
  }
});

describe('a reader that leaves at the first event', () => {
  for (const path of ['inference', 'inference_internet']) {
    it(`of GET /conversations/${path}/<id> finds it complete`, async () => {
      const client = server.client();
      const chat = await makeChat(client);
      let opened: ReturnType<Client['open']> | undefined;
      const call = await begin(() => {
        opened = client.open('GET', `/conversations/${path}/${chat}`);
      });
      const stream = await opened;
      await call.release();
      await stream?.until('data: One');
      stream?.cut();
      await findsItComplete(client, call);
    });
  }

  it('of the WebSocket finds it complete', async () => {
    const client = server.client();
    const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
    const socket = await openSocket(server.url, '/ws?stream=true', { headers });
    const call = await begin(() => socket.send({ type: 'message', content: 'Count.' }));
    await call.release();
    while ((await socket.next()).content !== 'One');
    socket.cut();
    await findsItComplete(client, call);
  });

  it(`${CLIENTS} of them at once: each answer is complete later`, async () => {
    const left = await Promise.all(
      Array.from({ length: CLIENTS }, async () => {
        const client = server.client();
        return { client, chat: await makeChat(client) };
      }),
    );
    const from = model.calls.length;
    model.next(...left.map(() => ({ text: TEXT, gated: true })));
    const streams = await Promise.all(
      left.map(({ client, chat }) => client.open('GET', `/conversations/inference/${chat}`)),
    );
    const calls = await Promise.all(left.map((_, i) => model.call(from + i)));
    await Promise.all(calls.map((call) => call.release()));
    await Promise.all(streams.map((stream) => stream.until('data: One')));
    for (const stream of streams) stream.cut();
    await Promise.all(calls.map((call) => call.releaseAll()));
    for (const { client, chat } of left) {
      const { text } = await client.request('GET', `/conversations/inference/${chat}`);
      assert.match(text, /"finish_reason":"stop"/);
      const { body } = await client.request<Listed>('GET', `/conversations/${chat}`);
      assert.deepEqual(
        body.messages.map(({ content }) => content),
        ['Count.', TEXT],
      );
    }
    assert.equal(model.calls.length, from + CLIENTS);
  });
});

describe('a stop', () => {
  it('is its own call: it ends the model call and keeps the text, for followers in every dialect', async () => {
    const client = server.client();
    const chat = await makeChat(client);
    const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
    const socket = await openSocket(server.url, '/ws?stream=true', { headers });
    const call = await begin(() => socket.send({ type: 'message', content: 'Again.', conversation_id: chat }));
    const { message_id } = await socket.next();
    const stream = await client.open('GET', `/conversations/inference/${chat}`);
    await call.release(2);
    await stream.until('data:  two');
    socket.send({ type: 'stop', message_id });
    assert.match(await stream.ended, /event: done\ndata: .*"finish_reason":"cancelled"/);
    assert.equal((await socket.until('response')).at(-1)?.content, 'One two');
    assert.equal(await call.over, 'left');
    const { body } = await client.request<Listed>('GET', `/conversations/${chat}`);
    assert.deepEqual(
      body.messages.map(({ content }) => content),
      ['Count.', 'Again.', 'One two'],
    );
  });
});
