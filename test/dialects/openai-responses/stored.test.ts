/** A stored response: its input, deleting it, going on from it otherwise than by an input, compressing it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Client } from '../../support/server.ts';
import { ask, get, refusal, setUp, stream } from './fixtures.ts';
import { assertResponse, assertValid, textOf } from './spec.ts';

interface List {
  data: { id: string; role: string; content: { text: string }[] }[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

describe('The input of a response', () => {
  const world = setUp();
  const list = async (id: string, query = '') =>
    (await world.me.request<List>('GET', `/v1/responses/${id}/input_items${query}`)).body;

  it('is its own, not that of the ones before it, in pages either way', async () => {
    const first = await ask(world.me, { input: 'Before' });
    const input = Array.from({ length: 7 }, (_, i) => ({
      role: i % 3 === 0 ? 'user' : i % 3 === 1 ? 'assistant' : 'developer',
      content: `Item ${i}`,
    }));
    const { id } = await ask(world.me, { input, previous_response_id: first.id });
    const whole = await list(id, '?order=asc');
    assert.deepEqual(
      whole.data.map(({ role, content }) => [role, content[0]?.text]),
      input.map(({ role, content }) => [role, content]),
    );
    assert.equal(whole.has_more, false);
    for (const item of whole.data) assertValid('ItemField', item);
    const newest = await list(id, '?limit=3');
    assert.deepEqual(
      newest.data.map(({ content }) => content[0]?.text),
      ['Item 6', 'Item 5', 'Item 4'],
    );
    assert.deepEqual(
      [newest.first_id, newest.last_id, newest.has_more],
      [newest.data[0]?.id, newest.data[2]?.id, true],
    );
    const rest = await list(id, `?limit=100&after=${newest.last_id}`);
    assert.deepEqual(
      rest.data.map(({ content }) => content[0]?.text),
      ['Item 3', 'Item 2', 'Item 1', 'Item 0'],
    );
    assert.equal(rest.has_more, false);
  });

  it('is refused for a page that is none, and for what is no response', async () => {
    const { id } = await ask(world.me, { input: 'Hi' });
    for (const query of ['?limit=0', '?limit=101', '?order=up', '?after=msg_none']) {
      const answer = await world.me.request('GET', `/v1/responses/${id}/input_items${query}`);
      assert.equal(answer.status, 400, `${query}: ${answer.text}`);
    }
    const { data } = await list(id);
    assert.equal((await world.me.request('GET', `/v1/responses/${data[0]?.id}`)).status, 404);
  });
});

describe('Deleting a response', () => {
  const world = setUp();

  it('leaves its items in its conversation, and what goes on behind it', async () => {
    const chat = (await world.me.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } })).body.id;
    const first = await ask(world.me, { input: 'One', conversation: chat });
    const second = await ask(world.me, { input: 'Two', conversation: chat });
    const { body } = await world.me.request('DELETE', `/v1/responses/${first.id}`);
    assert.deepEqual(body, { id: first.id, object: 'response', deleted: true });
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['GET', '/input_items'],
      ['POST', '/cancel'],
      ['POST', '/retry'],
    ] as const) {
      assert.equal((await world.me.request(method, `/v1/responses/${first.id}${path}`)).status, 404, method + path);
    }
    assert.equal(
      (await refusal(world.me, { input: 'Hi', previous_response_id: first.id })).code,
      'previous_response_not_found',
    );
    assert.deepEqual(await get(world.me, second.id), second);
    const entries = await world.me.request<{ message: string }[]>('GET', `/chats/${chat}/conversations`);
    assert.deepEqual(
      entries.body.map(({ message }) => message),
      ['One', 'You said: One', 'Two', 'You said: Two'],
    );
  });

  it('takes an unlisted conversation with its last one, and stops what is being written', async () => {
    const first = await ask(world.me, { input: 'One' });
    const { data } = (await world.me.request<List>('GET', `/v1/responses/${first.id}/input_items`)).body;
    world.model.next({ text: 'On and on ', endless: true });
    const index = world.model.calls.length;
    const second = await ask(world.me, { input: 'Two', previous_response_id: first.id, background: true });
    const call = await world.model.call(index);
    const reference = { input: [{ type: 'item_reference', id: data[0]?.id }] };
    assert.equal((await world.me.request('DELETE', `/v1/responses/${first.id}`)).status, 200);
    await ask(world.me, reference);
    assert.equal((await world.me.request('DELETE', `/v1/responses/${second.id}`)).status, 200);
    assert.equal(await call.over, 'left');
    assert.equal((await refusal(world.me, reference)).status, 400);
  });

  it('stops one that is being written in a conversation', async () => {
    const chat = (await world.me.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } })).body.id;
    world.model.next({ text: 'On and on ', endless: true });
    const index = world.model.calls.length;
    const { id } = await ask(world.me, { input: 'One', conversation: chat, background: true });
    const call = await world.model.call(index);
    assert.equal((await world.me.request('DELETE', `/v1/responses/${id}`)).status, 200);
    assert.equal(await call.over, 'left');
  });
});

describe('A response continued or tried again', () => {
  const world = setUp();
  const again = (id: string, verb: string, body?: object) =>
    world.me.request('POST', `/v1/responses/${id}/${verb}`, body === undefined ? {} : { body });

  it('goes on from the text of one that was broken off, as a new response', async () => {
    world.model.next({ text: ['One ', 'two ', 'three'], cut: 2 }, { text: 'and three' });
    const { response } = await stream(world.me, { input: 'Count', metadata: { a: 'b' } });
    const { body } = await again(response.id, 'continue');
    const next = assertResponse(body);
    assert.notEqual(next.id, response.id);
    assert.deepEqual([next.previous_response_id, next.metadata, textOf(next)], [response.id, { a: 'b' }, 'and three']);
    assert.ok(
      world.model.calls
        .at(-1)
        ?.body.messages.some(({ role, content }) => role === 'assistant' && content === 'One two '),
    );
    const { body: input } = await world.me.request<List>('GET', `/v1/responses/${next.id}/input_items`);
    assert.deepEqual(input.data, []);
    const whole = await again(next.id, 'continue');
    assert.equal(whole.status, 409, 'one that is whole has nothing to go on with');
  });

  it('is another one beside it, to the same input, with the model that is asked for', async () => {
    const first = await ask(world.me, { input: 'One' });
    const { body } = await again(first.id, 'retry', { model: 'other' });
    const second = assertResponse(body);
    assert.notEqual(second.id, first.id);
    assert.deepEqual([second.model, second.previous_response_id], ['other', null]);
    const inputs = await Promise.all(
      [first.id, second.id].map((id) => world.me.request('GET', `/v1/responses/${id}/input_items`)),
    );
    assert.equal(inputs[0]?.text, inputs[1]?.text);
    const third = await ask(world.me, { input: 'Two', previous_response_id: second.id });
    assert.equal(world.model.calls.at(-1)?.body.messages.length, 3, 'the first is not in its history');
    assert.equal(third.previous_response_id, second.id);
  });

  it('is one under one Idempotency-Key', async () => {
    const first = await ask(world.me, { input: 'One' });
    const options = { headers: { 'idempotency-key': 'again' } };
    const one = await world.me.request('POST', `/v1/responses/${first.id}/retry`, options);
    const two = await world.me.request('POST', `/v1/responses/${first.id}/retry`, options);
    assert.equal(two.text, one.text);
  });
});

describe('Compressing', () => {
  const world = setUp();
  interface Compacted {
    output: { type: string; encrypted_content: string }[];
  }
  const compact = (me: Client, body: object) =>
    me.request<Compacted>('POST', '/v1/responses/compact', { body: { model: 'test-model', ...body } });

  it('gives an item that stands for all that was said, and goes on with it', async () => {
    const first = await ask(world.me, { input: 'I am Ann' });
    world.model.next({ text: 'The person is Ann.', usage: { input: 9, output: 4 } });
    const { status, body } = await compact(world.me, { previous_response_id: first.id, input: 'I like tea' });
    assert.equal(status, 200);
    assertValid('CompactResource', body);
    assert.deepEqual(
      world.model.calls
        .at(-1)
        ?.body.messages.slice(1, 4)
        .map(({ content }) => content),
      ['I am Ann', 'You said: I am Ann', 'I like tea'],
    );
    const response = await ask(world.me, { input: [...body.output, { role: 'user', content: 'Who am I?' }] });
    const messages = world.model.calls.at(-1)?.body.messages ?? [];
    assert.equal(messages.length, 2);
    assert.match(String(messages[0]?.content), /The person is Ann\./);
    const { body: input } = await world.me.request<{ data: object[] }>(
      'GET',
      `/v1/responses/${response.id}/input_items?order=asc`,
    );
    assertValid('ItemField', input.data[0]);
    assert.equal((input.data[0] as { encrypted_content: string }).encrypted_content, body.output[0]?.encrypted_content);
  });

  it('makes nothing anybody else could read or have made', async () => {
    world.model.next({ text: 'The secret is canary.' });
    const { body } = await compact(world.me, { input: 'The secret is canary' });
    const sealed = body.output[0]?.encrypted_content ?? '';
    assert.ok(!Buffer.from(sealed, 'base64url').toString('latin1').includes('canary'));
    const changed = `${sealed.slice(0, 40)}${sealed[40] === 'A' ? 'B' : 'A'}${sealed.slice(41)}`;
    for (const [me, encrypted_content] of [
      [world.me, changed],
      [world.me, sealed.slice(0, -2)],
      [world.me, `${sealed}=`],
      [world.me, ''],
      [world.me, 'eyJ0ZXh0IjoibWFkZSB1cCJ9'],
      [world.server.client(), sealed],
    ] as const) {
      const error = await refusal(me, {
        input: [
          { type: 'compaction', encrypted_content },
          { role: 'user', content: 'Hi' },
        ],
      });
      assert.deepEqual([error.status, error.code], [400, 'invalid_request'], encrypted_content);
    }
  });

  it('survives a restart, and says so where the model fails or there is nothing to compress', async () => {
    const { body } = await compact(world.me, { input: 'Hi' });
    await world.server.stop();
    await world.server.start();
    await ask(world.me, { input: [...body.output, { role: 'user', content: 'Hi' }] });
    world.model.next({ status: 401, error: 'no' });
    assert.equal((await compact(world.me, { input: 'Hi' })).status, 503);
    assert.equal((await compact(world.me, {})).status, 400);
  });
});

describe('Counting tokens', () => {
  const world = setUp();

  it('estimates what the model would be given: input, history, instructions, tools', async () => {
    const count = async (body: object) => {
      const answer = await world.me.request<{ object: string; input_tokens: number }>(
        'POST',
        '/v1/responses/input_tokens',
        { body },
      );
      assert.equal(answer.body.object, 'response.input_tokens', answer.text);
      return answer.body.input_tokens;
    };
    const short = await count({ input: 'Hi' });
    const long = await count({ input: 'word '.repeat(400) });
    assert.ok(short >= 1 && short < 20, String(short));
    assert.ok(long > 400 && long < 600, String(long));
    const { id } = await ask(world.me, { input: 'word '.repeat(400) });
    const asked = world.model.calls.length;
    assert.ok((await count({ input: 'Hi', previous_response_id: id })) > long);
    assert.ok((await count({ input: 'Hi', instructions: 'Be brief, and kind' })) > short);
    assert.ok((await count({ input: 'Hi', tools: [{ type: 'function', name: 'weather' }] })) > short);
    assert.equal(world.model.calls.length, asked, 'nobody is asked');
  });
});
