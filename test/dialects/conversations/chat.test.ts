/** Dialect 2, `POST /chat`: the document's fields and statuses, and what becomes of an answer that fails. */

import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, it } from 'node:test';
import { echo, type ModelServer, startModelServer } from '../../support/model-server.ts';
import { startServer, type TestServer } from '../../support/server.ts';

interface Answered {
  response: string;
  conversation_id: string;
}
interface Conversation {
  id: string;
  messages: { id: string; content: string; role: string }[];
}

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const UNKNOWN = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const NOT_FOUND = '{"detail":"Resource not found"}';

let model: ModelServer;
let server: TestServer;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url, env: { PARLANCE_TIMEOUT_FIRST_TOKEN: '1' } });
});
beforeEach(() => model.answer(echo));
after(() => Promise.all([server.close(), model.close()]));

/** The contents a conversation shows, oldest first. */
async function contents(client: ReturnType<TestServer['client']>, id: string): Promise<string[]> {
  const { body } = await client.request<Conversation>('GET', `/conversations/${id}`);
  return body.messages.map(({ role, content }) => `${role}: ${content}`);
}

describe('POST /chat', () => {
  it('answers with response and conversation_id, and no other field', async () => {
    const alice = server.client();
    const answer = await alice.request<Answered>('POST', '/chat', { body: { message: 'Hi', user_id: alice.user } });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
    assert.match(String(answer.headers['x-request-id']), /./);
    assert.match(answer.body.conversation_id, UUID_V7);
    assert.equal(answer.text, `{"response":"You said: Hi","conversation_id":"${answer.body.conversation_id}"}`);
  });

  it('works as documented: no key, the user in the body', async () => {
    const nobody = server.visitor();
    const answer = await nobody.request<Answered>('POST', '/chat', { body: { message: 'Hi', user_id: 'documented' } });
    assert.equal(answer.status, 200);
    assert.equal(answer.body.response, 'You said: Hi');
  });

  it('begins a conversation each time it is given none', async () => {
    const alice = server.client();
    const [one, two] = await Promise.all(
      ['a', 'b'].map((message) => alice.request<Answered>('POST', '/chat', { body: { message } })),
    );
    assert.notEqual(one?.body.conversation_id, two?.body.conversation_id);
  });

  it('goes on with a conversation: the model is given all of it', async () => {
    const alice = server.client();
    const { body } = await alice.request<Answered>('POST', '/chat', { body: { message: 'My cat is Mimi.' } });
    const again = await alice.request<Answered>('POST', '/chat', {
      body: { message: 'Who is she?', conversation_id: body.conversation_id },
    });
    assert.equal(again.body.conversation_id, body.conversation_id);
    assert.deepEqual(
      model.calls.at(-1)?.body.messages.map(({ role, content }) => `${role}: ${content}`),
      ['user: My cat is Mimi.', 'assistant: You said: My cat is Mimi.', 'user: Who is she?'],
    );
  });

  it('takes a conversation by UUID, conv_ and number', async () => {
    const alice = server.client();
    const { body } = await alice.request<Answered>('POST', '/chat', { body: { message: '1' } });
    const { body: chats } = await alice.request<{ id: number }[]>('GET', '/api/chat/');
    const number = chats[0]?.id ?? 0;
    const forms = [body.conversation_id, `conv_${body.conversation_id}`, number, String(number)];
    for (const conversation_id of forms) {
      const answer = await alice.request<Answered>('POST', '/chat', { body: { message: '+', conversation_id } });
      assert.equal(answer.body.conversation_id, body.conversation_id, `as ${conversation_id}`);
    }
  });

  it('takes null for no conversation', async () => {
    const alice = server.client();
    const answer = await alice.request('POST', '/chat', { body: { message: 'Hi', conversation_id: null } });
    assert.equal(answer.status, 200);
  });

  it('gives the same 404 for a conversation that is unknown, somebody else’s, or has no form of an id', async () => {
    const [alice, eve] = [server.client(), server.client()];
    const { body } = await alice.request<Answered>('POST', '/chat', { body: { message: 'mine' } });
    const asked = model.calls.length;
    for (const conversation_id of [UNKNOWN, body.conversation_id, `conv_${body.conversation_id}`, 999_999, 'x', '']) {
      const answer = await eve.request('POST', '/chat', { body: { message: 'Hi', conversation_id } });
      assert.deepEqual([answer.status, answer.text], [404, NOT_FOUND], `as ${JSON.stringify(conversation_id)}`);
    }
    assert.equal(model.calls.length, asked);
    assert.deepEqual(await contents(alice, body.conversation_id), ['user: mine', 'assistant: You said: mine']);
    assert.equal((await eve.request('GET', '/conversations')).text, '[]');
  });

  it('takes white space as a text, and keeps every character', async () => {
    const alice = server.client();
    for (const message of [' ', '\n\t', 'ü👋🏽 "q" \\ \u2028 </script>', '\u0001']) {
      const { status, body } = await alice.request<Answered>('POST', '/chat', { body: { message } });
      assert.equal(status, 200, JSON.stringify(message));
      const { body: kept } = await alice.request<Conversation>('GET', `/conversations/${body.conversation_id}`);
      assert.equal(kept.messages[0]?.content, message);
    }
  });

  it('takes a message of 1 MiB of UTF-8', async () => {
    const alice = server.client();
    const message = 'é'.repeat(512 * 1024);
    model.answer({ text: 'long' });
    const { status, body } = await alice.request<Answered>('POST', '/chat', { body: { message } });
    assert.equal(status, 200);
    const { body: kept } = await alice.request<Conversation>('GET', `/conversations/${body.conversation_id}`);
    assert.ok(kept.messages[0]?.content === message, 'the message is kept whole');
  });

  it('answers on /chat/ too, and takes a charset, a vendor type and unknown fields', async () => {
    const alice = server.client();
    const body = JSON.stringify({ message: 'Hi', temperature: 2, metadata: { a: [1] } });
    for (const type of ['application/json; charset=UTF-8', 'application/vnd.api+json', 'APPLICATION/JSON']) {
      const answer = await alice.request<Answered>('POST', '/chat/', { body, headers: { 'content-type': type } });
      assert.equal(answer.status, 200, type);
    }
    assert.equal(model.calls.at(-1)?.body.temperature, undefined);
  });

  it('waits its turn in a conversation that is being answered', async () => {
    const alice = server.client();
    const { body } = await alice.request<Answered>('POST', '/chat', { body: { message: '1' } });
    const { conversation_id } = body;
    model.answer((request) => ({ ...echo(request), gated: true }));
    const from = model.calls.length;
    const first = alice.request<Answered>('POST', '/chat', { body: { message: '2', conversation_id } });
    const running = await model.call(from);
    const second = alice.request<Answered>('POST', '/chat', { body: { message: '3', conversation_id } });
    await running.releaseAll();
    assert.equal((await first).body.response, 'You said: 2');
    await (await model.call(from + 1)).releaseAll();
    assert.equal((await second).body.response, 'You said: 3');
    assert.deepEqual(
      model.calls.at(-1)?.body.messages.map(({ content }) => content),
      ['1', 'You said: 1', '2', 'You said: 2', '3'],
    );
  });
});

describe('POST /chat when the model fails', () => {
  it('is 503 before the first token, keeps the message, and the same Idempotency-Key answers it', async () => {
    const alice = server.client();
    const { body: begun } = await alice.request<Answered>('POST', '/chat', { body: { message: 'first' } });
    const request = {
      body: { message: 'second', conversation_id: begun.conversation_id },
      headers: { 'idempotency-key': 'again' },
    };
    const asked = model.calls.length;
    model.next({ status: 500 }, { status: 500 }, { status: 500 });
    const failed = await alice.request<{ detail: string }>('POST', '/chat', request);
    assert.equal(failed.status, 503);
    assert.deepEqual(Object.keys(failed.body), ['detail']);
    assert.equal(model.calls.length, asked + 3, 'three calls in all');
    const before = ['user: first', 'assistant: You said: first', 'user: second'];
    assert.deepEqual(await contents(alice, begun.conversation_id), before);

    const answered = await alice.request<Answered>('POST', '/chat', request);
    assert.deepEqual(
      [answered.status, answered.body],
      [200, { response: 'You said: second', conversation_id: begun.conversation_id }],
    );
    assert.deepEqual(await contents(alice, begun.conversation_id), [...before, 'assistant: You said: second']);
  });

  it('is 503 at once where another try is no use', async () => {
    const alice = server.client();
    const asked = model.calls.length;
    model.next({ status: 401 });
    const failed = await alice.request<{ detail: string }>('POST', '/chat', { body: { message: 'Hi' } });
    assert.equal(failed.status, 503);
    assert.equal(model.calls.length, asked + 1);
  });

  it('is 504 for a model that says nothing', async () => {
    const alice = server.client();
    model.answer({ stall: 'first-token' });
    const failed = await alice.request<{ detail: string }>('POST', '/chat', { body: { message: 'Hi' } });
    assert.deepEqual([failed.status, Object.keys(failed.body)], [504, ['detail']]);
    assert.equal(await model.calls.at(-1)?.over, 'left');
    const { body } = await alice.request<Conversation[]>('GET', '/conversations');
    assert.deepEqual(
      body.map(({ messages }) => messages.map(({ content }) => content)),
      [['Hi']],
    );
  });

  it('is 502 for an answer that breaks off, never a shorter text; what was written is kept', async () => {
    const alice = server.client();
    const asked = model.calls.length;
    for (const script of [{ cut: 2 }, { end: 2 }]) {
      model.answer({ text: 'one two three', ...script });
      const broken = await alice.request<{ detail: string }>('POST', '/chat', { body: { message: 'Hi' } });
      assert.deepEqual([broken.status, Object.keys(broken.body)], [502, ['detail']], JSON.stringify(script));
      const { body } = await alice.request<Conversation[]>('GET', '/conversations');
      assert.deepEqual(
        body[0]?.messages.map(({ content }) => content),
        ['Hi', 'one two'],
      );
    }
    assert.equal(model.calls.length, asked + 2, 'not asked again after the first token');
  });

  it('is the 404 of the document when the conversation is deleted meanwhile; the model call is ended', async () => {
    const alice = server.client();
    model.answer({ text: 'one two', gated: true });
    const from = model.calls.length;
    const asked = alice.request('POST', '/chat', { body: { message: 'Hi' } });
    const call = await model.call(from);
    const { body } = await alice.request<Conversation[]>('GET', '/conversations');
    await alice.request('DELETE', `/conversations/${body[0]?.id}`);
    const answer = await asked;
    assert.deepEqual([answer.status, answer.text], [404, NOT_FOUND]);
    assert.equal(await call.over, 'left');
    assert.equal((await alice.request('GET', '/conversations')).text, '[]');
  });
});

it('a retry may name the same user in another place', async () => {
  const calls = model.calls.length;
  const visitor = server.visitor();
  const headers = { 'idempotency-key': 'moved' };
  const first = await visitor.request('POST', '/chat', { body: { message: 'Hi', user_id: 'mover' }, headers });
  const second = await visitor.request('POST', '/chat?user_id=mover', { body: { message: 'Hi' }, headers });
  assert.equal(first.status, 200, first.text);
  assert.equal(second.text, first.text);
  assert.equal(model.calls.length, calls + 1);
});
