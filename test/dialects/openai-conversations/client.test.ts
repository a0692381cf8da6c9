/** The official client against `/v1/conversations`, unmodified. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import OpenAI from 'openai';
import {
  conversation as conversationSchema,
  item as itemSchema,
} from '../../../src/dialects/openai-conversations/schema.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { startServer, type TestServer } from '../../support/server.ts';

type Item = OpenAI.Conversations.ConversationItem;

const say = (role: 'user' | 'assistant' | 'system' | 'developer', content: string) => ({
  type: 'message' as const,
  role,
  content,
});

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const one of pages) found.push(one);
  return found;
}

/** A message's role and text; of any other item its type. */
function line(item: Item): string {
  itemSchema.parse(item);
  if (item.type !== 'message') return item.type;
  return `${item.role}: ${item.content.map((part) => ('text' in part ? part.text : part.type)).join('')}`;
}

describe('openai-conversations, by the official client', () => {
  let model: ModelServer;
  let server: TestServer;
  let openai: OpenAI;
  let stranger: OpenAI;

  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
    const client = (user: string) =>
      new OpenAI({
        apiKey: server.ownerKey,
        baseURL: `${server.url}/v1`,
        maxRetries: 0,
        defaultHeaders: { 'x-user-id': user },
      });
    openai = client('alice');
    stranger = client('eve');
  });
  after(async () => {
    await server.close();
    await model.close();
  });

  it('creates, retrieves, updates and deletes', async () => {
    const made = await openai.conversations.create({ metadata: { topic: 'demo' } });
    conversationSchema.parse(made);
    assert.match(made.id, /^conv_[0-9a-f-]{36}$/);
    assert.deepEqual([made.object, made.metadata], ['conversation', { topic: 'demo' }]);
    assert.ok(Math.abs(made.created_at - Date.now() / 1000) < 60);
    assert.deepEqual(await openai.conversations.retrieve(made.id), made);
    const updated = await openai.conversations.update(made.id, { metadata: { project: 'x' } });
    assert.deepEqual(updated, { ...made, metadata: { project: 'x' } });
    assert.deepEqual((await openai.conversations.update(made.id, { metadata: null })).metadata, {});
    assert.deepEqual(await openai.conversations.delete(made.id), {
      id: made.id,
      object: 'conversation.deleted',
      deleted: true,
    });
    await assert.rejects(openai.conversations.retrieve(made.id), OpenAI.NotFoundError);
  });

  it('creates without a body', async () => {
    const made = await openai.conversations.create();
    assert.deepEqual([made.metadata, (await openai.conversations.items.list(made.id)).data], [{}, []]);
  });

  it('keeps items of all kinds, each as it was sent', async () => {
    const { id } = await openai.conversations.create({ items: [say('developer', 'Be brief.'), say('user', 'Hi')] });
    const added = await openai.conversations.items.create(id, {
      items: [
        { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }] },
        { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{"at":"it"}' },
        { type: 'function_call_output', call_id: 'c1', output: 'seen' },
        { ...say('assistant', 'I saw it.'), phase: 'final_answer' } as never,
        say('user', 'And this?'),
        {
          type: 'message',
          role: 'user',
          content: [
            { type: 'input_text', text: 'What is ' },
            { type: 'input_image', image_url: 'https://x.test/a.png', detail: 'low' },
          ],
        },
      ],
    });
    assert.equal(added.object, 'list');
    assert.deepEqual([added.first_id, added.last_id], [added.data[0]?.id, added.data.at(-1)?.id]);
    assert.deepEqual(added.data.map(line), [
      'reasoning',
      'function_call',
      'function_call_output',
      'assistant: I saw it.',
      'user: And this?',
      'user: What is input_image',
    ]);
    const list = await all(
      openai.conversations.items.list(id, { order: 'asc', include: ['message.input_image.image_url'] }),
    );
    assert.deepEqual(list.map(line).slice(0, 2), ['developer: Be brief.', 'user: Hi']);
    assert.deepEqual(list.slice(2), added.data);
    for (const item of list) {
      const one = await openai.conversations.items.retrieve(item.id as string, { conversation_id: id });
      assert.deepEqual(one, item);
    }
  });

  it('pages over 250 items both ways, each once', async () => {
    const { id } = await openai.conversations.create();
    for (let from = 0; from < 250; from += 20) {
      const items = Array.from({ length: Math.min(20, 250 - from) }, (_, i) =>
        say(i % 3 === 0 ? 'assistant' : 'user', `${from + i}`),
      );
      await openai.conversations.items.create(id, { items });
    }
    const numbers = Array.from({ length: 250 }, (_, i) => i);
    for (const [limit, order] of [
      [100, 'asc'],
      [100, 'desc'],
      [7, 'asc'],
      [7, 'desc'],
      [50, 'desc'],
    ] as const) {
      const list = await all(openai.conversations.items.list(id, { limit, order }));
      const seen = list.map((item) => Number(line(item).split(': ')[1]));
      assert.deepEqual(seen, order === 'asc' ? numbers : numbers.toReversed(), `${limit} ${order}`);
      assert.equal(new Set(list.map((item) => item.id)).size, 250);
    }
    const usual = await openai.conversations.items.list(id);
    assert.deepEqual([usual.data.length, usual.has_more, line(usual.data[0] as Item)], [20, true, 'assistant: 249']);
  });

  it('shows the answers of responses in it, and is their context', async () => {
    const { id } = await openai.conversations.create({
      items: [say('user', 'My name is Ada.'), say('assistant', 'Hello Ada.')],
    });
    model.next({ text: 'You are Ada.' });
    const response = await openai.responses.create({ conversation: id, input: 'Who am I?', model: 'test-model' });
    assert.equal(response.output_text, 'You are Ada.');
    assert.deepEqual((await all(openai.conversations.items.list(id, { order: 'asc' }))).map(line), [
      'user: My name is Ada.',
      'assistant: Hello Ada.',
      'user: Who am I?',
      'assistant: You are Ada.',
    ]);
    const sent = model.calls.at(-1)?.body.messages.map(({ role, content }) => `${role}: ${content}`);
    assert.deepEqual(sent?.slice(-3), ['user: My name is Ada.', 'assistant: Hello Ada.', 'user: Who am I?']);
    const shown = await openai.conversations.retrieve(id);
    assert.deepEqual(
      [(shown as unknown as { response_id: string }).response_id, (shown as unknown as { status: string }).status],
      [response.id, 'completed'],
    );
  });

  it('deletes an item, which is in no list, page or context any more', async () => {
    const { id } = await openai.conversations.create({
      items: [say('user', 'The code is 1234.'), say('assistant', 'Noted.'), say('user', 'Thanks')],
    });
    const [secret, noted, thanks] = await all(openai.conversations.items.list(id, { order: 'asc' }));
    const left = await openai.conversations.items.delete(secret?.id as string, { conversation_id: id });
    assert.deepEqual([left.id, left.object], [id, 'conversation']);
    assert.deepEqual(await all(openai.conversations.items.list(id, { order: 'asc' })), [noted, thanks]);
    assert.deepEqual(await all(openai.conversations.items.list(id, { limit: 1 })), [thanks, noted]);
    await assert.rejects(
      openai.conversations.items.retrieve(secret?.id as string, { conversation_id: id }),
      OpenAI.NotFoundError,
    );
    model.next({ text: 'No.' });
    await openai.responses.create({ conversation: id, input: 'What is the code?', model: 'test-model' });
    assert.ok(!JSON.stringify(model.calls.at(-1)?.body).includes('1234'));
  });

  it('deletes an item of an answer, and no stream of it says it any more', async () => {
    const { id } = await openai.conversations.create();
    model.next({ text: 'the-word-to-go' });
    const response = await openai.responses.create({ conversation: id, input: 'Say it', model: 'test-model' });
    const item = response.output[0]?.id as string;
    await openai.conversations.items.delete(item, { conversation_id: id });
    const again = await openai.responses.retrieve(response.id, { stream: true });
    assert.ok(!JSON.stringify(await all(again)).includes('the-word-to-go'));
    assert.deepEqual((await openai.responses.retrieve(response.id)).output, []);
  });

  it('takes an item by reference', async () => {
    const { id } = await openai.conversations.create({ items: [say('user', 'Once')] });
    const [once] = (await openai.conversations.items.list(id)).data;
    const { data } = await openai.conversations.items.create(id, {
      items: [{ type: 'item_reference', id: once?.id as string }],
    });
    assert.equal(line(data[0] as Item), 'user: Once');
    assert.notEqual(data[0]?.id, once?.id);
  });

  it('throws the classes the client knows, with code and param', async () => {
    const { id } = await openai.conversations.create({ items: [say('user', 'Mine')] });
    const [mine] = (await openai.conversations.items.list(id)).data;
    const item = mine?.id as string;
    const own = (await stranger.conversations.create()).id;
    const { items } = stranger.conversations;
    for (const attempt of [
      () => stranger.conversations.retrieve(id),
      () => stranger.conversations.update(id, { metadata: {} }),
      () => stranger.conversations.delete(id),
      () => items.list(id),
      () => items.create(id, { items: [say('user', 'Yours')] }),
      () => items.retrieve(item, { conversation_id: id }),
      () => items.retrieve(item, { conversation_id: own }),
      () => items.delete(item, { conversation_id: own }),
      () => items.retrieve('msg_unknown', { conversation_id: own }),
      () => openai.conversations.retrieve('conv_unknown'),
    ]) {
      const error = await attempt().then(
        () => assert.fail('not refused'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof OpenAI.NotFoundError, String(error));
      assert.deepEqual([error.code, error.type, error.param], ['not_found', 'not_found_error', '']);
    }
    const many = Array.from({ length: 21 }, () => say('user', 'x'));
    const pairs = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v']));
    for (const [attempt, param] of [
      [() => openai.conversations.create({ items: many }), 'items'],
      [() => openai.conversations.items.create(id, { items: many }), 'items'],
      [() => openai.conversations.items.create(id, { items: [] }), 'items'],
      [
        () => openai.conversations.items.create(id, { items: [{ type: 'message', role: 'user' } as never] }),
        'items[0].content',
      ],
      [() => openai.conversations.create({ metadata: pairs }), 'metadata'],
      [() => openai.conversations.create({ metadata: { ['k'.repeat(65)]: 'v' } }), 'metadata'],
      [() => openai.conversations.create({ metadata: { k: 'v'.repeat(513) } }), 'metadata.k'],
      [() => openai.conversations.update(id, {} as never), 'metadata'],
      [() => openai.conversations.items.list(id, { limit: 101 }), 'limit'],
      [() => openai.conversations.items.list(id, { limit: 0 }), 'limit'],
      [() => openai.conversations.items.list(id, { after: 'msg_unknown' }), 'after'],
      [() => openai.conversations.items.list(id, { order: 'up' as never }), 'order'],
    ] as const) {
      const error = await (attempt() as Promise<unknown>).then(
        () => assert.fail(`not refused: ${param}`),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(error.type, 'invalid_request_error');
      assert.ok(error.param?.startsWith(param), `${error.param} is ${param}: ${error.message}`);
    }
    assert.deepEqual((await all(openai.conversations.items.list(id))).map(line), ['user: Mine']);
  });
});
