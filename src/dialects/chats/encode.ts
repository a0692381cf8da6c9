/** Core → wire: chats, entries, and the run's events as Server-Sent Events. Pure. */

import { type Conversation, UNTITLED } from '#core/conversation.ts';
import { errorStatus, type ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { CRASH_GAP } from '#core/run.ts';
import { type Source, type Turn, textOf } from '#core/turn.ts';
import type { WireChat, WireEntry } from './schema.ts';

export function toChat(conversation: Conversation): WireChat {
  return {
    id: conversation.id,
    name: conversation.title ?? UNTITLED,
    created_at: new Date(conversation.createdAt).toISOString(),
    updated_at: new Date(conversation.updatedAt).toISOString(),
  };
}

/** An entry, or null for what has no text or neither of the two roles. */
export function toEntry(turn: Turn): WireEntry | null {
  const message = textOf(turn.items);
  if (message === '' || turn.role === 'system') return null;
  return {
    id: turn.id,
    role: turn.role === 'user' ? 'Human' : 'Assistant',
    chat_id: turn.conversation,
    message,
    created_at: new Date(turn.createdAt).toISOString(),
    updated_at: new Date(turn.updatedAt).toISOString(),
  };
}

/**
 * Writes a run as SSE. "Plain `message` events carry the text … then one `event: done`" or `error`; every event has
 * `id: <seq>`, which is the core's number of it.
 *
 * @param after the number of the last event the reader has. The encoder wants to be given that event too: a CR at its
 * end and an LF at the start of the next are one line end.
 */
export function createEncoder({ turn, conversation }: { turn: string; conversation: string }, after: number) {
  let endedInCr = false;
  let last = after;
  return { events, gone };

  function events(first: number, batch: readonly RunEvent[]): string {
    let text = '';
    for (let i = 0; i < batch.length; i++) {
      const event = batch[i] as RunEvent;
      const number = first + i;
      if (event.type === 'text-delta') text += delta(number, event.text);
      else if (number <= after && event.type !== 'run-ended') continue;
      else if (event.type === 'source-found') text += named(number, 'source', toSource(event.source));
      else if (event.type === 'run-ended') text += terminal(number, event);
    }
    last = Math.max(last, first + batch.length - 1);
    return text;
  }

  function delta(number: number, text: string): string {
    const start = endedInCr && text.startsWith('\n') ? text.slice(1) : text;
    endedInCr = text.endsWith('\r');
    if (number <= after || start === '') return '';
    if (!start.includes('\n') && !start.includes('\r')) return `id: ${number}\ndata: ${start}\n\n`;
    return `id: ${number}\ndata: ${start.replace(/\r\n?|\n/g, '\ndata: ')}\n\n`;
  }

  function terminal(number: number, end: TerminalEvent): string {
    const nothing =
      end.status === 'failed' || (end.status === 'incomplete' && end.items !== undefined && textOf(end.items) === '');
    if (nothing) {
      const code = end.error?.code === 'silent' ? 504 : end.status === 'failed' ? 503 : 502;
      return named(number, 'error', { code, description: end.error?.message ?? 'The answer failed.' });
    }
    // "with the whole saved `message` when the reader's cursor lay past the log"
    const past = end.items !== undefined && after > 0 && after > number - CRASH_GAP;
    return named(number, 'done', {
      conversation_id: turn,
      chat_id: conversation,
      finish_reason: finishReason(end),
      sources: end.sources.map(toKeptSource),
      ...(past && { message: textOf(end.items ?? []) }),
    });
  }

  /** The end of a stream whose conversation is gone. */
  function gone(error: ServiceError): string {
    return named(last + 1, 'error', { code: errorStatus[error.code], description: error.message });
  }
}

function toSource({ index, title, url }: Source) {
  return { index, title, url };
}

/** With what lasts of the page. */
function toKeptSource(source: Source) {
  const { evidence } = source;
  if (evidence === undefined) return toSource(source);
  const { readAt, hash, quotes } = evidence;
  return { ...toSource(source), evidence: { read_at: new Date(readAt).toISOString(), hash, quotes } };
}

function finishReason({ status, finish }: TerminalEvent): string {
  if (status !== 'completed') return finish === 'length' ? 'length' : status;
  return finish === 'length' || finish === 'content_filter' ? finish : 'stop';
}

function named(number: number, event: string, data: unknown): string {
  return `id: ${number}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}
