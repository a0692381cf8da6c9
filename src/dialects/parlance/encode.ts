/** Core → the wire of what Parlance adds to `/v1`. Pure. */

import type { Change } from '#core/change.ts';
import type { Assistant } from '#core/conversation.ts';
import type { ServiceError } from '#core/errors.ts';
import { formatConversationId, formatWireId } from '#core/ids.ts';
import type { ApiKey } from '#core/principal.ts';
import { plainError } from '#http/system.ts';
import type { PricedLine, UsagePeriod } from '#service/usage.ts';
import { dayText, type WireUsage } from './schema.ts';

const seconds = (ms: number) => Math.floor(ms / 1000);

/** Without its instructions: they are the operator's. */
export function toAssistant({ id, name, description, model, webSearch }: Assistant) {
  return { object: 'assistant' as const, id, name, description, model, web_search: webSearch };
}

export function toChange({ number, type, conversation, run, answer, createdAt }: Change) {
  return {
    object: 'change' as const,
    number,
    type,
    conversation_id: formatConversationId(conversation),
    ...(run !== null && { run_id: run }),
    ...(answer !== null && { response_id: formatWireId('response', answer) }),
    created_at: seconds(createdAt),
  };
}

/** The beginning of a feed as an event stream: an `id` without data tells an EventSource its place, and is no event. */
export function openFeed(from: number): string {
  return `retry: 2000\nid: ${from}\n\n`;
}

export function toChangeEvents(changes: readonly Change[]): string {
  return changes.map((change) => `id: ${change.number}\ndata: ${JSON.stringify(toChange(change))}\n\n`).join('');
}

export function toFeedError(error: ServiceError): string {
  return `event: error\ndata: ${JSON.stringify(plainError(error).body)}\n\n`;
}

export function toUsage({ from, to, lines }: UsagePeriod & { lines: readonly PricedLine[] }): WireUsage {
  const data = lines.map(({ day, user, model, ...line }) => ({ day: dayText(day), user, model, ...toAmounts(line) }));
  const total = { ...toAmounts({ runs: 0, usage: NOTHING, cost: null }) };
  for (const line of data) {
    total.runs += line.runs;
    total.input_tokens += line.input_tokens;
    total.cached_input_tokens += line.cached_input_tokens;
    total.output_tokens += line.output_tokens;
    total.reasoning_tokens += line.reasoning_tokens;
    if (line.cost !== null) total.cost = (total.cost ?? 0) + line.cost;
  }
  return { object: 'usage', from: dayText(from), to: dayText(to), total, data };
}

const NOTHING = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0 };

function toAmounts({ runs, usage, cost }: Pick<PricedLine, 'runs' | 'usage' | 'cost'>): WireUsage['total'] {
  return {
    runs,
    input_tokens: usage.inputTokens,
    cached_input_tokens: usage.cachedInputTokens,
    output_tokens: usage.outputTokens,
    reasoning_tokens: usage.reasoningTokens,
    cost,
  };
}

export function toKey(key: ApiKey) {
  const { id, user, kind, name, hint, scopes, rates } = key;
  return {
    object: 'key' as const,
    id,
    user,
    kind,
    name,
    hint,
    scopes,
    rates: rates === null ? null : { per_minute: rates.perMinute, per_hour: rates.perHour },
    created_at: seconds(key.createdAt),
    expires_at: key.expiresAt === null ? null : seconds(key.expiresAt),
    revoked_at: key.revokedAt === null ? null : seconds(key.revokedAt),
  };
}
