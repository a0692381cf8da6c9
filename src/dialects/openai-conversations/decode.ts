/** The wire of Conversations → commands of the services. Pure. */

import type { Conversation, ConversationUpdate } from '#core/conversation.ts';
import { invalid, notFound } from '#core/errors.ts';
import { formatConversationId, parseConversationRef, parseWireId } from '#core/ids.ts';
import type { Cursor } from '#core/page.ts';
import type { WireUpdate } from './schema.ts';

/** `conv_<uuid>.<time>`: "cursors hold time plus id" (DIALECTS.md, The standards). */
export function formatPlace({ id, activeAt }: Pick<Conversation, 'id' | 'activeAt'>): string {
  return `${formatConversationId(id)}.${activeAt.toString(36)}`;
}

/** The place of `formatPlace`, or the conversation whose place it is to be. Throws `invalid_request`. */
export function parsePlace(text: string): Cursor | { conversation: string } {
  const [, named = '', time] = /^([^.]+)(?:\.([0-9a-z]{1,10}))?$/.exec(text) ?? [];
  const ref = parseConversationRef(named);
  if (ref === null) throw invalid('after must be the last_id of a page, or the id of a conversation.', 'after');
  if (time === undefined || ref.by !== 'id') return { conversation: named };
  return { at: Number.parseInt(time, 36), id: ref.id };
}

/** The UUID of an item; what has none of the accepted forms is not found, like what does not exist. */
export function parseItemId(text: string): string {
  const id = parseWireId(text);
  if (id === null) throw notFound('Item');
  return id;
}

/** The same for `after`. */
export function parseAfter(text: string | undefined): string | null {
  if (text === undefined) return null;
  const id = parseWireId(text);
  if (id === null) throw invalid('There is no item with the id given as after in this conversation.', 'after');
  return id;
}

/** What an update sets, but for `head`. Throws `invalid_request` for one that says nothing. */
export function toUpdate({ head, branch_end, metadata, ...set }: WireUpdate): ConversationUpdate {
  if (branch_end !== undefined && head === undefined) throw invalid('branch_end goes with head.', 'branch_end');
  if (head === undefined && metadata === undefined && Object.keys(set).length === 0) {
    throw invalid('Send at least one of metadata, title, archived, assistant and head.', 'metadata');
  }
  return { ...set, ...(metadata !== undefined && { metadata: metadata ?? {} }) };
}
