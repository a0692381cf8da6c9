/** How often which model is asked: retries, fallbacks, limits. "After the first token never." */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { openSqliteStore } from '../../src/adapters/store/sqlite.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../support/server.ts';

interface Exchange {
  response: string;
  conversation_id: string;
}

describe('a model that fails, and the one behind it', () => {
  let first: ModelServer;
  let second: ModelServer;
  let server: TestServer;
  let folder: string;
  let ann: Client;
  let asked: [number, number];

  before(async () => {
    [first, second] = await Promise.all([startModelServer(), startModelServer()]);
    folder = await mkdtemp(join(tmpdir(), 'parlance-config-'));
    const file = join(folder, 'parlance.config.json');
    const providers = [{ id: 'spare', baseUrl: second.url }];
    const assistants = [{ id: 'default', name: 'Default', fallbacks: ['spare/test-model'] }];
    await writeFile(file, JSON.stringify({ providers, assistants }));
    const env = {
      PARLANCE_CONFIG: file,
      PARLANCE_TIMEOUT_FIRST_TOKEN: '0.6',
      PARLANCE_TIMEOUT_SILENCE: '0.6',
      PARLANCE_TIMEOUT_RUN: '4',
      PARLANCE_MAX_ANSWER: '1000',
    };
    server = await startServer({ model: first.url, env });
    ann = server.client();
  });
  after(async () => {
    await Promise.all([server.close(), first.close(), second.close()]);
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    second.answer({ text: 'The spare one' });
    asked = [first.calls.length, second.calls.length];
  });

  const ask = () => ann.request<Exchange>('POST', '/chat', { body: { message: 'Hello' } });
  const calls = () => [first.calls.length - asked[0], second.calls.length - asked[1]];

  it('500: asked three times, and then the next', async () => {
    first.next({ status: 500 }, { status: 500 }, { status: 500 });
    assert.equal((await ask()).body.response, 'The spare one');
    assert.deepEqual(calls(), [3, 1]);
  });

  it('500 once: asked again, and nobody else', async () => {
    first.next({ status: 500 }, { text: 'Now' });
    assert.equal((await ask()).body.response, 'Now');
    assert.deepEqual(calls(), [2, 0]);
  });

  it('429: asked again when it said, and not before', async () => {
    first.next({ status: 429, headers: { 'retry-after': '1' } }, { text: 'Now' });
    const began = performance.now();
    assert.equal((await ask()).body.response, 'Now');
    assert.ok(performance.now() - began >= 1000);
  });

  it('429 for an hour: the next, at once', async () => {
    first.next({ status: 429, headers: { 'retry-after': '3600' } });
    assert.equal((await ask()).body.response, 'The spare one');
    assert.deepEqual(calls(), [1, 1]);
  });

  it('400: not asked again, since it would say the same', async () => {
    first.next({ status: 400 });
    assert.equal((await ask()).body.response, 'The spare one');
    assert.deepEqual(calls(), [1, 1]);
  });

  it('silence: not waited for twice', async () => {
    first.next({ text: 'Late', stall: 'first-token' });
    assert.equal((await ask()).body.response, 'The spare one');
    assert.deepEqual(calls(), [1, 1]);
    assert.equal(await first.calls.at(-1)?.over, 'left');
  });

  it('a break after the first token: nobody is asked again, and the text is kept', async () => {
    first.next({ text: 'One two three', cut: 2 });
    const { status } = await ask();
    assert.equal(status, 502);
    assert.deepEqual(calls(), [1, 0]);
    const { body } = await ann.request<{ messages: { content: string }[] }[]>('GET', '/conversations');
    assert.deepEqual(
      body[0]?.messages.map(({ content }) => content),
      ['Hello', 'One two'],
    );
  });

  it('silence after the first token ends the answer, and its connection', async () => {
    first.next({ text: 'One two three', stall: 1 });
    assert.equal((await ask()).status, 502);
    assert.deepEqual(calls(), [1, 0]);
    assert.equal(await first.calls.at(-1)?.over, 'left');
  });

  it('an endless answer is cut at its allowed length, and says so', async () => {
    first.next({ text: 'word '.repeat(20), endless: true });
    const made = await ann.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Long' } });
    await ann.request('POST', '/conversations/create', {
      body: { chat_id: made.body.id, role: 'Human', message: 'Go on for ever' },
    });
    const { text } = await ann.request('GET', `/conversations/inference/${made.body.id}`);
    assert.match(text, /"finish_reason":"length"/);
    const entries = await ann.request<{ message: string }[]>('GET', `/chats/${made.body.id}/conversations`);
    const length = entries.body[1]?.message.length ?? 0;
    assert.ok(length > 1000 && length < 200_000, `${length} characters`);
    assert.equal(await first.calls.at(-1)?.over, 'left');
  });

  it('an answer that takes too long is ended', async () => {
    // A token now and then: never silent, never done.
    first.next({ text: 'word '.repeat(100), gated: true });
    const answer = ask();
    const call = await first.call(asked[0]);
    let over = false;
    const ended = call.over.then(() => {
      over = true;
    });
    while (!over) await Promise.race([call.release().then(() => new Promise((go) => setTimeout(go, 100))), ended]);
    assert.equal((await answer).status, 502);
  });

  it('every attempt is kept with the answer', async () => {
    first.next({ status: 500 }, { status: 500 }, { status: 500 });
    const { body } = await ask();
    const store = await openSqliteStore({ folder: server.data, exclusive: false, now: Date.now });
    const owner = { tenant: 'default', user: ann.user, keyless: false, findsKeyless: false };
    const path = await store.readPath({ owner, ref: { by: 'id', id: body.conversation_id }, limit: 2, before: null });
    const run = await store.findRunOfTurn(owner, path?.turns[1]?.id ?? '');
    await store.close();
    assert.deepEqual(
      run?.attempts.map(({ model, status, error }) => [model, status, error?.code ?? null]),
      [
        ['test-model', 500, 'provider_error'],
        ['test-model', 500, 'provider_error'],
        ['test-model', 500, 'provider_error'],
        ['spare/test-model', null, null],
      ],
    );
    assert.equal(run?.model, 'spare/test-model');
  });
});
