/** A question of the server's own to a model: a short answer in one piece, within a time, and what it cost. */

import type { Attempt, Usage } from '#core/run.ts';
import { messageItem } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import { ModelError, type ModelInfo, type Models } from '#ports/model.ts';

export interface SmallQuestion {
  system: string;
  text: string;
  maxTokens: number;
  timeoutMs: number;
  signal?: AbortSignal;
}

export interface SmallAnswer {
  /** Null where it did not come to its proper end. */
  text: string | null;
  attempt: Attempt;
  usage: Usage | null;
}

/** UTF-16 units of an answer that are kept. */
const MAX_TEXT = 2000;

/** Asks once. Never throws. */
export async function askSmall(
  { models, clock }: { models: Models; clock: Clock },
  model: ModelInfo,
  question: SmallQuestion,
): Promise<SmallAnswer> {
  const { system, maxTokens, timeoutMs } = question;
  const startedAt = clock.now();
  const timeout = new AbortController();
  const cancel = clock.after(timeoutMs, () => timeout.abort());
  const signal = question.signal === undefined ? timeout.signal : AbortSignal.any([question.signal, timeout.signal]);
  const turns = [{ role: 'user' as const, items: [messageItem('', 'user', question.text.toWellFormed())] }];
  const request = { system, turns, tools: [], parameters: { max_tokens: maxTokens } };
  let text = '';
  let usage: Usage | null = null;
  let finished = false;
  let status: number | null = null;
  try {
    for await (const batch of models.stream(model, request, signal)) {
      for (const event of batch) {
        if (event.type === 'text' && text.length < MAX_TEXT) text += event.text;
        if (event.type === 'usage') usage = event.usage;
        if (event.type === 'finish') finished = true;
      }
    }
  } catch (error) {
    finished = false;
    status = error instanceof ModelError ? error.status : null;
  }
  cancel();
  const error = finished
    ? null
    : ({ code: 'provider_error', message: 'The model gave no answer to a small question.' } as const);
  const attempt = { model: model.id, startedAt, endedAt: clock.now(), error, status };
  return { text: finished ? text : null, attempt, usage };
}
