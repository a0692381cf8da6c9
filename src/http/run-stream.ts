/** A run on an event stream: what every dialect with streams does with the events, but for how it writes them. */

import type { ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { type Answer, emptyAnswer, fold } from '#core/fold.ts';
import type { Follower, Sink } from '#service/live-runs.ts';
import type { EventOut } from './route.ts';

/** Writes events in a dialect's way; '' for those it does not show. */
export interface RunEncoder {
  events(first: number, events: readonly RunEvent[]): string;
  /** The end of a stream whose conversation is gone. */
  gone(error: ServiceError): string;
}

/** The stream ends with the run. */
export function sinkTo(out: EventOut, encoder: RunEncoder): Sink {
  return {
    events(first, events) {
      const text = encoder.events(first, events);
      if (events.at(-1)?.type !== 'run-ended') return text === '' || out.write(text);
      out.end(text);
      return false;
    },
    gone: (error) => out.end(encoder.gone(error)),
  };
}

/** The whole of an answer, when it has ended. A caller who leaves is a reader who leaves: then it never resolves. */
export function collect(
  follow: (sink: Sink) => Follower,
  signal?: AbortSignal,
): Promise<Answer & { end: TerminalEvent }> {
  return new Promise((resolve, reject) => {
    const answer = emptyAnswer();
    const follower = follow({
      events(_first, events) {
        const { end } = fold(answer, events);
        if (end !== null) resolve({ ...answer, end });
        return true;
      },
      gone: reject,
    });
    signal?.addEventListener('abort', () => follower.stop(), { once: true });
  });
}
