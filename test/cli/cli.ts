/** Runs the command line as a person does: a process of its own, in an empty folder, with nothing of our environment. */

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Started {
  child: ChildProcessWithoutNullStreams;
  /** Resolves with what a stream has said so far, once it matches. Rejects with it if the process ends before. */
  said(stream: 'stdout' | 'stderr', pattern: RegExp): Promise<string>;
  ended: Promise<Ended>;
}

/** A folder that is gone after the tests of this file. */
export function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'parlance-cli-'));
  after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

export interface StartOptions {
  cwd: string;
  env?: Record<string, string>;
  input?: string;
  /** Opens an IPC channel, as `npm start` does. */
  ipc?: boolean;
}

/** Starts a command; what is not ended by the test is killed after it. */
export function start(args: string[], options: StartOptions): Started {
  const { PATH = '', HOME = '', NODE_COMPILE_CACHE } = process.env;
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd: options.cwd,
    env: { PATH, HOME, ...(NODE_COMPILE_CACHE && { NODE_COMPILE_CACHE }), ...options.env },
    stdio: ['pipe', 'pipe', 'pipe', options.ipc ? 'ipc' : 'ignore'],
  }) as ChildProcessWithoutNullStreams;
  after(() => child.kill('SIGKILL'));
  const heard = { stdout: '', stderr: '' };
  let check = () => {};
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      heard[name] += text;
      check();
    });
  }
  // A command that ends early does not read what it is given.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...heard }));
  });
  return {
    child,
    ended,
    said: (stream, pattern) =>
      new Promise((resolve, reject) => {
        check = () => {
          if (pattern.test(heard[stream])) resolve(heard[stream]);
        };
        check();
        void ended.then((end) => reject(new Error(`It ended before it said ${pattern}: ${JSON.stringify(end)}`)));
      }),
  };
}

/** Runs a command to its end. */
export function run(args: string[], options: StartOptions): Promise<Ended> {
  return start(args, options).ended;
}
