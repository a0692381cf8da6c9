/** The time limits of runs: one timer for all of them, none per token. */

import { hasOutput, type Mark } from '#core/fold.ts';
import type { Clock } from '#ports/clock.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';

/** A run that is being waited for. */
export interface Watch {
  /** It was aborted for saying nothing. */
  readonly silent: boolean;
  /** To be called when nothing is waited for any more. */
  end(): void;
}

interface Watched {
  since: Mark;
  firstOutput: number;
  silent: boolean;
}

const EVERY_MS = 250;

export interface TimeLimits {
  /**
   * Watches a run: it is stopped when it has taken too long in all, and what it waits for is aborted when that says nothing
   * for `firstOutput` ms, or goes silent after its first output beyond `since`. Infinity: it may be silent.
   */
  watch(live: LiveRun, since: Mark, firstOutput: number): Watch;
}

/** @param parts.limits milliseconds */
export function createTimeLimits(parts: {
  clock: Clock;
  liveRuns: LiveRuns;
  limits: { silence: number; run: number };
}): TimeLimits {
  const { clock, liveRuns, limits } = parts;
  const watched = new Map<LiveRun, Watched>();
  let watching = false;
  return { watch };

  function watch(live: LiveRun, since: Mark, firstOutput: number): Watch {
    const facts: Watched = { since, firstOutput, silent: false };
    live.lastOutput = clock.monotonic();
    watched.set(live, facts);
    if (!watching) clock.after(EVERY_MS, check);
    watching = true;
    return {
      get silent() {
        return facts.silent;
      },
      end: () => watched.delete(live),
    };
  }

  function check(): void {
    const now = clock.monotonic();
    for (const [live, facts] of watched) {
      const patience = hasOutput(live.answer, facts.since) ? limits.silence : facts.firstOutput;
      if (now - live.startedAt > limits.run) liveRuns.stop(live, 'time_limit');
      else if (now - live.lastOutput > patience) {
        facts.silent = true;
        live.abort.abort();
      }
    }
    watching = watched.size > 0;
    if (watching) clock.after(EVERY_MS, check);
  }
}
