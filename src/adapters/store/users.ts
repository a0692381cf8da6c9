/** Users and API keys. */

import type { ApiKey, Owner, User } from '#core/principal.ts';
import type { Sql } from './sql.ts';
import { db, type Flag, type Row } from './tables.ts';

const insertUser = (p: { tenant: string; id: string; keyless: Flag; now: number }) =>
  db
    .insertInto('users')
    .values({
      tenant: p.tenant,
      id: p.id,
      keyless: p.keyless,
      created_at: p.now,
      active_conversation: null,
      last_change: 0,
    })
    .onConflict((conflict) => conflict.doNothing());

const selectUser = (p: { tenant: string; id: string }) =>
  db.selectFrom('users').selectAll().where('tenant', '=', p.tenant).where('id', '=', p.id);

const selectUsers = (p: { tenant: string }) =>
  db.selectFrom('users').selectAll().where('tenant', '=', p.tenant).orderBy('created_at').orderBy('id');

const insertKey = (p: Row<'api_keys'>) =>
  db.insertInto('api_keys').values({
    id: p.id,
    tenant: p.tenant,
    user: p.user,
    digest: p.digest,
    kind: p.kind,
    name: p.name,
    hint: p.hint,
    scopes: p.scopes,
    rates: p.rates,
    created_at: p.created_at,
    expires_at: p.expires_at,
    revoked_at: p.revoked_at,
  });

const selectKeyByDigest = (p: { digest: string }) =>
  db.selectFrom('api_keys').selectAll().where('digest', '=', p.digest);

const selectKeyById = (p: { tenant: string; id: string }) =>
  db.selectFrom('api_keys').selectAll().where('id', '=', p.id).where('tenant', '=', p.tenant);

const selectKeys = (p: { tenant: string }) =>
  db.selectFrom('api_keys').selectAll().where('tenant', '=', p.tenant).orderBy('created_at').orderBy('id');

const updateKeyRevoked = (p: { tenant: string; id: string; now: number }) =>
  db
    .updateTable('api_keys')
    .set({ revoked_at: p.now })
    .where('id', '=', p.id)
    .where('tenant', '=', p.tenant)
    .where('revoked_at', 'is', null);

/** Makes the owner's row if there is none. */
export async function ensureUser(sql: Sql, owner: Omit<Owner, 'findsKeyless'>, now: number): Promise<void> {
  await sql.run(insertUser, { tenant: owner.tenant, id: owner.user, keyless: owner.keyless ? 1 : 0, now });
}

export async function createUser(sql: Sql, { user }: { user: User }): Promise<User> {
  await ensureUser(sql, { tenant: user.tenant, user: user.id, keyless: user.keyless }, user.createdAt);
  const row = await sql.first(selectUser, { tenant: user.tenant, id: user.id });
  return row === undefined ? user : toUser(row);
}

export async function listUsers(sql: Sql, tenant: string): Promise<User[]> {
  return (await sql.all(selectUsers, { tenant })).map(toUser);
}

export async function createKey(sql: Sql, unit: { key: ApiKey; digest: string; now: number }): Promise<ApiKey> {
  const { key, digest, now } = unit;
  await ensureUser(sql, { tenant: key.tenant, user: key.user, keyless: false }, now);
  await sql.run(insertKey, {
    id: key.id,
    tenant: key.tenant,
    user: key.user,
    digest,
    kind: key.kind,
    name: key.name,
    hint: key.hint,
    scopes: JSON.stringify(key.scopes),
    rates: key.rates === null ? null : JSON.stringify(key.rates),
    created_at: key.createdAt,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
  });
  return key;
}

export async function findKey(sql: Sql, digest: string): Promise<ApiKey | null> {
  const row = await sql.first(selectKeyByDigest, { digest });
  return row === undefined ? null : toKey(row);
}

export async function findKeyById(sql: Sql, tenant: string, id: string): Promise<ApiKey | null> {
  const row = await sql.first(selectKeyById, { tenant, id });
  return row === undefined ? null : toKey(row);
}

export async function listKeys(sql: Sql, tenant: string): Promise<ApiKey[]> {
  return (await sql.all(selectKeys, { tenant })).map(toKey);
}

export async function revokeKey(
  sql: Sql,
  { tenant, id, now }: { tenant: string; id: string; now: number },
): Promise<ApiKey | null> {
  await sql.run(updateKeyRevoked, { tenant, id, now });
  return findKeyById(sql, tenant, id);
}

function toUser(row: Row<'users'>): User {
  return { tenant: row.tenant, id: row.id, keyless: row.keyless === 1, createdAt: row.created_at };
}

function toKey(row: Row<'api_keys'>): ApiKey {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user,
    kind: row.kind,
    name: row.name,
    hint: row.hint,
    scopes: JSON.parse(row.scopes),
    rates: row.rates === null ? null : JSON.parse(row.rates),
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at,
  };
}
