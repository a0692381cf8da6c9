/** An answer that was cut off, gone on from over `/v1/responses`: what the other dialects show of it, live and later. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai';
import { parseEvents } from '../support/event-source.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';

let model: ModelServer;
let server: TestServer;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
});
after(async () => {
  await server?.close();
  await model.close();
});

/** What the official client makes of a stream. */
async function read(stream: string): Promise<UIMessage | undefined> {
  const data = parseEvents(stream).map((event) => event.data);
  const chunks = data.slice(0, -1).map((text): UIMessageChunk => JSON.parse(text));
  let message: UIMessage | undefined;
  for await (const state of readUIMessageStream({ stream: ReadableStream.from(chunks) as never })) message = state;
  return message;
}

const texts = (message: UIMessage | undefined) =>
  message?.parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));

it('is one message of useChat while it is written and later, one exchange of the movie chat, and two entries elsewhere', async () => {
  const client = server.client();
  const from = model.calls.length;
  model.next({ text: 'One two three four', cut: 3 });
  const asked = { id: 'chat', messages: [{ id: 'm', role: 'user', parts: [{ type: 'text', text: 'Count' }] }] };
  const first = await client.request('POST', '/ui/chat', { body: asked });
  const half = await read(first.text);
  assert.deepEqual(texts(half), ['One two three']);

  model.next({ text: [' fo', 'ur'], gated: true });
  const begun = await client.open('POST', `/v1/responses/resp_${half?.id}/continue`, { body: { stream: true } });
  const call = await model.call(from + 1);
  assert.deepEqual(
    (await client.request<UIMessage[]>('GET', '/ui/chat/chat')).body.map(({ id }) => id),
    ['m'],
  );
  const stream = await client.open('GET', '/ui/chat/chat/stream');
  await stream.until('One two three');
  await call.releaseAll();
  const live = await read(await stream.ended);
  assert.deepEqual([live?.id, texts(live)], [half?.id, ['One two three four']]);

  const [, stored] = (await client.request<UIMessage[]>('GET', '/ui/chat/chat')).body;
  assert.deepEqual([stored?.id, texts(stored)], [half?.id, ['One two three four']]);
  const chats = await client.request<{ id: number }[]>('GET', '/api/chat');
  const exchanges = await client.request<object[]>('GET', `/api/chat/${chats.body[0]?.id}/messages`);
  assert.deepEqual(
    exchanges.body.map((exchange) => (exchange as { bot_response: string }).bot_response),
    ['One two three four'],
  );
  const entries = await client.request<{ message: string }[]>('GET', `/chats/${chats.body[0]?.id}/conversations`);
  assert.deepEqual(
    entries.body.map(({ message }) => message),
    ['Count', 'One two three', ' four'],
  );
  assert.match(await begun.ended, /"type":"response.completed"/);

  // A retry of the message is a sibling of all of it.
  model.next({ text: 'Anew' });
  const again = await client.request('POST', '/ui/chat', {
    body: { id: 'chat', trigger: 'regenerate-message', messageId: half?.id, messages: asked.messages },
  });
  assert.deepEqual(texts(await read(again.text)), ['Anew']);
  const [, shown] = (await client.request<UIMessage<{ siblings: string[] }>[]>('GET', '/ui/chat/chat')).body;
  assert.deepEqual(texts(shown), ['Anew']);
  assert.deepEqual(shown?.metadata?.siblings, [half?.id, shown?.id]);
});
