/** Wire types and validators of the AI SDK's chat requests and `UIMessage`s, as far as v5, v6 and v7 have them alike. */

import { z } from 'zod';

/** Longest id of a client's own. */
const MAX_ID = 255;
const MAX_MESSAGES = 10_000;
const MAX_TOOLS = 512;

const ownId = z.string().min(1).max(MAX_ID);

/** Any part: what its type says of the other fields is looked at where it is read. */
export const part = z.looseObject({ type: z.string() });

export const message = z.object({
  id: ownId,
  role: z.enum(['system', 'user', 'assistant']),
  parts: z.array(part).max(MAX_MESSAGES),
});

export const request = z.object({
  id: ownId,
  messages: z.array(message).min(1).max(MAX_MESSAGES).nullish(),
  message: message.nullish(),
  trigger: z.enum(['submit-message', 'regenerate-message']).default('submit-message'),
  messageId: ownId.nullish(),
  model: z.string().min(1).nullish(),
  assistant: z.string().min(1).nullish(),
  /** Added: the client shows requests for approval, which v5 has not. */
  approvals: z.boolean().nullish(),
  /** Added: the answer may stand on what the internet says. */
  webSearch: z.boolean().nullish(),
  tools: z
    .record(
      z.string().min(1),
      z.looseObject({
        description: z.string().nullish(),
        parameters: z.record(z.string(), z.unknown()).nullish(),
      }),
    )
    .refine((tools) => Object.keys(tools).length <= MAX_TOOLS, `may have at most ${MAX_TOOLS} tools`)
    .nullish(),
});

export const byId = z.object({ id: z.string() });
export const page = z.object({
  limit: z.coerce.number().int().min(1).max(1000).exactOptional(),
  before: z.coerce.number().int().min(1).exactOptional(),
});

/** A message as `useChat` takes it for its `messages`. */
export const uiMessage = z.object({
  id: z.string(),
  role: z.enum(['system', 'user', 'assistant']),
  parts: z.array(part),
  metadata: z.object({
    /** The message before it; null: it is the first. */
    parent: z.string().nullable(),
    /** All messages that stand in its place, itself too, oldest first. */
    siblings: z.array(z.string()),
    createdAt: z.string(),
    /** Of an answer: how it ended; `cancelled` by a person's stop, `incomplete` if it broke off. */
    status: z.enum(['completed', 'incomplete', 'failed', 'cancelled']).exactOptional(),
    /** Of an answer that is not whole: why. */
    error: z.object({ code: z.string(), message: z.string() }).exactOptional(),
    model: z.string().nullable().exactOptional(),
    usage: z
      .object({
        inputTokens: z.number(),
        cachedInputTokens: z.number(),
        outputTokens: z.number(),
        reasoningTokens: z.number(),
      })
      .nullable()
      .exactOptional(),
    /** In the currency of the configured prices; null where the model has none. */
    cost: z.number().nullable().exactOptional(),
  }),
});

export type WireMessage = z.infer<typeof message>;
export type WirePart = z.infer<typeof part>;
export type WireRequest = z.infer<typeof request>;
export type WireUiMessage = z.infer<typeof uiMessage>;
