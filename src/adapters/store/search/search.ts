/** Full-text search as the store has it: the thread is started when there is something to follow or to find. */

import { once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { invalid, ServiceError } from '#core/errors.ts';
import type { SearchConversations, SearchPage } from '#ports/store.ts';
import type { DataFiles } from '../sqlite-files.ts';
import type { Found, SearchCursor } from './find.ts';
import type { SearchAnswer, SearchCall } from './thread.ts';

/** What is written is told to the thread together; what starts and ends at once never has one. */
const TELL_MS = 250;
const START_MS = 1000;
/** A thread that failed is started again after this. */
const RESTART_MS = 10_000;
/** The most searches that wait, and how long one waits. */
const MAX_WAITING = 200;
const MAX_WAIT_MS = 10_000;

const LATE = 'Too much is being searched for right now. Try again in a moment.';

export interface Searching {
  searchConversations(search: SearchConversations): Promise<SearchPage>;
  /** Something was written. Costs nothing while that was told already. */
  wake(): void;
  close(): Promise<void>;
}

interface Waiting {
  resolve: (found: Found | null) => void;
  reject: (error: Error) => void;
}

export function createSearch(files: DataFiles, onProblem: (problem: Error) => void): Searching {
  const waiting = new Map<number, Waiting>();
  let thread: Worker | null = null;
  let failedAt = Number.NEGATIVE_INFINITY;
  let telling: NodeJS.Timeout | null = null;
  let number = 0;
  let closed = false;

  // What was deleted just before a crash must leave the index though nothing else is written.
  wake();
  return { searchConversations, wake, close };

  function wake(): void {
    if (telling !== null || closed) return;
    telling = setTimeout(tell, thread === null ? START_MS : TELL_MS).unref();
  }

  function tell(): void {
    telling = null;
    if (thread === null && (performance.now() - failedAt < RESTART_MS || !isBehind(files))) return;
    post(null);
  }

  function post(call: SearchCall): void {
    thread ??= start();
    thread.postMessage(call);
  }

  function start(): Worker {
    const workerData = { database: files.database, index: files.search };
    const started = new Worker(new URL('./thread.ts', import.meta.url), { workerData });
    started.unref();
    started.on('message', (answer: SearchAnswer) => {
      if (Array.isArray(answer)) settle(answer);
      else onProblem(new Error(`Search: ${answer.problem}`));
    });
    started.on('error', (error) => {
      onProblem(error instanceof Error ? error : new Error(String(error)));
      failedAt = performance.now();
    });
    started.on('exit', () => {
      if (thread === started) thread = null;
      for (const it of waiting.values()) it.reject(new Error('The search ended.'));
      waiting.clear();
    });
    return started;
  }

  function settle([answered, found, error]: Exclude<SearchAnswer, { problem: string }>): void {
    const it = waiting.get(answered);
    waiting.delete(answered);
    if (error === null) it?.resolve(found);
    else it?.reject(new Error(`The search failed: ${error}`));
  }

  async function searchConversations(search: SearchConversations): Promise<SearchPage> {
    const { owner, phrases, order, archived, limit, now } = search;
    const after = search.after === null ? null : parseCursor(search.after, order);
    if (waiting.size >= MAX_WAITING) throw new ServiceError('overloaded', LATE);
    const found = await ask({ tenant: owner.tenant, user: owner.user, phrases, order, archived, limit, now, after });
    if (found === null) {
      throw new ServiceError('cursor_expired', 'The search index was made anew since this page. Search again.');
    }
    return { ...found, next: found.next === null ? null : formatCursor(found.next, order) };
  }

  function ask(search: Extract<SearchCall, unknown[]>[1]): Promise<Found | null> {
    const { promise, resolve, reject } = Promise.withResolvers<Found | null>();
    number += 1;
    const asked = number;
    const timer = setTimeout(() => {
      waiting.delete(asked);
      reject(new ServiceError('overloaded', LATE));
    }, MAX_WAIT_MS);
    waiting.set(asked, { resolve, reject });
    post([asked, search]);
    return promise.finally(() => clearTimeout(timer));
  }

  async function close(): Promise<void> {
    closed = true;
    if (telling !== null) clearTimeout(telling);
    if (thread === null) return;
    const exit = once(thread, 'exit');
    thread.ref();
    post('close');
    await exit;
  }
}

/** Whether the index lacks something that the main database has; not where there is nothing to have. */
function isBehind(files: DataFiles): boolean {
  let main: DatabaseSync | null = null;
  let index: DatabaseSync | null = null;
  try {
    main = new DatabaseSync(files.database, { readOnly: true });
    const last = main
      .prepare(`
        select coalesce((select max("row") from items), 0) as item,
          coalesce((select seq from sqlite_sequence where name = 'search_changes'), 0) as change`)
      .get();
    if (last?.item === 0 && last.change === 0) return false;
    index = new DatabaseSync(files.search, { readOnly: true });
    const state = index.prepare('select item, change, (select count(*) from gone) as gone from state').get();
    return state?.item !== last?.item || state?.change !== last?.change || state?.gone !== 0;
  } catch {
    // There is none, or it is damaged: the thread will see.
    return true;
  } finally {
    index?.close();
    main?.close();
  }
}

function formatCursor({ built, newest, now, place }: SearchCursor, order: SearchConversations['order']): string {
  return [order, ...[built, newest, now, place].map((number) => number.toString(36))].join('.');
}

function parseCursor(text: string, order: SearchConversations['order']): SearchCursor {
  const match = /^(newest|best)\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})\.([0-9a-z]{1,10})$/.exec(text);
  const [built = 0, newest = 0, now = 0, place = 0] = match?.slice(2).map((part) => Number.parseInt(part, 36)) ?? [];
  if (match?.[1] !== order) throw invalid('after is not a cursor of this search.', 'after');
  return { built, newest, now, place };
}
