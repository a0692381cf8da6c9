/** What is written to the terminal: tables, colours where they are wanted, and nothing that could move the cursor. */

import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];
export type Stream = NodeJS.WriteStream;

/** For results. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** For everything else: it never ends up in a pipe. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Colours only on a terminal, and as `NO_COLOR` and `FORCE_COLOR` say. */
export function styled(style: Style, text: string, stream: Stream = process.stdout): string {
  return styleText(style, text, { stream });
}

/** Text that others wrote (titles, names, answers), without what a terminal would obey: escape sequences and controls. */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|[\0-\x08\x0b-\x1f\x7f-\x9f]/g, '');
}

/** The same in one line of at most `width` columns. */
export function oneLine(text: string, width: number): string {
  const line = harmless(text.replace(/\s+/g, ' ').trim());
  let shown = '';
  let columns = 0;
  for (const character of line) {
    columns += widthOf(character);
    if (columns > width) return `${shown.slice(0, -1)}…`;
    shown += character;
  }
  return shown;
}

/** Columns of a cell; ids of models are long. */
const MAX_CELL = 100;

/** Columns under their titles, two spaces apart; null is "–". */
export function table(titles: readonly string[], rows: readonly (readonly (string | null)[])[]): string {
  const cells = rows.map((row) => row.map((cell) => (cell === null ? '–' : oneLine(cell, MAX_CELL))));
  const widths = titles.map((title, i) => Math.max(widthOf(title), ...cells.map((row) => widthOf(row[i] ?? ''))));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell + ' '.repeat((widths[i] ?? 0) - widthOf(cell)))
      .join('  ')
      .trimEnd();
  return [styled('bold', line(titles)), ...cells.map(line)].join('\n');
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

function widthOf(text: string): number {
  let columns = 0;
  for (const character of text) columns += /\p{M}|\u200d/u.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return columns;
}

/** A time as the person at the terminal reads it: their own zone, to the minute. */
export function when(ms: number): string {
  return new Date(ms).toLocaleString('sv-SE').slice(0, 16);
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = count < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(count) / 10));
  const value = count / 1024 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** One line that is written anew as work goes on; without a terminal a line for every new step of it. */
export function createProgress(stream: Stream = process.stderr) {
  let last = '';
  return {
    /** @param done 0–1; null: not known */
    update(step: string, done: number | null, detail = ''): void {
      if (!stream.isTTY) {
        if (step !== last) stream.write(`${step}\n`);
        last = step;
        return;
      }
      const columns = Math.max(20, stream.columns ?? 80);
      const cells = Math.min(30, Math.floor(columns / 3));
      const full = Math.round(cells * Math.min(1, done ?? 0));
      const bar = done === null ? '' : ` ${'█'.repeat(full)}${'░'.repeat(cells - full)} ${Math.floor(done * 100)} %`;
      stream.write(`\r\x1b[K${oneLine(`${step}${bar}${detail === '' ? '' : `  ${detail}`}`, columns - 1)}`);
      last = step;
    },
    /** Takes the line away. */
    end(): void {
      if (stream.isTTY && last !== '') stream.write('\r\x1b[K');
    },
  };
}
