/**
 * What a restart keeps (DESIGN.md, promise 1), and how a server goes down: no new work, answers finished or ended with
 * their text, everybody told, and out within 30 s (QUALITY.md, 1: SIGTERM).
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { everything } from '../access/people.ts';
import { parseEvents } from '../support/event-source.ts';
import { type Keys, openKeys } from '../support/keys.ts';
import { echo, type ModelServer, startModelServer, textOf } from '../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, openSocket } from '../support/socket.ts';

const TEXT = 'One two three four five.';

let model: ModelServer;
before(async () => {
  model = await startModelServer();
});
after(async () => {
  closeSockets();
  await model.close();
});

for (const how of ['SIGTERM', 'kill -9'] as const) {
  describe(`after ${how} and a restart`, () => {
    let server: TestServer;
    let keys: Keys;
    before(async () => {
      server = await startServer({ model: model.url });
      keys = await openKeys(server.data);
    });
    after(async () => {
      await keys?.close();
      await server?.close();
    });

    const restart = async () => {
      if (how === 'SIGTERM') assert.equal(await server.stop(), 0);
      else await server.kill();
      await server.start();
    };

    it('everything shown of a user is the same, to the byte: messages, titles, times, numbers, the active session', async () => {
      const client = server.client();
      const { body: sessions } = await client.request<{ data: { id: number } }>('POST', '/api/chat_sessions', {
        body: { title: 'Not active any more' },
      });
      await client.request('POST', '/api/chat_sessions', { body: { title: 'Active' } });
      const { body: movie } = await client.request<{ id: number }>('POST', '/api/chat');
      await client.request('POST', `/api/chat/${movie.id}/messages`, { body: { content: 'Alien?' } });
      await client.request('PUT', `/api/contacts/${sessions.data.id}`, { body: { title: 'Renamed' } });
      const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
      const body = { name: 'Dated', updated_at: '2001-02-03T04:05:06.007Z' };
      await client.request('PUT', `/chats/update/${chat.id}`, { body });
      const entry = { chat_id: chat.id, role: 'Assistant', message: 'By hand.' };
      await client.request('POST', '/conversations/create', { body: entry });
      await client.request('POST', '/ask', { body: { prompt: 'Hi' } });
      model.next({ text: TEXT, cut: 2 });
      await client.request('POST', '/ask', { body: { prompt: 'Broken off' } });
      const before = await everything(client);
      assert.ok(JSON.stringify(before).includes('"is_active\\":\\"true\\"'), 'one is active');
      await restart();
      assert.deepEqual(await everything(client), before);
      const { body: after } = await client.request<{ data: { title: string; is_active: string }[] }>(
        'GET',
        '/api/chat_sessions?limit=100',
      );
      const active = after.data.filter(({ is_active }) => is_active === 'true').map(({ title }) => title);
      assert.deepEqual(active, ['Active']);
    });

    it('numbers go on, and one that was deleted is never given again', async () => {
      const client = server.client();
      const make = async () => (await client.request<{ id: number }>('POST', '/api/chat')).body.id;
      const [one, two] = [await make(), await make()];
      assert.equal(two, one + 1);
      await client.request('DELETE', `/api/chat/${two}`);
      await restart();
      assert.equal(await make(), two + 1);
    });

    it('keys work, revoked and expired ones do not, and limits and scopes stay', async () => {
      const user = `keyed-${how.length}`;
      const kept = await keys.create({ user });
      const reader = await keys.create({ user, scopes: ['read'] });
      const limited = await keys.create({ user: `${user}-limited`, rates: { perMinute: 2, perHour: 0 } });
      const revoked = await keys.create({ user });
      await keys.revoke(revoked);
      const expired = await keys.createExpired({ user });
      await restart();
      const statusOf = async ({ secret }: { secret: string }, method = 'GET') =>
        (await server.visitor({ authorization: secret }).request(method, '/chats/')).status;
      assert.equal(await statusOf(kept), 200);
      assert.equal(await statusOf(revoked), 401);
      assert.equal(await statusOf(expired), 401);
      assert.equal(await statusOf(reader), 200);
      const write = server
        .visitor({ authorization: reader.secret })
        .request('POST', '/chat', { body: { message: 'x' } });
      assert.equal((await write).status, 403);
      assert.deepEqual([await statusOf(limited), await statusOf(limited), await statusOf(limited)], [200, 200, 429]);
      const owner = server.visitor({ authorization: server.ownerKey });
      assert.equal((await owner.request('GET', '/api/chat')).status, 200, 'the owner’s key');
    });

    it('keyless users stay keyless, and keyed ones keyed', async () => {
      const nobody = server.visitor();
      const open = { message: 'Hi', user_id: `open-${how.length}` };
      const { body } = await nobody.request<{ conversation_id: string }>('POST', '/chat', { body: open });
      const keyed = server.client();
      const { body: hers } = await keyed.request<{ conversation_id: string }>('POST', '/chat', {
        body: { message: 'Hi' },
      });
      await restart();
      assert.equal((await nobody.request('GET', `/conversations/${body.conversation_id}`)).status, 200);
      assert.equal((await nobody.request('GET', `/conversations/${hers.conversation_id}`)).status, 404);
    });
  });
}

describe('SIGTERM', () => {
  interface Waiting {
    client: Client;
    server: TestServer;
  }
  /** A server that gives answers so many seconds. */
  async function withServer(drain: string, test: (waiting: Waiting) => Promise<void>): Promise<void> {
    const server = await startServer({ model: model.url, env: { PARLANCE_TIMEOUT_DRAIN: drain } });
    try {
      await test({ server, client: server.client() });
    } finally {
      await server.close();
    }
  }

  async function makeChat(client: Client): Promise<string> {
    const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'C' } });
    const entry = { chat_id: chat.id, role: 'Human', message: 'Count.' };
    await client.request('POST', '/conversations/create', { body: entry });
    return chat.id;
  }

  /** Resolves when nobody is let in any more. */
  async function refusesWork(client: Client): Promise<void> {
    for (;;) {
      const status = await client.request('GET', '/readyz').then(
        (answer) => answer.status,
        () => null,
      );
      if (status === null || status === 503) return;
      await new Promise(setImmediate);
    }
  }

  it('lets answers finish: whoever waits for one gets it whole, and the exit is clean', () =>
    withServer('20', async ({ server, client }) => {
      const chat = await makeChat(client);
      const from = model.calls.length;
      model.next({ text: TEXT, gated: true }, { text: TEXT, gated: true });
      const plain = client.request<{ response: string }>('POST', '/chat', { body: { message: 'Hi' } });
      await model.call(from);
      const stream = await client.open('GET', `/conversations/inference/${chat}`);
      await model.call(from + 1);
      const began = performance.now();
      const stopped = server.stop();
      await refusesWork(client);
      for (const call of model.calls.slice(from)) await call.releaseAll();
      assert.deepEqual([(await plain).status, (await plain).body.response], [200, TEXT]);
      assert.match(await stream.ended, /"finish_reason":"stop"/);
      assert.equal(await stopped, 0);
      assert.ok(performance.now() - began < 10_000, 'it does not wait longer than the answers');
    }));

  it('refuses new work at once', () =>
    withServer('20', async ({ server, client }) => {
      const from = model.calls.length;
      model.next({ text: TEXT, gated: true });
      const plain = client.request('POST', '/chat', { body: { message: 'Hi' } });
      const call = await model.call(from);
      const stopped = server.stop();
      await refusesWork(client);
      const refused = await client.request('POST', '/chat', { body: { message: 'Too late' } }).then(
        ({ status }) => status,
        () => null,
      );
      assert.ok(refused === null || refused === 503, `${refused}`);
      assert.equal(model.calls.length, from + 1);
      await call.releaseAll();
      assert.equal((await plain).status, 200);
      assert.equal(await stopped, 0);
    }));

  it('after the time for it, ends what is left as incomplete with its text, and tells everybody', () =>
    withServer('1', async ({ server, client }) => {
      const chats = await Promise.all(Array.from({ length: 50 }, () => makeChat(client)));
      const from = model.calls.length;
      model.answer({ text: TEXT, gated: true });
      const streams = await Promise.all(chats.map((chat) => client.open('GET', `/conversations/inference/${chat}`)));
      const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
      const socket = await openSocket(server.url, '/ws?stream=true', { headers });
      socket.send({ type: 'message', content: 'Hi' });
      const opening = await socket.next();
      const calls = await Promise.all(Array.from({ length: 51 }, (_, i) => model.call(from + i)));
      await Promise.all(calls.map((call) => call.release(2)));
      await Promise.all(streams.map((stream) => stream.until('data:  two')));

      const began = performance.now();
      assert.equal(await server.stop(), 0);
      assert.ok(performance.now() - began < 30_000);
      for (const stream of streams) {
        const events = parseEvents(await stream.ended);
        assert.equal(events.at(-1)?.event, 'done');
        assert.equal(JSON.parse(events.at(-1)?.data ?? '').finish_reason, 'incomplete');
      }
      const frames = await socket.until('error');
      assert.equal(frames.at(-1)?.message_id, opening.message_id);
      assert.equal((await socket.closed).code, 1001);
      for (const call of calls) assert.equal(await call.over, 'left');

      await server.start();
      for (const [i, chat] of chats.slice(0, 5).entries()) {
        const { text } = await client.request('GET', `/conversations/inference/${chat}`);
        assert.equal(text, await streams[i]?.ended, 'the same stream again');
        const { body } = await client.request<{ messages: { content: string }[] }>('GET', `/conversations/${chat}`);
        assert.equal(body.messages.at(-1)?.content, 'One two');
      }
      assert.equal(model.calls.length, from + 51);
      model.answer(echo);
    }));

  it('leaves what waits for its turn to the next start, where it is answered once', () =>
    withServer('1', async ({ server, client }) => {
      const headers = { authorization: server.ownerKey, 'x-user-id': client.user };
      const socket = await openSocket(server.url, '/ws?stream=true', { headers });
      const from = model.calls.length;
      model.answer((body) => (textOf(body.messages.at(-1)) === 'one' ? { text: TEXT, gated: true } : echo(body)));
      for (const content of ['one', 'two']) socket.send({ type: 'message', content, idempotency_key: content });
      const { conversation_id } = await socket.next();
      const waiting = await socket.next();
      await (await model.call(from)).release(1);
      const follower = await client.open('GET', `/conversations/inference/${conversation_id}`);
      assert.equal(await server.stop(), 0);
      assert.equal((await socket.closed).code, 1001);
      await follower.ended;
      assert.equal(model.calls.length, from + 1);

      await server.start();
      const { text } = await client.request('GET', `/conversations/inference/${conversation_id}`);
      assert.match(text, /"finish_reason":"stop"/);
      const again = await openSocket(server.url, '/ws', { headers });
      again.send({ type: 'message', content: 'two', idempotency_key: 'two' });
      const response = await again.next();
      assert.deepEqual([response.content, response.message_id], ['You said: two', waiting.message_id]);
      assert.equal(model.calls.length, from + 2);
      model.answer(echo);
    }));

  it('ends idle readers and sockets, and a server without work at once', () =>
    withServer('20', async ({ server }) => {
      const socket = await openSocket(server.url, '/ws?user_id=idle');
      const began = performance.now();
      assert.equal(await server.stop(), 0);
      assert.equal((await socket.closed).code, 1001);
      assert.ok(performance.now() - began < 5_000);
    }));
});
