/** What goes before an input: where it is put, and what a model is given of it. */

import { inputBudget, trimContext } from '#core/context.ts';
import { type Conversation, DEFAULT_ASSISTANT } from '#core/conversation.ts';
import { notFound, ServiceError } from '#core/errors.ts';
import { parseWireId } from '#core/ids.ts';
import type { Principal } from '#core/principal.ts';
import { type ContextTurn, isEnded, type Run } from '#core/run.ts';
import type { Turn } from '#core/turn.ts';
import type { Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { Assistants } from './assistants.ts';
import { type Named, refOf } from './conversations.ts';
import type { createFollowRun } from './follow-run.ts';
import type { Place } from './send-message.ts';

/** A response by its id, a conversation, or nothing. */
export type After = { response: string } | { conversation: Named } | null;

/** Where an input goes, and what is there. */
export interface Before {
  place: Place;
  conversation: Conversation | null;
  /** The answer it follows; null: the head. */
  turn: Turn | null;
  run: Run | null;
  assistant: string;
}

export type BeforeInput = ReturnType<typeof createBeforeInput>;

export function createBeforeInput(parts: {
  store: Store;
  models: Models;
  assistants: Assistants;
  runs: ReturnType<typeof createFollowRun>;
}) {
  const { store, models, assistants, runs } = parts;
  return { find, history, modelNamed };

  /** Throws `not_found` of a conversation, `previous_response_not_found`. */
  async function find(principal: Principal, after: After): Promise<Before> {
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
  async function history(principal: Principal, before: Before, model: string): Promise<ContextTurn[]> {
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
}

function within(conversation: Conversation): Pick<Before, 'place' | 'conversation' | 'assistant'> {
  const { id, assistant } = conversation;
  return { place: { ref: { by: 'id', id } }, conversation, assistant };
}
