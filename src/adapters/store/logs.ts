/**
 * The logs of runs. All are written one behind the other into one table, each row pointing at the one before it of the
 * same run: a flush of a thousand runs then touches a dozen pages instead of a thousand, and reading goes back from the
 * newest row to the cursor.
 */

import { type RunEvent, unpackEvents } from '#core/event.ts';
import type { LogBatch } from '#ports/store.ts';
import type { Sql } from './sql.ts';
import { atMost, db, type Row } from './tables.ts';

/** The log of an open run; its `newest` is null before the first row. */
const selectOpenLog = (p: { run: string }) =>
  db
    .selectFrom('runs as r')
    .leftJoin('run_logs as l', 'l.run', 'r.sequence')
    .select(['r.sequence', 'r.tenant', 'l.newest'])
    .where('r.id', '=', p.run)
    .where('r.ended_at', 'is', null);

const insertBatch = (p: Omit<Row<'run_events'>, 'row'>) =>
  db.insertInto('run_events').values({
    tenant: p.tenant,
    run: p.run,
    previous: p.previous,
    first: p.first,
    last: p.last,
    payload: p.payload,
  });

const insertLog = (p: { run: number; tenant: string; newest: number }) =>
  db.insertInto('run_logs').values({ run: p.run, tenant: p.tenant, newest: p.newest, ended_at: null });

const updateLog = (p: { run: number; newest: number }) =>
  db.updateTable('run_logs').set({ newest: p.newest }).where('run', '=', p.run);

const updateLogEnded = (p: { run: number; now: number }) =>
  db.updateTable('run_logs').set({ ended_at: p.now }).where('run', '=', p.run);

/** Back from the newest row until the one that holds `after + 1`, then the oldest `limit` of these. */
const selectBatches = (p: { run: string; after: number; limit: number }) =>
  db
    .withRecursive('log', (cte) =>
      cte
        .selectFrom('runs as r')
        .innerJoin('run_logs as l', 'l.run', 'r.sequence')
        .innerJoin('run_events as e', 'e.row', 'l.newest')
        .select(['e.row', 'e.previous', 'e.first'])
        .where('r.id', '=', p.run)
        .where('e.last', '>', p.after)
        .unionAll((eb) =>
          eb
            .selectFrom('log')
            .innerJoin('run_events as e', 'e.row', 'log.previous')
            .select(['e.row', 'e.previous', 'e.first'])
            .where('e.last', '>', p.after),
        ),
    )
    .with('page', (cte) => cte.selectFrom('log').select('row').orderBy('first').limit(atMost(p.limit)))
    .selectFrom('page')
    .innerJoin('run_events as e', 'e.row', 'page.row')
    .select(['e.first', 'e.payload'])
    .orderBy('e.first');

const deleteLogsOfConversation = (p: { conversation: string }) =>
  db
    .withRecursive('log', (cte) =>
      cte
        .selectFrom('runs as r')
        .innerJoin('run_logs as l', 'l.run', 'r.sequence')
        .innerJoin('run_events as e', 'e.row', 'l.newest')
        .select(['e.row', 'e.previous'])
        .where('r.conversation', '=', p.conversation)
        .unionAll((eb) =>
          eb.selectFrom('log').innerJoin('run_events as e', 'e.row', 'log.previous').select(['e.row', 'e.previous']),
        ),
    )
    .deleteFrom('run_events')
    .where('row', 'in', (eb) => eb.selectFrom('log').select('row'));

export async function appendEvents(sql: Sql, { batches }: { batches: LogBatch[] }): Promise<void> {
  for (const batch of batches) await appendBatch(sql, batch);
}

/** Only while the run is there and open, so that nothing comes back to life and nothing follows the terminal event. */
export async function appendBatch(sql: Sql, { run: id, first, last, payload }: LogBatch): Promise<void> {
  const log = await sql.first(selectOpenLog, { run: id });
  if (log === undefined) return;
  const { sequence: run, tenant, newest: previous } = log;
  const newest = await sql.insert(insertBatch, { tenant, run, previous, first, last, payload });
  if (previous === null) await sql.run(insertLog, { run, tenant, newest });
  else await sql.run(updateLog, { run, newest });
}

/** From here on the log may expire. */
export async function endLog(sql: Sql, run: number, now: number): Promise<void> {
  await sql.run(updateLogEnded, { run, now });
}

export async function readEvents(
  sql: Sql,
  { run, after, limit }: { run: string; after: number; limit: number },
): Promise<{ first: number; events: RunEvent[] }[]> {
  const batches: { first: number; events: RunEvent[] }[] = [];
  let count = 0;
  // Every batch has at least one event, so `limit` rows are enough; the first may begin before the cursor.
  for (const row of await sql.all(selectBatches, { run, after, limit })) {
    if (count >= limit) break;
    const events = unpackEvents(row.payload);
    const skip = Math.max(0, after + 1 - row.first);
    batches.push({ first: row.first + skip, events: skip === 0 ? events : events.slice(skip) });
    count += events.length - skip;
  }
  return batches;
}

/** Deletes the logs of all runs of a conversation. */
export async function deleteLogs(sql: Sql, conversation: string): Promise<void> {
  await sql.run(deleteLogsOfConversation, { conversation });
}
