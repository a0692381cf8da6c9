/**
 * The tables, the same on every database. Flags are 0 or 1, times Unix milliseconds, JSON is text.
 * Every table carries the tenant. What each database makes of them is in `migrations/`.
 */

import type { ChangeType } from '#core/change.ts';
import type { RunKind, RunStatus } from '#core/run.ts';
import type { Item, Role, TurnStatus } from '#core/turn.ts';

export type Flag = 0 | 1;

interface TenantsTable {
  id: string;
  /** The number its next listed conversation gets; never given twice. */
  next_number: number;
}

interface UsersTable {
  tenant: string;
  id: string;
  keyless: Flag;
  created_at: number;
  /** May name a conversation that is gone: then none is active. */
  active_conversation: string | null;
  /** The number of the newest change in the user's feed. */
  last_change: number;
}

interface ApiKeysTable {
  id: string;
  tenant: string;
  user: string;
  digest: string;
  kind: 'user' | 'service';
  name: string | null;
  hint: string;
  scopes: string;
  rates: string | null;
  created_at: number;
  expires_at: number | null;
  revoked_at: number | null;
}

interface ConversationsTable {
  id: string;
  tenant: string;
  user: string;
  number: number | null;
  title: string | null;
  assistant: string;
  listed: Flag;
  archived: Flag;
  head: string | null;
  /** The depth of the head's turn; 0 while empty. */
  head_depth: number;
  external_id: string | null;
  created_at: number;
  updated_at: number;
  active_at: number;
  metadata: string;
}

interface TurnsTable {
  row: number;
  conversation: string;
  id: string;
  tenant: string;
  parent: string | null;
  depth: number;
  role: Role;
  status: TurnStatus;
  run: string | null;
  answers: string | null;
  external_id: string | null;
  /** `estimateTokens` of its items. */
  tokens: number;
  created_at: number;
  updated_at: number;
  /** Of an answer: its response was deleted, the items stay. */
  forgotten: Flag;
}

interface ItemsTable {
  row: number;
  tenant: string;
  turn: string;
  /** Within the turn, from 0. */
  position: number;
  id: string;
  type: Item['type'];
  /** The item as JSON. */
  body: string;
}

interface RunsTable {
  /** The order of acceptance; never given twice. */
  sequence: number;
  id: string;
  tenant: string;
  user: string;
  conversation: string | null;
  turn: string | null;
  answers: string | null;
  kind: RunKind;
  status: RunStatus;
  request: string;
  model: string | null;
  attempts: string;
  usage: string | null;
  finish: 'stop' | 'length' | 'tool_calls' | 'content_filter' | null;
  error: string | null;
  last_event: number;
  created_at: number;
  started_at: number | null;
  /** Null while the run is open. */
  ended_at: number | null;
}

/** Where the log of a run ends. */
interface RunLogsTable {
  run: number;
  tenant: string;
  /** The newest row of the run's log in `run_events`. */
  newest: number;
  /** When the run ended; null while it is open. */
  ended_at: number | null;
}

/**
 * The logs of all runs, one behind the other in the order of writing, each row with the one before it of the same run:
 * a flush touches a few pages, however many runs it has (docs/decisions/2026-11-20-run-log-chain.md).
 */
interface RunEventsTable {
  row: number;
  tenant: string;
  run: number;
  previous: number | null;
  first: number;
  last: number;
  /** Of `packEvents`. */
  payload: string;
}

interface IdempotencyTable {
  row: number;
  tenant: string;
  user: string;
  key: string;
  command: string;
  /** The conversation the command wrote to; null for none, or where the command deleted it. */
  conversation: string | null;
  /** Of an accepted message: its turns. The answer's turn names its newest run. */
  input: string | null;
  answer: string | null;
  /** The outcome of any other unit, as JSON. */
  result: string | null;
  /** The conversation was deleted since, by another call. */
  gone: Flag;
  created_at: number;
}

interface ChangesTable {
  row: number;
  tenant: string;
  user: string;
  number: number;
  type: ChangeType;
  conversation: string;
  run: string | null;
  created_at: number;
}

/** What the search index is told: a title, or what was deleted (`migrations/0006-search-changes.ts`). */
interface SearchChangesTable {
  sequence: number;
  tenant: string;
  conversation: string;
  /** The row of a deleted item; null where it is about the conversation itself. */
  item: number | null;
}

/** An invite is there until it is used or has expired. */
interface InvitesTable {
  digest: string;
  tenant: string;
  user: string;
  created_at: number;
  expires_at: number;
}

interface SecretsTable {
  name: string;
  value: string;
}

/** A sign-in of the web app. It dies with its key, whatever its own expiry says. */
interface SessionsTable {
  digest: string;
  tenant: string;
  key: string;
  created_at: number;
  /** Moved on while it is used. */
  expires_at: number;
}

/** What a user's answers cost on one day, by model. */
interface UsageTable {
  row: number;
  tenant: string;
  user: string;
  /** Days since 1970-01-01, UTC: of the run's end. */
  day: number;
  /** '' where no model answered. */
  model: string;
  runs: number;
  input_tokens: number;
  cached_input_tokens: number;
  output_tokens: number;
  reasoning_tokens: number;
}

/** A ticket is there until it has expired. */
interface TicketsTable {
  digest: string;
  tenant: string;
  user: string;
  /** The id of the key it was made with; null for none. */
  key: string | null;
  keyless: Flag;
  finds_keyless: Flag;
  path: string;
  created_at: number;
  /** When it was used first. */
  used_at: number | null;
  expires_at: number;
}

interface CallClaimsTable {
  /** The id of the item of the call that asked for approval. */
  call: string;
  tenant: string;
  conversation: string;
  run: string;
  created_at: number;
}

export interface Tables {
  tenants: TenantsTable;
  users: UsersTable;
  api_keys: ApiKeysTable;
  invites: InvitesTable;
  sessions: SessionsTable;
  search_changes: SearchChangesTable;
  conversations: ConversationsTable;
  turns: TurnsTable;
  items: ItemsTable;
  runs: RunsTable;
  run_logs: RunLogsTable;
  run_events: RunEventsTable;
  idempotency: IdempotencyTable;
  changes: ChangesTable;
  secrets: SecretsTable;
  usage: UsageTable;
  tickets: TicketsTable;
  call_claims: CallClaimsTable;
}

export type Row<T extends keyof Tables> = Tables[T];
