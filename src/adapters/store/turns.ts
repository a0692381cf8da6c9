/** Turns with their items, and the paths they form. */

import { estimateTokens } from '#core/context.ts';
import type { Conversation, Head } from '#core/conversation.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Owner } from '#core/principal.ts';
import type { Item, TreeNode, Turn, TurnStatus } from '#core/turn.ts';
import type { ReadPath } from '#ports/store.ts';
import {
  CONVERSATIONS,
  type ConversationRow,
  findOwned,
  isOwned,
  type OwnerValues,
  ownerValues,
  toConversation,
} from './conversation-rows.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

/** Bytes of items after which `readPath` ends early: the turn that passes it is included. */
const MAX_PATH_SIZE = 16 * 1024 * 1024;
/** The most turns `readContext` goes back, and bytes of items; twice these to bring an exchange to its beginning. */
const MAX_CONTEXT_TURNS = 1000;
const MAX_CONTEXT_SIZE = 32 * 1024 * 1024;

/** A turn's row without what the database or its items add. */
type TurnRow = Omit<Row<'turns'>, 'row' | 'tokens' | 'forgotten'>;

/** A row for each item of a turn; one without a body for a turn that has none. */
type ItemRow = TurnRow & { body: string | null };

const insertTurn = insertInto('turns', [
  'conversation',
  'id',
  'tenant',
  'parent',
  'depth',
  'role',
  'status',
  'run',
  'answers',
  'external_id',
  'tokens',
  'created_at',
  'updated_at',
]);

const insertItem = insertInto('items', ['tenant', 'turn', 'position', 'id', 'type', 'body']);

const updateWritten = statement<{ id: string; status: TurnStatus; tokens: number; now: number }>(`
  update turns set status = :status, tokens = :tokens, updated_at = :now where id = :id`);

const updateRun = statement<{ id: string; run: string; status: TurnStatus; now: number }>(`
  update turns set run = :run, status = :status, updated_at = :now where id = :id`);

const selectInConversation = statement<{ conversation: string; id: string }, Row<'turns'>>(`
  select * from turns where conversation = :conversation and id = :id`);

const selectByExternalId = statement<{ conversation: string; externalId: string }, { id: string }>(`
  select id from turns where conversation = :conversation and external_id = :externalId`);

/** Newest first. */
const selectTree = statement<
  { conversation: string; depth: number; limit: number },
  Pick<Row<'turns'>, 'id' | 'parent' | 'depth' | 'role' | 'external_id'>
>(`
  select id, parent, depth, role, external_id from turns
  where conversation = :conversation and depth >= :depth
  order by "row" desc limit :limit + 0`);

const selectTurn = statement<{ id: string }, ItemRow>(`
  select t.*, i.body from turns t left join items i on i.turn = t.id where t.id = :id order by i.position`);

const selectConversationOfTurn = statement<OwnerValues & { turn: string }, ConversationRow>(`
  ${CONVERSATIONS} where c.id = (select t.conversation from turns t where t.id = :turn) and ${isOwned('c')}`);

const selectTurnOfItem = statement<{ item: string }, { turn: string }>(`select turn from items where id = :item`);

/** Bytes of the items of a turn on a `path`: what is only measured is not read. */
const SIZE = `(select coalesce(sum(octet_length(m.body)), 0) from items m where m.turn = path.id)`;

/** The newest `limit` turns above `before` on the way from the head to the root. `size`: bytes of those behind it. */
const selectPath = statement<{ conversation: string; head: string; before: number; limit: number }, ItemRow>(`
  with recursive path as (
    select id, parent, depth, 0 as size from turns where conversation = :conversation and id = :head
    union all
    select t.id, t.parent, t.depth, path.size + case when path.depth < :before then ${SIZE} else 0 end
    from path join turns t on t.id = path.parent
    where path.size < ${MAX_PATH_SIZE}
  ),
  page as (select id from path where depth < :before and size < ${MAX_PATH_SIZE} limit :limit + 0)
  select t.*, i.body
  from page join turns t on t.id = page.id left join items i on i.turn = t.id
  order by t.depth, i.position`);

/** The oldest `limit` turns from a depth on, on the way from the head to the root. */
const selectBranch = statement<{ conversation: string; head: string; from: number; limit: number }, ItemRow>(`
  with recursive path as (
    select id, parent, depth from turns where conversation = :conversation and id = :head
    union all
    select t.id, t.parent, t.depth from path join turns t on t.id = path.parent where t.depth >= :from
  ),
  page as (select id from path where depth >= :from order by depth limit :limit + 0)
  select t.*, i.body
  from page join turns t on t.id = page.id left join items i on i.turn = t.id
  order by t.depth, i.position`);

const selectHead = statement<{ conversation: string; head: string }, Pick<TurnRow, 'id' | 'role' | 'status' | 'run'>>(`
  select id, role, status, run from turns where conversation = :conversation and id = :head`);

/** Of the newest turn that has any, on the way from the head to the root. `cross`: SQLite would begin with all items. */
const selectLastItem = statement<{ conversation: string; head: string }, { body: string }>(`
  with recursive path as (
    select id, parent from turns where conversation = :conversation and id = :head
    union all
    select t.id, t.parent from path join turns t on t.id = path.parent
    where not exists (select 1 from items i where i.turn = path.id)
  )
  select i.body from path cross join items i where i.turn = path.id order by i.position desc limit 1`);

const deleteItem = statement<{ turn: string; id: string }>(`delete from items where turn = :turn and id = :id`);

const updateTokens = statement<{ id: string; tokens: number; now: number }>(`
  update turns set tokens = :tokens, updated_at = :now where id = :id`);

/** Back from a turn until the tokens are reached, and on to the user turn that its exchange begins with. */
const selectContext = statement<{ conversation: string; turn: string; tokens: number }, ItemRow>(`
  with recursive path as (
    select id, parent, role, tokens as sum, 0 as size from turns where conversation = :conversation and id = :turn
    union all
    select t.id, t.parent, t.role, path.sum + t.tokens, path.size + ${SIZE} from path join turns t on t.id = path.parent
    where (path.sum < :tokens and path.size < ${MAX_CONTEXT_SIZE})
      or (path.role <> 'user' and path.size < ${2 * MAX_CONTEXT_SIZE})
  ),
  page as (select id from path limit ${MAX_CONTEXT_TURNS})
  select t.*, i.body
  from page join turns t on t.id = page.id left join items i on i.turn = t.id
  order by t.depth, i.position`);

/** A turn and the `count - 1` above it. */
const selectChain = statement<{ turn: string; count: number }, ItemRow>(`
  with recursive path as (
    select id, parent, 1 as place from turns where id = :turn
    union all
    select t.id, t.parent, path.place + 1 from path join turns t on t.id = path.parent where path.place < :count
  )
  select t.*, i.body
  from path join turns t on t.id = path.id left join items i on i.turn = t.id
  order by t.depth, i.position`);

/** A new turn with its items; null where it is still to be written. */
export async function addTurn(sql: Sql, row: TurnRow, items: readonly Item[]): Promise<Turn> {
  await sql.run(insertTurn, { ...row, tokens: estimateTokens(items) });
  await addItems(sql, row.tenant, row.id, items);
  return toTurn(row, [...items]);
}

async function addItems(sql: Sql, tenant: string, turn: string, items: readonly Item[]): Promise<void> {
  for (const [position, item] of items.entries()) {
    await sql.run(insertItem, { tenant, turn, position, id: item.id, type: item.type, body: JSON.stringify(item) });
  }
}

/** Puts what was written into an answer's turn, which is empty until then; nothing if the turn is gone. */
export async function writeTurn(
  sql: Sql,
  written: { tenant: string; turn: string; status: TurnStatus; items: readonly Item[]; now: number },
): Promise<void> {
  const { tenant, turn, status, items, now } = written;
  const there = await sql.run(updateWritten, { id: turn, status, tokens: estimateTokens(items), now });
  if (there === 0) return;
  await addItems(sql, tenant, turn, items);
}

/** Names the run that writes an answer's turn. */
export async function giveRun(sql: Sql, id: string, run: string, status: TurnStatus, now: number): Promise<void> {
  await sql.run(updateRun, { id, run, status, now });
}

export async function findInConversation(
  sql: Sql,
  conversation: string,
  id: string,
): Promise<Row<'turns'> | undefined> {
  return sql.first(selectInConversation, { conversation, id });
}

/** A turn that is known to be the owner's, with its items. */
export async function loadTurn(sql: Sql, id: string): Promise<Turn | null> {
  return toTurns(await sql.all(selectTurn, { id }))[0] ?? null;
}

export async function findTurn(
  sql: Sql,
  owner: Owner,
  id: string,
): Promise<{ conversation: Conversation; turn: Turn } | null> {
  const conversation = await sql.first(selectConversationOfTurn, { ...ownerValues(owner), turn: id });
  if (conversation === undefined) return null;
  const turn = await loadTurn(sql, id);
  return turn === null ? null : { conversation: toConversation(conversation), turn };
}

export async function findItem(
  sql: Sql,
  owner: Owner,
  id: string,
): Promise<{ conversation: Conversation; turn: Turn; item: Item } | null> {
  const row = await sql.first(selectTurnOfItem, { item: id });
  const found = row === undefined ? null : await findTurn(sql, owner, row.turn);
  const item = found?.turn.items.find((it) => it.id === id);
  return found === null || item === undefined ? null : { ...found, item };
}

export async function findByExternalId(
  sql: Sql,
  conversation: string,
  externalId: string,
): Promise<{ id: string } | undefined> {
  return sql.first(selectByExternalId, { conversation, externalId });
}

export async function findMessage(sql: Sql, owner: Owner, conversation: string, id: string): Promise<Turn | null> {
  const row = await findOwned(sql, owner, { by: 'id', id: conversation });
  if (row === undefined) return null;
  const found = (await findByExternalId(sql, row.id, id)) ?? (await findInConversation(sql, row.id, id));
  return found === undefined ? null : loadTurn(sql, found.id);
}

export async function readTree(
  sql: Sql,
  read: { owner: Owner; conversation: string; depth: number; limit: number },
): Promise<TreeNode[]> {
  const row = await findOwned(sql, read.owner, { by: 'id', id: read.conversation });
  if (row === undefined) return [];
  const rows = await sql.all(selectTree, { conversation: row.id, depth: read.depth, limit: read.limit });
  return rows.reverse().map(({ external_id: externalId, ...node }) => ({ ...node, externalId }));
}

export async function readPath(
  sql: Sql,
  read: ReadPath,
): Promise<{ conversation: Conversation; turns: Turn[] } | null> {
  const row = await findOwned(sql, read.owner, read.ref);
  if (row === undefined) return null;
  const before = read.before ?? Number.MAX_SAFE_INTEGER;
  const turns =
    row.head === null
      ? []
      : toTurns(await sql.all(selectPath, { conversation: row.id, head: row.head, before, limit: read.limit }));
  return { conversation: toConversation(row), turns };
}

export async function readBranch(
  sql: Sql,
  read: { owner: Owner; ref: ConversationRef; from: number; limit: number },
): Promise<{ conversation: Conversation; turns: Turn[] } | null> {
  const { owner, ref, from, limit } = read;
  const row = await findOwned(sql, owner, ref);
  if (row === undefined) return null;
  const { id, head } = row;
  const turns = head === null ? [] : toTurns(await sql.all(selectBranch, { conversation: id, head, from, limit }));
  return { conversation: toConversation(row), turns };
}

export async function readHeads(
  sql: Sql,
  conversations: readonly { id: string; head: string | null }[],
): Promise<Head[]> {
  const heads: Head[] = [];
  for (const { id, head } of conversations) {
    if (head === null) continue;
    const turn = await sql.first(selectHead, { conversation: id, head });
    const item = await sql.first(selectLastItem, { conversation: id, head });
    if (turn === undefined) continue;
    heads.push({ conversation: id, item: item === undefined ? null : JSON.parse(item.body), turn: { ...turn } });
  }
  return heads;
}

/** Empties items out of a turn; false if one of them is not there. */
export async function takeItems(sql: Sql, turn: Turn, items: readonly string[], now: number): Promise<boolean> {
  if (items.some((id) => !turn.items.some((item) => item.id === id))) return false;
  for (const id of items) await sql.run(deleteItem, { turn: turn.id, id });
  const left = turn.items.filter(({ id }) => !items.includes(id));
  await sql.run(updateTokens, { id: turn.id, tokens: estimateTokens(left), now });
  return true;
}

export async function readContext(
  sql: Sql,
  read: { conversation: string; turn: string; tokens: number },
): Promise<Turn[]> {
  return toTurns(await sql.all(selectContext, read));
}

export async function readChain(sql: Sql, read: { turn: string; count: number }): Promise<Turn[]> {
  return toTurns(await sql.all(selectChain, read));
}

/** Rows of turns with one item each, in order, the rows of a turn together. */
function toTurns(rows: readonly ItemRow[]): Turn[] {
  const turns: Turn[] = [];
  for (const row of rows) {
    let turn = turns.at(-1);
    if (turn?.id !== row.id) {
      turn = toTurn(row, []);
      turns.push(turn);
    }
    if (row.body !== null) turn.items.push(JSON.parse(row.body));
  }
  return turns;
}

function toTurn(row: TurnRow, items: Item[]): Turn {
  return {
    id: row.id,
    conversation: row.conversation,
    parent: row.parent,
    depth: row.depth,
    role: row.role,
    status: row.status,
    run: row.run,
    answers: row.answers,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    items,
  };
}
