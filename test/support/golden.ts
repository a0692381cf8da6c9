/** Compares what came over the wire, byte for byte, but for what no test can know beforehand. */

import assert from 'node:assert/strict';

const HOLES: Record<string, string> = {
  '<uuid>': '[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}',
  '<number>': '[1-9][0-9]*',
  /** "ISO 8601 UTC with milliseconds and `Z`" */
  '<time>': '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z',
};

/** Fails unless `text` is `golden`, with anything of the right form where that says `<uuid>`, `<number>` or `<time>`. */
export function assertGolden(text: string, golden: string): void {
  const pattern = golden
    .split(/(<[a-z]+>)/)
    .map((part) => HOLES[part] ?? part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('');
  if (!new RegExp(`^${pattern}$`).test(text)) assert.equal(text, golden);
}
