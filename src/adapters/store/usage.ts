/** What answers cost, added up by user, day and model: it stays when the conversations are gone. */

import type { RunKind, Usage } from '#core/run.ts';
import { MS_PER_DAY, type UsageLine } from '#core/usage.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

const addToLine = insertInto(
  'usage',
  [
    'tenant',
    'user',
    'day',
    'model',
    'runs',
    'input_tokens',
    'cached_input_tokens',
    'output_tokens',
    'reasoning_tokens',
  ],
  `on conflict (tenant, "user", day, model) do update set
    runs = usage.runs + excluded.runs,
    input_tokens = usage.input_tokens + excluded.input_tokens,
    cached_input_tokens = usage.cached_input_tokens + excluded.cached_input_tokens,
    output_tokens = usage.output_tokens + excluded.output_tokens,
    reasoning_tokens = usage.reasoning_tokens + excluded.reasoning_tokens`,
);

interface Days {
  tenant: string;
  from: number;
  to: number;
  limit: number;
}

const selectOfUser = statement<Days & { user: string }, Row<'usage'>>(`
  select * from usage where tenant = :tenant and "user" = :user and day between :from and :to
  order by day, model limit :limit + 0`);

const selectOfTenant = statement<Days, Row<'usage'>>(`
  select * from usage where tenant = :tenant and day between :from and :to
  order by day, "user", model limit :limit + 0`);

/** Counts a run that has ended; a title's tokens, but not its run. */
export async function addUsage(
  sql: Sql,
  run: { tenant: string; user: string; kind: RunKind; model: string | null; usage: Usage | null },
  now: number,
): Promise<void> {
  const { tenant, user, kind, model, usage } = run;
  await sql.run(addToLine, {
    tenant,
    user,
    day: Math.floor(now / MS_PER_DAY),
    model: model ?? '',
    runs: kind === 'answer' ? 1 : 0,
    input_tokens: usage?.inputTokens ?? 0,
    cached_input_tokens: usage?.cachedInputTokens ?? 0,
    output_tokens: usage?.outputTokens ?? 0,
    reasoning_tokens: usage?.reasoningTokens ?? 0,
  });
}

export async function readUsage(sql: Sql, { user, ...days }: Days & { user: string | null }): Promise<UsageLine[]> {
  const rows = user === null ? await sql.all(selectOfTenant, days) : await sql.all(selectOfUser, { ...days, user });
  return rows.map((row) => ({
    user: row.user,
    day: row.day,
    model: row.model === '' ? null : row.model,
    runs: row.runs,
    usage: {
      inputTokens: row.input_tokens,
      cachedInputTokens: row.cached_input_tokens,
      outputTokens: row.output_tokens,
      reasoningTokens: row.reasoning_tokens,
    },
  }));
}
