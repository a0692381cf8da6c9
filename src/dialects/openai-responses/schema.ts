/** Wire types and validators of Open Responses (2026-04-24): the request, the response, and what is asked beside them. */

import { z } from 'zod';
import { inputItem, item, MAX_ID, metadata, text } from '../standard/schema.ts';

/** The most items in one request. */
const MAX_ITEMS = 10_000;
/** The most tools of a caller's in one request, as OpenAI allows. */
const MAX_TOOLS = 128;
const MAX_KEY = 64;

const name = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'must be 1 to 64 letters, digits, _ or -');
const choiceMode = z.enum(['none', 'auto', 'required']);

const functionTool = z.object({
  type: z.literal('function'),
  name,
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
const searchTool = z.looseObject({
  type: z.enum(['web_search', 'web_search_2025_08_26', 'web_search_preview', 'web_search_preview_2025_03_11']),
});
/** Says that the client can have a person approve the calls of the tools that this server has from MCP servers. */
const mcpTool = z.looseObject({
  type: z.literal('mcp'),
  server_label: z.string().min(1).max(MAX_ID),
  server_url: z.null('MCP servers are connected by the configuration of this server, not by a request').exactOptional(),
  require_approval: z.unknown().optional(),
});
const tool = z.discriminatedUnion('type', [functionTool, searchTool, mcpTool]);

const toolChoice = z.union([
  choiceMode,
  z.discriminatedUnion('type', [
    z.object({ type: z.literal('function'), name: z.string() }),
    z.object({
      type: z.literal('allowed_tools'),
      mode: choiceMode.default('auto'),
      tools: z.array(z.looseObject({ type: z.string(), name: z.string().exactOptional() })).max(MAX_TOOLS),
    }),
    searchTool,
  ]),
]);

const format = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text') }),
  z.object({ type: z.literal('json_object') }),
  z.object({
    type: z.literal('json_schema'),
    name,
    description: z.string().nullish(),
    schema: z.record(z.string(), z.unknown()),
    strict: z.boolean().nullish(),
  }),
]);

const number = z.number().nullish();
const effort = z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']);

/** What says which tokens a model is given; `input_tokens` and `compact` take the same. */
const given = {
  model: z.string().min(1).nullish(),
  input: z.union([text, z.array(inputItem).max(MAX_ITEMS)]).nullish(),
  instructions: text.nullish(),
  previous_response_id: z.string().min(1).max(MAX_ID).nullish(),
};
/** "All three forms are accepted": a number too. */
const named = z.union([z.string().min(1).max(MAX_ID), z.number().int().positive()]);
const conversation = z.union([named, z.object({ id: named })]).nullish();

export const request = z.object({
  ...given,
  conversation,
  stream: z.boolean().nullish(),
  store: z.boolean().nullish(),
  background: z.boolean().nullish(),
  tools: z.array(tool).max(MAX_TOOLS).nullish(),
  tool_choice: toolChoice.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  max_tool_calls: z.number().int().min(1).nullish(),
  max_output_tokens: z.number().int().min(16).nullish(),
  temperature: number,
  top_p: number,
  presence_penalty: number,
  frequency_penalty: number,
  top_logprobs: z.number().int().min(0).max(20).nullish(),
  reasoning: z
    .object({ effort: effort.nullish(), summary: z.enum(['auto', 'concise', 'detailed']).nullish() })
    .nullish(),
  text: z.object({ format: format.nullish(), verbosity: z.enum(['low', 'medium', 'high']).nullish() }).nullish(),
  truncation: z.enum(['auto', 'disabled']).nullish(),
  metadata: metadata.nullish(),
  service_tier: z.enum(['auto', 'default', 'flex', 'priority', 'scale']).nullish(),
  safety_identifier: z.string().max(MAX_KEY).nullish(),
  prompt_cache_key: z.string().max(MAX_KEY).nullish(),
  prompt: z.null('Stored prompts are not served: send instructions and input').exactOptional(),
});

/** A response continued or tried again: on other terms where it says so. */
export const againRequest = z.object({ model: z.string().min(1).nullish(), stream: z.boolean().nullish() });

export const countRequest = z.object({ ...given, conversation, tools: z.array(tool).max(MAX_TOOLS).nullish() });
export const compactRequest = z.object({ ...given, model: z.string().min(1) });

export const byId = z.object({ id: z.string().max(MAX_ID) });
export const follow = z.object({
  stream: z.enum(['true', 'false']).exactOptional(),
  starting_after: z.coerce.number().int().min(0).exactOptional(),
});

export const frame = request.omit({ stream: true, background: true }).extend({
  type: z.literal('response.create', 'must be response.create'),
  idempotency_key: z.string().min(1).max(MAX_ID).exactOptional(),
});

const usage = z.object({
  input_tokens: z.number().int(),
  input_tokens_details: z.object({ cached_tokens: z.number().int() }),
  output_tokens: z.number().int(),
  output_tokens_details: z.object({ reasoning_tokens: z.number().int() }),
  total_tokens: z.number().int(),
});

/** "Every `ResponseResource` key is always present" (DIALECTS.md). */
export const response = z.object({
  id: z.string(),
  object: z.literal('response'),
  created_at: z.number().int(),
  completed_at: z.number().int().nullable(),
  status: z.enum(['queued', 'in_progress', 'completed', 'incomplete', 'failed', 'cancelled']),
  incomplete_details: z.object({ reason: z.string() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  model: z.string(),
  output: z.array(item),
  usage: usage.nullable(),
  previous_response_id: z.string().nullable(),
  conversation: z.object({ id: z.string() }).nullable(),
  instructions: z.string().nullable(),
  tools: z.array(z.looseObject({ type: z.string() })),
  tool_choice: z.unknown(),
  parallel_tool_calls: z.boolean(),
  max_tool_calls: z.number().int().nullable(),
  max_output_tokens: z.number().int().nullable(),
  text: z.looseObject({ format: z.looseObject({ type: z.string() }) }),
  reasoning: z.object({ effort: z.string().nullable(), summary: z.string().nullable() }).nullable(),
  temperature: z.number(),
  top_p: z.number(),
  presence_penalty: z.number(),
  frequency_penalty: z.number(),
  top_logprobs: z.number().int(),
  truncation: z.enum(['auto', 'disabled']),
  store: z.boolean(),
  background: z.boolean(),
  service_tier: z.string(),
  metadata: z.record(z.string(), z.string()),
  safety_identifier: z.string().nullable(),
  prompt_cache_key: z.string().nullable(),
});

export const deleted = z.object({ id: z.string(), object: z.literal('response'), deleted: z.literal(true) });
export const counted = z.object({ object: z.literal('response.input_tokens'), input_tokens: z.number().int() });
export const compacted = z.object({
  id: z.string(),
  object: z.literal('response.compaction'),
  created_at: z.number().int(),
  output: z.array(item),
  usage,
});

export type WireRequest = z.infer<typeof request>;
export type WireFrame = z.infer<typeof frame>;
export type WireResponse = z.infer<typeof response>;
export type WireTool = z.infer<typeof tool>;
export type WireUsage = z.infer<typeof usage>;
