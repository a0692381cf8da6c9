/** Users and API keys. */

import { invalid, notFound } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import { type ApiKey, LOCAL_USER, type Owner, type User } from '#core/principal.ts';
import type { ListByAge, Outcome } from '#ports/store.ts';
import { doOnce } from './idempotency.ts';
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

interface AgeValues {
  tenant: string;
  at: number;
  id: string;
  limit: number;
}

const selectKeysByAge = (direction: 'asc' | 'desc') =>
  statement<AgeValues, Row<'api_keys'>>(`
    select * from api_keys
    where tenant = :tenant and (created_at, id) ${direction === 'asc' ? '>' : '<'} (:at, :id)
    order by created_at ${direction}, id ${direction} limit :limit + 0`);

const selectKeys = { asc: selectKeysByAge('asc'), desc: selectKeysByAge('desc') };

const EVERYTHING: ListByAge = { direction: 'asc', limit: Number.MAX_SAFE_INTEGER, after: null };
const START = { asc: { created_at: -1, id: '' }, desc: { created_at: Number.MAX_SAFE_INTEGER, id: '' } };

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

export async function createKey(
  sql: Sql,
  unit: { owner: Owner; now: number; once: Once | null; key: ApiKey; digest: string },
): Promise<Outcome<ApiKey>> {
  return doOnce(sql, unit, async () => ({ value: await addKey(sql, unit), conversation: null }));
}

export async function addKey(
  sql: Sql,
  { key, digest, now }: { key: ApiKey; digest: string; now: number },
): Promise<ApiKey> {
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

export async function listKeys(sql: Sql, tenant: string, page: ListByAge = EVERYTHING): Promise<ApiKey[]> {
  const { after, direction, limit } = page;
  const from = after === null ? START[direction] : await sql.first(selectKeyById, { tenant, id: after });
  if (from === undefined) throw invalid('There is no key with the id given as after.', 'after');
  const values = { tenant, at: from.created_at, id: from.id, limit };
  return (await sql.all(selectKeys[direction], values)).map(toKey);
}

export async function revokeKey(
  sql: Sql,
  unit: { owner: Owner; now: number; once: Once | null; id: string },
): Promise<Outcome<ApiKey>> {
  const { id, now } = unit;
  const { tenant } = unit.owner;
  return doOnce(sql, unit, async () => {
    await sql.run(updateKeyRevoked, { tenant, id, now });
    const key = await findKeyById(sql, tenant, id);
    if (key === null) throw notFound('Key');
    return { value: key, conversation: null };
  });
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
