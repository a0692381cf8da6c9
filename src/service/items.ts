/**
 * The items of a conversation, as clients know them who see its shown branch as one list: read in pages, added by hand,
 * deleted; and a branch copied into a conversation of its own.
 */

import type { Conversation } from '#core/conversation.ts';
import { invalid, notFound } from '#core/errors.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import { MAX_PAGE_TEXT } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn } from '#core/run.ts';
import type { Item, Turn } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { NewTurn, Store } from '#ports/store.ts';
import { type Named, type Opening, refOf, toNewConversation } from './conversations.ts';

/** A page of a list of things that are made of the items of turns; each is named by the id of one of them. */
export interface ItemPage<T> {
  data: T[];
  more: boolean;
}

export interface PageOfItems {
  limit: number;
  direction: 'asc' | 'desc';
  /** The id of an item, exclusive; null: from the end of the list. */
  after: string | null;
}

/** Turns read at once: an item may be megabytes long. */
const SLICE = 20;
/** What is copied by one fork, at most: turns, and UTF-16 units of their items as JSON. */
const MAX_FORK_TURNS = 2000;
const MAX_FORK_SIZE = 16 * 1024 * 1024;

export function createItems({ store, clock, ids }: { store: Store; clock: Clock; ids: Ids }) {
  return { list, find, begin, add, remove, fork };

  /**
   * A page of the shown branch. `show` makes what is listed of a turn, in order, and `idOf` gives the id of the item by which
   * one of these is named. Ends early at 4 MiB. Throws `not_found`, and `invalid_request` for an `after` that is not in the
   * conversation.
   */
  async function list<T>(
    principal: Principal,
    named: Named,
    { limit, direction, after }: PageOfItems,
    { show, idOf }: { show(turn: Turn): T[]; idOf(shown: T): string | null },
  ): Promise<ItemPage<T>> {
    const ref = refOf(named);
    const start = after === null ? null : await placeOf(principal, ref, after);
    let depth = start?.turn.depth ?? (direction === 'asc' ? 1 : Number.MAX_SAFE_INTEGER - 1);
    const data: T[] = [];
    let size = 0;
    for (;;) {
      const read =
        direction === 'asc'
          ? await store.readBranch({ owner: principal, ref, from: depth, limit: SLICE })
          : await store.readPath({ owner: principal, ref, before: depth + 1, limit: SLICE });
      if (read === null) throw notFound('Conversation');
      const turns = direction === 'asc' ? read.turns : read.turns.toReversed();
      for (const turn of turns) {
        for (const shown of inOrder(turn)) {
          if (data.length === limit || (size > MAX_PAGE_TEXT && data.length > 0)) return { data, more: true };
          data.push(shown);
          size += JSON.stringify(shown).length;
        }
      }
      const last = turns.at(-1);
      if (last === undefined || last.depth === 1 || (direction === 'asc' && turns.length < SLICE)) {
        return { data, more: false };
      }
      depth = direction === 'asc' ? last.depth + 1 : last.depth - 1;
    }

    /** What is listed of a turn, without what lies at `after` and before it. */
    function inOrder(turn: Turn): T[] {
      const shown = direction === 'asc' ? show(turn) : show(turn).toReversed();
      if (turn.id !== start?.turn.id) return shown;
      return shown.slice(shown.findIndex((one) => idOf(one) === start.item.id) + 1);
    }
  }

  async function placeOf(
    principal: Principal,
    ref: ConversationRef,
    after: string,
  ): Promise<{ turn: Turn; item: Item }> {
    const found = await locate(principal, ref, after);
    if (found === null) throw invalid('There is no item with the id given as after in this conversation.', 'after');
    return found;
  }

  async function locate(
    principal: Principal,
    ref: ConversationRef,
    item: string,
  ): Promise<{ conversation: Conversation; turn: Turn; item: Item } | null> {
    const conversation = await store.findConversation(principal, ref);
    if (conversation === null) throw notFound('Conversation');
    const found = await store.findItem(principal, item);
    return found !== null && found.conversation.id === conversation.id ? found : null;
  }

  /** An item of any branch, with its turn. Throws `not_found`. */
  async function find(
    principal: Principal,
    named: Named,
    item: string,
  ): Promise<{ conversation: Conversation; turn: Turn; item: Item }> {
    const found = await locate(principal, refOf(named), item);
    if (found === null) throw notFound('Item');
    return found;
  }

  /** A new, listed conversation with these turns in it, in one commit. */
  async function begin(
    principal: Principal,
    opening: Opening,
    turns: readonly ContextTurn[],
    once: Once | null,
  ): Promise<Conversation> {
    return beginWith(principal, opening, turns.map(newTurn), once);
  }

  /**
   * Puts turns behind the head of a conversation, in one commit, and asks nobody. Gives them as they are stored. Throws
   * `not_found`, `idempotency_mismatch`.
   */
  async function add(
    principal: Principal,
    named: Named,
    turns: readonly ContextTurn[],
    once: Once | null,
  ): Promise<Turn[]> {
    const made = turns.map(newTurn);
    const input = made.pop();
    if (input === undefined) throw invalid('There must be at least one item.', 'items');
    const { value } = await store.acceptMessage({
      owner: principal,
      now: clock.now(),
      once,
      conversation: { ref: refOf(named) },
      lead: made,
      input,
      parent: null,
      answer: null,
      onBusy: 'queue',
    });
    return store.readChain({ turn: value.input.id, count: turns.length });
  }

  /** Empties an item out of its turn. Gives the conversation. Throws `not_found`. */
  async function remove(principal: Principal, named: Named, item: string, once: Once | null): Promise<Conversation> {
    const ref = refOf(named);
    const found = await locate(principal, ref, item);
    const { value } = await store.deleteItems({
      owner: principal,
      now: clock.now(),
      once,
      ref,
      turn: found?.turn.id ?? '',
      items: found === null ? [item] : withOutput(found.item, found.turn),
    });
    return value;
  }

  /**
   * A new conversation with a branch of this one, up to and with `item`; null: the shown one. What is being written or has
   * nothing in it is left out. Throws `not_found`, and `invalid_request` for a branch of over 2,000 turns or 16 MiB.
   */
  async function fork(
    principal: Principal,
    named: Named,
    item: string | null,
    once: Once | null,
  ): Promise<Conversation> {
    const found = item === null ? null : await find(principal, named, item);
    const conversation = found?.conversation ?? (await store.findConversation(principal, refOf(named)));
    if (conversation === null) throw notFound('Conversation');
    const { title, assistant, metadata } = conversation;
    const branch = await readWhole(found?.turn.id ?? conversation.head);
    const turns = branch.map((turn) => (turn.id === found?.turn.id ? upTo(turn, found.item) : turn));
    return beginWith(principal, { title, assistant, metadata }, turns.filter(hasItems).map(copyOf), once);
  }

  /** A turn and all above it, oldest first. */
  async function readWhole(turn: string | null): Promise<Turn[]> {
    const turns: Turn[] = [];
    let size = 0;
    for (let above = turn; above !== null; above = turns[0]?.parent ?? null) {
      const more = await store.readChain({ turn: above, count: SLICE });
      if (more.length === 0) break;
      turns.unshift(...more);
      for (const { items } of more) size += JSON.stringify(items).length;
      if (turns.length > MAX_FORK_TURNS || size > MAX_FORK_SIZE) {
        throw invalid(
          `A branch can be forked up to ${MAX_FORK_TURNS} turns and ${MAX_FORK_SIZE} characters. Name an earlier item.`,
          'item_id',
        );
      }
    }
    return turns;
  }

  async function beginWith(
    principal: Principal,
    opening: Opening,
    turns: readonly NewTurn[],
    once: Once | null,
  ): Promise<Conversation> {
    const unit = { owner: principal, now: clock.now(), once };
    const create = toNewConversation(ids.uuid(), opening);
    const input = turns.at(-1);
    if (input === undefined) return (await store.createConversation({ ...unit, conversation: create })).value;
    const lead = turns.slice(0, -1);
    const rest = { parent: null, answer: null, onBusy: 'queue' } as const;
    return (await store.acceptMessage({ ...unit, conversation: { create }, lead, input, ...rest })).value.conversation;
  }

  function newTurn({ role, items }: ContextTurn): NewTurn {
    return { id: ids.uuid(), role, items: items.map((item) => ({ ...item, id: ids.uuid() })), externalId: null };
  }

  function copyOf(turn: Turn): NewTurn {
    const status = turn.status === 'completed' ? 'completed' : 'incomplete';
    return { ...newTurn(turn), status, createdAt: turn.createdAt };
  }
}

function hasItems({ items }: Turn): boolean {
  return items.length > 0;
}

/** The turn as it was when this was its last item. */
function upTo(turn: Turn, last: Item): Turn {
  return { ...turn, items: turn.items.slice(0, turn.items.findIndex(({ id }) => id === last.id) + 1) };
}

/** A call that this server ran is one thing with what it gave. */
function withOutput(item: Item, { items }: Turn): string[] {
  if (item.type !== 'function_call' || item.server === undefined) return [item.id];
  const { callId } = item;
  const outputs = items.filter((other) => other.type === 'function_call_output' && other.callId === callId);
  return [item.id, ...outputs.map(({ id }) => id)];
}
