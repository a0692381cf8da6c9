/** What several queries found, as one list; and which passages of it a model is shown. Pure. */

import { createRanking, wordsOf } from '#core/rank.ts';
import type { SearchResult } from '#ports/web-search.ts';

/** What says who sent a reader, and nothing about the page. */
const TRACKING = /^(utm_\w+|fbclid|gclid|msclkid|mc_[ce]id|igshid)$/;

/** Two addresses with the same key are of one page, as far as can be told without asking. */
export function pageKey(address: string): string {
  if (!URL.canParse(address)) return address;
  const { hostname, port, pathname, searchParams } = new URL(address);
  for (const name of [...searchParams.keys()]) if (TRACKING.test(name)) searchParams.delete(name);
  const query = searchParams.toString();
  const host = hostname.replace(/^www\./, '');
  return `${host}${port === '' ? '' : `:${port}`}${pathname.replace(/\/+$/, '')}${query === '' ? '' : `?${query}`}`;
}

/** The best of each list first, then the second of each, and so on; each page once; at most `most`. */
export function mergeResults(lists: readonly (readonly SearchResult[])[], most: number): SearchResult[] {
  const merged = new Map<string, SearchResult>();
  const longest = Math.max(0, ...lists.map((list) => list.length));
  for (let rank = 0; rank < longest; rank++) {
    for (const list of lists) {
      const result = list[rank];
      if (result !== undefined && merged.size < most && !merged.has(pageKey(result.url))) {
        merged.set(pageKey(result.url), result);
      }
    }
  }
  return [...merged.values()];
}

/**
 * The passages that answer a question best, within `budget` UTF-16 units: the first of each page as long as there is room,
 * so that no page is left out for another one's length, then the nearest ones of all.
 *
 * @param pages the passages of each page, nearest to the question first
 * @returns for each page, in their order, those that are shown
 */
export function choosePassages(pages: readonly (readonly string[])[], question: string, budget: number): string[][] {
  const all = pages.flatMap((passages, page) => passages.map((text, place) => ({ text, page, place })));
  const rank = createRanking(all.map(({ text }) => wordsOf(text)));
  const nearest = rank(question).map(({ index }) => all[index]);
  const chosen = new Set<(typeof all)[number]>();
  let left = budget;
  for (const passage of [...all.filter(({ place }) => place === 0), ...nearest]) {
    if (passage === undefined || chosen.has(passage) || passage.text.length > left) continue;
    chosen.add(passage);
    left -= passage.text.length;
  }
  return pages.map((_, page) =>
    all.filter((passage) => passage.page === page && chosen.has(passage)).map(({ text }) => text),
  );
}
