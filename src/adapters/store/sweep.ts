/** What expires (DESIGN.md, What expires), in steps that never hold the writer up for long. */

import { MS_PER_DAY } from '#core/usage.ts';
import { CONVERSATIONS, type ConversationRow } from './conversation-rows.ts';
import { eraseConversation } from './conversations.ts';
import { KEEP_OUTCOMES_MS } from './idempotency.ts';
import { type Sql, statement } from './sql.ts';

const HOUR_MS = 60 * 60 * 1000;
const KEEP_LOGS_MS = 24 * HOUR_MS;
const KEEP_CHANGES_MS = 30 * 24 * HOUR_MS;
const KEEP_UNLISTED_MS = 30 * 24 * HOUR_MS;
const KEEP_SEARCH_CHANGES = 10_000;
const KEEP_USAGE_DAYS = 2 * 366;

/** The most rows of a kind one step deletes. */
const STEP = 500;
/** The most conversations, each with all that is in it. */
const CONVERSATIONS_STEP = 20;

interface Step {
  before: number;
  limit: number;
}

/** The log of a run cannot be read any more once its end is gone; its rows follow. */
const removeEndedLogs = statement<Step>(`
  delete from run_logs where run in (
    select run from run_logs where ended_at is not null and ended_at <= :before order by ended_at limit :limit + 0)`);

/** Of the oldest rows those whose log is gone. Logs expire about in the order they were written, so it is most of them. */
const removeLoglessEvents = statement<{ limit: number }>(`
  delete from run_events where "row" in (
    select oldest."row" from (select "row", run from run_events order by "row" limit :limit + 0) oldest
    where not exists (select 1 from run_logs l where l.run = oldest.run))`);

const removeOutcomes = statement<Step>(`
  delete from idempotency where "row" in (
    select "row" from idempotency where created_at <= :before order by created_at limit :limit + 0)`);

/** Of the oldest rows. */
const removeChanges = statement<Step>(`
  delete from changes where created_at <= :before and "row" in (
    select "row" from changes order by "row" limit :limit + 0)`);

/** All but the newest: an index that has not followed them by then is made anew. */
const removeSearchChanges = statement<{ keep: number; limit: number }>(`
  delete from search_changes where sequence in (
    select sequence from search_changes
    where sequence <= (select max(sequence) from search_changes) - :keep order by sequence limit :limit + 0)`);

const removeInvites = statement<Step>(`
  delete from invites where digest in (
    select digest from invites where expires_at <= :before order by expires_at limit :limit + 0)`);

const removeSessions = statement<Step>(`
  delete from sessions where digest in (
    select digest from sessions where expires_at <= :before order by expires_at limit :limit + 0)`);
const removeTickets = statement<Step>(`
  delete from tickets where digest in (
    select digest from tickets where expires_at <= :before order by expires_at limit :limit + 0)`);

/** Of the oldest rows. */
const removeUsage = statement<Step>(`
  delete from usage where day <= :before and "row" in (
    select "row" from usage order by "row" limit :limit + 0)`);

const selectUnlisted = statement<Step, ConversationRow>(`
  ${CONVERSATIONS} where c.listed = 0 and c.active_at <= :before order by c.active_at limit :limit + 0`);

export async function sweep(sql: Sql, { now }: { now: number }): Promise<boolean> {
  const deleted = [
    await sql.run(removeEndedLogs, { before: now - KEEP_LOGS_MS, limit: STEP }),
    await sql.run(removeLoglessEvents, { limit: STEP }),
    await sql.run(removeOutcomes, { before: now - KEEP_OUTCOMES_MS, limit: STEP }),
    await sql.run(removeChanges, { before: now - KEEP_CHANGES_MS, limit: STEP }),
    await sql.run(removeSearchChanges, { keep: KEEP_SEARCH_CHANGES, limit: STEP }),
    await sql.run(removeInvites, { before: now, limit: STEP }),
    await sql.run(removeSessions, { before: now, limit: STEP }),
    await sql.run(removeTickets, { before: now, limit: STEP }),
    await sql.run(removeUsage, { before: Math.floor(now / MS_PER_DAY) - KEEP_USAGE_DAYS, limit: STEP }),
  ];
  const unlisted = await sql.all(selectUnlisted, { before: now - KEEP_UNLISTED_MS, limit: CONVERSATIONS_STEP });
  for (const row of unlisted) await eraseConversation(sql, row, now);
  return deleted.some((rows) => rows > 0) || unlisted.length === CONVERSATIONS_STEP;
}
