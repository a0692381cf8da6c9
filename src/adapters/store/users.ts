/** Users and API keys. */

import { type ApiKey, LOCAL_USER, type Owner, type User } from '#core/principal.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Flag, Row } from './tables.ts';

const insertUser = statement<{ tenant: string; id: string; keyless: Flag; now: number }>(`
  insert into users (tenant, id, keyless, created_at, active_conversation, last_change)
  values (:tenant, :id, :keyless, :now, null, 0)
  on conflict do nothing`);

const selectUser = statement<{ tenant: string; id: string }, Row<'users'>>(`
  select * from users where tenant = :tenant and id = :id`);

const selectUsers = statement<{ tenant: string }, Row<'users'>>(`
  select * from users where tenant = :tenant order by created_at, id`);

const selectUserPage = statement<
  { tenant: string; local: Flag; owner: string; after: string; limit: number },
  Row<'users'>
>(`
  select * from users where tenant = :tenant and id > :after and (:local = 0 or keyless = 1 or id = :owner)
  order by id limit :limit + 0`);

const insertKey = insertInto('api_keys', [
  'id',
  'tenant',
  'user',
  'digest',
  'kind',
  'name',
  'hint',
  'scopes',
  'rates',
  'created_at',
  'expires_at',
  'revoked_at',
]);

const selectKeyByDigest = statement<{ digest: string }, Row<'api_keys'>>(`
  select * from api_keys where digest = :digest`);

const selectKeyById = statement<{ tenant: string; id: string }, Row<'api_keys'>>(`
  select * from api_keys where id = :id and tenant = :tenant`);

const selectKeys = statement<{ tenant: string }, Row<'api_keys'>>(`
  select * from api_keys where tenant = :tenant order by created_at, id`);

const updateKeyRevoked = statement<{ tenant: string; id: string; now: number }>(`
  update api_keys set revoked_at = :now where id = :id and tenant = :tenant and revoked_at is null`);

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

export async function pageUsers(
  sql: Sql,
  { local, ...page }: { tenant: string; local: boolean; after: string; limit: number },
): Promise<User[]> {
  const values = { ...page, local: local ? (1 as const) : (0 as const), owner: LOCAL_USER };
  return (await sql.all(selectUserPage, values)).map(toUser);
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

export function toKey(row: Row<'api_keys'>): ApiKey {
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
