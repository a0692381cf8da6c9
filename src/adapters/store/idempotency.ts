/**
 * `Once`: the outcome of a command under its `Idempotency-Key`, per tenant and user, for 24 h. The row is written in
 * the same commit as what the command writes.
 */

import { notFound, ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Owner } from '#core/principal.ts';
import type { Outcome } from '#ports/store.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

/** How long an outcome is kept. */
export const KEEP_OUTCOMES_MS = 24 * 60 * 60 * 1000;

const selectOutcome = statement<{ tenant: string; user: string; key: string; since: number }, Row<'idempotency'>>(`
  select * from idempotency
  where tenant = :tenant and "user" = :user and key = :key and created_at > :since`);

/** In place of an expired row too. */
const insertOutcome = insertInto(
  'idempotency',
  ['tenant', 'user', 'key', 'command', 'conversation', 'input', 'answer', 'result', 'gone', 'created_at'],
  `on conflict (tenant, "user", key) do update set
    command = excluded.command, conversation = excluded.conversation, input = excluded.input,
    answer = excluded.answer, result = excluded.result, gone = excluded.gone, created_at = excluded.created_at`,
);

const updateOutcomesGone = statement<{ conversation: string }>(`
  update idempotency set gone = 1, result = null where conversation = :conversation`);

interface Command {
  owner: Owner;
  once: Once | null;
  now: number;
}

/**
 * The first outcome of a command that was seen before; null if it is new or has no key.
 * @throws `idempotency_mismatch`, or `not_found` where what it wrote to has been deleted by another call
 */
export async function recall(sql: Sql, { owner, once, now }: Command): Promise<Row<'idempotency'> | null> {
  if (once === null) return null;
  const since = now - KEEP_OUTCOMES_MS;
  const row = await sql.first(selectOutcome, { tenant: owner.tenant, user: owner.user, key: once.key, since });
  if (row === undefined) return null;
  if (row.command !== once.command) {
    throw new ServiceError(
      'idempotency_mismatch',
      'This Idempotency-Key was used for a different request. Send a new key with a new request.',
      { param: 'Idempotency-Key' },
    );
  }
  if (row.gone === 1) throw notFound();
  return row;
}

/** Keeps the outcome of a command, if it has a key. */
export async function remember(
  sql: Sql,
  { owner, once, now }: Command,
  outcome: Pick<Row<'idempotency'>, 'conversation' | 'input' | 'answer' | 'result'>,
): Promise<void> {
  if (once === null) return;
  await sql.run(insertOutcome, {
    tenant: owner.tenant,
    user: owner.user,
    key: once.key,
    command: once.command,
    conversation: outcome.conversation,
    input: outcome.input,
    answer: outcome.answer,
    result: outcome.result,
    gone: 0,
    created_at: now,
  });
}

/** What commands wrote to this conversation is gone; their outcomes with it. */
export async function forgetConversation(sql: Sql, conversation: string): Promise<void> {
  await sql.run(updateOutcomesGone, { conversation });
}

/** What a command gave, and what it wrote to. */
interface Work<T> {
  value: T;
  conversation: string | null;
  /** It found its outcome there already. */
  replayed?: boolean;
  /** False: to be gone on with by the same command, so no outcome yet. */
  finished?: boolean;
}

/** Does `work` the first time and keeps its value; gives that value again afterwards. */
export async function doOnce<T>(sql: Sql, command: Command, work: () => Promise<Work<T>>): Promise<Outcome<T>> {
  const row = await recall(sql, command);
  if (row !== null) return { value: JSON.parse(row.result ?? 'null'), replayed: true };
  const { value, conversation, replayed = false, finished = true } = await work();
  if (command.once !== null && finished) {
    const result = JSON.stringify(value);
    await remember(sql, command, { conversation, input: null, answer: null, result });
  }
  return { value, replayed };
}
