/**
 * Brave's web search: `GET /res/v1/web/search`, its key in `X-Subscription-Token`
 * (https://api-dashboard.search.brave.com/api-reference/web/search/get).
 */

import type { WebSearch } from '#ports/web-search.ts';
import { askEngine, type Connection, isRecord, listAt, MAX_RESULTS, resultsFrom } from './engine.ts';

const BRAVE = 'https://api.search.brave.com';
/** "Maximum of 400 characters and 50 words in the query." */
const MAX_QUERY = 400;
const MAX_WORDS = 50;
const KEY_REFUSED = 'It refused the key or the question: check BRAVE_API_KEY.';
/** A key that is not known is 422 there (`SUBSCRIPTION_TOKEN_INVALID`). */
const MEANING = { 401: KEY_REFUSED, 403: KEY_REFUSED, 422: KEY_REFUSED };

export function createBrave(options: Connection & { key: string; baseUrl?: string }): WebSearch {
  const { key, baseUrl = BRAVE } = options;
  return {
    name: 'brave',
    async search(query, limit, signal) {
      const url = new URL(`${baseUrl}/res/v1/web/search`);
      const q = query.split(/\s+/).slice(0, MAX_WORDS).join(' ').slice(0, MAX_QUERY).toWellFormed();
      url.search = new URLSearchParams({ q, count: String(Math.min(limit, MAX_RESULTS)) }).toString();
      const headers = { 'x-subscription-token': key };
      const answer = await askEngine({ url, headers, meaning: MEANING }, options, signal);
      // Left out where nothing was found.
      const results = listAt(answer, ['web', 'results'], true).filter(isRecord);
      return resultsFrom(
        results.map(({ title, url, description }) => ({ title, url, snippet: description })),
        limit,
      );
    },
  };
}
