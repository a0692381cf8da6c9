/** Text out of the small HTML that search engines write: what remains is data, shown and quoted as text. */

/** What engines and Wikipedia's excerpts use; others stay as they are written. */
const ENTITIES: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
  ndash: '–',
  mdash: '—',
  hellip: '…',
  lsquo: '‘',
  rsquo: '’',
  ldquo: '“',
  rdquo: '”',
  laquo: '«',
  raquo: '»',
  middot: '·',
  bull: '•',
};
/** How much is looked at for one character that is kept. */
const SLACK = 8;

/**
 * One line without tags, with entities decoded once, at most `most` characters. Characters that steer terminals or turn
 * the direction of writing around are dropped. '' for what is no text.
 */
export function plainText(html: unknown, most: number): string {
  if (typeof html !== 'string') return '';
  const text = html
    .slice(0, most * SLACK)
    .replace(/<\/?[a-z!][^<>]*>/gi, '')
    .replace(/&(#\d{1,7}|#x[\da-f]{1,6}|[a-z]{2,8});/gi, (whole, name: string) => decode(name) ?? whole)
    .replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
    .toWellFormed();
  if (text.length <= most) return text;
  // Never between the halves of a character.
  return `${text.slice(0, most - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

function decode(name: string): string | undefined {
  if (!name.startsWith('#')) return ENTITIES[name.toLowerCase()];
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
  return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : '';
}
