/**
 * What is done a little later, so that it can be taken back: deleting. When the page is left, it is done at once. Pure,
 * but for the clock it is given.
 */

export interface Pending<T> {
  /** Does it after the time to take it back. */
  add(item: T): void;
  /** False where it was done already. */
  undo(item: T): boolean;
  has(item: T): boolean;
  /** Does all that waits, now: the page is being left. */
  flush(): void;
}

export function createPending<T>(options: {
  waitMs: number;
  act: (item: T, leaving: boolean) => void;
  after?: (ms: number, work: () => void) => () => void;
}): Pending<T> {
  const { waitMs, act } = options;
  const after = options.after ?? afterTimeout;
  const waiting = new Map<T, () => void>();

  const run = (item: T, leaving: boolean): void => {
    waiting.get(item)?.();
    if (waiting.delete(item)) act(item, leaving);
  };
  return {
    add(item) {
      if (!waiting.has(item))
        waiting.set(
          item,
          after(waitMs, () => run(item, false)),
        );
    },
    undo(item) {
      waiting.get(item)?.();
      return waiting.delete(item);
    },
    has: (item) => waiting.has(item),
    flush() {
      for (const item of [...waiting.keys()]) run(item, true);
    },
  };
}

function afterTimeout(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}
