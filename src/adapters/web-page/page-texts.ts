/**
 * The thread that reads pages, from outside: made with the first page, ended when there were none for a while. A page that
 * takes too long, or too much memory, costs the thread and nothing else.
 */

import { Worker } from 'node:worker_threads';

/** What is to be read. */
export interface PageJob {
  body: Uint8Array;
  charset: string;
  isHtml: boolean;
  url: string;
  question: string;
}

export interface PageText {
  title: string;
  hash: string;
  passages: string[];
}

interface Waiting {
  job: PageJob;
  done(text: PageText | null): void;
}

const TIMEOUT_MS = 5_000;
const IDLE_MS = 30_000;
/** The young generation is kept small: what it once took, the process keeps after the thread. */
const MEMORY = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 8 };

export function createPageTexts(limits: { timeoutMs?: number; idleMs?: number } = {}) {
  const { timeoutMs = TIMEOUT_MS, idleMs = IDLE_MS } = limits;
  let worker: Worker | null = null;
  let current: Waiting | null = null;
  let timer: NodeJS.Timeout | undefined;
  const queue: Waiting[] = [];
  return { read, close };

  /** Null where it cannot be read. One at a time; `signal` takes it out of the queue. */
  function read(job: PageJob, signal: AbortSignal): Promise<PageText | null> {
    return new Promise((resolve) => {
      const waiting: Waiting = { job, done: resolve };
      queue.push(waiting);
      signal.addEventListener('abort', () => {
        const at = queue.indexOf(waiting);
        if (at !== -1) queue.splice(at, 1);
        resolve(null);
      });
      next();
    });
  }

  function next(): void {
    if (current !== null) return;
    clearTimeout(timer);
    current = queue.shift() ?? null;
    if (current === null) {
      worker?.unref();
      timer = setTimeout(end, idleMs).unref();
      return;
    }
    worker ??= start();
    worker.ref();
    worker.postMessage(current.job);
    timer = setTimeout(end, timeoutMs);
  }

  function start(): Worker {
    const started = new Worker(new URL('./passage-worker.ts', import.meta.url), {
      env: {},
      resourceLimits: MEMORY,
    });
    // What a thread that was given up says at last is about another page than the one being read now.
    started.on('message', (text: PageText | null) => {
      if (worker === started) settle(text);
    });
    // Out of memory, or a fault in it: both end the thread.
    started.on('error', () => {
      if (worker === started) end();
    });
    return started;
  }

  function settle(text: PageText | null): void {
    const settled = current;
    current = null;
    settled?.done(text);
    next();
  }

  /** Gives the page up that is being read, if there is one, and the thread with it. */
  function end(): void {
    const ended = worker;
    worker = null;
    void ended?.terminate();
    if (current !== null) settle(null);
  }

  async function close(): Promise<void> {
    for (const { done } of queue.splice(0)) done(null);
    const ended = worker;
    end();
    clearTimeout(timer);
    await ended?.terminate();
  }
}
