/**
 * `Once`: the outcome of a command under its `Idempotency-Key`, per tenant and user, for 24 h. The row is written in
 * the same commit as what the command writes.
 */

import { notFound, ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Owner } from '#core/principal.ts';
import type { Outcome } from '#ports/store.ts';
import type { Sql } from './sql.ts';
import { db, type Row } from './tables.ts';

/** How long an outcome is kept. */
export const KEEP_OUTCOMES_MS = 24 * 60 * 60 * 1000;

const selectOutcome = (p: { tenant: string; user: string; key: string; since: number }) =>
  db
    .selectFrom('idempotency')
    .selectAll()
    .where('tenant', '=', p.tenant)
    .where('user', '=', p.user)
    .where('key', '=', p.key)
    .where('created_at', '>', p.since);

/** In place of an expired row too. */
const insertOutcome = (p: Omit<Row<'idempotency'>, 'row' | 'gone'>) =>
  db
    .insertInto('idempotency')
    .values({
      tenant: p.tenant,
      user: p.user,
      key: p.key,
      command: p.command,
      conversation: p.conversation,
      input: p.input,
      answer: p.answer,
      result: p.result,
      gone: 0,
      created_at: p.created_at,
    })
    .onConflict((conflict) =>
      conflict.columns(['tenant', 'user', 'key']).doUpdateSet((eb) => ({
        command: eb.ref('excluded.command'),
        conversation: eb.ref('excluded.conversation'),
        input: eb.ref('excluded.input'),
        answer: eb.ref('excluded.answer'),
        result: eb.ref('excluded.result'),
        gone: eb.ref('excluded.gone'),
        created_at: eb.ref('excluded.created_at'),
      })),
    );

const updateOutcomesGone = (p: { conversation: string }) =>
  db.updateTable('idempotency').set({ gone: 1, result: null }).where('conversation', '=', p.conversation);

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
