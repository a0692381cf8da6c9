/**
 * The wire types and validators of Open Responses' items (specification 2026-04-24, and what the official clients send
 * besides): for the dialects `openai-responses` and `openai-conversations`.
 */

import { z } from 'zod';
import { fitsMessage } from '#service/send-message.ts';

/** Longest id of anything: a UUID with its prefix is 41 characters. */
export const MAX_ID = 255;
/** "maxProperties 16", and what OpenAI allows of names and values. */
const MAX_METADATA = 16;
const MAX_METADATA_NAME = 64;
const MAX_METADATA_VALUE = 512;
const MAX_LIMIT = 100;

export const text = z.string().refine(fitsMessage, 'may have at most 1 MiB of text');
const ownId = z.string().max(MAX_ID).nullish();
const status = z.string().nullish();
const callId = z.string().min(1).max(64);

export const metadata = z
  .record(z.string().max(MAX_METADATA_NAME), z.string().max(MAX_METADATA_VALUE))
  .refine((pairs) => Object.keys(pairs).length <= MAX_METADATA, `may have at most ${MAX_METADATA} pairs`);

const textPart = z.object({ type: z.enum(['input_text', 'output_text', 'text']), text });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: text });
const imagePart = z.object({
  type: z.literal('input_image'),
  image_url: z
    .string('needs an image_url: stored files are not served')
    .regex(/^(https?:\/\/|data:image\/)/i, 'must be an http(s) or data:image address'),
  detail: z
    .enum(['auto', 'low', 'high'])
    .nullish()
    .transform((detail) => detail ?? 'auto'),
});
const userPart = z.discriminatedUnion('type', [textPart, imagePart]);
const anyPart = z.discriminatedUnion('type', [textPart, refusalPart, imagePart]);

const message = z.object({
  type: z.literal('message'),
  id: ownId,
  status,
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([text, z.array(anyPart)]),
  phase: z.enum(['commentary', 'final_answer']).nullish(),
});

const summaries = z.array(z.object({ type: z.string(), text }));

/** An item as it may be sent. One without a `type` is a message where it has a role, else a reference. */
export const inputItem = z.preprocess(
  (item) => {
    if (typeof item !== 'object' || item === null || (item as { type?: unknown }).type != null) return item;
    return { ...item, type: 'role' in item ? 'message' : 'item_reference' };
  },
  z.discriminatedUnion('type', [
    message,
    z.object({ type: z.literal('item_reference'), id: z.string().min(1).max(MAX_ID) }),
    z.object({
      type: z.literal('reasoning'),
      id: ownId,
      status,
      summary: summaries,
      content: summaries.nullish(),
    }),
    z.object({
      type: z.literal('function_call'),
      id: ownId,
      status,
      call_id: callId,
      name: z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -'),
      arguments: text,
    }),
    z.object({
      type: z.literal('function_call_output'),
      id: ownId,
      status,
      call_id: callId,
      output: z.union([text, z.array(userPart)]),
    }),
    z.object({
      type: z.literal('web_search_call'),
      id: ownId,
      status,
      action: z
        .looseObject({
          type: z.string().nullish(),
          query: z.string().nullish(),
          queries: z.array(z.string()).nullish(),
          url: z.string().nullish(),
        })
        .nullish(),
    }),
    z.object({
      type: z.literal('mcp_call'),
      id: z.string().min(1).max(MAX_ID),
      status,
      server_label: z.string().min(1).max(MAX_ID),
      name: z.string().min(1).max(MAX_ID),
      arguments: text,
      output: text.nullish(),
      error: z.unknown().optional(),
    }),
    z.object({
      type: z.literal('mcp_approval_request'),
      id: z.string().min(1).max(MAX_ID),
      server_label: z.string().min(1).max(MAX_ID),
      name: z.string().min(1).max(MAX_ID),
      arguments: text,
    }),
    z.object({
      type: z.literal('mcp_approval_response'),
      id: ownId,
      approval_request_id: z.string().min(1).max(MAX_ID),
      approve: z.boolean(),
      reason: text.nullish(),
    }),
    z.object({
      type: z.literal('compaction'),
      id: ownId,
      encrypted_content: z.string().max(10 * 1024 * 1024),
    }),
  ]),
);

const itemStatus = z.enum(['in_progress', 'completed', 'incomplete']);
const annotation = z.object({
  type: z.literal('url_citation'),
  url: z.string(),
  title: z.string(),
  start_index: z.number().int(),
  end_index: z.number().int(),
  /** What lasts of the page: when it was read, the SHA-256 of its text, and what the answer stands on. */
  evidence: z.object({ read_at: z.number().int(), hash: z.string(), quote: z.string() }).exactOptional(),
});

/** An item as it is shown. */
export const item = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    id: z.string(),
    status: itemStatus,
    role: z.enum(['user', 'assistant', 'system', 'developer']),
    content: z.array(
      z.discriminatedUnion('type', [
        z.object({ type: z.literal('input_text'), text: z.string() }),
        z.object({
          type: z.literal('output_text'),
          text: z.string(),
          annotations: z.array(annotation),
          logprobs: z.array(z.unknown()),
        }),
        z.object({ type: z.literal('refusal'), refusal: z.string() }),
        z.object({
          type: z.literal('input_image'),
          image_url: z.string(),
          detail: z.enum(['auto', 'low', 'high']),
        }),
      ]),
    ),
    phase: z.enum(['commentary', 'final_answer']).exactOptional(),
  }),
  z.object({
    type: z.literal('reasoning'),
    id: z.string(),
    summary: z.array(z.object({ type: z.literal('summary_text'), text: z.string() })),
  }),
  z.object({
    type: z.literal('function_call'),
    id: z.string(),
    status: itemStatus,
    call_id: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal('function_call_output'),
    id: z.string(),
    status: itemStatus,
    call_id: z.string(),
    output: z.string(),
  }),
  z.object({
    type: z.literal('web_search_call'),
    id: z.string(),
    status: itemStatus,
    action: z.discriminatedUnion('type', [
      z.object({
        type: z.literal('search'),
        query: z.string(),
        queries: z.array(z.string()),
        sources: z.array(z.object({ type: z.literal('url'), url: z.string() })),
      }),
      z.object({ type: z.literal('open_page'), url: z.string() }),
    ]),
  }),
  z.object({
    type: z.literal('mcp_call'),
    id: z.string(),
    status: z.enum(['in_progress', 'completed', 'incomplete', 'failed']),
    server_label: z.string(),
    name: z.string(),
    arguments: z.string(),
    output: z.string().nullable(),
    error: z.string().nullable(),
    approval_request_id: z.string().exactOptional(),
  }),
  z.object({
    type: z.literal('mcp_approval_request'),
    id: z.string(),
    server_label: z.string(),
    name: z.string(),
    arguments: z.string(),
  }),
  z.object({
    type: z.literal('mcp_approval_response'),
    id: z.string(),
    approval_request_id: z.string(),
    approve: z.boolean(),
    reason: z.string().nullable(),
  }),
  z.object({ type: z.literal('compaction'), id: z.string(), encrypted_content: z.string() }),
]);

/** "`?limit` 1–100 (default 20; outside it 400), `?order` (default `desc`), `?after` exclusive" (DIALECTS.md, The standards). */
export const page = z.object({
  limit: z.coerce.number().int().min(1).max(MAX_LIMIT).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  after: z.string().min(1).max(MAX_ID).exactOptional(),
});

export const listOf = <T extends z.ZodType>(entry: T) =>
  z.object({
    object: z.literal('list'),
    data: z.array(entry),
    first_id: z.string().nullable(),
    last_id: z.string().nullable(),
    has_more: z.boolean(),
  });

export type WireInputItem = z.infer<typeof inputItem>;
export type WirePage = z.infer<typeof page>;
export type WireItem = z.infer<typeof item>;
