/** The feed of a user: one numbered line for each thing that happened to a listed conversation. */

import type { ConversationRow } from './conversation-rows.ts';
import { type Sql, statement } from './sql.ts';
import type { ChangeType, Row } from './tables.ts';

const countChange = statement<{ tenant: string; user: string }>(`
  update users set last_change = last_change + 1 where tenant = :tenant and id = :user`);

/** Under the number just counted. */
const insertChange = statement<Omit<Row<'changes'>, 'row' | 'number'>>(`
  insert into changes (tenant, "user", number, type, conversation, run, created_at)
  select tenant, id, last_change, :type, :conversation, :run, :created_at
  from users where tenant = :tenant and id = :user`);

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
  await sql.run(countChange, { tenant, user });
  await sql.run(insertChange, { tenant, user, type, conversation: conversation.id, run, created_at: now });
}
