/**
 * An `Idempotency-Key` with a digest of the decoded command it came with. The same key and digest give the first outcome
 * again; the same key with another digest is refused (DESIGN.md, promise 5).
 */
export interface Once {
  key: string;
  command: string;
}
