/**
 * Wikipedia's public search, without a key: MediaWiki's REST API, `GET /w/rest.php/v1/search/page`
 * (https://www.mediawiki.org/wiki/API:REST_API/Reference). Any other MediaWiki with the usual paths works too.
 */

import type { SearchResult, WebSearch } from '#ports/web-search.ts';
import { askEngine, type Connection, isRecord, listAt, MAX_RESULTS, resultsFrom } from './engine.ts';

const WIKIPEDIA = 'https://en.wikipedia.org';
/** Its search engine refuses longer queries (CirrusSearch, `$wgCirrusSearchMaxFullTextQueryLength`). */
const MAX_QUERY = 300;

/** @param options.baseUrl another wiki, or Wikipedia in another language */
export function createWikipedia(options: Connection & { baseUrl?: string } = {}): WebSearch {
  const { baseUrl = WIKIPEDIA } = options;

  return {
    name: 'wikipedia',
    /** A page must have all words of a question: where none has, any of them will do, the best match first. */
    async search(query, limit, signal) {
      const found = await ask(query.slice(0, MAX_QUERY).toWellFormed(), limit, signal);
      const words = [...new Set(query.match(/[\p{L}\p{N}]{3,}/gu))];
      return found.length > 0 || words.length < 2 ? found : ask(anyOf(words), limit, signal);
    },
  };

  async function ask(query: string, limit: number, signal: AbortSignal): Promise<SearchResult[]> {
    const url = new URL(`${baseUrl}/w/rest.php/v1/search/page`);
    url.search = new URLSearchParams({ q: query, limit: String(Math.min(limit, MAX_RESULTS)) }).toString();
    const answer = await askEngine({ url, meaning: {} }, options, signal);
    const pages = listAt(answer, ['pages']).filter(isRecord);
    return resultsFrom(
      pages.map(({ key, title, description, excerpt }) => ({
        title,
        url: typeof key === 'string' ? `${baseUrl}/wiki/${encodeURIComponent(key)}` : null,
        snippet: [description, excerpt].filter((text) => typeof text === 'string' && text !== '').join('. '),
      })),
      limit,
    );
  }
}

function anyOf(words: readonly string[]): string {
  let query = '';
  for (const word of words) {
    const longer = query === '' ? word : `${query} OR ${word}`;
    if (longer.length <= MAX_QUERY) query = longer;
  }
  return query;
}
