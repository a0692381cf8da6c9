/** What expires (DESIGN.md, What expires), in steps that never hold the writer up for long. */

import { conversations } from './conversation-rows.ts';
import { eraseConversation } from './conversations.ts';
import { KEEP_OUTCOMES_MS } from './idempotency.ts';
import type { Sql } from './sql.ts';
import { atMost, db } from './tables.ts';

const HOUR_MS = 60 * 60 * 1000;
const KEEP_LOGS_MS = 24 * HOUR_MS;
const KEEP_CHANGES_MS = 30 * 24 * HOUR_MS;
const KEEP_UNLISTED_MS = 30 * 24 * HOUR_MS;

/** The most rows of a kind one step deletes. */
const STEP = 500;
/** The most conversations, each with all that is in it. */
const CONVERSATIONS_STEP = 20;

/** The log of a run cannot be read any more once its end is gone; its rows follow. */
const removeEndedLogs = (p: { before: number; limit: number }) =>
  db
    .deleteFrom('run_logs')
    .where('run', 'in', (eb) =>
      eb
        .selectFrom('run_logs')
        .select('run')
        .where('ended_at', 'is not', null)
        .where('ended_at', '<=', p.before)
        .orderBy('ended_at')
        .limit(atMost(p.limit)),
    );

/** Of the oldest rows those whose log is gone. Logs expire about in the order they were written, so it is most of them. */
const removeLoglessEvents = (p: { limit: number }) =>
  db.deleteFrom('run_events').where('row', 'in', (eb) =>
    eb
      .selectFrom((eb) =>
        eb.selectFrom('run_events').select(['row', 'run']).orderBy('row').limit(atMost(p.limit)).as('oldest'),
      )
      .select('oldest.row')
      .where((eb) =>
        eb.not(eb.exists(eb.selectFrom('run_logs as l').select('l.run').whereRef('l.run', '=', 'oldest.run'))),
      ),
  );

const removeOutcomes = (p: { before: number; limit: number }) =>
  db
    .deleteFrom('idempotency')
    .where('row', 'in', (eb) =>
      eb
        .selectFrom('idempotency')
        .select('row')
        .where('created_at', '<=', p.before)
        .orderBy('created_at')
        .limit(atMost(p.limit)),
    );

/** Of the oldest rows. */
const removeChanges = (p: { before: number; limit: number }) =>
  db
    .deleteFrom('changes')
    .where('created_at', '<=', p.before)
    .where('row', 'in', (eb) => eb.selectFrom('changes').select('row').orderBy('row').limit(atMost(p.limit)));

const removeInvites = (p: { now: number; limit: number }) =>
  db
    .deleteFrom('invites')
    .where('digest', 'in', (eb) =>
      eb
        .selectFrom('invites')
        .select('digest')
        .where('expires_at', '<=', p.now)
        .orderBy('expires_at')
        .limit(atMost(p.limit)),
    );

const selectUnlisted = (p: { before: number; limit: number }) =>
  conversations()
    .where('c.listed', '=', (eb) => eb.lit(0))
    .where('c.active_at', '<=', p.before)
    .orderBy('c.active_at')
    .limit(atMost(p.limit));

export async function sweep(sql: Sql, { now }: { now: number }): Promise<boolean> {
  const deleted = [
    await sql.run(removeEndedLogs, { before: now - KEEP_LOGS_MS, limit: STEP }),
    await sql.run(removeLoglessEvents, { limit: STEP }),
    await sql.run(removeOutcomes, { before: now - KEEP_OUTCOMES_MS, limit: STEP }),
    await sql.run(removeChanges, { before: now - KEEP_CHANGES_MS, limit: STEP }),
    await sql.run(removeInvites, { now, limit: STEP }),
  ];
  const unlisted = await sql.all(selectUnlisted, { before: now - KEEP_UNLISTED_MS, limit: CONVERSATIONS_STEP });
  for (const row of unlisted) await eraseConversation(sql, row, now);
  return deleted.some((rows) => rows > 0) || unlisted.length === CONVERSATIONS_STEP;
}
