/** Turns with their items, and the paths they form. */

import { sql as raw } from 'kysely';
import { estimateTokens } from '#core/context.ts';
import type { Conversation } from '#core/conversation.ts';
import type { Owner } from '#core/principal.ts';
import type { Item, Turn, TurnStatus } from '#core/turn.ts';
import type { ReadPath } from '#ports/store.ts';
import {
  conversations,
  findOwned,
  isOwned,
  type OwnerValues,
  ownerValues,
  toConversation,
} from './conversation-rows.ts';
import type { Sql } from './sql.ts';
import { atMost, db, type Row } from './tables.ts';

/** The most turns `readContext` goes back. */
const MAX_CONTEXT_TURNS = 1000;

/** A turn's row without what the database or its items add. */
type TurnRow = Omit<Row<'turns'>, 'row' | 'tokens'>;

const insertTurn = (p: TurnRow & { tokens: number }) =>
  db.insertInto('turns').values({
    conversation: p.conversation,
    id: p.id,
    tenant: p.tenant,
    parent: p.parent,
    depth: p.depth,
    role: p.role,
    status: p.status,
    run: p.run,
    answers: p.answers,
    external_id: p.external_id,
    tokens: p.tokens,
    created_at: p.created_at,
    updated_at: p.updated_at,
  });

const insertItem = (p: Omit<Row<'items'>, 'row'>) =>
  db.insertInto('items').values({
    tenant: p.tenant,
    turn: p.turn,
    position: p.position,
    id: p.id,
    type: p.type,
    body: p.body,
  });

const updateWritten = (p: { id: string; status: TurnStatus; tokens: number; now: number }) =>
  db.updateTable('turns').set({ status: p.status, tokens: p.tokens, updated_at: p.now }).where('id', '=', p.id);

const updateRun = (p: { id: string; run: string; status: TurnStatus; now: number }) =>
  db.updateTable('turns').set({ run: p.run, status: p.status, updated_at: p.now }).where('id', '=', p.id);

const selectInConversation = (p: { conversation: string; id: string }) =>
  db.selectFrom('turns').selectAll().where('conversation', '=', p.conversation).where('id', '=', p.id);

const selectTurn = (p: { id: string }) =>
  db
    .selectFrom('turns as t')
    .leftJoin('items as i', 'i.turn', 't.id')
    .selectAll('t')
    .select('i.body')
    .where('t.id', '=', p.id)
    .orderBy('i.position');

const selectConversationOfTurn = (p: OwnerValues & { turn: string }) =>
  conversations()
    .where('c.id', '=', (eb) => eb.selectFrom('turns as t').select('t.conversation').where('t.id', '=', p.turn))
    .where(isOwned(p));

/** The newest `limit` turns above `before` on the way from the head to the root. */
const selectPath = (p: { conversation: string; head: string; before: number; limit: number }) =>
  db
    .withRecursive('path', (cte) =>
      cte
        .selectFrom('turns as t')
        .select(['t.id', 't.parent', 't.depth'])
        .where('t.conversation', '=', p.conversation)
        .where('t.id', '=', p.head)
        .unionAll((eb) =>
          eb.selectFrom('path').innerJoin('turns as t', 't.id', 'path.parent').select(['t.id', 't.parent', 't.depth']),
        ),
    )
    .with('page', (cte) => cte.selectFrom('path').select('id').where('depth', '<', p.before).limit(atMost(p.limit)))
    .selectFrom('page')
    .innerJoin('turns as t', 't.id', 'page.id')
    .leftJoin('items as i', 'i.turn', 't.id')
    .selectAll('t')
    .select('i.body')
    .orderBy('t.depth')
    .orderBy('i.position');

/** Back from a turn until the tokens are reached. */
const selectContext = (p: { conversation: string; turn: string; tokens: number }) =>
  db
    .withRecursive('path', (cte) =>
      cte
        .selectFrom('turns as t')
        .select(['t.id', 't.parent', 't.tokens as sum'])
        .where('t.conversation', '=', p.conversation)
        .where('t.id', '=', p.turn)
        .unionAll((eb) =>
          eb
            .selectFrom('path')
            .innerJoin('turns as t', 't.id', 'path.parent')
            .select(['t.id', 't.parent', raw<number>`path.sum + t.tokens`.as('sum')])
            .where('path.sum', '<', p.tokens),
        ),
    )
    .with('page', (cte) => cte.selectFrom('path').select('id').limit(atMost(MAX_CONTEXT_TURNS)))
    .selectFrom('page')
    .innerJoin('turns as t', 't.id', 'page.id')
    .leftJoin('items as i', 'i.turn', 't.id')
    .selectAll('t')
    .select('i.body')
    .orderBy('t.depth')
    .orderBy('i.position');

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

export async function readContext(
  sql: Sql,
  read: { conversation: string; turn: string; tokens: number },
): Promise<Turn[]> {
  return toTurns(await sql.all(selectContext, read));
}

/** Rows of turns with one item each, in order, the rows of a turn together. */
function toTurns(rows: readonly (TurnRow & { body: string | null })[]): Turn[] {
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
