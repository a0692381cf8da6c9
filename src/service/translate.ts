/**
 * A model's events → a run's events: deltas find their item, items open and close in order, and text is made clean before
 * anything is sent or logged (DESIGN.md, Models: text hygiene).
 */

import type { RunEvent } from '#core/event.ts';
import type { FinishReason, Usage } from '#core/run.ts';
import type { Item } from '#core/turn.ts';
import type { Ids } from '#ports/clock.ts';
import type { ModelEvent } from '#ports/model.ts';

interface Translated {
  events: RunEvent[];
  usage: Usage | null;
  finish: FinishReason | null;
}

/** The open item of a kind: where its deltas go. */
interface OpenItem {
  index: number;
  /** A high surrogate that waits for its other half. */
  pending: string;
}

/**
 * @param start.model named by the `model-chosen` event before the first output
 * @param start.offset how many items the answer has already
 */
export function createTranslator(start: { ids: Ids; model: string; offset: number }) {
  const { ids } = start;
  let next = start.offset;
  let named = false;
  let message: OpenItem | null = null;
  let reasoning: OpenItem | null = null;
  /** Calls may be written side by side; they close together. */
  const calls = new Map<number, OpenItem>();

  return { translate, close };

  function translate(batch: readonly ModelEvent[]): Translated {
    const events: RunEvent[] = [];
    let usage: Usage | null = null;
    let finish: FinishReason | null = null;
    for (const event of batch) {
      switch (event.type) {
        case 'text':
          if (event.text === '') break;
          message ??= begin(events, 'message');
          delta(events, 'text-delta', message, event.text);
          break;
        case 'reasoning':
          if (event.text === '') break;
          reasoning ??= begin(events, 'reasoning');
          delta(events, 'reasoning-delta', reasoning, event.text);
          break;
        case 'tool-call':
          if (!calls.has(event.call)) calls.set(event.call, begin(events, 'function_call', event));
          break;
        case 'tool-arguments': {
          const call = calls.get(event.call);
          if (call !== undefined && event.text !== '') delta(events, 'arguments-delta', call, event.text);
          break;
        }
        case 'usage':
          usage = event.usage;
          break;
        case 'finish':
          finish = event.reason;
          break;
      }
    }
    return { events, usage, finish };
  }

  /** Closes what is open, at the model's proper end. */
  function close(): RunEvent[] {
    const events: RunEvent[] = [];
    closeOpen(events);
    return events;
  }

  function begin(
    events: RunEvent[],
    kind: 'message' | 'reasoning' | 'function_call',
    call?: { id: string; name: string },
  ): OpenItem {
    if (!named) events.push({ type: 'model-chosen', model: start.model });
    named = true;
    // Parallel calls stay open beside each other; anything else closes what came before it.
    if (kind !== 'function_call') closeOpen(events);
    else closeTexts(events);
    events.push({ type: 'item-added', item: emptyItem(ids.uuid(), kind, call) });
    return { index: next++, pending: '' };
  }

  function closeOpen(events: RunEvent[]): void {
    closeTexts(events);
    for (const call of calls.values()) complete(events, 'arguments-delta', call);
    calls.clear();
  }

  function closeTexts(events: RunEvent[]): void {
    if (reasoning !== null) complete(events, 'reasoning-delta', reasoning);
    if (message !== null) complete(events, 'text-delta', message);
    reasoning = null;
    message = null;
  }
}

type DeltaType = 'text-delta' | 'reasoning-delta' | 'arguments-delta';

function delta(events: RunEvent[], type: DeltaType, open: OpenItem, text: string): void {
  const clean = open.pending === '' && text.isWellFormed() && !text.includes('\0') ? text : cleanText(open, text);
  if (clean !== '') events.push({ type, item: open.index, text: clean });
}

function complete(events: RunEvent[], type: DeltaType, open: OpenItem): void {
  if (open.pending !== '') events.push({ type, item: open.index, text: '\ufffd' });
  events.push({ type: 'item-completed', item: open.index });
}

/** A trailing high surrogate waits for the next delta, an unmatched one becomes U+FFFD, and U+0000 is dropped. */
function cleanText(open: OpenItem, text: string): string {
  let whole = (open.pending + text).replaceAll('\0', '');
  const last = whole.charCodeAt(whole.length - 1);
  open.pending = last >= 0xd800 && last <= 0xdbff ? whole.slice(-1) : '';
  if (open.pending !== '') whole = whole.slice(0, -1);
  return whole.toWellFormed();
}

function emptyItem(
  id: string,
  kind: 'message' | 'reasoning' | 'function_call',
  call?: { id: string; name: string },
): Item {
  const status = 'in_progress';
  if (kind === 'message') return { type: 'message', id, role: 'assistant', status, content: [] };
  if (kind === 'reasoning') return { type: 'reasoning', id, status, text: '' };
  return { type: 'function_call', id, status, callId: call?.id ?? id, name: call?.name ?? '', arguments: '' };
}
