/**
 * A SearXNG server: `GET /search?q=…&format=json` (https://docs.searxng.org/dev/search_api.html). Its settings must allow
 * JSON: `search.formats: [html, json]`.
 */

import type { WebSearch } from '#ports/web-search.ts';
import { askEngine, type Connection, isRecord, listAt, resultsFrom } from './engine.ts';

const MEANING = {
  403: 'It does not give JSON: add json to search.formats in its settings.yml.',
  404: 'There is no search at that address: check SEARXNG_URL.',
};

/** @param options.baseUrl its address, without `/search` */
export function createSearxng(options: Connection & { baseUrl: string }): WebSearch {
  const { baseUrl } = options;
  return {
    name: 'searxng',
    async search(query, limit, signal) {
      const url = new URL(`${baseUrl}/search`);
      url.search = new URLSearchParams({ q: query, format: 'json' }).toString();
      const answer = await askEngine({ url, meaning: MEANING }, options, signal);
      const results = listAt(answer, ['results']).filter(isRecord);
      return resultsFrom(
        results.map(({ title, url, content }) => ({ title, url, snippet: content })),
        limit,
      );
    },
  };
}
