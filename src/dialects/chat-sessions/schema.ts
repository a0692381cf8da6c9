/** Wire types and validators of the document, and of the chat calls added to it. */

import { z } from 'zod';
import { parseConversationRef } from '#core/ids.ts';

export const session = z.object({
  id: z.number().int(),
  title: z.string(),
  /** "`is_active` : "true"": a text. */
  is_active: z.enum(['true', 'false']),
  created_at: z.iso.datetime(),
});

/** One line of a session's chat. */
export const line = z.object({
  id: z.uuid(),
  sender: z.enum(['user', 'ai']),
  message: z.string(),
  created_at: z.iso.datetime(),
});

export const one = z.object({ data: session });
export const removed = z.object({ data: z.literal(true) });
export const listed = z.object({
  data: session.array(),
  paging: z.object({ offset: z.number().int(), limit: z.number().int() }),
});
export const lines = z.object({ data: line.array() });

/** "Failed Invalid Request": an id that cannot be one is 400 here. */
export const byId = z.object({
  sessionId: z.string().refine((text) => parseConversationRef(text) !== null, 'Must be the id of a session.'),
});

const limit = z.coerce.number().int().min(1).max(1000);
export const sessionsPage = z.object({ offset: z.coerce.number().int().min(0).default(0), limit: limit.default(10) });
export const linesPage = z.object({
  limit: limit.exactOptional(),
  before: z.coerce.number().int().min(1).exactOptional(),
});

export const titled = z.object({ title: z.string().min(1).max(100) });
export const newMessage = z.object({ message: z.string().min(1) });

export type WireSession = z.infer<typeof session>;
export type WireLine = z.infer<typeof line>;
