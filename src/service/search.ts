/** Full-text search over a principal's conversations. */

import { invalid } from '#core/errors.ts';
import { MAX_PAGE } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import { phrasesOf } from '#core/words.ts';
import type { Clock } from '#ports/clock.ts';
import type { SearchConversations, SearchPage, Store } from '#ports/store.ts';

/** The longest query, in UTF-16 units. */
const MAX_QUERY = 500;

export function createSearch(parts: { store: Store; clock: Clock }) {
  const { store, clock } = parts;
  return { search };

  /**
   * The conversations that have all words of the query in one message or in their title, each with the match to show. A
   * query without any word finds nothing. Archived ones are found alone, and only when asked for.
   *
   * Throws `invalid_request` (a query that is too long, an unknown `after`), `cursor_expired`, `overloaded`.
   */
  async function search(
    principal: Principal,
    wanted: { query: string } & Partial<Pick<SearchConversations, 'order' | 'archived' | 'limit' | 'after'>>,
  ): Promise<SearchPage> {
    const { query, order = 'newest', archived = false, limit = MAX_PAGE, after = null } = wanted;
    if (query.length > MAX_QUERY) {
      throw invalid(`query has ${query.length} characters. Send at most ${MAX_QUERY}.`, 'query');
    }
    const phrases = phrasesOf(query);
    if (phrases.length === 0) return { hits: [], next: null, complete: true };
    return store.searchConversations({
      owner: principal,
      phrases,
      order,
      archived,
      limit: Math.min(limit, MAX_PAGE),
      after,
      now: clock.now(),
    });
  }
}
