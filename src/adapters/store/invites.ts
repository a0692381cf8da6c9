/** Invites: links that give their user a key, once. */

import type { ApiKey, Invite } from '#core/principal.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';
import { createKey, ensureUser } from './users.ts';

const insertInvite = insertInto('invites', ['digest', 'tenant', 'user', 'created_at', 'expires_at']);

const selectInvite = statement<{ digest: string }, Row<'invites'>>(`select * from invites where digest = :digest`);

const removeInvite = statement<{ digest: string }>(`delete from invites where digest = :digest`);

export async function createInvite(sql: Sql, { invite, digest }: { invite: Invite; digest: string }): Promise<void> {
  const { tenant, user, createdAt, expiresAt } = invite;
  await ensureUser(sql, { tenant, user, keyless: false }, createdAt);
  await sql.run(insertInvite, { digest, tenant, user, created_at: createdAt, expires_at: expiresAt });
}

export async function redeemInvite(
  sql: Sql,
  unit: { digest: string; key: Omit<ApiKey, 'tenant' | 'user'>; keyDigest: string; now: number },
): Promise<ApiKey | null> {
  const { digest, key, keyDigest, now } = unit;
  const invite = await sql.first(selectInvite, { digest });
  if (invite === undefined || invite.expires_at <= now) return null;
  await sql.run(removeInvite, { digest });
  const { tenant, user } = invite;
  return createKey(sql, { key: { ...key, tenant, user }, digest: keyDigest, now });
}
