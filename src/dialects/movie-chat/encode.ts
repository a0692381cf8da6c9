/** Core → wire: chats, and turns as exchanges. Pure. */

import { type Conversation, UNTITLED } from '#core/conversation.ts';
import { notFound } from '#core/errors.ts';
import { isToolResult, joinContinued, type Turn, textOf } from '#core/turn.ts';
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
  /** The answer, and what goes on with it when a tool's result has come. */
  answers: Turn[];
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
  return { ...toMessage({ first: question, question, answers: [] }), bot_response: answer, status: 'completed' };
}

/** Answers at the start whose questions are on the older page are shown with them there. */
function withoutTorn(turns: readonly Turn[]): readonly Turn[] {
  const whole = turns.findIndex(({ role, answers }) => role !== 'assistant' || answers === null);
  return whole > 0 ? turns.slice(whole) : turns;
}

function pair(turns: readonly Turn[]): Exchange[] {
  const exchanges: Exchange[] = [];
  const asked = new Map<string, Exchange>();
  /** The results of tools, by whose answer goes on with them. */
  const goesOn = new Map<string, Exchange>();
  for (const turn of joinContinued(turns)) {
    if (turn.role === 'system') continue;
    const last = exchanges.at(-1);
    if (isToolResult(turn) && last !== undefined) {
      goesOn.set(turn.id, last);
      continue;
    }
    const open = turn.answers === null ? undefined : asked.get(turn.answers);
    const begun = turn.answers === null ? undefined : goesOn.get(turn.answers);
    if (open?.answers.length === 0) open.answers.push(turn);
    else if (begun !== undefined) begun.answers.push(turn);
    else if (turn.role === 'user') {
      const exchange = { first: turn, question: turn, answers: [] };
      asked.set(turn.id, exchange);
      exchanges.push(exchange);
    } else exchanges.push({ first: turn, question: null, answers: [turn] });
  }
  return exchanges;
}

function toMessage({ first, question, answers }: Exchange): WireMessage {
  return {
    id: first.id,
    content: textOf(question?.items ?? []),
    bot_response: responseOf(answers),
    created_at: new Date(first.createdAt).toISOString(),
    status: statusOf(answers.at(-1)),
  };
}

/** "`bot_response` the answer (null while it is being written or if it failed …)" */
function responseOf(answers: readonly Turn[]): string | null {
  const last = answers.at(-1);
  if (last === undefined) return null;
  const texts = answers.map(({ items }) => textOf(items)).filter((text) => text !== '');
  return texts.length > 0 || last.status === 'completed' ? texts.join('\n\n') : null;
}

function statusOf(answer: Turn | undefined): WireMessage['status'] {
  if (answer === undefined) return 'incomplete';
  return answer.status === 'queued' ? 'in_progress' : answer.status;
}
