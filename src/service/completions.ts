/**
 * Answers to a context the caller brings: most are of no conversation and nothing of them is kept but what they cost. They
 * live in memory, and are cancelled when their last reader leaves (DESIGN.md, The promises).
 */

import { invalid, ServiceError } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn, Run, RunRequest } from '#core/run.ts';
import { type Item, isToolResult } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { ModelInfo, Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import { findByClientId } from './conversations.ts';
import type { createFollowRun } from './follow-run.ts';
import type { Follower, LiveRuns, Sink } from './live-runs.ts';
import type { createRunBounds } from './run-bounds.ts';
import type { RunLoop } from './run-loop.ts';
import type { createMessages, Place } from './send-message.ts';

export interface Completion {
  /** A model's name; null for the default one. */
  model: string | null;
  /** Replaces the assistant's system prompt; null keeps it. */
  instructions: string | null;
  /** All that was said, the newest input last. */
  context: ContextTurn[];
  tools: RunRequest['tools'];
  parameters: RunRequest['parameters'];
  webSearch?: RunRequest['webSearch'];
  echo?: RunRequest['echo'];
}

/** An answer that is being made. */
export interface Answering {
  run: Run;
  /** The conversation it is kept in; null for none. */
  conversation: string | null;
  follow(sink: Sink): Follower;
}

export function createCompletions(parts: {
  store: Store;
  models: Models;
  liveRuns: LiveRuns;
  runLoop: RunLoop;
  messages: ReturnType<typeof createMessages>;
  runBounds: ReturnType<typeof createRunBounds>;
  runs: ReturnType<typeof createFollowRun>;
  clock: Clock;
  ids: Ids;
}) {
  const { store, models, liveRuns, runLoop, messages, runBounds, runs, clock, ids } = parts;
  return { complete, completeIn, listModels, getModel };

  /** All models that can be asked, chat models first. */
  function listModels(): ModelInfo[] {
    return models.list();
  }

  /** Throws `model_not_found`. */
  function getModel(name: string): ModelInfo {
    const model = models.find(name);
    if (model !== null) return model;
    throw new ServiceError(
      'model_not_found',
      `The model "${name}" does not exist here. GET /v1/models lists those that do.`,
      {
        param: 'model',
      },
    );
  }

  /**
   * Answers, and keeps nothing. With an `Idempotency-Key` the answer has to be there for a retry: it is kept in an
   * unlisted conversation. Throws `model_not_found`, `overloaded`, `idempotency_mismatch`.
   */
  async function complete(principal: Principal, completion: Completion, once: Once | null): Promise<Answering> {
    if (completion.model !== null) getModel(completion.model);
    if (once !== null) return keep(principal, completion, { create: { listed: false } }, completion.context, once);
    runBounds.check(principal);
    const now = clock.now();
    const run: Run = {
      id: ids.uuid(),
      tenant: principal.tenant,
      user: principal.user,
      conversation: null,
      turn: null,
      answers: null,
      kind: 'answer',
      status: 'started',
      request: {
        ...completion,
        assistant: '',
        instructions: completion.instructions ?? '',
        webSearch: completion.webSearch ?? 'off',
        approvals: false,
        lead: 0,
        echo: completion.echo ?? {},
      },
      model: null,
      attempts: [],
      usage: null,
      finish: null,
      error: null,
      lastEvent: 0,
      createdAt: now,
      startedAt: now,
      endedAt: null,
    };
    const live = liveRuns.open(run, { kept: false });
    // Begun with its first reader: what nobody reads is not asked for.
    let begun = false;
    const follow = (sink: Sink): Follower => {
      const follower = liveRuns.follow(live, 0, sink);
      if (!begun) void runLoop.execute(live);
      begun = true;
      return follower;
    };
    return { run, conversation: null, follow };
  }

  /**
   * Answers in a conversation, which keeps the exchange: one of the principal's own by id or by an id of the client's own
   * (made with it where there is none), or a new one for null. A single user message continues what is stored, and so do
   * results of tools, unless that is said to be the `whole` list; a longer list is itself the context, and what follows its
   * last assistant message is added.
   */
  async function completeIn(
    principal: Principal,
    { whole, ...completion }: Completion & { whole: boolean },
    conversation: string | null,
    once: Once | null,
  ): Promise<Answering> {
    if (completion.model !== null) getModel(completion.model);
    const place = conversation === null ? { create: {} } : await placeOf(principal, conversation);
    const context = !whole && continues(completion.context) ? null : completion.context;
    return keep(principal, completion, place, context, once);
  }

  async function keep(
    principal: Principal,
    { context, ...wishes }: Completion,
    conversation: Place,
    whole: ContextTurn[] | null,
    once: Once | null,
  ): Promise<Answering> {
    const input = {
      conversation,
      ...newTurns(context),
      onBusy: 'queue',
      request: { ...wishes, context: whole },
    } as const;
    const accepted = await messages.accept(principal, input, once);
    const { run, answer: turn } = accepted;
    const { id, listed } = accepted.conversation;
    const follow = (sink: Sink) => runs.follow(principal, { run, turn }, 0, sink);
    return { run, conversation: listed ? id : null, follow };
  }

  async function placeOf(principal: Principal, text: string): Promise<Place> {
    const found = await findByClientId(store, principal, text);
    return found === null ? { create: { externalId: text } } : { ref: { by: 'id', id: found.id } };
  }
}

/** A single user message, or what the tools gave that a stored answer asked for. */
function continues([only, ...more]: readonly ContextTurn[]): boolean {
  return more.length === 0 && only?.role === 'user' && (only.items.length === 1 || isToolResult(only));
}

/** What follows the last assistant message: a turn for each message, the last of them the one that is answered. */
function newTurns(context: readonly ContextTurn[]): { lead: ContextTurn[]; items: Item[] } {
  const after = context.findLastIndex(({ role }) => role === 'assistant') + 1;
  const lead = context.slice(after).flatMap((turn) => (isToolResult(turn) ? [turn] : apart(turn)));
  const last = lead.findLastIndex(({ role }) => role === 'user');
  // System messages behind it go with it: only what is a person's is answered.
  const items = lead.splice(Math.max(0, last)).flatMap((turn) => turn.items);
  if (items.length > 0) return { lead, items };
  throw invalid('The last message must not be the assistant’s: there is nothing to answer.', 'messages');
}

function apart({ role, items }: ContextTurn): ContextTurn[] {
  return items.map((item) => ({ role, items: [item] }));
}
