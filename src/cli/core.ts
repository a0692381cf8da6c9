/** The data folder for commands that work beside a running server; without HTTP and models, so that they start fast. */

import { createKeys } from '#service/keys.ts';
import { systemClock as clock, systemIds as ids } from '../adapters/clock/system.ts';
import { openSqliteStore } from '../adapters/store/sqlite.ts';
import type { Invocation } from './command.ts';

export interface Core {
  keys: ReturnType<typeof createKeys>;
}

/** Opens the data folder without owning it, for as long as `work` takes. */
export async function withCore<T>(invocation: Invocation, work: (core: Core) => Promise<T>): Promise<T> {
  const { data } = await invocation.config();
  const store = await openSqliteStore({ folder: data, exclusive: false, now: clock.now });
  try {
    return await work({ keys: createKeys({ store, clock, ids }) });
  } finally {
    await store.close();
  }
}
