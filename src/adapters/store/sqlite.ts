/** The embedded store: SQLite in a data folder. Units go to the writer thread, reads run here beside it. */

import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { ServiceError } from '#core/errors.ts';
import type { Store, StoreHealth } from '#ports/store.ts';
import { migrate } from './migrate.ts';
import { migrations as allMigrations } from './migrations/all.ts';
import { createSearch, type Searching } from './search/search.ts';
import { lockFolder, prepareFolder } from './sqlite-files.ts';
import { openSql } from './sqlite-sql.ts';
import type { Answers, Call } from './sqlite-writer.ts';
import { reads, units } from './units.ts';

export interface SqliteOptions {
  /** Made where it is missing. */
  folder: string;
  /** True for the one server that owns the folder; false for a command beside it. */
  exclusive: boolean;
  /** Unix milliseconds. */
  now: () => number;
  /** Told what goes wrong, and can wait: with the search index, which can be made anew, and with a log that grows. */
  onProblem?: (problem: Error) => void;
  /** Other than this program's own in tests of migration only. */
  migrations?: readonly string[];
}

/**
 * Opens the store of a data folder, after bringing its database to this version.
 *
 * @throws an error whose message is a sentence for the operator: the folder is in use, the database is newer, damaged or
 * somebody else's
 */
export async function openSqliteStore(options: SqliteOptions): Promise<Store> {
  const { folder, exclusive, now, onProblem = () => {}, migrations = allMigrations } = options;
  const files = prepareFolder(folder);
  const lock = exclusive ? lockFolder(files, folder) : null;
  try {
    migrate({ files, folder, migrations, locked: exclusive, now: now() });
    const search = exclusive ? createSearch(files, onProblem) : noSearch;
    const writer = startWriter(files.database, search.wake, onProblem);
    const reader = openReader(files.database);
    return {
      searchConversations: search.searchConversations,
      ...writer.units,
      ...reader.reads,
      queued: writer.queued,
      onChange: writer.onChange,
      health: (deep) => checkHealth(files.database, writer, reader, deep),
      close: async () => {
        reader.close();
        await search.close();
        await writer.close();
        lock?.release();
      },
    };
  } catch (error) {
    lock?.release();
    throw error;
  }
}

/** The index belongs to the server that has the folder. */
const noSearch: Searching = {
  searchConversations: () => Promise.reject(new Error('Only the server that has the data folder searches in it.')),
  wake: () => {},
  close: async () => {},
};

type Async<F> = F extends (sql: never, ...values: infer V) => infer R ? (...values: V) => R : never;
type Bound<T> = { [K in keyof T]: Async<T[K]> };

/** The same functions without their first parameter. */
function bind<T extends object>(table: T, call: (name: keyof T, values: unknown[]) => unknown): Bound<T> {
  const bound: Record<string, unknown> = {};
  for (const name of Object.keys(table)) bound[name] = (...values: unknown[]) => call(name as keyof T, values);
  return bound as Bound<T>;
}

interface Writer {
  units: Bound<typeof units>;
  ping: () => Promise<void>;
  queued: () => number;
  onChange: Store['onChange'];
  close: () => Promise<void>;
}

/** Units called in one turn of the event loop go over in one message. */
function startWriter(path: string, onWritten: () => void, onProblem: (problem: Error) => void): Writer {
  const thread = new Worker(new URL('./sqlite-writer.ts', import.meta.url), { workerData: { path } });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const listeners = new Set<(tenant: string, user: string) => void>();
  let calls: Call[] = [];
  let number = 0;
  let broken: Error | null = null;

  function call(name: Call[1], unit: unknown): Promise<unknown> {
    if (broken !== null) return Promise.reject(broken);
    if (calls.length === 0) setImmediate(send);
    number += 1;
    calls.push([number, name, unit]);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    waiting.set(number, { resolve, reject });
    return promise;
  }

  function send(): void {
    // JSON is cheaper than a structured clone, and all that units take and give is JSON.
    thread.postMessage(JSON.stringify(calls));
    calls = [];
  }

  thread.on('message', (message: string) => {
    const [answers, changed, problem] = JSON.parse(message) as Answers;
    for (const [answered, value, failure] of answers) {
      const it = waiting.get(answered);
      waiting.delete(answered);
      if (failure === null) it?.resolve(value as never);
      else if (failure.code === null) it?.reject(new Error(failure.message));
      else it?.reject(new ServiceError(failure.code, failure.message, failure.details));
    }
    onWritten();
    if (problem !== null) onProblem(new Error(problem));
    for (const [tenant, user] of changed) for (const listener of listeners) listener(tenant, user);
  });
  thread.on('error', (error) => fail(error instanceof Error ? error : new Error(String(error))));
  thread.on('exit', () => fail(new Error('The store is closed.')));

  /** Nothing is answered any more. */
  function fail(error: Error): void {
    broken ??= error;
    for (const it of waiting.values()) it.reject(broken);
    waiting.clear();
  }

  return {
    units: bind(units, (name, [unit]) => call(name, unit)),
    ping: async () => {
      await call('ping', null);
    },
    queued: () => waiting.size,
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: async () => {
      const exit = new Promise((resolve) => thread.once('exit', resolve));
      await call('close', null);
      broken ??= new Error('The store is closed.');
      await exit;
    },
  };
}

interface Reader {
  reads: Bound<typeof reads>;
  close: () => void;
}

/**
 * Reads that overlap share one snapshot, so that what a read finds in several steps is of one moment. As SQLite answers
 * at once they overlap only within one turn of the event loop: no snapshot is older than a unit that has resolved.
 */
function openReader(path: string): Reader {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  database.exec('pragma cache_size = -16384');
  const sql = openSql(database);
  const begin = database.prepare('begin');
  const end = database.prepare('commit');
  let open = 0;
  return {
    reads: bind(reads, async (name, values) => {
      if (open++ === 0) begin.run();
      try {
        return await (reads[name] as (...all: unknown[]) => Promise<unknown>)(sql, ...values);
      } finally {
        if (--open === 0) end.run();
      }
    }),
    close: () => database.close(),
  };
}

async function checkHealth(path: string, writer: Writer, reader: Reader, deep: boolean): Promise<StoreHealth> {
  const problems: string[] = [];
  try {
    await reader.reads.findKey('');
    await writer.ping();
    if (deep) problems.push(...(await checkDeep(path)));
  } catch (error) {
    problems.push(`The database cannot be used: ${error instanceof Error ? error.message : String(error)}`);
  }
  return { ok: problems.length === 0, problems };
}

function checkDeep(path: string): Promise<string[]> {
  const thread = new Worker(new URL('./sqlite-check.ts', import.meta.url), { workerData: { path } });
  return new Promise((resolve, reject) => {
    thread.once('message', resolve);
    thread.once('error', reject);
  });
}
