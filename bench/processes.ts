/**
 * Processes of a bench: started on one core, watched through `/proc`, stopped by their own id.
 * Without Linux there are no pins and no figures for CPU time and memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';

export interface Running {
  pid: number;
  port: number;
  origin: string;
  child: ChildProcess;
  /** Milliseconds from the spawn to the first 200 of `/readyz`. */
  readyMs: number;
}

export interface Start {
  /** Arguments of `node`: flags, the file, its own arguments. */
  args: string[];
  env: Record<string, string>;
  core: number;
  /** Keeps a message channel to the process, which then has no port. */
  channel?: boolean;
}

const READY_WITHIN_MS = 15_000;
const canPin = process.platform === 'linux';

/** Processes that live: none outlives this one. */
const living = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

/** Starts a process on a core. What it writes to stderr is shown; stdout is not. */
export function spawnPinned({ args, env, core, channel }: Start): ChildProcess {
  const command = canPin ? ['taskset', '-c', String(core), process.execPath, ...args] : [process.execPath, ...args];
  const child = spawn(command[0] as string, command.slice(1), {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'ignore', 'inherit', ...(channel ? (['ipc'] as const) : [])],
  });
  living.add(child);
  child.on('exit', () => living.delete(child));
  return child;
}

/** Starts a server on a free port and waits until its `/readyz` answers 200. */
export async function startServer(start: Start): Promise<Running> {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  const began = performance.now();
  const child = spawnPinned({ ...start, env: { ...start.env, PORT: String(port) } });
  while (!(await isReady(origin))) {
    if (child.exitCode !== null)
      throw new Error(`${start.args.join(' ')} ended with ${child.exitCode} before it was ready`);
    if (performance.now() - began > READY_WITHIN_MS) throw new Error(`${start.args.join(' ')} was not ready in 15 s`);
    await wait(2);
  }
  return { pid: child.pid as number, port, origin, child, readyMs: performance.now() - began };
}

async function isReady(origin: string): Promise<boolean> {
  try {
    const answer = await fetch(`${origin}/readyz`);
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false;
  }
}

/** Sends SIGTERM and waits for the end; SIGKILL after 30 s. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  await ended;
  clearTimeout(timer);
}

/**
 * A port nobody listens on, below those that the system gives to others who ask for any: what is free now still is when
 * the server has started.
 */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Seconds of CPU used so far: by the main thread, and by all threads that live. */
export interface CpuSeconds {
  main: number;
  all: number;
}

export function cpuSeconds(pid: number): CpuSeconds {
  const used = { main: 0, all: 0 };
  if (!canPin) return { main: Number.NaN, all: Number.NaN };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    // The first field of schedstat is the time on a CPU in nanoseconds; /proc/PID/stat counts in steps of 10 ms.
    const seconds = Number.parseInt(readProc(`/proc/${pid}/task/${thread}/schedstat`), 10) / 1e9;
    if (thread === String(pid)) used.main = seconds;
    used.all += seconds;
  }
  return used;
}

/** Resident memory in MiB. */
export function residentMiB(pid: number): number {
  const found = /VmRSS:\s+(\d+) kB/.exec(readProc(`/proc/${pid}/status`));
  return found ? Number(found[1]) / 1024 : Number.NaN;
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '0';
  }
}
