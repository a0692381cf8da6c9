/**
 * Asks models until one answers. Before its first token a failed call is made again and then handed to the next model;
 * after it never, since that would bill twice.
 */

import { contextOf, estimateTextTokens, fitOutputs, inputBudget } from '#core/context.ts';
import { hasOutput, type Mark, markOf } from '#core/fold.ts';
import type { Attempt, FinishReason, RunError, Tool, Usage } from '#core/run.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import { ModelError, type ModelInfo, type ModelRequest, type Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';
import { ended, type Outcome, stopError } from './outcome.ts';
import type { TimeLimits, Watch } from './time-limits.ts';
import { createTranslator, type ToolOwner } from './translate.ts';

const CALLS_PER_MODEL = 3;
const FIRST_TOKEN_MS = 60_000;
const LOCAL_FIRST_TOKEN_MS = 300_000;
const BACKOFF_MS = 500;
/** A provider that asks for more patience is given up for the next model. */
const MAX_WAIT_MS = 20_000;

/** What the models are asked, besides what was said. */
export interface Question {
  /** Asked in order; null is the default model. */
  models: readonly (string | null)[];
  system: string;
  tools: Tool[];
  parameters: Record<string, unknown>;
  /** Whose tool a name is, where this server runs it. */
  ownerOf(name: string): ToolOwner | undefined;
}

export interface ModelCalls {
  /** Publishes what the answering model says. Throws only what should not happen. */
  ask(live: LiveRun, question: Question): Promise<Outcome>;
}

/** `outcome` is null when a call failed before its first token: it may be made again after `retryInMs`, unless that is null. */
type Attempted =
  | { record: Attempt; outcome: Outcome }
  | { record: Attempt; outcome: null; failure: RunError; retryInMs: number | null };

/** @param parts.limits milliseconds, null for what the model's place asks for; UTF-16 units */
export function createModelCalls(parts: {
  store: Store;
  models: Models;
  liveRuns: LiveRuns;
  timeLimits: TimeLimits;
  clock: Clock;
  ids: Ids;
  limits: { firstToken: number | null; maxAnswer: number };
  onError(error: unknown, run: string): void;
}): ModelCalls {
  const { store, models, liveRuns, timeLimits, clock, ids, limits } = parts;
  return { ask };

  async function ask(live: LiveRun, question: Question): Promise<Outcome> {
    const attempts: Attempt[] = [];
    let error: RunError = { code: 'no_model', message: models.why() };
    for (const name of question.models) {
      const model = models.find(name);
      if (model === null) {
        error =
          name === null ? error : { code: 'model_not_found', message: `The model "${name}" does not exist here.` };
        continue;
      }
      for (let call = 1; call <= CALLS_PER_MODEL && live.cause === null && !live.discarded; call++) {
        const attempt = await attemptOnce(live, model, question);
        attempts.push(attempt.record);
        if (attempt.outcome !== null) return { ...attempt.outcome, attempts };
        error = attempt.failure;
        if (attempt.retryInMs === null || call === CALLS_PER_MODEL) break;
        const wait = Math.max(attempt.retryInMs, BACKOFF_MS * 2 ** (call - 1));
        if (wait > MAX_WAIT_MS) break;
        await pause(wait, live.abort.signal);
      }
      if (live.cause !== null || live.discarded) break;
    }
    return { ...ended(live, live.cause === null ? error : stopError(live.cause)), attempts };
  }

  /** One call of one model. */
  async function attemptOnce(live: LiveRun, model: ModelInfo, question: Question): Promise<Attempted> {
    const record: Attempt = { model: model.id, startedAt: clock.now(), endedAt: 0, error: null, status: null };
    const before: Mark = markOf(live.answer);
    const { ownerOf } = question;
    const translator = createTranslator({ ids, model: model.id, said: live.answer.items, ownerOf });
    const firstToken = limits.firstToken ?? (model.local ? LOCAL_FIRST_TOKEN_MS : FIRST_TOKEN_MS);
    let watch: Watch | null = null;
    let usage: Usage | null = null;
    let finishReason: FinishReason | null = null;
    let thrown: unknown = null;
    live.abort = new AbortController();
    try {
      const request = await requestFor(live, model, question);
      watch = timeLimits.watch(live, before, firstToken);
      for await (const batch of models.stream(model, request, live.abort.signal)) {
        const { events, ...said } = translator.translate(batch);
        usage = said.usage ?? usage;
        finishReason = said.finish ?? finishReason;
        liveRuns.publish(live, events);
        if (live.answer.size > limits.maxAnswer) liveRuns.stop(live, 'size_limit');
        if (live.cause !== null || live.discarded) break;
      }
    } catch (error) {
      thrown = error;
    } finally {
      watch?.end();
    }
    record.endedAt = clock.now();
    const silent = watch?.silent ?? false;
    const complete = live.cause === null && !silent && thrown === null;
    if (complete && finishReason !== null) {
      liveRuns.publish(live, translator.close());
      const outcome = { status: 'completed', finish: finishReason, error: null, usage } as const;
      return { record, outcome: { ...outcome, model, attempts: [] } };
    }
    const failure = failureOf(live, silent, thrown);
    record.error = failure;
    record.status = thrown instanceof ModelError ? thrown.status : null;
    if (hasOutput(live.answer, before) || live.cause !== null || live.discarded) {
      return { record, outcome: { ...ended(live, failure), usage, model } };
    }
    if (silent || !(thrown instanceof ModelError)) return { record, outcome: null, failure, retryInMs: null };
    return { record, outcome: null, failure, retryInMs: thrown.retryable ? (thrown.retryAfterMs ?? 0) : null };
  }

  /**
   * The path up to the answered turn and what the answer itself has said and been told so far, trimmed to the window.
   * Results of tools take at most half of it.
   */
  async function requestFor(live: LiveRun, model: ModelInfo, question: Question): Promise<ModelRequest> {
    const { request, conversation, answers } = live.run;
    const { system, tools, parameters } = question;
    const budget = inputBudget(model.window) - estimateTextTokens(system);
    const own = fitOutputs(live.answer.items, Math.floor(budget / 2));
    const soFar = own.items.length === 0 ? [] : [{ role: 'assistant' as const, items: own.items }];
    // A context the caller brought is the caller's own to keep within the window.
    if (request.context !== null) return { system, turns: [...request.context, ...soFar], tools, parameters };
    if (conversation === null || answers === null) return { system, turns: soFar, tools, parameters };
    const left = budget - own.tokens;
    const path = await store.readContext({ conversation, turn: answers, tokens: left });
    return { system, turns: [...contextOf(path, left, ids.secret(8)), ...soFar], tools, parameters };
  }

  function failureOf(live: LiveRun, silent: boolean, thrown: unknown): RunError {
    if (live.cause !== null) return stopError(live.cause);
    if (silent) return { code: 'silent', message: 'The model said nothing within the time limit.' };
    if (thrown instanceof ModelError) return { code: thrown.code, message: thrown.message };
    if (thrown === null) return { code: 'broken_off', message: 'The model broke its answer off.' };
    if (!live.discarded) parts.onError(thrown, live.run.id);
    return { code: 'internal', message: 'The answer failed inside the server.' };
  }

  function pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const cancel = clock.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
      function done(): void {
        cancel();
        signal.removeEventListener('abort', done);
        resolve();
      }
    });
  }
}
