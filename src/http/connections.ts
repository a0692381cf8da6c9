/** Streams and sockets that are open: one timer for all of them, and a way to close those of a revoked key. */

import type { Principal } from '#core/principal.ts';

/** How often open connections are looked at. A revoked key's are closed within two of these. */
export const TICK_MS = 2500;

export interface Connection {
  principal: Principal;
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
  /** Calls `task` once after `ms`; does not keep the process alive. Returns how to cancel it. */
  after(ms: number, task: () => void): () => void;
}) {
  const open = new Set<Connection>();
  let cancel: (() => void) | null = null;
  let checking = false;

  return { add, remove, closeAll, destroyAll, count: () => open.size };

  function add(connection: Connection): void {
    open.add(connection);
    cancel ??= parts.after(TICK_MS, tick);
  }

  function remove(connection: Connection): void {
    open.delete(connection);
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
