/** Wire types and validators of the document, and the frames of its socket. */

import { z } from 'zod';

const message = z.object({
  id: z.uuid(),
  content: z.string(),
  role: z.enum(['user', 'assistant', 'system']),
  created_at: z.iso.datetime(),
});

export const conversation = z.object({
  id: z.uuid(),
  user_id: z.string(),
  created_at: z.iso.datetime(),
  messages: message.array(),
});

export const answered = z.object({ response: z.string(), conversation_id: z.uuid() });
export const deleted = z.object({ message: z.string() });

const named = z.union([z.string(), z.number().int()]);
const text = z.string().min(1, 'must not be empty');

export const chat = z.object({
  message: text,
  user_id: z.string().exactOptional(),
  conversation_id: named.nullish(),
});
export const byId = z.object({ conversation_id: z.string() });
export const user = z.object({ user_id: z.string().exactOptional() });
export const messagesPage = user.extend({ before: z.coerce.number().int().min(1).exactOptional() });
export const page = user.extend({
  limit: z.coerce.number().int().min(1).max(1000).exactOptional(),
  before: z.string().exactOptional(),
});
export const socket = user.extend({ stream: z.enum(['true', 'false']).exactOptional() });

export const FRAMES = 'Send {"type": "message", "content": "..."}, or a frame of the type "resume" or "stop".';

/** What a client may send over the socket. */
export const frame = z.discriminatedUnion(
  'type',
  [
    z.object({
      type: z.literal('message'),
      content: text,
      conversation_id: named.nullish(),
      idempotency_key: z.string().exactOptional(),
    }),
    z.object({ type: z.literal('resume'), message_id: z.string(), after: z.number().int().min(0).default(0) }),
    z.object({ type: z.literal('stop'), message_id: z.string() }),
  ],
  FRAMES,
);

export type Frame = z.infer<typeof frame>;
export type WireConversation = z.infer<typeof conversation>;
