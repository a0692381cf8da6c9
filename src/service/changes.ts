/**
 * Reading a user's feed: a page of it, or all from a number on as it comes. The store says when a feed has a new line,
 * whichever dialect wrote it, and every follower reads on from its own cursor: what is committed between two readings is in
 * the next one, so nothing is lost between the log and what is live, and nobody has a queue.
 */

import type { Change } from '#core/change.ts';
import { ServiceError } from '#core/errors.ts';
import type { Principal } from '#core/principal.ts';
import type { Feed, Store } from '#ports/store.ts';

/** Takes changes in order. */
export interface ChangeSink {
  /** False: the reader is behind, and nothing more comes before `resume`. */
  changes(changes: readonly Change[]): boolean;
  /** There will be no more: the log could not be read, or no longer has what comes next. */
  gone(error: ServiceError): void;
}

export interface ChangeFollower {
  /** The reader can take more. */
  resume(): void;
  stop(): void;
}

/** How many changes are read at once. */
const SLICE = 100;

export function createChanges({ store }: { store: Store }) {
  /** By tenant and user: what reads on. */
  const followers = new Map<string, Set<() => void>>();
  store.onChange((tenant, user) => {
    for (const wake of followers.get(nameOf({ tenant, user })) ?? []) wake();
  });
  return { list, follow };

  /**
   * The changes after number `since`, oldest first; null: from the oldest that is kept. Throws `cursor_expired` where some
   * may be missing.
   */
  async function list(principal: Principal, since: number | null, limit: number): Promise<Feed & { more: boolean }> {
    const feed = await read(principal, since, limit + 1);
    return { ...feed, changes: feed.changes.slice(0, limit), more: feed.changes.length > limit };
  }

  /**
   * Gives the changes after number `since`, and those to come, to `sink`; null: only those to come. Resolves with the number
   * it begins after, before anything is given. Throws `cursor_expired`.
   */
  async function follow(
    principal: Principal,
    since: number | null,
  ): Promise<{ from: number; start(sink: ChangeSink): ChangeFollower }> {
    const { newest } = await read(principal, since, 1);
    const from = since ?? newest;
    return { from, start: (sink) => start(principal, from, sink) };
  }

  function start(principal: Principal, from: number, sink: ChangeSink): ChangeFollower {
    let cursor = from;
    let blocked = false;
    let closed = false;
    let reading = false;
    /** There may be more than the reading under way will find. */
    let again = false;
    const name = nameOf(principal);
    const same = followers.get(name) ?? new Set();
    followers.set(name, same.add(wake));
    wake();
    return { resume, stop };

    function wake(): void {
      again = true;
      if (!reading && !blocked && !closed) void pump();
    }

    async function pump(): Promise<void> {
      reading = true;
      try {
        while (again && !blocked && !closed) {
          again = false;
          const { changes } = await read(principal, cursor, SLICE);
          if (closed || changes.length === 0) continue;
          again ||= changes.length === SLICE;
          cursor = changes.at(-1)?.number ?? cursor;
          blocked = !sink.changes(changes);
        }
      } catch (error) {
        if (!closed) {
          stop();
          sink.gone(error instanceof ServiceError ? error : new ServiceError('internal', 'Internal server error'));
        }
      }
      reading = false;
    }

    function resume(): void {
      blocked = false;
      wake();
    }

    function stop(): void {
      closed = true;
      same.delete(wake);
      if (same.size === 0 && followers.get(name) === same) followers.delete(name);
    }
  }

  async function read(principal: Principal, since: number | null, limit: number): Promise<Feed> {
    const feed = await store.readChanges({ owner: principal, since, limit });
    if (!feed.expired) return feed;
    throw new ServiceError(
      'cursor_expired',
      `Changes after number ${since} are not kept. Read your lists anew, and follow the feed from ${feed.newest} on.`,
      { param: 'since' },
    );
  }
}

function nameOf({ tenant, user }: { tenant: string; user: string }): string {
  return `${tenant}\0${user}`;
}
