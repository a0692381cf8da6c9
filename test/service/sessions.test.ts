import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '#core/errors.ts';
import type { ApiKey } from '#core/principal.ts';
import type { Store } from '#ports/store.ts';
import { createSessions } from '#service/sessions.ts';

const DAY = 24 * 60 * 60 * 1000;
const KEY: ApiKey = {
  id: 'k',
  tenant: 't',
  user: 'ada',
  kind: 'user',
  name: null,
  hint: '',
  scopes: ['read'],
  rates: null,
  createdAt: 0,
  expiresAt: null,
  revokedAt: null,
};

function setUp() {
  let time = 1_000_000;
  let key: ApiKey = KEY;
  let full = false;
  const kept = new Map<string, number>();
  const extended: number[] = [];
  const store = {
    createSession: async ({ session, digest }) => void kept.set(digest, session.expiresAt),
    findSession: async (digest) => {
      const expiresAt = kept.get(digest);
      return expiresAt === undefined ? null : { key, expiresAt };
    },
    extendSession: async ({ digest, expiresAt }) => {
      if (full) throw new ServiceError('storage_full', 'The disk is full.');
      extended.push(expiresAt);
      kept.set(digest, expiresAt);
    },
    endSession: async ({ digest }) => void kept.delete(digest),
  } satisfies Partial<Store> as unknown as Store;
  let secrets = 0;
  const sessions = createSessions({
    store,
    clock: { now: () => time, monotonic: () => time, after: () => () => {} },
    ids: { uuid: () => '', secret: () => `secret-${++secrets}`, digest: (text) => `digest of ${text}` },
    keys: { find: async (digest) => (digest === 'digest of plk_ada' ? key : null), forget() {} },
  });
  return {
    sessions,
    kept,
    extended,
    advance: (ms: number) => (time += ms),
    change: (facts: Partial<ApiKey>) => (key = { ...key, ...facts }),
    fill: () => (full = true),
  };
}

const isRefused = (error: unknown) => error instanceof ServiceError && error.code === 'rate_limited';

test('only a digest of the cookie is kept', async () => {
  const { sessions, kept } = setUp();
  const { token } = await sessions.signIn('plk_ada');
  assert.deepEqual([...kept.keys()], [`digest of ${token}`]);
});

test('a session that is used lives on, and one that is not ends after 30 days', async () => {
  const { sessions, advance } = setUp();
  const { token } = await sessions.signIn('plk_ada');
  for (let month = 0; month < 24; month++) {
    advance(29 * DAY);
    assert.notEqual(await sessions.find(token), null);
  }
  advance(30 * DAY);
  assert.equal(await sessions.find(token), null);
});

test('using it is written once a day', async () => {
  const { sessions, advance, extended } = setUp();
  const { token } = await sessions.signIn('plk_ada');
  for (let hour = 0; hour < 48; hour++) {
    await sessions.find(token);
    advance(DAY / 24);
  }
  assert.equal(extended.length, 1);
});

test('a full disk signs nobody out', async () => {
  const { sessions, advance, fill } = setUp();
  const { token } = await sessions.signIn('plk_ada');
  advance(2 * DAY);
  fill();
  assert.notEqual(await sessions.find(token), null);
});

test('it dies with its key, at once', async () => {
  for (const facts of [{ revokedAt: 1 }, { expiresAt: 5 }]) {
    const { sessions, change } = setUp();
    const { token } = await sessions.signIn('plk_ada');
    const { digest = '' } = (await sessions.find(token)) ?? {};
    assert.equal(await sessions.isOpen(digest), true);
    change(facts);
    assert.equal(await sessions.find(token), null);
    assert.equal(await sessions.isOpen(digest), false);
    await assert.rejects(sessions.signIn('plk_ada'), { code: 'unauthorized' });
  }
});

test('ten tries a minute for each address, and the next minute ten more', () => {
  const { sessions, advance } = setUp();
  for (let i = 0; i < 10; i++) sessions.admitTry('192.0.2.1');
  assert.throws(() => sessions.admitTry('192.0.2.1'), isRefused);
  sessions.admitTry('192.0.2.2');
  advance(59_999);
  assert.throws(() => sessions.admitTry('192.0.2.1'), isRefused);
  advance(1);
  for (let i = 0; i < 10; i++) sessions.admitTry('192.0.2.1');
  assert.throws(() => sessions.admitTry('192.0.2.1'), isRefused);
});

test('an IPv6 caller cannot leave its /64', () => {
  const { sessions } = setUp();
  for (let i = 0; i < 10; i++) sessions.admitTry(`2001:db8:1:2::${i}`);
  assert.throws(() => sessions.admitTry('2001:db8:1:2:ffff::1'), isRefused);
  sessions.admitTry('2001:db8:1:3::1');
  sessions.admitTry('::1');
  sessions.admitTry('::ffff:192.0.2.9');
});
