/** "100 requests per minute per user, 1000 requests per hour per user", over all dialects and the WebSocket together. */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Keys, openKeys } from '../../support/keys.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Answer, type Client, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets, openSocket } from '../../support/socket.ts';

interface Problem {
  detail: string;
}

let model: ModelServer;
before(async () => {
  model = await startModelServer();
});
after(async () => {
  closeSockets();
  await model.close();
});

/** The three headers of a counted answer; undefined where it is not counted. */
function limits({ headers }: Answer): { limit: number; remaining: number; reset: number } | undefined {
  if (headers['ratelimit-limit'] === undefined) return undefined;
  return {
    limit: Number(headers['ratelimit-limit']),
    remaining: Number(headers['ratelimit-remaining']),
    reset: Number(headers['ratelimit-reset']),
  };
}

/** Many requests, `width` at a time, so that the system's own limits do not matter. */
async function repeat(count: number, width: number, request: () => Promise<Answer>): Promise<number[]> {
  const statuses: number[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: width }, async () => {
      while (left-- > 0) statuses.push((await request()).status);
    }),
  );
  return statuses;
}

/** Uses up what a user has left but `keep`. */
async function spend(client: Client, keep: number): Promise<void> {
  const { remaining } = limits(await client.request('GET', '/conversations')) ?? { remaining: 0 };
  const statuses = await repeat(remaining - keep, 20, () => client.request('GET', '/conversations'));
  assert.ok(statuses.every((status) => status === 200));
}

describe('100 requests a minute', () => {
  let server: TestServer;
  let keys: Keys;
  before(async () => {
    const env = { PARLANCE_RATE_PER_MINUTE: '100', PARLANCE_RATE_PER_HOUR: '1000' };
    server = await startServer({ model: model.url, env });
    keys = await openKeys(server.data);
  });
  after(async () => {
    await keys.close();
    await server.close();
  });

  it('each counted answer says what is left; the 101st is 429 and names the limit', async () => {
    const alice = server.client();
    for (let i = 1; i <= 100; i++) {
      const answer = await alice.request('GET', '/conversations');
      assert.equal(answer.status, 200, `request ${i}`);
      const { limit, remaining, reset } = limits(answer) ?? {};
      assert.deepEqual([limit, remaining], [100, 100 - i]);
      assert.ok(reset !== undefined && reset > 0 && reset <= 60, `reset ${reset}`);
    }
    const refused = await alice.request<Problem>('GET', '/conversations');
    assert.equal(refused.status, 429);
    assert.deepEqual(Object.keys(refused.body), ['detail']);
    assert.match(refused.body.detail, /100 requests per minute/);
    assert.match(refused.body.detail, /PARLANCE_RATE_PER_MINUTE/);
    const wait = Number(refused.headers['retry-after']);
    assert.ok(wait >= 1 && wait <= 60, `Retry-After: ${wait}`);
    assert.deepEqual(limits(refused), { limit: 100, remaining: 0, reset: wait });
  });

  it('exactly 100 of 300 at once', async () => {
    const alice = server.client();
    const statuses = await repeat(300, 100, () => alice.request('GET', '/conversations'));
    assert.equal(statuses.filter((status) => status === 200).length, 100);
    assert.equal(statuses.filter((status) => status === 429).length, 200);
  });

  it('all dialects count together', async () => {
    const alice = server.client();
    await spend(alice, 6);
    const counted = [
      await alice.request('GET', '/api/chat'),
      await alice.request('GET', '/api/chat_sessions'),
      await alice.request('POST', '/chat', { body: { message: 'Hi' } }),
      await alice.request('GET', '/chats/'),
      await alice.request('POST', '/ask', { body: { prompt: 'Hi' } }),
      await alice.request('GET', '/conversations'),
    ];
    assert.deepEqual(
      counted.map((answer) => [answer.status, limits(answer)?.remaining]),
      [5, 4, 3, 2, 1, 0].map((left) => [200, left]),
    );
    const asked = model.calls.length;
    const refused = await Promise.all([
      alice.request('GET', '/api/chat'),
      alice.request('GET', '/api/chat_sessions'),
      alice.request('POST', '/chat', { body: { message: 'Hi' } }),
      alice.request('GET', '/chats/'),
      alice.request('POST', '/ask', { body: { prompt: 'Hi' } }),
      alice.request('DELETE', '/conversation/1'),
    ]);
    for (const { status } of refused) assert.equal(status, 429);
    assert.equal(model.calls.length, asked, 'nothing started');
  });

  it('WebSocket messages count with them, each as one request', async () => {
    const alice = server.client();
    await spend(alice, 3);
    const headers = { authorization: server.ownerKey };
    const socket = await openSocket(server.url, `/ws?user_id=${alice.user}`, { headers });
    socket.send({ type: 'message', content: '1' });
    assert.equal((await socket.next()).type, 'response');
    socket.send('a bad frame');
    assert.equal((await socket.next()).type, 'error');
    assert.equal(limits(await alice.request('GET', '/conversations'))?.remaining, 0, 'the upgrade is not counted');
    const asked = model.calls.length;
    socket.send({ type: 'message', content: '2' });
    const refused = await socket.next();
    assert.equal(refused.type, 'error');
    assert.match(refused.detail ?? '', /100 requests per minute/);
    assert.equal(model.calls.length, asked);
    assert.equal((await alice.request('GET', '/conversations')).status, 429);
    await socket.close();
  });

  it('a socket over the limit is closed 1008 after 20 refused messages in a row', async () => {
    const alice = server.client();
    await spend(alice, 0);
    const headers = { authorization: server.ownerKey };
    const socket = await openSocket(server.url, `/ws?user_id=${alice.user}`, { headers });
    for (let i = 0; i < 25; i++) socket.send({ type: 'message', content: `${i}` });
    const { code, reason } = await socket.closed;
    assert.deepEqual([code, reason], [1008, 'Rate limit exceeded']);
    assert.equal(socket.untaken().length, 20);
    for (const text of socket.untaken()) assert.match(text, /^\{"type":"error","detail":"Rate limit of 100/);
  });

  it('what is not counted: 401, 403, 405, unknown paths, refused requests and the upgrade', async () => {
    const { secret } = await keys.create({ user: 'alice' });
    const { secret: reader } = await keys.create({ user: 'alice', scopes: ['read'] });
    const alice = server.visitor({ authorization: secret });
    const wrong = server.visitor({ authorization: 'plk_wrong', 'x-user-id': 'alice' });
    const free = [
      await wrong.request('GET', '/conversations'),
      await alice.request('GET', '/conversations?user_id=bob'),
      await alice.request('POST', '/chat', { body: { message: 'Hi', user_id: 'bob' } }),
      await server.visitor({ authorization: reader }).request('POST', '/chat', { body: { message: 'Hi' } }),
      await alice.request('PUT', '/chat', { body: {} }),
      await alice.request('HEAD', '/conversations'),
      await alice.request('GET', '/chat/none'),
      await alice.request('GET', '/healthz'),
      await alice.request('GET', '/openapi.json'),
    ];
    for (const answer of free) assert.equal(limits(answer), undefined, `${answer.status} ${answer.text.slice(0, 80)}`);
    await (await openSocket(server.url, '/ws', { headers: { authorization: secret } })).close();
    const first = await alice.request('GET', '/conversations');
    assert.equal(limits(first)?.remaining, 99);
    const counted = [
      await alice.request('POST', '/chat', { body: '{' }),
      await alice.request('POST', '/chat', { body: 'x', headers: { 'content-type': 'text/plain' } }),
      await alice.request('GET', '/conversations?limit=0'),
      await alice.request('GET', '/conversations/none'),
      await alice.request('DELETE', '/conversations/none'),
    ];
    assert.deepEqual(
      counted.map((answer) => [answer.status, limits(answer)?.remaining]),
      [
        [400, 98],
        [415, 97],
        [400, 96],
        [404, 95],
        [404, 94],
      ],
    );
  });

  it('is per user, whichever key or name it comes by', async () => {
    const made = await Promise.all([keys.create({ user: 'bob' }), keys.create({ user: 'bob' })]);
    const asBob = [
      ...made.map(({ secret }) => server.visitor({ authorization: secret })),
      server.client('bob'),
      server.visitor({ 'x-user-id': 'bob' }),
    ];
    const left = [];
    for (const client of asBob) left.push(limits(await client.request('GET', '/conversations'))?.remaining);
    const byBody = await server.visitor().request('POST', '/chat', { body: { message: 'Hi', user_id: 'bob' } });
    left.push(limits(byBody)?.remaining);
    assert.deepEqual(left, [99, 98, 97, 96, 95]);
    const carol = await server.client('carol').request('GET', '/conversations');
    assert.equal(limits(carol)?.remaining, 99);
  });

  it('a forwarded address changes nothing', async () => {
    const { secret: authorization } = await keys.create({ user: 'dave' });
    const left = [];
    for (const address of ['10.0.0.1', '10.0.0.2', '10.0.0.3']) {
      const headers = { 'x-forwarded-for': address, forwarded: `for=${address}`, 'x-real-ip': address };
      const answer = await server.visitor({ authorization }).request('GET', '/conversations', { headers });
      left.push(limits(answer)?.remaining);
    }
    assert.deepEqual(left, [99, 98, 97]);
  });

  it('a key may have its own limit', async () => {
    const { secret } = await keys.create({ user: 'erin', rates: { perMinute: 3, perHour: 0 } });
    const erin = server.visitor({ authorization: secret });
    const statuses = await repeat(5, 5, () => erin.request('GET', '/conversations'));
    assert.deepEqual(statuses.toSorted(), [200, 200, 200, 429, 429]);
    const refused = await erin.request<Problem>('GET', '/conversations');
    assert.match(refused.body.detail, /3 requests per minute/);
  });
});

describe('1,000 requests an hour', () => {
  let server: TestServer;
  before(async () => {
    const env = { PARLANCE_RATE_PER_MINUTE: '0', PARLANCE_RATE_PER_HOUR: '1000' };
    server = await startServer({ model: model.url, env });
  });
  after(() => server.close());

  it('exactly 1,000 of 1,020, and the 429 names the hour', async () => {
    const alice = server.client();
    const first = await alice.request('GET', '/conversations');
    const { limit, remaining, reset } = limits(first) ?? { reset: 0 };
    assert.deepEqual([limit, remaining], [1000, 999]);
    assert.ok(reset > 3590 && reset <= 3600, `reset ${reset}`);
    const statuses = await repeat(1019, 50, () => alice.request('GET', '/conversations'));
    assert.equal(statuses.filter((status) => status === 200).length, 999);
    const refused = await alice.request<Problem>('GET', '/conversations');
    assert.match(refused.body.detail, /1000 requests per hour.*PARLANCE_RATE_PER_HOUR/);
    const wait = Number(refused.headers['retry-after']);
    assert.ok(wait > 3500 && wait <= 3600, `Retry-After: ${wait}`);
  });
});

describe('0', () => {
  it('switches a limit off: no headers, no 429', async () => {
    const env = { PARLANCE_RATE_PER_MINUTE: '0', PARLANCE_RATE_PER_HOUR: '0' };
    const server = await startServer({ model: model.url, env });
    try {
      const alice = server.client();
      const statuses = await repeat(150, 30, () => alice.request('GET', '/conversations'));
      assert.ok(statuses.every((status) => status === 200));
      assert.equal(limits(await alice.request('GET', '/conversations')), undefined);
    } finally {
      await server.close();
    }
  });
});
