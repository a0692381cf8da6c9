/** Tickets: what stands for a key in the address of one stream or socket. */

import type { Once } from '#core/once.ts';
import type { Owner, Ticket } from '#core/principal.ts';
import type { Outcome } from '#ports/store.ts';
import { doOnce } from './idempotency.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

const insertTicket = insertInto('tickets', [
  'digest',
  'tenant',
  'user',
  'key',
  'keyless',
  'finds_keyless',
  'path',
  'created_at',
  'used_at',
  'expires_at',
]);

const selectTicket = statement<{ digest: string }, Row<'tickets'>>(`select * from tickets where digest = :digest`);

const updateUsed = statement<{ digest: string; now: number; expiresAt: number }>(`
  update tickets set used_at = :now, expires_at = :expiresAt where digest = :digest`);

export async function createTicket(
  sql: Sql,
  unit: { owner: Owner; now: number; once: Once | null; id: string; digest: string; ticket: Ticket },
): Promise<Outcome<{ id: string; ticket: Ticket }>> {
  const { id, digest, ticket } = unit;
  return doOnce(sql, unit, async () => {
    await sql.run(insertTicket, {
      digest,
      tenant: ticket.tenant,
      user: ticket.user,
      key: ticket.keyId,
      keyless: ticket.keyless ? 1 : 0,
      finds_keyless: ticket.findsKeyless ? 1 : 0,
      path: ticket.path,
      created_at: ticket.createdAt,
      used_at: null,
      expires_at: ticket.expiresAt,
    });
    return { value: { id, ticket }, conversation: null };
  });
}

export async function hasTicket(sql: Sql, digest: string): Promise<boolean> {
  return (await sql.first(selectTicket, { digest })) !== undefined;
}

export async function useTicket(
  sql: Sql,
  unit: { digest: string; path: string; again: boolean; keepMs: number; now: number },
): Promise<{ ticket: Ticket; first: boolean } | null> {
  const { digest, now } = unit;
  const row = await sql.first(selectTicket, { digest });
  if (row === undefined || row.path !== unit.path || row.expires_at <= now) return null;
  const first = row.used_at === null;
  if (!first && !unit.again) return null;
  if (first) await sql.run(updateUsed, { digest, now, expiresAt: row.created_at + unit.keepMs });
  return { ticket: toTicket(row), first };
}

function toTicket(row: Row<'tickets'>): Ticket {
  return {
    tenant: row.tenant,
    user: row.user,
    keyId: row.key,
    keyless: row.keyless === 1,
    findsKeyless: row.finds_keyless === 1,
    path: row.path,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
