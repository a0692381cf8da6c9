/** Keys and invites over HTTP, by whoever has the scope `admin`. */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Keys, openKeys } from '../../support/keys.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';

interface Key {
  object: 'key';
  id: string;
  key?: string;
  user: string;
  kind: string;
  name: string | null;
  hint: string;
  scopes: string[];
  rates: { per_minute: number; per_hour: number } | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}
interface WireError {
  error: { code: string; message: string; param: string };
}
interface List {
  data: Key[];
  has_more: boolean;
  last_id: string | null;
}

describe('keys and invites', () => {
  let server: TestServer;
  let keys: Keys;
  let admin: Client;

  before(async () => {
    server = await startServer();
    keys = await openKeys(server.data);
    admin = server.client('admin');
  });
  after(async () => {
    await keys?.close();
    await server.close();
  });

  async function make(body: object, headers: Record<string, string> = {}): Promise<Key> {
    const answer = await admin.request<Key>('POST', '/v1/keys', { body, headers });
    assert.equal(answer.status, 201, answer.text);
    return answer.body;
  }
  const whoAmI = async (key: string | undefined) => {
    const { status, body } = await server
      .visitor({ authorization: `Bearer ${key}` })
      .request<{ user: string }>('GET', '/v1/session');
    return status === 200 ? body.user : status;
  };

  it('makes a key that works at once, shows it once, and keeps no word of it', async () => {
    const made = await make({ user: 'kim', name: 'laptop' });
    const { id, key = '', created_at, ...rest } = made;
    assert.match(key, /^plk_[0-9a-f]{64}$/);
    assert.deepEqual(rest, {
      object: 'key',
      user: 'kim',
      kind: 'user',
      name: 'laptop',
      hint: key.slice(-4),
      scopes: ['read', 'write'],
      rates: null,
      expires_at: null,
      revoked_at: null,
    });
    assert.equal(await whoAmI(key), 'kim');
    const { body, text } = await admin.request<List>('GET', '/v1/keys');
    assert.ok(!text.includes(key));
    assert.deepEqual(body.data[0], { id, created_at, ...rest });
    for (const file of readdirSync(server.data)) {
      assert.ok(!readFileSync(join(server.data, file)).includes(key.slice(4)), `${file} holds the key`);
    }
  });

  it('makes a service key with scopes, rates and an expiry', async () => {
    const expires_at = Math.floor(Date.now() / 1000) + 3600;
    const wanted = { kind: 'service', scopes: ['read', 'read'], rates: { per_minute: 7 }, expires_at };
    const made = await make(wanted);
    assert.deepEqual(
      [made.user, made.kind, made.scopes, made.rates, made.expires_at],
      ['admin', 'service', ['read'], { per_minute: 7, per_hour: 0 }, expires_at],
    );
    const service = server.visitor({ authorization: `Bearer ${made.key}`, 'x-user-id': 'ann' });
    const { status, headers } = await service.request('GET', '/chats/');
    assert.deepEqual([status, headers['ratelimit-limit']], [200, '7']);
    assert.equal((await service.request('POST', '/chats/create', { body: { name: 'x' } })).status, 403);
  });

  it('revokes a key for good, and closes what it has open', async () => {
    const { id, key } = await make({ user: 'kim' });
    const kim = server.visitor({ authorization: `Bearer ${key}` });
    const stream = await kim.open('GET', '/v1/changes', { headers: { accept: 'text/event-stream' } });
    for (let i = 0; i < 2; i++) {
      const { status, body } = await admin.request('DELETE', `/v1/keys/${id}`);
      assert.deepEqual([status, body], [200, { id, object: 'key.deleted', deleted: true }]);
      assert.equal(await whoAmI(key), 401);
    }
    await stream.ended;
    const { body } = await admin.request<List>('GET', '/v1/keys?limit=1');
    assert.equal(body.data[0]?.id, id);
    assert.ok((body.data[0]?.revoked_at ?? 0) > 0);
  });

  it('lists the keys of the tenant alone, in pages', async () => {
    const other = await keys.create({ tenant: 'other', user: 'kim', scopes: ['read', 'write', 'admin'] });
    const theirs = server.visitor({ authorization: other.secret });
    assert.deepEqual(
      (await theirs.request<List>('GET', '/v1/keys')).body.data.map(({ id }) => id),
      [other.id],
    );
    for (let i = 0; i < 5; i++) await make({ user: `u${i}` });
    const all = (await admin.request<List>('GET', '/v1/keys?limit=100')).body.data.map(({ id }) => id);
    assert.ok(!all.includes(other.id));
    const seen: string[] = [];
    for (let after = ''; ; after = `&after=${seen.at(-1)}`) {
      const { body } = await admin.request<List>('GET', `/v1/keys?limit=2${after}`);
      seen.push(...body.data.map(({ id }) => id));
      assert.equal(body.last_id, seen.at(-1));
      if (!body.has_more) break;
    }
    assert.deepEqual(seen, all);
    const up = await admin.request<List>('GET', '/v1/keys?limit=100&order=asc');
    assert.deepEqual(
      up.body.data.map(({ id }) => id),
      all.toReversed(),
    );
    assert.equal((await admin.request('DELETE', `/v1/keys/${other.id}`)).status, 404);
    assert.equal((await admin.request('GET', `/v1/keys?after=${other.id}`)).status, 400);
    assert.equal(await whoAmI(other.secret), 'kim');
  });

  it('wants the scope admin, in local mode too', async () => {
    const user = await keys.create({ user: 'kim' });
    for (const client of [server.visitor(), server.visitor({ authorization: user.secret })]) {
      for (const [method, path, body] of [
        ['GET', '/v1/keys'],
        ['POST', '/v1/keys', { user: 'kim', scopes: ['admin'] }],
        ['DELETE', `/v1/keys/${user.id}`],
        ['POST', '/v1/invites', { name: 'kim' }],
      ] as const) {
        const answer = await client.request<WireError>(method, path, body && { body });
        assert.deepEqual([answer.status, answer.body.error.code], [403, 'forbidden'], `${method} ${path}`);
        assert.match(answer.body.error.message, /scope "admin"/);
      }
    }
    assert.equal(await whoAmI(user.secret), 'kim');
  });

  it('refuses what is no key', async () => {
    for (const [body, param] of [
      [{}, 'user'],
      [{ user: '' }, 'user'],
      [{ user: 'a\nb' }, 'user'],
      [{ user: 'x'.repeat(256) }, 'user'],
      [{ user: 'kim', kind: 'root' }, 'kind'],
      [{ user: 'kim', scopes: [] }, 'scopes'],
      [{ user: 'kim', scopes: ['all'] }, 'scopes[0]'],
      [{ user: 'kim', expires_at: 1 }, 'expires_at'],
      [{ user: 'kim', rates: { per_minute: -1 } }, 'rates.per_minute'],
    ] as const) {
      const answer = await admin.request<WireError>('POST', '/v1/keys', { body });
      assert.deepEqual([answer.status, answer.body.error.param], [400, param], JSON.stringify(body));
    }
  });

  it('makes an invite, which is taken once', async () => {
    const { status, body } = await admin.request<{ url: string; name: string; expires_at: number }>(
      'POST',
      '/v1/invites',
      {
        body: { name: 'guest' },
      },
    );
    assert.equal(status, 201);
    assert.equal(body.name, 'guest');
    assert.ok(Math.abs(body.expires_at - Date.now() / 1000 - 7 * 86_400) < 60);
    assert.ok(body.url.startsWith(`${server.url}/invite/`), body.url);
    const users = await admin.request<{ data: { id: string }[] }>('GET', '/v1/users?limit=100');
    assert.ok(users.body.data.some(({ id }) => id === 'guest'));
  });

  it('gives the same key and invite again for one Idempotency-Key, and to the same caller alone', async () => {
    const headers = { 'idempotency-key': 'one' };
    const send = (client: Client, path: string, body: object) =>
      client.request<WireError>('POST', path, { body, headers });
    const before = (await admin.request<List>('GET', '/v1/keys?limit=100')).body.data.length;
    const first = await send(admin, '/v1/keys', { user: 'once' });
    const again = await send(admin, '/v1/keys', { user: 'once' });
    assert.deepEqual([first.status, again.status, again.text], [201, 201, first.text]);
    assert.equal(await whoAmI((first.body as unknown as Key).key), 'once');
    assert.equal((await admin.request<List>('GET', '/v1/keys?limit=100')).body.data.length, before + 1);
    assert.equal((await send(admin, '/v1/keys', { user: 'twice' })).status, 422);
    const second = await make({ kind: 'service', scopes: ['read', 'write', 'admin'] });
    const colleague = server.visitor({ authorization: `Bearer ${second.key}`, 'x-user-id': 'admin' });
    assert.equal((await send(colleague, '/v1/keys', { user: 'once' })).status, 422, 'the same user with another key');
    headers['idempotency-key'] = 'two';
    const invite = await send(admin, '/v1/invites', { name: 'guest' });
    assert.deepEqual((await send(admin, '/v1/invites', { name: 'guest' })).text, invite.text);
    headers['idempotency-key'] = 'three';
    assert.notEqual((await send(admin, '/v1/invites', { name: 'guest' })).text, invite.text);
    headers['idempotency-key'] = 'crowd';
    const crowd = await Promise.all(Array.from({ length: 20 }, () => send(admin, '/v1/keys', { user: 'crowd' })));
    assert.equal(new Set(crowd.map(({ status, text }) => `${status} ${text}`)).size, 1, '20 at once are one');
    assert.equal(await whoAmI((JSON.parse(crowd[0]?.text ?? '') as Key).key), 'crowd');
    const { id } = await make({ user: 'gone' });
    headers['idempotency-key'] = 'four';
    const revoke = () => admin.request('DELETE', `/v1/keys/${id}`, { headers });
    assert.deepEqual((await revoke()).text, (await revoke()).text);
  });
});
