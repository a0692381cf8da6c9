/**
 * Tickets: browsers can set no headers on an EventSource or a WebSocket, so its address has a ticket instead, for one user,
 * one path, and a short time (DESIGN.md, Access). They are kept in the store, so that they outlive a restart and are the same
 * on every machine (docs/decisions/2026-11-21-tickets.md).
 */

import { invalid, ServiceError } from '#core/errors.ts';
import { parseConversationRef, parseWireId } from '#core/ids.ts';
import type { ApiKey, Principal, Ticket } from '#core/principal.ts';
import { isEnded, type Run } from '#core/run.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';
import { isLive } from './authenticate.ts';
import { type SecretOnce, secretFor, storedOnce } from './secrets.ts';

/** "First use within 60 s". */
const FIRST_USE_MS = 60_000;
/** "Until the run has ended plus 5 min". */
const AFTER_RUN_MS = 5 * 60_000;
/** The longest any ticket is taken again: for streams that have no end of their own, such as the change feed. */
const KEEP_MS = 24 * 60 * 60_000;
const PREFIX = 'plt_';
const SECRET_BYTES = 32;
const MAX_PATH = 2048;

/** What comes with a request that shows a ticket. */
export interface ShownTicket {
  ticket: string;
  /** Without its query and trailing slash. */
  path: string;
  /** It is an event stream that is picked up again: it has a `Last-Event-ID`. */
  resumes: boolean;
  /** It meets every condition of local mode. */
  local: boolean;
}

export function createTickets(parts: { store: Store; clock: Clock; ids: Ids }) {
  const { store, clock, ids } = parts;
  return { create, redeem };

  /** A ticket for a GET of that path, by whoever asks. Throws `invalid_request`. */
  async function create(
    principal: Principal,
    path: string,
    again: SecretOnce | null,
  ): Promise<{ secret: string; expiresAt: number }> {
    if (!path.startsWith('/') || path.length > MAX_PATH) {
      throw invalid(`The path must begin with "/" and have at most ${MAX_PATH} characters.`, 'path');
    }
    const { tenant, user, keyId, keyless, findsKeyless } = principal;
    const now = clock.now();
    const facts = { tenant, user, keyId, keyless, findsKeyless, path: barePath(path) };
    const id = ids.uuid();
    const secret = PREFIX + secretFor(ids, again, id, SECRET_BYTES);
    const { value } = await store.createTicket({
      owner: principal,
      now,
      once: storedOnce(ids, again),
      id,
      ticket: { ...facts, createdAt: now, expiresAt: now + FIRST_USE_MS },
      digest: ids.digest(secret),
    });
    const { expiresAt } = value.ticket;
    return { secret: value.id === id ? secret : PREFIX + secretFor(ids, again, value.id, SECRET_BYTES), expiresAt };
  }

  /** Whoever made the ticket, as they would be now. Throws `unauthorized`. */
  async function redeem({ ticket: secret, path, resumes, local }: ShownTicket): Promise<Principal> {
    const now = clock.now();
    const unit = { digest: ids.digest(secret), path: barePath(path), again: resumes, keepMs: KEEP_MS, now };
    // What is no ticket costs a reading, like what is no key.
    const used = (await store.hasTicket(unit.digest)) ? await store.useTicket(unit) : null;
    const principal = used === null ? null : await principalOf(used.ticket, local, now);
    if (used === null || principal === null) throw refused();
    if (!used.first && !(await mayResume(principal, unit.path, now))) throw refused();
    return principal;
  }

  /** "It dies with its key"; one made without a key is good only where no key is needed. */
  async function principalOf(ticket: Ticket, local: boolean, now: number): Promise<Principal | null> {
    const { tenant, user, keyId, keyless, findsKeyless } = ticket;
    const who = { tenant, user, keyId, keyless, findsKeyless };
    if (keyId === null) return keyless && local ? { ...who, scopes: ['read', 'write'], rates: null } : null;
    const key: ApiKey | null = await store.findKeyById(tenant, keyId);
    return key !== null && isLive(key, now) ? { ...who, scopes: key.scopes, rates: key.rates } : null;
  }

  /** Whether the run that the path names goes on, or has ended only just. A path of no run has no such end. */
  async function mayResume(principal: Principal, path: string, now: number): Promise<boolean> {
    for (const segment of path.split('/').reverse()) {
      const run = await runOf(principal, decode(segment));
      if (run !== null) return !isEnded(run.status) || now < (run.endedAt ?? 0) + AFTER_RUN_MS;
    }
    return true;
  }

  /** Of an answer, or the newest of a conversation. */
  async function runOf(principal: Principal, named: string): Promise<Run | null> {
    const turn = parseWireId(named);
    const run = turn === null ? null : await store.findRunOfTurn(principal, turn);
    const ref = run === null ? parseConversationRef(named) : null;
    const found = ref === null ? null : await store.readPath({ owner: principal, ref, limit: 1, before: null });
    const newest = found?.turns.at(-1);
    return newest === undefined ? run : store.findRunOfTurn(principal, newest.id);
  }
}

/** Without its query and a trailing slash. */
function barePath(path: string): string {
  const bare = path.split(/[?#]/, 1)[0] ?? '';
  return bare.length > 1 && bare.endsWith('/') ? bare.slice(0, -1) : bare;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function refused(): ServiceError {
  return new ServiceError(
    'unauthorized',
    'The ticket is unknown, used up or expired, or was made for another path. Ask for a new one: POST /v1/tickets.',
  );
}
