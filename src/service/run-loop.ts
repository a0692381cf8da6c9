/**
 * The run loop: starts, stops and ends runs, each end one unit. What is said in between is made by `tool-rounds`. Sockets
 * never come near it (DESIGN.md, The way a message goes).
 */

import { ServiceError } from '#core/errors.ts';
import type { TerminalEvent } from '#core/event.ts';
import { closeItems } from '#core/fold.ts';
import { keptRequest, type Run } from '#core/run.ts';
import { sourcesOf } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import type { ModelInfo } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { LiveRun, LiveRuns, StopCause } from './live-runs.ts';
import { ended, type Outcome, stopError } from './outcome.ts';
import type { ToolRounds } from './tool-rounds.ts';

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
  liveRuns: LiveRuns;
  toolRounds: ToolRounds;
  clock: Clock;
  /** Called after an answer completed, for a title. */
  onCompleted(live: LiveRun, model: ModelInfo): void;
  /** Something that should not happen; for the log. */
  onError(error: unknown, run: string): void;
}

export function createRunLoop(parts: Parts): RunLoop {
  const { store, liveRuns, toolRounds, clock } = parts;
  let draining = false;

  return { execute, start, stop, drain };

  async function execute(live: LiveRun): Promise<void> {
    liveRuns.publish(live, [{ type: 'run-started', at: clock.now() }]);
    let outcome: Outcome;
    try {
      outcome = await toolRounds.answer(live);
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
          request: keptRequest(live.run.request),
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
}
