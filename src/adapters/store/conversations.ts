/** Conversations: made, found, listed, changed, deleted. */

import type { ChangeType } from '#core/change.ts';
import type { Conversation, ConversationUpdate } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Owner } from '#core/principal.ts';
import type { ListConversations, NewConversation, Outcome } from '#ports/store.ts';
import { addChange } from './changes.ts';
import {
  CONVERSATIONS,
  type ConversationRow,
  findInner,
  findOwned,
  requireOwned,
  toConversation,
} from './conversation-rows.ts';
import { doOnce, forgetConversation } from './idempotency.ts';
import { deleteLog, deleteLogs } from './logs.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Flag, Row } from './tables.ts';
import { findInConversation, loadTurn, takeItems } from './turns.ts';
import { ensureUser } from './users.ts';

type Unit<T> = T & { owner: Owner; now: number; once: { key: string; command: string } | null };

interface ListValues {
  tenant: string;
  user: string;
  archived: Flag;
  at: number;
  id: string;
  limit: number;
  offset: number;
}

const selectList = (column: 'active_at' | 'created_at', direction: 'asc' | 'desc') =>
  statement<ListValues, ConversationRow>(`
    ${CONVERSATIONS}
    where c.tenant = :tenant and c."user" = :user and c.listed = 1 and c.archived = :archived
      and (c.${column}, c.id) ${direction === 'asc' ? '>' : '<'} (:at, :id)
    order by c.${column} ${direction}, c.id ${direction} limit :limit + 0 offset :offset`);

const lists = {
  activity: { asc: selectList('active_at', 'asc'), desc: selectList('active_at', 'desc') },
  created: { asc: selectList('created_at', 'asc'), desc: selectList('created_at', 'desc') },
};

/** Before every entry of a list, in its direction. */
const listStart = { asc: { at: -1, id: '' }, desc: { at: Number.MAX_SAFE_INTEGER, id: '' } };

const insertConversation = insertInto('conversations', [
  'id',
  'tenant',
  'user',
  'number',
  'title',
  'assistant',
  'listed',
  'archived',
  'head',
  'head_depth',
  'external_id',
  'created_at',
  'updated_at',
  'active_at',
  'metadata',
]);

const nextNumber = statement<{ tenant: string }, { number: number }>(`
  insert into tenants (id, next_number) values (:tenant, 2)
  on conflict (id) do update set next_number = tenants.next_number + 1
  returning next_number - 1 as number`);

const updateActive = statement<{ tenant: string; user: string; conversation: string }>(`
  update users set active_conversation = :conversation where tenant = :tenant and id = :user`);

const updateRow = statement<Row<'conversations'>>(`
  update conversations set
    title = :title, archived = :archived, updated_at = :updated_at, assistant = :assistant, metadata = :metadata,
    head = :head, head_depth = :head_depth
  where id = :id`);

const updateUntitled = statement<{ id: string; title: string }>(`
  update conversations set title = :title where id = :id and title is null`);

/** Turns, items, runs and the ends of their logs go with it, by their foreign keys. */
const removeConversation = statement<{ id: string }>(`delete from conversations where id = :id`);

const selectOfUser = statement<{ tenant: string; user: string; limit: number }, ConversationRow>(`
  ${CONVERSATIONS} where c.tenant = :tenant and c."user" = :user limit :limit + 0`);

const selectOpenRuns = statement<{ conversation: string }, { id: string }>(`
  select id from runs where conversation = :conversation and ended_at is null order by sequence`);

/** The conversation as made, or the one the user already has under the same external id (`made` is false). */
export async function makeConversation(
  sql: Sql,
  unit: { owner: Owner; now: number },
  wanted: NewConversation,
): Promise<{ row: ConversationRow; made: boolean }> {
  const { owner, now } = unit;
  if (wanted.externalId !== null) {
    const own = { ...owner, findsKeyless: false };
    const row = await findOwned(sql, own, { by: 'external', id: wanted.externalId });
    if (row !== undefined) return { row, made: false };
  }
  await ensureUser(sql, owner, now);
  const number = wanted.listed ? ((await sql.first(nextNumber, { tenant: owner.tenant }))?.number ?? null) : null;
  const row: ConversationRow = {
    id: wanted.id,
    tenant: owner.tenant,
    user: owner.user,
    number,
    title: wanted.title,
    assistant: wanted.assistant,
    listed: wanted.listed ? 1 : 0,
    archived: 0,
    head: null,
    head_depth: 0,
    external_id: wanted.externalId,
    created_at: now,
    updated_at: now,
    active_at: now,
    metadata: JSON.stringify(wanted.metadata),
    active: wanted.active ? 1 : 0,
  };
  await sql.run(insertConversation, row);
  if (wanted.active) {
    await sql.run(updateActive, { tenant: owner.tenant, user: owner.user, conversation: wanted.id });
  }
  await addChange(sql, row, 'conversation-created', null, now);
  return { row, made: true };
}

export async function createConversation(
  sql: Sql,
  unit: Unit<{ conversation: NewConversation }>,
): Promise<Outcome<Conversation>> {
  return doOnce(sql, unit, async () => {
    const { row, made } = await makeConversation(sql, unit, unit.conversation);
    return { value: toConversation(row), conversation: row.id, replayed: !made };
  });
}

export async function findConversation(sql: Sql, owner: Owner, ref: ConversationRef): Promise<Conversation | null> {
  const row = await findOwned(sql, owner, ref);
  return row === undefined ? null : toConversation(row);
}

export async function listConversations(sql: Sql, list: ListConversations): Promise<Conversation[]> {
  const { owner, order, direction, archived, limit, offset } = list;
  const { at, id } = list.after ?? listStart[direction];
  const values = { tenant: owner.tenant, user: owner.user, archived: archived ? 1 : 0, at, id, limit, offset } as const;
  return (await sql.all(lists[order][direction], values)).map(toConversation);
}

export async function updateConversation(
  sql: Sql,
  unit: Unit<{ ref: ConversationRef; set: ConversationUpdate }>,
): Promise<Outcome<Conversation>> {
  const { owner, now, set } = unit;
  return doOnce(sql, unit, async () => {
    const row = await requireOwned(sql, owner, unit.ref);
    const head = set.head === undefined ? undefined : await findInConversation(sql, row.id, set.head);
    if (set.head !== undefined && head === undefined) throw notFound('Item');
    const moves = set.title !== undefined || set.updatedAt !== undefined;
    const changed: ConversationRow = {
      ...row,
      title: set.title === undefined ? row.title : set.title,
      archived: set.archived === undefined ? row.archived : set.archived ? 1 : 0,
      updated_at: moves ? (set.updatedAt ?? now) : row.updated_at,
      assistant: set.assistant ?? row.assistant,
      metadata: set.metadata === undefined ? row.metadata : JSON.stringify(set.metadata),
      ...(head !== undefined && { head: head.id, head_depth: head.depth }),
    };
    await sql.run(updateRow, changed);
    for (const type of changesBetween(row, changed)) await addChange(sql, row, type, null, now);
    return { value: toConversation(changed), conversation: row.id };
  });
}

function changesBetween(before: ConversationRow, after: ConversationRow): ChangeType[] {
  const types: ChangeType[] = [];
  if (after.title !== before.title) types.push('conversation-renamed');
  if (after.archived !== before.archived) types.push('conversation-archived');
  const others = ['updated_at', 'assistant', 'metadata', 'head'] as const;
  if (types.length === 0 && others.some((name) => after[name] !== before[name])) types.push('conversation-updated');
  return types;
}

export async function deleteItems(
  sql: Sql,
  unit: Unit<{ ref: ConversationRef; turn: string; items: readonly string[] }>,
): Promise<Outcome<Conversation>> {
  const { owner, now } = unit;
  return doOnce(sql, unit, async () => {
    const row = await requireOwned(sql, owner, unit.ref);
    const turn = (await findInConversation(sql, row.id, unit.turn)) && (await loadTurn(sql, unit.turn));
    if (turn == null || !(await takeItems(sql, turn, unit.items, now))) throw notFound('Item');
    if (turn.run !== null) await deleteLog(sql, turn.run);
    await addChange(sql, row, 'conversation-updated', null, now);
    return { value: toConversation(row), conversation: row.id };
  });
}

export async function nameConversation(
  sql: Sql,
  { conversation, title, now }: { conversation: string; title: string; now: number },
): Promise<boolean> {
  const named = (await sql.run(updateUntitled, { id: conversation, title })) > 0;
  const row = named ? await findInner(sql, conversation) : undefined;
  if (row !== undefined) await addChange(sql, row, 'conversation-renamed', null, now);
  return named;
}

/** Deletes everything in it and returns its open runs. */
export async function eraseConversation(sql: Sql, row: ConversationRow, now: number): Promise<string[]> {
  const open = await sql.all(selectOpenRuns, { conversation: row.id });
  await deleteLogs(sql, row.id);
  await sql.run(removeConversation, { id: row.id });
  await forgetConversation(sql, row.id);
  await addChange(sql, row, 'conversation-deleted', null, now);
  return open.map((run) => run.id);
}

export async function deleteConversation(
  sql: Sql,
  unit: Unit<{ ref: ConversationRef }>,
): Promise<Outcome<{ conversation: Conversation; runs: string[] }>> {
  return doOnce(sql, unit, async () => {
    const row = await requireOwned(sql, unit.owner, unit.ref);
    const runs = await eraseConversation(sql, row, unit.now);
    return { value: { conversation: toConversation(row), runs }, conversation: null };
  });
}

export async function deleteConversations(
  sql: Sql,
  unit: Unit<{ limit: number }>,
): Promise<Outcome<{ conversations: string[]; runs: string[]; more: boolean }>> {
  const { owner, limit, now } = unit;
  return doOnce(sql, unit, async () => {
    const rows = await sql.all(selectOfUser, { tenant: owner.tenant, user: owner.user, limit: limit + 1 });
    const runs: string[] = [];
    for (const row of rows.slice(0, limit)) runs.push(...(await eraseConversation(sql, row, now)));
    const value = { conversations: rows.slice(0, limit).map((row) => row.id), runs, more: rows.length > limit };
    // Half done is no outcome yet: the same command goes on with the rest.
    return { value, conversation: null, finished: !value.more };
  });
}
