/** `Idempotency-Key`: the key, and a digest of the decoded command. */

import { invalid } from '#core/errors.ts';
import type { Once } from '#core/once.ts';

/** "≤ 255 characters" (DIALECTS.md, Rules for every dialect); printable ASCII. */
const KEY = /^[\x20-\x7e]{1,255}$/;

/** Checks the header; null without it. Throws `invalid_request`. */
export function idempotencyKey(header: string | string[] | undefined): string | null {
  if (header === undefined) return null;
  if (typeof header === 'string' && KEY.test(header)) return header;
  throw invalid('Idempotency-Key must have 1 to 255 printable ASCII characters.', 'idempotency-key');
}

/** The command of a request: two requests that mean the same give the same, however their JSON was written. */
export function once(
  key: string,
  digest: (text: string) => string,
  command: { method: string; path: string; params: unknown; query: unknown; body: unknown },
): Once {
  const { method, path, params, query, body } = command;
  return { key, command: digest(`${method} ${path} ${canonical([params, query, body])}`) };
}

/** JSON with the keys of every object in order. Bodies are at most 100 levels deep, so it may recurse. */
function canonical(value: unknown): string {
  return JSON.stringify(ordered(value));
}

function ordered(value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map(ordered);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, ordered(inner)]));
}
