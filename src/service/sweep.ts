/** What expires is deleted, in small steps, beside everything else (DESIGN.md, What expires). */

import type { Clock } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';

const EVERY_MS = 10 * 60_000;
const STEP_PAUSE_MS = 50;

/** Sweeps now and then until the returned function is called. */
export function startSweep(parts: { store: Store; clock: Clock; onError(error: unknown): void }): () => void {
  const { store, clock, onError } = parts;
  let cancel = clock.after(STEP_PAUSE_MS, () => void step());
  let stopped = false;

  return () => {
    stopped = true;
    cancel();
  };

  async function step(): Promise<void> {
    let more = false;
    try {
      more = await store.sweep({ now: clock.now() });
    } catch (error) {
      onError(error);
    }
    if (!stopped) cancel = clock.after(more ? STEP_PAUSE_MS : EVERY_MS, () => void step());
  }
}
