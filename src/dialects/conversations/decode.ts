/** Wire → service: a frame of the socket, and the cursor of the list. Pure. */

import { invalid } from '#core/errors.ts';
import { type Cursor, parseCursor } from '#core/page.ts';
import { type Frame, frame } from './schema.ts';

const EXPECTED = 'Send {"type": "message", "content": "..."} as JSON text.';

/** Throws `invalid_request` with a readable sentence. */
export function parseFrame(text: string): Frame {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid(`The frame is not JSON. ${EXPECTED}`);
  }
  const result = frame.safeParse(value);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw invalid(`The frame is wrong at "${issue?.path.join('.')}": ${issue?.message}. ${EXPECTED}`);
  }
  if (result.data.type === 'message' && !isStorable(result.data.content)) {
    throw invalid('content must not hold U+0000 or lone surrogates.', 'content');
  }
  return result.data;
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
