/** One history: a conversation begun in one dialect is continued, listed, renamed, read and deleted in every other. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { parseEvents } from '../support/event-source.ts';
import { type Keys, openKeys } from '../support/keys.ts';
import { type ModelServer, startModelServer, textOf } from '../support/model-server.ts';
import { type Client, type OpenAnswer, startServer, type TestServer } from '../support/server.ts';
import { DIALECTS, type Line, type Named, named } from './dialects.ts';

let model: ModelServer;
let server: TestServer;
let keys: Keys;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
  keys = await openKeys(server.data);
});
after(async () => {
  await keys?.close();
  await server?.close();
  await model.close();
});

/** Somebody with one key, used in every dialect. */
async function someone(user: string): Promise<Client> {
  const { secret } = await keys.create({ user });
  return { ...server.visitor({ authorization: secret }), user };
}

/** What the newest call of the model was given, the system prompt aside. */
function given(): string[] {
  const messages = model.calls.at(-1)?.body.messages ?? [];
  return messages.filter(({ role }) => role !== 'system').map((message) => `${message.role}: ${textOf(message)}`);
}

for (const first of DIALECTS) {
  describe(`a conversation begun with ${first.name}`, () => {
    let alice: Client;
    let conversation: Named;
    /** A second window, which is open all the time. */
    let watching: OpenAnswer;
    const lines: Line[] = [];
    const calls = () => model.calls.length;

    before(async () => {
      alice = await someone(`one-${first.name}`);
      watching = await alice.open('GET', '/v1/changes', { headers: { accept: 'text/event-stream' } });
      const text = `begun with ${first.name}`;
      const { id, answer } = await first.begin(alice, text);
      assert.equal(answer, `You said: ${text}`);
      lines.push(`user: ${text}`, `assistant: ${answer}`);
      conversation = await named(alice, id);
    });

    for (const next of [...DIALECTS, ...DIALECTS.toReversed()]) {
      it(`goes on with ${next.name}, where the model is given all that was said`, async () => {
        const text = `message ${lines.length} with ${next.name}`;
        const asked = calls();
        const answer = await next.say(alice, conversation, text);
        assert.equal(answer, `You said: ${text}`);
        assert.equal(calls(), asked + 1);
        assert.deepEqual(given(), [...lines, `user: ${text}`]);
        lines.push(`user: ${text}`, `assistant: ${answer}`);
      });
    }

    it('keeps the assistant it was made with', () => {
      const prompts = model.calls.at(-1)?.body.messages.filter(({ role }) => role === 'system') ?? [];
      assert.equal(prompts.length, first.name === 'movie-chat' ? 1 : 0);
    });

    for (const { name, lines: read, list } of DIALECTS) {
      if (read === null || list === null) continue;
      it(`is listed and shown whole by ${name}`, async () => {
        const ids = await list(alice);
        assert.equal(ids.length, 1);
        assert.ok(ids[0] === conversation.id || ids[0] === conversation.number, `${ids[0]}`);
        assert.deepEqual(await read(alice, conversation), lines);
      });
    }

    for (const { name, rename } of DIALECTS) {
      if (rename === null) continue;
      it(`renamed with ${name} has its new name everywhere`, async () => {
        const title = `Renamed with ${name}`;
        await rename(alice, conversation, title);
        for (const { name: other, title: titleOf } of DIALECTS) {
          if (titleOf !== null) assert.equal(await titleOf(alice, conversation), title, other);
        }
      });
    }

    it('forked into another one is the same in all, and stands by itself', async () => {
      const path = `/v1/conversations/${conversation.id}/fork`;
      const { status, body } = await alice.request<{ id: string }>('POST', path);
      assert.equal(status, 201);
      const fork = await named(alice, body.id.replace('conv_', ''));
      const text = 'said in the fork';
      const answer = await first.say(alice, fork, text);
      assert.deepEqual(given(), [...lines, `user: ${text}`]);
      for (const { name, lines: read } of DIALECTS) {
        if (read === null) continue;
        assert.deepEqual(await read(alice, fork), [...lines, `user: ${text}`, `assistant: ${answer}`], name);
        assert.deepEqual(await read(alice, conversation), lines, name);
      }
      assert.ok((await first.remove(alice, fork)).status < 300);
    });

    it(`deleted with ${first.name} is gone in all`, async () => {
      const { status, text } = await first.remove(alice, conversation);
      assert.ok(status === 200 || status === 204, `${status} ${text}`);
      const asked = calls();
      for (const { name, find, remove, list } of DIALECTS) {
        assert.equal((await find(alice, conversation)).status, 404, name);
        assert.equal((await remove(alice, conversation)).status, 404, name);
        if (list !== null) assert.deepEqual(await list(alice), [], name);
      }
      assert.equal((await alice.request('GET', `/conversations/inference/${conversation.id}`)).status, 404);
      assert.equal(calls(), asked);
    });

    it('was watched by the second window from its beginning to its end', async () => {
      const { body } = await alice.request<{ newest: number }>('GET', '/v1/changes?limit=1');
      const text = await watching.until(`id: ${body.newest}\ndata: `);
      watching.cut();
      const all = parseEvents(text).map(({ data }): { number: number; type: string; conversation_id: string } =>
        JSON.parse(data),
      );
      assert.deepEqual(
        all.map(({ number }) => number),
        all.map((_, i) => i + 1),
      );
      const types = all.filter((line) => line.conversation_id === `conv_${conversation.id}`).map(({ type }) => type);
      const count = (type: string) => types.filter((one) => one === type).length;
      assert.equal(types[0], 'conversation-created');
      assert.equal(types.at(-1), 'conversation-deleted');
      assert.equal(count('run-started'), lines.length / 2);
      assert.equal(count('run-ended'), lines.length / 2);
      assert.equal(count('conversation-renamed'), DIALECTS.filter(({ rename }) => rename !== null).length);
    });
  });
}
