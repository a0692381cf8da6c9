/** Time, ids and randomness: all that is not a function of its input. Injected, so that a test can move the clock. */

export interface Clock {
  /** Unix time in milliseconds; may jump. For what is shown and stored. */
  now(): number;
  /** Milliseconds that only grow. For limits, time-outs and durations. */
  monotonic(): number;
  /** Calls `task` once after `ms` milliseconds; the returned function cancels. Does not keep the process alive. */
  after(ms: number, task: () => void): () => void;
}

export interface Ids {
  /** A new UUIDv7, greater than all before it from this process. */
  uuid(): string;
  /** `bytes` random bytes as lower-case hex, from a cryptographic source. */
  secret(bytes: number): string;
  /** SHA-256 of a text as lower-case hex: what is kept of a key, and of a command. */
  digest(text: string): string;
}
