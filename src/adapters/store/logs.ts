/**
 * The logs of runs. All are written one behind the other into one table, each row pointing at the one before it of the
 * same run: a flush of a thousand runs then touches a dozen pages instead of a thousand, and reading goes back from the
 * newest row to the cursor.
 */

import { type RunEvent, unpackEvents } from '#core/event.ts';
import type { LogBatch } from '#ports/store.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

/** The log of an open run; its `newest` is null before the first row. */
const selectOpenLog = statement<{ run: string }, { sequence: number; tenant: string; newest: number | null }>(`
  select r.sequence, r.tenant, l.newest
  from runs r left join run_logs l on l.run = r.sequence
  where r.id = :run and r.ended_at is null`);

const insertBatch = insertInto('run_events', ['tenant', 'run', 'previous', 'first', 'last', 'payload']);

const insertLog = insertInto('run_logs', ['run', 'tenant', 'newest']);

const updateLog = statement<{ run: number; newest: number }>(`
  update run_logs set newest = :newest where run = :run`);

const updateLogEnded = statement<{ run: number; now: number }>(`
  update run_logs set ended_at = :now where run = :run`);

/** Back from the newest row until the one that holds `after + 1`, then the oldest `limit` of these. */
const selectBatches = statement<
  { run: string; after: number; limit: number },
  Pick<Row<'run_events'>, 'first' | 'payload'>
>(`
  with recursive log as (
    select e."row", e.previous, e.first
    from runs r join run_logs l on l.run = r.sequence join run_events e on e."row" = l.newest
    where r.id = :run and e.last > :after
    union all
    select e."row", e.previous, e.first
    from log join run_events e on e."row" = log.previous
    where e.last > :after
  ),
  page as (select "row" from log order by first limit :limit + 0)
  select e.first, e.payload from page join run_events e on e."row" = page."row" order by e.first`);

const deleteLogsOfConversation = statement<{ conversation: string }>(`
  with recursive log as (
    select e."row", e.previous
    from runs r join run_logs l on l.run = r.sequence join run_events e on e."row" = l.newest
    where r.conversation = :conversation
    union all
    select e."row", e.previous from log join run_events e on e."row" = log.previous
  )
  delete from run_events where "row" in (select "row" from log)`);

/** Of one that has ended: one that is open would begin anew in mid-run. */
const deleteEventsOfRun = statement<{ run: string }>(`
  with recursive log as (
    select e."row", e.previous
    from runs r join run_logs l on l.run = r.sequence join run_events e on e."row" = l.newest
    where r.id = :run and r.ended_at is not null
    union all
    select e."row", e.previous from log join run_events e on e."row" = log.previous
  )
  delete from run_events where "row" in (select "row" from log)`);

const deleteEndOfLog = statement<{ run: string }>(`
  delete from run_logs where run = (select sequence from runs where id = :run and ended_at is not null)`);

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

/** Deletes the log of a run that has ended: from here on its answer is what its turn holds. */
export async function deleteLog(sql: Sql, run: string): Promise<void> {
  await sql.run(deleteEventsOfRun, { run });
  await sql.run(deleteEndOfLog, { run });
}

/** Deletes the logs of all runs of a conversation. */
export async function deleteLogs(sql: Sql, conversation: string): Promise<void> {
  await sql.run(deleteLogsOfConversation, { conversation });
}
