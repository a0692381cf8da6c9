/** The stores that must keep the contract. A suite runs once on each. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe } from 'node:test';
import { openSqliteStore } from '../../../src/adapters/store/sqlite.ts';
import type { Store } from '../../../src/ports/store.ts';

interface Adapter {
  name: string;
  /** A place for a store that is empty. */
  place(): Promise<{ open(): Promise<Store>; remove(): Promise<void> }>;
}

const adapters: Adapter[] = [
  {
    name: 'SQLite',
    place: async () => {
      const folder = await mkdtemp(join(tmpdir(), 'parlance-store-'));
      return {
        open: () => openSqliteStore({ folder, exclusive: true, now: () => 0 }),
        remove: () => rm(folder, { recursive: true, force: true }),
      };
    },
  },
];

/** The store of a suite, as its tests see it. */
export interface Given {
  /** Only within a test. */
  readonly store: Store;
  /** Closes it and opens it again, as at a restart. */
  reopen(): Promise<void>;
}

/** A suite that runs on every adapter, with one store for all of its tests: each takes a tenant of its own. */
export function describeStore(name: string, suite: (given: Given) => void): void {
  for (const adapter of adapters) {
    describe(`${name} (${adapter.name})`, () => {
      let place: Awaited<ReturnType<Adapter['place']>>;
      let store: Store;
      before(async () => {
        place = await adapter.place();
        store = await place.open();
      });
      after(async () => {
        await store.close();
        await place.remove();
      });
      suite({
        get store() {
          return store;
        },
        reopen: async () => {
          await store.close();
          store = await place.open();
        },
      });
    });
  }
}
