/**
 * The pattern of a frame: what stands around the text that a server sends in it, and the proof that it does. Bytes are
 * held as Latin-1 text.
 */

import { plainDelta } from './chunk.ts';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** A frame around its text: `before` ends with the quote that opens it, `after` begins with the one that closes it. */
export interface Pattern {
  type: 'text' | 'reasoning';
  before: string;
  after: string;
  /** OpenAI pads its frames to hide their lengths: then `after` ends where the padding begins, and this follows it. */
  end: string | null;
}

/** The pattern of a frame whose chunk does nothing but add text; null if none can be proven. */
export function patternOf(frame: string, type: 'text' | 'reasoning'): Pattern | null {
  for (const { index, 0: key } of frame.matchAll(/"(?:content|reasoning_content|reasoning)": ?"/g)) {
    const from = index + key.length;
    const to = endOfString(frame, from);
    if (to === -1) continue;
    const pattern: Pattern = { type, before: frame.slice(0, from), after: frame.slice(to), end: null };
    const padding = /"obfuscation": ?"/.exec(pattern.after);
    const cut = padding ? padding.index + padding[0].length : 0;
    const cutEnd = padding ? endOfString(pattern.after, cut) : -1;
    if (cutEnd !== -1) {
      pattern.end = pattern.after.slice(cutEnd);
      pattern.after = pattern.after.slice(0, cut);
    }
    if (proves(pattern)) return pattern;
  }
  return null;
}

/** Whether a frame made with this pattern says its text, all of it, and nothing else. */
function proves({ type, before, after, end }: Pattern): boolean {
  const text = 'another';
  const frame = before + text + after + (end === null ? '' : `padding${end}`);
  const line = /^data: ?([^\r\n]*)(?:\r\n\r\n|\n\n|\r\r)$/.exec(frame)?.[1];
  const chunk = line === undefined ? null : parseObject(line);
  const delta = plainDelta(chunk);
  if (delta?.text !== text || delta.reasoning !== (type === 'reasoning')) return false;
  return end === null || (chunk as { obfuscation?: unknown }).obfuscation === 'padding';
}

/** The place of the quote that closes a JSON string without escapes, from `at`; -1 if there is none. */
export function endOfString(text: string, at: number): number {
  for (let place = at; ; place += 1) {
    const unit = text.charCodeAt(place);
    if (unit === QUOTE) return place;
    if (unit === BACKSLASH || !(unit >= 0x20)) return -1;
  }
}

/** A JSON object or array from bytes; null for anything else. */
export function parseObject(bytes: string): object | null {
  try {
    const value: unknown = JSON.parse(decode(bytes));
    return typeof value === 'object' ? value : null;
  } catch {
    return null;
  }
}

/** The UTF-8 text of bytes that are held as Latin-1. */
export function decode(bytes: string): string {
  if (!/[\x80-\xff]/.test(bytes)) return bytes;
  return Buffer.from(bytes, 'latin1').toString();
}
