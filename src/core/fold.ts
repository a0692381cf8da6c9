/**
 * `fold` turns events into items: the same function live, on replay, on save and after a crash (DESIGN.md, The house).
 */

import type { RunEvent, TerminalEvent } from './event.ts';
import type { EndStatus } from './run.ts';
import type { Item } from './turn.ts';

/** What the events so far amount to. `fold` grows it in place: it stands on the path of every token. */
export interface Answer {
  items: Item[];
  model: string | null;
  /** UTF-16 units of text, reasoning and arguments so far. */
  size: number;
  /** How many deltas the newest text is a chain of, at most. */
  pieces: number;
  end: TerminalEvent | null;
}

/** How long such a chain may at least become. */
const PIECES = 1024;

export function emptyAnswer(): Answer {
  return { items: [], model: null, size: 0, pieces: 0, end: null };
}

/** Adds events to an answer, in order. Events that name an item that is not there are ignored: a log is never fatal. */
export function fold(answer: Answer, events: readonly RunEvent[]): Answer {
  for (const event of events) {
    switch (event.type) {
      case 'text-delta': {
        const item = answer.items[event.item];
        if (item?.type !== 'message') break;
        const last = item.content[item.content.length - 1];
        if (last?.type === 'text') last.text = append(answer, last.text, event.text);
        else item.content.push({ type: 'text', text: event.text });
        answer.size += event.text.length;
        break;
      }
      case 'reasoning-delta': {
        const item = answer.items[event.item];
        if (item?.type === 'reasoning') item.text = append(answer, item.text, event.text);
        answer.size += event.text.length;
        break;
      }
      case 'arguments-delta': {
        const item = answer.items[event.item];
        if (item?.type === 'function_call') item.arguments = append(answer, item.arguments, event.text);
        answer.size += event.text.length;
        break;
      }
      case 'item-added':
        answer.items.push(structuredClone(event.item));
        break;
      case 'search-started': {
        const item = answer.items[event.item];
        if (item?.type === 'web_search_call') item.action = { type: 'search', queries: event.queries };
        break;
      }
      case 'source-found': {
        const item = answer.items[event.item];
        if (item?.type === 'web_search_call') item.sources.push({ ...event.source });
        break;
      }
      case 'page-read': {
        const item = answer.items[event.item];
        if (item?.type !== 'web_search_call') break;
        const source = item.sources.find(({ index }) => index === event.index);
        if (source === undefined) break;
        const quotes = new Set([...(source.evidence?.quotes ?? []), ...event.evidence.quotes]);
        source.evidence = { ...event.evidence, quotes: [...quotes] };
        break;
      }
      case 'item-signed': {
        const item = answer.items[event.item];
        if (item?.type === 'reasoning' || item?.type === 'function_call') item.signature = event.signature;
        break;
      }
      case 'item-completed': {
        const item = answer.items[event.item];
        if (item !== undefined) item.status = event.failed ? 'incomplete' : 'completed';
        break;
      }
      case 'model-chosen':
        answer.model = event.model;
        break;
      case 'run-ended':
        end(answer, event);
        break;
      case 'run-started':
        break;
    }
  }
  return answer;
}

/**
 * V8 keeps appended texts as a chain, some 50 bytes for each, until it has to look into them: a long answer in one-character
 * deltas would take fifty times its size. So it is made to look, so seldom that it costs nothing.
 */
function append(answer: Answer, text: string, delta: string): string {
  const whole = text + delta;
  if (++answer.pieces < PIECES + whole.length / PIECES) return whole;
  answer.pieces = 0;
  // Never true (text never holds U+0000), but only known by looking.
  return whole.startsWith('\0') ? '' : whole;
}

/** A snapshot replaces what was folded. */
function end(answer: Answer, event: TerminalEvent): void {
  if (event.items !== undefined) answer.items = structuredClone(event.items);
  closeItems(answer.items, event.status);
  answer.end = event;
}

/** What is still open when a run ends is `incomplete`, unless the run completed. */
export function closeItems(items: Item[], status: EndStatus): Item[] {
  for (const item of items) {
    if (item.status === 'in_progress') item.status = status === 'completed' ? 'completed' : 'incomplete';
  }
  return items;
}

/** How far an answer has come: to be compared with later. */
export interface Mark {
  size: number;
  items: number;
}

export function markOf({ size, items }: Answer): Mark {
  return { size, items: items.length };
}

const START: Mark = { size: 0, items: 0 };

/** Whether the model has said anything since that a reader could have seen, or a tool has been run. */
export function hasOutput({ size, items }: Answer, since: Mark = START): boolean {
  return (
    size > since.size ||
    items.some(({ type }, at) => at >= since.items && (type === 'function_call' || type === 'function_call_output'))
  );
}
