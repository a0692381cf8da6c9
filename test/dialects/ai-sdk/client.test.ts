/** The official clients of three major versions against `/ui/chat`, unmodified. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { UIMessage } from 'ai';
import type { Client } from '../../support/server.ts';
import { useServer } from '../../support/use-server.ts';
import { linesOf, type Options, openChat, plain, shows, VERSIONS } from './chat.ts';

const { model, server } = await useServer();
let chats = 0;

type Stored = UIMessage<{ parent: string | null; siblings: string[] }>;

async function stored(client: Client, id: string): Promise<Stored[]> {
  const { status, body, text } = await client.request<Stored[]>('GET', `/ui/chat/${encodeURIComponent(id)}`);
  assert.equal(status, 200, text);
  return body;
}

/** What the model was given in its newest call. */
const told = () => model.calls.at(-1)?.body.messages.map(({ role, content }) => `${role}: ${content}`);

for (const version of ['v5', 'v6', 'v7'] as const) {
  describe(`useChat ${version}`, () => {
    const newId = () => `chat-${version}-${++chats}`;
    const open = (client: Client, id: string, options: Options = {}) =>
      openChat(server, client, id, { version, ...options });

    it('sends, streams, and sends again: what the page has is what is stored', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id);
      model.next({ reasoning: ['Hm', '.'], text: ['Hel', 'lo', '!'] }, { text: 'Fine.' });
      await chat.sendMessage({ text: 'Hi' });
      assert.equal(chat.error, undefined);
      assert.equal(chat.status, 'ready');
      await chat.sendMessage({ text: 'How are you?' });
      assert.deepEqual(linesOf(chat.messages), [
        'user: Hi',
        'assistant: Hello!',
        'user: How are you?',
        'assistant: Fine.',
      ]);
      assert.deepEqual(told(), ['user: Hi', 'assistant: Hello!', 'user: How are you?']);
      const kept = await stored(client, id);
      assert.deepEqual(
        kept.map(({ id, role, parts }) => ({ id, role, parts })),
        plain(chat.messages).map(({ id, role, parts }) => ({ id, role, parts })),
      );
      assert.deepEqual(
        kept.map(({ metadata }) => ({ parent: metadata?.parent, siblings: metadata?.siblings })),
        kept.map((message, i) => ({ parent: kept[i - 1]?.id ?? null, siblings: [message.id] })),
      );
    });

    it('goes on from stored messages', async () => {
      const client = server.client();
      const id = newId();
      await open(client, id).sendMessage({ text: 'One' });
      const again = open(client, id, { messages: await stored(client, id) });
      await again.sendMessage({ text: 'Two' });
      assert.equal(again.error, undefined);
      assert.deepEqual(told(), ['user: One', 'assistant: You said: One', 'user: Two']);
      assert.equal((await stored(client, id)).length, 4);
    });

    it('resumes an answer that is being written, and gets nothing where there is none', async () => {
      const client = server.client();
      const id = newId();
      const asked = model.calls.length;
      model.next({ text: ['One ', 'two ', 'three'], gated: true });
      const first = open(client, id);
      const sending = first.sendMessage({ text: 'Count' });
      const call = await model.call(asked);
      await call.release(2);
      const second = open(client, id, { messages: await stored(client, id) });
      const resuming = second.resumeStream();
      await shows(second, 'streaming');
      await call.releaseAll();
      await Promise.all([sending, resuming]);
      assert.deepEqual(linesOf(second.messages), ['user: Count', 'assistant: One two three']);
      assert.deepEqual(plain(second.messages.at(-1)), plain(first.messages.at(-1)));
      await second.resumeStream();
      assert.equal(second.status, 'ready');
      assert.equal(second.messages.length, 2);
    });

    it('a page that is closed stops nothing', async () => {
      const client = server.client();
      const id = newId();
      const asked = model.calls.length;
      model.next({ text: ['One ', 'two ', 'three'], gated: true });
      const chat = open(client, id);
      const sending = chat.sendMessage({ text: 'Count' });
      const call = await model.call(asked);
      await call.release(1);
      await chat.stop();
      await sending;
      await call.releaseAll();
      assert.equal(await call.over, 'end');
      const page = open(client, id, { messages: await stored(client, id) });
      await page.resumeStream();
      assert.deepEqual(linesOf(await stored(client, id)), ['user: Count', 'assistant: One two three']);
    });

    it('regenerates: a sibling under the same question, and the head is there', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id);
      model.next({ text: 'First' }, { text: 'Second' });
      await chat.sendMessage({ text: 'Say' });
      const old = chat.messages.at(-1)?.id ?? '';
      await chat.regenerate();
      assert.deepEqual(linesOf(chat.messages), ['user: Say', 'assistant: Second']);
      assert.deepEqual(told(), ['user: Say']);
      const kept = await stored(client, id);
      const now = chat.messages.at(-1)?.id ?? '';
      assert.notEqual(now, old);
      assert.deepEqual(linesOf(kept), ['user: Say', 'assistant: Second']);
      assert.deepEqual([kept[1]?.metadata?.parent, kept[1]?.metadata?.siblings], [kept[0]?.id, [old, now]]);
    });

    it('regenerates an answer in the midst, named by its message id', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id);
      await chat.sendMessage({ text: 'One' });
      const first = chat.messages[1]?.id ?? '';
      await chat.sendMessage({ text: 'Two' });
      model.next({ text: 'Anew' });
      await chat.regenerate({ messageId: first });
      assert.deepEqual(linesOf(chat.messages), ['user: One', 'assistant: Anew']);
      assert.deepEqual(linesOf(await stored(client, id)), ['user: One', 'assistant: Anew']);
      await chat.sendMessage({ text: 'Three' });
      assert.deepEqual(told(), ['user: One', 'assistant: Anew', 'user: Three']);
    });

    it('edits: the message keeps its id and has a sibling, what followed is left behind', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id);
      await chat.sendMessage({ text: 'Frist' });
      await chat.sendMessage({ text: 'More' });
      const messageId = chat.messages[0]?.id ?? '';
      await chat.sendMessage({ text: 'First', messageId });
      assert.equal(chat.error, undefined);
      assert.deepEqual(linesOf(chat.messages), ['user: First', 'assistant: You said: First']);
      assert.deepEqual(told(), ['user: First']);
      const [question, answer] = await stored(client, id);
      assert.equal(question?.id, messageId);
      assert.equal(question?.metadata?.parent, null);
      assert.equal(question?.metadata?.siblings.length, 2);
      assert.equal(question?.metadata?.siblings[1], messageId);
      assert.deepEqual(answer?.metadata?.siblings, [chat.messages[1]?.id]);
      // Edited once more, by replacing it locally and asking for an answer.
      chat.messages = [{ ...(chat.messages[0] as UIMessage), parts: [{ type: 'text', text: 'Third' }] }];
      await chat.regenerate();
      assert.deepEqual(linesOf(await stored(client, id)), ['user: Third', 'assistant: You said: Third']);
      assert.equal((await stored(client, id))[0]?.metadata?.siblings.length, 3);
    });

    it('is stopped by the server, keeping what was written', async () => {
      const client = server.client();
      const id = newId();
      const asked = model.calls.length;
      const reasons: unknown[] = [];
      model.next({ text: ['One ', 'two ', 'three'], gated: true });
      const chat = open(client, id, { onFinish: ({ finishReason }) => reasons.push(finishReason) });
      const sending = chat.sendMessage({ text: 'Count' });
      await (await model.call(asked)).release(2);
      assert.equal((await client.request('POST', `/ui/chat/${id}/stop`)).status, 204);
      await sending;
      assert.equal(chat.status, 'ready');
      assert.deepEqual(linesOf(await stored(client, id)), linesOf(chat.messages));
      assert.match(linesOf(chat.messages)[1] ?? '', /^assistant: One/);
      assert.deepEqual(reasons, ['other']);
    });

    it('an answer that fails, or breaks off, is an error on the page, and can be asked for again', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id);
      model.next({ status: 400, error: { error: { message: 'no such thing' } } });
      await chat.sendMessage({ text: 'Try' });
      assert.equal(chat.status, 'error');
      assert.match(chat.error?.message ?? '', /no such thing/);
      model.next({ text: 'One two three', cut: 2 });
      await chat.regenerate();
      assert.equal(chat.status, 'error');
      assert.match(linesOf(chat.messages)[1] ?? '', /^assistant: One two/);
      model.next({ text: 'All of it' });
      await chat.regenerate();
      assert.equal(chat.error, undefined);
      const kept = await stored(client, id);
      assert.deepEqual(linesOf(kept), ['user: Try', 'assistant: All of it']);
      // The one that failed without a word was written anew in its place.
      assert.equal(kept[1]?.metadata?.siblings.length, 2);
    });

    it('finish reasons: stop, length, content-filter', async () => {
      const client = server.client();
      const reasons: unknown[] = [];
      const chat = open(client, newId(), { onFinish: ({ finishReason }) => reasons.push(finishReason) });
      for (const finish of ['stop', 'length', 'content_filter']) {
        model.next({ text: 'Yes', finish });
        await chat.sendMessage({ text: finish });
        assert.equal(chat.error, undefined);
      }
      assert.deepEqual(reasons, ['stop', 'length', 'content-filter']);
    });

    it("a client's tool: its call ends the turn, its result continues the same message", async () => {
      const client = server.client();
      const id = newId();
      const tools = { weather: { description: 'Of a city', parameters: { type: 'object', properties: {} } } };
      const reasons: unknown[] = [];
      const chat = open(client, id, {
        body: { tools },
        automatic: true,
        onFinish: ({ finishReason }) => reasons.push(finishReason),
      });
      const asked = model.calls.length;
      model.next(
        { text: 'Let me see.', tools: [{ id: 'call_1', name: 'weather', arguments: ['{"city":', '"Oslo"}'] }] },
        { text: 'It rains.' },
      );
      await chat.sendMessage({ text: 'Weather?' });
      assert.deepEqual(reasons, ['tool-calls']);
      const message = chat.messages[1];
      assert.deepEqual(plain(message?.parts.at(-1)), {
        type: 'tool-weather',
        toolCallId: 'call_1',
        state: 'input-available',
        input: { city: 'Oslo' },
      });
      assert.deepEqual(model.calls[asked]?.body.tools?.[0]?.function, { name: 'weather', ...tools.weather });
      const streaming = shows(chat, 'streaming');
      await chat.addToolResult({ tool: 'weather', toolCallId: 'call_1', output: { rain: true } } as never);
      await streaming;
      await shows(chat, 'ready');
      assert.equal(chat.error, undefined);
      assert.deepEqual(linesOf(chat.messages), ['user: Weather?', 'assistant: Let me see.It rains.']);
      assert.equal(chat.messages[1]?.id, message?.id);
      assert.deepEqual(model.calls[asked + 1]?.body.messages.slice(1), [
        {
          role: 'assistant',
          content: 'Let me see.',
          tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Oslo"}' } }],
        },
        { role: 'tool', tool_call_id: 'call_1', content: '{"rain":true}' },
      ]);
      const kept = await stored(client, id);
      assert.deepEqual(
        kept.map(({ id, parts }) => ({ id, parts })),
        plain(chat.messages).map(({ id, parts }) => ({ id, parts })),
      );
      // What follows follows the whole of it.
      await chat.sendMessage({ text: 'Thanks' });
      assert.deepEqual(linesOf(await stored(client, id)).slice(2), ['user: Thanks', 'assistant: You said: Thanks']);
      assert.equal(model.calls.at(-1)?.body.messages.length, 5);
    });

    it('a continued answer is resumed whole', async () => {
      const client = server.client();
      const id = newId();
      const chat = open(client, id, { automatic: true });
      model.next({ tools: [{ id: 'call_1', name: 'look', arguments: '{}' }] });
      await chat.sendMessage({ text: 'Look' });
      const asked = model.calls.length;
      model.next({ text: ['I ', 'see'], gated: true });
      const sent = chat.addToolResult({ tool: 'look', toolCallId: 'call_1', output: 'a cat' } as never);
      const call = await model.call(asked);
      const kept = await stored(client, id);
      assert.deepEqual(linesOf(kept), ['user: Look']);
      const page = open(client, id, { messages: kept });
      const resuming = page.resumeStream();
      await shows(page, 'streaming');
      await call.releaseAll();
      await Promise.all([resuming, sent]);
      assert.equal(page.error, undefined);
      const [, whole] = await stored(client, id);
      assert.deepEqual(plain(page.messages[1]?.parts), whole?.parts);
      assert.equal(page.messages[1]?.id, whole?.id);
    });

    it('images reach the model, and come back with the history', async () => {
      const client = server.client();
      const id = newId();
      const url = 'data:image/png;base64,iVBORw0KGgo=';
      const chat = open(client, id);
      await chat.sendMessage({ text: 'What is it?', files: [{ type: 'file', mediaType: 'image/png', url }] });
      assert.equal(chat.error, undefined);
      assert.deepEqual(model.calls.at(-1)?.body.messages[0]?.content, [
        { type: 'image_url', image_url: { url, detail: 'auto' } },
        { type: 'text', text: 'What is it?' },
      ]);
      assert.deepEqual((await stored(client, id))[0]?.parts, plain(chat.messages[0]?.parts));
    });

    it('a refused request is an error with a sentence', async () => {
      const chat = open(server.client(), newId(), { body: { assistant: 'nobody' } });
      await chat.sendMessage({ text: 'Hi' });
      assert.equal(chat.status, 'error');
      assert.match(chat.error?.message ?? '', /The assistant \\"nobody\\" does not exist here/);
    });

    it('every chunk is one the client knows', async () => {
      const { uiMessageChunkSchema } = VERSIONS[version];
      const schema = uiMessageChunkSchema();
      model.next({
        reasoning: 'Hm',
        text: 'Well',
        tools: [
          { id: 'a', name: 'one', arguments: '{"x":1}' },
          { id: 'b', name: 'two', arguments: '{not json' },
        ],
      });
      const body = { id: newId(), message: { id: 'm', role: 'user', parts: [{ type: 'text', text: 'All' }] } };
      const { text } = await server.client().request('POST', '/ui/chat', { body });
      const lines = text.split('\n\n').filter((line) => line.startsWith('data: {'));
      assert.equal(lines.length, 16);
      for (const line of lines) {
        const result = await schema.validate?.(JSON.parse(line.slice('data: '.length)));
        assert.ok(result?.success, line);
      }
    });
  });
}
