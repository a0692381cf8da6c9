/** Readers that stop reading a long answer: what they cost the server, and the others. */

import { rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startServer } from '../../test/support/server.ts';
import { runsEnd } from '../inspect.ts';
import { eventsText, openReaders, readInference, wholeEvents } from '../reader.ts';
import { atMost, exactly, quantile, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { type Caller, createCaller, expect, liveBytes, makeChat, memoryEnv, tortureEnv } from '../stage.ts';

const USER = 'reader';
/** One character a delta; the largest answer there is, over some three and a half minutes. */
const CHARACTERS = 1024 * 1024;
const PER_SECOND = 5000;
const TICK_MS = 10;
const MEASURE_MS = 8000;
/** By then readers that stop have got all there is room for, and those that leave are gone. */
const SETTLE_MS = 4000;
const WRITERS = 8;
const KIB_EACH = 256;
const SLOWER = 1.2;
const CHAR = (i: number) => String.fromCharCode(97 + (i % 26));

export const readers: Scenario = {
  title: 'readers that stop reading an answer of 1 MiB in one-character deltas',
  row: 'client reads slowly or not at all',
  async run({ readers: count = 200, rounds = 6 }: Sizes): Promise<Result> {
    const model = await startDripModel();
    const file = join(tmpdir(), `parlance-memory-${process.pid}`);
    const env = tortureEnv({ OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'torture', ...memoryEnv(file) });
    const server = await startServer({ env });
    const caller = createCaller(server, USER, WRITERS + 4);
    const evidence: string[] = [];
    try {
      const chat = await makeChat(caller, 'Drip');
      const other = await makeChat(caller);
      let ended = false;
      const good = readInference(server, { user: USER, chat }).finally(() => {
        ended = true;
      });
      const path = `/conversations/inference/${chat}`;
      const with_: number[][] = [];
      const without: number[][] = [];
      let memory = 0;
      // In turn, and the ratio of each pair: what else the machine does is in both of a pair.
      for (let round = 0; round < rounds; round++) {
        const stopped = await openReaders(server, 'stopped', { user: USER, path, count });
        try {
          await wait(SETTLE_MS);
          with_.push(await write(caller, other, MEASURE_MS));
          // What they alone hold is what goes with them: the answer itself grows in memory meanwhile.
          if (round === rounds - 1) memory = await liveBytes(server, file);
        } finally {
          await stopped.leave();
        }
        await wait(SETTLE_MS);
        if (round === rounds - 1) memory -= await liveBytes(server, file);
        without.push(await write(caller, other, MEASURE_MS));
      }
      if (ended) evidence.push('The answer ended before everything was measured: ask for fewer --rounds');

      const { events } = wholeEvents((await good).bytes);
      check(eventsText(events), 'The good reader', evidence);
      const places = [1000, 100_000, 500_000, 900_000, 1_000_000];
      let back = 0;
      for (const place of places) {
        const rest = wholeEvents((await readInference(server, { user: USER, chat, after: String(place) })).bytes);
        if (rest.events === events.slice(events.indexOf(`id: ${place + 1}\n`))) back++;
        else evidence.push(`Who comes back after ${place} gets something else`);
      }
      const ratios = with_.map((times, i) => quantile(times, 0.99) / quantile(without[i] ?? [], 0.99));
      const both = (share: number) => [without, with_].map((all) => quantile(all.flat(), share).toFixed(1)).join(', ');
      return {
        figures: [
          told('stopped readers', count),
          atMost('memory each', Math.round(memory / 1024 / count), KIB_EACH, 'KiB'),
          told(`writes of others in ${rounds} rounds without and with them, p50 in ms`, both(0.5)),
          told('p99 in ms', both(0.99)),
          told("the others' p99 with them, least and most of the rounds", spread(ratios)),
          atMost(
            "the others' p99 with them, median of the rounds",
            Number(quantile(ratios, 0.5).toFixed(2)),
            SLOWER,
            '×',
          ),
          exactly(`of ${places.length} who come back, given the rest byte for byte`, back, places.length),
          exactly('runs left open', await runsEnd(server.data, 10_000), 0),
        ],
        evidence,
      };
    } finally {
      await caller.close();
      await server.close();
      await model.close();
      rmSync(file, { force: true });
    }
  },
};

const spread = (ratios: readonly number[]) =>
  [Math.min(...ratios), Math.max(...ratios)].map((ratio) => `${ratio.toFixed(2)} ×`).join(', ');

/** Writers of another conversation, for so long; gives how many milliseconds each write took. */
async function write(caller: Caller, chat: string, ms: number): Promise<number[]> {
  const times: number[] = [];
  const until = performance.now() + ms;
  const writer = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      const body = { chat_id: chat, role: 'Human', message: 'Meanwhile' };
      await expect(201, caller.call('POST', '/conversations/create', body));
      times.push(performance.now() - began);
      await wait(10);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, writer));
  return times;
}

function check(text: string, who: string, evidence: string[]): void {
  if (text.length !== CHARACTERS) evidence.push(`${who} got ${text.length} characters of ${CHARACTERS}`);
  for (let i = 0; i < text.length; i++) {
    if (text[i] === CHAR(i)) continue;
    evidence.push(`${who} got another character at ${i}`);
    return;
  }
}

/** A model that writes one character an event, at a steady pace. */
async function startDripModel(): Promise<{ url: string; close(): Promise<void> }> {
  const chunk = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({ id: 'd', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const frames = Array.from({ length: 26 }, (_, i) => chunk({ content: CHAR(i) }, null));
  const drip = async (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const began = performance.now();
    for (let sent = 0; sent < CHARACTERS && !response.destroyed; ) {
      let text = '';
      const due = Math.min(CHARACTERS, ((performance.now() - began) / 1000) * PER_SECOND);
      for (; sent < due; sent++) text += frames[sent % 26];
      if (!response.write(text)) await new Promise((resolve) => response.once('drain', resolve));
      await wait(TICK_MS);
    }
    response.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
  };
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'POST') void drip(response);
    else
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"object":"list","data":[{"id":"drip"}]}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
