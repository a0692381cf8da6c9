/**
 * Loaded into an unchanged server with `--import`: keeps in the folder TORTURE_DISK what a power cut would leave of the
 * database, by what SQLite promises: the WAL is on the disk after a commit if `synchronous` is FULL on that connection,
 * and not before. With TORTURE_FSYNC=ignored it is never: a disk that lies. (What the kernel is really told is proven by
 * tracing: `npm run torture -- fsync`.)
 */

import { copyFileSync, renameSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { isMainThread } from 'node:worker_threads';

const disk = process.env.TORTURE_DISK;
const FULL = 2;

// The writer is a thread of its own; the main thread's connections only read.
if (disk !== undefined && !isMainThread && process.env.TORTURE_FSYNC !== 'ignored') keep(disk);

function keep(folder: string): void {
  const databases = new WeakMap<StatementSync, DatabaseSync>();
  const { prepare } = DatabaseSync.prototype;
  DatabaseSync.prototype.prepare = function (this: DatabaseSync, ...given: Parameters<typeof prepare>) {
    const statement = prepare.apply(this, given);
    databases.set(statement, this);
    return statement;
  };
  const { run } = StatementSync.prototype;
  StatementSync.prototype.run = function (this: StatementSync, ...values: Parameters<typeof run>) {
    const result = run.apply(this, values);
    const database = databases.get(this);
    if (this.sourceSQL === 'commit' && database !== undefined && isFull(database))
      sync(database.location() ?? '', folder);
    return result;
  } as typeof run;

  function isFull(database: DatabaseSync): boolean {
    const { synchronous } = prepare.call(database, 'pragma synchronous').get() as { synchronous: number };
    return synchronous >= FULL;
  }
}

function sync(database: string, folder: string): void {
  for (const file of [database, `${database}-wal`]) {
    const kept = join(folder, basename(file));
    copyFileSync(file, `${kept}.new`);
    renameSync(`${kept}.new`, kept);
  }
}
