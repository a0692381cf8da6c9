/** What a model is told of a search of the web, beside the pages themselves. Pure. */

export function searchFailed(problem: string): string {
  return `A web search for this question failed: ${problem}. Begin by saying that the web could not be searched, then answer from what you know.`;
}

export function nothingFound(queries: readonly string[]): string {
  return `A web search for ${listOf(queries)} found nothing. Say so, then answer from what you know.`;
}

export function found(queries: readonly string[]): string {
  return `A web search for ${listOf(queries)} found the pages below.`;
}

function listOf(queries: readonly string[]): string {
  return queries.map((query) => `"${query.replace(/\s+/g, ' ').trim()}"`).join(', ');
}

export const TOOLS_NOTE =
  'You can search the web with web_search and read pages with open_page. Use them when the answer depends on what you cannot know or are not sure of, and cite the pages you use.';

/** Asks for queries in place of the newest message, which may not say alone what it is about. */
export function askForQueries(optional: boolean, today: string): string {
  return [
    'You write queries for a web search engine. You are shown the end of a conversation; somebody else will answer its last message and needs pages for that.',
    `Write one query to three, each on a line of its own, a few words each, in the language of the message, so that each can be understood without the conversation. Today is ${today}.`,
    optional
      ? 'If pages of the web are of no use for the answer, as for a greeting, thanks, or a change to a text, write NONE.'
      : '',
    'Write nothing else.',
  ]
    .filter((line) => line !== '')
    .join('\n');
}

const MAX_QUERIES = 3;
const MAX_QUERY = 300;

/** What a model wrote when asked for queries; empty for NONE, null where there is nothing in it that is one. */
export function readQueries(text: string): string[] | null {
  const lines = text
    .toWellFormed()
    .replace(/<think>[\s\S]*?(<\/think>|$)/g, '')
    .split(/[\r\n]+/)
    .map((line) =>
      line
        .replace(/^\s*(?:[-*•]|\d{1,2}[.)])?\s*/, '')
        .replace(/^["“„'`]+|["”“'`]+$/g, '')
        .trim(),
    )
    .filter((line) => line !== '' && line.length <= MAX_QUERY);
  if (lines.length === 0) return null;
  return /^none\.?$/i.test(lines[0] ?? '') ? [] : [...new Set(lines)].slice(0, MAX_QUERIES);
}
