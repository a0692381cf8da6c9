/** The data folder of an embedded database: its files, who may read them, and the lock that makes it one server's. */

import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const OWNER_ONLY = 0o600;

export interface DataFiles {
  /** The database. */
  database: string;
  /** The index of full-text search. */
  search: string;
  /** Held by the server that owns the folder. */
  lock: string;
  /** Its process id, for people. */
  pid: string;
}

/**
 * Makes the folder and the empty database file where there are none, readable by their owner alone.
 *
 * @throws a sentence that names the folder
 */
export function prepareFolder(folder: string): DataFiles {
  const files = {
    database: join(folder, 'parlance.db'),
    search: join(folder, 'search.db'),
    lock: join(folder, 'lock'),
    pid: join(folder, 'pid'),
  };
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // SQLite gives its -wal and -shm files the mode of the database. An existing one is not touched: closing any
    // descriptor of a file drops the POSIX locks of the whole process on it.
    if (!existsSync(files.database)) closeSync(openSync(files.database, 'a', OWNER_ONLY));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `The data folder ${folder} cannot be used: ${why}. Set PARLANCE_DATA to a folder you may write to.`,
    );
  }
  return files;
}

/**
 * Takes the folder for this process until `release`. The lock is one of the operating system, held by a transaction on
 * a small file: it ends with the process, however that ends.
 *
 * @throws a sentence that names the process which has it
 */
export function lockFolder(files: DataFiles, folder: string): { release: () => void } {
  const lock = new DatabaseSync(files.lock, { timeout: 0 });
  try {
    // Nothing is ever written, so no journal file either.
    lock.exec('pragma journal_mode = memory');
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if (isBusy(error))
      throw new Error(
        `${folder} is in use by another Parlance server${owner(files)}. Stop that one first, or set PARLANCE_DATA to another folder.`,
      );
    throw error;
  }
  chmodSync(files.lock, OWNER_ONLY);
  writeFileSync(files.pid, `${process.pid}\n`, { mode: OWNER_ONLY });
  return {
    release: () => {
      rmSync(files.pid, { force: true });
      lock.close();
    },
  };
}

function owner(files: DataFiles): string {
  try {
    return ` (process ${readFileSync(files.pid, 'utf8').trim()})`;
  } catch {
    return '';
  }
}

/** SQLite's result code of an error of `node:sqlite`, without its extension; null for any other error. */
export function sqliteCode(error: unknown): number | null {
  const code = (error as { errcode?: unknown } | null)?.errcode;
  return typeof code === 'number' ? code & 0xff : null;
}

/** https://sqlite.org/rescode.html */
export const SQLITE = { ERROR: 1, BUSY: 5, LOCKED: 6, IOERR: 10, CORRUPT: 11, FULL: 13, NOTADB: 26 } as const;

function isBusy(error: unknown): boolean {
  return sqliteCode(error) === SQLITE.BUSY;
}
