/** Accepting a message, and asking for the answer to one that is stored: turns, run, idempotency and change in one unit. */

import { notFound, ServiceError } from '#core/errors.ts';
import { type Run, wasCutOff } from '#core/run.ts';
import type { Turn } from '#core/turn.ts';
import type {
  Accepted,
  AcceptMessage,
  AnswerAgain,
  AnswerTurn,
  NewAnswer,
  NewTurn,
  OnBusy,
  Outcome,
} from '#ports/store.ts';
import { addChange } from './changes.ts';
import { type ConversationRow, findInner, requireOwned, toConversation } from './conversation-rows.ts';
import { makeConversation } from './conversations.ts';
import { recall, remember } from './idempotency.ts';
import { addRun, loadRun, openAnswers } from './runs.ts';
import { type Sql, statement } from './sql.ts';
import type { Row } from './tables.ts';
import { addTurn, findByExternalId, findInConversation, findTurn, giveRun, loadTurn } from './turns.ts';

const updateHead = statement<{ id: string; head: string; depth: number; now: number }>(`
  update conversations set head = :head, head_depth = :depth, updated_at = :now, active_at = :now where id = :id`);

const updateExternalId = statement<{ id: string; externalId: string | null }>(`
  update turns set external_id = :externalId where id = :id`);

/** The newest of the answers to a turn. */
const selectAnswer = statement<{ turn: string }, { id: string }>(`
  select id from turns where answers = :turn order by "row" desc limit 1`);

/** From the head towards the root until a user turn that has something to answer. */
const selectNewestUserTurn = statement<{ conversation: string; head: string }, { id: string }>(`
  with recursive path as (
    select id, parent, role from turns where conversation = :conversation and id = :head
    union all
    select t.id, t.parent, t.role from path join turns t on t.id = path.parent
  )
  select path.id from path
  where path.role = 'user' and exists (select 1 from items i where i.turn = path.id)
  limit 1`);

export async function acceptMessage(sql: Sql, unit: AcceptMessage): Promise<Outcome<Accepted>> {
  const kept = await recall(sql, unit);
  if (kept !== null) return replay(sql, unit, kept);

  const { owner, now } = unit;
  const { row, made: begun } =
    'ref' in unit.conversation
      ? { row: await requireOwned(sql, owner, unit.conversation.ref), made: false }
      : await makeConversation(sql, unit, unit.conversation.create);
  const replaced = unit.replaces === undefined ? null : await requireUserTurn(sql, row.id, unit.replaces);
  const parent = replaced === null ? await findParent(sql, unit, row) : parentOf(replaced);
  await checkExternalId(sql, row.id, unit.input, replaced);
  const place = unit.answer === null ? null : await findPlace(sql, row.id, unit.onBusy);
  if (replaced !== null && replaced.external_id === unit.input.externalId) {
    await sql.run(updateExternalId, { id: replaced.id, externalId: null });
  }
  let above: TreePlace | null = parent;
  for (const turn of unit.lead ?? []) above = await addInput(sql, now, row, turn, above);
  const input = await addInput(sql, now, row, unit.input, above);
  const made =
    unit.answer === null || place === null
      ? null
      : await addAnswer(sql, row, { wanted: unit.answer, parent: input, answers: input.id, place, now });
  if (made === null && !begun) await addChange(sql, row, 'conversation-updated', null, now);
  const conversation = await moveHead(sql, row, made?.answer ?? input, now);
  const answer = made?.answer.id ?? null;
  await remember(sql, unit, { conversation: row.id, input: input.id, answer, result: null });
  const value = {
    conversation: toConversation(conversation),
    input,
    answer: made?.answer ?? null,
    run: made?.run ?? null,
    interrupts: place?.interrupts ?? [],
    fresh: made !== null,
  };
  return { value, replayed: false };
}

export async function answerTurn(sql: Sql, unit: AnswerTurn): Promise<Accepted> {
  const { now } = unit;
  const { row, input } = await findQuestion(sql, unit);
  const there = await newestAnswer(sql, input);
  if (there !== null) return answerAnew(sql, row, input, there, { wanted: unit.answer, onBusy: 'queue', now });
  const place = await findPlace(sql, row.id, 'queue');
  const head = row.head === null ? null : { id: row.head, depth: row.head_depth };
  const made = await addAnswer(sql, row, { wanted: unit.answer, parent: head, answers: input.id, place, now });
  const conversation = await moveHead(sql, row, made.answer, now);
  return { conversation: toConversation(conversation), input, ...made, interrupts: [], fresh: true };
}

export async function answerAgain(sql: Sql, unit: AnswerAgain): Promise<Outcome<Accepted>> {
  const kept = await recall(sql, unit);
  if (kept !== null) return replay(sql, unit, kept);

  const { owner, now, onBusy } = unit;
  const row = await requireOwned(sql, owner, { by: 'id', id: unit.conversation });
  let input = await requireAnswerable(sql, row.id, unit.turn);
  let answer = await newestAnswer(sql, input);
  while (!unit.sibling && input.role === 'assistant' && answer !== null && (await isCutOff(sql, answer))) {
    input = answer;
    answer = await newestAnswer(sql, input);
  }
  let value: Accepted | null = null;
  if (answer !== null) {
    const again = await answerAnew(sql, row, input, answer, { wanted: unit.answer, onBusy, now });
    if (again.fresh || !unit.sibling) value = again;
  }
  if (value === null) {
    const place = await findPlace(sql, row.id, onBusy);
    const made = await addAnswer(sql, row, { wanted: unit.answer, parent: input, answers: input.id, place, now });
    const conversation = toConversation(await moveHead(sql, row, made.answer, now));
    value = { conversation, input, ...made, interrupts: place.interrupts, fresh: true };
  }
  await remember(sql, unit, {
    conversation: row.id,
    input: input.id,
    answer: value.answer?.id ?? null,
    result: null,
  });
  return { value, replayed: false };
}

/** The first outcome again, as it is by now; a run that failed before its first token is made anew. */
async function replay(
  sql: Sql,
  unit: AcceptMessage | AnswerAgain,
  kept: Row<'idempotency'>,
): Promise<Outcome<Accepted>> {
  const { now } = unit;
  const row = kept.conversation === null ? undefined : await findInner(sql, kept.conversation);
  const input = kept.input === null ? null : await loadTurn(sql, kept.input);
  if (row === undefined || input === null) throw notFound('Conversation');
  const answer = kept.answer === null ? null : await loadTurn(sql, kept.answer);
  if (answer === null || unit.answer === null) {
    const value = { conversation: toConversation(row), input, answer, run: null, interrupts: [], fresh: false };
    return { value, replayed: true };
  }
  const value = await answerAnew(sql, row, input, answer, { wanted: unit.answer, onBusy: unit.onBusy, now });
  return { value, replayed: !value.fresh };
}

/** The answer that is there; written by a new run if its run failed before the first token. */
async function answerAnew(
  sql: Sql,
  row: ConversationRow,
  input: Turn,
  answer: Turn,
  again: { wanted: NewAnswer; onBusy: OnBusy; now: number },
): Promise<Accepted> {
  const { wanted, now } = again;
  const conversation = toConversation(row);
  const before = answer.run === null ? null : await loadRun(sql, answer.run);
  if (before?.status !== 'failed' || answer.items.length > 0) {
    return { conversation, input, answer, run: before, interrupts: [], fresh: false };
  }
  const place = await findPlace(sql, row.id, again.onBusy);
  const run = await addAnswerRun(sql, row, { ...wanted, turn: answer.id }, input.id, place, now);
  const status = place.free ? 'in_progress' : 'queued';
  await giveRun(sql, answer.id, run.id, status, now);
  const written: Turn = { ...answer, run: run.id, status, updatedAt: now };
  return { conversation, input, answer: written, run, interrupts: place.interrupts, fresh: true };
}

/** What a new turn goes under; the role where somebody asks for it. */
interface TreePlace {
  id: string;
  depth: number;
  role: Turn['role'] | null;
}

async function newestAnswer(sql: Sql, { id }: Turn): Promise<Turn | null> {
  const answer = await sql.first(selectAnswer, { turn: id });
  return answer === undefined ? null : loadTurn(sql, answer.id);
}

/** A message of a person's, or an answer that can be gone on from. */
async function requireAnswerable(sql: Sql, conversation: string, id: string): Promise<Turn> {
  const turn = await loadTurn(sql, id);
  if (turn?.conversation !== conversation) throw notFound('Message');
  if (turn.role === 'user' || (await isCutOff(sql, turn))) return turn;
  const why = turn.status === 'queued' || turn.status === 'in_progress' ? 'is still being written' : 'was not cut off';
  throw new ServiceError('conflict', `There is nothing to go on from: this message ${why}, or has no text.`);
}

async function isCutOff(sql: Sql, turn: Turn): Promise<boolean> {
  return wasCutOff(turn, turn.run === null ? null : await loadRun(sql, turn.run));
}

/** A user turn as it stands in the tree. */
async function requireUserTurn(sql: Sql, conversation: string, id: string): Promise<Row<'turns'>> {
  const turn = await findInConversation(sql, conversation, id);
  if (turn === undefined || turn.role !== 'user') throw notFound('Message');
  return turn;
}

/** What a turn hangs from. Only an answer made by hand asks for the role, and none replaces anything. */
function parentOf({ parent, depth }: Row<'turns'>): TreePlace | null {
  return parent === null ? null : { id: parent, depth: depth - 1, role: null };
}

/** A client's own id is one message's, unless that is the one being replaced. */
async function checkExternalId(
  sql: Sql,
  conversation: string,
  { externalId }: NewTurn,
  replaced: { id: string } | null,
): Promise<void> {
  if (externalId === null) return;
  const taken = await findByExternalId(sql, conversation, externalId);
  if (taken === undefined || taken.id === replaced?.id) return;
  throw new ServiceError('conflict', 'A message with this id is in the conversation already. Send a new id.');
}

/** The turn the input goes under: a place in the tree; null for the root. */
async function findParent(sql: Sql, unit: AcceptMessage, row: ConversationRow): Promise<TreePlace | null> {
  if (unit.parent === null && row.head === null) return null;
  // The head's depth stands on the conversation; its role matters only to an answer made by hand.
  if (unit.parent === null && row.head !== null && (unit.lead?.[0] ?? unit.input).role !== 'assistant') {
    return { id: row.head, depth: row.head_depth, role: null };
  }
  const turn = await findInConversation(sql, row.id, unit.parent ?? row.head ?? '');
  if (turn === undefined) throw notFound('Parent message');
  return turn;
}

async function addInput(
  sql: Sql,
  now: number,
  row: ConversationRow,
  input: NewTurn,
  parent: TreePlace | null,
): Promise<Turn> {
  const turn = {
    conversation: row.id,
    id: input.id,
    tenant: row.tenant,
    parent: parent?.id ?? null,
    depth: (parent?.depth ?? 0) + 1,
    role: input.role,
    status: input.status ?? ('completed' as const),
    run: null,
    answers: input.role === 'assistant' && parent?.role === 'user' ? parent.id : null,
    external_id: input.externalId,
    created_at: input.createdAt ?? now,
    updated_at: input.createdAt ?? now,
  };
  return addTurn(sql, turn, input.items);
}

/** Where a new answer stands among the open ones. */
interface Place {
  /** Nothing is before it: it starts at once. */
  free: boolean;
  /** What is to be stopped for it. */
  interrupts: string[];
}

async function findPlace(sql: Sql, conversation: string, onBusy: OnBusy): Promise<Place> {
  const open = await openAnswers(sql, conversation);
  if (open.length > 0 && onBusy === 'reject') {
    throw new ServiceError(
      'conflict',
      'An answer is being written in this conversation. Wait for its end or stop it, or send on_busy "queue" or "interrupt".',
    );
  }
  return { free: open.length === 0, interrupts: onBusy === 'interrupt' ? open.map((run) => run.id) : [] };
}

async function addAnswer(
  sql: Sql,
  row: ConversationRow,
  made: {
    wanted: NewAnswer;
    parent: { id: string; depth: number } | null;
    answers: string;
    place: Place;
    now: number;
  },
): Promise<{ answer: Turn; run: Run }> {
  const { wanted, parent, answers, place, now } = made;
  const turn = {
    conversation: row.id,
    id: wanted.turn,
    tenant: row.tenant,
    parent: parent?.id ?? null,
    depth: (parent?.depth ?? 0) + 1,
    role: 'assistant' as const,
    status: place.free ? ('in_progress' as const) : ('queued' as const),
    run: wanted.run,
    answers,
    external_id: null,
    created_at: now,
    updated_at: now,
  };
  const answer = await addTurn(sql, turn, []);
  return { answer, run: await addAnswerRun(sql, row, wanted, answers, place, now) };
}

async function addAnswerRun(
  sql: Sql,
  row: ConversationRow,
  wanted: NewAnswer,
  answers: string,
  place: Place,
  now: number,
): Promise<Run> {
  const { run: id, turn } = wanted;
  const request = { ...wanted.request, assistant: wanted.request.assistant ?? row.assistant };
  const status = place.free ? 'started' : 'queued';
  const run = await addRun(sql, { id, conversation: row, turn, answers, kind: 'answer', status, request, now });
  await addChange(sql, row, place.free ? 'run-started' : 'conversation-updated', place.free ? id : null, now);
  return run;
}

async function moveHead(sql: Sql, row: ConversationRow, head: Turn, now: number): Promise<ConversationRow> {
  await sql.run(updateHead, { id: row.id, head: head.id, depth: head.depth, now });
  return { ...row, head: head.id, head_depth: head.depth, updated_at: now, active_at: now };
}

/** The user turn that is to be answered, and its conversation. */
async function findQuestion(sql: Sql, unit: AnswerTurn): Promise<{ row: ConversationRow; input: Turn }> {
  const { owner, target } = unit;
  if ('turn' in target) {
    const found = await findTurn(sql, owner, target.turn);
    const row = found === null ? undefined : await findInner(sql, found.conversation.id);
    if (found === null || row === undefined) throw notFound('Message');
    if (found.turn.role !== 'user') {
      throw new ServiceError('conflict', 'Only a message of a person can be answered, and this one is not.');
    }
    return { row, input: found.turn };
  }
  const row = await requireOwned(sql, owner, target.conversation);
  const newest =
    row.head === null ? undefined : await sql.first(selectNewestUserTurn, { conversation: row.id, head: row.head });
  const input = newest === undefined ? null : await loadTurn(sql, newest.id);
  if (input === null) {
    throw new ServiceError('conflict', 'There is no message of a person to answer. Add one first.');
  }
  return { row, input };
}
