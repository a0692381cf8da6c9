/**
 * Markdown to tokens: marked, with what a stranger's text must not have taken out (HTML, link definitions) and with
 * math. A block that is made to take long (QUALITY.md, section 2) is shown as it is written. Pure.
 */

import { Marked, type Token, type Tokens } from 'marked';

export interface MathToken extends Tokens.Generic {
  type: 'math';
  text: string;
  display: boolean;
}

const INLINE_MATH = /^\$(?!\s)((?:\\[^\n]|[^$\\\n]){1,1000}?)(?<!\s)\$(?!\d)/;
const DISPLAY_MATH = /^\$\$((?:\\[\s\S]|[^$\\]){1,5000}?)\$\$/;
const BRACKET_MATH = /^\\(?:\(([^\n]{1,1000}?)\\\)|\[([\s\S]{1,5000}?)\\\])/;
const ADDRESS = /^https?:\/\/[^\s<>"'`]+/i;
/** What ends a sentence, and does not belong to the address in it. */
const TRAILING = /[.,;:!?*_~]+$/;

const LOOK_AHEAD = 1000;

const marked = new Marked({
  gfm: true,
  tokenizer: {
    html: () => undefined,
    tag: () => undefined,
    def: () => undefined,
    /** Whole addresses only: those without a scheme and e-mail addresses are slow to look for. */
    url(source) {
      const found = ADDRESS.exec(source)?.[0].replace(TRAILING, '');
      if (found === undefined || found.length < 10) return undefined;
      const raw = withoutLooseBrackets(found);
      const text: Tokens.Text = { type: 'text', raw, text: raw, escaped: false };
      return { type: 'link', raw, text: raw, href: raw, tokens: [text] };
    },
  },
  extensions: [
    {
      name: 'math',
      level: 'inline',
      // Asked at every step: to look to the end each time would take the square of it.
      start: (source: string) => {
        const at = source.slice(0, LOOK_AHEAD).search(/\$|\\[([]/);
        if (at !== -1) return at;
        return source.length > LOOK_AHEAD ? LOOK_AHEAD : undefined;
      },
      tokenizer(source: string): MathToken | undefined {
        const display = DISPLAY_MATH.exec(source);
        if (display !== null) return mathToken(display[0], display[1] ?? '', true);
        const inline = INLINE_MATH.exec(source);
        if (inline !== null) return mathToken(inline[0], inline[1] ?? '', false);
        const bracket = BRACKET_MATH.exec(source);
        if (bracket === null) return undefined;
        return mathToken(bracket[0], bracket[1] ?? bracket[2] ?? '', bracket[2] !== undefined);
      },
    },
  ],
});

function mathToken(raw: string, text: string, display: boolean): MathToken {
  return { type: 'math', raw, text: text.trim(), display };
}

/** "(see https://a.b/c)": the last bracket is the sentence's. */
function withoutLooseBrackets(address: string): string {
  let end = address.length;
  while (address[end - 1] === ')' && count(address, ')', end) > count(address, '(', end)) end--;
  return address.slice(0, end);
}

function count(text: string, character: string, end: number): number {
  let found = 0;
  for (let at = text.indexOf(character); at !== -1 && at < end; at = text.indexOf(character, at + 1)) found++;
  return found;
}

/** Signs that may mean something, and runs of them: to pair those takes time that grows with their square. */
const MAX_SIGNS = 4000;
const MAX_RUNS = 1200;
/** Quotes and lists within each other. */
const TOO_DEEP = /^[ \t]*(?:(?:>|[-*+]|\d{1,9}[.)])[ \t]*){24}|^[ \t]{120}/m;

/** The tokens of one block; null: it is to be shown as it is written. */
export function parseBlock(raw: string): Token[] | null {
  if (TOO_DEEP.test(raw) || hasTooManySigns(raw)) return null;
  try {
    return marked.lexer(raw);
  } catch {
    return null;
  }
}

function hasTooManySigns(raw: string): boolean {
  let signs = 0;
  let runs = 0;
  for (const [run] of raw.matchAll(/[*_~[\]`$<\\]+/g)) {
    signs += run.length;
    if (signs > MAX_SIGNS || ++runs > MAX_RUNS) return true;
  }
  return false;
}

export interface FencedCode {
  language: string;
  code: string;
  /** False while its end has not come. */
  closed: boolean;
}

/** A block of the kind `code`: read without marked, since it may be long and grows while it is written. */
export function readFence(raw: string): FencedCode {
  const newline = raw.indexOf('\n');
  const head = newline === -1 ? raw : raw.slice(0, newline);
  const [, indent = '', mark = '```', info = ''] = /^( *)(`+|~+)(.*)$/.exec(head.trimEnd()) ?? [];
  let code = newline === -1 ? '' : raw.slice(newline + 1);
  const body = code.trimEnd();
  const last = body.slice(body.lastIndexOf('\n') + 1).trim();
  const closed = last.length >= mark.length && last === (mark[0] ?? '`').repeat(last.length);
  if (closed) code = body.slice(0, body.lastIndexOf('\n') + 1);
  if (indent !== '') code = code.replace(new RegExp(`^ {0,${indent.length}}`, 'gm'), '');
  return { language: info.trim().split(/\s/, 1)[0] ?? '', code: code.replace(/\n$/, ''), closed };
}

/** The formula of a block of the kind `math`. */
export function readMath(raw: string): string {
  return raw
    .trim()
    .replace(/^(\$\$|\\\[)/, '')
    .replace(/(\$\$|\\\])$/, '')
    .trim();
}

/**
 * Closes what is open at the end of a text that is still being written, so that signs which will be emphasis, code or a
 * link's address do not flash up. Only for showing: it is gone once the text goes on.
 */
export function closeLoose(raw: string): string {
  const lineAt = raw.lastIndexOf('\n') + 1;
  let line = raw.slice(lineAt).replace(/!?\[([^[\]]*)(?:\]\([^()\s]*)?$/, '$1');
  if ((line.match(/`/g)?.length ?? 0) % 2 === 1) line = line.endsWith('`') ? line.slice(0, -1) : `${line}\``;
  else if ((line.match(/\*\*/g)?.length ?? 0) % 2 === 1) line = line.endsWith('**') ? line.slice(0, -2) : `${line}**`;
  else if (/(?:^|[^*])\*$/.test(line) && !/^\s*\*$/.test(line)) line = line.slice(0, -1);
  return raw.slice(0, lineAt) + line;
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  copy: '©',
  reg: '®',
  trade: '™',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  times: '×',
  rarr: '→',
  larr: '←',
  deg: '°',
  euro: '€',
  bull: '•',
  middot: '·',
};

/** Character references as text, which is all they ever become here. */
export function decodeReferences(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|([a-z]{2,8}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[name] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code === 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? '\ufffd' : String.fromCodePoint(code);
  });
}
