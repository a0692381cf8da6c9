/**
 * The words of a text, as they are searched for: without case and accents, in any language. The same function reads what
 * is put into an index, what is asked for, and what is marked in an answer, so that the three always agree.
 */

/** A word of a text, folded, and where it stands there (UTF-16 units, `end` exclusive). */
export interface Word {
  word: string;
  start: number;
  end: number;
}

/** Words that must follow each other. */
export interface Phrase {
  words: string[];
  /** The last of them may be the beginning of a longer one. */
  prefix: boolean;
}

/** A stretch of a text as one line of plain text, and where in it the words are that were asked for. */
export interface Excerpt {
  snippet: string;
  /** Each `[start, end)` in UTF-16 units of `snippet`; in order, apart from each other, at least one. */
  highlights: [number, number][];
}

/** Fewer letters than this are looked for as a whole word: nearly every text has a word that begins with them. */
const MIN_PREFIX = 3;

/** About how long an excerpt is, and how much of it stands before the first word that was asked for. */
const EXCERPT_LENGTH = 160;
const EXCERPT_LEAD = 40;

/**
 * Scripts that do not set off words by spaces, or glue endings to them: each of their letters is a word by itself, and
 * several in a row are a phrase. So a part of a compound is found, without a dictionary that may cut it otherwise.
 */
const UNSPACED = String.raw`\p{L}&&[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Hang}\p{scx=Thai}\p{scx=Laoo}\p{scx=Khmr}\p{scx=Mymr}]`;
const WORD = new RegExp(
  String.raw`[${UNSPACED}]\p{M}*|[[\p{L}\p{N}]--[${UNSPACED}]][[\p{L}\p{N}\p{M}]--[${UNSPACED}]]*`,
  'gv',
);
const STARTS_UNSPACED = new RegExp(`^[${UNSPACED}]`, 'v');

const NOT_ASCII = /[^\0-\x7f]/;
/** Accents of Latin, Greek and Cyrillic letters, and the vowel points of Hebrew and Arabic, which few people type. */
const ACCENTS = /[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]/g;
/** Letters that are typed as others, and do not decompose into them. */
const TYPED_AS: Record<string, string> = {
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ð: 'd',
  þ: 'th',
  ı: 'i',
  ς: 'σ',
};
/** What some letters and numbers decompose into beside letters and numbers: spaces, brackets. */
const NO_WORD = /[^\p{L}\p{N}\p{M}]/gu;
const TYPED = new RegExp(`[${Object.keys(TYPED_AS).join('')}]`, 'g');

/** The words of a text, in order, as far as they are asked for. */
export function* wordsIn(text: string): Generator<Word> {
  for (const { 0: found, index } of text.matchAll(WORD)) {
    const word = fold(found);
    if (word !== '') yield { word, start: index, end: index + found.length };
  }
}

function fold(word: string): string {
  const lower = word.toLowerCase();
  if (!NOT_ASCII.test(lower)) return lower;
  return lower
    .normalize('NFKD')
    .replace(ACCENTS, '')
    .replace(TYPED, (letter) => TYPED_AS[letter] ?? letter)
    .replace(NO_WORD, '')
    .normalize('NFC');
}

/**
 * What a query asks for: every phrase of it must be there. What stands in quotes is one phrase, and so is what is
 * written without a space, such as `don't` or a word of Chinese. What is written last is the beginning of a word, unless
 * a space or a quote ends it. No text is a malformed query; one without a letter or digit asks for nothing.
 */
export function phrasesOf(query: string): Phrase[] {
  const phrases = new Map<string, Phrase>();
  for (const [i, quotedOrNot] of query.split('"').entries()) {
    const texts = i % 2 === 1 ? [quotedOrNot] : quotedOrNot.split(/\s+/);
    for (const text of texts) {
      const words = [...wordsIn(text)].map(({ word }) => word);
      if (words.length > 0) phrases.set(words.join(' '), { words, prefix: false });
    }
  }
  const last = [...phrases.values()].at(-1);
  const ending = /[^\s"]+$/.exec(query)?.[0];
  const word = ending === undefined ? undefined : [...wordsIn(ending)].at(-1)?.word;
  if (last !== undefined && word !== undefined && last.words.at(-1) === word) last.prefix = isBeginning(word);
  return [...phrases.values()];
}

function isBeginning(word: string): boolean {
  return word.length >= MIN_PREFIX && !STARTS_UNSPACED.test(word);
}

/** The part of a text around the first phrase that is in it, with all that is there marked; null if none is in it. */
export function excerpt(text: string, phrases: readonly Phrase[]): Excerpt | null {
  const longest = Math.max(0, ...phrases.map(({ words }) => words.length));
  const words: Word[] = [];
  const marks: [number, number][] = [];
  let end = Number.POSITIVE_INFINITY;
  for (const word of wordsIn(text)) {
    if (word.end > end) break;
    words.push(word);
    for (const phrase of phrases) {
      const start = startOf(phrase, words);
      if (start === null) continue;
      if (marks.length === 0) end = Math.max(start - EXCERPT_LEAD + EXCERPT_LENGTH, word.end);
      marks.push([start, word.end]);
    }
    // Neither a phrase nor the lead of the excerpt goes back further.
    if (marks.length === 0 && words.length > longest + EXCERPT_LEAD) words.shift();
  }
  const lead = (marks[0]?.[0] ?? 0) - EXCERPT_LEAD;
  const first = words.find(({ start }) => start >= lead);
  const last = words.at(-1);
  if (marks.length === 0 || first === undefined || last === undefined) return null;
  const from = first.start <= EXCERPT_LEAD && lead <= 0 ? 0 : first.start;
  const to = text.length - last.end <= EXCERPT_LEAD ? text.length : last.end;
  return oneLine(text, from, Math.min(to, from + 2 * EXCERPT_LENGTH), marks);
}

/** Where the phrase begins if it ends with the newest of these words. */
function startOf({ words: wanted, prefix }: Phrase, words: readonly Word[]): number | null {
  const at = words.length - wanted.length;
  const fits = wanted.every((want, i) => {
    const word = words[at + i]?.word;
    return prefix && i === wanted.length - 1 ? word?.startsWith(want) : word === want;
  });
  return fits ? (words[at]?.start ?? null) : null;
}

/** A part of a text without line breaks and control characters, and where the marks are in that. */
function oneLine(text: string, from: number, to: number, marks: [number, number][]): Excerpt {
  const highlights: [number, number][] = [];
  let snippet = from > 0 ? '…' : '';
  let done = from;
  const copy = (until: number) => {
    snippet += text.slice(done, until).replace(/[\s\p{Cc}]+/gu, ' ');
    done = until;
  };
  for (const [start, end] of marks.sort(([a], [b]) => a - b)) {
    if (start >= to || end <= done) continue;
    if (start > done || highlights.length === 0) {
      copy(Math.max(start, done));
      highlights.push([snippet.length, snippet.length]);
    }
    copy(Math.min(end, to));
    const mark = highlights.at(-1);
    if (mark !== undefined) mark[1] = snippet.length;
  }
  copy(to);
  return { snippet: snippet.toWellFormed() + (to < text.length ? '…' : ''), highlights };
}
