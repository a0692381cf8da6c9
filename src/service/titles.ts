/**
 * Titles: after the first exchange a conversation that nobody named is named, by a small run of the model or by the first
 * words of its message (DESIGN.md, Titles). Never blocks an answer, never overwrites a person's title.
 */

import type { TerminalEvent } from '#core/event.ts';
import { textOf } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { ModelInfo, Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { LiveRun } from './live-runs.ts';
import { askSmall } from './small-question.ts';

export type TitleMode = 'model' | 'words' | 'off';

const TIMEOUT_MS = 20_000;
const MAX_WORDS = 6;
const MAX_CHARACTERS = 100;
/** How much of each side of the exchange the model is shown. */
const EXCERPT = 2000;
/** How far back the question is looked for, in estimated tokens. */
const CONTEXT = 100_000;
const MAX_TOKENS = 200;
const PROMPT =
  'Write a title for this conversation: at most six words, in its language, that say what it is about. Answer with the title alone, without quotation marks or a full stop.';

export function createTitles(parts: {
  store: Store;
  models: Models;
  clock: Clock;
  ids: Ids;
  mode: TitleMode;
  onError(error: unknown, run: string): void;
}) {
  const { store, models, clock, ids, mode, onError } = parts;

  /** Called when an answer completed; does nothing for conversations that have a title or are unlisted. */
  return function nameLater(live: LiveRun, model: ModelInfo): void {
    if (mode === 'off' || !live.untitled || live.run.conversation === null) return;
    void name(live, live.run.conversation, model).catch((error) => onError(error, live.run.id));
  };

  async function name(live: LiveRun, conversation: string, model: ModelInfo): Promise<void> {
    if (live.run.answers === null) return;
    const path = await store.readContext({ conversation, turn: live.run.answers, tokens: CONTEXT });
    // An answer that goes on from another has the question further up.
    const asked = path.findLast(({ role }) => role === 'user');
    if (asked === undefined) return;
    const question = textOf(asked.items);
    const answer = textOf(live.answer.items);
    let title = '';
    if (mode === 'model' && model.provider !== 'guide')
      title = await askModel(live, conversation, model, question, answer);
    await store.nameConversation({ conversation, title: title || cleanTitle(question), now: clock.now() });
  }

  /** '' where the model has none to give. */
  async function askModel(
    live: LiveRun,
    conversation: string,
    model: ModelInfo,
    question: string,
    answer: string,
  ): Promise<string> {
    const run = ids.uuid();
    const parameters = { max_tokens: MAX_TOKENS };
    const own = { model: model.id, instructions: PROMPT, parameters, tools: [], context: null };
    const request = { ...live.run.request, ...own };
    if (!(await store.startTitleRun({ conversation, run, request, now: clock.now() }))) return '';
    const { text, attempt, usage } = await askSmall({ models, clock }, model, {
      system: PROMPT,
      text: `Question:\n${question.slice(0, EXCERPT)}\n\nAnswer:\n${answer.slice(0, EXCERPT)}`,
      maxTokens: MAX_TOKENS,
      timeoutMs: TIMEOUT_MS,
    });
    const end: TerminalEvent = {
      type: 'run-ended',
      status: text === null ? 'failed' : 'completed',
      finish: text === null ? null : 'stop',
      error: attempt.error,
      usage,
      sources: [],
      at: clock.now(),
    };
    const unit = { run, end, lastEvent: 0, tail: null, items: [], model: model.id, startNext: false, now: end.at };
    await store.finishRun({ ...unit, attempts: [attempt], request: null });
    return cleanTitle(text ?? '');
  }
}

/** At most six words and 100 characters, in one line, without the quotation marks models like. */
export function cleanTitle(text: string): string {
  const line = text.replaceAll('\0', '').toWellFormed().trim().split(/\r|\n/, 1)[0] ?? '';
  const bare = line.replace(/^["'“„«*#\s]+/u, '').replace(/["'”“»*.\s]+$/u, '');
  const words = bare.slice(0, 1000).split(/\s+/u).slice(0, MAX_WORDS).join(' ');
  return [...words].slice(0, MAX_CHARACTERS).join('');
}
