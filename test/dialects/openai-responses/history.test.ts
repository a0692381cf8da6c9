/** One history: what is said by `/v1/responses` is seen in every dialect, and goes on where another left off. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { DIALECTS, type Line, named } from '../../journeys/dialects.ts';
import { ask, follow, get, setUp } from './fixtures.ts';
import { assertOrder, textOf } from './spec.ts';

describe('A response in a conversation', () => {
  const world = setUp();

  for (const dialect of DIALECTS) {
    it(`goes on with what was begun in ${dialect.name}, and is shown there`, async () => {
      const me = world.server.client();
      const { id } = await dialect.begin(me, 'Begun there');
      const conversation = await named(me, id);
      const response = await ask(me, { input: 'Gone on here', conversation: id });
      assert.deepEqual(response.conversation, { id: `conv_${id}` });
      assert.equal(await dialect.say(me, conversation, 'And there again'), 'You said: And there again');
      const said = ['Begun there', 'Gone on here', 'And there again'];
      const lines = said.flatMap((text): Line[] => [`user: ${text}`, `assistant: You said: ${text}`]);
      for (const other of DIALECTS) {
        if (other.lines !== null) assert.deepEqual(await other.lines(me, conversation), lines, other.name);
      }
      assert.equal((await dialect.remove(me, conversation)).status < 300, true);
      assert.equal(
        (await me.request('GET', `/v1/responses/${response.id}`)).status,
        404,
        'deleted with its conversation',
      );
    });
  }

  it('may be an answer of another dialect: got, followed, and gone on from', async () => {
    const { me } = world;
    const { body } = await me.request<{ conversation_id: string }>('POST', '/chat', {
      body: { message: 'Hi', user_id: me.user },
    });
    const { body: conversation } = await me.request<{ messages: { id: string; role: string }[] }>(
      'GET',
      `/conversations/${body.conversation_id}`,
    );
    const answer = conversation.messages.find(({ role }) => role === 'assistant')?.id ?? '';
    const response = await get(me, `resp_${answer}`);
    assert.deepEqual([textOf(response), response.conversation?.id], ['You said: Hi', `conv_${body.conversation_id}`]);
    assert.deepEqual(assertOrder((await follow(me, response.id)).events), response);
    const next = await ask(me, { input: 'And?', previous_response_id: response.id });
    assert.equal(next.conversation?.id, `conv_${body.conversation_id}`);
    assert.equal(world.model.calls.at(-1)?.body.messages.length, 3);
  });

  it('leaves out cleanly what a dialect cannot show: calls of tools and their outputs, reasoning, what a developer says', async () => {
    const me = world.server.client();
    const { id } = (await DIALECTS[2]?.begin(me, 'Hi')) ?? assert.fail();
    world.model.next(
      { reasoning: 'Hm', tools: [{ id: 'c1', name: 'weather', arguments: '{}' }] },
      { text: 'It rains' },
    );
    const tools = [{ type: 'function', name: 'weather' }];
    const input = [
      { role: 'developer', content: 'Be brief' },
      { role: 'user', content: 'Weather?' },
    ];
    await ask(me, { input, conversation: id, tools });
    await ask(me, {
      input: [{ type: 'function_call_output', call_id: 'c1', output: 'Rain' }],
      conversation: id,
      tools,
    });
    const conversation = await named(me, id);
    for (const dialect of DIALECTS) {
      if (dialect.lines === null) continue;
      const lines = await dialect.lines(me, conversation);
      const text = lines.join('\n');
      for (const unseen of ['weather', 'c1', 'Hm', 'Be brief']) {
        assert.ok(
          !text.includes(unseen) || dialect.name === 'conversations',
          `${dialect.name} shows "${unseen}": ${text}`,
        );
      }
      assert.ok(text.includes('user: Weather?') && text.includes('assistant: It rains'), `${dialect.name}: ${text}`);
    }
  });

  it('is in no list without a conversation', async () => {
    const me = world.server.client();
    await ask(me, { input: 'Hi' });
    for (const dialect of DIALECTS)
      if (dialect.list !== null) assert.deepEqual(await dialect.list(me), [], dialect.name);
  });
});
