/**
 * The store offers whole units, never a transaction (DESIGN.md, The house). Each unit is atomic and, when its promise
 * resolves, durable: committed and fsynced. Reads see every unit that has resolved.
 *
 * Rules for every adapter:
 * - Every query of a user's things names tenant and user (`Owner`); what is not the owner's does not exist. With
 *   `findsKeyless`, and only for a lookup by id or ref, the things of all keyless users of the tenant count as the owner's.
 * - A unit that is refused throws `ServiceError` and changes nothing.
 * - A unit that writes a user's things makes the user's row if there is none (`keyless` as in `Owner`).
 * - Times are Unix milliseconds and ids UUIDs, all made by the caller.
 */

import type { Change } from '#core/change.ts';
import type { Conversation, ConversationUpdate, Head } from '#core/conversation.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import type { Cursor } from '#core/page.ts';
import type { ApiKey, Invite, Owner, Session, Ticket, User } from '#core/principal.ts';
import type { Attempt, Run, RunFacts, RunRequest } from '#core/run.ts';
import type { Item, Role, TreeNode, Turn } from '#core/turn.ts';
import type { UsageLine } from '#core/usage.ts';
import type { Excerpt, Phrase } from '#core/words.ts';

/** What a unit gave. `replayed`: this is the first outcome again, nothing was written. */
export interface Outcome<T> {
  value: T;
  replayed: boolean;
}

/**
 * Parts of every unit that writes for a user. The row of `once` is made in the same commit as what the unit writes, per
 * tenant and user. The same key and digest give the first outcome again (`replayed`), another digest throws
 * `idempotency_mismatch`; where the conversation it wrote to has been deleted since, by another call, `not_found`.
 */
interface Write {
  owner: Owner;
  now: number;
  once: Once | null;
}

export interface NewConversation {
  id: string;
  title: string | null;
  assistant: string;
  listed: boolean;
  /** A client's own id for it, unique per user; null for none. */
  externalId: string | null;
  metadata: Record<string, string>;
  /** Makes it the user's active one, and the user's others inactive. */
  active: boolean;
}

export interface NewTurn {
  id: string;
  role: Role;
  items: Item[];
  /** A client's own id for it, unique per user and conversation; null for none. */
  externalId: string | null;
  /** Of a copy: what it was. Completed, and now, unless it says otherwise. */
  status?: 'completed' | 'incomplete';
  createdAt?: number;
}

/** The answer to be made: its turn, and the run that writes it. */
export interface NewAnswer {
  turn: string;
  run: string;
  /** Without an assistant the conversation's own is stored. */
  request: Omit<RunRequest, 'assistant'> & { assistant: string | null };
}

/** What a second message does while an answer is being written. */
export type OnBusy = 'queue' | 'reject' | 'interrupt';

export interface AcceptMessage extends Write {
  /** An existing conversation (unknown: `not_found`), or a new one made in the same commit. */
  conversation: { ref: ConversationRef } | { create: NewConversation };
  /** Its parent is the last of `lead`, else `parent`, else the conversation's head. It becomes the head, or the answer does. */
  input: NewTurn;
  /** Turns put in a chain in front of the input: what came with it in other roles. */
  lead?: readonly NewTurn[];
  /** Must be a turn of that conversation, else `not_found`; null: the head. */
  parent: string | null;
  /** A user turn of that conversation, else `not_found`: the input becomes its sibling, and takes over its external id. */
  replaces?: string;
  /** Null stores the input only. */
  answer: NewAnswer | null;
  onBusy: OnBusy;
}

export interface Accepted {
  conversation: Conversation;
  /** What is answered; the answer that was cut off, where it is gone on from. */
  input: Turn;
  answer: Turn | null;
  /**
   * As committed: `started` is to be run now by whoever called, `queued` waits for `finishRun` of the one before it.
   * With `interrupt` it is queued behind `interrupts`.
   */
  run: Run | null;
  /** The open runs of the conversation that the caller is to stop. */
  interrupts: string[];
  /** This call made `run` (for the first time, or anew after a failure before the first token): start it if `started`. */
  fresh: boolean;
}

export interface AnswerTurn {
  owner: Owner;
  now: number;
  /** A conversation (its newest user turn on the shown branch is answered) or a turn of the user's own role. */
  target: { conversation: ConversationRef } | { turn: string };
  answer: NewAnswer;
}

export interface AnswerAgain extends Write {
  /** A user turn, or an answer that was cut off, of that conversation; another turn: `conflict`, none: `not_found`. */
  conversation: string;
  turn: string;
  answer: NewAnswer;
  onBusy: OnBusy;
  /** Whether it is to have a further answer beside the one it has. */
  sibling: boolean;
}

export interface DeleteAnswer extends Write {
  /** An answer of the owner's that is not forgotten, else `not_found`. */
  turn: string;
}

/** One stretch of a run's log, packed by `packEvents`. */
export interface LogBatch {
  run: string;
  first: number;
  last: number;
  payload: string;
}

export interface FinishRun {
  run: string;
  end: TerminalEvent;
  /** The number of `end`. */
  lastEvent: number;
  /** What is not yet in the log, `end` included; the log ends with it. Null where nothing is logged (title runs). */
  tail: LogBatch | null;
  items: Item[];
  model: string | null;
  attempts: Attempt[];
  /** What is kept of the run's request from now on; null: all of it. */
  request: RunRequest | null;
  /** Whether the conversation's next queued run may start; it stays queued otherwise. */
  startNext: boolean;
  now: number;
}

export interface ListConversations {
  owner: Owner;
  /** `activity`: newest first; `created`: oldest first or newest first. Unlisted ones are never in it. */
  order: 'activity' | 'created';
  direction: 'asc' | 'desc';
  archived: boolean;
  limit: number;
  offset: number;
  /** Exclusive. */
  after: Cursor | null;
}

export interface SearchConversations {
  owner: Owner;
  /** What must all be in one message, or in the title; at least one. */
  phrases: readonly Phrase[];
  /** `newest`: by the newest match. `best`: by how well it matches, newer ones before older ones. */
  order: 'newest' | 'best';
  archived: boolean;
  limit: number;
  /** The `next` of the page before. */
  after: string | null;
  now: number;
}

/** A conversation that matches, once, with its newest or best match. */
export interface SearchHit {
  conversation: Conversation;
  /** The message; null where it is the title that matches. */
  item: string | null;
  excerpt: Excerpt;
}

export interface SearchPage {
  hits: SearchHit[];
  next: string | null;
  /** False while older messages are not in the index yet: it is being made anew. */
  complete: boolean;
}

export interface ListByAge {
  direction: 'asc' | 'desc';
  limit: number;
  /** An id, exclusive; null: from the start. */
  after: string | null;
}

export interface ReadPath {
  owner: Owner;
  ref: ConversationRef;
  /** The newest so many turns of the shown branch; fewer where these have 16 MiB of items. */
  limit: number;
  /** Only turns with a smaller depth; null: from the head. */
  before: number | null;
}

/** A stretch of a user's feed, oldest first. */
export interface Feed {
  changes: Change[];
  /** The number of the user's newest change; 0 before the first. */
  newest: number;
  /** Changes after `since` are not kept any more, or a number this high was never given: some may be missing. */
  expired: boolean;
}

/** How sound the database is, for `doctor` and `/readyz`. */
export interface StoreHealth {
  ok: boolean;
  /** Each a sentence. */
  problems: string[];
}

export interface Store {
  // Keys and users
  /** By the key's digest, whatever its state: the caller judges expiry and revocation. */
  findKey(digest: string): Promise<ApiKey | null>;
  findKeyById(tenant: string, id: string): Promise<ApiKey | null>;
  /** All of them, oldest first, unless a page says otherwise; `invalid_request` if there is no such key to begin after. */
  listKeys(tenant: string, page?: ListByAge): Promise<ApiKey[]>;
  createKey(unit: Write & { key: ApiKey; digest: string }): Promise<Outcome<ApiKey>>;
  /** Revokes a key of the owner's tenant; twice is the same as once. */
  revokeKey(unit: Write & { id: string }): Promise<Outcome<ApiKey>>;
  listUsers(tenant: string): Promise<User[]>;
  /** By id, those after `after`. `local`: only the machine's owner, and who was made by a keyless call. */
  pageUsers(page: { tenant: string; local: boolean; after: string; limit: number }): Promise<User[]>;
  createUser(unit: { user: User }): Promise<User>;

  /** `id` names it in the outcome, which outlives it. */
  createInvite(
    unit: Write & { id: string; invite: Invite; digest: string },
  ): Promise<Outcome<{ id: string; invite: Invite }>>;
  /** Makes the key for the invite's user, once: null if there is no such invite, or it is used or has expired. */
  redeemInvite(unit: {
    digest: string;
    key: Omit<ApiKey, 'tenant' | 'user'>;
    keyDigest: string;
    now: number;
  }): Promise<ApiKey | null>;

  /** Kept by its cookie's digest. A key has at most 100: the oldest is ended. */
  createSession(unit: { session: Session; digest: string }): Promise<void>;
  /** With its key, whatever the state of both: the caller judges expiry and revocation. */
  findSession(digest: string): Promise<{ key: ApiKey; expiresAt: number } | null>;
  extendSession(unit: { digest: string; expiresAt: number }): Promise<void>;
  endSession(unit: { digest: string }): Promise<void>;
  createTicket(
    unit: Write & { id: string; ticket: Ticket; digest: string },
  ): Promise<Outcome<{ id: string; ticket: Ticket }>>;
  hasTicket(digest: string): Promise<boolean>;
  /**
   * A ticket that may be used now for that path: for the first time before it expires, or with `again`, until `keepMs` after
   * it was made. `first`: this call used it. Null for any other.
   */
  useTicket(unit: {
    digest: string;
    path: string;
    again: boolean;
    keepMs: number;
    now: number;
  }): Promise<{ ticket: Ticket; first: boolean } | null>;

  // Conversations
  /** An `externalId` the user already has gives that conversation instead (`replayed`). */
  createConversation(unit: Write & { conversation: NewConversation }): Promise<Outcome<Conversation>>;
  findConversation(owner: Owner, ref: ConversationRef): Promise<Conversation | null>;
  listConversations(list: ListConversations): Promise<Conversation[]>;
  /**
   * Full-text search in the user's own, listed ones: every branch of them, and their titles. Finds what was committed
   * before it was called, but for the newest in a great rush, and never what was deleted. Pages neither skip nor double
   * anything in the order `newest`; in the order `best`, and in a search with very many matches, they end early.
   * Refused: `invalid_request` or `cursor_expired` for `after`, `overloaded` when too many are waiting.
   */
  searchConversations(search: SearchConversations): Promise<SearchPage>;
  updateConversation(unit: Write & { ref: ConversationRef; set: ConversationUpdate }): Promise<Outcome<Conversation>>;
  /** Names a conversation that has no title yet; false if it has one, or is gone. Leaves both times alone. */
  nameConversation(unit: { conversation: string; title: string; now: number }): Promise<boolean>;
  /** With everything in it. `runs`: its open runs, which the caller stops; nothing of them comes back. */
  deleteConversation(
    unit: Write & { ref: ConversationRef },
  ): Promise<Outcome<{ conversation: Conversation; runs: string[] }>>;
  /**
   * Up to `limit` of the user's own, listed, archived and unlisted ones; `more` says to call again. The row of `once` is
   * made by the call that leaves nothing, so that a replay cannot cut the work short.
   */
  deleteConversations(
    unit: Write & { limit: number },
  ): Promise<Outcome<{ conversations: string[]; runs: string[]; more: boolean }>>;

  // The feed
  /** The changes after number `since` (null: the oldest that is kept), at most `limit` of them. Of the user's own feed only. */
  readChanges(read: { owner: Owner; since: number | null; limit: number }): Promise<Feed>;
  /**
   * Calls the listener after each commit that wrote to the feed of a user, once reads see it; maybe once for several changes,
   * and now and then for none. Gives what ends it.
   */
  onChange(listener: (tenant: string, user: string) => void): () => void;

  // Usage
  /** What a user, or with null the whole tenant, used from one day to another; at most `limit` lines, oldest first. */
  readUsage(read: {
    tenant: string;
    user: string | null;
    from: number;
    to: number;
    limit: number;
  }): Promise<UsageLine[]>;

  // Turns
  /** The shown branch, oldest first; null if there is no such conversation. */
  readPath(read: ReadPath): Promise<{ conversation: Conversation; turns: Turn[] } | null>;
  /**
   * For a run: the path up to and including `turn`, oldest first, going back until `tokens` estimated tokens, 32 MiB of
   * items or 1,000 turns are reached, and on to the user turn that this exchange begins with.
   */
  readContext(read: { conversation: string; turn: string; tokens: number }): Promise<Turn[]>;
  /** The oldest turns of the shown branch from a depth on; null if there is no such conversation. */
  readBranch(read: {
    owner: Owner;
    ref: ConversationRef;
    from: number;
    limit: number;
  }): Promise<{ conversation: Conversation; turns: Turn[] } | null>;
  /** Of conversations known to be the caller's; none of those that are empty. */
  readHeads(conversations: readonly { id: string; head: string | null }[]): Promise<Head[]>;
  /**
   * Empties items out of a turn of that conversation, with the log of the run that wrote them; the turn stays. `not_found`
   * if one of them is not there.
   */
  deleteItems(
    unit: Write & { ref: ConversationRef; turn: string; items: readonly string[] },
  ): Promise<Outcome<Conversation>>;
  findTurn(owner: Owner, turn: string): Promise<{ conversation: Conversation; turn: Turn } | null>;
  /** An item by its id, with where it is; null if it is nobody's, somebody else's or deleted. */
  findItem(owner: Owner, item: string): Promise<{ conversation: Conversation; turn: Turn; item: Item } | null>;
  /** A turn of one conversation by a client's own id for it, else by its id. */
  findMessage(owner: Owner, conversation: string, id: string): Promise<Turn | null>;
  /** A turn and those above it, `count` in all at most, oldest first. */
  readChain(read: { turn: string; count: number }): Promise<Turn[]>;
  /** An assistant's turn with the run that wrote it (none for one made by hand); null for others, and for a forgotten one. */
  findAnswer(owner: Owner, turn: string): Promise<{ conversation: Conversation; turn: Turn; run: Run | null } | null>;
  /**
   * Forgets an answer: `findAnswer` does not find it and its log is gone, but its items stay. An unlisted conversation goes
   * with the last of its answers (`erased`); `runs`: its open runs, which the caller stops.
   */
  deleteAnswer(unit: DeleteAnswer): Promise<Outcome<{ conversation: Conversation; erased: boolean; runs: string[] }>>;
  /** The newest turns of all branches from a depth on, at most `limit` of them, in the order of acceptance. */
  readTree(read: { owner: Owner; conversation: string; depth: number; limit: number }): Promise<TreeNode[]>;

  // Runs
  /**
   * Stores a message and, with `answer`, both turns and the run, in one commit. A new answer is `started` when the
   * conversation has no open answer run, else by `onBusy`: `queued`, or `conflict`. A replay whose run failed before its
   * first token (status `failed`, no items) gets a new run, with the ids' `run` of this call, on the same answer turn.
   */
  acceptMessage(unit: AcceptMessage): Promise<Outcome<Accepted>>;
  /**
   * Answers a stored user turn once. If it has an answer already (`answers` of a turn points at it: being written,
   * written, or made by hand) that is what comes back, `fresh: false`; unless its run failed before its first token: then
   * a new run is made on the same turn. Otherwise the answer turn is appended at the head. No user turn: `conflict`;
   * unknown: `not_found`.
   */
  answerTurn(unit: AnswerTurn): Promise<Accepted>;
  /**
   * Answers a user turn below itself, and moves the head there: the newest answer it has comes back as it is, unless a
   * `sibling` is wanted or there is none. One whose run failed before its first token is written anew in either case.
   * An answer that was cut off is gone on from in the same way; where what went on from it was cut off as well, and no
   * `sibling` is wanted, from that one.
   */
  answerAgain(unit: AnswerAgain): Promise<Outcome<Accepted>>;
  findRun(owner: Owner, run: string): Promise<Run | null>;
  /** The newest run that writes or wrote a turn. */
  findRunOfTurn(owner: Owner, turn: string): Promise<Run | null>;
  /** Of those that are the owner's, in any order. */
  readRunFacts(read: { owner: Owner; runs: string[] }): Promise<RunFacts[]>;
  /** Batches of runs that are gone are dropped. */
  appendEvents(unit: { batches: LogBatch[] }): Promise<void>;
  /** Logged events with numbers above `after`, in order, at most about `limit` of them; empty if there are none (any more). */
  readEvents(read: { run: string; after: number; limit: number }): Promise<{ first: number; events: RunEvent[] }[]>;
  /** Starts a run of kind `title`; false if the conversation is gone. */
  startTitleRun(unit: { conversation: string; run: string; request: RunRequest; now: number }): Promise<boolean>;
  /**
   * Ends a run: log, items, turn, run, conversation times and change in one commit. With `startNext` the next queued run
   * of the conversation starts in it and comes back. A run that is gone or already ended changes nothing.
   */
  finishRun(unit: FinishRun): Promise<{ next: Run | null }>;
  /** Keeps what a run of no conversation cost, once it has ended: its row, and nothing that was said. */
  recordRun(unit: { run: Run }): Promise<void>;
  /** Gives a call of a conversation to a run, once: whose it is, this run's or that of the one that had it first. */
  claimCall(unit: { tenant: string; conversation: string; call: string; run: string; now: number }): Promise<string>;
  /** All runs that are `queued` or `started`, in the order of acceptance. */
  openRuns(): Promise<Run[]>;
  /** Marks the oldest queued run of a conversation with no started one as `started`; null if there is none. */
  startNextRun(unit: { conversation: string; now: number }): Promise<Run | null>;

  // Housekeeping
  /** Keeps a secret under a name, once, and gives the one that is kept. */
  keepSecret(secret: { name: string; value: string }): Promise<string>;
  /** Units that wait for the writer. */
  queued(): number;
  /** Deletes a bounded number of expired rows; true if there may be more. */
  sweep(unit: { now: number }): Promise<boolean>;
  health(deep: boolean): Promise<StoreHealth>;
  close(): Promise<void>;
}
