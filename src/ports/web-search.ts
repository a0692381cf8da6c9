/** Search on the web, for answers that may look things up. */

export interface SearchResult {
  title: string;
  url: string;
  /** What the search engine shows of the page, as plain text. */
  snippet: string;
}

export interface WebSearch {
  /** The engine's name, for `doctor` and errors. */
  readonly name: string;
  /** At most `limit` results, best first. Throws an `Error` with a readable sentence when the engine cannot be asked. */
  search(query: string, limit: number, signal: AbortSignal): Promise<SearchResult[]>;
}
