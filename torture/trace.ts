/**
 * The system calls of a running server, as `strace` saw them, and a disk that holds only what was synced: the trace is
 * played back, a write counts from the fsync of its file on, and at any call the database can be looked at as a power cut
 * would have left it. Nothing is assumed about SQLite or the product.
 */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** Not there everywhere; a name, so that nobody takes it for a dependency. */
const program = 'strace';
const CALLS = 'pwrite64,fdatasync,fsync,ftruncate,write,writev,sendmsg,sendto';
/** Longer than a page of the database and than any answer looked at. */
const LONGEST = 65_536;

export type Op =
  | { kind: 'write'; file: string; at: number; bytes: Buffer }
  | { kind: 'truncate'; file: string; size: number }
  | { kind: 'sync'; file: string }
  /** On a socket, when the call was made. */
  | { kind: 'send'; bytes: Buffer };

/** Why the system calls of a process cannot be traced here; null if they can. */
export function whyNoTrace(): string | null {
  if (process.platform !== 'linux') return 'needs Linux and strace';
  try {
    execFileSync(program, ['-o', '/dev/null', '-e', 'trace=fsync', 'true'], { stdio: 'pipe' });
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'needs strace: apt-get install strace';
    return 'ptrace is not allowed here: in a container, add the capability SYS_PTRACE';
  }
}

export interface Trace {
  /** To be called once the process has ended: all it did, in order. */
  ops(): Promise<Op[]>;
}

/** Attaches to all threads of a process. Resolves once nothing it does goes unseen. */
export async function trace(pid: number, output: string): Promise<Trace> {
  const args = ['-f', '-y', '-xx', '-s', String(LONGEST), '-e', `trace=${CALLS}`, '-e', 'signal=none'];
  const strace = await attach([...args, '-o', output], pid);
  const exited = once(strace, 'exit');
  return {
    async ops() {
      await exited;
      return parseTrace(readFileSync(output, 'latin1'));
    },
  };
}

/** Resolves once it has all threads of the process. */
async function attach(args: string[], pid: number): Promise<ChildProcess> {
  const strace = spawn(program, [...args, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  await new Promise<void>((resolve, reject) => {
    strace.stderr.on('data', (chunk: Buffer) => {
      said += chunk;
      if (/attached/.test(said)) resolve();
    });
    strace.once('exit', () => reject(new Error(`strace ended: ${said}`)));
  });
  return strace;
}

/** Attaches to all threads of a process, and has each sync of theirs take so much longer from then on. */
export async function slowSyncs(pid: number, delayMs: number): Promise<{ stop(): Promise<void> }> {
  const inject = `inject=fsync,fdatasync:delay_exit=${delayMs * 1000}`;
  const args = ['-f', '-e', 'trace=fsync,fdatasync', '-e', 'signal=none', '-o', '/dev/null'];
  const strace = await attach([...args, ...(delayMs > 0 ? ['-e', inject] : [])], pid);
  return {
    async stop() {
      const exited = once(strace, 'exit');
      strace.kill('SIGINT');
      await exited;
    },
  };
}

/** Reads the lines of `strace -f -y -xx`; a call that another thread interrupts is two lines. */
export function parseTrace(text: string): Op[] {
  const ops: Op[] = [];
  const unfinished = new Map<string, string>();
  for (const line of text.split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? [];
    const begun = /^(.*) <unfinished \.\.\.>$/.exec(rest);
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest);
    if (begun !== null) {
      const call = begun[1] ?? '';
      unfinished.set(thread, call);
      // What goes out counts from the moment it is handed over, what is stored only when the call is back.
      const op = toOp(call);
      if (op?.kind === 'send') ops.push(op);
    } else if (resumed !== null) {
      const op = toOp((unfinished.get(thread) ?? '') + resumed[1]);
      unfinished.delete(thread);
      if (op !== null && op.kind !== 'send') ops.push(op);
    } else {
      const op = toOp(rest);
      if (op !== null) ops.push(op);
    }
  }
  return ops;
}

function toOp(call: string): Op | null {
  const [, name, hex = '', rest = ''] = /^(\w+)\(\d+<([^>]*)>(.*)$/.exec(call) ?? [];
  const file = bytesOf(hex).toString();
  if (name === 'fsync' || name === 'fdatasync') return / = 0$/.test(rest) ? { kind: 'sync', file } : null;
  if (name === 'ftruncate') return { kind: 'truncate', file, size: Number(/^, (\d+)/.exec(rest)?.[1]) };
  const bytes = Buffer.concat(
    [...rest.matchAll(/"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g)].map(([, text = '']) => bytesOf(text)),
  );
  if (name === 'pwrite64') {
    const [, length, at, written] = /, (\d+), (\d+)\) += (-?\d+)/.exec(rest) ?? [];
    if (Number(length) > bytes.length) throw new Error(`A write of ${length} bytes was not traced whole.`);
    return Number(written) > 0
      ? { kind: 'write', file, at: Number(at), bytes: bytes.subarray(0, Number(written)) }
      : null;
  }
  return name !== undefined && /^(socket|TCP)/.test(file) ? { kind: 'send', bytes } : null;
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

/** A file as it is in memory and as it is on the disk. */
interface Image {
  seen: Buffer;
  kept: Buffer;
  /** Changed since it was last synced. */
  dirty: boolean;
}

/** The database of a folder, with what was synced only. */
export interface Disk {
  apply(op: Op): void;
  /** The number a query gives on the database as a power cut at this moment leaves it. */
  count(query: string, ...values: string[]): number;
  close(): void;
}

/** Starts from the files as they are: nobody may be writing to them. */
export function openDisk(folder: string): Disk {
  const scratch = mkdtempSync(`${folder}-disk-`);
  const database = join(folder, 'parlance.db');
  const images = new Map<string, Image>();
  for (const file of [database, `${database}-wal`]) {
    const kept = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
    images.set(file, { seen: kept, kept, dirty: false });
  }
  let stale = true;

  function put(image: Image, at: number, bytes: Buffer): void {
    if (image.seen.length < at + bytes.length || !image.dirty) {
      const grown = Buffer.alloc(Math.max(image.seen.length, at + bytes.length));
      image.seen.copy(grown);
      image.seen = grown;
    }
    bytes.copy(image.seen, at);
    image.dirty = true;
  }

  return {
    apply(op) {
      const image = op.kind === 'send' ? undefined : images.get(op.file);
      if (image === undefined || op.kind === 'send') return;
      if (op.kind === 'write') put(image, op.at, op.bytes);
      else if (op.kind === 'truncate') {
        const cut = Buffer.alloc(op.size);
        image.seen.copy(cut);
        image.seen = cut;
        image.dirty = true;
      } else if (image.dirty) {
        image.kept = image.seen;
        image.dirty = false;
        stale = true;
      }
    },
    count(query, ...values) {
      const copy = join(scratch, basename(database));
      if (stale) {
        for (const [file, { kept }] of images) writeFileSync(join(scratch, basename(file)), kept);
        rmSync(`${copy}-shm`, { force: true });
        // The copy is looked at in a copy of its own: opening it would move the WAL into the database.
        stale = false;
      }
      const look = join(scratch, 'look.db');
      copyFileSync(copy, look);
      copyFileSync(`${copy}-wal`, `${look}-wal`);
      rmSync(`${look}-shm`, { force: true });
      const opened = new DatabaseSync(look);
      try {
        return Number(opened.prepare(query).get(...values)?.count);
      } finally {
        opened.close();
      }
    },
    close: () => rmSync(scratch, { recursive: true, force: true }),
  };
}
