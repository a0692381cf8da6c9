/** `keys create|list|revoke`: works on the data folder itself, so it needs no server, and works beside a running one. */

import type { ApiKey, Rates, Scope } from '#core/principal.ts';
import { isLive } from '#service/authenticate.ts';
import { ALL_SCOPES, OWNER } from '#service/keys.ts';
import { CommandError, type Invocation, UsageError } from './command.ts';
import { withCore } from './core.ts';
import { print, say, table, when } from './terminal.ts';

const MAX_NAME = 255;

/** Prints the key alone on stdout; it is never shown again. */
export async function create(invocation: Invocation): Promise<number> {
  const kind = invocation.flag('service') ? 'service' : 'user';
  const user = invocation.text('user') ?? (kind === 'service' ? OWNER.user : null);
  if (user === null)
    throw new UsageError('Whose key is it? Give --user NAME, or --service for one that acts for any user.');
  const wanted = {
    user: checkName('--user', user),
    kind,
    name: invocation.text('name') === null ? null : checkName('--name', invocation.text('name') ?? ''),
    scopes: parseScopes(invocation.text('scopes') ?? 'read,write'),
    rates: parseRates(invocation.texts('rate')),
  } as const;
  const expires = invocation.text('expires');
  const life = expires === null ? null : parseLife(expires);
  return withCore(invocation, async (core) => {
    const { key, secret } = await core.keys.create(OWNER, {
      ...wanted,
      expiresAt: life === null ? null : Date.now() + life,
    });
    if (invocation.flag('json')) {
      print(JSON.stringify({ key: secret, ...wire(key) }));
      return 0;
    }
    const whose = key.kind === 'service' ? `A service key of "${key.user}", for any user` : `A key of "${key.user}"`;
    const until = key.expiresAt === null ? '' : `, until ${when(key.expiresAt)}`;
    say(`${whose}: ${key.scopes.join(', ')}${key.rates === null ? '' : `, ${rateText(key.rates)}`}${until}.`);
    say('It is shown this once. Send it as the header "Authorization: Bearer <key>".');
    print(secret);
    return 0;
  });
}

export async function list(invocation: Invocation): Promise<number> {
  return withCore(invocation, async (core) => {
    const keys = await core.keys.list(OWNER);
    if (invocation.flag('json')) print(JSON.stringify(keys.map(wire)));
    else if (keys.length === 0) say('There are no keys. Make one with: ./parlance keys create --user NAME');
    else print(table(['ID', 'USER', 'KIND', 'NAME', 'SCOPES', 'LIMIT', 'KEY', 'CREATED', 'STATE'], keys.map(row)));
    return 0;
  });
}

export async function revoke(invocation: Invocation): Promise<number> {
  const id = invocation.args[0] ?? '';
  return withCore(invocation, async (core) => {
    const keys = await core.keys.list(OWNER);
    const found = keys.filter((key) => key.id === id);
    if (found.length === 0) throw new CommandError(`There is no key with the id ${id}. See: ./parlance keys list`);
    const key = await core.keys.revoke(OWNER, id);
    say(`The key ${key.id} of "${key.user}" is revoked; what it has open closes within 5 seconds.`);
    return 0;
  });
}

/** A key as `--json` shows it. */
function wire(key: ApiKey) {
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  return {
    id: key.id,
    user: key.user,
    kind: key.kind,
    name: key.name,
    hint: key.hint,
    scopes: key.scopes,
    rates: key.rates === null ? null : { per_minute: key.rates.perMinute, per_hour: key.rates.perHour },
    created_at: time(key.createdAt),
    expires_at: time(key.expiresAt),
    revoked_at: time(key.revokedAt),
  };
}

function row(key: ApiKey): (string | null)[] {
  const rates = key.rates === null ? 'as set' : rateText(key.rates);
  const { id, user, kind, name, scopes, hint, createdAt } = key;
  return [id, user, kind, name, scopes.join(','), rates, `plk_…${hint}`, when(createdAt), state(key)];
}

function state(key: ApiKey): string {
  if (key.revokedAt !== null) return 'revoked';
  if (!isLive(key, Date.now())) return 'expired';
  return key.expiresAt === null ? 'in use' : `until ${when(key.expiresAt)}`;
}

function rateText({ perMinute, perHour }: Rates): string {
  const parts = [perMinute > 0 && `${perMinute}/min`, perHour > 0 && `${perHour}/hour`].filter(Boolean);
  return parts.length === 0 ? 'no limit' : parts.join(', ');
}

export function checkName(option: string, text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (text.trim() === '' || text.length > MAX_NAME || /[\0-\x1f\x7f]/.test(text) || !text.isWellFormed()) {
    throw new UsageError(`${option} must be 1–${MAX_NAME} characters, in one line.`);
  }
  return text;
}

function parseScopes(text: string): Scope[] {
  const scopes = [...new Set(text.split(',').map((scope) => scope.trim()))].filter((scope) => scope !== '');
  const known = ALL_SCOPES.filter((scope) => scopes.includes(scope));
  if (known.length === 0 || known.length < scopes.length) {
    throw new UsageError('--scopes must be a list of read, write and admin, such as read,write.');
  }
  return known;
}

const PER: Record<string, keyof Rates> = { min: 'perMinute', minute: 'perMinute', h: 'perHour', hour: 'perHour' };

/** `6000/min`, `1000/hour`, both, or `off`; a window that is not named has no limit. */
function parseRates(texts: readonly string[]): Rates | null {
  if (texts.length === 0) return null;
  const rates: Rates = { perMinute: 0, perHour: 0 };
  if (texts.length === 1 && texts[0] === 'off') return rates;
  for (const text of texts) {
    const [, count = '0', window = ''] = /^(\d{1,9})\/([a-z]+)$/.exec(text) ?? [];
    const per = PER[window];
    if (per === undefined || Number(count) === 0) {
      throw new UsageError('--rate must be such as 6000/min or 10000/hour, or off; give it twice for both.');
    }
    rates[per] = Number(count);
  }
  return rates;
}

const MINUTE = 60_000;
const LIFE: Record<string, number> = {
  m: MINUTE,
  h: 60 * MINUTE,
  d: 24 * 60 * MINUTE,
  w: 7 * 24 * 60 * MINUTE,
  y: 365 * 24 * 60 * MINUTE,
};
const MAX_LIFE = 100 * 365 * 24 * 60 * MINUTE;

function parseLife(text: string): number {
  const [, count = '0', unit = ''] = /^(\d{1,6})([a-z])$/.exec(text) ?? [];
  const ms = Number(count) * (LIFE[unit] ?? 0);
  if (ms <= 0 || ms > MAX_LIFE)
    throw new UsageError('--expires must be such as 90d, 12h, 30m, 4w or 1y, up to 100 years.');
  return ms;
}
