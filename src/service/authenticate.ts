/** Who is asking: what a request or socket presents becomes a principal, or is refused (DESIGN.md, Access). */

import { invalid, ServiceError } from '#core/errors.ts';
import { type ApiKey, DEFAULT_TENANT, LOCAL_USER, type Principal } from '#core/principal.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';

export interface Presented {
  /** From `Authorization`, with or without `Bearer`. */
  key: string | null;
  /** The web app's cookie, where it may count; null for none. */
  session: string | null;
  /** The request is known to come from a page of this server, as far as what it asks for needs that. */
  ownPage: boolean;
  /** The request meets every condition of local mode. */
  local: boolean;
  /** The dialect's rule for keyless requests in local mode. */
  access: 'key' | 'local';
  /** The dialect lets callers name their user: then a user key that names another user is refused. */
  namesUser: boolean;
  /** All users named: `X-User-ID`, and `user_id` where the dialect knows it. */
  users: string[];
  /** In local mode only what begins with `plk_` is taken for a key (`/v1` and `/ui`). */
  loose: boolean;
}

export const KEY_PREFIX = 'plk_';
const MAX_USER = 255;

/** How long a key that was found is taken for unchanged, in milliseconds. Whoever revokes one waits for it. */
export const KEY_CACHE_MS = 100;
const MAX_CACHED = 10_000;

/** Keys found a moment ago, so that not every request of a busy client asks the database. */
export interface KeyCache {
  find(digest: string): Promise<ApiKey | null>;
  forget(): void;
}

export function createKeyCache({ store, clock }: { store: Store; clock: Clock }): KeyCache {
  const found = new Map<string, { key: ApiKey; until: number }>();
  return { find, forget: () => found.clear() };

  async function find(digest: string): Promise<ApiKey | null> {
    const now = clock.monotonic();
    const cached = found.get(digest);
    if (cached !== undefined && now < cached.until) return cached.key;
    const key = await store.findKey(digest);
    if (found.size >= MAX_CACHED) found.clear();
    if (key === null) found.delete(digest);
    else found.set(digest, { key, until: now + KEY_CACHE_MS });
    return key;
  }
}

/** Finds the session of a cookie, if it is open. */
export type FindSession = (token: string) => Promise<{ digest: string; key: ApiKey } | null>;

export function createAuthenticate(parts: { keys: KeyCache; findSession: FindSession; clock: Clock; ids: Ids }) {
  const { keys, findSession, clock, ids } = parts;
  return authenticate;

  /** Throws `key_required`, `unauthorized`, `forbidden`, or `invalid_request` for users that disagree. */
  async function authenticate(presented: Presented): Promise<Principal> {
    const { key, local, loose, session } = presented;
    if (key === null || (local && loose && !key.startsWith(KEY_PREFIX))) {
      const found = session === null ? null : await findSession(session);
      return found === null ? keyless(presented) : signedIn(found, presented);
    }
    const found = await keys.find(ids.digest(key));
    if (found === null || !isLive(found, clock.now())) {
      throw new ServiceError(
        'unauthorized',
        'The API key is unknown, revoked or expired. Make one with: ./parlance keys create',
      );
    }
    return keyed(found, presented);
  }

  /** "State-changing calls with a cookie also need a same-origin proof" (DESIGN.md, Access). */
  function signedIn({ digest, key }: { digest: string; key: ApiKey }, presented: Presented): Principal {
    if (!presented.ownPage) {
      throw new ServiceError(
        'forbidden',
        'A session cookie counts only for pages of this server: Sec-Fetch-Site must be same-origin, or Origin this server.',
        { param: 'origin' },
      );
    }
    return { ...keyed(key, presented), session: digest };
  }

  function keyless({ local, access, users, session }: Presented): Principal {
    if (!local || access === 'key') {
      if (session !== null) throw new ServiceError('key_required', 'The session has ended: sign in again.');
      throw new ServiceError(
        'key_required',
        'An API key is required: send the header "Authorization: Bearer <key>". Make one with: ./parlance keys create',
      );
    }
    const named = oneUser(users);
    return {
      tenant: DEFAULT_TENANT,
      user: named ?? LOCAL_USER,
      scopes: ['read', 'write'],
      keyId: null,
      rates: null,
      keyless: true,
      findsKeyless: named === null,
    };
  }

  function keyed(key: ApiKey, { namesUser, users }: Presented): Principal {
    const named = key.kind === 'service' || namesUser ? oneUser(users) : null;
    if (key.kind === 'user' && named !== null && named !== key.user) {
      throw new ServiceError('forbidden', 'A user key acts only for its own user. A service key may act for others.');
    }
    return {
      tenant: key.tenant,
      user: named ?? key.user,
      scopes: key.scopes,
      keyId: key.id,
      rates: key.rates,
      keyless: false,
      findsKeyless: false,
    };
  }
}

/** Whether a key may be used at `now`. */
export function isLive(key: ApiKey, now: number): boolean {
  return key.revokedAt === null && (key.expiresAt === null || key.expiresAt > now);
}

/** The user that all places name, or null if none does. */
function oneUser(users: string[]): string | null {
  const [first, ...others] = users;
  if (first === undefined) return null;
  if (others.some((other) => other !== first)) {
    throw invalid('X-User-ID and user_id name different users: send one of them, or the same in both.', 'user_id');
  }
  if (first === '') throw invalid('user_id must not be empty.', 'user_id');
  if (first.length > MAX_USER) throw invalid(`user_id must be at most ${MAX_USER} characters.`, 'user_id');
  return first;
}
