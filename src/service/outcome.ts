/** How the talk with the models and tools of one run ended. */

import { hasOutput } from '#core/fold.ts';
import type { Attempt, EndStatus, FinishReason, RunError, Usage } from '#core/run.ts';
import type { ModelInfo } from '#ports/model.ts';
import type { LiveRun, StopCause } from './live-runs.ts';

export interface Outcome {
  status: EndStatus;
  finish: FinishReason | null;
  error: RunError | null;
  usage: Usage | null;
  model: ModelInfo | null;
  attempts: Attempt[];
}

/** Failed if nothing was said, else incomplete; a stop keeps its own status. */
export function ended(live: LiveRun, error: RunError): Outcome {
  const stopped = error.code === 'stopped' || error.code === 'interrupted';
  const status = stopped ? 'cancelled' : hasOutput(live.answer) ? 'incomplete' : 'failed';
  const finish = error.code === 'size_limit' ? 'length' : null;
  return { status, finish, error, usage: null, model: null, attempts: [] };
}

const STOP_MESSAGES: Record<StopCause, string> = {
  stopped: 'The answer was stopped.',
  interrupted: 'A newer message interrupted the answer.',
  time_limit: 'The answer took longer than allowed.',
  size_limit: 'The answer is longer than allowed.',
  server_stopping: 'The server was stopped while the answer was written.',
};

export function stopError(cause: StopCause): RunError {
  return { code: cause, message: STOP_MESSAGES[cause] };
}
