/** Calls of tools that are made at most once. */

import { insertInto, type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';

const insertClaim = insertInto('call_claims', ['call', 'tenant', 'conversation', 'run', 'created_at']);

const selectClaim = statement<{ tenant: string; call: string }, Pick<Row<'call_claims'>, 'run'>>(`
  select run from call_claims where call = :call and tenant = :tenant`);

export async function claimCall(
  sql: Sql,
  unit: { tenant: string; conversation: string; call: string; run: string; now: number },
): Promise<string> {
  const { now, ...claim } = unit;
  const first = await sql.first(selectClaim, claim);
  if (first !== undefined) return first.run;
  await sql.run(insertClaim, { ...claim, created_at: now });
  return claim.run;
}
