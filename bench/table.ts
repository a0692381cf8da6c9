/** Samples to Markdown: medians with their spread, and ratios taken round by round. */

/** One round of one subject: a number per column. */
export type Sample = Record<string, number>;

export interface Column {
  key: string;
  title: string;
  digits: number;
  /** Add up instead of taking the median: for what must be 0 in every round. */
  sum?: boolean;
}

/** Rounds of one subject, in order. */
export type Rounds = Map<string, Sample[]>;

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

function format(value: number, digits: number): string {
  if (Number.isNaN(value)) return '–';
  return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function cell(samples: Sample[], column: Column): string {
  const values = samples.map((sample) => sample[column.key] ?? Number.NaN);
  if (column.sum)
    return format(
      values.reduce((all, value) => all + value, 0),
      column.digits,
    );
  const middle = format(median(values), column.digits);
  if (values.length < 2 || middle === '–') return middle;
  return `${middle} (${format(Math.min(...values), column.digits)}–${format(Math.max(...values), column.digits)})`;
}

function markdown(header: string[], rows: string[][]): string {
  return [header, header.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** A row per subject, a column per figure: median (least–most) over the rounds. */
export function resultTable(rounds: Rounds, columns: Column[]): string {
  const rows = [...rounds].map(([name, samples]) => [name, ...columns.map((column) => cell(samples, column))]);
  return markdown(['', ...columns.map((column) => column.title)], rows);
}

/** The values of one figure of `name` set against those of every other subject in the same round. */
function againstOthers(
  rounds: Rounds,
  name: string,
  key: string,
  combine: (own: number, other: number) => number,
  line: (other: string, middle: number, least: number, most: number) => string,
): string {
  const own = rounds.get(name) ?? [];
  const lines: string[] = [];
  for (const [other, samples] of rounds) {
    if (other === name || own.length === 0) continue;
    const combined = own.map((sample, i) => combine(sample[key] ?? Number.NaN, samples[i]?.[key] ?? Number.NaN));
    lines.push(line(other, median(combined), Math.min(...combined), Math.max(...combined)));
  }
  return lines.join('\n');
}

/** How many times the others' figure that of `name` is: a line for each, empty when there is nothing to compare. */
export function ratioLines(rounds: Rounds, name: string, { key, title }: Column): string {
  const divide = (own: number, other: number) => own / other;
  return againstOthers(rounds, name, key, divide, (other, middle, least, most) => {
    return `- ${title}: ${name} has **${format(middle, 2)} ×** that of ${other} (${format(least, 2)}–${format(most, 2)})`;
  });
}

/** How much more than the others' the figure of `name` is: a line for each, empty when there is nothing to compare. */
export function differenceLines(rounds: Rounds, name: string, { key, title, digits }: Column): string {
  const subtract = (own: number, other: number) => own - other;
  return againstOthers(rounds, name, key, subtract, (other, middle, least, most) => {
    const spread = `${format(least, digits)}–${format(most, digits)}`;
    return `- ${title}: ${name} has **${format(middle, digits)}** more than ${other} (${spread})`;
  });
}
