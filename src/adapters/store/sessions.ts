/** Sessions: what a browser's cookie stands for. A session is there until it is ended or has expired. */

import type { ApiKey, Session } from '#core/principal.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';
import { toKey } from './users.ts';

/** The most one key has at once; one more ends the oldest. */
const MAX_OF_KEY = 100;

const insertSession = insertInto('sessions', ['digest', 'tenant', 'key', 'created_at', 'expires_at']);

const removeOldest = statement<{ key: string; keep: number }>(`
  delete from sessions where digest in (
    select digest from sessions where "key" = :key order by created_at desc, digest limit 1000 offset :keep + 0)`);

const selectSession = statement<{ digest: string }, Row<'api_keys'> & { session_expires_at: number }>(`
  select k.*, s.expires_at as session_expires_at
  from sessions s join api_keys k on k.id = s."key" and k.tenant = s.tenant where s.digest = :digest`);

const updateExpiry = statement<{ digest: string; expires_at: number }>(`
  update sessions set expires_at = :expires_at where digest = :digest`);

const removeSession = statement<{ digest: string }>(`delete from sessions where digest = :digest`);

export async function createSession(sql: Sql, { session, digest }: { session: Session; digest: string }) {
  const { tenant, key, createdAt, expiresAt } = session;
  await sql.run(insertSession, { digest, tenant, key, created_at: createdAt, expires_at: expiresAt });
  await sql.run(removeOldest, { key, keep: MAX_OF_KEY });
}

export async function findSession(sql: Sql, digest: string): Promise<{ key: ApiKey; expiresAt: number } | null> {
  const row = await sql.first(selectSession, { digest });
  return row === undefined ? null : { key: toKey(row), expiresAt: row.session_expires_at };
}

export async function extendSession(sql: Sql, unit: { digest: string; expiresAt: number }): Promise<void> {
  await sql.run(updateExpiry, { digest: unit.digest, expires_at: unit.expiresAt });
}

export async function endSession(sql: Sql, { digest }: { digest: string }): Promise<void> {
  await sql.run(removeSession, { digest });
}
