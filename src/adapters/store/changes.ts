/** The feed of a user: one numbered line for each thing that happened to a listed conversation. */

import type { Change, ChangeType } from '#core/change.ts';
import type { Owner } from '#core/principal.ts';
import type { Feed } from '#ports/store.ts';
import type { ConversationRow } from './conversation-rows.ts';
import { type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

const countChange = statement<{ tenant: string; user: string }>(`
  update users set last_change = last_change + 1 where tenant = :tenant and id = :user`);

/** Under the number just counted. */
const insertChange = statement<Omit<Row<'changes'>, 'row' | 'number'>>(`
  insert into changes (tenant, "user", number, type, conversation, run, created_at)
  select tenant, id, last_change, :type, :conversation, :run, :created_at
  from users where tenant = :tenant and id = :user`);

const selectNewest = statement<{ tenant: string; user: string }, { last_change: number }>(`
  select last_change from users where tenant = :tenant and id = :user`);

const selectOldest = statement<{ tenant: string; user: string }, { number: number }>(`
  select number from changes where tenant = :tenant and "user" = :user order by number limit 1`);

type FeedRow = Omit<Row<'changes'>, 'row'> & { answer: string | null };

const selectChanges = statement<{ tenant: string; user: string; since: number; limit: number }, FeedRow>(`
  select c.number, c.type, c.conversation, c.run, c.created_at, r.turn as answer
  from changes c left join runs r on r.id = c.run
  where c.tenant = :tenant and c."user" = :user and c.number > :since
  order by c.number limit :limit + 0`);

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
  sql.changed(tenant, user);
}

export async function readChanges(
  sql: Sql,
  read: { owner: Owner; since: number | null; limit: number },
): Promise<Feed> {
  const { tenant, user } = read.owner;
  const newest = (await sql.first(selectNewest, { tenant, user }))?.last_change ?? 0;
  const oldest = (await sql.first(selectOldest, { tenant, user }))?.number ?? newest + 1;
  const since = read.since ?? oldest - 1;
  const rows = await sql.all(selectChanges, { tenant, user, since, limit: read.limit });
  return { changes: rows.map(toChange), newest, expired: since < oldest - 1 || since > newest };
}

function toChange(row: FeedRow): Change {
  const { number, type, conversation, run, answer } = row;
  return { number, type, conversation, run, answer, createdAt: row.created_at };
}
