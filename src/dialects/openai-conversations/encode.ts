/** Core → the wire of Conversations. Pure. */

import type { Conversation, Head } from '#core/conversation.ts';
import { formatConversationId, formatWireId, parseWireId } from '#core/ids.ts';
import type { Turn } from '#core/turn.ts';
import type { Excerpt } from '#core/words.ts';
import { itemId, toWireItems } from '../standard/encode.ts';
import type { WireItem } from '../standard/schema.ts';
import { formatPlace } from './decode.ts';
import type { WireConversation, WireMatch } from './schema.ts';

const seconds = (ms: number) => Math.floor(ms / 1000);

export function toConversation(conversation: Conversation, head: Head | undefined): WireConversation {
  const { id, metadata, title, archived, assistant, createdAt, updatedAt, activeAt } = conversation;
  const { item = null, turn } = head ?? {};
  return {
    id: formatConversationId(id),
    object: 'conversation',
    created_at: seconds(createdAt),
    metadata,
    title,
    archived,
    assistant,
    head: item === null ? null : itemId(item),
    status: turn?.status ?? null,
    response_id: turn === undefined || turn.run === null ? null : formatWireId('response', turn.id),
    updated_at: seconds(updatedAt),
    active_at: seconds(activeAt),
  };
}

/** Where a match is: in a message, or with null in the title. */
export function toMatch({ item, excerpt }: { item: string | null; excerpt: Excerpt }): WireMatch {
  return { item_id: item === null ? null : formatWireId('message', item), ...excerpt };
}

/** A page of a list whose order changes while it is read: its ends say where in time they were. */
export function toPlacedList<T>(data: T[], conversations: readonly Conversation[], hasMore: boolean) {
  const [first, last] = [conversations[0], conversations.at(-1)];
  return {
    object: 'list' as const,
    data,
    first_id: first === undefined ? null : formatPlace(first),
    last_id: last === undefined ? null : formatPlace(last),
    has_more: hasMore,
  };
}

/** What a turn shows as in the list of items. */
export const turnItems = {
  show: ({ items }: Turn): WireItem[] => toWireItems(items),
  idOf: ({ id }: WireItem): string | null => parseWireId(id),
};
