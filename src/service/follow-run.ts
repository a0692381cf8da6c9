/**
 * Reading a run: following its events from any number on, while it runs or after, and waiting for how it ends. Nothing
 * here can change a run but `stop`; a reader that goes away cancels nothing (promise 3).
 */

import { notFound, ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { emptyAnswer, fold } from '#core/fold.ts';
import type { Principal } from '#core/principal.ts';
import { isEnded, type Run, type RunResult } from '#core/run.ts';
import { type Item, sourcesOf, type Turn } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';
import { type Follower, GIVEN, type LiveRuns, type Sink } from './live-runs.ts';
import type { RunLoop } from './run-loop.ts';

/** What can be followed: the answer turn, with the run that writes or wrote it (none for one made by hand). */
export interface Followable {
  run: Run | null;
  turn: Turn;
}

/** How many events are read from the log at once. */
const SLICE = 1000;
/** How often the log of a run is looked at that is open, but not in this process. */
const POLL_MS = 100;

export function createFollowRun(parts: { store: Store; liveRuns: LiveRuns; runLoop: RunLoop; clock: Clock }) {
  const { store, liveRuns, runLoop, clock } = parts;
  return { find, follow, result, stop };

  /** The answer a turn's id names, as the principal may see it. Throws `not_found`; for inputs too. */
  async function find(principal: Principal, turn: string): Promise<Followable> {
    const found = await store.findTurn(principal, turn);
    if (found === null || found.turn.role !== 'assistant') throw notFound('Message');
    return { run: await store.findRunOfTurn(principal, turn), turn: found.turn };
  }

  /**
   * Gives the events after number `after` to `sink`, then those to come, up to `run-ended`. A cursor at or beyond the end
   * gets the terminal event again.
   */
  function follow(principal: Principal, { run, turn }: Followable, after: number, sink: Sink): Follower {
    if (run === null) return followStored(principal, turn.id, null, after, sink);
    refuseForeign(principal, run);
    const live = liveRuns.get(run.id);
    return live === null ? followStored(principal, turn.id, run, after, sink) : liveRuns.follow(live, after, sink);
  }

  /** How a run ends, as soon as it has. Throws `not_found` if its conversation is deleted first. */
  async function result(principal: Principal, { run, turn }: { run: Run; turn: Turn }): Promise<RunResult> {
    refuseForeign(principal, run);
    const live = liveRuns.get(run.id);
    if (live !== null) return liveRuns.result(live);
    const answer = emptyAnswer();
    return new Promise((resolve, refuse) => {
      followStored(principal, turn.id, run, 0, {
        events(_first, events) {
          const { end, model, items } = fold(answer, events);
          if (end === null) return true;
          const { status, finish, error, usage } = end;
          const { conversation } = run;
          resolve({ run: run.id, conversation, turn: turn.id, status, finish, error, usage, model, items });
          return true;
        },
        gone: refuse,
      });
    });
  }

  /** Stops an answer that is queued or being written and keeps its text; one that has ended stays as it is. */
  async function stop(principal: Principal, run: Run): Promise<void> {
    refuseForeign(principal, run);
    const live = liveRuns.get(run.id);
    if (live !== null) await runLoop.stop(live, 'stopped');
  }

  /**
   * Follows by the log alone: a run that has ended, or one of another process. The turn by its id: a reader who is slow would
   * hold all of its text.
   */
  function followStored(principal: Principal, turn: string, run: Run | null, after: number, sink: Sink): Follower {
    let cursor = after;
    let blocked = false;
    let closed = false;
    let reading = false;
    void read();
    return { resume, stop: close };

    function resume(): void {
      blocked = false;
      if (!reading && !closed) void read();
    }

    function close(): void {
      closed = true;
    }

    async function read(): Promise<void> {
      reading = true;
      try {
        while (!blocked && !closed) {
          const batches = run === null ? [] : await store.readEvents({ run: run.id, after: cursor, limit: SLICE });
          for (const { first, events } of batches) {
            for (let from = 0; from < events.length && !blocked && !closed; from += GIVEN) {
              give(first + from, events.slice(from, from + GIVEN));
            }
          }
          if (batches.length > 0 || closed) continue;
          if (!(await giveEnd())) await new Promise<void>((resolve) => clock.after(POLL_MS, resolve));
        }
      } catch (error) {
        if (!closed) {
          close();
          sink.gone(error instanceof ServiceError ? error : notFound('Message'));
        }
      }
      reading = false;
    }

    /** Where the log has no more: false if the run is still open, else its end, from the log or as a snapshot. */
    async function giveEnd(): Promise<boolean> {
      const [now, kept] = await Promise.all([
        run === null ? null : store.findRun(principal, run.id),
        store.findTurn(principal, turn),
      ]);
      if (kept === null || (run !== null && now === null)) throw notFound('Message');
      if (now !== null && !isEnded(now.status)) return false;
      const last = now?.lastEvent ?? 0;
      const logged = now === null ? [] : await store.readEvents({ run: now.id, after: last - 1, limit: 1 });
      const terminal = logged.at(-1);
      if (terminal !== undefined) give(terminal.first, terminal.events);
      else giveSnapshot(now, kept.turn, last);
      return true;
    }

    /** An answer made by hand has no other log, so any cursor is a place in it; where one has expired, only its start is. */
    function giveSnapshot(now: Run | null, kept: Turn, last: number): void {
      const events = snapshot(kept.items);
      const from = now === null ? cursor : cursor === 0 ? 0 : events.length;
      const end: TerminalEvent = {
        type: 'run-ended',
        status: now !== null && isEnded(now.status) ? now.status : 'completed',
        finish: now === null ? 'stop' : now.finish,
        error: now?.error ?? null,
        usage: now?.usage ?? null,
        sources: sourcesOf(kept.items),
        at: now?.endedAt ?? kept.updatedAt,
        ...(now !== null && { items: kept.items }),
      };
      if (from < events.length) give(from + 1, events.slice(from));
      if (!closed) give(Math.max(last, events.length + 1), [end]);
    }

    function give(first: number, events: readonly RunEvent[]): void {
      cursor = first + events.length - 1;
      blocked = !sink.events(first, events);
      if (events[events.length - 1]?.type === 'run-ended') close();
    }
  }
}

/** The number of the terminal event of an answer that has ended; null while it is being written. */
export function lastEventOf({ run, turn }: Followable): number | null {
  if (run === null) return snapshot(turn.items).length + 1;
  return isEnded(run.status) ? run.lastEvent : null;
}

/** The events that would have made these items, each text in one piece. */
function snapshot(items: readonly Item[]): RunEvent[] {
  const events: RunEvent[] = [];
  items.forEach((whole, item) => {
    const add = (empty: Item) => events.push({ type: 'item-added', item: { ...empty, status: 'in_progress' } });
    switch (whole.type) {
      case 'message':
        add({ ...whole, content: [] });
        for (const part of whole.content)
          if (part.type !== 'image') events.push({ type: 'text-delta', item, text: part.text });
        break;
      case 'reasoning':
        add({ ...whole, text: '' });
        events.push({ type: 'reasoning-delta', item, text: whole.text });
        break;
      case 'function_call':
        add({ ...whole, arguments: '' });
        events.push({ type: 'arguments-delta', item, text: whole.arguments });
        break;
      case 'web_search_call':
        add({ ...whole, sources: [] });
        for (const { evidence, ...source } of whole.sources) {
          events.push({ type: 'source-found', item, source });
          if (evidence !== undefined) events.push({ type: 'page-read', item, index: source.index, evidence });
        }
        break;
      case 'function_call_output':
      case 'approval':
        events.push({ type: 'item-added', item: whole });
        return;
    }
    if (whole.status === 'completed') events.push({ type: 'item-completed', item });
  });
  return events;
}

/** Runs reach these functions through owner-checked reads; this is the second lock on the door. */
function refuseForeign(principal: Principal, run: Run): void {
  const own = run.user === principal.user || principal.findsKeyless;
  if (run.tenant !== principal.tenant || !own) throw notFound('Message');
}
