/**
 * Secrets that are shown once and kept only as hashes, and still safe to ask for again: with an `Idempotency-Key` they are
 * derived from what the caller was let in by, which is kept nowhere either, the key, and the id of what is made. So a retry
 * gives the same secret, and neither the database nor an old log can (docs/decisions/2026-11-21-secrets-and-retries.md).
 */

import type { Once } from '#core/once.ts';
import type { Ids } from '#ports/clock.ts';

/** An `Idempotency-Key` with the caller's own key or cookie; '' where there is none. */
export interface SecretOnce {
  once: Once;
  presented: string;
}

/** For the store: the same key with another caller's key is another command. */
export function storedOnce(ids: Ids, again: SecretOnce | null): Once | null {
  if (again === null) return null;
  return { key: again.once.key, command: ids.digest(`${again.once.command}\0${again.presented}`) };
}

/** As many `bytes` as hex; 32 where it is derived. */
export function secretFor(ids: Ids, again: SecretOnce | null, id: string, bytes: number): string {
  if (again === null) return ids.secret(bytes);
  return ids.digest(`${again.presented}\0${again.once.key}\0${id}`);
}
