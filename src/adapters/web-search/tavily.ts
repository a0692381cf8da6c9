/** Tavily: `POST /search` with a bearer key (https://docs.tavily.com/documentation/api-reference/endpoint/search). */

import type { WebSearch } from '#ports/web-search.ts';
import { askEngine, type Connection, isRecord, listAt, MAX_RESULTS, resultsFrom } from './engine.ts';

const TAVILY = 'https://api.tavily.com';
const MAX_QUERY = 400;
const KEY_REFUSED = 'It refused the key: check TAVILY_API_KEY.';
const USED_UP = "What the key's plan allows is used up: check the account of TAVILY_API_KEY.";
const MEANING = { 401: KEY_REFUSED, 403: KEY_REFUSED, 432: USED_UP, 433: USED_UP };

export function createTavily(options: Connection & { key: string; baseUrl?: string }): WebSearch {
  const { key, baseUrl = TAVILY } = options;
  return {
    name: 'tavily',
    async search(query, limit, signal) {
      const body = { query: query.slice(0, MAX_QUERY).toWellFormed(), max_results: Math.min(limit, MAX_RESULTS) };
      const headers = { authorization: `Bearer ${key}` };
      const url = new URL(`${baseUrl}/search`);
      const answer = await askEngine({ url, headers, body, meaning: MEANING }, options, signal);
      const results = listAt(answer, ['results']).filter(isRecord);
      return resultsFrom(
        results.map(({ title, url, content }) => ({ title, url, snippet: content })),
        limit,
      );
    },
  };
}
