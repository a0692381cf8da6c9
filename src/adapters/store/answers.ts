/** Answers as things of their own: found, with what they answer, and deleted while their items stay. */

import type { Conversation } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import type { Owner } from '#core/principal.ts';
import type { Run } from '#core/run.ts';
import type { Turn } from '#core/turn.ts';
import type { DeleteAnswer, Outcome } from '#ports/store.ts';
import { findInner } from './conversation-rows.ts';
import { eraseConversation } from './conversations.ts';
import { doOnce } from './idempotency.ts';
import { deleteLog } from './logs.ts';
import { loadRun } from './runs.ts';
import { type Sql, statement } from './sql.ts';
import { findTurn } from './turns.ts';

const selectForgotten = statement<{ turn: string }, { forgotten: number }>(`
  select forgotten from turns where id = :turn`);

const updateForgotten = statement<{ turn: string }>(`update turns set forgotten = 1 where id = :turn`);

/** Whether a conversation has an answer that is not forgotten. */
const selectRemembered = statement<{ conversation: string }, { id: string }>(`
  select id from turns where conversation = :conversation and run is not null and forgotten = 0 limit 1`);

export async function findAnswer(
  sql: Sql,
  owner: Owner,
  id: string,
): Promise<{ conversation: Conversation; turn: Turn; run: Run | null } | null> {
  const found = await findTurn(sql, owner, id);
  if (found?.turn.role !== 'assistant') return null;
  if ((await sql.first(selectForgotten, { turn: id }))?.forgotten === 1) return null;
  return { ...found, run: found.turn.run === null ? null : await loadRun(sql, found.turn.run) };
}

export async function deleteAnswer(
  sql: Sql,
  unit: DeleteAnswer,
): Promise<Outcome<{ conversation: Conversation; erased: boolean; runs: string[] }>> {
  return doOnce(sql, unit, async () => {
    const found = await findAnswer(sql, unit.owner, unit.turn);
    const row = found === null ? undefined : await findInner(sql, found.conversation.id);
    if (found === null || row === undefined) throw notFound('Response');
    const { conversation, turn } = found;
    await sql.run(updateForgotten, { turn: turn.id });
    if (turn.run !== null) await deleteLog(sql, turn.run);
    const goes = row.listed === 0 && (await sql.first(selectRemembered, { conversation: row.id })) === undefined;
    const runs = goes ? await eraseConversation(sql, row, unit.now) : [];
    return { value: { conversation, erased: goes, runs }, conversation: null };
  });
}
