/** A run: one answer being made. It always ends (promise 2), and is never silently made again. */

import { type Item, type Role, type Turn, textOf } from './turn.ts';

/** `queued` and `started` are open; the other four are ends. */
export type RunStatus = 'queued' | 'started' | EndStatus;
export type EndStatus = 'completed' | 'incomplete' | 'failed' | 'cancelled';

export type RunKind = 'answer' | 'title';

/** Why the model stopped, in the words of Chat Completions. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

/** Token counts as the provider gave them. */
export interface Usage {
  inputTokens: number;
  cachedInputTokens: number;
  outputTokens: number;
  reasoningTokens: number;
}

/**
 * Why a run did not complete. The first group fails before the first token (`failed`), the second breaks an answer off
 * (`incomplete`); `stopped` is a person's or a caller's stop (`cancelled`).
 */
export type RunErrorCode =
  | 'unreachable'
  | 'silent'
  | 'rate_limited'
  | 'refused'
  | 'model_not_found'
  | 'provider_error'
  | 'no_model'
  | 'malformed'
  | 'broken_off'
  | 'time_limit'
  | 'size_limit'
  | 'tool_limit'
  | 'server_restarted'
  | 'server_stopping'
  | 'stopped'
  | 'interrupted'
  | 'internal';

export interface RunError {
  code: RunErrorCode;
  /** A sentence a person may read; never a secret, an address with credentials or a stack. */
  message: string;
}

/** One call of one model; all are kept on the run. */
export interface Attempt {
  model: string;
  startedAt: number;
  endedAt: number;
  /** Null if it answered. */
  error: RunError | null;
  /** The provider's HTTP status, where there was one. */
  status: number | null;
}

/** A tool as a model is told of it. A run that asks for one of the caller's ends its turn. */
export interface Tool {
  name: string;
  description: string;
  /** JSON Schema. */
  parameters: Record<string, unknown>;
}

export type WebSearchWish = 'off' | 'auto' | 'always';

/** One turn as a model is given it. */
export interface ContextTurn {
  role: Role;
  items: Item[];
}

/** What was asked for, as kept on the run row. */
export interface RunRequest {
  assistant: string;
  /** A model's name; null for the assistant's, else the server's default. */
  model: string | null;
  /** Replaces the assistant's system prompt; null keeps it. */
  instructions: string | null;
  /** `always` searches at least once; `auto` leaves it to the model; `off` leaves it to the assistant. */
  webSearch: WebSearchWish;
  /** Sampling parameters that reach the model as given, under the names of Chat Completions. */
  parameters: Record<string, unknown>;
  /** The caller's own. */
  tools: Tool[];
  /** Whether the client can ask a person to approve calls; otherwise those that need it are not made. */
  approvals: boolean;
  /** What the model is given instead of the conversation's path, where the caller brought the whole of it. */
  context: ContextTurn[] | null;
  /** How many turns above the answered one came with it, as its `lead`. */
  lead: number;
  /** What the dialect it was asked in shows again with the stored answer; nobody else reads it. */
  echo: Record<string, unknown>;
}

export interface Run {
  id: string;
  tenant: string;
  user: string;
  /** Null for a run of no conversation. */
  conversation: string | null;
  /** The answer turn it writes. */
  turn: string | null;
  /** The turn it answers: its context is the path up to that one. */
  answers: string | null;
  kind: RunKind;
  status: RunStatus;
  request: RunRequest;
  /** The model that answered; null before that. */
  model: string | null;
  attempts: Attempt[];
  usage: Usage | null;
  finish: FinishReason | null;
  error: RunError | null;
  /** The number of its terminal event; 0 while it is open. */
  lastEvent: number;
  createdAt: number;
  startedAt: number | null;
  endedAt: number | null;
}

/** What is told of a run beside what it said. */
export type RunFacts = Pick<Run, 'id' | 'status' | 'model' | 'usage' | 'error'>;

/** How a run ended and what it said. */
export interface RunResult {
  run: string;
  conversation: string | null;
  turn: string | null;
  status: EndStatus;
  finish: FinishReason | null;
  error: RunError | null;
  usage: Usage | null;
  model: string | null;
  items: Item[];
}

export function addUsage(a: Usage | null, b: Usage | null): Usage | null {
  if (a === null || b === null) return a ?? b;
  return {
    inputTokens: a.inputTokens + b.inputTokens,
    cachedInputTokens: a.cachedInputTokens + b.cachedInputTokens,
    outputTokens: a.outputTokens + b.outputTokens,
    reasoningTokens: a.reasoningTokens + b.reasoningTokens,
  };
}

/** What a run may look up: its own wish, else the assistant's. */
export function webSearchOf(
  { webSearch }: Pick<RunRequest, 'webSearch'>,
  assistant: { webSearch: boolean },
): WebSearchWish {
  return webSearch === 'off' && assistant.webSearch ? 'auto' : webSearch;
}

/** What is kept of a request once its run has ended: not the context that came with it. Null where that is all of it. */
export function keptRequest(request: RunRequest): RunRequest | null {
  return request.context === null ? null : { ...request, context: null };
}

export function isEnded(status: RunStatus): status is EndStatus {
  return status !== 'queued' && status !== 'started';
}

/** Whether an answer ended with a part of its text: stopped, broken off, or cut at its allowed length. */
export function wasCutOff(turn: Turn, run: Run | null): boolean {
  if (turn.role !== 'assistant' || textOf(turn.items) === '') return false;
  return turn.status === 'incomplete' || (turn.status === 'completed' && run?.finish === 'length');
}

/**
 * After a crash a reader may hold events that were sent but not yet logged; the terminal event is numbered this far
 * beyond the last logged one, so that no cursor lies past it (DESIGN.md, promise 4).
 */
export const CRASH_GAP = 100_000;
