/**
 * Searching the web and reading pages for an answer: each shows as an item of the answer with its events, and gives the
 * model the passages that answer the question best, under numbers it can cite. Nothing here fails: what could not be found
 * or read is said.
 */

import type { RunEvent } from '#core/event.ts';
import type { Answer } from '#core/fold.ts';
import { type QuotedPage, quotePages } from '#core/quoted-pages.ts';
import { type Evidence, type Source, sourcesOf, type WebAction } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { PageReader, WebPage } from '#ports/web-page.ts';
import type { SearchResult, WebSearch } from '#ports/web-search.ts';
import { found, nothingFound, searchFailed } from './web-prompts.ts';
import { choosePassages, mergeResults, pageKey } from './web-results.ts';

/** The answer that is being made, and a way to show in it what is done: a tool's context has both. */
export interface Research {
  answer: Readonly<Answer>;
  signal: AbortSignal;
  publish(events: RunEvent[]): void;
}

/** Text for the model. */
export interface Finding {
  text: string;
  failed: boolean;
}

export interface WebResearch {
  /**
   * @param wish.question what the passages are to answer
   * @param wish.budget UTF-16 units of passages
   */
  search(research: Research, wish: { queries: readonly string[]; question: string; budget: number }): Promise<Finding>;
  open(research: Research, wish: { url: string; question: string; budget: number }): Promise<Finding>;
}

const RESULTS = 6;
const SEARCH_MS = 10_000;
/** Pages that take longer are left aside: what the search engine shows of them has to do. */
const READ_MS = 8_000;

/**
 * @param parts.engines tried in order; the first that finds something is used
 * @param parts.pages how many of the pages that a search finds are read
 */
export function createWebResearch(parts: {
  engines: readonly WebSearch[];
  reader: PageReader;
  pages: number;
  clock: Clock;
  ids: Ids;
}): WebResearch {
  const { engines, reader, pages, clock, ids } = parts;
  return { search, open };

  async function search(
    research: Research,
    { queries, question, budget }: { queries: readonly string[]; question: string; budget: number },
  ): Promise<Finding> {
    const item = add(research, { type: 'search', queries: [...queries] });
    research.publish([{ type: 'search-started', item, queries: [...queries] }]);
    const asked = await Promise.all(queries.map((query) => askEngines(query, research.signal)));
    const results = mergeResults(
      asked.map(({ results }) => results),
      RESULTS,
    );
    const problem = asked.map(({ problem }) => problem).find((one) => one !== '') ?? '';
    if (results.length === 0) {
      const failed = problem !== '';
      complete(research, item, failed);
      return { text: failed ? searchFailed(problem) : nothingFound(queries), failed };
    }
    const placed = results.map((result) => ({ result, ...place(research, item, result) }));
    const looks = await Promise.all(
      placed.map(({ result }, rank) => look(result, rank < pages, question, research.signal)),
    );
    const chosen = choosePassages(
      looks.map(({ passages }) => passages),
      question,
      budget,
    );
    const quoted = placed.map(({ source, at }, i): QuotedPage => {
      const { evidence, unread } = looks[i] as Look;
      const quotes = chosen[i] ?? [];
      if (quotes.length > 0) keep(research, at, source, { ...evidence, quotes });
      return { ...source, quotes, unread };
    });
    complete(research, item);
    return { text: `${found(queries)}\n\n${quotePages(quoted, ids.secret(8))}`, failed: false };
  }

  async function open(
    research: Research,
    { url, question, budget }: { url: string; question: string; budget: number },
  ): Promise<Finding> {
    const item = add(research, { type: 'open_page', url });
    let page: WebPage;
    try {
      page = await reader.read(url, question, research.signal);
    } catch (error) {
      complete(research, item, true);
      return { text: `The page could not be read. ${sentence(error)}`, failed: true };
    }
    const { source, at } = place(research, item, { title: page.title || new URL(page.url).hostname, url });
    const [quotes = []] = choosePassages([page.passages], question, budget);
    const shown = quotes.length > 0 ? quotes : page.passages.slice(0, 1);
    keep(research, at, source, { of: 'page', readAt: clock.now(), hash: page.hash, quotes: shown });
    complete(research, item);
    return { text: quotePages([{ ...source, quotes: shown, unread: '' }], ids.secret(8)), failed: false };
  }

  /** Each engine in order, until one finds something. */
  async function askEngines(query: string, signal: AbortSignal): Promise<{ results: SearchResult[]; problem: string }> {
    let problem = 'no search engine is configured';
    let answered = false;
    for (const engine of engines) {
      try {
        const results = await within(SEARCH_MS, signal, (either) => engine.search(query, RESULTS, either));
        if (results.length > 0) return { results, problem: '' };
        answered = true;
      } catch (error) {
        problem = `${engine.name} could not be asked (${sentence(error)})`;
      }
    }
    return { results: [], problem: answered ? '' : problem };
  }

  /** A result's passages: its page's, or what the search engine shows of it. */
  async function look(
    { url, snippet }: SearchResult,
    read: boolean,
    question: string,
    signal: AbortSignal,
  ): Promise<Look> {
    let unread = 'It was not among the best.';
    if (read) {
      try {
        const { hash, passages } = await within(READ_MS, signal, (either) => reader.read(url, question, either));
        return { passages, unread: '', evidence: { of: 'page', readAt: clock.now(), hash } };
      } catch (error) {
        unread = sentence(error);
      }
    }
    const evidence = { of: 'snippet', readAt: clock.now(), hash: ids.digest(snippet) } as const;
    return { passages: snippet === '' ? [] : [snippet], unread, evidence };
  }

  function add({ answer, publish }: Research, action: WebAction): number {
    const item = answer.items.length;
    publish([
      {
        type: 'item-added',
        item: { type: 'web_search_call', id: ids.uuid(), status: 'in_progress', action, sources: [] },
      },
    ]);
    return item;
  }

  function complete({ publish }: Research, item: number, failed = false): void {
    publish([{ type: 'item-completed', item, ...(failed && { failed: true as const }) }]);
  }

  async function within<T>(ms: number, signal: AbortSignal, task: (either: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const cancel = clock.after(ms, () => timeout.abort());
    try {
      return await task(AbortSignal.any([signal, timeout.signal]));
    } finally {
      cancel();
    }
  }
}

interface Look {
  passages: readonly string[];
  unread: string;
  evidence: Omit<Evidence, 'quotes'>;
}

/** A page's number in the answer, and the item that found it first: a new one's is the next. */
function place(
  { answer, publish }: Research,
  item: number,
  { title, url }: Pick<Source, 'title' | 'url'>,
): { source: Source; at: number } {
  for (const [at, other] of answer.items.entries()) {
    if (other.type !== 'web_search_call') continue;
    const known = other.sources.find((source) => pageKey(source.url) === pageKey(url));
    if (known !== undefined) return { source: { index: known.index, title: known.title, url: known.url }, at };
  }
  const source = { index: sourcesOf(answer.items).length + 1, title, url };
  publish([{ type: 'source-found', item, source }]);
  return { source, at: item };
}

function keep({ publish }: Research, item: number, { index }: Source, evidence: Evidence): void {
  publish([{ type: 'page-read', item, index, evidence }]);
}

function sentence(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : 'It failed.';
}
