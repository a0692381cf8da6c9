/**
 * Loaded into an unchanged server with `--import`: at SIGUSR2 it collects garbage and writes the bytes that are in use
 * to the file TORTURE_MEMORY_FILE. Resident memory alone is mostly garbage that nobody needed to collect yet.
 */

import { renameSync, writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { isMainThread } from 'node:worker_threads';

const file = process.env.TORTURE_MEMORY_FILE;

if (file !== undefined && isMainThread) {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  process.on('SIGUSR2', () => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    writeFileSync(`${file}.new`, String(heapUsed + external));
    renameSync(`${file}.new`, file);
  });
}
