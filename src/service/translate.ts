/**
 * A model's events → a run's events: deltas find their item, items open and close in order, and text is made clean before
 * anything is sent or logged (DESIGN.md, Models: text hygiene).
 */

import type { RunEvent } from '#core/event.ts';
import type { FinishReason, Usage } from '#core/run.ts';
import { type FunctionCallItem, type Item, textOf } from '#core/turn.ts';
import type { Ids } from '#ports/clock.ts';
import type { ModelEvent } from '#ports/model.ts';

/** What a call of a tool of this server is marked with. */
export type ToolOwner = Pick<FunctionCallItem, 'server' | 'asks'>;

interface Translated {
  events: RunEvent[];
  usage: Usage | null;
  finish: FinishReason | null;
}

/** The most of it that is kept, in UTF-16 units. */
const MAX_SIGNATURE = 256 * 1024;

/** The open item of a kind: where its deltas go. */
interface OpenItem {
  index: number;
  /** A high surrogate that waits for its other half. */
  pending: string;
}

/**
 * @param start.model named by the `model-chosen` event before the first output
 * @param start.said the items that the answer has already
 * @param start.ownerOf whose tool it is, where this server runs it, and whether a person is asked first
 */
export function createTranslator(start: {
  ids: Ids;
  model: string;
  said?: readonly Item[];
  ownerOf?: (name: string) => ToolOwner | undefined;
}) {
  const { ids, said = [] } = start;
  let next = said.length;
  /** What parts a later round's text from the text before it: flat dialects show all texts as one. */
  let gap = gapAfter(textOf(said));
  let named = false;
  let message: OpenItem | null = null;
  let reasoning: OpenItem | null = null;
  /** The reasoning that was begun last. */
  let newest: OpenItem | null = null;
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
          delta(events, 'text-delta', message, gap === '' ? event.text : gap + event.text);
          gap = '';
          break;
        case 'reasoning':
          if (event.text === '') break;
          reasoning ??= newest = begin(events, 'reasoning');
          delta(events, 'reasoning-delta', reasoning, event.text);
          break;
        case 'tool-call':
          if (!calls.has(event.call)) calls.set(event.call, begin(events, event));
          break;
        case 'tool-arguments': {
          const call = calls.get(event.call);
          if (call !== undefined && event.text !== '') delta(events, 'arguments-delta', call, event.text);
          break;
        }
        case 'signature':
          sign(events, event);
          break;
        case 'reasoning-end':
          if (reasoning !== null) complete(events, 'reasoning-delta', reasoning);
          reasoning = null;
          newest = null;
          break;
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

  /** Reasoning may be hidden: then its signature is all there is of it. */
  function sign(events: RunEvent[], { call, text }: Extract<ModelEvent, { type: 'signature' }>): void {
    if (text.length > MAX_SIGNATURE) return;
    if (call === null && newest === null) reasoning = newest = begin(events, 'reasoning');
    const target = call === null ? newest : calls.get(call);
    if (target != null) events.push({ type: 'item-signed', item: target.index, signature: text });
  }

  /** Closes what is open, at the model's proper end. */
  function close(): RunEvent[] {
    const events: RunEvent[] = [];
    closeOpen(events);
    return events;
  }

  /** Parallel calls stay open beside each other; anything else closes what came before it. */
  function begin(events: RunEvent[], what: 'message' | 'reasoning' | { id: string; name: string }): OpenItem {
    if (!named) events.push({ type: 'model-chosen', model: start.model });
    named = true;
    const called = typeof what === 'object';
    if (called) closeTexts(events);
    else closeOpen(events);
    events.push({ type: 'item-added', item: called ? emptyCall(what) : emptyItem(ids.uuid(), what) });
    return { index: next++, pending: '' };
  }

  /** Some models number their calls anew in each round: an id that is taken would have two outputs. */
  function emptyCall({ id, name }: { id: string; name: string }): Item {
    const item = ids.uuid();
    const taken = id === '' || said.some((other) => other.type === 'function_call' && other.callId === id);
    const callId = taken ? `call_${item}` : id;
    const owner = start.ownerOf?.(name);
    return { type: 'function_call', id: item, status: 'in_progress', callId, name, arguments: '', ...owner };
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

function emptyItem(id: string, kind: 'message' | 'reasoning'): Item {
  const status = 'in_progress';
  return kind === 'message'
    ? { type: 'message', id, role: 'assistant', status, content: [] }
    : { type: 'reasoning', id, status, text: '' };
}

function gapAfter(text: string): string {
  if (text === '' || text.endsWith('\n\n')) return '';
  return text.endsWith('\n') ? '\n' : '\n\n';
}
