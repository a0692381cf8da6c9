/** Data folders of a test file, the stores opened on them, and processes that have one open: all gone at its end. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openSqliteStore, type SqliteOptions } from '../../../src/adapters/store/sqlite.ts';
import type { Store } from '../../../src/ports/store.ts';

/** What such a process runs. */
export const child = fileURLToPath(new URL('./sqlite-child.ts', import.meta.url));

export interface Started {
  process: ChildProcessByStdio<null, Readable, null>;
  lines: Interface;
  kill(): Promise<void>;
}

export function useFolders() {
  const folders: string[] = [];
  const stores: Store[] = [];
  const processes: ChildProcessByStdio<null, Readable, null>[] = [];

  after(async () => {
    await Promise.allSettled(stores.map((store) => store.close()));
    for (const process of processes) process.kill('SIGKILL');
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });

  return { newFolder, open, start };

  function newFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), 'parlance-sqlite-'));
    folders.push(folder);
    return join(folder, 'data');
  }

  /** Closed at the end, at the latest. */
  async function open(folder: string, given: Partial<SqliteOptions> = {}): Promise<Store> {
    const store = await openSqliteStore({ folder, exclusive: true, now: () => 1, ...given });
    stores.push(store);
    return store;
  }

  function start(folder: string, what: 'hold' | 'write' | 'search'): Started {
    const started = spawn(process.execPath, [child, folder, what], { stdio: ['ignore', 'pipe', 'inherit'] });
    processes.push(started);
    const lines = createInterface({ input: started.stdout });
    const exit = once(started, 'exit');
    const kill = async () => {
      started.kill('SIGKILL');
      await exit;
    };
    return { process: started, lines, kill };
  }
}
