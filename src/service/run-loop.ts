/**
 * The run loop: asks a model, turns what it says into events, and ends the run in one unit. Sockets never come near it
 * (DESIGN.md, The way a message goes). Before the first token a failed attempt is tried again and then handed to the next
 * model; after it never, since that would bill twice.
 */

import { estimateTextTokens, inputBudget, trimContext } from '#core/context.ts';
import { ServiceError } from '#core/errors.ts';
import type { TerminalEvent } from '#core/event.ts';
import { closeItems, hasOutput } from '#core/fold.ts';
import type { Attempt, EndStatus, FinishReason, Run, RunError, Usage } from '#core/run.ts';
import { sourcesOf } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import { ModelError, type ModelInfo, type ModelRequest, type Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { Assistants } from './assistants.ts';
import type { LiveRun, LiveRuns, StopCause } from './live-runs.ts';
import { createTranslator } from './translate.ts';
import type { Searches } from './web-searches.ts';

/** Milliseconds, and for `maxAnswer` UTF-16 units. */
export interface RunLimits {
  /** Null: 60 s, but 300 s for a model on this machine. */
  firstToken: number | null;
  silence: number;
  run: number;
  maxAnswer: number;
}

const CALLS_PER_MODEL = 3;
const FIRST_TOKEN_MS = 60_000;
const LOCAL_FIRST_TOKEN_MS = 300_000;
const BACKOFF_MS = 500;
/** A provider that asks for more patience is given up for the next model. */
const MAX_WAIT_MS = 20_000;
const WATCH_EVERY_MS = 250;
const STORE_RETRY_MS = 1_000;

export interface RunLoop {
  /** Makes the answer of a `started` run; resolves when it has ended and followers know. Never throws. */
  execute(live: LiveRun): Promise<void>;
  /** Begins a run that the store has started, in the background; one that waited in the queue too. */
  start(run: Run): void;
  /** Stops a run; one that was never started has ended when this resolves. */
  stop(live: LiveRun, cause: StopCause): Promise<void>;
  /**
   * For the end of the server: starts no queued run any more (the next start of the server does), and resolves when all
   * started ones have ended; what is not done after `graceMs` ends as incomplete, with its text.
   */
  drain(graceMs: number): Promise<void>;
}

interface Parts {
  store: Store;
  models: Models;
  assistants: Assistants;
  searches: Searches;
  liveRuns: LiveRuns;
  clock: Clock;
  ids: Ids;
  limits: RunLimits;
  /** Called after an answer completed, for a title. */
  onCompleted(live: LiveRun, model: ModelInfo): void;
  /** Something that should not happen; for the log. */
  onError(error: unknown, run: string): void;
}

/** One call under a time limit; `silent` once it was aborted for saying nothing. */
interface Watch {
  firstToken: number;
  silent: boolean;
}

/** How the talk with the models ended. */
interface Outcome {
  status: EndStatus;
  finish: FinishReason | null;
  error: RunError | null;
  usage: Usage | null;
  model: ModelInfo | null;
  attempts: Attempt[];
}

/** `outcome` is null when a call failed before its first token: it may be made again after `retryInMs`, unless that is null. */
type Attempted =
  | { record: Attempt; outcome: Outcome }
  | { record: Attempt; outcome: null; failure: RunError; retryInMs: number | null };

export function createRunLoop(parts: Parts): RunLoop {
  const { store, models, assistants, searches, liveRuns, clock, ids, limits } = parts;
  /** Runs whose model is being waited for. */
  const watched = new Map<LiveRun, Watch>();
  let watching = false;
  let draining = false;

  return { execute, start, stop, drain };

  async function execute(live: LiveRun): Promise<void> {
    liveRuns.publish(live, [{ type: 'run-started', at: clock.now() }]);
    let outcome: Outcome;
    try {
      outcome = await answer(live);
    } catch (error) {
      parts.onError(error, live.run.id);
      outcome = ended(live, { code: 'internal', message: 'The answer failed inside the server.' });
    }
    await finish(live, outcome);
    if (outcome.status === 'completed' && outcome.model !== null) parts.onCompleted(live, outcome.model);
  }

  function start(run: Run): void {
    const live = liveRuns.get(run.id) ?? liveRuns.open(run);
    liveRuns.start(live, run);
    void execute(live);
  }

  async function stop(live: LiveRun, cause: StopCause): Promise<void> {
    if (live.run.status !== 'queued') return liveRuns.stop(live, cause);
    live.cause = cause;
    await finish(live, { ...ended(live, stopError(cause)), status: 'cancelled' });
  }

  async function drain(graceMs: number): Promise<void> {
    draining = true;
    const cancel = clock.after(graceMs, () => {
      for (const live of started()) liveRuns.stop(live, 'server_stopping');
    });
    while (started().length > 0) await Promise.allSettled(started().map((live) => liveRuns.result(live)));
    cancel();
    liveRuns.leave(
      new ServiceError(
        'overloaded',
        'The server is shutting down. The message is stored, and answered when it is back.',
        {
          headers: { 'retry-after': '5' },
        },
      ),
    );
  }

  function started(): LiveRun[] {
    return [...liveRuns.all()].filter((live) => live.run.status === 'started');
  }

  /** Asks the models in order until one answers. */
  async function answer(live: LiveRun): Promise<Outcome> {
    const assistant = assistants.get(live.run.request.assistant);
    const names = [live.run.request.model ?? assistant.model, ...assistant.fallbacks];
    const found = live.run.request.webSearch === 'always' ? await searches.search(live) : null;
    const attempts: Attempt[] = [];
    let error: RunError = { code: 'no_model', message: models.why() };
    for (const name of names) {
      const model = models.find(name);
      if (model === null) {
        error =
          name === null ? error : { code: 'model_not_found', message: `The model "${name}" does not exist here.` };
        continue;
      }
      for (let call = 1; call <= CALLS_PER_MODEL && live.cause === null && !live.discarded; call++) {
        const attempt = await attemptOnce(live, model, found?.prompt ?? '');
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
  async function attemptOnce(live: LiveRun, model: ModelInfo, evidence: string): Promise<Attempted> {
    const record: Attempt = { model: model.id, startedAt: clock.now(), endedAt: 0, error: null, status: null };
    const translator = createTranslator({ ids, model: model.id, offset: live.answer.items.length });
    let usage: Usage | null = null;
    let finishReason: FinishReason | null = null;
    let thrown: unknown = null;
    live.abort = new AbortController();
    const watch: Watch = {
      firstToken: limits.firstToken ?? (model.local ? LOCAL_FIRST_TOKEN_MS : FIRST_TOKEN_MS),
      silent: false,
    };
    try {
      const request = await requestFor(live, model, evidence);
      startWatching(live, watch);
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
      watched.delete(live);
    }
    record.endedAt = clock.now();
    const complete = live.cause === null && !watch.silent && thrown === null;
    if (complete && finishReason !== null) {
      liveRuns.publish(live, translator.close());
      const outcome = { status: 'completed', finish: finishReason, error: null, usage } as const;
      return { record, outcome: { ...outcome, model, attempts: [] } };
    }
    const failure = failureOf(live, watch, thrown);
    record.error = failure;
    record.status = thrown instanceof ModelError ? thrown.status : null;
    if (hasOutput(live.answer) || live.cause !== null || live.discarded) {
      return { record, outcome: { ...ended(live, failure), usage, model } };
    }
    if (watch.silent || !(thrown instanceof ModelError)) return { record, outcome: null, failure, retryInMs: null };
    return { record, outcome: null, failure, retryInMs: thrown.retryable ? (thrown.retryAfterMs ?? 0) : null };
  }

  /** The system prompt, what was found on the web, and the path up to the answered turn, trimmed to the window. */
  async function requestFor(live: LiveRun, model: ModelInfo, evidence: string): Promise<ModelRequest> {
    const { request, conversation, answers } = live.run;
    const assistant = assistants.get(request.assistant);
    const prompts = [request.instructions ?? assistant.instructions, evidence];
    const system = prompts.filter((text) => text !== '').join('\n\n');
    const budget = inputBudget(model.window) - estimateTextTokens(system);
    const { tools, parameters } = request;
    // A context the caller brought is the caller's own to keep within the window.
    if (request.context !== null) return { system, turns: request.context, tools, parameters };
    if (conversation === null || answers === null) return { system, turns: [], tools, parameters };
    const path = await store.readContext({ conversation, turn: answers, tokens: budget });
    const turns = trimContext(path, budget).map(({ role, items }) => ({ role, items }));
    return { system, turns, tools, parameters };
  }

  /** Failed if nothing was said, else incomplete; a stop keeps its own status. */
  function ended(live: LiveRun, error: RunError): Outcome {
    const stopped = error.code === 'stopped' || error.code === 'interrupted';
    const status = stopped ? 'cancelled' : hasOutput(live.answer) ? 'incomplete' : 'failed';
    const finishReason = error.code === 'size_limit' ? 'length' : null;
    return { status, finish: finishReason, error, usage: null, model: null, attempts: [] };
  }

  function failureOf(live: LiveRun, watch: Watch, thrown: unknown): RunError {
    if (live.cause !== null) return stopError(live.cause);
    if (watch.silent) return { code: 'silent', message: 'The model said nothing within the time limit.' };
    if (thrown instanceof ModelError) return { code: thrown.code, message: thrown.message };
    if (thrown === null) return { code: 'broken_off', message: 'The model broke its answer off.' };
    if (!live.discarded) parts.onError(thrown, live.run.id);
    return { code: 'internal', message: 'The answer failed inside the server.' };
  }

  /** Ends the run in the store, tells the followers, and starts the next one in the conversation's queue. */
  async function finish(live: LiveRun, outcome: Outcome): Promise<void> {
    if (live.discarded) return;
    const { status, finish: finishReason, error, usage, attempts } = outcome;
    const items = status === 'failed' ? [] : closeItems(live.answer.items, status);
    const end: TerminalEvent = {
      type: 'run-ended',
      status,
      finish: finishReason,
      error,
      usage,
      sources: sourcesOf(items),
      at: clock.now(),
    };
    if (!live.kept) {
      liveRuns.end(live, end);
      await recordCost(live, outcome, end.at);
      return;
    }
    const { batch, lastEvent } = await liveRuns.tail(live, end);
    const model = outcome.model?.id ?? live.answer.model;
    let next: Run | null = null;
    for (;;) {
      try {
        const unit = {
          run: live.run.id,
          end,
          lastEvent,
          tail: batch,
          items,
          model,
          attempts,
          startNext: !draining,
          now: end.at,
        };
        next = (await store.finishRun(unit)).next;
        break;
      } catch (failure) {
        // A run always ends (promise 2): it stays here, whole, until there is room again.
        parts.onError(failure, live.run.id);
        await new Promise<void>((resolve) => clock.after(STORE_RETRY_MS, resolve));
        if (live.discarded) return;
      }
    }
    if (live.discarded) return;
    liveRuns.end(live, end);
    if (next !== null) start(next);
  }

  /** Keeps what a run of which nothing else is kept has cost. */
  async function recordCost(live: LiveRun, outcome: Outcome, endedAt: number): Promise<void> {
    const { model, ...facts } = outcome;
    const request = { ...live.run.request, instructions: null, parameters: {}, tools: [], context: null };
    const run: Run = { ...live.run, ...facts, model: model?.id ?? null, request, endedAt };
    await store.recordRun({ run }).catch((failure: unknown) => parts.onError(failure, run.id));
  }

  /** Time limits: one timer for all calls, none per token. */
  function startWatching(live: LiveRun, watch: Watch): void {
    live.lastOutput = clock.monotonic();
    watched.set(live, watch);
    if (watching) return;
    watching = true;
    clock.after(WATCH_EVERY_MS, check);
  }

  function check(): void {
    const now = clock.monotonic();
    for (const [live, watch] of watched) {
      const patience = hasOutput(live.answer) ? limits.silence : watch.firstToken;
      if (now - live.startedAt > limits.run) liveRuns.stop(live, 'time_limit');
      else if (now - live.lastOutput > patience) {
        watch.silent = true;
        live.abort.abort();
      }
    }
    watching = watched.size > 0;
    if (watching) clock.after(WATCH_EVERY_MS, check);
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

const STOP_MESSAGES: Record<StopCause, string> = {
  stopped: 'The answer was stopped.',
  interrupted: 'A newer message interrupted the answer.',
  time_limit: 'The answer took longer than allowed.',
  size_limit: 'The answer is longer than allowed.',
  server_stopping: 'The server was stopped while the answer was written.',
};

function stopError(cause: StopCause): RunError {
  return { code: cause, message: STOP_MESSAGES[cause] };
}
