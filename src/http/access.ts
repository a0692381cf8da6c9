/**
 * Who may ask, as far as the request's own headers tell (DESIGN.md, Access). Pure: the key itself is judged by
 * `service/authenticate.ts`.
 */

import type { IncomingHttpHeaders } from 'node:http';

/** What the configuration says about callers. */
export interface AccessOptions {
  /** Addresses listened on. */
  listen: readonly string[];
  /** False with `PARLANCE_LOCAL=off`. */
  local: boolean;
  /** `PARLANCE_HOSTS`: names, with or without a port. */
  hosts: readonly string[];
  /** `PARLANCE_ORIGINS`: scheme, host and port. */
  origins: readonly string[];
  /** `PARLANCE_PUBLIC_URL`: its host and origin count as listed. */
  publicUrl: string | null;
}

export interface AccessRules {
  /** Whether local mode is possible at all. */
  local: boolean;
  hosts: ReadonlySet<string>;
  origins: ReadonlySet<string>;
  /** The origin of `PARLANCE_PUBLIC_URL`. */
  publicOrigin: string | null;
}

/** A Host or Origin that nobody listed. */
export interface Refused {
  header: 'Host' | 'Origin';
  value: string;
  setting: 'PARLANCE_HOSTS' | 'PARLANCE_ORIGINS';
}

/** What the headers of one request say. */
export interface Visit {
  /** The request is in local mode: it may do without a key where the dialect allows that. */
  local: boolean;
  /** The request is 403 unless it has a valid key. */
  refused: Refused | null;
  /** The listed origin that may read the answer; null: no CORS headers. */
  cors: string | null;
}

/** What most requests are; shared so that judging them makes nothing. */
const LOCAL: Visit = { local: true, refused: null, cors: null };
const KEYED: Visit = { local: false, refused: null, cors: null };

const OWN_NAMES = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Prepares the rules once, at start. */
export function accessRules(options: AccessOptions): AccessRules {
  const hosts = options.hosts.map((host) => host.toLowerCase());
  const origins = options.origins.map((origin) => origin.toLowerCase().replace(/\/$/, ''));
  const url = options.publicUrl === null ? null : new URL(options.publicUrl);
  if (url !== null) {
    hosts.push(url.host);
    origins.push(url.origin);
  }
  return {
    local: options.local && options.listen.length > 0 && options.listen.every(isLoopback),
    hosts: new Set(hosts),
    origins: new Set(origins),
    publicOrigin: url?.origin ?? null,
  };
}

/** Whether an address to listen on can be reached from this machine only. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(\.\d{1,3}){3}$/.test(address);
}

/**
 * Judges the headers of one request. A foreign Host matters only where local mode is possible: elsewhere nothing is
 * answered without a key, whatever the name. A foreign Origin matters everywhere.
 */
export function judge(rules: AccessRules, headers: IncomingHttpHeaders): Visit {
  const host = headers.host?.toLowerCase() ?? '';
  const origin = headers.origin?.toLowerCase();
  const own = OWN_NAMES.has(nameOf(host));
  const listed = origin !== undefined && rules.origins.has(origin);
  const cors = listed ? (headers.origin ?? null) : null;

  if (rules.local && !own && !rules.hosts.has(host) && !rules.hosts.has(nameOf(host))) {
    return { local: false, refused: { header: 'Host', value: headers.host ?? '', setting: 'PARLANCE_HOSTS' }, cors };
  }
  if (origin !== undefined && !listed && !isOwnOrigin(rules, origin, host)) {
    return {
      local: false,
      refused: { header: 'Origin', value: headers.origin ?? '', setting: 'PARLANCE_ORIGINS' },
      cors,
    };
  }
  const local = rules.local && own && (listed || isSameSite(headers)) && !isForwarded(headers);
  if (cors !== null) return { local, refused: null, cors };
  return local ? LOCAL : KEYED;
}

/**
 * The key of `Authorization: Bearer <key>` or `Authorization: <key>`; null without one. Any other scheme is given whole,
 * so that it is a wrong key and not a missing one.
 */
export function keyOf(authorization: string | undefined): string | null {
  if (authorization === undefined) return null;
  const key = (/^bearer(?:\s+|$)/i.test(authorization) ? authorization.slice(6) : authorization).trim();
  return key === '' ? null : key;
}

/** Headers of the answer to a CORS preflight of a listed origin: what it asked for is allowed. */
export function preflightHeaders(headers: IncomingHttpHeaders): Record<string, string> {
  const asked = String(headers['access-control-request-headers'] ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => /^[a-z0-9-]{1,64}$/.test(name));
  return {
    'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
    'access-control-allow-headers': [...new Set([...ALLOWED_HEADERS, ...asked])].join(', '),
    'access-control-max-age': '600',
  };
}

const ALLOWED_HEADERS = [
  'authorization',
  'content-type',
  'idempotency-key',
  'last-event-id',
  'x-conversation-id',
  'x-conversation-messages',
  'x-conversation-task',
  'x-request-id',
  'x-user-id',
];

/** The name in a Host header, without its port. */
function nameOf(host: string): string {
  const colon = host.lastIndexOf(':');
  return colon > host.lastIndexOf(']') ? host.slice(0, colon) : host;
}

/** A page of this server itself. Behind a proxy that ends TLS it is `https:`. */
function isOwnOrigin(rules: AccessRules, origin: string, host: string): boolean {
  return origin === `http://${host}` || (!rules.local && origin === `https://${host}`);
}

/**
 * Whether a request is known to come from a page of this server: its browser says so. `SameSite` does not tell, since
 * another port of the same host is the same site; and browsers say `Sec-Fetch-Site` over TLS and on localhost only.
 */
export function isOwnPage(rules: AccessRules, headers: IncomingHttpHeaders): boolean {
  const { origin, 'sec-fetch-site': site } = headers;
  return (site === 'same-origin' || (site === undefined && origin !== undefined)) && seemsOwnPage(rules, headers);
}

/** Whether nothing speaks against it: enough for what changes nothing, since nobody else could read the answer. */
export function seemsOwnPage(rules: AccessRules, headers: IncomingHttpHeaders): boolean {
  const origin = headers.origin?.toLowerCase();
  const own = origin === undefined || origin === rules.publicOrigin;
  return isSameSite(headers) && (own || isOwnOrigin(rules, origin, headers.host?.toLowerCase() ?? ''));
}

/**
 * "`Sec-Fetch-Site` is absent, `same-origin` or `none` (an `<img>` must not start an inference)". A page of a listed origin
 * is another site by nature; its requests say so by their `Origin`, which an `<img>` does not send
 * (docs/decisions/2026-11-21-listed-origins.md).
 */
function isSameSite(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

/** Whether a proxy had the request: then its sender is not known to be on this machine. */
function isForwarded(headers: IncomingHttpHeaders): boolean {
  if (headers.forwarded !== undefined || headers.via !== undefined || headers['x-real-ip'] !== undefined) return true;
  for (const name in headers) if (name.startsWith('x-forwarded-')) return true;
  return false;
}
