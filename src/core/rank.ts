/**
 * A small ranking of short texts: BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) over words
 * whose English endings are cut off. Made for some hundred passages, built in a few milliseconds. Pure.
 */

export interface Hit {
  /** The position of the text in the list that was given. */
  index: number;
  score: number;
  /** How much of the question's weight is in that text, 0–1: a word that is in no text at all weighs most. */
  coverage: number;
}

const K1 = 1.2;
const B = 0.75;
/** The most words of a question that count. */
const MAX_QUERY = 100;

const STOP_WORDS = new Set(
  `a about actually am an and any are as at be been but by can could did do does doing for from get give got had has have
  he her his how i if in into is it its just know let like may me my need no not of on one or our please shall she should
  show so some tell than that the their them then there these they this to too us use using want was way we were what when
  where which who why will with would you your`.split(/\s+/),
);

/** Scripts that are written without spaces. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}]/u;

/**
 * The words of a text as they are compared. `PARLANCE_LOCAL` is one word and its parts; single characters are none. Where
 * words are not parted by spaces, each two neighbours are one.
 */
export function wordsOf(text: string): string[] {
  const plain = text.toLowerCase().normalize('NFKD').replace(/\p{M}/gu, '');
  const words: string[] = [];
  for (const [word] of plain.matchAll(/[\p{L}\p{N}]+(?:_[\p{L}\p{N}]+)*/gu)) {
    if (UNSPACED.test(word)) {
      for (let i = 0; i + 2 <= word.length; i++) words.push(word.slice(i, i + 2));
      continue;
    }
    if (word.includes('_')) words.push(word);
    for (const part of word.split('_')) if (part.length > 1 && !STOP_WORDS.has(part)) words.push(stem(part));
  }
  return words;
}

/** Cuts what English adds to a word, so that "connecting", "connects" and "connection" meet. */
function stem(word: string): string {
  if (word.length < 4) return word;
  if (word.endsWith('ies')) return `${word.slice(0, -3)}y`;
  let root = word.replace(/(?<=s|x|ch|sh)es$|(?<![sui])s$/u, '');
  root = root.replace(/(?<=.{4})(?:ation|ion)$|(?<=.{3})(?:ing|ed)$/u, '');
  root = root.replace(/([^aeiouls])\1$/u, '$1');
  return root.length > 3 ? root.replace(/e$/u, '') : root;
}

/** Ranks texts, given as their words; a word that is to count more is given more than once. */
export function createRanking(texts: readonly string[][]): (query: string) => Hit[] {
  const counts = texts.map((words) => {
    const count = new Map<string, number>();
    for (const word of words) count.set(word, (count.get(word) ?? 0) + 1);
    return count;
  });
  const having = new Map<string, number>();
  for (const count of counts) for (const word of count.keys()) having.set(word, (having.get(word) ?? 0) + 1);
  const average = texts.reduce((sum, words) => sum + words.length, 0) / Math.max(1, texts.length);
  const weigh = (word: string) => {
    const n = having.get(word) ?? 0;
    return Math.log(1 + (texts.length - n + 0.5) / (n + 0.5));
  };

  return (query) => {
    const asked = [...new Set(wordsOf(query))].slice(0, MAX_QUERY).map((word) => ({ word, weight: weigh(word) }));
    const total = asked.reduce((sum, { weight }) => sum + weight, 0);
    const hits: Hit[] = [];
    for (const [index, count] of counts.entries()) {
      const norm = K1 * (1 - B + (B * (texts[index]?.length ?? 0)) / average);
      let score = 0;
      let covered = 0;
      for (const { word, weight } of asked) {
        const n = count.get(word);
        if (n === undefined) continue;
        score += (weight * n * (K1 + 1)) / (n + norm);
        covered += weight;
      }
      if (score > 0) hits.push({ index, score, coverage: covered / total });
    }
    return hits.sort((a, b) => b.score - a.score);
  };
}
