/** Wire types and validators: the document names the resources, their fields are ours to name (DIALECTS.md, section 0). */

import { z } from 'zod';
import { fitsMessage } from '#service/send-message.ts';

export const chat = z.object({
  id: z.number().int(),
  title: z.string(),
  created_at: z.iso.datetime(),
  updated_at: z.iso.datetime(),
});

/** One exchange: what the person wrote, and the answer. */
export const message = z.object({
  id: z.uuid(),
  content: z.string(),
  bot_response: z.string().nullable(),
  created_at: z.iso.datetime(),
  status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
});

export const deleted = z.object({ msg: z.string() });

export const byId = z.object({ chat_id: z.string() });
const limit = z.coerce.number().int().min(1).max(1000).exactOptional();
export const chatsPage = z.object({ limit, offset: z.coerce.number().int().min(0).exactOptional() });
export const messagesPage = z.object({ limit, before: z.coerce.number().int().min(1).exactOptional() });

const title = z.string().min(1).max(255);
/** "None required for creation". */
export const newChat = z.object({ title: title.exactOptional(), messages: z.unknown().exactOptional() }).optional();
export const changedChat = z.object({ title });
export const newMessage = z.object({
  content: z.string().min(1).refine(fitsMessage, 'This field may have at most 1 MiB of text.'),
});

export type WireChat = z.infer<typeof chat>;
export type WireMessage = z.infer<typeof message>;
