/**
 * Limits on requests: so many a minute and so many an hour per user, both over a sliding window, over all dialects and
 * sockets together. A rejected request uses up nothing. Counts live in this process and start anew with it.
 */

import { ServiceError } from '#core/errors.ts';
import type { Principal, Rates } from '#core/principal.ts';
import type { Clock } from '#ports/clock.ts';

/** What is left after a counted request: of the window with the least left. */
export interface Admission {
  limit: number;
  remaining: number;
  /** Seconds until the oldest request leaves that window. */
  reset: number;
}

/** Which counter: everything, or what cannot start a run in the standards (a bucket ten times as large). */
export type Bucket = 'run' | 'light';

/** Times of admitted requests, oldest first, in a ring; only as many as the largest limit seen ever matter. */
interface Log {
  most: number;
  times: Float64Array;
  start: number;
  length: number;
}

const MINUTE = 60_000;
const HOUR = 3_600_000;
const LIGHT_FACTOR = 10;
/** How often logs of users who went away are dropped. */
const SWEEP_EVERY = 10_000;

export function createAdmit({ clock, rates }: { clock: Clock; rates: Rates }) {
  const logs = new Map<string, Log>();
  let sinceSweep = 0;

  return { admit };

  /**
   * Counts one request of a principal. Null where no limit applies.
   * Throws `rate_limited` with `Retry-After`; it names the limit and how it is raised.
   */
  function admit(principal: Principal, bucket: Bucket): Admission | null {
    const factor = bucket === 'light' ? LIGHT_FACTOR : 1;
    const own = principal.rates ?? rates;
    const limits = [
      { limit: own.perMinute * factor, window: MINUTE, per: 'minute' },
      { limit: own.perHour * factor, window: HOUR, per: 'hour' },
    ].filter(({ limit }) => limit > 0);
    if (limits.length === 0) return null;

    const now = clock.monotonic();
    const log = logOf(
      `${bucket}\0${principal.tenant}\0${principal.user}`,
      Math.max(...limits.map(({ limit }) => limit)),
    );
    forget(log, now - HOUR);

    const states = limits.map((limit) => ({ ...limit, ...state(log, limit, now) }));
    const full = states.filter(({ left }) => left <= 0).sort((a, b) => b.free - a.free)[0];
    if (full !== undefined) throw refusal(full, now);
    push(log, now);
    const tight = states.sort((a, b) => a.left - b.left)[0];
    if (tight === undefined) return null;
    return {
      limit: tight.limit,
      remaining: tight.left - 1,
      reset: Math.ceil((tight.oldest + tight.window - now) / 1000),
    };
  }

  /** `left` in the window, its `oldest` request, and `free`: when the next one fits; both on the clock. */
  function state(log: Log, { limit, window }: { limit: number; window: number }, now: number) {
    const first = firstAfter(log, now - window);
    const blocking = log.length - limit;
    return {
      left: limit - (log.length - first),
      oldest: first < log.length ? at(log, first) : now,
      free: blocking >= 0 ? at(log, blocking) + window : now,
    };
  }

  function refusal(full: { limit: number; per: string; free: number }, now: number): ServiceError {
    const seconds = Math.max(1, Math.ceil((full.free - now) / 1000));
    const setting = full.per === 'minute' ? 'PARLANCE_RATE_PER_MINUTE' : 'PARLANCE_RATE_PER_HOUR';
    return new ServiceError(
      'rate_limited',
      `Rate limit of ${full.limit} requests per ${full.per} reached. Try again in ${seconds} s, or raise ${setting} or the rate of the key.`,
      {
        headers: {
          'retry-after': String(seconds),
          'ratelimit-limit': String(full.limit),
          'ratelimit-remaining': '0',
          'ratelimit-reset': String(seconds),
        },
      },
    );
  }

  function logOf(name: string, most: number): Log {
    if (++sinceSweep >= SWEEP_EVERY) sweep();
    let log = logs.get(name);
    if (log === undefined) {
      log = { most, times: new Float64Array(16), start: 0, length: 0 };
      logs.set(name, log);
    }
    log.most = Math.max(log.most, most);
    return log;
  }

  function sweep(): void {
    sinceSweep = 0;
    const old = clock.monotonic() - HOUR;
    for (const [name, log] of logs) {
      forget(log, old);
      if (log.length === 0) logs.delete(name);
    }
  }
}

function at(log: Log, index: number): number {
  return log.times[(log.start + index) % log.times.length] ?? 0;
}

function push(log: Log, time: number): void {
  if (log.length >= log.most) drop(log);
  if (log.length === log.times.length) {
    const larger = new Float64Array(log.times.length * 2);
    for (let i = 0; i < log.length; i++) larger[i] = at(log, i);
    log.times = larger;
    log.start = 0;
  }
  log.times[(log.start + log.length) % log.times.length] = time;
  log.length++;
}

/** Drops what is at or before `time`. */
function forget(log: Log, time: number): void {
  while (log.length > 0 && at(log, 0) <= time) drop(log);
}

function drop(log: Log): void {
  log.start = (log.start + 1) % log.times.length;
  log.length--;
}

/** The index of the first entry after `time`. */
function firstAfter(log: Log, time: number): number {
  let low = 0;
  let high = log.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (at(log, middle) <= time) low = middle + 1;
    else high = middle;
  }
  return low;
}
