/** Readers of event streams that vanish without a word, as when a machine loses its power. */

import { setTimeout as wait } from 'node:timers/promises';
import type { TestServer } from '../../test/support/server.ts';
import { openReaders } from '../reader.ts';
import { atMost, exactly, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { createCaller, makeChat, openStage } from '../stage.ts';

const USER = 'reader';
const FREED_S = 45;
const PATIENCE_S = 90;
/** Longer than it takes: 20 tokens a second for four minutes. */
const SLOW = 'bench tokens=4800 rate=20';

export const halfOpen: Scenario = {
  title: 'readers of event streams that vanish without a word',
  row: 'half-open TCP, slowloris, 10,000 idle sockets',
  async run({ readers: count = 50 }: Sizes): Promise<Result> {
    if (process.platform !== 'linux') {
      const sentence = 'Only Linux tells of peers that acknowledge nothing, so this can be tried there alone.';
      return { figures: [], evidence: [sentence] };
    }
    const stage = await openStage();
    const caller = createCaller(stage.server, USER);
    const gone: { leave(): Promise<void> }[] = [];
    try {
      const chat = await makeChat(caller, SLOW);
      const { server } = stage;
      const streams = { idle: '/v1/changes', busy: `/conversations/inference/${chat}` };
      for (const path of Object.values(streams)) {
        gone.push(await openReaders(server, 'deaf', { user: USER, path, count }));
      }
      const began = performance.now();
      const before = await followers(server);
      let left = before;
      let last = 0;
      while (left > 0 && performance.now() - began < PATIENCE_S * 1000) {
        await wait(250);
        const now = await followers(server);
        if (now < left) last = (performance.now() - began) / 1000;
        left = now;
      }
      return {
        figures: [
          told(
            'readers that vanished, of a stream with nothing but heartbeats, and of an answer',
            `${count}, ${count}`,
          ),
          exactly('streams open then', before, 2 * count),
          exactly('open in the end', left, 0),
          atMost('the last freed after', Number(last.toFixed(1)), FREED_S, 's'),
          exactly('the answer is still being written', await runs(server), 1),
        ],
        evidence: [],
      };
    } finally {
      await Promise.all(gone.map((readers) => readers.leave()));
      await caller.close();
      await stage.close();
    }
  },
};

const followers = (server: TestServer) => metric(server, 'parlance_followers');
const runs = (server: TestServer) => metric(server, 'parlance_runs_open');

async function metric(server: TestServer, name: string): Promise<number> {
  const headers = { authorization: `Bearer ${server.ownerKey}` };
  const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
  return Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}
