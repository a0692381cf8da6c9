/** The feed of a user: one numbered line for each thing that happened to a listed conversation. */

import type { ConversationRow } from './conversation-rows.ts';
import type { Sql } from './sql.ts';
import { type ChangeType, db, type Row } from './tables.ts';

const nextChange = (p: { tenant: string; user: string }) =>
  db
    .updateTable('users')
    .set((eb) => ({ last_change: eb('last_change', '+', eb.lit(1)) }))
    .where('tenant', '=', p.tenant)
    .where('id', '=', p.user)
    .returning('last_change');

const insertChange = (p: Row<'changes'>) =>
  db.insertInto('changes').values({
    tenant: p.tenant,
    user: p.user,
    number: p.number,
    type: p.type,
    conversation: p.conversation,
    run: p.run,
    created_at: p.created_at,
  });

/** Writes a line about a conversation to the feed of its user, whose row exists; none about an unlisted one. */
export async function addChange(
  sql: Sql,
  conversation: Pick<ConversationRow, 'id' | 'tenant' | 'user' | 'listed'>,
  type: ChangeType,
  run: string | null,
  now: number,
): Promise<void> {
  if (conversation.listed === 0) return;
  const { tenant, user } = conversation;
  const next = await sql.first(nextChange, { tenant, user });
  if (next === undefined) throw new Error(`A conversation belongs to a user without a row: ${conversation.id}`);
  await sql.run(insertChange, {
    tenant,
    user,
    number: next.last_change,
    type,
    conversation: conversation.id,
    run,
    created_at: now,
  });
}
