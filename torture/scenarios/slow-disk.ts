/**
 * A disk whose every sync takes a quarter of a second: writes wait for it together, nothing else does, and nothing that
 * was acknowledged is lost. `strace` slows the system calls of a server as it is; so the figures are beside those of the
 * same server traced and not slowed.
 */

import { setTimeout as wait } from 'node:timers/promises';
import { inspect } from '../inspect.ts';
import { readInference } from '../reader.ts';
import { atMost, exactly, quantile, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { type Caller, createCaller, expect, makeChat, openStage, processOf, readEntries } from '../stage.ts';
import { slowSyncs, whyNoTrace } from '../trace.ts';

const DELAY_MS = 250;
/** The group before, a checkpoint's, its own; and those of the search index, which the disk does one after the other. */
const SYNCS = 8;
const MEASURE_MS = 8000;
const RATE = 20;
const USER = 'everybody';

interface Measured {
  writes: number[];
  reads: number[];
  /** Between pieces of an answer, as a reader got them. */
  gaps: number[];
}

export const slowDisk: Scenario = {
  title: `a disk that takes ${DELAY_MS} ms for each sync`,
  row: 'disk full',
  async run({ writers = 32 }: Sizes): Promise<Result> {
    const why = whyNoTrace();
    if (why !== null) throw new Error(why);
    const stage = await openStage();
    const { server } = stage;
    const caller = createCaller(server, USER, writers + 8);
    try {
      const chats = await Promise.all(Array.from({ length: writers }, () => makeChat(caller)));
      const stored: Record<string, string[]> = Object.fromEntries(chats.map((chat) => [chat, []]));
      const traced = await slowSyncs(processOf(server), 0);
      const plain = await measure(caller, () => ask(caller, server), stored);
      await traced.stop();
      await slowSyncs(processOf(server), DELAY_MS);
      const slow = await measure(caller, () => ask(caller, server), stored);
      await server.kill();
      await caller.close();
      await server.start();
      const again = createCaller(server, USER);
      let lost = 0;
      for (const chat of chats) {
        const there = new Set(((await readEntries(again, chat)) ?? []).map(({ id }) => id));
        for (const id of stored[chat] ?? []) if (!there.has(id)) lost++;
      }
      await again.close();
      const both = (name: keyof Measured, share: number) =>
        [plain, slow].map((one) => quantile(one[name], share).toFixed(0)).join(', ');
      return {
        figures: [
          told('writes in 8 s, traced, and slowed', `${plain.writes.length}, ${slow.writes.length}`),
          told('writes p50 in ms', both('writes', 0.5)),
          told('writes p99 in ms', both('writes', 0.99)),
          atMost(
            'a write waits for so many syncs at most, p99',
            Math.ceil(quantile(slow.writes, 0.99) / DELAY_MS),
            SYNCS,
          ),
          told('reads p50, p99 in ms', `${both('reads', 0.5)}; ${both('reads', 0.99)}`),
          atMost('reads wait for no sync: p99', Math.round(quantile(slow.reads, 0.99)), DELAY_MS, 'ms'),
          told('between pieces of an answer p50, p99 in ms', `${both('gaps', 0.5)}; ${both('gaps', 0.99)}`),
          atMost('an answer waits for no sync: p99', Math.round(quantile(slow.gaps, 0.99)), DELAY_MS, 'ms'),
          exactly('acknowledged and lost by a kill -9 then', lost, 0),
        ],
        evidence: inspect(server.data),
      };
    } finally {
      await caller.close();
      await stage.close();
    }
  },
};

/** Writers, a reader of lists, and a reader of an answer, all at once. */
async function measure(
  caller: Caller,
  begin: () => Promise<() => Promise<number[]>>,
  stored: Record<string, string[]>,
): Promise<Measured> {
  const writes: number[] = [];
  const reads: number[] = [];
  const answer = await begin();
  const until = performance.now() + MEASURE_MS;
  const writer = async (chat_id: string, ids: string[]) => {
    while (performance.now() < until) {
      const began = performance.now();
      const body = { chat_id, role: 'Human', message: 'Slowly' };
      const { id } = await expect<{ id: string }>(201, caller.call('POST', '/conversations/create', body));
      writes.push(performance.now() - began);
      ids.push(id);
    }
  };
  const reader = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      await expect(200, caller.call('GET', '/conversations?limit=1'));
      reads.push(performance.now() - began);
      await wait(20);
    }
  };
  await Promise.all([reader(), ...Object.entries(stored).map(([chat, ids]) => writer(chat, ids))]);
  return { writes, reads, gaps: await answer() };
}

/** Asks for an answer at a steady pace; gives what tells the gaps between its pieces so far, and leaves. */
async function ask(caller: Caller, server: Parameters<typeof readInference>[0]): Promise<() => Promise<number[]>> {
  const chat = await makeChat(caller, `bench tokens=${(RATE * MEASURE_MS) / 1000} rate=${RATE}`);
  const piece = readInference(server, { user: USER, chat });
  return async () => {
    const { arrivals } = await piece;
    return arrivals.slice(1).map(({ at }, i) => at - (arrivals[i]?.at ?? at));
  };
}
