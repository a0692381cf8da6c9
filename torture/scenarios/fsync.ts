/**
 * Power loss. `kill -9` says nothing about fsync, for the kernel lives on; so the system calls of the server are traced
 * and played back to a disk that keeps only what was synced. At the moment each acknowledgement is handed to the socket,
 * that disk must hold what it acknowledges.
 */

import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { atLeast, exactly, type Result, type Scenario, type Sizes } from '../scenario.ts';
import { createCaller, expect, makeChat, openStage, preload, processOf, readEntries } from '../stage.ts';
import { type Op, openDisk, trace, whyNoTrace } from '../trace.ts';

const WRITERS = 8;
const STREAMS = 5;
const ANSWER = 'bench tokens=20 write=5';

export interface PowerLoss {
  /** Messages and streams that were acknowledged. */
  acknowledged: number;
  streams: number;
  /** What a power cut at the moment of its acknowledgement would have lost of them. */
  lost: string[];
}

export const fsync: Scenario = {
  title: 'power loss: nothing is acknowledged before its fsync',
  row: 'power loss',
  async run({ rounds = 30 }: Sizes): Promise<Result> {
    const why = whyNoTrace();
    if (why !== null) throw new Error(why);
    const full = await losePower(rounds);
    const normal = await losePower(rounds, preload('sync-normal'));
    return {
      figures: [
        exactly('writes acknowledged under a trace', full.acknowledged, rounds * WRITERS),
        exactly('streams begun', full.streams, STREAMS),
        exactly('lost by a power cut at the acknowledgement', full.lost.length, 0),
        atLeast('control: lost with synchronous=NORMAL', normal.lost.length, 1),
      ],
      evidence: full.lost.map((id) => `Acknowledged before it was synced: ${id}`),
    };
  },
};

/** Writes under a trace: entries of `WRITERS` at once, then streams one after the other. */
export async function losePower(rounds: number, env: Record<string, string> = {}): Promise<PowerLoss> {
  const stage = await openStage(env);
  const { server } = stage;
  const output = `${server.data}.trace`;
  const caller = createCaller(server, 'somebody', WRITERS);
  const ids: string[] = [];
  try {
    const chats = await Promise.all(Array.from({ length: WRITERS }, () => makeChat(caller)));
    const asked = await Promise.all(Array.from({ length: STREAMS }, () => makeChat(caller, ANSWER)));
    await settled(server.data);
    const disk = openDisk(server.data);
    const tracing = await trace(processOf(server), output);
    await Promise.all(
      chats.map(async (chat_id) => {
        for (let i = 0; i < rounds; i++) {
          const body = { chat_id, role: 'Human', message: `Entry ${i}` };
          const { id } = await expect<{ id: string }>(201, caller.call('POST', '/conversations/create', body));
          ids.push(id);
        }
      }),
    );
    const answers: string[] = [];
    for (const chat of asked) {
      await caller.call('GET', `/conversations/inference/${chat}`);
      answers.push((await readEntries(caller, chat))?.at(-1)?.id ?? '');
    }
    await server.kill();
    const lost = replay(await tracing.ops(), disk, ids, answers);
    disk.close();
    return { acknowledged: ids.length, streams: answers.length, lost };
  } finally {
    await caller.close();
    await stage.close();
    rmSync(output, { force: true });
  }
}

/** Plays the trace; at each acknowledgement looks whether the disk holds what it is about. */
function replay(ops: readonly Op[], disk: ReturnType<typeof openDisk>, ids: string[], answers: string[]): string[] {
  const lost: string[] = [];
  const open = new Set(ids);
  const streams = [...answers];
  for (const op of ops) {
    if (op.kind !== 'send') {
      disk.apply(op);
      continue;
    }
    const text = op.bytes.toString();
    if (!text.includes('HTTP/1.1 20')) continue;
    if (text.includes('text/event-stream')) {
      const turn = streams.shift() ?? '';
      if (disk.count(`select count(*) as count from runs where turn = ?`, turn) === 0) lost.push(`the run of ${turn}`);
    }
    for (const id of text.match(/(?<="id":")[0-9a-f-]{36}/g) ?? []) {
      if (open.delete(id) && disk.count('select count(*) as count from turns where id = ?', id) === 0) lost.push(id);
    }
  }
  for (const id of open) lost.push(`${id}, whose acknowledgement was not seen`);
  for (const turn of streams) lost.push(`${turn}, whose stream was not seen`);
  return lost;
}

/** Waits until nothing is written to the WAL any more. */
async function settled(folder: string): Promise<void> {
  const read = () => readFileSync(join(folder, 'parlance.db-wal')).length;
  for (let size = -1; size !== read(); ) {
    size = read();
    await wait(100);
  }
}
