/** Wire → service: a frame of the socket, and the cursor of the list. Pure. */

import { invalid } from '#core/errors.ts';
import { type Cursor, parseCursor } from '#core/page.ts';
import { checkFields } from '#http/validate.ts';
import { FRAMES, type Frame, frame } from './schema.ts';

/** Throws `invalid_request` with a readable sentence. */
export function parseFrame(text: string): Frame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`The frame is not JSON. ${FRAMES}`);
  }
  const parsed = checkFields(frame, value);
  if (parsed.type === 'message' && !isStorable(parsed.content)) {
    throw invalid('content must not hold U+0000 or lone surrogates.', 'content');
  }
  return parsed;
}

function isStorable(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

/** The `before` of the list. Throws `invalid_request`. */
export function parseBefore(text: string | undefined): Cursor | null {
  if (text === undefined) return null;
  const cursor = parseCursor(text);
  if (cursor === null) throw invalid('before must be taken from a Link header of this list.', 'before');
  return cursor;
}
