/** Wire types and validators of Chat Completions, as far as this server reads them; everything else is handed to the model. */

import { z } from 'zod';
import { fitsMessage } from '#service/send-message.ts';

const text = z.string().refine(fitsMessage, 'may have at most 1 MiB of text');
const textPart = z.object({ type: z.literal('text'), text });
const refusalPart = z.object({ type: z.literal('refusal'), refusal: text });
const imagePart = z.object({
  type: z.literal('image_url'),
  image_url: z.object({
    url: z.string().regex(/^(https?:\/\/|data:image\/)/i, 'must be an http(s) or data:image address'),
    detail: z.enum(['auto', 'low', 'high']).default('auto'),
  }),
});
const texts = z.union([text, z.array(textPart)]);

const toolCall = z.object({
  id: z.string().min(1),
  type: z.literal('function').default('function'),
  function: z.object({ name: z.string().min(1), arguments: text }),
});

export const message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: texts }),
  z.object({
    role: z.literal('user'),
    content: z.union([text, z.array(z.discriminatedUnion('type', [textPart, imagePart])).min(1)]),
  }),
  z.object({
    role: z.literal('assistant'),
    content: z.union([text, z.array(z.discriminatedUnion('type', [textPart, refusalPart]))]).nullish(),
    refusal: z.string().nullish(),
    tool_calls: z.array(toolCall).nullish(),
  }),
  z.object({ role: z.literal('tool'), tool_call_id: z.string().min(1), content: texts }),
]);

const tool = z.object({
  type: z.literal('function', 'only function tools are served'),
  function: z.object({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
});

/** What is not named here may be a sampling parameter. */
export const request = z.looseObject({
  model: z.string().min(1).nullish(),
  messages: z.array(message).min(1).max(10_000),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  store: z.boolean().nullish(),
  tools: z.array(tool).max(512).nullish(),
  web_search_options: z.looseObject({}).nullish(),
  n: z.literal(1, 'must be 1').nullish(),
});

const usage = z.object({
  prompt_tokens: z.number().int(),
  completion_tokens: z.number().int(),
  total_tokens: z.number().int(),
  prompt_tokens_details: z.object({ cached_tokens: z.number().int() }),
  completion_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
});

const annotation = z.object({
  type: z.literal('url_citation'),
  url_citation: z.object({
    start_index: z.number().int(),
    end_index: z.number().int(),
    url: z.string(),
    title: z.string(),
    evidence: z.object({ read_at: z.number().int(), hash: z.string(), quote: z.string() }).exactOptional(),
  }),
});

export const completion = z.object({
  id: z.string(),
  object: z.literal('chat.completion'),
  created: z.number().int(),
  model: z.string(),
  choices: z.array(
    z.object({
      index: z.number().int(),
      message: z.object({
        role: z.literal('assistant'),
        content: z.string().nullable(),
        refusal: z.string().nullable(),
        reasoning_content: z.string().exactOptional(),
        tool_calls: z.array(toolCall).exactOptional(),
        annotations: z.array(annotation).exactOptional(),
      }),
      logprobs: z.null(),
      finish_reason: z.enum(['stop', 'length', 'tool_calls', 'content_filter']),
    }),
  ),
  usage: usage.exactOptional(),
});

export const model = z.object({
  id: z.string(),
  object: z.literal('model'),
  created: z.number().int(),
  owned_by: z.string(),
  /** Added: false for one that makes embeddings and the like. */
  chat: z.boolean(),
  /** Added: whether it takes images and can call tools; absent where nobody says. */
  images: z.boolean().exactOptional(),
  tools: z.boolean().exactOptional(),
});
export const models = z.object({ object: z.literal('list'), data: z.array(model) });
export const byId = z.object({ id: z.string() });

export type WireMessage = z.infer<typeof message>;
export type WireRequest = z.infer<typeof request>;
export type WireAnnotation = z.infer<typeof annotation>;
export type WireCompletion = z.infer<typeof completion>;
