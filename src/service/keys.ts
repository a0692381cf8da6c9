/** API keys and the users they act for. */

import { invalid, notFound, ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import {
  type ApiKey,
  DEFAULT_TENANT,
  LOCAL_USER,
  type Principal,
  type Rates,
  type Scope,
  type User,
} from '#core/principal.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { ListByAge, Store } from '#ports/store.ts';
import { isLive, KEY_CACHE_MS, KEY_PREFIX, type KeyCache } from './authenticate.ts';
import { type SecretOnce, secretFor, storedOnce } from './secrets.ts';

export interface NewKey {
  user: string;
  kind: ApiKey['kind'];
  name: string | null;
  scopes: Scope[];
  rates: Rates | null;
  /** Unix milliseconds; null: never. */
  expiresAt: number | null;
}

/** A key just made: the only time its secret is seen. */
export interface IssuedKey {
  key: ApiKey;
  secret: string;
}

export const ALL_SCOPES: readonly Scope[] = ['read', 'write', 'admin'];
const SECRET_BYTES = 32;
const INVITE_BYTES = 24;
const INVITE_MS = 7 * 24 * 60 * 60 * 1000;
/** What a secret given by hand (`PARLANCE_OWNER_KEY`) must have after its prefix. */
const MIN_SECRET = 32;

/** The principal of the machine's owner: what the command line acts as. */
export const OWNER: Principal = {
  tenant: DEFAULT_TENANT,
  user: LOCAL_USER,
  scopes: ALL_SCOPES,
  keyId: null,
  rates: null,
  keyless: false,
  findsKeyless: false,
};

/**
 * @param parts.cache the server's own; a command beside the server has none
 * @param parts.publicUrl the address others reach the server by, where it is configured
 */
export function createKeys(parts: {
  store: Store;
  clock: Clock;
  ids: Ids;
  cache?: KeyCache;
  publicUrl?: string | null;
}) {
  const { store, clock, ids, cache } = parts;
  return { create, list, revoke, isLive: isLiveKey, ensureOwnerKey, listUsers, pageUsers, invite, inviteUrl, redeem };

  async function create(principal: Principal, wanted: NewKey, again: SecretOnce | null = null): Promise<IssuedKey> {
    requireAdmin(principal);
    return issue(principal, wanted, (id) => KEY_PREFIX + secretFor(ids, again, id, SECRET_BYTES), again);
  }

  /** All of them, oldest first, unless a page says otherwise. Throws `invalid_request` for a page after no key. */
  async function list(principal: Principal, page?: ListByAge): Promise<ApiKey[]> {
    requireAdmin(principal);
    return store.listKeys(principal.tenant, page);
  }

  /**
   * Once it resolves nobody takes the key any more; its open streams close within 5 s. Twice is the same as once. Throws
   * `not_found`.
   */
  async function revoke(principal: Principal, id: string, once: Once | null = null): Promise<ApiKey> {
    requireAdmin(principal);
    const { value: key } = await store.revokeKey({ owner: principal, now: clock.now(), once, id });
    if (cache !== undefined) cache.forget();
    // A server beside us may have looked at it just before.
    else await new Promise<void>((resolve) => clock.after(KEY_CACHE_MS, resolve));
    return key;
  }

  /** Whether an open stream of this key may go on. */
  async function isLiveKey(tenant: string, id: string): Promise<boolean> {
    const key = await store.findKeyById(tenant, id);
    return key !== null && isLive(key, clock.now());
  }

  /**
   * At the first start the owner gets one service key with every scope: `given` (`PARLANCE_OWNER_KEY`), else a random
   * one. Null if there was a key with the scope `admin` before.
   */
  async function ensureOwnerKey(given: string | null): Promise<IssuedKey | null> {
    if (given !== null && !(given.startsWith(KEY_PREFIX) && given.length >= KEY_PREFIX.length + MIN_SECRET)) {
      throw invalid(`PARLANCE_OWNER_KEY must be "${KEY_PREFIX}" and at least ${MIN_SECRET} characters.`);
    }
    const before = await store.listKeys(DEFAULT_TENANT);
    if (before.some(({ scopes }) => scopes.includes('admin'))) return null;
    const secret = given ?? KEY_PREFIX + ids.secret(SECRET_BYTES);
    return issue(
      OWNER,
      { user: LOCAL_USER, kind: 'service', name: 'owner', scopes: [...ALL_SCOPES], rates: null, expiresAt: null },
      () => secret,
      null,
    );
  }

  async function listUsers(principal: Principal): Promise<User[]> {
    requireAdmin(principal);
    return store.listUsers(principal.tenant);
  }

  /** Users by name: all with the scope `admin`; whoever is keyless sees those of this machine, to switch between them. */
  async function pageUsers(principal: Principal, page: { after: string; limit: number }): Promise<User[]> {
    if (!principal.keyless) requireAdmin(principal);
    return store.pageUsers({ tenant: principal.tenant, local: principal.keyless, ...page });
  }

  /** A link's secret part: whoever opens it first, within 7 days, gets a key of that user's. */
  async function invite(
    principal: Principal,
    user: string,
    again: SecretOnce | null = null,
  ): Promise<{ token: string; expiresAt: number }> {
    requireAdmin(principal);
    const now = clock.now();
    const id = ids.uuid();
    const token = secretFor(ids, again, id, INVITE_BYTES);
    const { value } = await store.createInvite({
      owner: principal,
      now,
      once: storedOnce(ids, again),
      id,
      invite: { tenant: principal.tenant, user, createdAt: now, expiresAt: now + INVITE_MS },
      digest: ids.digest(token),
    });
    const { expiresAt } = value.invite;
    return { token: value.id === id ? token : secretFor(ids, again, value.id, INVITE_BYTES), expiresAt };
  }

  /** The link of an invite; `origin` is where it leads where no public address is configured. */
  function inviteUrl(token: string, origin: string): string {
    return `${parts.publicUrl ?? origin}/invite/${token}`;
  }

  /** Trades an invite for its user's own key. Throws `not_found` for one that is unknown, used or expired. */
  async function redeem(token: string): Promise<IssuedKey> {
    const secret = KEY_PREFIX + ids.secret(SECRET_BYTES);
    const { key, digest } = newKey(
      { kind: 'user', name: 'invite', scopes: ['read', 'write'], rates: null, expiresAt: null },
      secret,
      ids.uuid(),
    );
    const unit = { digest: ids.digest(token), key, keyDigest: digest, now: key.createdAt };
    const made = await store.redeemInvite(unit);
    if (made === null) throw notFound('Invite');
    return { key: made, secret };
  }

  async function issue(
    principal: Principal,
    { user, ...wanted }: NewKey,
    secretOf: (id: string) => string,
    again: SecretOnce | null,
  ): Promise<IssuedKey> {
    const now = clock.now();
    if (wanted.scopes.length === 0) throw invalid('A key needs at least one scope: read, write or admin.', 'scopes');
    if (wanted.expiresAt !== null && wanted.expiresAt <= now) throw invalid('The expiry is in the past.', 'expires_at');
    const id = ids.uuid();
    const secret = secretOf(id);
    const { key, digest } = newKey(wanted, secret, id);
    const { value } = await store.createKey({
      owner: principal,
      now,
      once: storedOnce(ids, again),
      key: { ...key, tenant: principal.tenant, user },
      digest,
    });
    return { key: value, secret: value.id === id ? secret : secretOf(value.id) };
  }

  function newKey(wanted: Omit<NewKey, 'user'>, secret: string, id: string) {
    const { kind, name, scopes, rates, expiresAt } = wanted;
    const facts = { id, hint: secret.slice(-4), createdAt: clock.now(), revokedAt: null };
    return { key: { ...facts, kind, name, scopes, rates, expiresAt }, digest: ids.digest(secret) };
  }
}

function requireAdmin(principal: Principal): void {
  if (!principal.scopes.includes('admin')) {
    throw new ServiceError('forbidden', 'This needs a key with the scope "admin".');
  }
}
