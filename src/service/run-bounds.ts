/** How many answers may be open at once, being written or waiting: of one user, and of this server. */

import { ServiceError } from '#core/errors.ts';
import type { Owner } from '#core/principal.ts';
import type { LiveRuns } from './live-runs.ts';

export interface RunBounds {
  maxRuns: number;
  maxRunsPerUser: number;
}

export function createRunBounds({ liveRuns, bounds }: { liveRuns: LiveRuns; bounds: RunBounds }) {
  /** Answers that are being accepted just now, by user: they have no run yet. */
  const accepting = new Map<string, number>();
  let allAccepting = 0;

  return { check, during };

  /** Throws `overloaded`, naming the bound, where one more would be too many. */
  function check(owner: Owner): void {
    const own = liveRuns.countOf(owner) + (accepting.get(nameOf(owner)) ?? 0);
    if (own >= bounds.maxRunsPerUser) {
      throw overloaded(
        `${bounds.maxRunsPerUser} answers of this user are being written or wait already. Wait for one to end or stop one, or raise PARLANCE_MAX_RUNS_PER_USER.`,
      );
    }
    if (liveRuns.count() + allAccepting < bounds.maxRuns) return;
    throw overloaded(
      `This server is writing ${bounds.maxRuns} answers already. Try again in a few seconds, or raise PARLANCE_MAX_RUNS.`,
    );
  }

  /** Checks, and holds a place while a message is accepted, so that a thousand at once are not one too many. */
  async function during<T>(owner: Owner, accept: () => Promise<T>): Promise<T> {
    check(owner);
    const name = nameOf(owner);
    accepting.set(name, (accepting.get(name) ?? 0) + 1);
    allAccepting++;
    try {
      return await accept();
    } finally {
      allAccepting--;
      const left = (accepting.get(name) ?? 1) - 1;
      if (left === 0) accepting.delete(name);
      else accepting.set(name, left);
    }
  }
}

function nameOf({ tenant, user }: Owner): string {
  return `${tenant}\0${user}`;
}

function overloaded(message: string): ServiceError {
  return new ServiceError('overloaded', message, { headers: { 'retry-after': '5' } });
}
