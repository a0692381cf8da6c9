/** Core → wire: conversations with their messages, and the frames of the socket. Pure. */

import type { Conversation } from '#core/conversation.ts';
import type { ServiceError } from '#core/errors.ts';
import type { RunEvent } from '#core/event.ts';
import { type Turn, textOf } from '#core/turn.ts';
import { toWireError } from './errors.ts';
import type { WireConversation } from './schema.ts';

export function toConversation(conversation: Conversation, turns: readonly Turn[]): WireConversation {
  const messages = turns.map((turn) => ({
    id: turn.id,
    content: textOf(turn.items),
    role: turn.role,
    created_at: new Date(turn.createdAt).toISOString(),
  }));
  return {
    id: conversation.id,
    user_id: conversation.user,
    created_at: new Date(conversation.createdAt).toISOString(),
    messages: messages.filter(({ content }) => content !== ''),
  };
}

/** What the frames of one answer have in common. */
export interface AnswerIds {
  conversation_id: string;
  message_id: string;
}

export function idsOf(answer: Turn): AnswerIds {
  return { conversation_id: answer.conversation, message_id: answer.id };
}

export function responseFrame(content: string, ids: AnswerIds): string {
  return JSON.stringify({ type: 'response', content, ...ids });
}

export function errorFrame(error: ServiceError, ids?: AnswerIds): string {
  return JSON.stringify({ type: 'error', ...toWireError(error).body, ...ids });
}

/** A `delta` without text, before the model has said any: with its ids the answer can be stopped and picked up. */
export function openingFrame(ids: AnswerIds): string {
  return JSON.stringify({ type: 'delta', content: '', seq: 0, ...ids });
}

/** The `delta` frames of a batch; `seq` is the core's number of the event. */
export function deltaFrames(first: number, events: readonly RunEvent[], ids: AnswerIds): string[] {
  const frames: string[] = [];
  events.forEach((event, i) => {
    if (event.type === 'text-delta') {
      frames.push(JSON.stringify({ type: 'delta', content: event.text, seq: first + i, ...ids }));
    }
  });
  return frames;
}
