/** What a scenario gives: figures, each with what is wanted of it, and the evidence where one is missed. */

export interface Figure {
  name: string;
  value: string;
  /** Null: told, not judged. */
  wanted: string | null;
  ok: boolean;
}

export interface Result {
  figures: Figure[];
  /** Sentences about what went wrong; each makes the scenario fail. */
  evidence: string[];
}

/** How much of it: each scenario has its own where they are absent. */
export interface Sizes {
  kills?: number;
  writers?: number;
  cuts?: number;
  clients?: number;
  races?: number;
  people?: number;
  runs?: number;
  rounds?: number;
  readers?: number;
  sockets?: number;
  streams?: number;
}

export interface Scenario {
  title: string;
  /** The row of QUALITY.md section 1 it belongs to. */
  row: string;
  run(sizes: Sizes): Promise<Result>;
}

export const told = (name: string, value: number | string): Figure => ({
  name,
  value: show(value),
  wanted: null,
  ok: true,
});

export const exactly = (name: string, value: number, wanted: number): Figure => ({
  name,
  value: show(value),
  wanted: show(wanted),
  ok: value === wanted,
});

export const atMost = (name: string, value: number, limit: number, unit = ''): Figure => ({
  name,
  value: show(value, unit),
  wanted: `≤ ${show(limit, unit)}`,
  ok: value <= limit,
});

export const atLeast = (name: string, value: number, limit: number, unit = ''): Figure => ({
  name,
  value: show(value, unit),
  wanted: `≥ ${show(limit, unit)}`,
  ok: value >= limit,
});

export function passed({ figures, evidence }: Result): boolean {
  return evidence.length === 0 && figures.every(({ ok }) => ok);
}

function show(value: number | string, unit = ''): string {
  const text = typeof value === 'number' ? Number(value.toPrecision(6)).toLocaleString('en-US') : value;
  return unit === '' ? text : `${text} ${unit}`;
}

/** The value that `share` of all are at most. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

/** Does `count` things, at most `lanes` at once. */
export async function inLanes(count: number, lanes: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(lanes, count) }, lane));
}
