/**
 * `npm run torture -- [scenario …] [--kills N] …`: runs the scenarios one after the other, prints the figures of each as
 * Markdown, and ends with 1 if a figure was missed.
 */

import { availableParallelism, cpus, loadavg, release } from 'node:os';
import { parseArgs } from 'node:util';
import { passed, type Result, type Sizes } from './scenario.ts';
import { scenarios } from './scenarios.ts';

const SIZES = [
  'kills',
  'writers',
  'cuts',
  'clients',
  'races',
  'people',
  'runs',
  'rounds',
  'readers',
  'sockets',
  'streams',
] as const satisfies (keyof Sizes)[];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: Object.fromEntries(SIZES.map((name) => [name, { type: 'string' as const }])),
});

function sizes(): Sizes {
  const given: Sizes = {};
  for (const name of SIZES) {
    const value = values[name];
    if (value === undefined) continue;
    if (!(Number(value) > 0)) throw new Error(`--${name} wants a number above 0, not "${value}".`);
    given[name] = Number(value);
  }
  return given;
}

function table({ figures, evidence }: Result): string {
  const rows = figures.map(
    ({ name, value, wanted, ok }) =>
      `| ${name} | ${value} | ${wanted ?? '–'} | ${wanted === null ? '' : ok ? 'yes' : '**NO**'} |`,
  );
  return [
    '| figure | found | wanted | met |',
    '|---|---|---|---|',
    ...rows,
    ...(evidence.length === 0 ? [] : ['', 'What went wrong:', '', ...evidence.map((sentence) => `- ${sentence}`)]),
  ].join('\n');
}

async function main(): Promise<void> {
  const unknown = positionals.find((name) => !(name in scenarios));
  if (unknown !== undefined) {
    throw new Error(`No scenario "${unknown}". There are: ${Object.keys(scenarios).join(', ')}.`);
  }
  const chosen = positionals.length > 0 ? positionals : Object.keys(scenarios);
  const given = sizes();
  console.log(`# Torture, ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC\n`);
  console.log(
    `node ${process.versions.node}, SQLite ${process.versions.sqlite}; ${cpus()[0]?.model.trim()}, ${availableParallelism()} cores, ${process.platform} ${release()}; load before: ${loadavg()[0]?.toFixed(1)}`,
  );
  for (const name of chosen) {
    const scenario = scenarios[name];
    if (scenario === undefined) continue;
    console.log(`\n## ${scenario.title} (\`${name}\`)\n\nRow: ${scenario.row}\n`);
    const began = performance.now();
    try {
      const result = await scenario.run(given);
      console.log(table(result));
      if (!passed(result)) process.exitCode = 1;
    } catch (error) {
      console.log(`It could not be carried out: ${error instanceof Error ? error.stack : error}`);
      process.exitCode = 1;
    }
    console.log(`\n${((performance.now() - began) / 1000).toFixed(0)} s`);
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
