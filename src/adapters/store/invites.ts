/** Invites: links that give their user a key, once. */

import type { Once } from '#core/once.ts';
import type { ApiKey, Invite, Owner } from '#core/principal.ts';
import type { Outcome } from '#ports/store.ts';
import { doOnce } from './idempotency.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';
import { addKey, ensureUser } from './users.ts';

const insertInvite = insertInto('invites', ['digest', 'tenant', 'user', 'created_at', 'expires_at']);

const selectInvite = statement<{ digest: string }, Row<'invites'>>(`select * from invites where digest = :digest`);

const removeInvite = statement<{ digest: string }>(`delete from invites where digest = :digest`);

export async function createInvite(
  sql: Sql,
  unit: { owner: Owner; now: number; once: Once | null; id: string; invite: Invite; digest: string },
): Promise<Outcome<{ id: string; invite: Invite }>> {
  const { id, invite, digest } = unit;
  const { tenant, user, createdAt, expiresAt } = invite;
  return doOnce(sql, unit, async () => {
    await ensureUser(sql, { tenant, user, keyless: false }, createdAt);
    await sql.run(insertInvite, { digest, tenant, user, created_at: createdAt, expires_at: expiresAt });
    return { value: { id, invite }, conversation: null };
  });
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
  return addKey(sql, { key: { ...key, tenant, user }, digest: keyDigest, now });
}
