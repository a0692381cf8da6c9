/**
 * The runs of this process: their newest events, their followers, and the one flush that logs them all.
 *
 * Events go to followers at once and to the log within `flushMs`, one store unit for all runs. A follower holds a cursor,
 * never a queue: what it has not yet taken is read from the run's window of newest events, or from the log. This is the
 * hot path: one call of `publish` per read of a model's socket, no promise and no timer per event.
 */

import { notFound, type ServiceError } from '#core/errors.ts';
import { packEvents, type RunEvent, type TerminalEvent } from '#core/event.ts';
import { type Answer, emptyAnswer, fold } from '#core/fold.ts';
import type { EndStatus, Run, RunErrorCode, RunResult } from '#core/run.ts';
import type { Clock } from '#ports/clock.ts';
import type { LogBatch, Store } from '#ports/store.ts';

/** Takes a run's events. */
export interface Sink {
  /**
   * Events `first`, `first + 1`, … in order. The last one of all is `run-ended`. False: the reader is behind, and nothing
   * more comes before `resume`. The array must not be kept.
   */
  events(first: number, events: readonly RunEvent[]): boolean;
  /** There will be no more, and no `run-ended`: the conversation was deleted, or the log could not be read. */
  gone(error: ServiceError): void;
}

/** One reader's place in a run. */
export interface Follower {
  /** The reader can take more. */
  resume(): void;
  stop(): void;
}

/** Why a run is being stopped by this server. */
export type StopCause = Extract<
  RunErrorCode,
  'stopped' | 'interrupted' | 'time_limit' | 'size_limit' | 'server_stopping'
>;

export interface LiveRun {
  readonly run: Run;
  /** All events so far, as items. */
  readonly answer: Answer;
  /** Aborts the model call under way; the run loop sets a new one for each call. */
  abort: AbortController;
  /** Whether the title run may name the conversation afterwards. */
  readonly untitled: boolean;
  /** False: nothing of it is logged or stored, and it is stopped when its last reader leaves. */
  readonly kept: boolean;
  /** Whether what it answers may hold decisions on calls. */
  readonly decides: boolean;
  /** Set once by whoever stops it. */
  cause: StopCause | null;
  /** Its conversation was deleted: nothing of it is kept. */
  discarded: boolean;
  /** When it was started and when it last said something; monotonic. For the time limits of the run loop. */
  startedAt: number;
  lastOutput: number;
}

/** The parts of a live run that only this file touches. */
interface Live extends LiveRun {
  run: Run;
  /** The newest events: numbers `base + 1` … `base + events.length`. */
  events: RunEvent[];
  base: number;
  /** The last number handed to the store, and the last known to be logged. */
  sent: number;
  logged: number;
  /** Has events that the next flush takes. */
  dirty: boolean;
  /** Its tail is being written by the unit that finishes it: no flush takes its events. */
  ending: boolean;
  followers: Set<Reader>;
  result: RunResult | null;
  waiting: ((result: RunResult) => void)[];
  refused: ((error: ServiceError) => void)[];
}

interface Reader extends Follower {
  pump(batch?: readonly RunEvent[]): void;
  gone(error: ServiceError): void;
}

/** Events kept in memory for readers a little behind; the rest is in the log. */
const WINDOW = 256;
/** How many events are read from the log at once, about, and the most that are given to a sink at once. */
const SLICE = 1000;
export const GIVEN = 256;
const LOG_RETRY_MS = 500;

export interface LiveRuns {
  open(run: Run, facts?: { untitled?: boolean; kept?: boolean; decides?: boolean }): LiveRun;
  get(run: string): LiveRun | null;
  all(): Iterable<LiveRun>;
  count(): number;
  /** Those of one user. */
  countOf(owner: Pick<Run, 'tenant' | 'user'>): number;
  /** Runs that ended here since the start, by status. */
  endedCounts(): Record<EndStatus, number>;
  start(live: LiveRun, run: Run): void;
  publish(live: LiveRun, events: RunEvent[]): void;
  tail(live: LiveRun, end: TerminalEvent): Promise<{ batch: LogBatch; lastEvent: number }>;
  end(live: LiveRun, end: TerminalEvent): void;
  stop(live: LiveRun, cause: StopCause): void;
  discard(runs: readonly string[]): void;
  /** Whoever waits for a run that will not end here any more is refused. */
  leave(error: ServiceError): void;
  follow(live: LiveRun, after: number, sink: Sink): Follower;
  result(live: LiveRun): Promise<RunResult>;
}

export function createLiveRuns(parts: { store: Store; clock: Clock; flushMs: number }): LiveRuns {
  const { store, clock, flushMs } = parts;
  const runs = new Map<string, Live>();
  const counts = new Map<string, number>();
  const ended = { completed: 0, incomplete: 0, failed: 0, cancelled: 0 };
  let dirty: Live[] = [];
  let flushing: Promise<number> | null = null;
  let scheduled = false;

  return {
    open,
    get: (run) => runs.get(run) ?? null,
    all: () => runs.values(),
    count: () => runs.size,
    countOf: (owner) => counts.get(userOf(owner)) ?? 0,
    endedCounts: () => ({ ...ended }),
    start: (live, run) => {
      (live as Live).run = run;
      live.startedAt = clock.monotonic();
    },
    publish: (live, events) => publish(live as Live, events),
    tail: (live, end) => tail(live as Live, end),
    end: (live, end) => end_(live as Live, end),
    stop,
    discard,
    leave: (error) => {
      for (const live of runs.values()) refuse(live, error);
    },
    follow: (live, after, sink) => follow(live as Live, after, sink),
    result: (live) => result(live as Live),
  };

  /** Registers an open run, so that it can be followed and stopped; queued ones too. */
  function open(run: Run, facts: { untitled?: boolean; kept?: boolean; decides?: boolean } = {}): LiveRun {
    const { untitled = false, kept = true, decides = kept } = facts;
    const live: Live = {
      run,
      answer: emptyAnswer(),
      abort: new AbortController(),
      untitled,
      kept,
      decides,
      cause: null,
      discarded: false,
      startedAt: clock.monotonic(),
      lastOutput: 0,
      events: [],
      base: 0,
      sent: 0,
      logged: 0,
      dirty: false,
      ending: false,
      followers: new Set(),
      result: null,
      waiting: [],
      refused: [],
    };
    runs.set(run.id, live);
    const user = userOf(run);
    counts.set(user, (counts.get(user) ?? 0) + 1);
    return live;
  }

  function forget({ run }: Live): void {
    if (!runs.delete(run.id)) return;
    const user = userOf(run);
    const left = (counts.get(user) ?? 1) - 1;
    if (left === 0) counts.delete(user);
    else counts.set(user, left);
  }

  /** Gives events to the followers now and to the log with the next flush. */
  function publish(live: Live, events: RunEvent[]): void {
    if (events.length === 0 || live.discarded) return;
    live.lastOutput = clock.monotonic();
    fold(live.answer, events);
    for (const event of events) live.events.push(event);
    if (live.kept && !live.dirty) {
      live.dirty = true;
      dirty.push(live);
      schedule(flushMs);
    }
    for (const reader of live.followers) reader.pump(events);
  }

  function schedule(ms: number): void {
    if (scheduled || flushing !== null) return;
    scheduled = true;
    clock.after(ms, () => {
      scheduled = false;
      const began = clock.monotonic();
      flushing = flush();
      void flushing.then((again) => {
        flushing = null;
        // From start to start: what waits is never older than one flush takes, and `flushMs`.
        if (dirty.length > 0) schedule(Math.max(0, again - (clock.monotonic() - began)));
      });
    });
  }

  /** Logs what is new of all runs in one unit. Never throws; gives the milliseconds until the next flush. */
  async function flush(): Promise<number> {
    const lives = dirty.filter((live) => !live.ending && !live.discarded);
    dirty = [];
    for (const live of lives) live.dirty = false;
    if (lives.length === 0) return flushMs;
    const batches = lives.map((live) => pack(live, live.events, live.base + live.events.length));
    const before = lives.map((live) => live.sent);
    lives.forEach((live, i) => {
      live.sent = batches[i]?.last ?? live.sent;
    });
    try {
      await store.appendEvents({ batches });
    } catch {
      // The log is full or failing: everything stays in memory and is tried again; readers lose nothing.
      lives.forEach((live, i) => {
        live.sent = before[i] ?? live.sent;
        if (!live.dirty) dirty.push(live);
        live.dirty = true;
      });
      return LOG_RETRY_MS;
    }
    for (const live of lives) {
      live.logged = live.sent;
      trim(live);
    }
    return flushMs;
  }

  /** What of `events` (which end with number `last`) is not yet with the store. */
  function pack(live: Live, events: readonly RunEvent[], last: number): LogBatch {
    const fresh = events.slice(live.sent - live.base);
    return { run: live.run.id, first: last - fresh.length + 1, last, payload: packEvents(fresh) };
  }

  function trim(live: Live): void {
    if (live.events.length <= 2 * WINDOW) return;
    const drop = Math.min(live.events.length - WINDOW, live.logged - live.base);
    if (drop <= 0) return;
    live.events = live.events.slice(drop);
    live.base += drop;
  }

  /** The end of a run's log, terminal event included, for the unit that finishes it. Waits for a flush under way. */
  async function tail(live: Live, end: TerminalEvent): Promise<{ batch: LogBatch; lastEvent: number }> {
    live.ending = true;
    if (flushing !== null) await flushing;
    const lastEvent = live.base + live.events.length + 1;
    return { batch: pack(live, [...live.events, end], lastEvent), lastEvent };
  }

  /** The run is finished in the store: followers get the terminal event, and who waits for it the result. */
  function end_(live: Live, end: TerminalEvent): void {
    fold(live.answer, [end]);
    live.events.push(end);
    live.result = {
      run: live.run.id,
      conversation: live.run.conversation,
      turn: live.run.turn,
      status: end.status,
      finish: end.finish,
      error: end.error,
      usage: end.usage,
      model: live.answer.model,
      items: live.answer.items,
    };
    forget(live);
    ended[end.status]++;
    for (const reader of live.followers) reader.pump();
    for (const resolve of live.waiting) resolve(live.result);
    live.waiting = [];
  }

  /** Stops it; the first cause counts. The run loop ends it and keeps what was written. */
  function stop(live: LiveRun, cause: StopCause): void {
    live.cause ??= cause;
    live.abort.abort();
  }

  /** Their conversation is deleted: the model calls are aborted and the followers told; nothing is kept. */
  function discard(ids: readonly string[]): void {
    for (const id of ids) {
      const live = runs.get(id);
      if (live === undefined) continue;
      live.discarded = true;
      live.abort.abort();
      forget(live);
      const error = notFound('Conversation');
      for (const reader of live.followers) reader.gone(error);
      refuse(live, error);
    }
  }

  function refuse(live: Live, error: ServiceError): void {
    for (const reject of live.refused) reject(error);
    live.refused = [];
  }

  /** Reads on from number `after + 1`: what is logged, then live, up to `run-ended`. */
  function follow(live: Live, after: number, sink: Sink): Follower {
    let cursor = after;
    let blocked = false;
    let reading = false;
    let closed = false;

    const reader: Reader = { pump, gone, resume, stop: close };
    live.followers.add(reader);
    pump();
    return reader;

    function pump(batch?: readonly RunEvent[]): void {
      const last = live.base + live.events.length;
      if (batch !== undefined && !blocked && !reading && !closed && cursor === last - batch.length) {
        give(cursor + 1, batch);
        return;
      }
      while (!blocked && !reading && !closed) {
        if (cursor >= live.base + live.events.length) {
          // A cursor beyond the end, as after a crash: the terminal event is all there is to say.
          if (live.result !== null) give(live.base + live.events.length, live.events.slice(-1));
          return;
        }
        if (cursor < live.base) {
          reading = true;
          void readLog();
          return;
        }
        const from = cursor - live.base;
        give(cursor + 1, live.events.slice(from, from + GIVEN));
      }
    }

    function give(first: number, events: readonly RunEvent[]): void {
      cursor = first + events.length - 1;
      blocked = !sink.events(first, events);
      if (events[events.length - 1]?.type === 'run-ended') close();
    }

    async function readLog(): Promise<void> {
      try {
        const batches = await store.readEvents({ run: live.run.id, after: cursor, limit: SLICE });
        reading = false;
        for (const { first, events } of batches) {
          for (let from = 0; from < events.length && !closed && !blocked; from += GIVEN) {
            give(first + from, events.slice(from, from + GIVEN));
          }
        }
        if (batches.length === 0) gone(notFound('Run'));
        else pump();
      } catch {
        gone(notFound('Run'));
      }
    }

    function gone(error: ServiceError): void {
      if (closed) return;
      close();
      sink.gone(error);
    }

    function resume(): void {
      if (!blocked) return;
      blocked = false;
      pump();
    }

    function close(): void {
      if (closed) return;
      closed = true;
      live.followers.delete(reader);
      if (!live.kept && live.followers.size === 0 && live.result === null) stop(live, 'stopped');
    }
  }

  /** How it ends. Throws `not_found` if its conversation is deleted first. */
  function result(live: Live): Promise<RunResult> {
    if (live.result !== null) return Promise.resolve(live.result);
    return new Promise((resolve, reject) => {
      live.waiting.push(resolve);
      live.refused.push(reject);
    });
  }
}

function userOf({ tenant, user }: Pick<Run, 'tenant' | 'user'>): string {
  return `${tenant}\0${user}`;
}
