/**
 * Sign-ins of the web app: a key is traded for a cookie, which no script can read (DESIGN.md, Access). A session acts as
 * its key and dies with it. It ends 30 days after it was last used, or when its browser signs out.
 */

import { ServiceError } from '#core/errors.ts';
import type { ApiKey } from '#core/principal.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';
import { isLive, type KeyCache } from './authenticate.ts';

/** What a cookie stands for. */
export interface OpenSession {
  digest: string;
  key: ApiKey;
  /** Unix milliseconds. */
  expiresAt: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const SESSION_MS = 30 * DAY_MS;
/** A session that is used is kept for its whole time again, but written at most once a day. */
const EXTEND_EVERY_MS = DAY_MS;
const TOKEN_BYTES = 32;
const MINUTE_MS = 60_000;
/** Tries of one address within a minute. */
const MAX_TRIES = 10;
const MAX_ADDRESSES = 10_000;

export function createSessions(parts: { store: Store; clock: Clock; ids: Ids; keys: KeyCache }) {
  const { store, clock, ids, keys } = parts;
  /** By address: tries within the minute that began at `since`. */
  const tries = new Map<string, { count: number; since: number }>();
  return { signIn, open, find, isOpen, close, admitTry };

  /** Trades a key for a session. Throws `unauthorized`. */
  async function signIn(secret: string): Promise<{ token: string; key: ApiKey; expiresAt: number }> {
    const key = await keys.find(ids.digest(secret));
    if (key === null || !isLive(key, clock.now())) {
      throw new ServiceError('unauthorized', 'This key is unknown, revoked or expired. Check it, or ask for another.', {
        param: 'key',
      });
    }
    return { key, ...(await open(key)) };
  }

  /** Opens a session of a key that was just checked or made. The token is the cookie's value, and kept only as a hash. */
  async function open({ tenant, id }: ApiKey): Promise<{ token: string; expiresAt: number }> {
    const token = ids.secret(TOKEN_BYTES);
    const createdAt = clock.now();
    const expiresAt = createdAt + SESSION_MS;
    await store.createSession({ session: { tenant, key: id, createdAt, expiresAt }, digest: ids.digest(token) });
    return { token, expiresAt };
  }

  /** The session of a cookie, and keeps it from expiring; null where there is none any more. */
  async function find(token: string): Promise<OpenSession | null> {
    const digest = ids.digest(token);
    const session = await look(digest);
    if (session === null) return null;
    const expiresAt = clock.now() + SESSION_MS;
    if (expiresAt - session.expiresAt < EXTEND_EVERY_MS) return { digest, ...session };
    // One that cannot be extended (a full disk) is as good until it expires.
    await store.extendSession({ digest, expiresAt }).catch(() => {});
    return { digest, key: session.key, expiresAt };
  }

  /** Whether an open stream of this session may go on. */
  async function isOpen(digest: string): Promise<boolean> {
    return (await look(digest)) !== null;
  }

  async function look(digest: string): Promise<{ key: ApiKey; expiresAt: number } | null> {
    const session = await store.findSession(digest);
    const now = clock.now();
    return session !== null && session.expiresAt > now && isLive(session.key, now) ? session : null;
  }

  async function close(digest: string): Promise<void> {
    await store.endSession({ digest });
  }

  /** Counts one try to sign in. Throws `rate_limited` after 10 of an address within a minute. */
  function admitTry(address: string): void {
    const now = clock.monotonic();
    const place = networkOf(address);
    const before = tries.get(place);
    const current = before !== undefined && now - before.since < MINUTE_MS ? before : { count: 0, since: now };
    if (current.count >= MAX_TRIES) {
      const seconds = Math.max(1, Math.ceil((current.since + MINUTE_MS - now) / 1000));
      throw new ServiceError('rate_limited', `Too many tries to sign in. Try again in ${seconds} s.`, {
        headers: { 'retry-after': String(seconds) },
      });
    }
    current.count++;
    if (before === undefined && tries.size >= MAX_ADDRESSES) tries.clear();
    tries.set(place, current);
  }
}

/** An IPv6 caller has a whole /64 of addresses. */
function networkOf(address: string): string {
  if (!address.includes(':') || address.includes('.')) return address;
  const [head = ''] = address.split('::', 1);
  return head.split(':').slice(0, 4).join(':');
}
