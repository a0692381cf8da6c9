/**
 * The writer thread: it alone has a connection that writes. What came while it was committing is its next group: one
 * transaction, one fsync, and only then one message with all the answers.
 */

import { DatabaseSync } from 'node:sqlite';
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type ErrorCode, type ErrorDetails, ServiceError } from '#core/errors.ts';
import { SQLITE, sqliteCode } from './sqlite-files.ts';
import { type CountingSql, type Feeds, openSql } from './sqlite-sql.ts';
import { units } from './units.ts';

/** A unit by its number, its name and what it is given; `ping` answers once the thread gets to it. */
export type Call = [number: number, name: keyof typeof units | 'ping' | 'close', unit: unknown];

/** The answer to a call: what the unit gave, or how it failed. */
export type Answer = [number: number, value: unknown, failure: Failure | null];

/** What a group gave: the answers to its calls, the users whose feeds it changed, and a sentence for the operator. */
export type Answers = [answers: Answer[], changed: Feeds, problem: string | null];

/** An error as it crosses the thread; without a code it is one nobody foresaw. */
export interface Failure {
  code: ErrorCode | null;
  message: string;
  details: ErrorDetails;
}

/** The WAL is copied into the database once it has this many pages (16 MiB), and cut to that size. */
const CHECKPOINT_PAGES = 4096;
const PAGE_BYTES = 4096;
/** How many statements may write, and how much may come in calls, before the size of the WAL is looked at again. */
const LOOK_AFTER_WRITES = 1000;
const LOOK_AFTER_SIZE = 4 * 1024 * 1024;
/**
 * From this many pages on (64 MiB) readers are waited for, so that the WAL can begin anew: readers that overlap without a
 * pause would have it grow for ever. So long at most, and after a time without success not before a second, two, four …
 */
const LARGE_PAGES = 16_384;
const WAIT_MS = 250;
const LONGEST_PAUSE_MS = 60_000;
/** Pages given back to the file system after each step of a sweep. */
const VACUUM_PAGES = 256;
/** How long another process (`./parlance keys`) may hold the database. */
const BUSY_MS = 10_000;

const STORAGE_FULL =
  'Nothing can be stored: the disk of the server is full or fails. Free some space and send the request again.';
const BUSY = 'Another program holds the database. Try again in a moment.';

if (parentPort !== null) serve(parentPort, openWriter(workerData.path));

function openWriter(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: BUSY_MS, enableForeignKeyConstraints: true });
  database.exec('pragma synchronous = full');
  database.exec('pragma secure_delete = on');
  database.exec('pragma cache_size = -16384');
  // Done here instead, after the answers are out.
  database.exec('pragma wal_autocheckpoint = 0');
  database.exec(`pragma journal_size_limit = ${CHECKPOINT_PAGES * PAGE_BYTES}`);
  return database;
}

function serve(port: MessagePort, database: DatabaseSync): void {
  const sql = openSql(database);
  const run = openGroup(database, sql);
  const tidy = openTidy(database, sql);
  let problem: string | null = null;
  port.on('message', async (first: string) => {
    const calls: Call[] = JSON.parse(first);
    let size = first.length;
    for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port)) {
      for (const call of JSON.parse(more.message) as Call[]) calls.push(call);
      size += more.message.length;
    }
    const answers: Answers = [await run(calls), sql.takeChanged(), problem];
    port.postMessage(JSON.stringify(answers));
    if (calls.some(([, name]) => name === 'close')) {
      database.close();
      port.close();
    } else {
      problem = tidy(
        calls.some(([, name]) => name === 'sweep'),
        size,
      );
    }
  });
}

/**
 * Runs a group of calls in one transaction and gives their answers, which are true once it returns. As every unit looks
 * before it writes, one that is refused has nothing to undo. Should one fail half-way, the group is run again with a
 * savepoint for each unit: savepoints for all from the start would cost as much as the units themselves, since SQLite
 * keeps a copy of every page that is changed within one.
 */
function openGroup(database: DatabaseSync, sql: CountingSql): (calls: readonly Call[]) => Promise<Answer[]> {
  const begin = database.prepare('begin immediate');
  const commit = database.prepare('commit');

  async function attempt(calls: readonly Call[], savepoints: boolean): Promise<Answer[] | null> {
    begin.run();
    const answers: Answer[] = [];
    for (const [number, name, unit] of calls) {
      if (name === 'ping' || name === 'close') {
        answers.push([number, null, null]);
        continue;
      }
      if (savepoints) database.exec('savepoint unit');
      const before = sql.writes();
      try {
        answers.push([number, await units[name](sql, unit as never), null]);
      } catch (error) {
        // A full disk, or a broken one, takes the whole group with it.
        if (!database.isTransaction || isLost(error)) throw error;
        if (savepoints) database.exec('rollback to unit');
        else if (sql.writes() !== before) return null;
        answers.push([number, null, toFailure(error)]);
      }
      if (savepoints) database.exec('release unit');
    }
    commit.run();
    return answers;
  }

  function rollback(): void {
    if (database.isTransaction) database.exec('rollback');
  }

  return async (calls) => {
    try {
      const answers = await attempt(calls, false);
      if (answers !== null) return answers;
      rollback();
      return (await attempt(calls, true)) ?? [];
    } catch (error) {
      rollback();
      const failure = toFailure(error);
      return calls.map(([number]) => [number, null, failure]);
    }
  };
}

/**
 * Copies the WAL back when it has grown, and gives up free pages after a sweep. No answer waits for either. What a
 * reader's old view needs cannot be copied: that is told where it lasts.
 */
function openTidy(database: DatabaseSync, sql: CountingSql): (swept: boolean, size: number) => string | null {
  const measure = database.prepare('pragma wal_checkpoint(noop)');
  let looked = 0;
  let unseen = 0;
  /** Milliseconds until readers are waited for again, and when that is. */
  let pause = 1000;
  let again = 0;
  return (swept, size) => {
    unseen += size;
    if (!swept && sql.writes() - looked < LOOK_AFTER_WRITES && unseen < LOOK_AFTER_SIZE) return null;
    looked = sql.writes();
    unseen = 0;
    try {
      if (swept) database.exec(`pragma incremental_vacuum(${VACUUM_PAGES})`);
      const { log, checkpointed } = measure.get() as { log: number; checkpointed: number };
      if (log >= LARGE_PAGES && performance.now() >= again) return beginAnew(log);
      if (swept || log - checkpointed >= CHECKPOINT_PAGES) database.exec('pragma wal_checkpoint(passive)');
    } catch {
      // On a full disk, or while another process has the database: the next time.
    }
    return null;
  };

  /** Copies all of it back and waits for its readers, or tells that one does not come to an end. */
  function beginAnew(pages: number): string | null {
    const busy = waitForReaders();
    const lasting = busy && pause > 1000;
    pause = busy ? Math.min(2 * pause, LONGEST_PAUSE_MS) : 1000;
    again = busy ? performance.now() + pause : 0;
    return lasting ? largeWal(pages) : null;
  }

  /** Whether they did not come to an end. */
  function waitForReaders(): boolean {
    database.exec(`pragma busy_timeout = ${WAIT_MS}`);
    try {
      return database.prepare('pragma wal_checkpoint(restart)').get()?.busy === 1;
    } finally {
      database.exec(`pragma busy_timeout = ${BUSY_MS}`);
    }
  }
}

function largeWal(pages: number): string {
  const size = Math.round((pages * PAGE_BYTES) / 1024 ** 2);
  return `parlance.db-wal has grown to ${size} MiB, because another program reads the database and does not come to an end (a backup, a database shell). Nothing is lost and everything goes on; it shrinks again when that program has ended.`;
}

function isLost(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.FULL || code === SQLITE.IOERR;
}

function toFailure(error: unknown): Failure {
  if (error instanceof ServiceError) return { code: error.code, message: error.message, details: error.details };
  if (isLost(error)) return { code: 'storage_full', message: STORAGE_FULL, details: {} };
  if (sqliteCode(error) === SQLITE.BUSY) return { code: 'overloaded', message: BUSY, details: {} };
  return { code: null, message: error instanceof Error ? error.message : String(error), details: {} };
}
