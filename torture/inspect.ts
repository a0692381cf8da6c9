/**
 * Looks into a database file beside the product: whatever a crash or a race did to it, these hold. The SQL here is
 * written anew on purpose, so that a mistake of the store is not repeated.
 */

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The terminal event after a crash is numbered so far beyond the last logged one (DESIGN.md, promise 4). */
const CRASH_GAP = 100_000;

/** Each gives rows that must not be. */
const ILLEGAL: Record<string, string> = {
  'a turn whose conversation is gone': `select id from turns where conversation not in (select id from conversations)`,
  'an item whose turn is gone': `select id from items where turn not in (select id from turns)`,
  'a run whose conversation is gone': `select id from runs where conversation not in (select id from conversations)`,
  'a run whose turn is gone': `select id from runs where turn is not null and turn not in (select id from turns)`,
  'a log without its run': `select run as id from run_logs where run not in (select sequence from runs)`,
  'events without their run': `select "row" as id from run_events where run not in (select sequence from runs)`,
  'an outcome that points at a conversation that is gone': `select key as id from idempotency
    where gone = 0 and conversation is not null and conversation not in (select id from conversations)`,
  'an outcome without its message': `select key as id from idempotency
    where gone = 0 and input is not null and input not in (select id from turns)`,
  'an answer that waits, with no open run': `select id from turns where status in ('queued', 'in_progress')
    and (run is null or run not in (select id from runs where ended_at is null))`,
  'two answers being written in one conversation': `select conversation as id from runs
    where ended_at is null and status = 'started' and kind = 'answer' group by conversation having count(*) > 1`,
  'a head that is no turn': `select id from conversations where head is not null and head not in (select id from turns)`,
  'a gap or a double in the order of a conversation': `select conversation as id from turns
    group by conversation having min(depth) <> 1 or max(depth) <> count(*) or count(distinct depth) <> count(*)`,
  'a head that is not the last': `select c.id from conversations c join turns t on t.id = c.head
    where t.depth <> (select max(depth) from turns where conversation = c.id)`,
  'a gap or a double in a feed': `select user as id from changes
    group by tenant, user having max(number) - min(number) + 1 <> count(*)`,
  'a feed whose count is not its end': `select u.id from users u
    where u.last_change <> coalesce((select max(number) from changes c where c.tenant = u.tenant and c.user = u.id), 0)`,
  'a gap or a double in a log': `select run as id from (select run, first, last, previous, "row",
      lag(last) over (partition by run order by "row") as before, lag("row") over (partition by run order by "row") as behind
      from run_events)
    where (before is null and first <> 1 and first <> ${CRASH_GAP}) or previous is not behind
      or (before is not null and first <> before + 1 and first <> before + ${CRASH_GAP})`,
  'an ended run whose log does not end with it': `select r.id from runs r join run_logs l on l.run = r.sequence
    join run_events e on e."row" = l.newest where r.ended_at is not null and e.last <> r.last_event`,
};

/** Sentences about what is not as it must be; none for a sound database. Works beside a running server. */
export function inspect(folder: string): string[] {
  return look(folder, (database) => {
    const problems: string[] = [];
    for (const row of database.prepare('pragma integrity_check').all()) {
      if (row.integrity_check !== 'ok') problems.push(`integrity_check: ${row.integrity_check}`);
    }
    for (const row of database.prepare('pragma foreign_key_check').all()) {
      problems.push(`foreign_key_check: ${JSON.stringify(row)}`);
    }
    for (const [what, query] of Object.entries(ILLEGAL)) {
      const rows = database.prepare(query).all() as { id: unknown }[];
      if (rows.length > 0) problems.push(`${what}: ${rows.length}, such as ${rows[0]?.id}`);
    }
    return problems;
  });
}

/** Runs that are not ended. */
function countOpenRuns(folder: string): number {
  return countRows(folder, 'select count(*) as count from runs where ended_at is null');
}

/** The one number a query gives. */
export function countRows(folder: string, query: string, ...values: string[]): number {
  return look(folder, (database) => Number(database.prepare(query).get(...values)?.count));
}

function look<T>(folder: string, read: (database: DatabaseSync) => T): T {
  const database = new DatabaseSync(join(folder, 'parlance.db'), { readOnly: true, timeout: 10_000 });
  try {
    return read(database);
  } finally {
    database.close();
  }
}

/** Waits until no run is open, at most so long; gives how many still are. */
export async function runsEnd(folder: string, withinMs: number): Promise<number> {
  const until = performance.now() + withinMs;
  for (;;) {
    const open = countOpenRuns(folder);
    if (open === 0 || performance.now() > until) return open;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
