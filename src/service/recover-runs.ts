/**
 * After a crash: what was started ends as `incomplete` with all that was logged, and is never run again; what was queued
 * is started (promise 2: at most once, by choice).
 */

import type { TerminalEvent } from '#core/event.ts';
import { packEvents } from '#core/event.ts';
import { emptyAnswer, fold } from '#core/fold.ts';
import { CRASH_GAP, keptRequest, type Run } from '#core/run.ts';
import { sourcesOf } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import type { Store } from '#ports/store.ts';
import type { LiveRuns } from './live-runs.ts';
import type { RunLoop } from './run-loop.ts';

const SLICE = 1000;

/** To be called once, before anything else is accepted. Gives how many runs were ended and how many started. */
export async function recoverRuns(parts: {
  store: Store;
  liveRuns: LiveRuns;
  runLoop: RunLoop;
  clock: Clock;
}): Promise<{ ended: number; started: number }> {
  const { store, liveRuns, runLoop, clock } = parts;
  const open = await store.openRuns();
  const begun = open.filter((run) => run.status === 'started');
  const queued = open.filter((run) => run.status === 'queued');
  for (const run of queued) liveRuns.open(run);
  const next: Run[] = [];
  for (const run of begun) {
    const following = await endInterrupted(run);
    if (following !== null) next.push(following);
  }
  for (const conversation of new Set(queued.map((run) => run.conversation))) {
    const run = conversation === null ? null : await store.startNextRun({ conversation, now: clock.now() });
    if (run !== null) next.push(run);
  }
  for (const run of next) runLoop.start(run);
  return { ended: begun.length, started: next.length };

  async function endInterrupted(run: Run): Promise<Run | null> {
    const answer = emptyAnswer();
    let last = 0;
    for (;;) {
      const batches = await store.readEvents({ run: run.id, after: last, limit: SLICE });
      if (batches.length === 0) break;
      for (const { first, events } of batches) {
        fold(answer, events);
        last = first + events.length - 1;
      }
    }
    const end: TerminalEvent = {
      type: 'run-ended',
      status: 'incomplete',
      finish: null,
      error: { code: 'server_restarted', message: 'The server was restarted while the answer was written.' },
      usage: null,
      sources: sourcesOf(answer.items),
      at: clock.now(),
    };
    const { items, model } = fold(answer, [end]);
    const lastEvent = last + CRASH_GAP;
    const payload = packEvents([{ ...end, items }]);
    const { attempts, id } = run;
    const request = keptRequest(run.request);
    const unit = { run: id, end, lastEvent, items, model, attempts, request, startNext: true, now: end.at };
    const tail = run.kind === 'title' ? null : { run: run.id, first: lastEvent, last: lastEvent, payload };
    return (await store.finishRun({ ...unit, tail })).next;
  }
}
