/** The `[n]` of an answer's text and the pages they stand for. Pure. */

import { createRanking, wordsOf } from './rank.ts';
import type { Source } from './turn.ts';

export interface Citation {
  /** Of the `[1]` itself, in UTF-16 units of the text; the end is exclusive. */
  start: number;
  end: number;
  source: Source;
  /** The passage of the page that supports the sentence best; null where nothing of it was read. */
  quote: string | null;
}

/** How much of the text before a citation is what it supports, at most. */
const SENTENCE = 400;
/** A text that cites more than so often is looked at up to there. */
const MOST = 1000;
/** Fenced and inline code, in which `[1]` is an index. What is not closed goes on to the end. */
const CODE = /^ {0,3}(```|~~~)[\s\S]*?(?:^ {0,3}\1|$(?![\s\S]))|(`{1,2})(?!`)[^`\n]+\2/gm;
/** `[1]`, and several in one: `[1, 2]`. Not a link `[1](…)` nor the definition of one. */
const MARK = /\[(\d{1,3}(?: ?, ?\d{1,3}){0,9})\](?![(:])/g;

/** In the order of the text. A number that no source has is plain text. */
export function citationsOf(text: string, sources: readonly Source[]): Citation[] {
  if (sources.length === 0 || !text.includes('[')) return [];
  const code = [...text.matchAll(CODE)].map((match) => [match.index, match.index + match[0].length] as const);
  const quoteFor = createQuotes();
  const citations: Citation[] = [];
  for (const match of text.matchAll(MARK)) {
    if (citations.length >= MOST) break;
    const start = match.index;
    if (code.some(([from, to]) => start >= from && start < to)) continue;
    const end = start + match[0].length;
    for (const number of (match[1] ?? '').split(',')) {
      const source = sources.find(({ index }) => index === Number(number));
      if (source === undefined) continue;
      citations.push({ start, end, source, quote: quoteFor(source, sentenceBefore(text, start)) });
    }
  }
  return citations;
}

/** What is said right before a citation, without other citations. */
function sentenceBefore(text: string, end: number): string {
  const before = text
    .slice(Math.max(0, end - SENTENCE), end)
    .replace(/\[[\d, ]+\]/g, '')
    .trimEnd();
  const start = Math.max(before.slice(0, -1).search(/[.!?\n](?=[^.!?\n]*$)/), -1);
  return before.slice(start + 1);
}

/** Which of a source's quotes a sentence is nearest to; each source's are looked at once. */
function createQuotes(): (source: Source, sentence: string) => string | null {
  const rankings = new Map<Source, ReturnType<typeof createRanking>>();
  return (source, sentence) => {
    const quotes = source.evidence?.quotes ?? [];
    const rank = rankings.get(source) ?? createRanking(quotes.map(wordsOf));
    rankings.set(source, rank);
    return quotes[rank(sentence)[0]?.index ?? 0] ?? null;
  };
}
