/** Wire types and validators of what Parlance adds to `/v1`. Times are Unix seconds, unless they say otherwise. */

import { z } from 'zod';
import { page as standardPage } from '../standard/schema.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const MAX_NAME = 255;
/** 9999-12-31. */
const MAX_SECONDS = 253_402_300_799;

const time = z.number().int();

/** A name of a user or key: one line. */
const name = z
  .string()
  .min(1)
  .max(MAX_NAME)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  .refine((text) => text.trim() !== '' && !/[\0-\x1f\x7f]/.test(text), 'must be one line that is not blank');

/** A day of UTC, as `2026-11-20` or as any time of it in Unix seconds; read as days since 1970-01-01. */
const day = z.string().transform((text, context) => {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text);
  const isTime = /^\d{1,12}$/.test(text) && Number(text) <= MAX_SECONDS;
  const ms = isDay ? Date.parse(`${text}T00:00:00Z`) : isTime ? Number(text) * 1000 : Number.NaN;
  // `Date.parse` takes February 30th for March.
  if (!Number.isNaN(ms) && (!isDay || dayText(Math.floor(ms / DAY_MS)) === text)) return Math.floor(ms / DAY_MS);
  context.addIssue('Must be a day such as 2026-11-20, or Unix seconds.');
  return z.NEVER;
});

/** `2026-11-20` */
export function dayText(days: number): string {
  return new Date(days * DAY_MS).toISOString().slice(0, 10);
}

export const page = standardPage;

export const assistant = z.object({
  object: z.literal('assistant'),
  id: z.string(),
  name: z.string(),
  description: z.string(),
  model: z.string().nullable(),
  web_search: z.boolean(),
});

export const usageQuery = z.object({
  from: day.exactOptional(),
  to: day.exactOptional(),
  user: name.exactOptional(),
  all: z.enum(['true', 'false']).exactOptional(),
});
const amounts = {
  runs: z.number().int(),
  input_tokens: z.number().int(),
  cached_input_tokens: z.number().int(),
  output_tokens: z.number().int(),
  reasoning_tokens: z.number().int(),
  cost: z.number().nullable(),
};
export const usage = z.object({
  object: z.literal('usage'),
  from: z.string(),
  to: z.string(),
  total: z.object(amounts),
  data: z.array(z.object({ day: z.string(), user: z.string(), model: z.string().nullable(), ...amounts })),
});

export const changesQuery = z.object({
  since: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).exactOptional(),
  limit: standardPage.shape.limit,
});
const change = z.object({
  object: z.literal('change'),
  number: z.number().int(),
  type: z.string(),
  conversation_id: z.string(),
  run_id: z.string().exactOptional(),
  response_id: z.string().exactOptional(),
  created_at: time,
});
export const changes = z.object({
  object: z.literal('list'),
  data: z.array(change),
  has_more: z.boolean(),
  newest: z.number().int(),
});

export const newTicket = z.object({ path: z.string() });
export const ticket = z.object({ ticket: z.string(), expires_at: time });

const rate = z.number().int().min(0).max(1e9).default(0);
const scope = z.enum(['read', 'write', 'admin']);
export const newKey = z.object({
  user: name.exactOptional(),
  kind: z.enum(['user', 'service']).default('user'),
  name: name.nullish(),
  scopes: z.array(scope).min(1).default(['read', 'write']),
  rates: z.object({ per_minute: rate, per_hour: rate }).nullish(),
  expires_at: time.min(1).max(MAX_SECONDS).nullish(),
});
export const key = z.object({
  object: z.literal('key'),
  id: z.string(),
  user: z.string(),
  kind: z.enum(['user', 'service']),
  name: z.string().nullable(),
  hint: z.string(),
  scopes: z.array(scope),
  rates: z.object({ per_minute: z.number().int(), per_hour: z.number().int() }).nullable(),
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
});
export const issuedKey = z.object({ ...key.shape, key: z.string() });
export const keyId = z.object({ key_id: z.string() });
export const deletedKey = z.object({ id: z.string(), object: z.literal('key.deleted'), deleted: z.literal(true) });

export const newInvite = z.object({ name });
export const invite = z.object({ object: z.literal('invite'), name: z.string(), url: z.string(), expires_at: time });

export type WireNewKey = z.infer<typeof newKey>;
export type WireUsage = z.infer<typeof usage>;
