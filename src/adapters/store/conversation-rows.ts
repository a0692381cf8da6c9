/** Finding conversations: the one place that says whose they are. */

import { type ExpressionBuilder, sql as raw } from 'kysely';
import type { Conversation } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Owner } from '#core/principal.ts';
import type { Sql } from './sql.ts';
import { atMost, db, type Flag, type Row, type Tables } from './tables.ts';

/** What is the owner's: their own things, and with `findsKeyless` those of every keyless user. */
export interface OwnerValues {
  tenant: string;
  user: string;
  findsKeyless: Flag;
}

export function ownerValues({ tenant, user, findsKeyless }: Owner): OwnerValues {
  return { tenant, user, findsKeyless: findsKeyless ? 1 : 0 };
}

/** Conversations `c` with their users `u`. */
export const conversations = () =>
  db
    .selectFrom('conversations as c')
    .innerJoin('users as u', (join) => join.onRef('u.tenant', '=', 'c.tenant').onRef('u.id', '=', 'c.user'))
    .selectAll('c')
    .select((eb) => eb.case().when('u.active_conversation', '=', eb.ref('c.id')).then(1).else(0).end().as('active'));

/** The condition on `c` and `u` that makes a conversation the owner's. */
export const isOwned =
  (p: OwnerValues) => (eb: ExpressionBuilder<{ c: Tables['conversations']; u: Tables['users'] }, 'c' | 'u'>) =>
    eb.and([
      eb('c.tenant', '=', p.tenant),
      eb.or([
        eb('c.user', '=', p.user),
        eb.and([eb('u.keyless', '=', eb.lit(1)), eb(raw<number>`${p.findsKeyless}`, '=', eb.lit(1))]),
      ]),
    ]);

const selectById = (p: OwnerValues & { id: string }) => conversations().where('c.id', '=', p.id).where(isOwned(p));

const selectByNumber = (p: OwnerValues & { number: number }) =>
  conversations().where('c.number', '=', p.number).where(isOwned(p));

/** Several keyless users may have given the same id: one's own comes first. */
const selectByExternalId = (p: OwnerValues & { externalId: string }) =>
  conversations()
    .where('c.external_id', '=', p.externalId)
    .where(isOwned(p))
    .orderBy((eb) => eb('c.user', '=', p.user), 'desc')
    .orderBy('c.id')
    .limit(atMost(1));

/** For what belongs to a conversation known to be the owner's. */
const selectInner = (p: { id: string }) => conversations().where('c.id', '=', p.id);

/** A conversation's row, and whether it is its user's active one. */
export type ConversationRow = Row<'conversations'> & { active: number };

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
