/** What the tests say to a store, in few words. */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { Conversation } from '../../../src/core/conversation.ts';
import { type ErrorCode, ServiceError } from '../../../src/core/errors.ts';
import type { TerminalEvent } from '../../../src/core/event.ts';
import { packEvents } from '../../../src/core/event.ts';
import { formatUuidV7 } from '../../../src/core/ids.ts';
import type { Once } from '../../../src/core/once.ts';
import type { Owner } from '../../../src/core/principal.ts';
import type { EndStatus, Run } from '../../../src/core/run.ts';
import { type Item, messageItem, type Role } from '../../../src/core/turn.ts';
import type {
  Accepted,
  AcceptMessage,
  FinishRun,
  NewAnswer,
  NewConversation,
  NewTurn,
  OnBusy,
  Outcome,
  Store,
} from '../../../src/ports/store.ts';

let made = 0;

/** Ids grow, as those of one process do. */
export function uuid(): string {
  made += 1;
  return formatUuidV7(1_700_000_000_000 + Math.floor(made / 4096), made % 4096, randomBytes(8));
}

export const HOUR = 60 * 60 * 1000;
export const DAY = 24 * HOUR;

/** Somebody with a key, of a tenant of their own. */
export function person(given: Partial<Owner> = {}): Owner {
  return { tenant: uuid(), user: 'ann', keyless: false, findsKeyless: false, ...given };
}

export function newConversation(given: Partial<NewConversation> = {}): NewConversation {
  const plain = { title: null, assistant: 'default', listed: true, externalId: null, metadata: {}, active: false };
  return { id: uuid(), ...plain, ...given };
}

export function text(words: string, role: Role = 'user'): Item {
  return messageItem(uuid(), role, words);
}

export function newTurn(words: string, given: Partial<NewTurn> = {}): NewTurn {
  const role = given.role ?? 'user';
  return { id: uuid(), role, items: [text(words, role)], externalId: null, ...given };
}

export function newAnswer(given: Partial<NewAnswer['request']> = {}): NewAnswer {
  const request = {
    assistant: null,
    model: null,
    instructions: null,
    webSearch: 'off' as const,
    parameters: {},
    tools: [],
    approvals: false,
    context: null,
    lead: 0,
    echo: {},
  };
  return { turn: uuid(), run: uuid(), request: { ...request, ...given } };
}

export function terminal(status: EndStatus, given: Partial<TerminalEvent> = {}): TerminalEvent {
  const plain = { finish: status === 'completed' ? ('stop' as const) : null, error: null, usage: null, sources: [] };
  return { type: 'run-ended', status, ...plain, at: 1, ...given };
}

/** How a run ends: with the terminal event logged as number `lastEvent`. */
export function ending(run: string, status: EndStatus, given: Partial<FinishRun> = {}): FinishRun {
  const end = given.end ?? terminal(status);
  const lastEvent = given.lastEvent ?? 1;
  const tail = { run, first: lastEvent, last: lastEvent, payload: packEvents([end]) };
  const items = status === 'completed' ? [text('An answer', 'assistant')] : [];
  return {
    run,
    end,
    lastEvent,
    tail,
    items,
    model: 'test-model',
    attempts: [],
    request: null,
    startNext: true,
    now: 2,
    ...given,
  };
}

/** Somebody at a store. Everything happens at `now` and without an `Idempotency-Key` unless it says otherwise. */
export function at(store: Store, owner: Owner) {
  type Ref = AcceptMessage['conversation'];
  interface Said {
    conversation?: Conversation | Ref;
    answer?: NewAnswer | boolean;
    parent?: string | null;
    onBusy?: OnBusy;
    now?: number;
    once?: Once | null;
    lead?: NewTurn[];
  }

  function say(input: string | NewTurn, said: Said = {}): Promise<Outcome<Accepted>> {
    const { conversation = { create: newConversation() }, answer = false } = said;
    return store.acceptMessage({
      owner,
      now: said.now ?? 1,
      once: said.once ?? null,
      conversation: 'id' in conversation ? { ref: { by: 'id', id: conversation.id } } : conversation,
      input: typeof input === 'string' ? newTurn(input) : input,
      ...(said.lead !== undefined && { lead: said.lead }),
      parent: said.parent ?? null,
      answer: typeof answer === 'boolean' ? (answer ? newAnswer() : null) : answer,
      onBusy: said.onBusy ?? 'queue',
    });
  }

  return {
    async create(given: Partial<NewConversation> = {}, now = 1): Promise<Conversation> {
      const conversation = newConversation(given);
      return (await store.createConversation({ owner, now, once: null, conversation })).value;
    },
    say,
    /** Says it and wants an answer. */
    async ask(input: string | NewTurn, said: Omit<Said, 'answer'> & { answer?: NewAnswer } = {}) {
      const { value } = await say(input, { answer: true, ...said });
      assert(value.run !== null && value.answer !== null, 'an answer was asked for');
      return { ...value, run: value.run, answer: value.answer };
    },
    find: (id: string) => store.findConversation(owner, { by: 'id', id }),
    async read(id: string) {
      const path = await store.readPath({ owner, ref: { by: 'id', id }, limit: 1000, before: null });
      return path?.turns ?? null;
    },
    list: (given: Partial<Parameters<Store['listConversations']>[0]> = {}) =>
      store.listConversations({
        owner,
        order: 'activity',
        direction: 'desc',
        archived: false,
        limit: 100,
        offset: 0,
        after: null,
        ...given,
      }),
    remove: (id: string, now = 1, once: Once | null = null) =>
      store.deleteConversation({ owner, now, once, ref: { by: 'id', id } }),
  };
}

/** The error of a refused unit, which must have this code. */
export async function refused(promise: Promise<unknown>, code: ErrorCode): Promise<ServiceError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  assert(error instanceof ServiceError, `refused with ${code}, not: ${error}`);
  assert.equal(error.code, code);
  return error;
}

/** The open runs of a tenant, in order. */
export async function openRunsOf(store: Store, tenant: string): Promise<Run[]> {
  return (await store.openRuns()).filter((run) => run.tenant === tenant);
}
