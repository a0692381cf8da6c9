import assert from 'node:assert/strict';
import { beforeEach, describe, test } from 'node:test';
import { z } from 'zod';
import { route } from '../../src/http/route.ts';
import { call, dialect, post, serve, sha256, type TestError } from './serve.ts';

const facts = { summary: 'A call', answers: [] };
const whoami = async ({ principal, once }: { principal: { user: string; keyless: boolean }; once: unknown }) => ({
  status: 200,
  body: { user: principal.user, keyless: principal.keyless, once },
});
const body = z.object({ message: z.string().min(1), user_id: z.string().exactOptional() });

const naming = dialect(
  [
    route({ ...facts, method: 'GET', path: '/n/who', scope: 'read', counts: 'other', handle: whoami }),
    route({ ...facts, method: 'POST', path: '/n/chat', scope: 'write', counts: 'run', body, handle: whoami }),
    route({ ...facts, method: 'POST', path: '/n/empty', scope: 'write', counts: 'run', handle: whoami }),
  ],
  { name: 'naming', claims: ['/n'], namesUser: true },
);
const plain = dialect(
  [
    route({ ...facts, method: 'POST', path: '/p/chat', scope: 'write', counts: 'run', body, handle: whoami }),
    route({ ...facts, method: 'GET', path: '/p/list', scope: 'read', counts: 'other', handle: whoami }),
    route({ ...facts, method: 'GET', path: '/p/free', scope: 'read', counts: 'none', handle: whoami }),
  ],
  { name: 'plain', claims: ['/p'] },
);
const standard = dialect(
  [
    route({ ...facts, method: 'POST', path: '/s/chat', scope: 'write', counts: 'run', body, handle: whoami }),
    route({ ...facts, method: 'GET', path: '/s/list', scope: 'read', counts: 'other', handle: whoami }),
  ],
  { name: 'standard', claims: ['/s'], standard: true },
);

const served = await serve({ dialects: [naming, plain, standard] });
const SERVICE = { authorization: 'Bearer plk_service' };
const ALICE = { authorization: 'plk_alice' };

beforeEach(() => {
  served.admitted.length = 0;
  served.quota.left = Number.POSITIVE_INFINITY;
});

/** Sends a request and gives whom it was answered for and counted for. */
async function who(path: string, sent: { body?: unknown; headers?: Record<string, string> }) {
  const { body: given, headers = {} } = sent;
  const reply =
    given === undefined ? await call(served, 'GET', path, { headers }) : await post(served, path, given, headers);
  const user = (reply.json as { user?: string }).user ?? null;
  return { status: reply.status, user, counted: served.admitted.map((one) => one.user), reply };
}

describe('the user who is named', () => {
  const cases: [name: string, path: string, body: object | undefined, headers: Record<string, string>, user: string][] =
    [
      ['by the body', '/n/chat', { message: 'a', user_id: 'carol' }, SERVICE, 'carol'],
      ['by the header', '/n/chat', { message: 'a' }, { ...SERVICE, 'x-user-id': 'carol' }, 'carol'],
      ['by the query', '/n/chat?user_id=carol', { message: 'a' }, SERVICE, 'carol'],
      [
        'by all three',
        '/n/chat?user_id=carol',
        { message: 'a', user_id: 'carol' },
        { ...SERVICE, 'x-user-id': 'carol' },
        'carol',
      ],
      ['by nothing', '/n/chat', { message: 'a' }, SERVICE, 'service'],
      ['by a user key', '/n/chat', { message: 'a' }, ALICE, 'alice'],
      ['by a user key and its own name', '/n/chat', { message: 'a', user_id: 'alice' }, ALICE, 'alice'],
      ['without a key, by the body', '/n/chat', { message: 'a', user_id: 'carol' }, {}, 'carol'],
      ['without a key, by nothing', '/n/chat', { message: 'a' }, {}, 'local'],
      ['by the query of a read', '/n/who?user_id=carol', undefined, SERVICE, 'carol'],
      [
        'by the header in UTF-8',
        '/n/who',
        undefined,
        { ...SERVICE, 'x-user-id': Buffer.from('zoë').toString('latin1') },
        'zoë',
      ],
      ['by the header in every dialect', '/p/chat', { message: 'a' }, { ...SERVICE, 'x-user-id': 'dave' }, 'dave'],
      [
        'not by a field that only some dialects know',
        '/p/chat',
        { message: 'a', user_id: 'carol' },
        SERVICE,
        'service',
      ],
    ];
  for (const [name, path, given, headers, user] of cases) {
    test(`${name} is answered and counted once`, async () => {
      const seen = await who(path, { body: given, headers });
      assert.deepEqual([seen.status, seen.user, seen.counted], [200, user, [user]]);
    });
  }
});

describe('a body that fails', () => {
  test('is counted for the caller where nobody else was named', async () => {
    const seen = await who('/n/chat', { body: '{', headers: SERVICE });
    assert.deepEqual([seen.status, seen.counted], [400, ['service']]);
    assert.ok('ratelimit-limit' in seen.reply.headers);
  });
  test('is counted for the user the header names', async () => {
    const seen = await who('/n/chat', { body: '{', headers: { ...SERVICE, 'x-user-id': 'carol' } });
    assert.deepEqual([seen.status, seen.counted], [400, ['carol']]);
  });
  test('is counted for the user it names where the rest is wrong', async () => {
    const seen = await who('/n/chat', { body: { message: '', user_id: 'carol' }, headers: SERVICE });
    assert.deepEqual([seen.status, seen.counted], [400, ['carol']]);
  });
  test('gives way to the limit', async () => {
    served.quota.left = 0;
    const seen = await who('/n/chat', { body: '{', headers: SERVICE });
    assert.deepEqual([seen.status, seen.counted], [429, []]);
  });
  test('is 429 for the named user over the limit', async () => {
    served.quota.left = 0;
    const seen = await who('/n/chat', { body: { message: 'a', user_id: 'carol' }, headers: SERVICE });
    assert.deepEqual([seen.status, seen.counted], [429, []]);
  });
});

describe('users who may not be named', () => {
  test('another by a user key, in the body: 403, not counted', async () => {
    const seen = await who('/n/chat', { body: { message: 'a', user_id: 'bob' }, headers: ALICE });
    assert.deepEqual([seen.status, seen.counted], [403, []]);
  });
  test('another by a user key, in the header: 403 before the body is read', async () => {
    const seen = await who('/n/chat', { body: '{', headers: { ...ALICE, 'x-user-id': 'bob' } });
    assert.deepEqual([seen.status, seen.counted], [403, []]);
  });
  for (const [name, path, headers, given] of [
    ['header and body', '/n/chat', { 'x-user-id': 'carol' }, { message: 'a', user_id: 'dave' }],
    ['query and body', '/n/chat?user_id=carol', {}, { message: 'a', user_id: 'dave' }],
    ['header and query', '/n/chat?user_id=carol', { 'x-user-id': 'dave' }, { message: 'a' }],
    ['query and query', '/n/chat?user_id=carol&user_id=dave', {}, { message: 'a' }],
  ] as const) {
    test(`two by ${name}: 400`, async () => {
      const seen = await who(path, { body: given, headers: { ...SERVICE, ...headers } });
      assert.equal(seen.status, 400);
      assert.match((seen.reply.json as TestError).message, /different users/);
    });
  }
  test('with U+0000: 400', async () => {
    assert.equal((await who('/n/who?user_id=a%00', { headers: SERVICE })).status, 400);
  });
});

describe('what is counted', () => {
  test('one bucket for everything, but in the standards', async () => {
    await who('/p/chat', { body: { message: 'a' } });
    await who('/p/list', {});
    await who('/s/chat', { body: { message: 'a' } });
    await who('/s/list', {});
    assert.deepEqual(
      served.admitted.map(({ bucket }) => bucket),
      ['run', 'run', 'run', 'light'],
    );
  });
  test('every counted answer says what is left', async () => {
    const { reply } = await who('/p/list', {});
    assert.equal(reply.headers['ratelimit-limit'], '100');
    assert.equal(reply.headers['ratelimit-remaining'], '99');
    assert.equal(reply.headers['ratelimit-reset'], '60');
  });
  test('what is free says nothing', async () => {
    const { reply, counted } = await who('/p/free', {});
    assert.deepEqual([reply.status, counted, reply.headers['ratelimit-limit']], [200, [], undefined]);
  });
});

describe('keys', () => {
  test('any shown key is one, but in the standards of local mode', async () => {
    assert.equal((await who('/p/list', { headers: { authorization: 'Bearer sk-other' } })).status, 401);
    assert.equal((await who('/s/list', { headers: { authorization: 'Bearer sk-other' } })).user, 'local');
    assert.equal((await who('/s/list', { headers: { authorization: 'Bearer plk_wrong' } })).status, 401);
    assert.equal((await who('/s/list', { headers: ALICE })).user, 'alice');
  });
  test('in the standards outside local mode any key is one', async () => {
    const headers = { authorization: 'Bearer sk-other', 'x-forwarded-for': '1.2.3.4' };
    assert.equal((await who('/s/list', { headers })).status, 401);
  });
  test('a valid one forgives a foreign Host and Origin, a wrong one does not', async () => {
    for (const foreign of [{ host: 'evil.test' }, { origin: 'http://evil.test' }]) {
      assert.equal((await who('/p/list', { headers: { ...ALICE, ...foreign } })).user, 'alice');
      assert.equal((await who('/p/list', { headers: { authorization: 'plk_wrong', ...foreign } })).status, 403);
      assert.equal((await who('/s/list', { headers: { authorization: 'sk-other', ...foreign } })).status, 403);
    }
  });
  test('are needed behind a proxy and for what a page of another site embeds', async () => {
    for (const headers of [
      { 'x-forwarded-for': '1.2.3.4' },
      { via: '1.1 x' },
      { 'sec-fetch-site': 'cross-site' },
    ] as Record<string, string>[]) {
      assert.equal((await who('/p/list', { headers })).status, 401);
      assert.equal((await who('/p/list', { headers: { ...ALICE, ...headers } })).user, 'alice');
    }
  });
  test('a refused Host is logged with its setting and the client, once a second', async () => {
    served.clock.move(2000);
    served.logs.length = 0;
    for (let i = 0; i < 3; i++) await who('/p/list', { headers: { host: `evil${i}.test` } });
    assert.equal(served.logs.length, 1);
    const { facts: line, message } = served.logs[0] as (typeof served.logs)[0];
    assert.deepEqual(
      [line.header, line.value, line.setting, line.client],
      ['Host', 'evil0.test', 'PARLANCE_HOSTS', '127.0.0.1'],
    );
    assert.match(message, /PARLANCE_HOSTS/);
    served.clock.move(1000);
    await who('/p/list', { headers: { host: 'evil.test' } });
    assert.equal(served.logs.length, 2);
  });
});

describe('Idempotency-Key', () => {
  const send = async (path: string, given: unknown, key: string, more: Record<string, string> = {}) => {
    const reply = await post(served, path, given, { 'idempotency-key': key, ...more });
    return { status: reply.status, once: (reply.json as { once?: { key: string; command: string } }).once };
  };

  test('comes with a digest of the decoded command', async () => {
    const { once } = await send('/p/chat', { message: 'a' }, 'k');
    assert.deepEqual(once, { key: 'k', command: sha256('POST /p/chat [{},{},{"message":"a"}]') });
  });
  test('the same command has the same digest, however it was written', async () => {
    const first = await send('/n/chat', '{"message":"a","user_id":"local"}', 'k');
    const second = await send('/n/chat', '{ "user_id": "local", "unknown": 1, "message": "\\u0061" }', 'k');
    assert.equal(first.once?.command, second.once?.command);
  });
  test('another command has another', async () => {
    const commands = [
      await send('/p/chat', { message: 'a' }, 'k'),
      await send('/p/chat', { message: 'b' }, 'k'),
      await send('/p/chat?x=1', { message: 'a' }, 'k'),
      await send('/s/chat', { message: 'a' }, 'k'),
    ].map(({ once }) => once?.command);
    assert.equal(new Set(commands).size, 4);
  });
  test('none: null', async () => {
    const reply = await post(served, '/p/chat', { message: 'a' });
    assert.equal((reply.json as { once: unknown }).once, null);
  });
  test('is ignored on reads, even a bad one', async () => {
    const reply = await call(served, 'GET', '/p/list', { headers: { 'idempotency-key': 'x'.repeat(300) } });
    assert.deepEqual([reply.status, (reply.json as { once: unknown }).once], [200, null]);
  });
  test('is honoured where there is no body', async () => {
    const reply = await call(served, 'POST', '/n/empty', { headers: { 'idempotency-key': 'k' } });
    assert.equal((reply.json as { once: { key: string } }).once.key, 'k');
  });
  for (const [key, status] of [
    ['x'.repeat(255), 200],
    ['a b', 200],
    ['x'.repeat(256), 400],
    ['', 400],
    ['é', 400],
    ['a\tb', 400],
  ] as const) {
    test(`${JSON.stringify(key.slice(0, 5))} of ${key.length}: ${status}`, async () => {
      assert.equal((await send('/p/chat', { message: 'a' }, key)).status, status);
    });
  }
});

test('what a proxy says of the client is believed of trusted ones only, and never about access', async () => {
  const trusting = await serve({ dialects: [plain], trustedProxies: ['127.0.0.1'] });
  await call(trusting, 'GET', '/p/list', { headers: { host: 'evil.test', 'x-forwarded-for': '203.0.113.7' } });
  assert.equal(trusting.logs[0]?.facts.client, '203.0.113.7');
  await call(trusting, 'GET', '/p/list', {
    headers: { 'x-forwarded-for': '203.0.113.7', 'x-forwarded-host': 'localhost' },
  });
  served.clock.move(2000);
  served.logs.length = 0;
  await call(served, 'GET', '/p/list', { headers: { host: 'evil.test', 'x-forwarded-for': '203.0.113.7' } });
  assert.equal(served.logs[0]?.facts.client, '127.0.0.1');
});
