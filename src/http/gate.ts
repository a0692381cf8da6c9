/** Who gets in: what the head of a request must look like, where it may come from, and whose it is. */

import { ServiceError } from '#core/errors.ts';
import type { Principal, Scope } from '#core/principal.ts';
import { type AccessRules, isOwnPage, judge, keyOf, type Refused, seemsOwnPage, type Visit } from './access.ts';
import { checkText } from './body.ts';
import { sessionOf } from './cookie.ts';
import type { Exchange, Log } from './exchange.ts';
import type { Envelope } from './write.ts';

/** The service functions that every request needs. */
export interface Gatekeeper {
  /** Throws `key_required`, `unauthorized`, `forbidden`, or `invalid_request` for users that disagree. */
  authenticate(presented: {
    key: string | null;
    session: string | null;
    ownPage: boolean;
    local: boolean;
    access: 'key' | 'local';
    namesUser: boolean;
    users: string[];
    loose: boolean;
  }): Promise<Principal>;
  /** Whoever made the ticket; throws `unauthorized`. */
  redeemTicket(shown: { ticket: string; path: string; resumes: boolean; local: boolean }): Promise<Principal>;
  /** Counts a request; null where no limit applies; throws `rate_limited`. */
  admit(principal: Principal, bucket: Bucket): Envelope['admission'];
}

/** What browsers open without headers of their own, and so with a ticket. */
export type Opens = 'stream' | 'socket';

export type Bucket = 'run' | 'light';

/** The longest request target taken, in characters. */
export const MAX_TARGET = 8192;
/** A refused Host or Origin is logged at most this often, in milliseconds. */
const LOG_EVERY = 1000;
const NO_USERS: string[] = [];
const SLASH = 0x2f;

export type Gate = ReturnType<typeof createGate>;

export function createGate(parts: { keeper: Gatekeeper; rules: AccessRules; log: Log; monotonic(): number }) {
  const { keeper, rules, log, monotonic } = parts;
  let logged = Number.NEGATIVE_INFINITY;

  return { enter, identify, forbid };

  /** Refuses what no request should look like, then judges where it comes from. */
  function enter(exchange: Exchange): Visit {
    checkHead(exchange);
    const visit = judge(rules, exchange.request.headers);
    exchange.cors = visit.cors;
    return visit;
  }

  /**
   * Who is asking. A refused Host or Origin is forgiven to a valid key alone.
   *
   * @param changes a cookie counts only where the request is known to come from a page of this server
   * @param opens what a ticket would be for; null: none is taken
   */
  function identify(
    exchange: Exchange,
    visit: Visit,
    users: string[],
    { changes, opens }: { changes: boolean; opens: Opens | null },
  ): Promise<Principal> {
    const { dialect, request } = exchange;
    const { headers } = request;
    const key = keyOf(headers.authorization);
    const { refused } = visit;
    if (refused !== null && key === null) throw forbid(exchange, refused);
    const { ticket } = request.query as { ticket?: unknown };
    if (key === null && opens !== null && ticket !== undefined)
      return redeem(exchange, visit, users, { ticket: String(ticket), opens });
    const asking = keeper.authenticate({
      key,
      session: dialect.standard === true ? sessionOf(rules, headers.cookie) : null,
      ownPage: changes ? isOwnPage(rules, headers) : seemsOwnPage(rules, headers),
      local: visit.local,
      access: dialect.access,
      namesUser: dialect.namesUser,
      users,
      loose: dialect.standard === true,
    });
    if (refused === null) return asking;
    return asking.catch((error) => {
      const wrong = error instanceof ServiceError && error.code === 'unauthorized';
      throw wrong ? forbid(exchange, refused) : error;
    });
  }

  async function redeem(
    { request, dialect }: Exchange,
    visit: Visit,
    users: string[],
    { ticket, opens }: { ticket: string; opens: Opens },
  ): Promise<Principal> {
    const resumes = opens === 'stream' && (request.headers['last-event-id'] ?? '') !== '';
    const local = visit.local && dialect.access === 'local';
    const principal = await keeper.redeemTicket({ ticket, path: request.raw.url ?? '', resumes, local });
    if (users.some((user) => user !== principal.user)) {
      throw new ServiceError('forbidden', 'The ticket was made for another user.');
    }
    return principal;
  }

  /** The 403 for a Host or Origin, and its log line. */
  function forbid({ request, requestId, dialect }: Exchange, { header, value, setting }: Refused): ServiceError {
    const shown = value.slice(0, 200);
    const now = monotonic();
    if (now - logged >= LOG_EVERY) {
      logged = now;
      const facts = { requestId, dialect: dialect.name, client: request.ip, header, value: shown, setting };
      log.warn(facts, `Refused a request with a foreign ${header}; to allow it, list it in ${setting}`);
    }
    return new ServiceError(
      'forbidden',
      `${header} "${shown}" is not allowed here without a valid API key. To allow it, list it in ${setting}.`,
      { param: header.toLowerCase() },
    );
  }
}

export function targetTooLong(): ServiceError {
  return new ServiceError('uri_too_long', `The request target is longer than ${MAX_TARGET} characters.`);
}

/** What of HTTP the parser lets through and nobody should send. */
function checkHead(exchange: Exchange): void {
  const { raw } = exchange.request;
  const target = raw.url ?? '';
  if (target.length > MAX_TARGET) throw targetTooLong();
  if (target.charCodeAt(0) !== SLASH) throw new ServiceError('invalid_request', 'The request target must be a path.');
  if (raw.headers.host === undefined ? raw.httpVersion !== '1.0' : countHosts(raw.rawHeaders) > 1) {
    throw new ServiceError('invalid_request', 'Send exactly one Host header.', { param: 'host' });
  }
  const coding = raw.headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    const param = 'transfer-encoding';
    throw new ServiceError('invalid_request', 'The only Transfer-Encoding taken is chunked.', { param });
  }
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}

export function requireScope(principal: Principal, scope: Scope): void {
  if (!principal.scopes.includes(scope)) {
    throw new ServiceError('forbidden', `This needs a key with the scope "${scope}".`);
  }
}

/** Whoever the request names: `X-User-ID` in every dialect, `user_id` in the query where the dialect knows it. */
export function namedUsers({ request, dialect }: Exchange): string[] {
  const header = request.headers['x-user-id'];
  const query = dialect.namesUser ? (request.query as { user_id?: unknown }).user_id : undefined;
  if (header === undefined && query === undefined) return NO_USERS;
  const users = [typeof header === 'string' ? decodeHeader(header) : header, query].flat();
  const texts = users.filter((user) => typeof user === 'string');
  for (const text of texts) checkText(text);
  return texts;
}

/** Node reads headers as Latin-1; a name that was sent as UTF-8 is read as that, to agree with the one in a body. */
function decodeHeader(value: string): string {
  if (!/[\x80-\xff]/.test(value)) return value;
  const text = Buffer.from(value, 'latin1').toString('utf8');
  return text.includes('\ufffd') ? value : text;
}
