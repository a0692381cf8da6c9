/** What the readers of an answer's body have in common. */

import type { ModelEvent } from '#ports/model.ts';

/** Reads the body of one answer. What came before an error is in `out` when it throws `ModelError`. */
export interface BodyReader {
  /** Appends the events of the next bytes to `out`. */
  push(pieces: readonly Buffer[], out: ModelEvent[]): void;
  /** The body is over: appends what is left, throws if the answer is not whole. */
  end(out: ModelEvent[]): void;
  /** The answer is whole, or it has thrown: nothing more is to be read. */
  readonly done: boolean;
  /** Whether there was any text, reasoning or tool call. */
  readonly spoke: boolean;
}
