/** The wire of what Parlance adds to `/v1` → commands of the services. Pure. */

import { invalid } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Call } from '#http/route.ts';
import type { NewKey } from '#service/keys.ts';
import type { SecretOnce } from '#service/secrets.ts';
import type { WireNewKey } from './schema.ts';

/** A key of one's own user, unless it says whose. */
export function toNewKey(wire: WireNewKey, asking: string): NewKey {
  const { user, kind, name, scopes, rates, expires_at } = wire;
  if (user === undefined && kind === 'user')
    throw invalid('Whose key is it? Name the user, or make a service key.', 'user');
  return {
    user: user ?? asking,
    kind,
    name: name ?? null,
    scopes: [...new Set(scopes)],
    rates: rates == null ? null : { perMinute: rates.per_minute, perHour: rates.per_hour },
    expiresAt: expires_at == null ? null : expires_at * 1000,
  };
}

/** What a secret that is made under an `Idempotency-Key` is derived from: what the caller was let in by. */
export function toSecretOnce(once: Once | null, headers: Call['headers']): SecretOnce | null {
  return once === null ? null : { once, presented: headers.authorization ?? headers.cookie ?? '' };
}

export function asksForEvents(headers: Call['headers']): boolean {
  return (headers.accept ?? '').split(',').some((type) => type.trim().toLowerCase().startsWith('text/event-stream'));
}

/** Where an EventSource left; null without it. Throws `invalid_request`. */
export function parseLastEventId(header: string | string[] | undefined): number | null {
  if (header === undefined || header === '') return null;
  if (typeof header === 'string' && /^\d{1,15}$/.test(header)) return Number(header);
  throw invalid('Last-Event-ID must be the number of a change.', 'last-event-id');
}
