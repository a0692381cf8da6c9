/** Runs: accepted, started, ended, one after the other within a conversation. */

import type { Owner } from '#core/principal.ts';
import type { EndStatus, Run, RunFacts, RunKind, RunRequest } from '#core/run.ts';
import type { TurnStatus } from '#core/turn.ts';
import type { FinishRun } from '#ports/store.ts';
import { addChange } from './changes.ts';
import { findInner, isOwned, type OwnerValues, ownerValues } from './conversation-rows.ts';
import { appendBatch, endLog } from './logs.ts';
import { insertInto, type Sql, statement } from './sql.ts';
import type { Flag, Row } from './tables.ts';
import { giveRun, writeTurn } from './turns.ts';
import { addUsage } from './usage.ts';

/** What a run leaves of its turn. */
const turnStatus: Record<EndStatus, TurnStatus> = {
  completed: 'completed',
  incomplete: 'incomplete',
  cancelled: 'incomplete',
  failed: 'failed',
};

const insertRun = insertInto('runs', [
  'id',
  'tenant',
  'user',
  'conversation',
  'turn',
  'answers',
  'kind',
  'status',
  'request',
  'model',
  'attempts',
  'usage',
  'finish',
  'error',
  'last_event',
  'created_at',
  'started_at',
  'ended_at',
]);

const selectRun = statement<{ id: string }, Row<'runs'>>(`select * from runs where id = :id`);

/** With what a change in its conversation's feed needs. */
const selectRunToEnd = statement<
  { id: string },
  Pick<Row<'runs'>, 'sequence' | 'id' | 'tenant' | 'user' | 'conversation' | 'turn' | 'kind'> & { listed: Flag | null }
>(`
  select r.sequence, r.id, r.tenant, r."user", r.conversation, r.turn, r.kind, c.listed
  from runs r left join conversations c on c.id = r.conversation
  where r.id = :id and r.ended_at is null`);

const OWNED_RUNS = `
  select r.* from runs r join users u on u.tenant = r.tenant and u.id = r."user" where ${isOwned('r')}`;

const selectOwnedRun = statement<OwnerValues & { id: string }, Row<'runs'>>(`${OWNED_RUNS} and r.id = :id`);

const selectFacts = statement<
  OwnerValues & { id: string },
  Pick<Row<'runs'>, 'id' | 'status' | 'model' | 'usage' | 'error'>
>(`
  select r.id, r.status, r.model, r.usage, r.error from runs r
  join users u on u.tenant = r.tenant and u.id = r."user" where ${isOwned('r')} and r.id = :id`);

const selectRunOfTurn = statement<OwnerValues & { turn: string }, Row<'runs'>>(`
  ${OWNED_RUNS} and r.id = (select t.run from turns t where t.id = :turn)`);

const selectAllOpen = statement<object, Row<'runs'>>(`select * from runs where ended_at is null order by sequence`);

const OPEN_ANSWERS = `
  select * from runs
  where conversation = :conversation and ended_at is null and kind = 'answer'
  order by sequence`;

const selectOpenAnswers = statement<{ conversation: string }, Row<'runs'>>(OPEN_ANSWERS);

const selectFirstOpenAnswer = statement<{ conversation: string }, Row<'runs'>>(`${OPEN_ANSWERS} limit 1`);

const updateStarted = statement<{ sequence: number; now: number }>(`
  update runs set status = 'started', started_at = :now where sequence = :sequence`);

const updateEnded = statement<
  Pick<Row<'runs'>, 'sequence' | 'status' | 'model' | 'attempts' | 'usage' | 'finish' | 'error' | 'last_event'> & {
    request: string | null;
    now: number;
  }
>(`
  update runs set
    status = :status, request = coalesce(:request, request), model = :model, attempts = :attempts, usage = :usage,
    finish = :finish, error = :error, last_event = :last_event, ended_at = :now
  where sequence = :sequence`);

const updateActivity = statement<{ id: string; now: number }>(`
  update conversations set updated_at = :now, active_at = :now where id = :id`);

/** A new run, `started` or `queued`. */
export async function addRun(
  sql: Sql,
  wanted: {
    id: string;
    conversation: { id: string; tenant: string; user: string };
    turn: string | null;
    answers: string | null;
    kind: RunKind;
    status: 'queued' | 'started';
    request: RunRequest;
    now: number;
  },
): Promise<Run> {
  const { id, conversation, turn, answers, kind, status, request, now } = wanted;
  const row = {
    id,
    tenant: conversation.tenant,
    user: conversation.user,
    conversation: conversation.id,
    turn,
    answers,
    kind,
    status,
    request: JSON.stringify(request),
    model: null,
    attempts: '[]',
    usage: null,
    finish: null,
    error: null,
    last_event: 0,
    created_at: now,
    started_at: status === 'started' ? now : null,
    ended_at: null,
  };
  await sql.run(insertRun, row);
  return toRun(row);
}

/** The open answer runs of a conversation in the order of acceptance. */
export async function openAnswers(sql: Sql, conversation: string): Promise<Row<'runs'>[]> {
  return sql.all(selectOpenAnswers, { conversation });
}

/** A run that is known to be the owner's. */
export async function loadRun(sql: Sql, id: string): Promise<Run | null> {
  const row = await sql.first(selectRun, { id });
  return row === undefined ? null : toRun(row);
}

export async function findRun(sql: Sql, owner: Owner, id: string): Promise<Run | null> {
  const row = await sql.first(selectOwnedRun, { ...ownerValues(owner), id });
  return row === undefined ? null : toRun(row);
}

export async function findRunOfTurn(sql: Sql, owner: Owner, turn: string): Promise<Run | null> {
  const row = await sql.first(selectRunOfTurn, { ...ownerValues(owner), turn });
  return row === undefined ? null : toRun(row);
}

export async function readRunFacts(sql: Sql, { owner, runs }: { owner: Owner; runs: string[] }): Promise<RunFacts[]> {
  const values = ownerValues(owner);
  const facts: RunFacts[] = [];
  for (const id of runs) {
    const row = await sql.first(selectFacts, { ...values, id });
    if (row === undefined) continue;
    const { status, model, usage, error } = row;
    facts.push({
      id,
      status,
      model,
      usage: usage === null ? null : JSON.parse(usage),
      error: error === null ? null : JSON.parse(error),
    });
  }
  return facts;
}

export async function openRuns(sql: Sql): Promise<Run[]> {
  return (await sql.all(selectAllOpen, {})).map(toRun);
}

export async function startTitleRun(
  sql: Sql,
  unit: { conversation: string; run: string; request: RunRequest; now: number },
): Promise<boolean> {
  const conversation = await findInner(sql, unit.conversation);
  if (conversation === undefined) return false;
  const { run: id, request, now } = unit;
  await addRun(sql, { id, conversation, turn: null, answers: null, kind: 'title', status: 'started', request, now });
  return true;
}

export async function recordRun(sql: Sql, { run }: { run: Run }): Promise<void> {
  await sql.run(insertRun, {
    id: run.id,
    tenant: run.tenant,
    user: run.user,
    conversation: null,
    turn: null,
    answers: null,
    kind: run.kind,
    status: run.status,
    request: JSON.stringify(run.request),
    model: run.model,
    attempts: JSON.stringify(run.attempts),
    usage: run.usage === null ? null : JSON.stringify(run.usage),
    finish: run.finish,
    error: run.error === null ? null : JSON.stringify(run.error),
    last_event: 0,
    created_at: run.createdAt,
    started_at: run.startedAt,
    ended_at: run.endedAt,
  });
  await addUsage(sql, run, run.endedAt ?? run.createdAt);
}

export async function finishRun(sql: Sql, unit: FinishRun): Promise<{ next: Run | null }> {
  const { end, items, now } = unit;
  const run = await sql.first(selectRunToEnd, { id: unit.run });
  if (run === undefined) return { next: null };
  if (unit.tail !== null) await appendBatch(sql, unit.tail);
  await endLog(sql, run.sequence, now);
  await sql.run(updateEnded, {
    sequence: run.sequence,
    status: end.status,
    request: unit.request === null ? null : JSON.stringify(unit.request),
    model: unit.model,
    attempts: JSON.stringify(unit.attempts),
    usage: end.usage === null ? null : JSON.stringify(end.usage),
    finish: end.finish,
    error: end.error === null ? null : JSON.stringify(end.error),
    last_event: unit.lastEvent,
    now,
  });
  if (run.turn !== null) {
    await writeTurn(sql, { tenant: run.tenant, turn: run.turn, status: turnStatus[end.status], items, now });
  }
  const { tenant, user, kind, conversation: id, listed } = run;
  await addUsage(sql, { tenant, user, kind, model: unit.model, usage: end.usage }, now);
  if (kind !== 'answer' || id === null || listed === null) return { next: null };
  await sql.run(updateActivity, { id, now });
  await addChange(sql, { id, tenant, user, listed }, 'run-ended', run.id, now);
  return { next: unit.startNext ? await startNextRun(sql, { conversation: id, now }) : null };
}

export async function startNextRun(
  sql: Sql,
  { conversation, now }: { conversation: string; now: number },
): Promise<Run | null> {
  // Runs start in the order of acceptance, so a started one is always the first that is open.
  const run = await sql.first(selectFirstOpenAnswer, { conversation });
  if (run === undefined || run.status !== 'queued') return null;
  await sql.run(updateStarted, { sequence: run.sequence, now });
  if (run.turn !== null) await giveRun(sql, run.turn, run.id, 'in_progress', now);
  const row = await findInner(sql, conversation);
  if (row !== undefined) await addChange(sql, row, 'run-started', run.id, now);
  return toRun({ ...run, status: 'started', started_at: now });
}

function toRun(row: Omit<Row<'runs'>, 'sequence'>): Run {
  return {
    id: row.id,
    tenant: row.tenant,
    user: row.user,
    conversation: row.conversation,
    turn: row.turn,
    answers: row.answers,
    kind: row.kind,
    status: row.status,
    request: { lead: 0, echo: {}, ...JSON.parse(row.request) },
    model: row.model,
    attempts: JSON.parse(row.attempts),
    usage: row.usage === null ? null : JSON.parse(row.usage),
    finish: row.finish,
    error: row.error === null ? null : JSON.parse(row.error),
    lastEvent: row.last_event,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}
