/**
 * The search thread: it alone has the index. It follows the main database in small steps, and between two of them it
 * answers what was asked; erasing what was deleted comes last.
 */

import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { isDamaged, openSearchIndex, type SearchIndex } from './database.ts';
import { type Found, find, type Search } from './find.ts';

/** Null: something was written. */
export type SearchCall = [number: number, search: Search] | null | 'close';

/** `null`: the cursor is of an index that is no more. */
export type SearchAnswer = [number: number, found: Found | null, error: string | null] | { problem: string };

/** How long a search waits for what was written just before it to be in the index. */
const CATCH_UP_MS = 100;
/** After an error, such as a full disk, following begins again with the first write or search after this, and not before. */
const PAUSE_MS = 10_000;

/** `nice` of this thread. */
const NICE = 5;

/** After a step it rests for so many times as long as that took: many writes at once go first, and the index comes behind. */
const REST = 3;

if (parentPort !== null) {
  comeSecond();
  serve(parentPort, openSearchIndex(workerData, Date.now));
}

/** Where the processor is short, what is written goes first. Linux has priorities for threads, others do without. */
function comeSecond(): void {
  try {
    const [thread] = readlinkSync('/proc/thread-self').split('/').slice(-1);
    setPriority(Number(thread), NICE);
  } catch {
    // It works as well, only not second.
  }
}

function serve(port: MessagePort, search: SearchIndex): void {
  let working: NodeJS.Timeout | null = null;
  let pausedUntil = 0;
  let rebuiltAt = Number.NEGATIVE_INFINITY;

  work();
  port.on('message', (call: SearchCall) => {
    if (call === 'close') {
      if (working !== null) clearTimeout(working);
      search.close();
      port.close();
      return;
    }
    if (call !== null) port.postMessage(answer(call));
    working ??= setTimeout(work);
  });

  function work(): void {
    working = null;
    const began = performance.now();
    const more = attempt(() => search.follow() || search.erase());
    if (more) working = setTimeout(work, REST * (performance.now() - began));
  }

  function answer([number, asked]: Exclude<SearchCall, null | 'close'>): SearchAnswer {
    const until = performance.now() + CATCH_UP_MS;
    while (performance.now() < until && attempt(() => search.follow()));
    try {
      return [number, find(search.index, search.main, asked), null];
    } catch (error) {
      recover(error);
      return [number, null, error instanceof Error ? error.message : String(error)];
    }
  }

  function attempt(step: () => boolean): boolean {
    if (performance.now() < pausedUntil) return false;
    try {
      return step();
    } catch (error) {
      recover(error);
      return false;
    }
  }

  /** A damaged index is made anew at once, but not time and again; anything else is tried again later. */
  function recover(error: unknown): void {
    port.postMessage({ problem: error instanceof Error ? error.message : String(error) });
    const now = performance.now();
    if (isDamaged(error) && now - rebuiltAt > PAUSE_MS) {
      rebuiltAt = now;
      search.rebuild();
      working ??= setTimeout(work);
    } else pausedUntil = now + PAUSE_MS;
  }
}
