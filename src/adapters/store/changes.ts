/** The feed of a user: one numbered line for each thing that happened to a listed conversation. */

import type { ConversationRow } from './conversation-rows.ts';
import type { Sql } from './sql.ts';
import { type ChangeType, db, type Row } from './tables.ts';

const countChange = (p: { tenant: string; user: string }) =>
  db
    .updateTable('users')
    .set((eb) => ({ last_change: eb('last_change', '+', eb.lit(1)) }))
    .where('tenant', '=', p.tenant)
    .where('id', '=', p.user);

/** Under the number just counted. */
const insertChange = (p: Omit<Row<'changes'>, 'row' | 'number'>) =>
  db
    .insertInto('changes')
    .columns(['tenant', 'user', 'number', 'type', 'conversation', 'run', 'created_at'])
    .expression((eb) =>
      eb
        .selectFrom('users as u')
        .select([
          'u.tenant',
          'u.id',
          'u.last_change',
          eb.val(p.type).as('type'),
          eb.val(p.conversation).as('conversation'),
          eb.val(p.run).as('run'),
          eb.val(p.created_at).as('created_at'),
        ])
        .where('u.tenant', '=', p.tenant)
        .where('u.id', '=', p.user),
    );

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
