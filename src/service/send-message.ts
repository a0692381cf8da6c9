/** A message is accepted: both turns and the run in one unit, and then the run is started. */

import { DEFAULT_ASSISTANT } from '#core/conversation.ts';
import { invalid, notFound, ServiceError } from '#core/errors.ts';
import type { ConversationRef } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn, Run, RunRequest, RunResult } from '#core/run.ts';
import { type ApprovalItem, type Item, MAX_MESSAGE_BYTES, messageItem, type Role, type Turn } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Accepted, AcceptMessage, NewAnswer, NewTurn, OnBusy, Store } from '#ports/store.ts';
import { type Named, refOf } from './conversations.ts';
import type { LiveRuns } from './live-runs.ts';
import type { createRunBounds } from './run-bounds.ts';
import type { RunLoop } from './run-loop.ts';

export interface Message {
  /** Null begins a new conversation. */
  conversation: Named | null;
  /** The preset of a new conversation. */
  assistant?: string;
  text: string;
  onBusy?: OnBusy;
}

/** An entry of an existing conversation, made by hand. */
export interface Entry {
  conversation: Named;
  role: Role;
  text: string;
}

/** An existing conversation, or a new one: the default assistant's, listed and without an id of the caller's. */
export type Place =
  | { ref: ConversationRef }
  | { create: { assistant?: string; listed?: boolean; externalId?: string | null } };

/** What a caller of a richer API sends: items, and wishes for the answer. */
export interface Input {
  conversation: Place;
  items: Item[];
  /** What comes before `items` in turns of its own; each hangs from the one before it. */
  lead?: readonly ContextTurn[];
  onBusy: OnBusy;
  request: Partial<RunRequest>;
  /** A client's own id for it. */
  externalId?: string | null;
  /** The turn it goes under; null: the head. */
  parent?: string | null;
  /** The user turn it replaces: its sibling, under its external id. */
  replaces?: string;
}

/** A stored message of a person's that is to be answered below itself. */
export interface Question {
  conversation: string;
  turn: string;
  /** Whether it is to have a further answer beside the one it has. */
  sibling: boolean;
  onBusy: OnBusy;
  request: Partial<RunRequest>;
}

/** An answer that is to be gone on from, or made again. */
export interface Again {
  /** The answer's turn. */
  turn: string;
  /** What is to be otherwise than it was for that answer. */
  request: Partial<RunRequest>;
  onBusy?: OnBusy;
}

const PLAIN_REQUEST: NewAnswer['request'] = {
  assistant: null,
  model: null,
  instructions: null,
  webSearch: 'off',
  parameters: {},
  tools: [],
  approvals: false,
  context: null,
  lead: 0,
  echo: {},
};

/** A message that is being, or has been, answered; by hand where there is no run. */
export type Answered = Accepted & { answer: Turn };

export function createMessages(parts: {
  store: Store;
  clock: Clock;
  ids: Ids;
  liveRuns: LiveRuns;
  runLoop: RunLoop;
  runBounds: ReturnType<typeof createRunBounds>;
}) {
  const { store, clock, ids, liveRuns, runLoop, runBounds } = parts;
  return { send, accept, add, answer, answerAgain, continueAnswer, retryAnswer };

  /**
   * Stores a person's message, durably, and starts its answer. Throws `not_found`, `conflict` (busy, with `reject`),
   * `overloaded`, `idempotency_mismatch`.
   */
  async function send(principal: Principal, message: Message, once: Once | null): Promise<Answered & { run: Run }> {
    checkText(message.text);
    const { assistant, onBusy = 'queue' } = message;
    const conversation: Place =
      message.conversation === null
        ? { create: assistant === undefined ? {} : { assistant } }
        : { ref: refOf(message.conversation) };
    return accept(principal, { conversation, items: newTurn('user', message.text).items, onBusy, request: {} }, once);
  }

  /** The same for any input of the user's, anywhere, and any wishes for the answer. Gives the items ids of its own. */
  async function accept(principal: Principal, input: Input, once: Once | null): Promise<Answered & { run: Run }> {
    for (const item of input.items) if (item.type === 'approval') await checkApproval(principal, item);
    const unit: AcceptMessage = {
      owner: principal,
      now: clock.now(),
      once,
      conversation: target(input.conversation),
      input: {
        id: ids.uuid(),
        role: 'user',
        items: withIds(input.items),
        externalId: input.externalId ?? null,
      },
      ...(input.lead !== undefined && {
        lead: input.lead.map(({ role, items }) => ({ id: ids.uuid(), role, items: withIds(items), externalId: null })),
      }),
      parent: input.parent ?? null,
      ...(input.replaces !== undefined && { replaces: input.replaces }),
      answer: newAnswer({ ...input.request, lead: input.lead?.length ?? 0 }),
      onBusy: input.onBusy,
    };
    const answered = await runBounds.during(principal, () =>
      store.acceptMessage(unit).then(({ value }) => begin(value)),
    );
    const { run } = answered;
    if (run === null) throw new ServiceError('internal', 'A message was accepted without a run.');
    return { ...answered, run };
  }

  /** Nobody decides on a call but whose conversation it is in. */
  async function checkApproval(principal: Principal, { call }: ApprovalItem): Promise<void> {
    const found = await store.findItem(principal, call);
    if (found?.item.type !== 'function_call' || found.item.asks !== true) {
      throw invalid('There is no call that asks for this approval.', 'input');
    }
  }

  /** Stores an entry and asks nobody. Throws `not_found`, `idempotency_mismatch`. */
  async function add(principal: Principal, entry: Entry, once: Once | null): Promise<Turn> {
    checkText(entry.text);
    const { value } = await store.acceptMessage({
      owner: principal,
      now: clock.now(),
      once,
      conversation: { ref: refOf(entry.conversation) },
      input: newTurn(entry.role, entry.text),
      parent: null,
      answer: null,
      onBusy: 'queue',
    });
    return value.input;
  }

  /**
   * Answers a stored entry, or a conversation's newest one, once: what is being written or was written already comes
   * back as it is. Throws `not_found`, and `conflict` where there is nothing to answer.
   */
  async function answer(principal: Principal, named: Named, webSearch: RunRequest['webSearch']): Promise<Answered> {
    const ref = refOf(named);
    const unit = { owner: principal, now: clock.now(), answer: newAnswer({ webSearch }) };
    return runBounds.during(principal, () =>
      store.answerTurn({ ...unit, target: { conversation: ref } }).then(begin, (error: unknown) => {
        if (ref.by !== 'id' || !(error instanceof ServiceError) || error.code !== 'not_found') throw error;
        return store.answerTurn({ ...unit, target: { turn: ref.id } }).then(begin);
      }),
    );
  }

  /**
   * Answers a stored message below itself. Without `sibling` what answers it already comes back as it is. Throws
   * `not_found`, `overloaded`, `idempotency_mismatch`.
   */
  async function answerAgain(principal: Principal, question: Question, once: Once | null): Promise<Answered> {
    const { request, ...facts } = question;
    const unit = { owner: principal, now: clock.now(), once, ...facts, answer: newAnswer(request) };
    return runBounds.during(principal, () => store.answerAgain(unit).then(({ value }) => begin(value)));
  }

  /**
   * Goes on from an answer that was cut off, in a run and a turn of its own below it: the model is given the text so far,
   * and asked for the rest. What goes on from it already comes back as it is, unless that was cut off as well: then it is
   * gone on from there. Throws `not_found`; `conflict` where the answer is whole, being written, or without text;
   * `overloaded`, `idempotency_mismatch`.
   */
  async function continueAnswer(principal: Principal, again: Again, once: Once | null): Promise<Answered> {
    const { answer, request } = await findAnswer(principal, again);
    // What was searched for stands in the answer; a second search would number its sources anew.
    const wishes = { ...request, webSearch: 'off', lead: 0, ...again.request } as const;
    return answerBelow(principal, answer, again, { turn: answer.id, sibling: false, request: wishes }, once);
  }

  /**
   * Answers a stored answer's question once more: a sibling of it. One that failed before its first token is written anew.
   * Throws `not_found`; `conflict` where it answers nothing; `overloaded`, `idempotency_mismatch`.
   */
  async function retryAnswer(principal: Principal, again: Again, once: Once | null): Promise<Answered> {
    const { answer, request } = await findAnswer(principal, again);
    if (answer.answers === null) {
      throw new ServiceError('conflict', 'This message answers no other, so that there is nothing to answer again.');
    }
    const wishes = { ...request, ...again.request };
    return answerBelow(principal, answer, again, { turn: answer.answers, sibling: true, request: wishes }, once);
  }

  /** An answer of the principal's, and what was asked for when it was made. */
  async function findAnswer(
    principal: Principal,
    { turn }: Again,
  ): Promise<{ answer: Turn; request: Partial<RunRequest> }> {
    const found = await store.findTurn(principal, turn);
    if (found?.turn.role !== 'assistant') throw notFound('Message');
    const run = await store.findRunOfTurn(principal, turn);
    return { answer: found.turn, request: run === null ? {} : { ...run.request, context: null } };
  }

  function answerBelow(
    principal: Principal,
    { conversation }: Turn,
    { onBusy = 'queue' }: Again,
    question: Pick<Question, 'turn' | 'sibling' | 'request'>,
    once: Once | null,
  ): Promise<Answered> {
    return answerAgain(principal, { conversation, onBusy, ...question }, once);
  }

  /**
   * Must be what the store's promise goes to first, with no `await` between: the answer to a deletion that was accepted
   * right behind the message comes with it, and finds only runs that have been opened.
   */
  function begin(accepted: Accepted): Answered {
    const { answer } = accepted;
    if (answer === null) throw new ServiceError('internal', 'A message was accepted without an answer.');
    startAll(accepted);
    return { ...accepted, answer };
  }

  /** Starts, queues and interrupts as the store has decided. */
  function startAll({ run, conversation, input, interrupts, fresh }: Accepted): void {
    if (run === null || !fresh) return;
    if (liveRuns.get(run.id) === null)
      liveRuns.open(run, {
        untitled: conversation.title === null && conversation.listed,
        decides: input.items.some(({ type }) => type === 'approval'),
      });
    if (run.status === 'started') runLoop.start(run);
    for (const id of interrupts) {
      const older = liveRuns.get(id);
      if (older !== null) void runLoop.stop(older, 'interrupted');
    }
  }

  function withIds(items: readonly Item[]): Item[] {
    return items.map((item) => ({ ...item, id: ids.uuid() }));
  }

  function newTurn(role: Role, text: string): NewTurn {
    return { id: ids.uuid(), role, items: [messageItem(ids.uuid(), role, text)], externalId: null };
  }

  function target(place: Place): AcceptMessage['conversation'] {
    if ('ref' in place) return place;
    const { assistant = DEFAULT_ASSISTANT, listed = true, externalId = null } = place.create;
    const id = ids.uuid();
    return { create: { id, title: null, assistant, listed, externalId, metadata: {}, active: false } };
  }

  /** By the conversation's own assistant, and a model's defaults. */
  function newAnswer(wishes: Partial<RunRequest>): NewAnswer {
    return { turn: ids.uuid(), run: ids.uuid(), request: { ...PLAIN_REQUEST, ...wishes } };
  }
}

/** An answer that is to be shown whole, or the error that says why it is not (DIALECTS.md: never passed off as whole). */
export function wholeAnswer(result: RunResult): RunResult {
  const failure = failureOf(result);
  if (failure === null) return result;
  const kept = failure.code === 'answer_incomplete' ? ' What was written is kept in the conversation.' : '';
  throw new ServiceError(failure.code, failure.message + kept);
}

/** Why an answer is not whole; null if it is. */
export function failureOf({ status, error }: Pick<RunResult, 'status' | 'error'>): ServiceError | null {
  if (status === 'completed') return null;
  const message = error?.message ?? 'The answer was not completed.';
  if (status !== 'failed') return new ServiceError('answer_incomplete', message);
  return new ServiceError(error?.code === 'silent' ? 'model_silent' : 'model_unreachable', message);
}

function checkText(text: string): void {
  if (text === '') throw invalid('The message must not be empty.', 'message');
  if (!fitsMessage(text)) throw invalid(`The message is over ${MAX_MESSAGE_BYTES} bytes.`, 'message');
}

/** Whether a text is at most 1 MiB of UTF-8: for dialects that call it by another name than `message`. */
export function fitsMessage(text: string): boolean {
  // A UTF-16 unit is at most three bytes of UTF-8.
  return text.length * 3 <= MAX_MESSAGE_BYTES || new TextEncoder().encode(text).length <= MAX_MESSAGE_BYTES;
}
