/**
 * Kills at named points of the way of a message: before and after insert, commit, acknowledge, first event, flush and
 * finish. The product is unchanged; `preload/kill-at.ts` ends it there. What is found after the restart must be one of
 * the legal states, and the same command sent again must end as if nothing had happened: stored once, answered once.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { answerText } from '../../bench/tokens.ts';
import { countRows, inspect, runsEnd } from '../inspect.ts';
import { unstamped } from '../reader.ts';
import { exactly, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { type Answer, createCaller, expect, makeChat, openStage, preload, readEntries } from '../stage.ts';

/** What is sent when the kill comes. */
type Command = 'entry' | 'question' | 'inference';

interface Point {
  at: string;
  command: Command;
  /** Whether the message, or the run of an inference, is stored after the crash. */
  stored: boolean;
  /** How its run ended; null for none. */
  run: 'completed' | 'incomplete' | null;
}

const WRITES: [at: string, stored: boolean][] = [
  ['before-insert', false],
  ['after-insert', false],
  ['before-commit', false],
  ['after-commit', true],
];
const POINTS: Point[] = [
  ...WRITES.map(([at, stored]): Point => ({ at, stored, command: 'entry', run: null })),
  { at: 'before-acknowledge', command: 'entry', stored: true, run: null },
  { at: 'after-acknowledge', command: 'entry', stored: true, run: null },
  ...WRITES.map(([at, stored]): Point => ({ at, stored, command: 'question', run: stored ? 'incomplete' : null })),
  { at: 'before-acknowledge', command: 'question', stored: true, run: 'completed' },
  { at: 'after-acknowledge', command: 'question', stored: true, run: 'completed' },
  ...WRITES.map(([at, stored]): Point => ({ at, stored, command: 'inference', run: stored ? 'incomplete' : null })),
  { at: 'before-acknowledge', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'before-first-event', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'after-first-event', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'before-flush', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'after-flush', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'before-finish', command: 'inference', stored: true, run: 'incomplete' },
  { at: 'after-finish', command: 'inference', stored: true, run: 'completed' },
];
const TOKENS = 40;
/** Slow enough for several flushes. */
const PROMPT = `Say something: bench tokens=${TOKENS} rate=200`;

export const points: Scenario = {
  title: 'kills at named points of the way of a message',
  row: '`kill` at each commit boundary',
  async run(_: Sizes): Promise<Result> {
    const folder = await mkdtemp(join(tmpdir(), 'parlance-points-'));
    const file = join(folder, 'point');
    await writeFile(file, '');
    const stage = await openStage({ ...preload('kill-at'), TORTURE_POINT_FILE: file });
    const evidence: string[] = [];
    let reached = 0;
    try {
      for (const point of POINTS) {
        const faults = await probe(stage, point, file);
        if (faults === null) evidence.push(`${point.command} ${point.at}: the server lived through it`);
        else {
          reached++;
          for (const fault of faults) evidence.push(`${point.command}, killed ${point.at}: ${fault}`);
        }
      }
    } finally {
      await stage.close();
      await rm(folder, { recursive: true, force: true });
    }
    return {
      figures: [
        told('points', POINTS.map(({ command, at }) => `${command} ${at}`).join(', ')),
        exactly('kills at a named point', reached, POINTS.length),
        exactly('illegal states', evidence.length, 0),
      ],
      evidence,
    };
  },
};

/** Null if the point was never reached, else what is wrong after it. */
async function probe(
  { server, modelCounts }: Awaited<ReturnType<typeof openStage>>,
  { at, command, stored, run }: Point,
  file: string,
): Promise<string[] | null> {
  const user = `${command}-${at}`;
  let caller = createCaller(server, user, 2);
  const chat = await makeChat(caller, command === 'inference' ? PROMPT : undefined);
  await caller.close();

  await server.stop();
  await writeFile(file, at);
  await server.start();
  await writeFile(file, '');
  const asked = (await modelCounts()).requests;
  const send = (): Promise<Answer> => {
    if (command === 'inference') return caller.call('GET', `/conversations/inference/${chat}`);
    const body =
      command === 'entry'
        ? { chat_id: chat, role: 'Human', message: PROMPT }
        : { prompt: PROMPT, conversation_id: chat };
    return caller.call('POST', command === 'entry' ? '/conversations/create' : '/ask', body, 'the-key');
  };
  caller = createCaller(server, user, 2);
  await send().catch(() => {});
  const lived = await fetch(`${server.url}/healthz`).then(
    () => true,
    () => false,
  );
  await caller.close();
  await server.kill();
  if (lived) return null;

  await server.start();
  caller = createCaller(server, user, 2);
  const faults: string[] = [];
  const open = await runsEnd(server.data, 15_000);
  if (open > 0) faults.push(`${open} runs are open 15 s after the restart`);
  faults.push(...inspect(server.data));

  const humans = async () => ((await readEntries(caller, chat)) ?? []).filter(({ role }) => role === 'Human').length;
  const wanted = command === 'inference' ? 1 : stored ? 1 : 0;
  if ((await humans()) !== wanted) faults.push(`${await humans()} messages are stored, not ${wanted}`);
  const runs = () =>
    countRows(server.data, `select count(*) as count from runs where conversation = ? and kind = 'answer'`, chat);
  if (run === null ? runs() !== 0 : runs() !== 1) faults.push(`it has ${runs()} runs`);
  const ended = (status: string) =>
    countRows(server.data, 'select count(*) as count from runs where conversation = ? and status = ?', chat, status);
  if (run !== null && ended(run) !== 1) faults.push(`its run is not ${run}`);

  // The same again: as if nothing had happened.
  const again = await send();
  const fine = run === 'incomplete' && command === 'question' ? [502] : command === 'entry' ? [201] : [200];
  if (!fine.includes(again.status))
    faults.push(`sent again it was answered ${again.status}: ${again.text.slice(0, 200)}`);
  await runsEnd(server.data, 5000);
  if ((await humans()) !== 1) faults.push(`sent again it is stored ${await humans()} times`);
  const calls = (await modelCounts()).requests - asked;
  if (calls > 1) faults.push(`the model was asked ${calls} times`);
  if (command !== 'entry' && !stored && ended('completed') !== 1) faults.push('sent again it was not answered');
  for (const { role, message } of (await readEntries(caller, chat)) ?? []) {
    if (role === 'Assistant' && !answerText(TOKENS).startsWith(unstamped(message)))
      faults.push(`the answer is not the model's: ${message}`);
  }
  faults.push(...inspect(server.data));
  await expect(200, caller.call('DELETE', `/chats/delete/${chat}`));
  await caller.close();
  return faults;
}
