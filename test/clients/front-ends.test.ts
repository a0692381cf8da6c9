/**
 * Chat front-ends that keep a history of their own: requests as their programs make them, with the headers that the
 * pages in `docs/clients` tell people to set.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import type { Client } from '../support/server.ts';
import { useServer } from '../support/use-server.ts';

const { model, server } = await useServer();
const serviceKey = await server.createKey('front-end', '--service');

const page = (name: string) => readFileSync(new URL(`../../docs/clients/${name}.md`, import.meta.url), 'utf8');

function block(text: string, language: string): string {
  const [, found] = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(text) ?? [];
  assert(found !== undefined, `the page has a block of ${language}`);
  return found;
}

type Headers = Record<string, string>;

/** What a front-end puts in the place of its own names. */
function fill(headers: Headers, values: Record<string, string>): Headers {
  const put = (text: string) =>
    Object.entries(values).reduce((filled, [name, value]) => filled.replaceAll(`{{${name}}}`, value), text);
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, put(value)]));
}

interface Completion {
  choices: { message: { content: string } }[];
}

const frontEnd = server.visitor({ authorization: `Bearer ${serviceKey}` });
const ask = (headers: Headers, body: object) =>
  frontEnd.request<Completion>('POST', '/v1/chat/completions', { headers, body });

/** What is in the user's conversations: the texts of each. */
async function kept(user: Client): Promise<string[][]> {
  const { body: chats } = await user.request<{ id: string }[]>('GET', '/chats/');
  return Promise.all(
    chats.map(async ({ id }) => {
      const { body } = await user.request<{ message: string }[]>('GET', `/chats/${id}/conversations`);
      return body.map(({ message }) => message);
    }),
  );
}

const said = (role: string, content: unknown) => ({ role, content });

describe('Open WebUI', () => {
  const template: Headers = JSON.parse(block(page('open-webui'), 'json'));
  const chat = '7f3a1c52-8f0e-4b9e-9d56-2c1f1a0b7e11';
  const headers = (user: Client, given: { chat?: string; task?: string } = {}) =>
    fill(template, { CHAT_ID: given.chat ?? chat, TASK: given.task ?? '', USER_ID: user.user });
  const message = (...messages: object[]) => ({ stream: true, model: 'test-model', messages });
  const task = (prompt: string) => ({
    model: 'test-model',
    messages: [said('user', `### Task:\n${prompt}\n### Chat History:\n<chat_history>\nUSER: Hi\n</chat_history>`)],
    stream: false,
    max_completion_tokens: 1000,
  });

  it('lists the models', async () => {
    const user = server.client();
    const { body } = await frontEnd.request<{ data: { id: string }[] }>('GET', '/v1/models', {
      headers: headers(user, { chat: '' }),
    });
    assert(body.data.some(({ id }) => id === 'test-model'));
  });

  it('has its chats kept, and not its titles, tags and follow-up questions', async () => {
    const user = server.client();
    model.answer({ text: 'Sure.' });
    const first = await ask(headers(user), message(said('user', 'Hi')));
    assert.match(first.text, /Sure[\s\S]*data: \[DONE\]/);
    for (const name of ['title_generation', 'tags_generation', 'follow_up_generation', 'query_generation']) {
      model.next({ text: '{"title":"Greeting"}' });
      const { status, body, headers: got } = await ask(headers(user, { task: name }), task(`The ${name}.`));
      assert.deepEqual([status, body.choices[0]?.message.content], [200, '{"title":"Greeting"}']);
      assert.equal(got['x-conversation-id'], undefined);
    }
    await ask(headers(user), message(said('user', 'Hi'), said('assistant', 'Sure.'), said('user', 'Thanks')));
    assert.deepEqual(await kept(user), [['Hi', 'Sure.', 'Thanks', 'Sure.']]);
  });

  it('regenerates the first answer as if there was none', async () => {
    const user = server.client();
    model.answer({ text: 'Sure.' });
    await ask(headers(user), message(said('user', 'Hi')));
    const calls = model.calls.length;
    await ask(headers(user), message(said('user', 'Hi')));
    assert.deepEqual(
      model.calls[calls]?.body.messages.map(({ content }) => content),
      ['Hi'],
    );
    assert.deepEqual(await kept(user), [['Hi', 'Sure.', 'Hi', 'Sure.']]);
  });

  it('keeps apart what its users say, even under one id', async () => {
    const [ann, bob] = [server.client(), server.client()];
    model.answer({ text: 'Sure.' });
    await ask(headers(ann), message(said('user', 'I am Ann')));
    await ask(headers(bob), message(said('user', 'I am Bob')));
    assert.deepEqual(await kept(ann), [['I am Ann', 'Sure.']]);
    assert.deepEqual(await kept(bob), [['I am Bob', 'Sure.']]);
  });

  it('has its temporary chats kept nowhere, nor what is of no chat', async () => {
    const user = server.client();
    model.answer({ text: 'Sure.' });
    for (const id of ['local:Xk3vQ', '']) {
      const { status } = await ask(headers(user, { chat: id }), message(said('user', 'Psst')));
      assert.equal(status, 200);
    }
    assert.deepEqual(await kept(user), []);
  });

  it('has nothing kept where it does not know {{TASK}}', async () => {
    const user = server.client();
    model.answer({ text: 'Sure.' });
    const older = fill(template, { CHAT_ID: chat, USER_ID: user.user });
    await ask(older, message(said('user', 'Hi')));
    assert.deepEqual(await kept(user), []);
  });

  it('has its tool calls and their results kept', async () => {
    const user = server.client();
    const call = { id: 'call_1', index: 0, type: 'function', function: { name: 'clock', arguments: '{}' } };
    model.next({ tools: [{ id: 'call_1', name: 'clock', arguments: '{}' }] });
    model.next({ text: 'Noon.' });
    await ask(headers(user), message(said('user', 'What time is it?')));
    const result = { role: 'tool', tool_call_id: 'call_1', content: '12:00' };
    const asked = { role: 'assistant', content: '', tool_calls: [call] };
    await ask(headers(user), message(said('user', 'What time is it?'), asked, result));
    assert.deepEqual((await kept(user))[0]?.at(-1), 'Noon.');
    assert.equal((await kept(user)).length, 1);
  });
});

describe('LibreChat', () => {
  const yaml = block(page('librechat'), 'yaml');
  const endpoints = yaml.split('- name: ').slice(1);
  const headersOf = (endpoint: string | undefined): Headers =>
    Object.fromEntries(
      [...(endpoint ?? '').matchAll(/^ {8}(X-[\w-]+): '(.*)'$/gm)].map(([, name, value]) => [name, value]),
    );
  const [chatting, titling] = endpoints.map(headersOf);
  const conversation = 'b0c4f7f2-3f4d-4f0a-8f7e-5d9f2a6c1e22';
  const filled = (headers: Headers | undefined, user: Client) =>
    fill(headers ?? {}, { LIBRECHAT_BODY_CONVERSATIONID: conversation, LIBRECHAT_USER_ID: user.user });
  const message = (...messages: object[]) => ({
    model: 'test-model',
    temperature: 1,
    top_p: 1,
    stream: true,
    stream_options: { include_usage: true },
    user: '665f1d2c9b3e4a0012345678',
    messages,
  });
  const text = (content: string) => [{ type: 'text', text: content }];

  it('is told to ask for titles at the second endpoint', () => {
    assert.equal(endpoints.length, 2);
    const name = /titleEndpoint: ('.*')/.exec(endpoints[0] ?? '')?.[1];
    assert.equal(endpoints[1]?.split('\n')[0], name);
    assert.deepEqual(Object.keys(chatting ?? {}), ['X-Conversation-ID', 'X-Conversation-Messages', 'X-User-ID']);
  });

  it('lists the models', async () => {
    const { body } = await frontEnd.request<{ data: { id: string }[] }>('GET', '/v1/models');
    assert(body.data.some(({ id }) => id === 'test-model'));
  });

  it('has its chats kept, and not its titles', async () => {
    const user = server.client();
    model.answer({ text: 'Of course.' });
    const system = said('system', 'Be kind.');
    await ask(filled(chatting, user), message(system, said('user', text('Hello'))));
    model.next({ text: 'A Greeting' });
    const title = await ask(filled(titling, user), {
      model: 'test-model',
      stream: false,
      messages: [said('user', 'A title of five words for this conversation.\n\nUser: Hello\nAI: Of course.')],
    });
    assert.equal(title.body.choices[0]?.message.content, 'A Greeting');
    const history = [system, said('user', text('Hello')), said('assistant', text('Of course.'))];
    const { text: stream } = await ask(filled(chatting, user), message(...history, said('user', text('And now?'))));
    assert.match(stream, /"usage":\{/);
    assert.deepEqual(await kept(user), [['Hello', 'Of course.', 'And now?', 'Of course.']]);
  });

  it('says the same to the model after an edit of its own', async () => {
    const user = server.client();
    model.answer({ text: 'Of course.' });
    await ask(filled(chatting, user), message(said('user', 'Hello')));
    const calls = model.calls.length;
    await ask(filled(chatting, user), message(said('user', 'Good evening')));
    assert.deepEqual(
      model.calls[calls]?.body.messages.map(({ content }) => content),
      ['Good evening'],
    );
  });
});
