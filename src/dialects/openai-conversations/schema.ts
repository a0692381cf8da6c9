/** Wire types and validators of Conversations, with what Parlance adds to them. Times are Unix seconds. */

import { z } from 'zod';
import { inputItem, item, listOf, metadata, page } from '../standard/schema.ts';

const MAX_ID = 255;
const MAX_TITLE = 255;
/** "You may add up to 20 items at a time." */
const MAX_ITEMS = 20;

const title = z.string().min(1).max(MAX_TITLE);
const assistant = z.string().min(1).max(MAX_ID);
const items = z.array(inputItem).max(MAX_ITEMS);

export const conversation = z.object({
  id: z.string(),
  object: z.literal('conversation'),
  created_at: z.number().int(),
  metadata: z.record(z.string(), z.string()),
  title: z.string().nullable(),
  archived: z.boolean(),
  assistant: z.string(),
  /** The last item of the shown branch. */
  head: z.string().nullable(),
  /** Of the newest turn of the shown branch. */
  status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed']).nullable(),
  /** That turn, where it is an answer of a model's. */
  response_id: z.string().nullable(),
  updated_at: z.number().int(),
  active_at: z.number().int(),
});
const match = z.object({
  item_id: z.string().nullable(),
  snippet: z.string(),
  highlights: z.array(z.tuple([z.number().int(), z.number().int()])),
});

const listed = listOf(conversation.extend({ match: match.exactOptional() }));
/** `complete` on answers to a search: false while older messages are not in its index yet. */
export const conversations = listed.extend({ complete: z.boolean().exactOptional() });
export const deleted = z.object({
  id: z.string(),
  object: z.literal('conversation.deleted'),
  deleted: z.literal(true),
});
export const itemList = listOf(item);
export { item, page };

export const newConversation = z
  .object({
    items: items.nullish(),
    metadata: metadata.nullish(),
    title: title.nullish(),
    assistant: assistant.nullish(),
  })
  .optional();

export const update = z.object({
  metadata: metadata.nullish(),
  title: title.nullable().exactOptional(),
  archived: z.boolean().exactOptional(),
  assistant: assistant.exactOptional(),
  head: z.string().min(1).max(MAX_ID).exactOptional(),
  branch_end: z.boolean().exactOptional(),
});

const flag = z.enum(['true', 'false']).exactOptional();
export const listQuery = page.extend({
  archived: flag,
  query: z.string().exactOptional(),
  sort: z.enum(['newest', 'best']).exactOptional(),
});

export const newItems = z.object({ items: items.min(1) });
export const newFork = z.object({ item_id: z.string().min(1).max(MAX_ID).nullish() }).optional();
export const byId = z.object({ conversation_id: z.string() });
export const byItem = z.object({ conversation_id: z.string(), item_id: z.string() });

export type WireConversation = z.infer<typeof conversation>;
export type WireUpdate = z.infer<typeof update>;
export type WireMatch = z.infer<typeof match>;
