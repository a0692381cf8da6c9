/**
 * The index of full-text search: a database of its own, derived from the main one, which it follows and only reads. It
 * is made anew where it is missing, damaged, of another version or not of this database (docs/decisions/2026-11-21-search.md).
 */

import { closeSync, openSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { SQLITE, sqliteCode } from '../sqlite-files.ts';
import { type Documents, openDocuments, STEP_ERASED } from './documents.ts';

/** Of the tables below and of what `wordsIn` makes: a change of either counts it up. */
const VERSION = 1;

/**
 * A document is a message or a title. It stands in the order in which it was indexed, so the newest have the greatest
 * numbers. `item` is the message's row in the main database, null for a title and for what is `gone`; `scope` is a word
 * for its owner, so that a search meets nobody else's documents. A conversation that is deleted loses its row here at once,
 * and its documents as they are erased.
 */
const TABLES = `
create table state (
  version integer not null,
  built integer not null,
  complete integer not null,
  item integer not null,
  item_id text not null,
  change integer not null
);
create table owners (number integer primary key, tenant text not null, user text not null, unique (tenant, user));
create table conversations (
  number integer primary key autoincrement,
  id text not null unique,
  owner integer not null,
  title integer
);
create table documents (
  number integer primary key autoincrement,
  conversation integer not null,
  item integer unique,
  id text,
  at integer not null,
  scope text not null,
  text text not null
);
create index documents_of_conversation on documents (conversation);
create table gone (document integer primary key);
create virtual table words using fts5 (
  scope, text, content = 'documents', content_rowid = 'number', tokenize = 'ascii', prefix = '3'
);
insert into words (words, rank) values ('secure-delete', 1);
`;

export interface SearchIndex {
  /** The main database, read-only. */
  main: DatabaseSync;
  /** The index itself; another one after `follow` has made it anew. */
  readonly index: DatabaseSync;
  /** Follows the main database one step further, and says whether there is more to do. */
  follow(): boolean;
  /** Erases a few of the documents that are gone, and says whether there are more. */
  erase(): boolean;
  /** Makes it anew, empty. */
  rebuild(): void;
  close(): void;
}

/** Opens the index, or makes it. */
export function openSearchIndex(paths: { database: string; index: string }, now: () => number): SearchIndex {
  const main = new DatabaseSync(paths.database, { readOnly: true, timeout: 10_000 });
  main.exec('pragma cache_size = -4096');
  let opened = open(paths.index, main, now());
  let hasErased = false;

  function rebuild(): void {
    opened.database.close();
    opened = make(paths.index, main, now());
  }

  function within<T>(database: DatabaseSync, begin: string, work: () => T): T {
    database.exec(begin);
    try {
      const result = work();
      database.exec('commit');
      return result;
    } catch (error) {
      if (database.isTransaction) database.exec('rollback');
      throw error;
    }
  }

  return {
    main,
    get index() {
      return opened.database;
    },
    rebuild,
    follow: () => {
      const { database, documents } = opened;
      const news = within(main, 'begin', documents.read);
      within(database, 'begin immediate', () => documents.follow(news));
      return news.more;
    },
    erase: () => {
      if (opened.documents.mostAreGone()) rebuild();
      const erased = within(opened.database, 'begin immediate', opened.documents.erase);
      hasErased ||= erased > 0;
      if (erased === STEP_ERASED) return true;
      // Older pages of it are still in the log.
      if (hasErased) opened.database.exec('pragma wal_checkpoint(truncate)');
      hasErased = false;
      return false;
    },
    close: () => {
      opened.database.close();
      main.close();
    },
  };
}

interface Opened {
  database: DatabaseSync;
  documents: Documents;
}

function open(path: string, main: DatabaseSync, now: number): Opened {
  let database: DatabaseSync | null = null;
  try {
    database = connect(path);
    if (isOf(database, main)) return { database, documents: openDocuments(database, main) };
  } catch (error) {
    if (!isDamaged(error) && sqliteCode(error) !== SQLITE.ERROR) throw error;
  }
  database?.close();
  return make(path, main, now);
}

export function isDamaged(error: unknown): boolean {
  const code = sqliteCode(error);
  return code === SQLITE.CORRUPT || code === SQLITE.NOTADB;
}

function make(path: string, main: DatabaseSync, now: number): Opened {
  for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
  closeSync(openSync(path, 'a', 0o600));
  const database = connect(path);
  database.exec('begin');
  database.exec(TABLES);
  database.prepare("insert into state values (?, ?, 0, 0, '', ?)").run(VERSION, now, newestChange(main));
  database.exec('commit');
  const documents = openDocuments(database, main);
  documents.addTitles();
  return { database, documents };
}

/** What is lost with the power is indexed again: the index is only ever behind, never broken. */
function connect(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  database.exec('pragma journal_mode = wal');
  database.exec('pragma synchronous = normal');
  database.exec('pragma secure_delete = on');
  database.exec('pragma cache_size = -8192');
  database.exec(`pragma journal_size_limit = ${16 * 1024 * 1024}`);
  return database;
}

/** Whether it is of this version, and not behind what the main database still tells, nor ahead of it (a copy put back). */
function isOf(index: DatabaseSync, main: DatabaseSync): boolean {
  const state = index.prepare('select version, change from state').get();
  if (state?.version !== VERSION) return false;
  const change = Number(state.change);
  const newest = newestChange(main);
  if (change >= newest) return change === newest;
  return main.prepare('select 1 from search_changes where sequence = ?').get(change + 1) !== undefined;
}

function newestChange(main: DatabaseSync): number {
  const newest = main.prepare("select seq from sqlite_sequence where name = 'search_changes'").get();
  return Number(newest?.seq ?? 0);
}
