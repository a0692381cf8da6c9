/** Core → wire: chats, and turns as exchanges. Pure. */

import { type Conversation, UNTITLED } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import { joinContinued, type Turn, textOf } from '#core/turn.ts';
import type { WireChat, WireMessage } from './schema.ts';

/** Throws `not_found` for an unlisted conversation: it has no number, so this dialect has no name for it. */
export function toChat(conversation: Conversation): WireChat {
  if (conversation.number === null) throw notFound('Chat');
  return {
    id: conversation.number,
    title: conversation.title ?? UNTITLED,
    created_at: new Date(conversation.createdAt).toISOString(),
    updated_at: new Date(conversation.updatedAt).toISOString(),
  };
}

/** A question with its answer: one of them may be missing. */
interface Exchange {
  /** The one that came first. */
  first: Turn;
  question: Turn | null;
  answer: Turn | null;
}

/**
 * The newest `limit` exchanges of some turns, oldest first. `before` leads on to older ones; null: there are none.
 *
 * @param older what leads on to turns older than these
 */
export function toMessages(
  turns: readonly Turn[],
  older: number | null,
  limit: number,
): { messages: WireMessage[]; before: number | null } {
  const exchanges = pair(older === null ? turns : withoutTorn(turns));
  const shown = exchanges.slice(-limit);
  const oldest = shown[0]?.first;
  const before = oldest !== undefined && (older !== null || shown.length < exchanges.length) ? oldest.depth : older;
  return { messages: shown.map(toMessage), before };
}

/** One exchange that was answered whole. */
export function toAnswered(question: Turn, answer: string): WireMessage {
  return { ...toMessage({ first: question, question, answer: null }), bot_response: answer, status: 'completed' };
}

/** Answers at the start whose questions are on the older page are shown with them there. */
function withoutTorn(turns: readonly Turn[]): readonly Turn[] {
  const whole = turns.findIndex(({ role, answers }) => role !== 'assistant' || answers === null);
  return whole > 0 ? turns.slice(whole) : turns;
}

function pair(turns: readonly Turn[]): Exchange[] {
  const exchanges: Exchange[] = [];
  const asked = new Map<string, Exchange>();
  for (const turn of joinContinued(turns)) {
    if (turn.role === 'system') continue;
    const open = turn.answers === null ? undefined : asked.get(turn.answers);
    if (open?.answer === null) {
      open.answer = turn;
      continue;
    }
    const exchange =
      turn.role === 'user'
        ? { first: turn, question: turn, answer: null }
        : { first: turn, question: null, answer: turn };
    if (turn.role === 'user') asked.set(turn.id, exchange);
    exchanges.push(exchange);
  }
  return exchanges;
}

function toMessage({ first, question, answer }: Exchange): WireMessage {
  return {
    id: first.id,
    content: textOf(question?.items ?? []),
    bot_response: responseOf(answer),
    created_at: new Date(first.createdAt).toISOString(),
    status: statusOf(answer),
  };
}

/** "`bot_response` the answer (null while it is being written or if it failed …)" */
function responseOf(answer: Turn | null): string | null {
  if (answer === null) return null;
  const text = textOf(answer.items);
  return text !== '' || answer.status === 'completed' ? text : null;
}

function statusOf(answer: Turn | null): WireMessage['status'] {
  if (answer === null) return 'incomplete';
  return answer.status === 'queued' ? 'in_progress' : answer.status;
}
