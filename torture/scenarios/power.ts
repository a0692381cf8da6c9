/**
 * A power cut on any machine, without tracing: `preload/power.ts` keeps what SQLite promises to be on the disk, the server
 * is killed, and another one is started on that disk. And the negative control: the same on a disk that ignores fsync
 * must be seen to lose what was acknowledged, or the check would be worth nothing.
 */

import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer } from '../../test/support/server.ts';
import { inspect } from '../inspect.ts';
import { exactly, type Result, type Scenario, type Sizes } from '../scenario.ts';
import { createCaller, expect, makeChat, preload, readEntries, tortureEnv } from '../stage.ts';

const USER = 'somebody';
const WRITERS = 8;

export const power: Scenario = {
  title: 'a power cut, and the same on a disk that ignores fsync',
  row: 'power loss',
  async run({ rounds = 20 }: Sizes): Promise<Result> {
    const good = await cutPower(rounds, false);
    const lying = await cutPower(rounds, true);
    return {
      figures: [
        exactly('writes acknowledged before the power cut', good.acknowledged, rounds * WRITERS),
        exactly('lost', good.lost, 0),
        exactly('control: acknowledged on a disk that ignores fsync', lying.acknowledged, rounds * WRITERS),
        exactly('control: found to be lost', lying.lost, lying.acknowledged),
      ],
      evidence: [...good.illegal, ...lying.illegal],
    };
  },
};

async function cutPower(rounds: number, ignored: boolean) {
  const disk = mkdtempSync(join(tmpdir(), 'parlance-disk-'));
  const env = tortureEnv({
    ...preload('power'),
    TORTURE_DISK: disk,
    TORTURE_FSYNC: ignored ? 'ignored' : 'kept',
  });
  const server = await startServer({ env });
  const chats: { id: string; written: string[] }[] = [];
  try {
    let caller = createCaller(server, USER, WRITERS);
    for (let i = 0; i < WRITERS; i++) chats.push({ id: await makeChat(caller), written: [] });
    // What was there long before is on any disk.
    for (const name of ['parlance.db', 'parlance.db-wal']) {
      if (existsSync(join(server.data, name))) copyFileSync(join(server.data, name), join(disk, name));
    }
    await Promise.all(
      chats.map(async ({ id: chat_id, written }) => {
        for (let i = 0; i < rounds; i++) {
          const body = { chat_id, role: 'Human', message: `Entry ${i}` };
          const { id } = await expect<{ id: string }>(201, caller.call('POST', '/conversations/create', body));
          written.push(id);
        }
      }),
    );
    await server.kill();
    await caller.close();

    const folder = join(disk, 'data');
    mkdirSync(folder);
    for (const name of ['parlance.db', 'parlance.db-wal']) copyFileSync(join(disk, name), join(folder, name));
    const after = await startServer({ env: tortureEnv({ PARLANCE_DATA: folder }) });
    caller = createCaller(after, USER, WRITERS);
    let lost = 0;
    for (const { id, written } of chats) {
      const stored = new Set((await readEntries(caller, id))?.map((entry) => entry.id));
      lost += written.filter((entry) => !stored.has(entry)).length;
    }
    const illegal = inspect(folder);
    await caller.close();
    await after.close();
    return { acknowledged: chats.reduce((sum, { written }) => sum + written.length, 0), lost, illegal };
  } finally {
    await server.close();
    rmSync(disk, { recursive: true, force: true });
  }
}
