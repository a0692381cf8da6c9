/**
 * Loaded into an unchanged server with `--import`: its database is opened with `synchronous=NORMAL`, which commits
 * without an fsync. A negative control: what proves the fsync must fail on such a server.
 */

import { DatabaseSync } from 'node:sqlite';

const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (this: DatabaseSync, sql: string) {
  return exec.call(this, sql.replace('synchronous = full', 'synchronous = normal'));
};
