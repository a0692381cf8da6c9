/** Users, keys, invites and figures, as `/v1` gives them. `key` is the owner's; null where the session is. */

import { call, getJson, writeKey } from './client.ts';

export type Scope = 'read' | 'write' | 'admin';

export interface Key {
  id: string;
  user: string;
  service: boolean;
  name: string | null;
  /** Its last characters, to be told from others. */
  hint: string;
  scopes: Scope[];
  /** Unix seconds. */
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

export interface NewKey {
  user: string;
  name: string;
  service: boolean;
  scopes: Scope[];
  expiresAt: number | null;
}

export interface User {
  id: string;
  createdAt: number;
}

export interface UsageLine {
  day: string;
  model: string;
  runs: number;
  inputTokens: number;
  outputTokens: number;
  cost: number | null;
}

interface WireList<T> {
  data: T[];
  has_more: boolean;
  last_id: string | null;
}

const MAX_LISTED = 1000;

/** All of a list, page by page. */
async function readAll<T>(path: string, key: string | null): Promise<T[]> {
  const all: T[] = [];
  let after: string | null = null;
  do {
    const query: string = `limit=100${after === null ? '' : `&after=${encodeURIComponent(after)}`}`;
    const list: WireList<T> = await getJson<WireList<T>>(`${path}?${query}`, { key });
    all.push(...list.data);
    after = list.has_more ? list.last_id : null;
  } while (after !== null && all.length < MAX_LISTED);
  return all;
}

export async function listUsers(key: string | null): Promise<User[]> {
  const users = await readAll<{ id: string; created_at: number }>('/v1/users', key);
  return users.map(({ id, created_at }) => ({ id, createdAt: created_at }));
}

interface WireKey {
  id: string;
  user: string;
  kind: 'user' | 'service';
  name: string | null;
  hint: string;
  scopes: Scope[];
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

export async function listKeys(key: string | null): Promise<Key[]> {
  return (await readAll<WireKey>('/v1/keys', key)).map((wire) => ({
    id: wire.id,
    user: wire.user,
    service: wire.kind === 'service',
    name: wire.name,
    hint: wire.hint,
    scopes: wire.scopes,
    createdAt: wire.created_at,
    expiresAt: wire.expires_at,
    revokedAt: wire.revoked_at,
  }));
}

/** The secret is told this once. */
export async function createKey(key: string | null, wanted: NewKey): Promise<{ secret: string }> {
  const { user, name, service, scopes, expiresAt } = wanted;
  const kind = service ? 'service' : 'user';
  const body = { user, name: name || null, kind, scopes, expires_at: expiresAt };
  const response = await call('/v1/keys', { method: 'POST', body, key, headers: writeKey() });
  return { secret: ((await response.json()) as { key: string }).key };
}

export async function revokeKey(key: string | null, id: string): Promise<void> {
  await call(`/v1/keys/${encodeURIComponent(id)}`, { method: 'DELETE', key });
}

/** Throws `ApiError` where it is not an owner's. */
export async function checkOwnerKey(key: string): Promise<void> {
  await getJson('/v1/keys?limit=1', { key });
}

export async function createInvite(key: string | null, name: string): Promise<string> {
  const response = await call('/v1/invites', { method: 'POST', body: { name }, key, headers: writeKey() });
  return ((await response.json()) as { url: string }).url;
}

/** One's own, of so many days up to today. */
export async function readUsage(
  days: number,
): Promise<{ lines: UsageLine[]; limit: { left: number; of: number } | null }> {
  const from = new Date(Date.now() - (days - 1) * 86_400_000).toISOString().slice(0, 10);
  const response = await call(`/v1/usage?from=${from}`);
  interface WireLine {
    day: string;
    model: string | null;
    runs: number;
    input_tokens: number;
    output_tokens: number;
    cost: number | null;
  }
  const { data } = (await response.json()) as { data: WireLine[] };
  const left = response.headers.get('ratelimit-remaining');
  const of = response.headers.get('ratelimit-limit');
  return {
    lines: data.map((line) => ({
      day: line.day,
      model: line.model ?? '',
      runs: line.runs,
      inputTokens: line.input_tokens,
      outputTokens: line.output_tokens,
      cost: line.cost,
    })),
    limit: left === null || of === null ? null : { left: Number(left), of: Number(of) },
  };
}
