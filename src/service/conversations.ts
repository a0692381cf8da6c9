/** Conversations: make, find, list, rename, delete, and read their turns. */

import { type Conversation, type ConversationUpdate, DEFAULT_ASSISTANT, type Head } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import { type ConversationRef, parseConversationRef } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import { type Cursor, MAX_PAGE, MAX_PAGE_TEXT, type Page } from '#core/page.ts';
import type { Owner, Principal } from '#core/principal.ts';
import { isVisible, type Turn, textOf } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { ListConversations, NewConversation, Outcome, Store } from '#ports/store.ts';
import type { LiveRuns } from './live-runs.ts';

/** A conversation as a path or body names it: any of the three forms. */
export type Named = string | number;

export interface History {
  conversation: Conversation;
  /** The shown branch, oldest first. */
  turns: Turn[];
  /** Give it as `before` to read what is older; null: nothing is. */
  before: number | null;
}

/** What a conversation is begun with. */
export interface Opening {
  title: string | null;
  assistant?: string;
  active?: boolean;
  metadata?: Record<string, string>;
}

const DELETE_STEP = 100;
/** The most turns among which the end of a branch is looked for. */
const MAX_TREE = 10_000;

export function createConversations(parts: { store: Store; clock: Clock; ids: Ids; liveRuns: LiveRuns }) {
  const { store, clock, ids, liveRuns } = parts;
  return { create, get, list, heads, update, show, remove, removeAll, history };

  async function create(principal: Principal, opening: Opening, once: Once | null): Promise<Conversation> {
    const conversation = toNewConversation(ids.uuid(), opening);
    return (await store.createConversation({ owner: principal, now: clock.now(), once, conversation })).value;
  }

  /** Throws `not_found`. */
  async function get(principal: Principal, named: Named): Promise<Conversation> {
    const found = await store.findConversation(principal, refOf(named));
    if (found === null) throw notFound('Conversation');
    return found;
  }

  /** A page of the principal's own, listed ones. */
  async function list(
    principal: Principal,
    page: Pick<ListConversations, 'order' | 'direction'> & {
      limit?: number;
      offset?: number;
      after?: Cursor | null;
      /** Archived ones alone; else they are left out. */
      archived?: boolean;
    },
  ): Promise<Page<Conversation>> {
    const limit = Math.min(page.limit ?? MAX_PAGE, MAX_PAGE);
    const found = await store.listConversations({
      owner: principal,
      order: page.order,
      direction: page.direction,
      archived: page.archived ?? false,
      limit: limit + 1,
      offset: page.offset ?? 0,
      after: page.after ?? null,
    });
    const data = found.slice(0, limit);
    const last = data.at(-1);
    if (found.length <= limit || last === undefined) return { data, next: null };
    return { data, next: { at: page.order === 'activity' ? last.activeAt : last.createdAt, id: last.id } };
  }

  /** How the shown branches of the principal's own conversations end, by conversation; none of those that are empty. */
  async function heads(conversations: readonly Conversation[]): Promise<Map<string, Head>> {
    const found = await store.readHeads(conversations.map(({ id, head }) => ({ id, head })));
    return new Map(found.map((head) => [head.conversation, head]));
  }

  /** Sets what is given; an update that says nothing sets `updatedAt` to now. Throws `not_found`, for a `head` too. */
  async function update(
    principal: Principal,
    named: Named,
    set: ConversationUpdate,
    once: Once | null,
  ): Promise<Conversation> {
    const now = clock.now();
    const outcome = await store.updateConversation({
      owner: principal,
      now,
      once,
      ref: refOf(named),
      set: Object.keys(set).length === 0 ? { updatedAt: now } : set,
    });
    return outcome.value;
  }

  /**
   * The turn with which to end the shown branch so that an item or a message is on it: the item's own, or with `toEnd` the
   * newest one that goes on from there. Throws `not_found`.
   */
  async function show(principal: Principal, named: Named, item: string, toEnd: boolean): Promise<string> {
    const { id } = await get(principal, named);
    const found = await store.findItem(principal, item);
    const turn = found?.conversation.id === id ? found.turn : await store.findMessage(principal, id, item);
    if (turn === null) throw notFound('Item');
    if (!toEnd) return turn.id;
    const tree = await store.readTree({ owner: principal, conversation: id, depth: turn.depth, limit: MAX_TREE });
    // In the order of acceptance: the last one below a turn is its newest.
    const newest = new Map(tree.map((node) => [node.parent, node.id]));
    let end = turn.id;
    for (let next = newest.get(end); next !== undefined; next = newest.get(next)) end = next;
    return end;
  }

  /** Deletes it with all in it; answers being written are aborted, and their readers told. Gives what it was. */
  async function remove(principal: Principal, named: Named, once: Once | null): Promise<Conversation> {
    const outcome = await store.deleteConversation({ owner: principal, now: clock.now(), once, ref: refOf(named) });
    liveRuns.discard(outcome.value.runs);
    return outcome.value.conversation;
  }

  /** Deletes all of the principal's own: listed, archived and unlisted, of every dialect. */
  async function removeAll(principal: Principal, once: Once | null): Promise<void> {
    let outcome: Outcome<{ runs: string[]; more: boolean }>;
    do {
      outcome = await store.deleteConversations({ owner: principal, now: clock.now(), once, limit: DELETE_STEP });
      liveRuns.discard(outcome.value.runs);
    } while (outcome.value.more && !outcome.replayed);
  }

  /**
   * The newest turns of the shown branch that a flat dialect shows: at most `limit` of them (1,000), and 4 MiB of text.
   * Throws `not_found`.
   */
  async function history(
    principal: Principal,
    named: Named,
    page: { limit?: number; before?: number | null } = {},
  ): Promise<History> {
    const limit = Math.min(page.limit ?? MAX_PAGE, MAX_PAGE);
    const read = await store.readPath({ owner: principal, ref: refOf(named), limit, before: page.before ?? null });
    if (read === null) throw notFound('Conversation');
    let from = read.turns.length;
    let size = 0;
    while (from > 0) {
      size += textOf(read.turns[from - 1]?.items ?? []).length;
      if (size > MAX_PAGE_TEXT && from < read.turns.length) break;
      from--;
    }
    const shown = read.turns.slice(from);
    const oldest = shown[0];
    const before = oldest !== undefined && oldest.depth > 1 ? oldest.depth : null;
    return { conversation: read.conversation, turns: shown.filter(isVisible), before };
  }
}

/** As it is stored, listed. */
export function toNewConversation(id: string, opening: Opening): NewConversation {
  const { title, assistant = DEFAULT_ASSISTANT, active = false, metadata = {} } = opening;
  return { id, title, assistant, listed: true, externalId: null, metadata, active };
}

/**
 * Where clients make their own ids: UUID or `conv_…`, then an id of the client's own, never a number (DIALECTS.md, Rules
 * for every dialect).
 */
export async function findByClientId(store: Store, owner: Owner, text: string): Promise<Conversation | null> {
  const ref = parseConversationRef(text);
  const found = ref?.by === 'id' ? await store.findConversation(owner, ref) : null;
  return found ?? store.findConversation(owner, { by: 'external', id: text });
}

/** What has none of the accepted forms is not found, like what does not exist. */
export function refOf(named: Named): ConversationRef {
  const ref = parseConversationRef(String(named));
  if (ref === null) throw notFound('Conversation');
  return ref;
}
