import assert from 'node:assert/strict';
import { METHODS } from 'node:http';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { notFound, ServiceError } from '../../src/core/errors.ts';
import { route, socketRoute } from '../../src/http/route.ts';
import { call, dialect, parseRaw, post, type Reply, raw, serve, type TestError } from './serve.ts';

const ok = async () => ({ status: 200, body: { ok: true } });
const facts = { summary: 'A call', scope: 'read' as const, counts: 'run' as const, answers: [] };
const text = z.object({ text: z.string().min(1) });

/** `first` owns `/t` and a parameter under `/shared`; `second` owns names under `/shared`; `third` wants keys. */
const first = dialect(
  [
    route({
      ...facts,
      method: 'GET',
      path: '/t/things/:id',
      handle: async ({ params }) => ({ status: 200, body: params }),
    }),
    route({ ...facts, method: 'DELETE', path: '/t/things/:name', handle: ok }),
    route({ ...facts, method: 'POST', path: '/t/things', scope: 'write', body: text, handle: ok }),
    route({
      ...facts,
      method: 'GET',
      path: '/t/missing/:id',
      async handle() {
        throw notFound('Thing');
      },
    }),
    route({
      ...facts,
      method: 'GET',
      path: '/t/broken',
      async handle() {
        throw new Error('secret internals');
      },
    }),
    route({
      ...facts,
      method: 'GET',
      path: '/t/odd-error',
      async handle() {
        throw new ServiceError('model_silent', 'Nothing came.');
      },
    }),
    route({ ...facts, method: 'GET', path: '/shared/:id', handle: ok }),
    socketRoute({
      ...facts,
      method: 'SOCKET',
      path: '/t/socket',
      maxFrame: 10,
      open: () => ({ message() {}, resume() {}, stop() {} }),
    }),
  ],
  { name: 'first', claims: ['/t', '/shared'] },
);
const second = dialect([route({ ...facts, method: 'POST', path: '/shared/create', body: text, handle: ok })], {
  name: 'second',
  claims: ['/shared/create', '/shared/run'],
});
const third = dialect([route({ ...facts, method: 'GET', path: '/keyed', handle: ok })], {
  name: 'third',
  claims: ['/keyed'],
  access: 'key',
});

const served = await serve({ dialects: [first, second, third] });

function error(reply: Reply): TestError {
  return reply.json as TestError;
}

/** Checks what every refusal has, and gives its body. */
function assertRefused(reply: Reply, status: number, owner: string, counted: boolean): TestError {
  assert.equal(reply.status, status, reply.text);
  assert.equal(error(reply).dialect, owner);
  assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
  assert.match(String(reply.headers['x-request-id']), /^[\w.-]{1,64}$/);
  assert.equal('ratelimit-limit' in reply.headers, counted, counted ? 'is counted' : 'is not counted');
  return error(reply);
}

describe('unknown paths', () => {
  for (const [path, owner] of [
    ['/t', 'first'],
    ['/t/nothing', 'first'],
    ['/t/things/1/2', 'first'],
    ['/shared', 'first'],
    ['/shared/1/2', 'first'],
    ['/shared/create/2', 'second'],
    ['/shared/run', 'second'],
    ['/shared/run/', 'second'],
    ['/shared/run/2?x=1', 'second'],
    ['/%73hared/run/2', 'second'],
  ] as const) {
    test(`${path} has the shape of ${owner}`, async () => {
      assertRefused(await call(served, 'GET', path), 404, owner, false);
    });
  }
  for (const path of ['/nothing', '/tt', '/v1', '/keye', '//t/things/1', '/t/../nothing']) {
    test(`${path} has the shape of the standards`, async () => {
      const reply = await call(served, 'GET', path);
      const owner = path.startsWith('/t/') ? 'first' : null;
      assert.equal(reply.status, 404);
      if (owner !== null) assertRefused(reply, 404, owner, false);
      else {
        assert.deepEqual(reply.json, {
          error: { message: 'There is nothing at this path.', type: 'not_found_error', param: '', code: 'not_found' },
        });
      }
    });
  }
  test('a claimed name is never a value of a parameter beside it', async () => {
    assert.equal((await call(served, 'GET', '/shared/creat')).status, 200);
    assertRefused(await call(served, 'GET', '/shared/create'), 405, 'second', false);
    assertRefused(await call(served, 'GET', '/shared/run'), 404, 'second', false);
  });
});

describe('methods', () => {
  for (const [path, allow, owner] of [
    ['/t/things/1', 'DELETE, GET', 'first'],
    ['/t/things', 'POST', 'first'],
    ['/t/things/', 'POST', 'first'],
    ['/shared/create', 'POST', 'second'],
    ['/t/socket', 'GET', 'first'],
  ] as const) {
    const others = METHODS.filter((method) => method !== 'CONNECT' && !allow.split(', ').includes(method));
    test(`${path} allows ${allow} and no other of ${others.length}`, async () => {
      for (const method of others) {
        const reply = await call(served, method, path);
        assert.equal(reply.status, 405, method);
        assert.equal(reply.headers.allow, allow, method);
        assert.equal('ratelimit-limit' in reply.headers, false, method);
        if (method === 'HEAD') assert.equal(reply.text, '');
        else assert.equal(error(reply).dialect, owner, method);
      }
    });
  }
  test('a parameter may be spelled in two ways', async () => {
    assert.deepEqual((await call(served, 'GET', '/t/things/a%2Fb')).json, { id: 'a/b' });
    assert.equal((await call(served, 'DELETE', '/t/things/1')).status, 200);
  });
  test('every path answers with a trailing slash', async () => {
    assert.deepEqual((await call(served, 'GET', '/t/things/1/')).json, { id: '1' });
    assert.deepEqual((await call(served, 'GET', '/t/things/1/?x=1')).json, { id: '1' });
    assert.equal((await post(served, '/t/things/', { text: 'a' })).status, 200);
  });
  test('paths are told apart by case', async () => {
    assertRefused(await call(served, 'GET', '/t/Things/1'), 404, 'first', false);
  });
});

describe('the order of refusals', () => {
  // Each request is wrong in everything that comes later, too.
  const evil = { host: 'evil.test' };
  const wrongKey = { authorization: 'Bearer plk_nobody' };
  const oversized = { 'content-type': 'text/plain', 'content-length': String(1024 * 1024) };

  test('malformed before Host', async () => {
    assertRefused(await call(served, 'POST', '/t/%zz', { headers: { ...evil, ...wrongKey } }), 400, 'first', false);
  });
  test('Host before the key', async () => {
    const said = assertRefused(
      await call(served, 'GET', '/t/nothing', { headers: { ...evil, ...wrongKey } }),
      403,
      'first',
      false,
    );
    assert.match(said.message, /Host "evil\.test" .* PARLANCE_HOSTS/);
  });
  test('Origin before the key', async () => {
    const headers = { origin: 'http://evil.test', ...wrongKey };
    const said = assertRefused(await call(served, 'GET', '/t/nothing', { headers }), 403, 'first', false);
    assert.match(said.message, /Origin "http:\/\/evil\.test" .* PARLANCE_ORIGINS/);
  });
  test('the key before the path', async () => {
    assertRefused(await call(served, 'GET', '/t/nothing', { headers: wrongKey }), 401, 'first', false);
    assertRefused(await call(served, 'GET', '/keyed/nothing'), 401, 'third', false);
    assertRefused(await call(served, 'GET', '/keyed'), 401, 'third', false);
  });
  test('the key before the method', async () => {
    assertRefused(await call(served, 'PUT', '/t/things', { headers: wrongKey }), 401, 'first', false);
  });
  test('the scope before the limit', async () => {
    served.quota.left = 0;
    const headers = { authorization: 'plk_reader', ...oversized };
    assert.match(
      assertRefused(await headOnly('POST', '/t/things', headers), 403, 'first', false).message,
      /scope "write"/,
    );
    served.quota.left = Number.POSITIVE_INFINITY;
  });
  test('the path and the method before the limit', async () => {
    served.quota.left = 0;
    assertRefused(await call(served, 'GET', '/t/nothing'), 404, 'first', false);
    assertRefused(await call(served, 'PUT', '/t/things'), 405, 'first', false);
    served.quota.left = Number.POSITIVE_INFINITY;
  });
  test('the limit before the body', async () => {
    served.quota.left = 0;
    const reply = await headOnly('POST', '/t/things', oversized);
    assertRefused(reply, 429, 'first', false);
    assert.equal(reply.headers['retry-after'], '7');
    served.quota.left = Number.POSITIVE_INFINITY;
  });
  test('the size before the type', async () => {
    assertRefused(await headOnly('POST', '/t/things', oversized), 413, 'first', true);
  });
  test('the type before what is in it', async () => {
    const headers = { 'content-type': 'text/plain' };
    assertRefused(await call(served, 'POST', '/t/things', { headers, body: '{' }), 415, 'first', true);
  });
  test('what is in it, then whether it exists', async () => {
    assertRefused(await post(served, '/t/things', '{'), 400, 'first', true);
    assertRefused(await call(served, 'GET', '/t/missing/1'), 404, 'first', true);
  });

  /** Sends a head that promises a body, and nothing of that. */
  async function headOnly(method: string, path: string, headers: Record<string, string>): Promise<Reply> {
    const lines = Object.entries({ host: 'localhost', connection: 'close', ...headers }).map(
      ([name, value]) => `${name}: ${value}`,
    );
    return parseRaw(await raw(served, `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`));
  }
});

describe('the unexpected', () => {
  test('a 500 says nothing, and is logged with its request', async () => {
    const reply = await call(served, 'GET', '/t/broken', { headers: { 'x-request-id': 'mine-1' } });
    assert.equal(reply.status, 500);
    assert.ok(!reply.text.includes('secret'));
    assert.equal(error(reply).code, 'internal');
    const line = served.logs.find(({ facts }) => facts.requestId === 'mine-1');
    assert.equal(line?.level, 'error');
    assert.equal((line?.facts.err as Error | undefined)?.message, 'secret internals');
    assert.equal(line?.facts.path, '/t/broken');
  });
  test('an error of the catalogue is passed on as it is', async () => {
    assert.equal(error(await call(served, 'GET', '/t/odd-error')).message, 'Nothing came.');
  });
});

describe('request ids', () => {
  test('a sane one is kept', async () => {
    const reply = await call(served, 'GET', '/shared/1', { headers: { 'x-request-id': 'a-1_b.C' } });
    assert.equal(reply.headers['x-request-id'], 'a-1_b.C');
  });
  for (const id of ['', 'a b', 'x'.repeat(65), '<script>']) {
    test(`${JSON.stringify(id.slice(0, 10))} is replaced`, async () => {
      const reply = await call(served, 'GET', '/shared/1', { headers: { 'x-request-id': id } });
      assert.match(String(reply.headers['x-request-id']), /^req-/);
    });
  }
  test('no two are the same', async () => {
    const ids = await Promise.all(Array.from({ length: 20 }, () => call(served, 'GET', '/shared/1')));
    assert.equal(new Set(ids.map(({ headers }) => headers['x-request-id'])).size, 20);
  });
});

describe('what browsers do with an answer', () => {
  for (const [name, path, headers] of [
    ['an answer', '/shared/1', {}],
    ['an unknown path', '/t/nothing', {}],
    ['a foreign host', '/shared/1', { host: 'evil.test' }],
    ['an error', '/t/broken', {}],
  ] as const) {
    test(`${name} is nobody's page, frame or script`, async () => {
      const reply = await call(served, 'GET', path, { headers });
      assert.equal(reply.headers['x-content-type-options'], 'nosniff');
      assert.equal(reply.headers['content-security-policy'], "default-src 'none'; frame-ancestors 'none'");
      assert.equal(reply.headers['referrer-policy'], 'no-referrer');
      assert.equal(reply.headers['cross-origin-resource-policy'], 'same-origin');
      assert.equal(reply.headers['cache-control'], 'no-store');
      assert.equal(reply.headers['access-control-allow-origin'], undefined);
    });
  }
});

test('two routes for the same method and path stop the start', async () => {
  const one = route({ ...facts, method: 'GET', path: '/t/:id', handle: ok });
  const two = route({ ...facts, method: 'GET', path: '/t/:name', handle: ok });
  await assert.rejects(serve({ dialects: [dialect([one, two])] }), /Two routes for GET \/t\/:name/);
});
