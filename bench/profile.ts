/**
 * `node bench/profile.ts FILE.cpuprofile … [--top N] [--skip SECONDS]`: where the time of a profile went, by function
 * and by file, idle time and what came before `--skip` (the start) left out. Profiles come from `npm run bench -- burst --only parlance --profile FOLDER`: one file per thread.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';

interface Frame {
  functionName: string;
  url: string;
  lineNumber: number;
}

interface Profile {
  nodes: { id: number; callFrame: Frame }[];
  samples: number[];
  timeDeltas: number[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { top: { type: 'string', default: '30' }, skip: { type: 'string', default: '0' } },
});

/** The file from the project's folder or its package on. */
function file(url: string): string {
  return url.replace(/^file:\/\//, '').replace(`${process.cwd()}/`, '') || 'native';
}

/** Microseconds on a CPU, by function and by file. */
function selfTimes(profile: Profile): { byFunction: Map<string, number>; byFile: Map<string, number>; all: number } {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const byFunction = new Map<string, number>();
  const byFile = new Map<string, number>();
  const begin = Number(values.skip) * 1e6;
  let at = 0;
  let all = 0;
  profile.samples.forEach((id, i) => {
    const frame = frames.get(id);
    const time = profile.timeDeltas[i] ?? 0;
    at += time;
    if (!frame || frame.functionName === '(idle)' || at < begin) return;
    const where = file(frame.url);
    const name = `${frame.functionName || '(anonymous)'}  ${where}:${frame.lineNumber + 1}`;
    byFunction.set(name, (byFunction.get(name) ?? 0) + time);
    byFile.set(where, (byFile.get(where) ?? 0) + time);
    all += time;
  });
  return { byFunction, byFile, all };
}

function print(title: string, times: Map<string, number>, all: number, top: number): void {
  console.log(`\n${title}`);
  const sorted = [...times].sort(([, a], [, b]) => b - a).slice(0, top);
  for (const [name, time] of sorted) {
    console.log(`${((time / all) * 100).toFixed(1).padStart(6)} % ${(time / 1000).toFixed(1).padStart(8)} ms  ${name}`);
  }
}

for (const path of positionals) {
  const { byFunction, byFile, all } = selfTimes(JSON.parse(readFileSync(path, 'utf8')) as Profile);
  console.log(`\n== ${basename(path)}: ${(all / 1000).toFixed(0)} ms busy`);
  print('by function', byFunction, all, Number(values.top));
  print('by file', byFile, all, Math.ceil(Number(values.top) / 2));
}
