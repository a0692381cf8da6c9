/** Pages of lists. A cursor holds time plus id, so that a list that changes underneath skips and doubles nothing. */

/** A place in a list ordered by a time and, within it, by id. */
export interface Cursor {
  /** Unix milliseconds. */
  at: number;
  id: string;
}

/** One page of `T`; `next` leads on where there is more. */
export interface Page<T> {
  data: T[];
  next: Cursor | null;
}

/** The most entries any list gives at once (DIALECTS.md: "at most 1,000 (newest), and 4 MiB"). */
export const MAX_PAGE = 1000;

/** The most text, in UTF-16 units, that a list of messages gives at once. */
export const MAX_PAGE_TEXT = 4 * 1024 * 1024;

/** A cursor as the opaque text of a `before`/`after` parameter. */
export function formatCursor(cursor: Cursor): string {
  return `${cursor.at.toString(36)}.${cursor.id}`;
}

/** Reads what `formatCursor` wrote; null if it is anything else. */
export function parseCursor(text: string): Cursor | null {
  const match = /^([0-9a-z]{1,9})\.([0-9a-f-]{36})$/.exec(text);
  if (match?.[1] === undefined || match[2] === undefined) return null;
  return { at: Number.parseInt(match[1], 36), id: match[2] };
}
