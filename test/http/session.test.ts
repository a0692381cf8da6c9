import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import WebSocket from 'ws';
import { route, socketRoute } from '../../src/http/route.ts';
import { call, dialect, post, type Reply, serve, settled, type TestError, tokenOf, until } from './serve.ts';

const facts = { summary: 'A call', counts: 'other' as const, answers: [] };
const handled: string[] = [];
const handle = async ({ principal }: { principal: { user: string } }) => {
  handled.push(principal.user);
  return { status: 200, body: { user: principal.user } };
};
let streamsStopped = 0;
const standard = dialect(
  [
    route({ ...facts, method: 'GET', path: '/t/read', scope: 'read', handle }),
    route({ ...facts, method: 'POST', path: '/t/write', scope: 'write', handle }),
    route({ ...facts, method: 'GET', path: '/t/inference', scope: 'write', handle }),
    route({
      ...facts,
      method: 'GET',
      path: '/t/stream',
      scope: 'read',
      handle: async () => ({ stream: () => ({ resume() {}, stop: () => void streamsStopped++ }) }),
    }),
    socketRoute({
      summary: 'A socket',
      scope: 'read',
      method: 'SOCKET',
      path: '/t/ws',
      maxFrame: 100,
      open: () => ({ message() {}, resume() {}, stop() {} }),
    }),
  ],
  { standard: true },
);
const documented = dialect([route({ ...facts, method: 'GET', path: '/old/read', scope: 'read', handle })], {
  name: 'old',
  claims: ['/old'],
});
const dialects = [standard, documented];

const keyed = await serve({ dialects, local: false });
const local = await serve({ dialects });
const proxied = await serve({ dialects, local: false, publicUrl: 'https://chat.test' });

const ALICE = `parlance_session=${tokenOf('plk_alice')}`;
const SAME = { 'sec-fetch-site': 'same-origin' };
const code = (reply: Reply) => (reply.json as TestError).code ?? (reply.json as { error: { code: string } }).error.code;

describe('signing in with a key', () => {
  const signIn = (key: string, headers: Record<string, string> = SAME, served = keyed) =>
    post(served, '/v1/session', { key }, headers);

  test('sets a cookie no script reads and no other site sends, and says who it is', async () => {
    const reply = await signIn(' plk_alice\n');
    assert.equal(reply.status, 200);
    assert.deepEqual(reply.headers['set-cookie'], [`${ALICE}; Path=/; Max-Age=34560000; HttpOnly; SameSite=Strict`]);
    const { access, user, scopes, server } = reply.json as Record<string, unknown>;
    assert.deepEqual([access, user, scopes], ['session', 'alice', ['read', 'write']]);
    assert.deepEqual(server, {
      version: '1.2.3',
      models: { default: 'test-model', guide: false, problem: null, providers: [], not_found: [] },
    });
  });
  test('a page over TLS gets a cookie for TLS alone', async () => {
    const origin = `https://127.0.0.1:${keyed.port}`;
    for (const [served, headers] of [
      [keyed, { origin }],
      [proxied, { origin: 'https://chat.test', ...SAME }],
      [proxied, SAME],
    ] as const) {
      const [cookie = ''] = (await signIn('plk_alice', headers, served)).headers['set-cookie'] ?? [];
      assert.match(
        cookie,
        /^__Host-parlance_session=[0-9a-f]{64}; Secure; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Strict$/,
      );
    }
  });
  test('a wrong key is 401 and sets nothing', async () => {
    const reply = await signIn('plk_wrong');
    assert.deepEqual([reply.status, code(reply), reply.headers['set-cookie']], [401, 'unauthorized', undefined]);
  });
  test('no key is 400', async () => {
    for (const body of [{}, { key: '' }, { key: 5 }, '[]', '']) {
      assert.equal((await post(keyed, '/v1/session', body, SAME)).status, 400, JSON.stringify(body));
    }
  });
  for (const [what, headers] of Object.entries({
    'no page at all': {},
    'a page of another site': { origin: 'http://evil.test', 'sec-fetch-site': 'cross-site' },
    'a page of another port': { origin: 'http://127.0.0.1:1', 'sec-fetch-site': 'same-site' },
    'a page that only claims its Origin': { origin: 'http://evil.test' },
    'a sandboxed page': { origin: 'null' },
    'a typed address': { 'sec-fetch-site': 'none' },
  })) {
    test(`from ${what} is 403`, async () => {
      const before = keyed.tries.length;
      const reply = await signIn('plk_alice', headers as Record<string, string>);
      assert.deepEqual([reply.status, code(reply), reply.headers['set-cookie']], [403, 'forbidden', undefined]);
      assert.equal(keyed.tries.length, before, 'no key was tried');
    });
  }
  test('every try is counted for its address', async () => {
    const before = keyed.tries.length;
    await signIn('plk_wrong');
    assert.deepEqual(keyed.tries.slice(before), ['127.0.0.1']);
  });
});

describe('a session cookie', () => {
  test('is a key for what only reads', async () => {
    const reply = await call(keyed, 'GET', '/t/read', { headers: { cookie: `a=b; ${ALICE}; c=d` } });
    assert.deepEqual([reply.status, reply.json], [200, { user: 'alice' }]);
  });
  test('changes something for a page of this server', async () => {
    const origin = `http://127.0.0.1:${keyed.port}`;
    for (const headers of [SAME, { origin }, { origin, ...SAME }] as Record<string, string>[]) {
      const reply = await post(keyed, '/t/write', {}, { cookie: ALICE, ...headers });
      assert.deepEqual([reply.status, reply.json], [200, { user: 'alice' }], JSON.stringify(headers));
    }
  });
  for (const [what, headers] of Object.entries({
    'without a word of where it is from': {},
    'from another site': { 'sec-fetch-site': 'cross-site' },
    'from another port': { 'sec-fetch-site': 'same-site' },
    'from another port, by its Origin': { origin: 'http://127.0.0.1:1' },
    'from nowhere': { origin: 'null' },
    'typed by hand': { 'sec-fetch-site': 'none' },
  })) {
    test(`changes nothing ${what}: 403`, async () => {
      const before = handled.length;
      const given = { cookie: ALICE, ...headers } as Record<string, string>;
      for (const served of [keyed, local]) {
        for (const [method, path] of [
          ['POST', '/t/write'],
          ['GET', '/t/inference'],
        ] as const) {
          const reply = await call(served, method, path, { headers: given });
          assert.deepEqual([reply.status, code(reply)], [403, 'forbidden'], `${method} ${path}`);
        }
        await assert.rejects(openSocket(served.port, given), /403/);
      }
      assert.equal(handled.length, before);
    });
  }
  test('opens a socket from a page of this server', async () => {
    const socket = await openSocket(keyed.port, { cookie: ALICE, origin: `http://127.0.0.1:${keyed.port}` });
    socket.terminate();
  });
  test('from another site reads nothing either', async () => {
    for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { origin: 'http://evil.test' }] as Record<
      string,
      string
    >[]) {
      const reply = await call(keyed, 'GET', '/t/read', { headers: { cookie: ALICE, ...headers } });
      assert.equal(reply.status, 403);
    }
  });
  test('of a listed origin is none: CORS comes without cookies', async () => {
    const served = await serve({ dialects, local: false, origins: ['http://app.test'] });
    const headers = { cookie: ALICE, origin: 'http://app.test' };
    const reply = await call(served, 'GET', '/t/read', { headers });
    assert.equal(reply.status, 403);
    assert.equal(reply.headers['access-control-allow-credentials'], undefined);
  });
  test('counts for /v1 and /ui only, not for the documented APIs', async () => {
    assert.equal((await call(keyed, 'GET', '/old/read', { headers: { cookie: ALICE, ...SAME } })).status, 401);
  });
  test('that has ended is as good as none', async () => {
    const ended = { cookie: `parlance_session=${'0'.repeat(64)}`, ...SAME };
    const reply = await call(keyed, 'GET', '/t/read', { headers: ended });
    assert.deepEqual([reply.status, code(reply)], [401, 'key_required']);
    assert.match(reply.text, /sign in again/);
    assert.deepEqual((await call(local, 'GET', '/t/read', { headers: ended })).json, { user: 'local' });
  });
  test('is less than a key that is sent beside it', async () => {
    const headers = { cookie: ALICE, authorization: 'plk_bob' };
    assert.deepEqual((await post(keyed, '/t/write', {}, headers)).json, { user: 'bob' });
    const wrong = { ...headers, authorization: 'plk_wrong' };
    assert.equal((await post(keyed, '/t/write', {}, { ...wrong, ...SAME })).status, 401);
  });
  test('is more than being on this machine', async () => {
    assert.deepEqual((await post(local, '/t/write', {}, { cookie: ALICE, ...SAME })).json, { user: 'alice' });
  });
  test('of a key that may only read may only read', async () => {
    const headers = { cookie: `parlance_session=${tokenOf('plk_reader')}`, ...SAME };
    assert.equal((await call(keyed, 'GET', '/t/read', { headers })).status, 200);
    assert.equal((await post(keyed, '/t/write', {}, headers)).status, 403);
  });
  test('without TLS does not count where the server is known by an https address', async () => {
    const read = (cookie: string) => call(proxied, 'GET', '/t/read', { headers: { cookie } });
    assert.equal((await read(ALICE)).status, 401);
    assert.equal((await read(`__Host-${ALICE}`)).status, 200);
  });
  test('is not looked for in what only resembles it', async () => {
    const token = tokenOf('plk_alice');
    for (const cookie of [
      `xparlance_session=${token}`,
      `parlance_session=${token}0`,
      `parlance_session="${token}"`,
      token,
    ]) {
      assert.equal((await call(keyed, 'GET', '/t/read', { headers: { cookie } })).status, 401, cookie);
    }
  });
});

describe('who am I', () => {
  const ask = async (served: typeof keyed, headers: Record<string, string>) =>
    (await call(served, 'GET', '/v1/session', { headers })).json as Record<string, unknown>;

  test('is nobody without key and cookie, who is told nothing', async () => {
    assert.deepEqual(await ask(keyed, {}), {
      object: 'session',
      access: null,
      user: null,
      scopes: [],
      sign_in: [{ type: 'key' }, { type: 'invite' }],
      server: null,
    });
  });
  test('is the machine’s user in local mode, or whom they name', async () => {
    const { access, user, server } = await ask(local, {});
    assert.deepEqual([access, user], ['local', 'local']);
    assert.notEqual(server, null);
    assert.equal((await ask(local, { 'x-user-id': 'kim' })).user, 'kim');
  });
  test('is a key’s or a session’s user', async () => {
    const byKey = await ask(keyed, { authorization: 'plk_bob' });
    assert.deepEqual([byKey.access, byKey.user], ['key', 'bob']);
    const bySession = await ask(keyed, { cookie: ALICE });
    assert.deepEqual([bySession.access, bySession.user], ['session', 'alice']);
  });
  test('is refused to a wrong key, and to a page by another name', async () => {
    assert.equal((await call(keyed, 'GET', '/v1/session', { headers: { authorization: 'plk_wrong' } })).status, 401);
    assert.equal((await call(local, 'GET', '/v1/session', { headers: { host: 'evil.test' } })).status, 403);
  });
});

describe('signing out', () => {
  const BOB = `parlance_session=${tokenOf('plk_bob')}`;

  test('from elsewhere is 403, and ends nothing', async () => {
    for (const headers of [{}, { origin: 'http://evil.test' }] as Record<string, string>[]) {
      const reply = await call(keyed, 'DELETE', '/v1/session', { headers: { cookie: BOB, ...headers } });
      assert.equal(reply.status, 403);
    }
    assert.equal(keyed.ended.size, 0);
  });
  test('removes the cookie, ends the session, and closes what it has open', async () => {
    const open = await call(keyed, 'GET', '/t/read', { headers: { cookie: BOB } });
    assert.equal(open.status, 200);
    const streaming = call(keyed, 'GET', '/t/stream', { headers: { cookie: BOB } });
    await settled();
    const reply = await call(keyed, 'DELETE', '/v1/session', { headers: { cookie: BOB, ...SAME } });
    assert.equal(reply.status, 204);
    assert.deepEqual(reply.headers['set-cookie'], ['parlance_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict']);
    assert.equal((await call(keyed, 'GET', '/t/read', { headers: { cookie: BOB } })).status, 401);
    keyed.clock.move(5000);
    await until(() => streamsStopped === 1, 'its stream is stopped');
    await streaming;
  });
  test('twice is the same as once', async () => {
    for (const headers of [SAME, { ...SAME, cookie: BOB }]) {
      assert.equal((await call(keyed, 'DELETE', '/v1/session', { headers })).status, 204);
    }
  });
});

describe('an invite', () => {
  const take = (headers: Record<string, string>) => call(keyed, 'POST', '/invite/token', { headers });

  test('signs the browser in that takes it', async () => {
    const reply = await take({ origin: `http://127.0.0.1:${keyed.port}` });
    assert.match(reply.text, /You are signed in[\s\S]*plk_secret[\s\S]*href="\/"/);
    assert.match(reply.headers['set-cookie']?.[0] ?? '', /^parlance_session=[0-9a-f]{64};.*HttpOnly; SameSite=Strict$/);
  });
  test('gives a program its key alone', async () => {
    const reply = await take({});
    assert.match(reply.text, /plk_secret/);
    assert.equal(reply.headers['set-cookie'], undefined);
  });
  test('is not taken by a page of another site', async () => {
    for (const headers of [{ origin: 'http://evil.test' }, { 'sec-fetch-site': 'same-site' }, { origin: 'null' }]) {
      assert.equal((await take(headers as unknown as Record<string, string>)).status, 403);
    }
  });
  test('page sends its own Origin, and its address to nobody else', async () => {
    const reply = await call(keyed, 'GET', '/invite/token');
    assert.equal(reply.headers['referrer-policy'], 'same-origin');
  });
});

function openSocket(port: number, headers: Record<string, string>): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/t/ws`, { headers });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
  });
}
