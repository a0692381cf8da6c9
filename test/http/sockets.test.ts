import assert from 'node:assert/strict';
import { once } from 'node:events';
import { beforeEach, describe, test } from 'node:test';
import WebSocket from 'ws';
import { z } from 'zod';
import { ServiceError } from '../../src/core/errors.ts';
import type { Principal } from '../../src/core/principal.ts';
import { route, type SocketOut, socketRoute } from '../../src/http/route.ts';
import { call, closed, dialect, open, parseRaw, raw, serve, settled, sha256, type TestError, until } from './serve.ts';

/** A socket as the route sees it. */
interface Seen {
  out: SocketOut;
  principal: Principal;
  query: unknown;
  messages: string[];
  resumed: number;
  stopped: number;
  expired: number;
}

let seen: Seen[] = [];
let onMessage: (text: string, one: Seen) => void = () => {};

const HOUR = 3_600_000;
const facts = { summary: 'A call', scope: 'read' as const };
const ok = async () => ({ status: 200, body: { ok: true } });
const table = dialect(
  [
    socketRoute({
      ...facts,
      method: 'SOCKET',
      path: '/t/ws/:room',
      maxFrame: 1000,
      lifetimeMs: HOUR,
      params: z.object({ room: z.string().max(10) }),
      query: z.object({ user_id: z.string().exactOptional(), stream: z.enum(['true', 'false']).exactOptional() }),
      check({ principal, params }) {
        if (principal.findsKeyless) throw new ServiceError('invalid_request', 'Name a user.');
        if (params.room === 'none') throw new ServiceError('not_found', 'No such room.');
      },
      open({ principal, query }, out) {
        const one: Seen = { out, principal, query, messages: [], resumed: 0, stopped: 0, expired: 0 };
        seen.push(one);
        return {
          message(text) {
            one.messages.push(text);
            onMessage(text, one);
          },
          resume: () => void one.resumed++,
          stop: () => void one.stopped++,
          expire() {
            one.expired++;
            out.send('your time is over');
          },
        };
      },
    }),
    route({ ...facts, method: 'GET', path: '/t/get', counts: 'run', answers: [], handle: ok }),
    route({ ...facts, method: 'GET', path: '/t/get/:id', counts: 'run', answers: [], handle: ok }),
    route({ ...facts, method: 'POST', path: '/t/post', counts: 'run', answers: [], handle: ok }),
  ],
  { namesUser: true },
);
const served = await serve({ dialects: [table], origins: ['http://app.test'] });

beforeEach(() => {
  seen = [];
  onMessage = () => {};
  served.admitted.length = 0;
  served.quota.left = Number.POSITIVE_INFINITY;
});

const PATH = '/t/ws/a?user_id=carol';

async function connected(path = PATH, headers: Record<string, string> = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${served.port}${path}`, { headers });
  ws.on('error', () => {});
  await once(ws, 'open');
  const one = seen.at(-1) as Seen;
  return { ws, one, closed: once(ws, 'close').then(([code, reason]) => ({ code, reason: String(reason) })) };
}

/** The answer to an upgrade that is refused. */
async function refused(path: string, headers: Record<string, string> = {}) {
  const ws = new WebSocket(`ws://127.0.0.1:${served.port}${path}`, { headers });
  ws.on('error', () => {});
  const outcome = await Promise.race([
    once(ws, 'unexpected-response').then(([, response]) => response),
    once(ws, 'open'),
  ]);
  if (Array.isArray(outcome)) {
    ws.terminate();
    assert.fail(`${path} was upgraded`);
  }
  let text = '';
  for await (const chunk of outcome.setEncoding('utf8')) text += chunk;
  return { status: outcome.statusCode as number, headers: outcome.headers, json: JSON.parse(text) as TestError };
}

describe('an upgrade is refused before it happens', () => {
  const cases: [name: string, status: number, path: string, headers?: Record<string, string>][] = [
    ['of a missing user', 400, '/t/ws/a'],
    ['of a bad query', 400, '/t/ws/a?user_id=a&stream=maybe'],
    ['of a bad parameter', 400, '/t/ws/aaaaaaaaaaa?user_id=a'],
    ['of U+0000', 400, '/t/ws/a?user_id=a%00'],
    ['of two users', 400, '/t/ws/a?user_id=a', { 'x-user-id': 'b' }],
    ['of bad percent-encoding', 400, '/t/ws/%zz?user_id=a'],
    ['with a wrong key', 401, PATH, { authorization: 'Bearer plk_wrong' }],
    ['through a proxy without a key', 401, PATH, { 'x-forwarded-for': '1.2.3.4' }],
    ['from a foreign origin', 403, PATH, { origin: 'http://evil.test' }],
    ['from another port of this machine', 403, PATH, { origin: 'http://127.0.0.1:1' }],
    ['from the origin null', 403, PATH, { origin: 'null' }],
    ['at a foreign host', 403, PATH, { host: 'evil.test' }],
    ['for another user by a user key', 403, PATH, { authorization: 'plk_alice' }],
    ['of what does not exist', 404, '/t/ws/none?user_id=a'],
    ['at an unknown path', 404, '/t/ws'],
    ['at a path that is no socket', 400, '/t/get'],
    ['at a path with a parameter that is no socket', 400, '/t/get/1'],
    ['at a path that has no GET', 405, '/t/post'],
    ['at a path that is no socket, without a key where one is needed', 401, '/t/get', { via: '1.1 x' }],
    ['at the health check', 400, '/healthz'],
    ['at the documentation', 400, '/docs'],
  ];
  for (const [name, status, path, headers] of cases) {
    test(`${name}: ${status}`, async () => {
      const reply = await refused(path, headers);
      assert.equal(reply.status, status, JSON.stringify(reply.json));
      if (path.startsWith('/t/')) assert.equal(reply.json.dialect, 'test');
      assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
      assert.match(String(reply.headers['x-request-id']), /^req-/);
      assert.equal(reply.headers['x-content-type-options'], 'nosniff');
      assert.equal(seen.length, 0, 'nothing is opened');
      assert.deepEqual(served.admitted, [], 'nothing is counted');
    });
  }
  test('and the connection is closed', async () => {
    const head =
      'GET /t/ws/a HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    assert.equal(parseRaw(await raw(served, head)).status, 400);
  });
  for (const [name, version, key, said] of [
    ['a malformed key', '13', 'short', /Sec-WebSocket-Key/],
    ['no key', '13', '', /Sec-WebSocket-Key/],
    ['a version nobody has', '7', 'dGhlIHNhbXBsZSBub25jZQ==', /Sec-WebSocket-Version/],
  ] as const) {
    test(`of ${name}: 400`, async () => {
      const head = `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: ${version}\r\nSec-WebSocket-Key: ${key}\r\n\r\n`;
      const reply = parseRaw(await raw(served, head));
      assert.equal(reply.status, 400);
      assert.match((reply.json as TestError).message, said);
      assert.equal(seen.length, 0);
    });
  }
});

test('a plain request at a socket is 426, and not counted', async () => {
  const reply = await call(served, 'GET', PATH);
  assert.equal(reply.status, 426);
  assert.equal(reply.headers.upgrade, 'websocket');
  assert.equal((reply.json as TestError).dialect, 'test');
  assert.deepEqual(served.admitted, []);
});

test('an upgrade to something else is ignored', async () => {
  const head =
    'GET /t/get HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings, close\r\n\r\n';
  const reply = parseRaw(await raw(served, head));
  assert.deepEqual([reply.status, reply.json], [200, { ok: true }]);
});

describe('an open socket', () => {
  test('has its user, query and messages', async () => {
    const { ws, one } = await connected('/t/ws/a?user_id=carol&stream=true');
    assert.equal(one.principal.user, 'carol');
    assert.deepEqual(one.query, { user_id: 'carol', stream: 'true' });
    onMessage = (text, { out }) => void out.send(`echo ${text}`);
    ws.send('é漢😀');
    const [data, binary] = await once(ws, 'message');
    assert.deepEqual([String(data), binary], ['echo é漢😀', false]);
    ws.terminate();
  });
  test('of a listed origin, of a page of ours, of a key', async () => {
    for (const headers of [
      { origin: 'http://app.test' },
      { origin: `http://127.0.0.1:${served.port}` },
      { authorization: 'plk_service', origin: 'http://evil.test' },
    ] as Record<string, string>[]) {
      const { ws, one } = await connected(PATH, headers);
      assert.equal(one.principal.user, 'carol');
      ws.terminate();
    }
  });
  test('is not counted for its upgrade, but for what it counts itself', async () => {
    const { ws, one } = await connected();
    assert.deepEqual(served.admitted, []);
    one.out.admit();
    assert.deepEqual(served.admitted, [{ user: 'carol', bucket: 'run' }]);
    served.quota.left = 0;
    assert.throws(
      () => one.out.admit(),
      (error) => error instanceof ServiceError && error.code === 'rate_limited',
    );
    ws.terminate();
  });
  test('digests the command of a frame', async () => {
    const { ws, one } = await connected();
    assert.deepEqual(one.out.once('k', { b: 1, a: 2 }), {
      key: 'k',
      command: sha256('SOCKET /t/ws/:room [null,null,{"a":2,"b":1}]'),
    });
    assert.throws(() => one.out.once('x'.repeat(256), {}), /Idempotency-Key/);
    ws.terminate();
  });
  test('takes no compression', async () => {
    const { ws } = await connected();
    assert.equal(ws.extensions, '');
    ws.terminate();
  });
  test('stops its source once when the peer leaves', async () => {
    const { ws, one } = await connected();
    ws.terminate();
    await until(() => one.stopped > 0, 'the source is stopped');
    assert.equal(one.out.send('late'), false);
    one.out.close(1000, 'late');
    assert.equal(one.stopped, 1);
  });
  test('stops its source once when that closes it', async () => {
    const { one, closed: end } = await connected();
    one.out.close(1008, 'Enough.');
    assert.deepEqual(await end, { code: 1008, reason: 'Enough.' });
    assert.equal(one.stopped, 1);
  });
  test('gets what was sent before the close', async () => {
    const { ws, one, closed: end } = await connected();
    const got: string[] = [];
    ws.on('message', (data) => got.push(String(data)));
    one.out.send('last words');
    one.out.close(1000, '');
    await end;
    assert.deepEqual(got, ['last words']);
  });
});

describe('a frame', () => {
  test('that is binary closes 1003', async () => {
    const { ws, one, closed: end } = await connected();
    ws.send(Buffer.from('text'));
    assert.deepEqual(await end, { code: 1003, reason: 'Send text frames.' });
    assert.deepEqual([one.messages, one.stopped], [[], 1]);
  });
  test('of the largest size is taken, a larger one closes 1009', async () => {
    const { ws, one, closed: end } = await connected();
    ws.send('x'.repeat(1000));
    await until(() => one.messages.length === 1, 'the frame came');
    ws.send('x'.repeat(1001));
    assert.equal((await end).code, 1009);
    assert.equal(one.messages.length, 1);
  });
  test('in pieces that add up to more closes 1009', async () => {
    const { ws, one, closed: end } = await connected();
    ws.send('x'.repeat(600), { fin: false });
    ws.send('x'.repeat(600), { fin: true });
    assert.equal((await end).code, 1009);
    assert.deepEqual(one.messages, []);
  });
  test('that is no UTF-8 closes 1007', async () => {
    const { ws, one, closed: end } = await connected();
    ws.send(Buffer.from([0xff, 0xfe]), { binary: false });
    assert.equal((await end).code, 1007);
    assert.deepEqual(one.messages, []);
  });
  test('that makes the route throw closes 1011 and is logged, and says nothing', async () => {
    const { ws, one, closed: end } = await connected();
    onMessage = () => {
      throw new Error('secret of the socket');
    };
    ws.send('a');
    assert.deepEqual(await end, { code: 1011, reason: 'Internal server error' });
    assert.equal(one.stopped, 1);
    assert.ok(
      served.logs.some(({ facts: line }) => (line.err as Error | undefined)?.message === 'secret of the socket'),
    );
  });
  test('that is none at all closes 1002', async () => {
    const socket = await open(
      served,
      `GET ${PATH} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    );
    await until(() => seen.length === 1, 'the socket is open');
    socket.resume();
    socket.write(Buffer.from([0xf0, 0x80, 0, 0, 0, 0]));
    await closed(socket);
    await until(() => seen[0]?.stopped === 1, 'the source is stopped');
  });
});

describe('a peer', () => {
  test('is pinged every 20 s', async () => {
    const { ws } = await connected();
    const pinged = once(ws, 'ping');
    served.clock.move(20_000);
    await pinged;
    ws.terminate();
  });
  test('that is silent for 45 s is closed', async () => {
    const { ws, one, closed: end } = await connected();
    ws.pause();
    served.clock.move(42_500);
    assert.equal(one.stopped, 0);
    served.clock.move(2_500);
    await until(() => one.stopped === 1, 'the source is stopped');
    ws.resume();
    assert.equal((await end).code, 1006);
  });
  test('that answers pings is kept', async () => {
    const { ws, one } = await connected();
    for (let i = 0; i < 10; i++) {
      const ponged = once(ws, 'ping');
      served.clock.move(20_000);
      await ponged;
      // The pong is on its way; a frame that is answered comes after it.
      onMessage = (_, { out }) => void out.send('ok');
      ws.send('are you there');
      await once(ws, 'message');
    }
    assert.equal(one.stopped, 0);
    ws.terminate();
  });
  test('that has been there as long as it may is told, and closed', async () => {
    const { ws, one, closed: end } = await connected();
    const told = once(ws, 'message');
    for (let minutes = 20_000; minutes < HOUR; minutes += 20_000) {
      const ponged = once(ws, 'ping');
      served.clock.move(20_000);
      await ponged;
      ws.send('still there');
      await until(() => one.messages.length === minutes / 20_000, 'the frame, and the pong before it, are there');
    }
    assert.equal(one.expired, 0);
    served.clock.move(20_000);
    assert.equal(String((await told)[0]), 'your time is over');
    assert.equal((await end).code, 1000);
    assert.deepEqual([one.expired, one.stopped], [1, 1]);
  });
  test('that does not read is not read either, and goes on when it does', async () => {
    const { ws, one } = await connected();
    ws.pause();
    const text = 'x'.repeat(10_000);
    const fill = () => {
      while (one.out.send(text)) {}
    };
    fill();
    for (let last = -1; last !== one.resumed; ) {
      last = one.resumed;
      await settled();
      if (one.resumed !== last) fill();
    }
    ws.send('unread');
    await settled();
    assert.deepEqual(one.messages, []);
    const before = one.resumed;
    ws.resume();
    await until(() => one.resumed > before && one.messages.length === 1, 'both go on');
    assert.equal(one.stopped, 0);
    ws.terminate();
  });
  test('whose key is revoked is closed 1008 within 5 s', async () => {
    const { one, closed: end } = await connected('/t/ws/a', { authorization: 'Bearer plk_bob' });
    served.revoked.add('key-bob');
    served.clock.move(5_000);
    const { code, reason } = await end;
    assert.equal(code, 1008);
    assert.match(reason, /revoked/);
    assert.equal(one.stopped, 1);
  });
});
