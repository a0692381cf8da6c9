import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { cleanTitle } from '#service/titles.ts';
import type { Client } from '../support/server.ts';
import { useServer } from '../support/use-server.ts';

const { model, server } = await useServer({ PARLANCE_TITLES: 'model' });

const CLEANED: [string, string, string][] = [
  ['at most six words', 'one two three four five six seven', 'one two three four five six'],
  ['one line', 'First line\nSecond line', 'First line'],
  ['without the quotation marks and full stops models like', '"Trip to Oslo."', 'Trip to Oslo'],
  ['without heading marks', '# **Trip to Oslo**', 'Trip to Oslo'],
  ['at most 100 characters, none of them cut in two', '😀'.repeat(150), '😀'.repeat(100)],
  ['white space folded', '  a \t b  ', 'a b'],
  ['nothing of nothing', ' \n ', ''],
];
for (const [what, text, title] of CLEANED) {
  test(`a title is ${what}`, () => assert.equal(cleanTitle(text), title));
}

/** Asks until the conversation has a name that is not "New chat"; the test runner's time limit is the end of it. */
async function nameOf(client: Client, id: string): Promise<string> {
  for (;;) {
    const { body } = await client.request<{ name: string }>('GET', `/chats/${id}`);
    if (body.name !== 'New chat') return body.name;
  }
}

describe('titles', () => {
  async function begin(client: Client): Promise<string> {
    const { body } = await client.request<{ conversation_id: string }>('POST', '/chat', {
      body: { message: 'Where should I go in Norway this summer?' },
    });
    return body.conversation_id;
  }

  it('are asked of the model after the first exchange, with what was said', async () => {
    const calls = model.calls.length;
    model.next({ text: 'Oslo.' }, { text: '"Norway in Summer"' });
    const ann = server.client();
    const id = await begin(ann);
    assert.equal(await nameOf(ann, id), 'Norway in Summer');
    const asked = JSON.stringify(model.calls[calls + 1]?.body.messages);
    assert.match(asked, /at most six words/);
    assert.match(asked, /Where should I go in Norway this summer\?.*Oslo\./);
  });

  it('are the first words of the message where the model fails', async () => {
    model.next({ text: 'Oslo.' }, { status: 400, error: 'no' });
    const ann = server.client();
    assert.equal(await nameOf(ann, await begin(ann)), 'Where should I go in Norway');
  });

  it('never replace the name a person gave meanwhile', async () => {
    const calls = model.calls.length;
    model.next({ text: 'Oslo.' }, { text: 'Late title', stall: 'first-token' });
    const ann = server.client();
    const id = await begin(ann);
    const title = await model.call(calls + 1);
    await ann.request('PUT', `/chats/update/${id}`, { body: { name: 'Mine' } });
    await title.releaseAll();
    assert.equal(await title.over, 'end');
    model.next({ text: 'Bergen.' });
    await ann.request('POST', '/chat', { body: { message: 'And then?', conversation_id: id } });
    assert.equal(await nameOf(ann, id), 'Mine');
    assert.equal(model.calls.length, calls + 3);
  });

  it('are not asked for where the conversation has a name', async () => {
    const calls = model.calls.length;
    const ann = server.client();
    const made = await ann.request<{ id: number }>('POST', '/api/chat', { body: { title: 'Films' } });
    await ann.request('POST', `/api/chat/${made.body.id}/messages`, { body: { content: 'Hi' } });
    await ann.request('POST', `/api/chat/${made.body.id}/messages`, { body: { content: 'Again' } });
    assert.equal(model.calls.length, calls + 2);
  });
});
