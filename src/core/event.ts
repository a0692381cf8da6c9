/**
 * Events: the steps of a run, numbered 1, 2, 3 … without gaps within it (but the terminal event after a crash). An
 * event does not carry its number: a batch is a plain array and the number of its first event.
 */

import type { EndStatus, FinishReason, RunError, Usage } from './run.ts';
import type { Evidence, Item, Source } from './turn.ts';

/** `item` is the position of the item within the answer, from 0, in the order of `item-added`. */
export type RunEvent =
  | { type: 'run-started'; at: number }
  /** The model that answers is known with its first output. */
  | { type: 'model-chosen'; model: string }
  /** A `function_call_output` comes whole, with the status it keeps; all other items are filled by what follows. */
  | { type: 'item-added'; item: Item }
  | { type: 'text-delta'; item: number; text: string }
  | { type: 'reasoning-delta'; item: number; text: string }
  | { type: 'arguments-delta'; item: number; text: string }
  /** A web search asks its engines. */
  | { type: 'search-started'; item: number; queries: string[] }
  | { type: 'source-found'; item: number; source: Source }
  /** Something of the source `index`, which `item` found, is put before the model. Later quotes add to earlier ones. */
  | { type: 'page-read'; item: number; index: number; evidence: Evidence }
  /** `failed`: nothing could be found or read. */
  /** What the provider of reasoning or a call wants back with it. */
  | { type: 'item-signed'; item: number; signature: string }
  | { type: 'item-completed'; item: number; failed?: true }
  | TerminalEvent;

export interface TerminalEvent {
  type: 'run-ended';
  status: EndStatus;
  finish: FinishReason | null;
  error: RunError | null;
  usage: Usage | null;
  /** What the `[n]` of the text stand for: here again for readers who came after the `source-found` events. */
  sources: Source[];
  at: number;
  /** After a crash, and where the log has expired: the whole saved answer, for readers whose cursor lies past the log. */
  items?: Item[];
}

/**
 * Events as one JSON text, small where it matters: a string is a `text-delta` of the item named by the last number
 * before it. `[0,"Hel","lo",{"type":"item-completed","item":0}]`
 */
export function packEvents(events: readonly RunEvent[]): string {
  const packed: unknown[] = [];
  let item = -1;
  for (const event of events) {
    if (event.type !== 'text-delta') {
      packed.push(event);
      continue;
    }
    if (event.item !== item) {
      item = event.item;
      packed.push(item);
    }
    packed.push(event.text);
  }
  return JSON.stringify(packed);
}

/** Reads what `packEvents` wrote. */
export function unpackEvents(text: string): RunEvent[] {
  const events: RunEvent[] = [];
  let item = -1;
  for (const entry of JSON.parse(text) as (string | number | RunEvent)[]) {
    if (typeof entry === 'string') events.push({ type: 'text-delta', item, text: entry });
    else if (typeof entry === 'number') item = entry;
    else events.push(entry);
  }
  return events;
}
