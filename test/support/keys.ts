/**
 * Keys of any tenant, made beside a running server on its own data folder, as the command line does it. A key of another
 * tenant has no other way in: the server itself makes keys of the tenant `default` only.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { DEFAULT_TENANT, type Rates, type Scope } from '#core/principal.ts';
import { createKeys, OWNER } from '#service/keys.ts';
import { systemClock as clock, systemIds as ids } from '../../src/adapters/clock/system.ts';
import { openSqliteStore } from '../../src/adapters/store/sqlite.ts';

export interface WantedKey {
  tenant?: string;
  user: string;
  kind?: 'user' | 'service';
  scopes?: Scope[];
  rates?: Rates;
  /** Unix milliseconds. */
  expiresAt?: number;
}

export interface MadeKey {
  id: string;
  secret: string;
}

export interface Keys {
  create(wanted: WantedKey): Promise<MadeKey>;
  revoke(key: MadeKey, tenant?: string): Promise<void>;
  /** A key that was right and has expired. */
  createExpired(wanted: WantedKey): Promise<MadeKey>;
  close(): Promise<void>;
}

/** @param folder the data folder of a server that runs */
export async function openKeys(folder: string): Promise<Keys> {
  const store = await openSqliteStore({ folder, exclusive: false, now: clock.now });
  const keys = createKeys({ store, clock, ids });
  const ownerOf = (tenant: string) => ({ ...OWNER, tenant });

  async function create(wanted: WantedKey): Promise<MadeKey> {
    const { tenant = DEFAULT_TENANT, user, kind = 'user', scopes = ['read', 'write'], rates = null } = wanted;
    const facts = { user, kind, name: null, scopes, rates, expiresAt: wanted.expiresAt ?? null };
    const { key, secret } = await keys.create(ownerOf(tenant), facts);
    return { id: key.id, secret };
  }

  return {
    create,
    async revoke({ id }, tenant = DEFAULT_TENANT) {
      await keys.revoke(ownerOf(tenant), id);
    },
    async createExpired(wanted) {
      // No key can be made that has expired already; the expiry itself is the event that is waited for.
      const expiresAt = clock.now() + 5;
      const made = await create({ ...wanted, expiresAt });
      while (clock.now() <= expiresAt) await sleep(expiresAt - clock.now() + 1);
      return made;
    },
    close: () => store.close(),
  };
}
