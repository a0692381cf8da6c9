/** What was used, by day and model: of one's own, or of others with the scope `admin`. */

import { invalid, ServiceError } from '#core/errors.ts';
import type { Principal } from '#core/principal.ts';
import type { Usage } from '#core/run.ts';
import { costOf, MS_PER_DAY, type Price, type UsageLine } from '#core/usage.ts';
import type { Clock } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';

/** Days since 1970-01-01, UTC; both ends are included. */
export interface UsagePeriod {
  from: number;
  to: number;
}

/** A line with what it cost; null where no price of its model is configured. */
export type PricedLine = UsageLine & { cost: number | null };

/** How many days are shown where none are given. */
const USUAL_DAYS = 30;
const MAX_DAYS = 366;
const MAX_LINES = 10_000;

/** @param parts.prices by the name of the model */
export function createUsage(parts: { store: Store; clock: Clock; prices: ReadonlyMap<string, Price> }) {
  const { store, clock, prices } = parts;
  return { read, cost };

  /**
   * Of the principal's own; of another user of the tenant, or with `everybody` of all, with the scope `admin`. Throws
   * `forbidden`, `invalid_request`.
   */
  async function read(
    principal: Principal,
    asked: Partial<UsagePeriod> & { user?: string; everybody?: boolean },
  ): Promise<UsagePeriod & { lines: PricedLine[] }> {
    const { user = principal.user, everybody = false } = asked;
    if ((everybody || user !== principal.user) && !principal.scopes.includes('admin')) {
      throw new ServiceError('forbidden', 'The usage of others needs a key with the scope "admin".');
    }
    const to = asked.to ?? Math.floor(clock.now() / MS_PER_DAY);
    const from = asked.from ?? to - USUAL_DAYS + 1;
    if (from > to) throw invalid('from must not be later than to.', 'from');
    if (to - from >= MAX_DAYS) throw invalid(`Ask for at most ${MAX_DAYS} days at once.`, 'from');
    const whose = everybody ? null : user;
    const lines = await store.readUsage({ tenant: principal.tenant, user: whose, from, to, limit: MAX_LINES + 1 });
    if (lines.length > MAX_LINES) throw invalid(`That is more than ${MAX_LINES} lines: ask for fewer days.`, 'from');
    return { from, to, lines: lines.map((line) => ({ ...line, cost: cost(line.model, line.usage) })) };
  }

  /** In the currency of the configured prices; null where the model has none. */
  function cost(model: string | null, usage: Usage): number | null {
    const price = model === null ? undefined : prices.get(model);
    return price === undefined ? null : costOf(usage, price);
  }
}
