/**
 * Responses: answers as things of their own. One is asked for anywhere (in a conversation, behind an earlier response, by
 * itself), found again by its id, followed, cancelled and deleted. Those that go on from one response are branches.
 */

import type { Conversation } from '#core/conversation.ts';
import { invalid, notFound } from '#core/errors.ts';
import { parseWireId } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import { type ContextTurn, isEnded, type Run, type RunRequest } from '#core/run.ts';
import type { Item, Turn } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import type { Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { Assistants } from './assistants.ts';
import type { After, BeforeInput } from './before-input.ts';
import type { createCompaction } from './compaction.ts';
import type { createCompletions } from './completions.ts';
import type { createFollowRun } from './follow-run.ts';
import type { Follower, LiveRun, LiveRuns, Sink } from './live-runs.ts';
import type { Answered, createMessages } from './send-message.ts';

/** What a response is asked for with. */
export interface ResponseWish {
  /** The input in turns; may be empty where something goes before it. */
  input: ContextTurn[];
  after: After;
  /** False: nothing of it is kept. */
  store: boolean;
  request: Pick<RunRequest, 'model' | 'instructions' | 'webSearch' | 'parameters' | 'tools' | 'approvals' | 'echo'>;
}

/** A response, being written or not. */
export interface Responding {
  /** A UUID: its turn's, or its run's where it has no turn. */
  id: string;
  /** Null for an answer made by hand. */
  run: Run | null;
  /** Null where nothing of it is kept. */
  turn: Turn | null;
  /** The listed conversation it is in. */
  conversation: string | null;
  /** What of it is written already, of one that is open or not kept. */
  partial: readonly Item[];
  /** From its first event on. */
  follow(sink: Sink): Follower;
}

/** What stands in an input for something that is known here: by the text it is named by. */
export interface References {
  /** Null: the conversation that is gone on with has it already. */
  items: Map<string, Item | null>;
  compactions: Map<string, string>;
}

export function createResponses(parts: {
  store: Store;
  models: Models;
  assistants: Assistants;
  before: BeforeInput;
  compaction: ReturnType<typeof createCompaction>;
  liveRuns: LiveRuns;
  messages: ReturnType<typeof createMessages>;
  completions: ReturnType<typeof createCompletions>;
  runs: ReturnType<typeof createFollowRun>;
  clock: Clock;
}) {
  const { store, models, assistants, before, compaction, liveRuns, messages, completions, runs, clock } = parts;
  return { create, again, find, inputItems, cancel, remove, resolve };

  /**
   * Answers an input. Throws `model_not_found`, `previous_response_not_found`, `not_found` (of a conversation),
   * `invalid_request`, `overloaded`, `idempotency_mismatch`.
   */
  async function create(principal: Principal, wish: ResponseWish, once: Once | null): Promise<Responding> {
    const { model } = wish.request;
    if (model !== null) completions.getModel(model);
    if (wish.input.length === 0 && wish.after === null) {
      throw invalid('There is nothing to answer: send an input.', 'input');
    }
    const place = await before.find(principal, wish.after);
    const named = before.modelNamed(model, place.assistant);
    const request = { ...wish.request, echo: { ...wish.request.echo, model: named } };
    checkImages(wish.input, named);
    if (!wish.store) {
      const assistant = assistants.get(place.assistant);
      const context = [...(await before.history(principal, place, named)), ...wish.input];
      const completion = {
        ...request,
        model: model ?? assistant.model,
        instructions: request.instructions ?? assistant.instructions,
        context,
      };
      const answering = await completions.complete(principal, completion, once);
      const { run, follow } = answering;
      return { id: run.turn ?? run.id, run, turn: null, conversation: null, partial: [], follow };
    }
    const last = wish.input.at(-1);
    // What is answered is the caller's: where the last word is another's, it is answered with nothing said.
    const asked = last?.role === 'user' ? last : null;
    const accepted = await messages.accept(
      principal,
      {
        conversation: place.place,
        items: asked?.items ?? [],
        lead: asked === null ? wish.input : wish.input.slice(0, -1),
        parent: place.turn?.id ?? null,
        onBusy: 'queue',
        request,
      },
      once,
    );
    return ofAnswered(principal, accepted);
  }

  /**
   * A new response in place of an input: one that goes on from an interrupted one, or another beside it. Throws
   * `not_found`, `model_not_found`, `conflict`, `overloaded`, `idempotency_mismatch`.
   */
  async function again(
    principal: Principal,
    id: string,
    how: 'continue' | 'retry',
    request: Partial<RunRequest>,
    once: Once | null,
  ): Promise<Responding> {
    const { turn } = await answerOf(principal, id);
    if (request.model != null) completions.getModel(request.model);
    const accepted =
      how === 'continue'
        ? await messages.continueAnswer(principal, { turn: turn.id, request: { ...request, lead: 0 } }, once)
        : await messages.retryAnswer(principal, { turn: turn.id, request }, once);
    return ofAnswered(principal, accepted);
  }

  function ofAnswered(principal: Principal, { run, answer, conversation }: Answered): Responding {
    return responding(principal, { run, turn: answer, conversation });
  }

  /** A stored response of the principal's. Throws `not_found`. */
  async function find(principal: Principal, id: string): Promise<Responding> {
    return responding(principal, await answerOf(principal, id));
  }

  function responding(
    principal: Principal,
    { run, turn, conversation }: { run: Run | null; turn: Turn; conversation: Conversation },
  ): Responding {
    return {
      id: turn.id,
      run,
      turn,
      conversation: conversation.listed ? conversation.id : null,
      partial: run === null || isEnded(run.status) ? [] : (liveRuns.get(run.id)?.answer.items ?? []),
      follow: (sink) => runs.follow(principal, { run, turn }, 0, sink),
    };
  }

  async function answerOf(
    principal: Principal,
    id: string,
  ): Promise<{ conversation: Conversation; turn: Turn; run: Run | null }> {
    const turn = parseWireId(id);
    const found = turn === null ? null : await store.findAnswer(principal, turn);
    if (found === null) throw notFound('Response');
    return found;
  }

  /** The items it was asked with, oldest first: its own, not those of the responses before it. */
  async function inputItems(principal: Principal, id: string): Promise<Item[]> {
    const { turn, run } = await answerOf(principal, id);
    if (turn.answers === null) return [];
    const chain = await store.readChain({ turn: turn.answers, count: 1 + (run?.request.lead ?? 0) });
    // One that goes on from another answer has no input.
    return chain.at(-1)?.role === 'assistant' ? [] : chain.flatMap(({ items }) => items);
  }

  /**
   * Stops one that is open and gives it when it has ended, with its text; one that has ended stays as it is. One that is not
   * kept is there as long as it is written.
   */
  async function cancel(principal: Principal, id: string): Promise<Responding> {
    const unkept = unkeptOf(principal, id);
    if (unkept !== null) return cancelUnkept(unkept);
    const { run, turn } = await answerOf(principal, id);
    if (run !== null && !isEnded(run.status)) {
      await runs.stop(principal, run);
      await runs.result(principal, { run, turn });
    }
    return find(principal, id);
  }

  function unkeptOf({ tenant, user }: Principal, id: string): LiveRun | null {
    const live = liveRuns.get(parseWireId(id) ?? '');
    return live?.kept === false && live.run.tenant === tenant && live.run.user === user ? live : null;
  }

  async function cancelUnkept(live: LiveRun): Promise<Responding> {
    liveRuns.stop(live, 'stopped');
    const { items, run: id, ...facts } = await liveRuns.result(live);
    const run: Run = { ...live.run, ...facts, endedAt: clock.now() };
    const follow = (sink: Sink) => liveRuns.follow(live, 0, sink);
    return { id, run, turn: null, conversation: null, partial: items, follow };
  }

  /** Deletes it; its items stay in a listed conversation. One that is being written is stopped. */
  async function remove(principal: Principal, id: string, once: Once | null): Promise<void> {
    const turn = parseWireId(id);
    if (turn === null) throw notFound('Response');
    const found = await store.findAnswer(principal, turn);
    const { value } = await store.deleteAnswer({ owner: principal, now: clock.now(), once, turn });
    liveRuns.discard(value.runs);
    if (!value.erased && found?.run && !isEnded(found.run.status)) await runs.stop(principal, found.run);
  }

  /**
   * What an input that goes after something refers to: the principal's own items by their ids, and compactions that were
   * sealed for the principal. Throws as `create` does for what goes before.
   */
  async function resolve(
    principal: Principal,
    { items, compactions }: { items: Set<string>; compactions: Set<string> },
    after: ResponseWish['after'],
  ): Promise<References> {
    const known: References = { items: new Map(), compactions: new Map() };
    const place = items.size === 0 ? null : await before.find(principal, after);
    for (const id of items) {
      const uuid = parseWireId(id);
      const found = uuid === null ? null : await store.findItem(principal, uuid);
      if (found === null) continue;
      known.items.set(id, found.conversation.id === place?.conversation?.id ? null : found.item);
    }
    for (const sealed of compactions) {
      const text = compaction.open(principal, sealed);
      if (text !== null) known.compactions.set(sealed, text);
    }
    return known;
  }

  function checkImages(input: readonly ContextTurn[], name: string): void {
    const model = models.find(name === '' ? null : name);
    if (model?.images !== false) return;
    const image = input.some(({ items }) =>
      items.some((item) => item.type === 'message' && item.content.some((part) => part.type === 'image')),
    );
    if (image) throw invalid(`The model "${model.id}" takes no images. Choose one that does.`, 'input');
  }
}
