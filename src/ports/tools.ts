/** Tools that this server runs itself when a model calls them: web search, MCP servers. */

import type { Assistant } from '#core/conversation.ts';
import type { RunEvent } from '#core/event.ts';
import type { Answer } from '#core/fold.ts';
import type { Run, Tool } from '#core/run.ts';

/** What a call gives to the model. */
export interface ToolResult {
  text: string;
  /** The tool failed: `text` says why, in words for the model. */
  isError: boolean;
}

/** What a call may know and do besides its arguments. */
export interface ToolContext {
  /** Aborted when the run is stopped, deleted or out of time, and when the call has used up its own time. */
  signal: AbortSignal;
  /** Whose answer it is: tenant, user, conversation. */
  run: Run;
  /** The answer so far: the next item that is added gets the position `answer.items.length`. */
  answer: Readonly<Answer>;
  /**
   * Shows what the call does as it does it: further items of the answer, and events of these (`item-added`,
   * `source-found`, `item-completed`). Their items must not be calls or outputs; those are the run loop's. Ignored once
   * the call is over.
   */
  publish(events: RunEvent[]): void;
}

/** `name` is 1–64 of a–z, A–Z, 0–9, `_` and `-`, as every provider takes it. */
export interface ServerTool extends Tool {
  /** Whose tool it is, for people: `web`, or an MCP server's name. */
  server: string;
  /** It may change something: it is not run without a person's approval. */
  needsApproval: boolean;
  /** May throw an `Error` whose message the model is then told. Need not obey the signal: nobody waits longer. */
  call(given: Record<string, unknown>, context: ToolContext): Promise<ToolResult>;
}

export interface Offer {
  tools: ServerTool[];
  /** Sentences for the system prompt, such as whose tools cannot be reached. */
  notes: string[];
}

/** Whoever has tools. */
export interface ToolSource {
  /** What a run may use. Asked once for each answer; must resolve within seconds, and never throws. */
  offer(run: Run, assistant: Assistant, signal: AbortSignal): Promise<Offer>;
}
