/** A page's text cut into passages, and the passages that a question is best answered by. Pure. */

import { createRanking, wordsOf } from './rank.ts';

/** UTF-16 units: about a paragraph, so that one fits a citation. */
const LENGTH = 700;
const MAX_LENGTH = 900;
/** What is shorter is a heading, or the like, of what follows. */
const HEADING = 100;

/**
 * Cuts at blank lines, a long paragraph at the ends of its sentences; short neighbours, such as a heading and what is below
 * it, stay together. No passage is longer than 1,000 units.
 */
export function cutPassages(text: string): string[] {
  const passages: string[] = [];
  let passage = '';
  for (const paragraph of text.split(/\n{2,}/)) {
    for (const piece of pieces(paragraph.trim())) {
      if (passage.length >= HEADING && passage.length + piece.length + 1 > LENGTH) {
        passages.push(passage);
        passage = '';
      }
      passage = passage === '' ? piece : `${passage}\n${piece}`;
    }
  }
  if (passage !== '') passages.push(passage);
  return passages;
}

/** A paragraph in pieces of at most `MAX_LENGTH`, each ending with a sentence where there is one to end. */
function* pieces(paragraph: string): Generator<string> {
  let from = 0;
  while (paragraph.length - from > MAX_LENGTH) {
    const window = paragraph.slice(from, from + MAX_LENGTH);
    const end =
      lastEnd(window, /[.!?…](?=\s)|[。！？\n]/g) ??
      lastEnd(window, /\s/g) ??
      lastEnd(window, /[^\ud800-\udbff]/g) ??
      MAX_LENGTH;
    const piece = window.slice(0, end).trim();
    if (piece !== '') yield piece;
    from += end;
  }
  const rest = paragraph.slice(from).trim();
  if (rest !== '') yield rest;
}

/** Behind the last match that leaves no all too small piece. */
function lastEnd(text: string, pattern: RegExp): number | null {
  let end: number | null = null;
  for (const match of text.matchAll(pattern)) end = match.index + match[0].length;
  return end === null || end < LENGTH / 2 ? null : end;
}

/**
 * The `most` passages that have most of the question's words, best first; where fewer have any, the first of the others
 * follow. Without a question: the first ones, in their order.
 */
export function nearestPassages<T>(
  passages: readonly T[],
  question: string,
  most: number,
  textOf: (passage: T) => string,
): T[] {
  const rank = createRanking(passages.map((passage) => wordsOf(textOf(passage))));
  const hits = rank(question).slice(0, most);
  const nearest = hits.map(({ index }) => passages[index] as T);
  const rest = passages.filter((_, index) => !hits.some((hit) => hit.index === index));
  return [...nearest, ...rest].slice(0, most);
}
