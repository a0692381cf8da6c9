import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ApiKey } from '../../../src/core/principal.ts';
import { DEFAULT_TENANT, LOCAL_USER } from '../../../src/core/principal.ts';
import { describeStore } from './adapters.ts';
import { at, person, refused, uuid } from './fixtures.ts';

function newKey(given: Partial<ApiKey> = {}): ApiKey {
  return {
    id: uuid(),
    tenant: uuid(),
    user: 'ann',
    kind: 'user',
    name: 'laptop',
    hint: 'abcd',
    scopes: ['read', 'write'],
    rates: { perMinute: 10, perHour: 100 },
    createdAt: 5,
    expiresAt: 99,
    revokedAt: null,
    ...given,
  };
}

/** An administrator of that tenant who writes, without an `Idempotency-Key`. */
function by(tenant: string, now: number) {
  return { owner: person({ tenant, user: 'admin' }), now, once: null };
}

describeStore('Keys and users', (given) => {
  it('has the tenant default with the user local from the start', async () => {
    const users = await given.store.listUsers(DEFAULT_TENANT);
    assert.deepEqual(
      users.map(({ id }) => id),
      [LOCAL_USER],
    );
  });

  it('finds a key by its digest and by its id, as it was made', async () => {
    const full = newKey();
    const bare = newKey({ tenant: full.tenant, kind: 'service', name: null, rates: null, expiresAt: null, scopes: [] });
    for (const key of [full, bare]) {
      const digest = `digest of ${key.id}`;
      assert.deepEqual((await given.store.createKey({ ...by(key.tenant, 5), key, digest })).value, key);
      assert.deepEqual(await given.store.findKey(digest), key);
      assert.deepEqual(await given.store.findKeyById(key.tenant, key.id), key);
    }
    assert.equal(await given.store.findKey('another digest'), null);
    assert.equal(await given.store.findKeyById(uuid(), full.id), null);
    assert.equal(await given.store.findKeyById(full.tenant, uuid()), null);
  });

  it("makes the key's user, who is not keyless, if there is none", async () => {
    const key = newKey();
    await given.store.createKey({ ...by(key.tenant, 7), key, digest: key.id });
    const user = { tenant: key.tenant, id: 'ann', keyless: false, createdAt: 7 };
    assert.deepEqual(await given.store.listUsers(key.tenant), [user]);
  });

  it("lists a tenant's keys, oldest first, revoked ones too", async () => {
    const tenant = uuid();
    const keys = [3, 1, 2].map((createdAt) => newKey({ tenant, createdAt }));
    for (const key of keys) await given.store.createKey({ ...by(tenant, 9), key, digest: key.id });
    await given.store.revokeKey({ ...by(tenant, 9), id: keys[0]?.id ?? '' });
    const listed = await given.store.listKeys(tenant);
    assert.deepEqual(
      listed.map(({ createdAt, revokedAt }) => [createdAt, revokedAt]),
      [
        [1, null],
        [2, null],
        [3, 9],
      ],
    );
    assert.deepEqual(await given.store.listKeys(uuid()), []);
  });

  it('revokes a key once, for its own tenant only', async () => {
    const key = newKey();
    await given.store.createKey({ ...by(key.tenant, 5), key, digest: key.id });
    await refused(given.store.revokeKey({ ...by(uuid(), 6), id: key.id }), 'not_found');
    await refused(given.store.revokeKey({ ...by(key.tenant, 6), id: uuid() }), 'not_found');
    assert.deepEqual(await given.store.findKey(key.id), key);
    const revoked = { ...key, revokedAt: 7 };
    assert.deepEqual((await given.store.revokeKey({ ...by(key.tenant, 7), id: key.id })).value, revoked);
    assert.deepEqual((await given.store.revokeKey({ ...by(key.tenant, 8), id: key.id })).value, revoked);
    assert.deepEqual(await given.store.findKey(key.id), revoked);
  });

  it('gives keys in pages, both ways, of one tenant', async () => {
    const tenant = uuid();
    const keys = [5, 5, 6, 7].map((createdAt, i) => newKey({ tenant, createdAt, user: `u${i}` }));
    for (const key of keys) await given.store.createKey({ ...by(tenant, key.createdAt), key, digest: key.id });
    const other = newKey();
    await given.store.createKey({ ...by(other.tenant, 6), key: other, digest: other.id });
    const ids = keys.map(({ id }) => id);
    for (const direction of ['asc', 'desc'] as const) {
      const seen: string[] = [];
      for (let after: string | null = null; ; after = seen.at(-1) ?? null) {
        const page = await given.store.listKeys(tenant, { direction, limit: 3, after });
        seen.push(...page.map(({ id }) => id));
        if (page.length < 3) break;
      }
      assert.deepEqual(seen, direction === 'asc' ? ids : ids.toReversed());
    }
    const foreign = { direction: 'asc', limit: 3, after: other.id } as const;
    await refused(given.store.listKeys(tenant, foreign), 'invalid_request');
  });

  it('gives a key once for one Idempotency-Key', async () => {
    const tenant = uuid();
    const once = { key: 'k', command: 'c' };
    const make = (key: ApiKey) => given.store.createKey({ ...by(tenant, 5), once, key, digest: key.id });
    const first = await make(newKey({ tenant }));
    const again = await make(newKey({ tenant }));
    assert.deepEqual(again, { value: first.value, replayed: true });
    assert.equal((await given.store.listKeys(tenant)).length, 1);
  });

  it('makes a user once, and gives the one there is', async () => {
    const user = { tenant: uuid(), id: 'ann', keyless: true, createdAt: 1 };
    assert.deepEqual(await given.store.createUser({ user }), user);
    assert.deepEqual(await given.store.createUser({ user: { ...user, keyless: false, createdAt: 2 } }), user);
    assert.deepEqual(await given.store.listUsers(user.tenant), [user]);
  });

  it('makes the row of a user at their first write, keyless as the call was, and at no read', async () => {
    const kim = person({ user: 'kim', keyless: true });
    await at(given.store, kim).list();
    assert.deepEqual(await given.store.listUsers(kim.tenant), []);
    await at(given.store, kim).create({}, 4);
    await at(given.store, { ...kim, user: 'ann', keyless: false }).say('Hello', { now: 5 });
    await at(given.store, { ...kim, keyless: false }).create({}, 6);
    assert.deepEqual(await given.store.listUsers(kim.tenant), [
      { tenant: kim.tenant, id: 'kim', keyless: true, createdAt: 4 },
      { tenant: kim.tenant, id: 'ann', keyless: false, createdAt: 5 },
    ]);
  });
});

describeStore('Invites', (given) => {
  const invite = (tenant: string) => ({ tenant, user: 'guest', createdAt: 5, expiresAt: 50 });
  const redeem = (digest: string, now: number) => {
    const { tenant: _, user: __, ...key } = newKey();
    return given.store.redeemInvite({ digest, key, keyDigest: `key of ${key.id}`, now });
  };

  it('makes the key of its user, once, of 20 calls at once', async () => {
    const tenant = uuid();
    await given.store.createInvite({ ...by(tenant, 5), id: uuid(), invite: invite(tenant), digest: tenant });
    const all = await Promise.all(Array.from({ length: 20 }, () => redeem(tenant, 10)));
    const keys = all.filter((key) => key !== null);
    assert.equal(keys.length, 1);
    assert.deepEqual([keys[0]?.tenant, keys[0]?.user], [tenant, 'guest']);
    assert.deepEqual(await given.store.findKey(`key of ${keys[0]?.id}`), keys[0]);
    assert.deepEqual(await given.store.listKeys(tenant), keys);
  });

  it('makes its user, and no key once it has expired, nor without an invite', async () => {
    const tenant = uuid();
    await given.store.createInvite({ ...by(tenant, 5), id: uuid(), invite: invite(tenant), digest: tenant });
    assert.deepEqual(
      (await given.store.listUsers(tenant)).map(({ id }) => id),
      ['guest'],
    );
    assert.equal(await redeem(tenant, 50), null);
    assert.equal(await redeem('another digest', 10), null);
    assert.deepEqual(await given.store.listKeys(tenant), []);
    assert.notEqual(await redeem(tenant, 49), null);
  });

  it('is swept away when it has expired', async () => {
    const tenant = uuid();
    await given.store.createInvite({ ...by(tenant, 5), id: uuid(), invite: invite(tenant), digest: tenant });
    await given.store.sweep({ now: 49 });
    await given.store.sweep({ now: 50 });
    assert.equal(await redeem(tenant, 49), null);
  });
});

describeStore('Sessions', (given) => {
  async function signedIn(createdAt = 5, expiresAt = 50) {
    const tenant = uuid();
    const unit = { ...by(tenant, createdAt), key: newKey({ tenant }), digest: uuid() };
    const { value: key } = await given.store.createKey(unit);
    const digest = uuid();
    const session = { tenant, key: key.id, createdAt, expiresAt };
    await given.store.createSession({ session, digest });
    return { tenant, key, digest };
  }

  it('are found with their key, extended and ended', async () => {
    const { key, digest } = await signedIn();
    assert.deepEqual(await given.store.findSession(digest), { key, expiresAt: 50 });
    await given.store.extendSession({ digest, expiresAt: 60 });
    assert.deepEqual(await given.store.findSession(digest), { key, expiresAt: 60 });
    await given.store.endSession({ digest });
    assert.equal(await given.store.findSession(digest), null);
    await given.store.extendSession({ digest, expiresAt: 70 });
    assert.equal(await given.store.findSession(digest), null);
  });

  it('show that their key was revoked', async () => {
    const { tenant, key, digest } = await signedIn();
    await given.store.revokeKey({ ...by(tenant, 7), id: key.id });
    assert.equal((await given.store.findSession(digest))?.key.revokedAt, 7);
  });

  it('are swept away when they have expired', async () => {
    const { digest } = await signedIn();
    await given.store.sweep({ now: 49 });
    assert.notEqual(await given.store.findSession(digest), null);
    await given.store.sweep({ now: 50 });
    assert.equal(await given.store.findSession(digest), null);
  });

  it('are at most 100 of a key: one more ends the oldest', async () => {
    const { tenant, key, digest } = await signedIn();
    const others = Array.from({ length: 100 }, () => uuid());
    for (const [i, other] of others.entries()) {
      const session = { tenant, key: key.id, createdAt: 6 + i, expiresAt: 500 };
      await given.store.createSession({ session, digest: other });
    }
    assert.equal(await given.store.findSession(digest), null);
    assert.notEqual(await given.store.findSession(others[0] ?? ''), null);
  });
});

describeStore('Users by name', (given) => {
  it('come in pages, and those of this machine alone where only they are wanted', async () => {
    const tenant = uuid();
    for (const [id, keyless] of [
      ['kim', true],
      ['ann', false],
      ['local', false],
      ['bob', true],
    ] as const) {
      await given.store.createUser({ user: { tenant, id, keyless, createdAt: 1 } });
    }
    const names = async (local: boolean, after: string, limit: number) =>
      (await given.store.pageUsers({ tenant, local, after, limit })).map(({ id }) => id);
    assert.deepEqual(await names(false, '', 3), ['ann', 'bob', 'kim']);
    assert.deepEqual(await names(false, 'kim', 3), ['local']);
    assert.deepEqual(await names(true, '', 10), ['bob', 'kim', 'local']);
    assert.deepEqual(await names(true, 'kim', 10), ['local']);
  });
});
