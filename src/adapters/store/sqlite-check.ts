/** A thread that looks through the whole database once and posts what is wrong with it: seconds of work for a large one. */

import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';

parentPort?.postMessage(findProblems(workerData.path));

function findProblems(path: string): string[] {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 10_000 });
  try {
    const pages = database.prepare('pragma integrity_check').all();
    const links = database.prepare('pragma foreign_key_check').all();
    return [
      ...pages.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok'),
      ...links.map((row) => `A row of ${row.table} points at a row of ${row.parent} that is not there.`),
    ];
  } finally {
    database.close();
  }
}
