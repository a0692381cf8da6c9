/** What every scenario works with: the model, the load generator, the cores, and measuring a server while it works. */
import type { Job } from './load.ts';
import { cpuSeconds, type Running, residentMiB } from './processes.ts';

/** Sizes given on the command line; a scenario has its own where they are absent. */
export interface Sizes {
  rounds?: number;
  streams?: number;
  lanes?: number;
  tokens?: number;
  perWrite?: number;
  rate?: number;
  seconds?: number;
  writers?: number;
  messages?: number;
  conversations?: number;
}

export interface Bench {
  model: Running;
  cores: { server: number; load: number };
  /** A folder that goes away with the bench. */
  folder: string;
  sizes: Sizes;
  /** Names of the subjects to run, in small letters; all when empty. */
  only: string[];
  /** Gives a job to the load generator; one at a time. */
  load<Result>(job: Job): Promise<Result>;
  /** Flags for `node` that a measured server runs under. */
  serverFlags(name: string): string[];
}

export interface Scenario {
  title: string;
  run(bench: Bench): Promise<string>;
}

export interface Usage {
  /** Seconds of CPU: the main thread, and all threads. */
  mainCpu: number;
  cpu: number;
  /** Memory at its most, and how much more that is than before. */
  peakMiB: number;
  grewMiB: number;
}

const SETTLE_MS = 150;
const LOOK_EVERY_MS = 100;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Runs `work` and gives what the server used meanwhile. It waits a moment before and after, so that what an earlier
 * request left is not counted and what this work leaves is.
 */
export async function measured<Result>(server: Running, work: () => Promise<Result>): Promise<[Result, Usage]> {
  await wait(SETTLE_MS);
  const before = cpuSeconds(server.pid);
  const memory = residentMiB(server.pid);
  let peak = memory;
  const look = () => {
    peak = Math.max(peak, residentMiB(server.pid));
  };
  const timer = setInterval(look, LOOK_EVERY_MS);
  const result = await work();
  await wait(SETTLE_MS);
  clearInterval(timer);
  look();
  const after = cpuSeconds(server.pid);
  const usage = {
    mainCpu: after.main - before.main,
    cpu: after.all - before.all,
    peakMiB: peak,
    grewMiB: peak - memory,
  };
  return [result, usage];
}
