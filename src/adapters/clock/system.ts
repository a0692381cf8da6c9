/** The machine's own clock, and ids from its random source. */

import { hash, randomBytes, randomFillSync } from 'node:crypto';
import { formatUuidV7 } from '#core/ids.ts';
import type { Clock, Ids } from '#ports/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, task) {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  },
};

/** One call of the random source is dear, whatever it gives: ids take their bytes from a pool. */
const POOL_BYTES = 4096;
const RANDOM_BYTES = 8;
const MAX_COUNTER = 0xfff;

/** @param now Unix milliseconds; may jump back, and the ids still grow */
export function createIds(now: () => number): Ids {
  const pool = new Uint8Array(POOL_BYTES);
  let used = POOL_BYTES;
  let ms = 0;
  let counter = 0;

  return {
    uuid() {
      const time = now();
      if (time > ms) {
        ms = time;
        counter = 0;
      } else if (counter < MAX_COUNTER) counter++;
      else {
        // More ids than the counter tells apart: the next ones borrow from the next millisecond.
        ms++;
        counter = 0;
      }
      if (used === POOL_BYTES) {
        randomFillSync(pool);
        used = 0;
      }
      used += RANDOM_BYTES;
      return formatUuidV7(ms, counter, pool.subarray(used - RANDOM_BYTES, used));
    },
    secret: (bytes) => randomBytes(bytes).toString('hex'),
    digest: (text) => hash('sha256', text),
  };
}

export const systemIds: Ids = createIds(systemClock.now);
