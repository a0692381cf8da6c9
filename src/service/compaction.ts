/** Compressing what was said into a text that stands for it, sealed for whoever it was said by; and counting its tokens. */

import { estimateTextTokens, estimateTokens } from '#core/context.ts';
import { invalid, ServiceError } from '#core/errors.ts';
import { emptyAnswer, fold } from '#core/fold.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn, Run, RunRequest } from '#core/run.ts';
import { messageItem, textOf } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { Models } from '#ports/model.ts';
import type { Seal } from '#ports/seal.ts';
import type { Assistants } from './assistants.ts';
import type { After, BeforeInput } from './before-input.ts';
import type { createCompletions } from './completions.ts';

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

/** What is to be compressed or counted. */
interface Said extends Pick<RunRequest, 'model' | 'instructions'> {
  input: ContextTurn[];
  after: After;
}

export function createCompaction(parts: {
  models: Models;
  assistants: Assistants;
  before: BeforeInput;
  completions: ReturnType<typeof createCompletions>;
  seal: Seal;
  clock: Clock;
  ids: Ids;
}) {
  const { models, assistants, before, completions, seal, clock, ids } = parts;
  return { compact, open, countTokens };

  /** A text that stands for all that was said, written by the model. Throws as `before.find`, and where the model fails. */
  async function compact(principal: Principal, wish: Said): Promise<Compaction> {
    const model = wish.model === null ? null : completions.getModel(wish.model);
    const place = await before.find(principal, wish.after);
    const name = before.modelNamed(wish.model, place.assistant);
    const said = [...(await before.history(principal, place, name)), ...wish.input];
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
  async function countTokens(principal: Principal, wish: Said & Pick<RunRequest, 'tools'>): Promise<number> {
    if (wish.model !== null) completions.getModel(wish.model);
    const place = await before.find(principal, wish.after);
    const history = await before.history(principal, place, before.modelNamed(wish.model, place.assistant));
    const instructions = wish.instructions ?? assistants.get(place.assistant).instructions;
    const tools = wish.tools.length === 0 ? '' : JSON.stringify(wish.tools);
    const said = [...history, ...wish.input].reduce((sum, { items }) => sum + estimateTokens(items), 0);
    return said + estimateTextTokens(instructions) + estimateTextTokens(tools);
  }

  /** The text of a compaction that was made for this principal; null for any other. */
  function open(principal: Principal, sealed: string): string | null {
    return seal.open(sealed, whose(principal));
  }
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
