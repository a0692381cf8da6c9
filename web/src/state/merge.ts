/** What is shown of a conversation, brought up to what is stored of it. Pure. */

import type { Message } from '../api/messages.ts';

/**
 * What is shown, with the newest page of what is stored in its place. Messages that are the same stay the same objects,
 * so that they are not drawn again. What is being written is not stored yet: where it may be, its text stays.
 */
export function mergeNewest(
  shown: readonly Message[],
  page: readonly Message[],
  mayBeOpen: boolean,
): { messages: Message[]; kept: number } {
  const first = page[0];
  const at = first === undefined ? -1 : shown.findIndex(({ id }) => id === first.id);
  const kept = at === -1 ? [] : shown.slice(0, at);
  const known = new Map(shown.map((message) => [message.id, message]));
  const messages = page.map((message) => {
    const before = known.get(message.id);
    return before !== undefined && JSON.stringify(before) === JSON.stringify(message) ? before : message;
  });
  const last = shown.at(-1);
  const open = last?.role === 'assistant' && last.status === null && !page.some(({ id }) => id === last.id);
  const rest = mayBeOpen && open && page.at(-1)?.role === 'user' ? [last] : [];
  return { messages: [...kept, ...messages, ...rest], kept: kept.length };
}
