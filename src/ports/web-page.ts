/** Pages of the web, read as text that nobody vouches for. */

export interface WebPage {
  /** Where it was found in the end, after redirects. */
  url: string;
  /** '' where it has none. */
  title: string;
  /** SHA-256 of its main text, in hex. */
  hash: string;
  /**
   * Passages of its main text as plain text, nearest to the question first; in the order of the page where there is no
   * question. Bounded in number and length, not the whole page.
   */
  passages: string[];
}

export interface PageReader {
  /**
   * Reads the page at an http(s) address.
   *
   * @param question what its passages are wanted for; '' for none
   * @throws `Error` with a readable sentence where it may not or cannot be read; it never hangs
   */
  read(url: string, question: string, signal: AbortSignal): Promise<WebPage>;
  close(): Promise<void>;
}
