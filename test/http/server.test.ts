import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer as createNetServer } from 'node:net';
import { describe, test } from 'node:test';
import WebSocket from 'ws';
import { z } from 'zod';
import { type EventOut, type Reply as HandlerReply, route, socketRoute } from '../../src/http/route.ts';
import { call, closed, dialect, open, parseRaw, post, raw, serve, settled, type TestError, until } from './serve.ts';

const facts = { summary: 'A call', scope: 'read' as const, counts: 'run' as const, answers: [] };
const streams: { out: EventOut; stopped: number }[] = [];
let release: (reply: HandlerReply) => void = () => {};
const table = dialect([
  route({ ...facts, method: 'GET', path: '/t/get', handle: async () => ({ status: 200, body: { ok: true } }) }),
  route({
    ...facts,
    method: 'POST',
    path: '/t/post',
    body: z.object({ a: z.number() }),
    handle: async () => ({ status: 201 }),
  }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/text',
    handle: async () => ({ status: 200, text: 'hellö', contentType: 'text/plain; charset=utf-8' }),
  }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/created',
    handle: async () => ({ status: 201, body: null, headers: { location: '/t/1', 'cache-control': 'max-age=1' } }),
  }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/slow',
    handle: () => new Promise<HandlerReply>((resolve) => (release = resolve)),
  }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/gone',
    handle: ({ signal }) =>
      new Promise<HandlerReply>((resolve) => {
        release = resolve;
        signal.addEventListener('abort', () => left++);
      }),
  }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/stream',
    handle: async () => ({
      stream(out) {
        const one = { out, stopped: 0 };
        streams.push(one);
        return { resume() {}, stop: () => void one.stopped++ };
      },
    }),
  }),
  socketRoute({
    summary: 'A socket',
    scope: 'read',
    method: 'SOCKET',
    path: '/t/ws',
    maxFrame: 100,
    open: () => ({ message() {}, resume() {}, stop() {} }),
  }),
]);
let left = 0;
const served = await serve({ dialects: [table], listen: ['127.0.0.1', '::1'], origins: ['http://app.test'] });
const GET = 'GET /t/get HTTP/1.1\r\nHost: localhost\r\n';

describe('listening', () => {
  test('on 127.0.0.1 and ::1, as one server', async (t) => {
    assert.equal(served.urls[0], `http://127.0.0.1:${served.port}`);
    if (served.urls.length === 1) return t.skip('this machine has no ::1');
    assert.equal(served.urls[1], `http://[::1]:${served.port}`);
    assert.equal((await call(served, 'GET', '/t/get', { host: '::1' })).status, 200);
    const ws = new WebSocket(`ws://[::1]:${served.port}/t/ws`);
    await once(ws, 'open');
    ws.terminate();
    const socket = connect(served.port, '::1');
    socket.end('nonsense\r\n\r\n');
    const text = await socket.setEncoding('utf8').reduce((all: string, chunk: string) => all + chunk, '');
    assert.match(text, /^HTTP\/1\.1 400[\s\S]*x-request-id/);
  });
  test('on a taken port fails with the system’s error', async () => {
    await assert.rejects(serve({ dialects: [], port: served.port }), { code: 'EADDRINUSE' });
  });
  test('where only the second address is taken fails as well', async (t) => {
    if (served.urls.length === 1) return t.skip('this machine has no ::1');
    const other = createNetServer().listen(0, '::1');
    await once(other, 'listening');
    const { port } = other.address() as { port: number };
    await assert.rejects(serve({ dialects: [], listen: ['127.0.0.1', '::1'], port }), { code: 'EADDRINUSE' });
    other.close();
  });
});

describe('answers', () => {
  test('of text have their own type', async () => {
    const reply = await call(served, 'GET', '/t/text');
    assert.deepEqual([reply.text, reply.headers['content-type']], ['hellö', 'text/plain; charset=utf-8']);
    assert.equal(reply.headers['content-length'], '6');
  });
  test('have the headers of the handler, which go first', async () => {
    const reply = await call(served, 'GET', '/t/created');
    assert.deepEqual([reply.status, reply.text], [201, 'null']);
    assert.deepEqual([reply.headers.location, reply.headers['cache-control']], ['/t/1', 'max-age=1']);
  });
  test('without a body have none', async () => {
    const reply = await post(served, '/t/post', { a: 1 });
    assert.deepEqual(
      [reply.status, reply.text, reply.headers['content-length'], reply.headers['content-type']],
      [201, '', '0', undefined],
    );
  });
});

describe('a caller who leaves', () => {
  test('is known to the handler that asks', async () => {
    const socket = await open(served, 'GET /t/gone HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await settled();
    socket.destroy();
    await until(() => left === 1, 'the signal is aborted');
    release({ status: 200, body: {} });
  });
  test('is none where the answer was given', async () => {
    const asked = call(served, 'GET', '/t/gone');
    await settled();
    release({ status: 200, body: {} });
    assert.equal((await asked).status, 200);
    await settled();
    assert.equal(left, 1);
  });
});

describe('CORS', () => {
  const preflight = (origin: string, path = '/t/get') =>
    call(served, 'OPTIONS', path, {
      headers: { origin, 'access-control-request-method': 'GET', 'access-control-request-headers': 'x-other' },
    });

  for (const path of ['/t/get', '/t/post', '/t/nothing', '/nothing', '/metrics']) {
    test(`a preflight of a listed origin is answered at ${path}`, async () => {
      const reply = await preflight('http://app.test', path);
      assert.deepEqual([reply.status, reply.text], [204, '']);
      assert.equal(reply.headers['access-control-allow-origin'], 'http://app.test');
      assert.equal(reply.headers.vary, 'origin');
      assert.match(
        String(reply.headers['access-control-allow-headers']),
        /authorization, content-type, idempotency-key, last-event-id/,
      );
      assert.match(String(reply.headers['access-control-allow-headers']), /x-other/);
      assert.equal(reply.headers['ratelimit-limit'], undefined);
    });
  }
  for (const origin of ['http://evil.test', 'null', 'https://app.test', 'http://app.test.evil.test']) {
    test(`a preflight of ${origin} is 403 without CORS headers`, async () => {
      const reply = await preflight(origin);
      assert.equal(reply.status, 403);
      assert.match((reply.json as TestError).message, /PARLANCE_ORIGINS/);
      assert.deepEqual(
        Object.keys(reply.headers).filter((name) => name.startsWith('access-control')),
        [],
      );
    });
  }
  test('OPTIONS that is no preflight is 405', async () => {
    const reply = await call(served, 'OPTIONS', '/t/get');
    assert.deepEqual([reply.status, reply.headers.allow], [405, 'GET']);
  });
  test('answers to a listed origin can be read, errors too', async () => {
    for (const path of ['/t/get', '/t/nothing']) {
      const { headers } = await call(served, 'GET', path, { headers: { origin: 'http://app.test' } });
      assert.equal(headers['access-control-allow-origin'], 'http://app.test');
      assert.match(String(headers['access-control-expose-headers']), /ratelimit-remaining.*x-request-id/);
    }
  });
  test('a key lets an unlisted origin ask, but not read', async () => {
    const headers = { origin: 'http://evil.test', authorization: 'plk_alice' };
    const reply = await call(served, 'GET', '/t/get', { headers });
    assert.deepEqual([reply.status, reply.headers['access-control-allow-origin']], [200, undefined]);
  });
});

describe('the server’s own paths', () => {
  const outside = { 'x-forwarded-for': '1.2.3.4' };

  test('/healthz answers anybody', async () => {
    for (const headers of [
      {},
      outside,
      { host: 'pod.internal' },
      { origin: 'http://evil.test' },
      { authorization: 'wrong' },
    ] as Record<string, string>[]) {
      const reply = await call(served, 'GET', '/healthz', { headers });
      assert.deepEqual(
        [reply.status, reply.json, reply.headers['ratelimit-limit']],
        [200, { status: 'ok' }, undefined],
      );
    }
  });
  test('/readyz tells whether it is', async () => {
    assert.deepEqual((await call(served, 'GET', '/readyz', { headers: outside })).json, { status: 'ready' });
    served.health.ok = false;
    served.health.problems = ['The database cannot be read.'];
    const reply = await call(served, 'GET', '/readyz/');
    assert.deepEqual(
      [reply.status, reply.json],
      [503, { status: 'not ready', problems: ['The database cannot be read.'] }],
    );
    served.health.ok = true;
  });
  for (const path of ['/metrics', '/openapi.json', '/docs', '/docs/docs.js', '/docs/docs.css']) {
    test(`${path} needs a key outside local mode`, async () => {
      assert.equal((await call(served, 'GET', path)).status, 200);
      assert.equal((await call(served, 'GET', path, { headers: outside })).status, 401);
      assert.equal((await call(served, 'GET', path, { headers: { host: 'evil.test' } })).status, 403);
      assert.equal(
        (await call(served, 'GET', path, { headers: { ...outside, authorization: 'plk_reader' } })).status,
        200,
      );
      assert.equal((await call(served, 'POST', path)).status, 405);
    });
  }
  test('/docs may load nothing but itself, and no script of its own lines', async () => {
    const reply = await call(served, 'GET', '/docs');
    assert.equal(reply.headers['content-type'], 'text/html; charset=utf-8');
    const policy = String(reply.headers['content-security-policy']);
    assert.match(policy, /default-src 'none'/);
    assert.ok(!policy.includes('unsafe'));
    const links = [...reply.text.matchAll(/(?:src|href)="([^"#]+)"/g)].map(([, link]) => link as string);
    assert.ok(links.length >= 3);
    for (const link of links) assert.equal((await call(served, 'GET', link)).status, 200, link);
    assert.ok(!/<script(?![^>]*src)|<style|\son\w+=|style=/.test(reply.text));
  });
  test('/metrics counts by route and status, and names no ids', async () => {
    const at = await serve({ dialects: [table] });
    await call(at, 'GET', '/t/get?user_id=canary-user', {
      headers: { authorization: 'plk_alice', 'x-request-id': 'canary-request' },
    });
    await call(at, 'GET', '/t/canary-path');
    const { text, headers } = await call(at, 'GET', '/metrics');
    assert.match(String(headers['content-type']), /^text\/plain/);
    assert.match(
      text,
      /parlance_http_request_seconds_count\{dialect="test",method="GET",route="\/t\/get",status="200"\} 1\n/,
    );
    assert.match(
      text,
      /parlance_http_request_seconds_bucket\{dialect="test",method="any",route="unknown",status="404",le="\+Inf"\} 1\n/,
    );
    assert.match(text, /^parlance_runs_open 3$/m);
    assert.match(text, /^parlance_runs_ended_total\{status="completed"\} 5$/m);
    assert.match(text, /^parlance_writer_queue 2$/m);
    assert.match(text, /^parlance_followers 0$/m);
    assert.match(text, /^parlance_event_loop_delay_p99_seconds \d/m);
    assert.ok(!/canary|alice|plk_/.test(text));
  });
});

test('more connections than may be are closed as they come, which is logged once; whoever leaves makes room', async () => {
  const at = await serve({ dialects: [table], maxConnections: 2 });
  const [one, two] = [await open(at, ''), await open(at, '')];
  for (let i = 0; i < 3; i++) await closed((await open(at, '')).resume());
  const told = at.logs.filter(({ message }) => message.includes('PARLANCE_MAX_CONNECTIONS'));
  assert.deepEqual(
    told.map(({ level, facts }) => [level, facts]),
    [['warn', { maxConnections: 2 }]],
  );
  one.destroy();
  await closed(one);
  await settled();
  assert.equal((await call(at, 'GET', '/t/get')).status, 200);
  two.destroy();
});

describe('time limits', () => {
  const limits = { headersTimeout: 200, requestTimeout: 400, keepAliveTimeout: 300, connectionsCheckingInterval: 50 };

  test('a head that does not come is 408', async () => {
    const at = await serve({ dialects: [table], limits });
    const reply = parseRaw(await raw(at, 'GET /t/get HTTP/1.1\r\nHost: localho'));
    assert.equal(reply.status, 408);
    assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
  });
  test('a connection that says nothing is closed', async () => {
    const at = await serve({ dialects: [table], limits });
    await raw(at, '');
  });
  test('a body that does not come is 408 in the shape of its route', async () => {
    const at = await serve({ dialects: [table], limits });
    const reply = parseRaw(
      await raw(
        at,
        'POST /t/post HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
      ),
    );
    assert.equal(reply.status, 408);
    assert.equal((reply.json as TestError).dialect, 'test');
  });
  test('an idle connection is closed', async () => {
    const at = await serve({ dialects: [table], limits });
    assert.equal(parseRaw(await raw(at, `${GET}\r\n`)).status, 200);
  });
  test('neither an answer that takes its time nor a stream is cut', async () => {
    const at = await serve({ dialects: [table], limits });
    const slow = call(at, 'GET', '/t/slow');
    const socket = await open(at, 'GET /t/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const idle = raw(at, '');
    await idle;
    await raw(at, 'GET /t/get HTTP/1.1\r\nHost: localho');
    release({ status: 200, body: { late: true } });
    assert.deepEqual((await slow).json, { late: true });
    assert.equal(streams.at(-1)?.stopped, 0);
    assert.equal(streams.at(-1)?.out.write('data: on\n\n'), true);
    socket.destroy();
  });
});

describe('going down', () => {
  test('stop refuses what is new and lets streams go on; close ends them and waits for answers', async () => {
    const at = await serve({ dialects: [table] });
    const kept = await open(at, '');
    const socket = await open(at, 'GET /t/stream HTTP/1.1\r\nHost: localhost\r\n\r\n');
    await until(() => streams.at(-1)?.stopped === 0, 'the stream is open');
    const stream = streams.at(-1) as (typeof streams)[0];
    const ws = new WebSocket(`ws://127.0.0.1:${at.port}/t/ws`);
    await once(ws, 'open');
    const slow = call(at, 'GET', '/t/slow');
    await settled();

    at.server.stop();
    await assert.rejects(call(at, 'GET', '/t/get'), { code: 'ECONNREFUSED' });
    let keptText = '';
    kept.setEncoding('utf8').on('data', (chunk: string) => {
      keptText += chunk;
    });
    kept.resume();
    kept.write(`${GET}\r\n`);
    await until(() => keptText.includes('shutting down'), 'a request on an open connection is refused');
    assert.match(keptText, /^HTTP\/1\.1 503/);
    assert.equal(stream.out.write('data: still\n\n'), true);

    const wsClosed = once(ws, 'close');
    const done = at.server.close(10_000);
    assert.equal(stream.stopped, 1);
    let got = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      got += chunk;
    });
    socket.resume();
    await until(() => got.endsWith('data: still\n\n\r\n0\r\n\r\n'), 'the stream is ended properly');
    assert.equal((await wsClosed)[0], 1001);
    release({ status: 200, body: { finished: true } });
    assert.deepEqual((await slow).json, { finished: true });
    await done;
  });
  test('what does not end in time is cut', async () => {
    const at = await serve({ dialects: [table] });
    const slow = await open(at, 'GET /t/slow HTTP/1.1\r\nHost: localhost\r\n\r\n');
    const ws = new WebSocket(`ws://127.0.0.1:${at.port}/t/ws`);
    await once(ws, 'open');
    ws.pause();
    await settled();
    const done = at.server.close(1_000);
    at.clock.move(1_000);
    slow.resume();
    await Promise.all([done, closed(slow)]);
    ws.terminate();
  });
  test('closing twice is closing once', async () => {
    const at = await serve({ dialects: [table] });
    await Promise.all([at.server.close(0), at.server.close(0)]);
  });
});
