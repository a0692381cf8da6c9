/**
 * Cuts Markdown into top-level blocks, line by line and from left to right, so that the blocks of a text do not depend
 * on how it arrived: text that is added can change the last block alone. Each block is then parsed by itself, and those
 * that did not change are not parsed or drawn again. Pure.
 */

export interface Block {
  /** Where it begins in the text. */
  start: number;
  raw: string;
  kind: 'text' | 'list' | 'indented' | 'quote' | 'code' | 'math';
}

const FENCE = /^( {0,3})(`{3,}|~{3,})([^\n]*)$/;
const LIST_FENCE = /^(\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?)(`{3,}|~{3,})([^\n]*)$/;
const LIST_ITEM = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const MATH = /^ {0,3}(\$\$|\\\[)/;

interface Fence {
  mark: string;
  indent: number;
}

/**
 * The blocks of `text`; with `before`, the blocks of a text this one begins with, only the end of them is read again: the
 * last one, and the one before it while the last is a single line, which may yet turn out to belong there.
 */
export function splitBlocks(text: string, before: readonly Block[] = []): Block[] {
  const again = before.at(-1)?.raw.includes('\n') === true ? 1 : 2;
  const from = before.at(-again)?.start ?? 0;
  return [...before.slice(0, Math.max(0, before.length - again)), ...readBlocks(text, from)];
}

function readBlocks(text: string, from: number): Block[] {
  const blocks: Block[] = [];
  let open: Block | null = null;
  let fence: Fence | null = null;
  let blank = false;

  const begin = (start: number, kind: Block['kind']): Block => {
    if (open !== null) close(start);
    open = { start, raw: '', kind };
    fence = null;
    return open;
  };
  const close = (end: number): void => {
    if (open === null) return;
    open.raw = text.slice(open.start, end);
    blocks.push(open);
    open = null;
  };

  for (let at = from; at < text.length; ) {
    const newline = text.indexOf('\n', at);
    const end = newline === -1 ? text.length : newline + 1;
    const line = text.slice(at, newline === -1 ? end : newline).trimEnd();
    const start = at;
    at = end;
    const current = open as Block | null;

    if (current?.kind === 'code') {
      if (closesFence(line, fence)) close(end);
      continue;
    }
    if (current?.kind === 'math') {
      if (line.endsWith('$$') || line.endsWith('\\]')) close(end);
      continue;
    }
    if (current?.kind === 'list' && fence !== null) {
      const left = line !== '' && indentOf(line) < 2 && (fence as Fence).indent >= 2;
      if (closesFence(line, fence) || left) fence = null;
      if (!left) continue;
    }
    if (line.trim() === '') {
      blank = true;
      continue;
    }
    const after = blank;
    blank = false;
    const fenced = FENCE.exec(line);
    if (fenced !== null && isOpening(fenced) && !(current?.kind === 'list' && indentOf(line) >= 2)) {
      begin(start, 'code');
      fence = { mark: fenced[2] ?? '', indent: 0 };
      continue;
    }
    const math = MATH.exec(line);
    if (math !== null && (after || current === null)) {
      begin(start, 'math');
      const rest = line.trim().slice(2);
      if (rest.endsWith(math[1] === '$$' ? '$$' : '\\]')) close(end);
      continue;
    }
    if (current === null || (after && !continues(current, line))) {
      begin(start, kindOf(line));
    }
    if ((open as Block | null)?.kind === 'list') {
      const inner = LIST_FENCE.exec(line);
      if (inner !== null && isOpening(inner))
        fence = { mark: inner[2] ?? '', indent: Math.max(2, inner[1]?.length ?? 0) };
    }
  }
  close(text.length);
  return blocks;
}

/** Whether a line behind a blank one still belongs to the block. */
function continues({ kind }: Block, line: string): boolean {
  if (kind === 'list') return indentOf(line) >= 2 || LIST_ITEM.test(line);
  return kind === 'indented' && indentOf(line) >= 4;
}

function kindOf(line: string): Block['kind'] {
  if (indentOf(line) >= 4) return 'indented';
  if (LIST_ITEM.test(line)) return 'list';
  return line.trimStart().startsWith('>') ? 'quote' : 'text';
}

/** A line of backticks with a backtick behind them is code within a line. */
function isOpening([, , mark = '', info = '']: RegExpExecArray): boolean {
  return !(mark.startsWith('`') && info.includes('`'));
}

function closesFence(line: string, fence: Fence | null): boolean {
  const text = line.trim();
  const mark = fence?.mark ?? '```';
  return text.length >= mark.length && text === (mark[0] ?? '`').repeat(text.length);
}

function indentOf(line: string): number {
  let width = 0;
  for (const character of line) {
    if (character === ' ') width += 1;
    else if (character === '\t') width += 4 - (width % 4);
    else break;
  }
  return width;
}
