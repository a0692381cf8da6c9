/**
 * Responses: answers as things of their own. One is asked for anywhere (in a conversation, behind an earlier response, by
 * itself), found again by its id, followed, cancelled and deleted. Those that go on from one response are branches.
 */

import { estimateTextTokens, estimateTokens, inputBudget, trimContext } from '#core/context.ts';
import { type Conversation, DEFAULT_ASSISTANT } from '#core/conversation.ts';
import { invalid, notFound, ServiceError } from '#core/errors.ts';
import { emptyAnswer, fold } from '#core/fold.ts';
import { parseWireId } from '#core/ids.ts';
import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import { type ContextTurn, isEnded, type Run, type RunRequest } from '#core/run.ts';
import { type Item, messageItem, type Turn, textOf } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Models } from '#ports/model.ts';
import type { Seal } from '#ports/seal.ts';
import type { Store } from '#ports/store.ts';
import type { Assistants } from './assistants.ts';
import type { createCompletions } from './completions.ts';
import { type Named, refOf } from './conversations.ts';
import type { createFollowRun } from './follow-run.ts';
import type { Follower, LiveRuns, Sink } from './live-runs.ts';
import type { Answered, createMessages, Place } from './send-message.ts';

/** What a response is asked for with. */
export interface ResponseWish {
  /** The input in turns; may be empty where something goes before it. */
  input: ContextTurn[];
  /** What goes before it: a response by its id, a conversation, or nothing. */
  after: { response: string } | { conversation: Named } | null;
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
  /** What of it is written already, of one that is open. */
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

export interface Compaction {
  /** The text that stands for what was said, sealed. */
  sealed: string;
  usage: Run['usage'];
  at: number;
  /** A new one for the item it is handed out as. */
  id: string;
}

const COMPACT = [
  'You compress conversations. Write down what the conversation so far holds, for a reader who has to go on with it without having seen it:',
  'facts, names, numbers, decisions, wishes of the person, open questions and the state of the work. Leave nothing out that may be needed, add nothing, and write no introduction.',
].join('\n');
const COMPACT_NOW = 'Compress the conversation above.';
/** What is kept of a conversation where no language model is there to compress it, in UTF-16 units. */
const EXCERPT = 8000;

export function createResponses(parts: {
  store: Store;
  models: Models;
  assistants: Assistants;
  liveRuns: LiveRuns;
  messages: ReturnType<typeof createMessages>;
  completions: ReturnType<typeof createCompletions>;
  runs: ReturnType<typeof createFollowRun>;
  seal: Seal;
  clock: Clock;
  ids: Ids;
}) {
  const { store, models, assistants, liveRuns, messages, completions, runs, seal, clock, ids } = parts;
  return { create, again, find, inputItems, cancel, remove, resolve, compact, countTokens };

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
    const before = await placeOf(principal, wish.after);
    const request = { ...wish.request, echo: { ...wish.request.echo, model: modelNamed(model, before.assistant) } };
    checkImages(wish.input, request.echo.model);
    if (!wish.store) {
      const assistant = assistants.get(before.assistant);
      const context = [...(await historyOf(principal, before, request.echo.model)), ...wish.input];
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
        conversation: before.place,
        items: asked?.items ?? [],
        lead: asked === null ? wish.input : wish.input.slice(0, -1),
        parent: before.turn?.id ?? null,
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

  /** Stops one that is open, keeps its text, and gives it when it has ended; one that has ended stays as it is. */
  async function cancel(principal: Principal, id: string): Promise<Responding> {
    const { run, turn } = await answerOf(principal, id);
    if (run !== null && !isEnded(run.status)) {
      await runs.stop(principal, run);
      await runs.result(principal, { run, turn });
    }
    return find(principal, id);
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
    const before = items.size === 0 ? null : await placeOf(principal, after);
    for (const id of items) {
      const uuid = parseWireId(id);
      const found = uuid === null ? null : await store.findItem(principal, uuid);
      if (found === null) continue;
      known.items.set(id, found.conversation.id === before?.conversation?.id ? null : found.item);
    }
    for (const sealed of compactions) {
      const text = seal.open(sealed, whose(principal));
      if (text !== null) known.compactions.set(sealed, text);
    }
    return known;
  }

  /** A text that stands for all that was said, written by the model. Throws as `create` does, and where the model fails. */
  async function compact(
    principal: Principal,
    wish: Pick<ResponseWish, 'input' | 'after'> & { model: string | null; instructions: string | null },
  ): Promise<Compaction> {
    const model = wish.model === null ? null : completions.getModel(wish.model);
    const before = await placeOf(principal, wish.after);
    const name = modelNamed(wish.model, before.assistant);
    const said = [...(await historyOf(principal, before, name)), ...wish.input];
    if (said.every(({ items }) => items.length === 0)) throw invalid('There is nothing to compact.', 'input');
    const chosen = model ?? models.find(null);
    const excerpt = chosen?.provider === 'guide' ? transcriptOf(said) : null;
    const { text, usage } = excerpt === null ? await summarize(principal, name, wish.instructions, said) : excerpt;
    return { sealed: seal.seal(text, whose(principal)), usage, at: clock.now(), id: ids.uuid() };
  }

  async function summarize(
    principal: Principal,
    model: string,
    instructions: string | null,
    said: ContextTurn[],
  ): Promise<{ text: string; usage: Run['usage'] }> {
    const context: ContextTurn[] = [...said, { role: 'user', items: [messageItem('', 'user', COMPACT_NOW)] }];
    const prompt = instructions === null ? COMPACT : `${COMPACT}\n\n${instructions}`;
    const request = { model: model === '' ? null : model, instructions: prompt, tools: [], parameters: {}, context };
    const { follow } = await completions.complete(principal, request, null);
    return new Promise((resolve, reject) => {
      const answer = emptyAnswer();
      follow({
        events(_first, events) {
          const { end, items } = fold(answer, events);
          if (end === null) return true;
          const text = textOf(items);
          if (end.status === 'completed' && text !== '') resolve({ text, usage: end.usage });
          else
            reject(
              new ServiceError('model_failed', end.error?.message ?? 'The model did not compress the conversation.'),
            );
          return true;
        },
        gone: reject,
      });
    });
  }

  /** An estimate of the tokens a model would be given. */
  async function countTokens(
    principal: Principal,
    wish: Pick<ResponseWish, 'input' | 'after'> & Pick<RunRequest, 'model' | 'instructions' | 'tools'>,
  ): Promise<number> {
    if (wish.model !== null) completions.getModel(wish.model);
    const before = await placeOf(principal, wish.after);
    const history = await historyOf(principal, before, modelNamed(wish.model, before.assistant));
    const instructions = wish.instructions ?? assistants.get(before.assistant).instructions;
    const tools = wish.tools.length === 0 ? '' : JSON.stringify(wish.tools);
    const said = [...history, ...wish.input].reduce((sum, { items }) => sum + estimateTokens(items), 0);
    return said + estimateTextTokens(instructions) + estimateTextTokens(tools);
  }

  /** Where an input goes. */
  async function placeOf(principal: Principal, after: ResponseWish['after']): Promise<Before> {
    const apart: Before = {
      place: { create: { listed: false } },
      conversation: null,
      turn: null,
      run: null,
      assistant: DEFAULT_ASSISTANT,
    };
    if (after === null) return apart;
    if ('conversation' in after) {
      const conversation = await store.findConversation(principal, refOf(after.conversation));
      if (conversation === null) throw notFound('Conversation');
      return { ...apart, ...within(conversation) };
    }
    const id = parseWireId(after.response);
    const found = id === null ? null : await store.findAnswer(principal, id);
    if (found === null) {
      throw new ServiceError(
        'previous_response_not_found',
        'The response to go on from was not found: it may have been deleted, or never kept (store: false).',
        { param: 'previous_response_id' },
      );
    }
    const { conversation, turn, run } = found;
    return { ...apart, ...within(conversation), turn, run };
  }

  /** What a model is given of what goes before, where the answer to it is not kept: as much as its window takes. */
  async function historyOf(principal: Principal, before: Before, model: string): Promise<ContextTurn[]> {
    const { conversation, turn, run } = before;
    const from = turn?.id ?? conversation?.head ?? null;
    if (conversation === null || from === null) return [];
    if (turn !== null && run !== null && !isEnded(run.status)) await runs.result(principal, { run, turn });
    const budget = inputBudget(models.find(model === '' ? null : model)?.window ?? 0);
    const path = await store.readContext({ conversation: conversation.id, turn: from, tokens: budget });
    return trimContext(path, budget).map(({ role, items }) => ({ role, items }));
  }

  /** The name of the model that will be asked first; '' where there is none. */
  function modelNamed(wanted: string | null, assistant: string): string {
    return wanted ?? assistants.get(assistant).model ?? models.find(null)?.id ?? '';
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

/** Where an input goes, and what is there. */
interface Before {
  place: Place;
  conversation: Conversation | null;
  /** The answer it follows; null: the head. */
  turn: Turn | null;
  run: Run | null;
  assistant: string;
}

function within(conversation: Conversation): Pick<Before, 'place' | 'conversation' | 'assistant'> {
  const { id, assistant } = conversation;
  return { place: { ref: { by: 'id', id } }, conversation, assistant };
}

/** What is sealed for one person opens for nobody else. */
function whose({ tenant, user }: Principal): string {
  return JSON.stringify([tenant, user]);
}

/** The end of what was said, where no language model is there to compress it. */
function transcriptOf(said: readonly ContextTurn[]): { text: string; usage: null } {
  const lines = said.flatMap(({ role, items }) => items.map((item) => `${role}: ${textOf([item])}`));
  return { text: lines.join('\n').slice(-EXCERPT).toWellFormed(), usage: null };
}
