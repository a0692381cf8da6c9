/**
 * Streams and sockets that are open: one timer for all of them, a way to close those of a revoked key, and a bound on those
 * of one user, with the requests that wait for an answer.
 */

import { ServiceError } from '#core/errors.ts';
import type { Principal } from '#core/principal.ts';

/** How often open connections are looked at. A revoked key's are closed within two of these. */
export const TICK_MS = 2500;
/** How often it is asked whose peers are gone, and how often in a row one must be to be cut off: after 20 s. */
const LOOK_TICKS = 2;
const LOOKS = 5;

export interface Connection {
  principal: Principal;
  /** As `peerOf` names it; null where it has another way to see that its peer is gone. */
  peer: string | null;
  /** Called every `TICK_MS`: heartbeat, and dropping whoever is gone without a word. */
  tick(): void;
  /** Ends it properly, telling the reader why where the protocol can. */
  close(why: 'revoked' | 'shutdown'): void;
  /** Cuts it off. */
  destroy(): void;
}

export type Connections = ReturnType<typeof createConnections>;

export function createConnections(parts: {
  /** Whether whoever opened it may go on: their key may be used, and they have not signed out. */
  isLive(principal: Principal): Promise<boolean>;
  /** The peers that acknowledge nothing. */
  findUnanswered(): Promise<ReadonlySet<string>>;
  /** Calls `task` once after `ms`; does not keep the process alive. Returns how to cancel it. */
  after(ms: number, task: () => void): () => void;
  /** The most of one user. */
  maxPerUser: number;
}) {
  const open = new Set<Connection>();
  /** By user; nobody has a zero. */
  const counts = new Map<string, number>();
  let cancel: (() => void) | null = null;
  let checking = false;
  let ticks = 0;
  /** How often in a row the peer was gone; who answers is not in it. */
  const unanswered = new Map<Connection, number>();

  return { check, wait, waited, add, remove, closeAll, destroyAll, count: () => open.size };

  /** Throws `overloaded` where a user has as many as may be. */
  function check(principal: Principal): void {
    if ((counts.get(userOf(principal)) ?? 0) < parts.maxPerUser) return;
    throw new ServiceError(
      'overloaded',
      `${parts.maxPerUser} streams, sockets and waiting requests of this user are open. Close one, or raise PARLANCE_MAX_STREAMS_PER_USER.`,
      { headers: { 'retry-after': '5' } },
    );
  }

  /** A request waits for an answer from now on, until `waited`. Throws `overloaded`. */
  function wait(principal: Principal): void {
    check(principal);
    count(principal, 1);
  }

  function waited(principal: Principal): void {
    count(principal, -1);
  }

  function count(principal: Principal, change: 1 | -1): void {
    const user = userOf(principal);
    const now = (counts.get(user) ?? 0) + change;
    if (now === 0) counts.delete(user);
    else counts.set(user, now);
  }

  function add(connection: Connection): void {
    open.add(connection);
    count(connection.principal, 1);
    cancel ??= parts.after(TICK_MS, tick);
  }

  function remove(connection: Connection): void {
    unanswered.delete(connection);
    if (open.delete(connection)) count(connection.principal, -1);
  }

  function closeAll(): void {
    cancel?.();
    cancel = null;
    for (const connection of [...open]) connection.close('shutdown');
  }

  function destroyAll(): void {
    for (const connection of [...open]) connection.destroy();
  }

  function tick(): void {
    cancel = open.size === 0 ? null : parts.after(TICK_MS, tick);
    for (const connection of [...open]) connection.tick();
    if (!checking) void closeRevoked();
    if (++ticks % LOOK_TICKS === 0) void destroyUnanswered();
  }

  async function destroyUnanswered(): Promise<void> {
    const gone = await parts.findUnanswered();
    for (const connection of unanswered.keys()) {
      if (connection.peer === null || !gone.has(connection.peer)) unanswered.delete(connection);
    }
    if (gone.size === 0) return;
    for (const connection of [...open]) {
      if (connection.peer === null || !gone.has(connection.peer)) continue;
      const looks = (unanswered.get(connection) ?? 0) + 1;
      unanswered.set(connection, looks);
      if (looks >= LOOKS) connection.destroy();
    }
  }

  /** Each key and session is asked about once. A store that cannot answer just now closes nothing. */
  async function closeRevoked(): Promise<void> {
    checking = true;
    const keys = new Map<string, Connection[]>();
    for (const connection of open) {
      const { tenant, keyId, session = '' } = connection.principal;
      if (keyId === null) continue;
      const name = `${tenant}\0${keyId}\0${session}`;
      const same = keys.get(name);
      if (same === undefined) keys.set(name, [connection]);
      else same.push(connection);
    }
    await Promise.allSettled(
      [...keys.values()].map(async (same) => {
        if (await parts.isLive((same[0] as Connection).principal)) return;
        for (const connection of same) connection.close('revoked');
      }),
    );
    checking = false;
  }
}

function userOf({ tenant, user }: Principal): string {
  return `${tenant}\0${user}`;
}
