/** Finding conversations: the one place that says whose they are. */

import type { Conversation } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Owner } from '#core/principal.ts';
import { type Sql, statement } from './sql.ts';
import type { Flag, Row } from './tables.ts';

/** What is the owner's: their own things, and with `findsKeyless` those of every keyless user. */
export interface OwnerValues {
  tenant: string;
  user: string;
  findsKeyless: Flag;
}

export function ownerValues({ tenant, user, findsKeyless }: Owner): OwnerValues {
  return { tenant, user, findsKeyless: findsKeyless ? 1 : 0 };
}

/** A conversation's row, and whether it is its user's active one. */
export type ConversationRow = Row<'conversations'> & { active: number };

/** Conversations `c` with their users `u`. */
export const CONVERSATIONS = `
  select c.*, case when u.active_conversation = c.id then 1 else 0 end as active
  from conversations c join users u on u.tenant = c.tenant and u.id = c."user"`;

/** The condition that makes a row of `table`, whose user is `u`, the owner's. */
export const isOwned = (table: 'c' | 'r') =>
  `${table}.tenant = :tenant and (${table}."user" = :user or (u.keyless = 1 and :findsKeyless = 1))`;

const selectById = statement<OwnerValues & { id: string }, ConversationRow>(`
  ${CONVERSATIONS} where c.id = :id and ${isOwned('c')}`);

const selectByNumber = statement<OwnerValues & { number: number }, ConversationRow>(`
  ${CONVERSATIONS} where c.number = :number and ${isOwned('c')}`);

/** Several keyless users may have given the same id: one's own comes first. */
const selectByExternalId = statement<OwnerValues & { externalId: string }, ConversationRow>(`
  ${CONVERSATIONS} where c.external_id = :externalId and ${isOwned('c')}
  order by c."user" = :user desc, c.id limit 1`);

/** For what belongs to a conversation known to be the owner's. */
const selectInner = statement<{ id: string }, ConversationRow>(`${CONVERSATIONS} where c.id = :id`);

export async function findOwned(sql: Sql, owner: Owner, ref: ConversationRef): Promise<ConversationRow | undefined> {
  const values = ownerValues(owner);
  switch (ref.by) {
    case 'id':
      return sql.first(selectById, { ...values, id: ref.id });
    case 'number':
      return sql.first(selectByNumber, { ...values, number: ref.number });
    case 'external':
      return sql.first(selectByExternalId, { ...values, externalId: ref.id });
  }
}

/** @throws `not_found` */
export async function requireOwned(sql: Sql, owner: Owner, ref: ConversationRef): Promise<ConversationRow> {
  const row = await findOwned(sql, owner, ref);
  if (row === undefined) throw notFound('Conversation');
  return row;
}

/** The conversation of a turn or run that was found already, so no owner is asked for. */
export async function findInner(sql: Sql, id: string): Promise<ConversationRow | undefined> {
  return sql.first(selectInner, { id });
}

export function toConversation(row: ConversationRow): Conversation {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user,
    number: row.number,
    title: row.title,
    assistant: row.assistant,
    listed: row.listed === 1,
    archived: row.archived === 1,
    active: row.active === 1,
    head: row.head,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    activeAt: row.active_at,
    metadata: JSON.parse(row.metadata),
  };
}
