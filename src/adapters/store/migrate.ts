/** Brings an embedded database to this program's version at open. */

import { closeSync, openSync, renameSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { DEFAULT_TENANT, LOCAL_USER } from '#core/principal.ts';
import { type DataFiles, lockFolder, SQLITE, sqliteCode } from './sqlite-files.ts';

/** Marks the file as ours ("PARL"), so that another program's database is never written to. */
const APPLICATION_ID = 0x5041524c;

interface Migrating {
  files: DataFiles;
  folder: string;
  migrations: readonly string[];
  /** This process has the folder already. */
  locked: boolean;
  now: number;
}

/**
 * Runs the migrations a database has not had, in one transaction. A database with anything in it is copied first, to
 * `parlance-v<version>.db` beside it.
 *
 * @throws a sentence if the file is no database of ours, is damaged, or is newer than this program
 */
export function migrate(migrating: Migrating): void {
  const { files, migrations } = migrating;
  const database = new DatabaseSync(files.database, { timeout: 10_000 });
  try {
    const version = readVersion(database, files.database);
    if (version > migrations.length) {
      throw new Error(
        `The database ${files.database} has version ${version}, and this Parlance knows versions up to ${migrations.length}. Start a newer Parlance, or put back the copy it made before it changed the database (parlance-v${migrations.length}.db).`,
      );
    }
    if (version < migrations.length) withFolder(migrating, () => upgrade(database, migrating));
  } catch (error) {
    const code = sqliteCode(error);
    if (code === SQLITE.NOTADB || code === SQLITE.CORRUPT) {
      throw new Error(
        `${files.database} is not a database or is damaged (${(error as Error).message}). Put back a copy of it, or move it away to start with an empty one.`,
        { cause: error },
      );
    }
    throw error;
  } finally {
    database.close();
  }
}

/** Nobody else may have the folder while its tables change: a running server would meet tables it does not know. */
function withFolder({ files, folder, locked }: Migrating, work: () => void): void {
  const lock = locked ? null : lockFolder(files, folder);
  try {
    work();
  } finally {
    lock?.release();
  }
}

function upgrade(database: DatabaseSync, { files, migrations, now }: Migrating): void {
  // Another process may have been here first.
  const version = readVersion(database, files.database);
  if (version === 0) {
    // Only before the first table, and never again.
    database.exec('pragma auto_vacuum = incremental');
    database.exec('pragma journal_mode = wal');
  } else {
    copy(database, files.database.replace(/\.db$/, `-v${version}.db`));
  }
  database.exec('pragma foreign_keys = off');
  database.exec('begin immediate');
  for (const migration of migrations.slice(version)) database.exec(migration);
  if (version === 0) addOwner(database, now);
  database.exec(`pragma application_id = ${APPLICATION_ID}`);
  database.exec(`pragma user_version = ${migrations.length}`);
  database.exec('commit');
}

function readVersion(database: DatabaseSync, path: string): number {
  const version = readNumber(database, 'user_version');
  const ours = readNumber(database, 'application_id') === APPLICATION_ID;
  if (ours) return version;
  const tables = database.prepare('select count(*) as count from sqlite_schema').get();
  if (version !== 0 || tables?.count !== 0) {
    throw new Error(`${path} is the database of another program. Set PARLANCE_DATA to another folder.`);
  }
  return 0;
}

function readNumber(database: DatabaseSync, pragma: string): number {
  return Number(database.prepare(`pragma ${pragma}`).get()?.[pragma]);
}

/** A whole copy, under its name only once it is one. */
function copy(database: DatabaseSync, path: string): void {
  const unfinished = `${path}.unfinished`;
  rmSync(unfinished, { force: true });
  closeSync(openSync(unfinished, 'wx', 0o600));
  database.prepare('vacuum into ?').run(unfinished);
  renameSync(unfinished, path);
}

/** The tenant and the user of the machine's owner. */
function addOwner(database: DatabaseSync, now: number): void {
  database.prepare('insert into tenants (id, next_number) values (?, 1)').run(DEFAULT_TENANT);
  database
    .prepare('insert into users (tenant, id, keyless, created_at, last_change) values (?, ?, 0, ?, 0)')
    .run(DEFAULT_TENANT, LOCAL_USER, now);
}
