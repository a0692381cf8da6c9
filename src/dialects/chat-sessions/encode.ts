/** Core → wire: sessions, and turns as lines of their chat. Pure. */

import { type Conversation, UNTITLED } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import { type Turn, textOf } from '#core/turn.ts';
import type { WireLine, WireSession } from './schema.ts';

/** Throws `not_found` for an unlisted conversation: it has no number, so this dialect has no name for it. */
export function toSession(conversation: Conversation): WireSession {
  if (conversation.number === null) throw notFound('Session');
  return {
    id: conversation.number,
    title: conversation.title ?? UNTITLED,
    is_active: conversation.active ? 'true' : 'false',
    created_at: new Date(conversation.createdAt).toISOString(),
  };
}

/** What a session's chat shows: neither the system's part, nor what has no text. */
export function toLines(turns: readonly Turn[]): WireLine[] {
  return turns.filter(({ role, items }) => role !== 'system' && textOf(items) !== '').map(toLine);
}

export function toLine(turn: Turn): WireLine {
  return {
    id: turn.id,
    sender: turn.role === 'user' ? 'user' : 'ai',
    message: textOf(turn.items),
    created_at: new Date(turn.createdAt).toISOString(),
  };
}
