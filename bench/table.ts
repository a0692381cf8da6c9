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

/**
 * How `name` stands to every other subject in one figure: its value divided by the other's of the same round, the
 * median over the rounds. Empty when there is nothing to compare.
 */
export function ratioLines(rounds: Rounds, name: string, column: Column): string {
  const own = rounds.get(name);
  if (!own) return '';
  const lines: string[] = [];
  for (const [other, samples] of rounds) {
    if (other === name) continue;
    const ratios = own.map(
      (sample, i) => (sample[column.key] ?? Number.NaN) / (samples[i]?.[column.key] ?? Number.NaN),
    );
    const spread = `${format(Math.min(...ratios), 2)}–${format(Math.max(...ratios), 2)}`;
    lines.push(`- ${column.title}: ${name} is **${format(median(ratios), 2)} ×** ${other} (${spread})`);
  }
  return lines.join('\n');
}
