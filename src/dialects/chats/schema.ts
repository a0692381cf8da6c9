/** Wire types and validators of the document's models. */

import { z } from 'zod';

export const chat = z.object({
  id: z.uuid(),
  name: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

/** The document calls an entry of a chat a "conversation". */
export const entry = z.object({
  id: z.uuid(),
  role: z.enum(['Human', 'Assistant']),
  chat_id: z.uuid(),
  message: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

export const byId = z.object({ id: z.string() });
export const page = z.object({
  limit: z.coerce.number().int().min(1).max(1000).exactOptional(),
  after: z.string().exactOptional(),
});
export const entriesPage = z.object({
  limit: z.coerce.number().int().min(1).max(1000).exactOptional(),
  before: z.coerce.number().int().min(1).exactOptional(),
});

const name = z.string().min(1).max(255);
export const newChat = z.object({ name });
export const changedChat = z.object({ name: name.exactOptional(), updated_at: z.string().exactOptional() });
export const newEntry = z.object({
  chat_id: z.union([z.string(), z.number().int()]),
  role: z.enum(['Human', 'Assistant']),
  message: z.string().min(1),
});

export type WireChat = z.infer<typeof chat>;
export type WireEntry = z.infer<typeof entry>;
