/** Language models: a list of them, and a stream of events from one. */

import type { ContextTurn, FinishReason, RunErrorCode, Tool, Usage } from '#core/run.ts';

export interface ModelInfo {
  /** The name it is chosen by: `gpt-5-mini`, `ollama/llama3.2`, `guide`. */
  id: string;
  /** Who answers: `openai`, `anthropic`, `google`, `ollama`, `lmstudio`, `llama.cpp`, `guide`. */
  provider: string;
  /** Tokens it takes in and gives out in all. */
  window: number;
  /** Whether it is a chat model: an embedding model is listed but never the default. */
  chat: boolean;
  /** Its server is on this machine: slow first tokens are normal there. */
  local: boolean;
  /** Whether it takes images; absent where nobody says. */
  images?: boolean;
  /** Whether it can call tools; absent where nobody says. */
  tools?: boolean;
}

export type ModelTool = Tool;

/** One turn as the model gets it. */
export type ModelTurn = ContextTurn;

export interface ModelRequest {
  /** '' for none. */
  system: string;
  turns: ModelTurn[];
  tools: ModelTool[];
  /** Sampling parameters as given, under the names of Chat Completions (`temperature`, `max_tokens`, …). */
  parameters: Record<string, unknown>;
}

/** One step of a model's answer. `call` tells parallel tool calls apart. */
export type ModelEvent =
  | { type: 'text'; text: string }
  | { type: 'reasoning'; text: string }
  | { type: 'tool-call'; call: number; id: string; name: string }
  | { type: 'tool-arguments'; call: number; text: string }
  /**
   * What the provider wants back with its newest reasoning (null) or with a call, when the answer goes on after tools: it
   * comes back with the item, as it was given.
   */
  | { type: 'signature'; call: number | null; text: string }
  /** Reasoning after it is a block of its own. */
  | { type: 'reasoning-end' }
  | { type: 'usage'; usage: Usage }
  /** The proper end. A stream that stops without it is broken off. */
  | { type: 'finish'; reason: FinishReason };

/** What a failed call throws. The message never holds a key, a header or the request. */
export class ModelError extends Error {
  readonly code: RunErrorCode;
  /** Whether the same call may succeed later: 429, 5xx, a refused connection. Never after the first token. */
  readonly retryable: boolean;
  /** The provider's HTTP status, where there was one. */
  readonly status: number | null;
  /** What the provider's `Retry-After` asks for, in milliseconds. */
  readonly retryAfterMs: number | null;

  constructor(
    code: RunErrorCode,
    message: string,
    facts: { retryable?: boolean; status?: number | null; retryAfterMs?: number | null } = {},
  ) {
    super(message);
    this.name = 'ModelError';
    this.code = code;
    this.retryable = facts.retryable ?? false;
    this.status = facts.status ?? null;
    this.retryAfterMs = facts.retryAfterMs ?? null;
  }
}

/** All models of this server, whoever provides them. */
export interface Models {
  /** What can be asked now, chat models first as each provider ranks them. */
  list(): ModelInfo[];
  /**
   * The model of that name, or the default one for null. Null for an unknown name, or where there is none: then `why`
   * says what is configured and why it does not answer.
   */
  find(name: string | null): ModelInfo | null;
  /** Why there is no default model, as a sentence with what to do. */
  why(): string;
  /**
   * Asks a model. What one read of its socket brought comes together. Ends after `finish`; throws `ModelError`. Aborting
   * `signal` closes the connection and makes the iteration throw or end.
   */
  stream(model: ModelInfo, request: ModelRequest, signal: AbortSignal): AsyncIterable<ModelEvent[]>;
}
