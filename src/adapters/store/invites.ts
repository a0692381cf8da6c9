/** Invites: links that give their user a key, once. */

import type { ApiKey, Invite } from '#core/principal.ts';
import type { Sql } from './sql.ts';
import { db, type Row } from './tables.ts';
import { createKey, ensureUser } from './users.ts';

const insertInvite = (p: Row<'invites'>) =>
  db.insertInto('invites').values({
    digest: p.digest,
    tenant: p.tenant,
    user: p.user,
    created_at: p.created_at,
    expires_at: p.expires_at,
  });

const selectInvite = (p: { digest: string }) => db.selectFrom('invites').selectAll().where('digest', '=', p.digest);

const removeInvite = (p: { digest: string }) => db.deleteFrom('invites').where('digest', '=', p.digest);

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
