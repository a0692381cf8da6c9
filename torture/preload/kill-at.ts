/**
 * Loaded into an unchanged server with `--import`, in every thread: it ends the process with SIGKILL at the point that is
 * named in the file TORTURE_POINT_FILE. Points are told by the SQL that runs and by the bytes that leave, so the product
 * holds nothing for it.
 */

import { readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { StatementSync } from 'node:sqlite';

const INSERT_TURN = /^\s*insert into "?turns\b/;
const INSERT_EVENTS = /^\s*insert into "?run_events\b/;
const END_RUN = /^\s*update "?runs\b[\s\S]*\bended_at"? =/;

const point = readPoint();
/** What the transaction under way has written. */
let wrote = { turn: false, events: false, end: false };

function readPoint(): string {
  try {
    return readFileSync(process.env.TORTURE_POINT_FILE ?? '', 'utf8').trim();
  } catch {
    return '';
  }
}

function reached(name: string): void {
  if (name !== point) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal ends all threads; this one does nothing more until then.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

/** The step a commit completes; null for one that is not asked for. */
function stepOf({ turn, events, end }: typeof wrote): string | null {
  if (turn) return 'commit';
  if (end) return 'finish';
  return events ? 'flush' : null;
}

if (point !== '') {
  const { run } = StatementSync.prototype;
  StatementSync.prototype.run = function (this: StatementSync, ...values: Parameters<typeof run>) {
    const sql = this.sourceSQL;
    if (sql === 'begin immediate') wrote = { turn: false, events: false, end: false };
    const insert = INSERT_TURN.test(sql);
    const step = sql === 'commit' ? stepOf(wrote) : insert ? 'insert' : null;
    if (step !== null) reached(`before-${step}`);
    const result = run.apply(this, values);
    if (insert) wrote.turn = true;
    else if (INSERT_EVENTS.test(sql)) wrote.events = true;
    else if (END_RUN.test(sql)) wrote.end = true;
    if (step !== null) reached(`after-${step}`);
    return result;
  } as typeof run;

  type Write = (data: unknown, ...rest: unknown[]) => unknown;
  const sockets = Socket.prototype as unknown as Record<'_write' | '_writev', Write>;
  for (const name of ['_write', '_writev'] as const) {
    const write = sockets[name];
    sockets[name] = function (this: Socket, data: unknown, ...rest: unknown[]) {
      const text = textOf(data);
      const step = /id: \d+\ndata: /.test(text) ? 'first-event' : /^HTTP\/1\.1 2/.test(text) ? 'acknowledge' : null;
      if (step !== null) reached(`before-${step}`);
      const result = write.call(this, data, ...rest);
      // By now the kernel has the bytes: libuv writes at once what the socket takes.
      if (step !== null) reached(`after-${step}`);
      return result;
    };
  }
}

function textOf(data: unknown): string {
  if (Array.isArray(data)) return data.map(({ chunk }) => String(chunk)).join('');
  return String(data);
}
