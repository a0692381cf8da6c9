/** Runs in mid-answer at a crash: how they end, how soon, and how much of their text is there. */

import { setTimeout as wait } from 'node:timers/promises';
import { answerText } from '../../bench/tokens.ts';
import { countRows, inspect, runsEnd } from '../inspect.ts';
import { eventsText, type Piece, readInference, unstamped, wholeEvents } from '../reader.ts';
import { atMost, exactly, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { createCaller, makeChat, openStage, readEntries } from '../stage.ts';

const USER = 'reader';
const TOKENS = 400;
const PROMPT = `bench tokens=${TOKENS} rate=20`;
const KILL_AFTER_MS = 4000;
const END_WITHIN_MS = 15_000;
/** "all of its text but at most the last 100 ms" */
const MAY_LOSE_MS = 100;

export const crash: Scenario = {
  title: 'a crash while many answers are written',
  row: 'crash while answers are being written',
  async run({ runs = 200 }: Sizes): Promise<Result> {
    const stage = await openStage();
    const { server } = stage;
    let caller = createCaller(server, USER);
    const evidence: string[] = [];
    try {
      const chats = await Promise.all(Array.from({ length: runs }, () => makeChat(caller, PROMPT)));
      const reading = chats.map((chat) => readInference(server, { user: USER, chat }));
      await wait(KILL_AFTER_MS);
      const asked = (await stage.modelCounts()).requests;
      const killedAt = performance.now();
      await server.kill();
      const pieces = await Promise.all(reading);
      await caller.close();

      const began = performance.now();
      await server.start();
      const open = await runsEnd(server.data, END_WITHIN_MS);
      const endedMs = performance.now() - began;
      caller = createCaller(server, USER);
      const lost: number[] = [];
      let longest = 0;
      let resumed = 0;
      for (const [i, chat] of chats.entries()) {
        const saved = (await readEntries(caller, chat))?.[1]?.message ?? '';
        const piece = pieces[i] as Piece;
        longest = Math.max(longest, saved.length / 9);
        if (!answerText(TOKENS).startsWith(unstamped(saved)))
          evidence.push(`${chat}: the saved text is not the model's`);
        lost.push(lostMs(piece, saved, killedAt));
        const after = wholeEvents(piece.bytes).lastId;
        const rest = await readInference(server, { user: USER, chat, after });
        if (/\nevent: done\n.*"finish_reason":"incomplete"/.test(rest.bytes.toString())) resumed++;
        else evidence.push(`${chat}: picked up after ${after} it gives ${rest.bytes.toString().slice(0, 200)}`);
      }
      const incomplete = countRows(server.data, `select count(*) as count from runs where status = 'incomplete'`);
      evidence.push(...inspect(server.data));
      return {
        figures: [
          exactly('runs in mid-answer', runs, runs),
          told('tokens written of each, about', longest),
          exactly('ended as incomplete', incomplete, runs),
          exactly('left open', open, 0),
          atMost('ended after the restart began', Math.round(endedMs), END_WITHIN_MS, 'ms'),
          atMost('oldest text a reader had and the server lost', Math.round(Math.max(...lost)), MAY_LOSE_MS, 'ms'),
          exactly('readers who come back and get the end', resumed, runs),
          exactly('calls of the model after the crash', (await stage.modelCounts()).requests - asked, 0),
        ],
        evidence,
      };
    } finally {
      await caller.close();
      await stage.close();
    }
  },
};

/** How long before the kill the reader got the first text that is not saved; 0 where all is. */
function lostMs({ bytes, arrivals }: Piece, saved: string, killedAt: number): number {
  for (const { at, length } of arrivals) {
    const text = eventsText(wholeEvents(bytes.subarray(0, length)).events);
    if (!saved.startsWith(text)) return Math.max(0, killedAt - at);
  }
  return 0;
}
