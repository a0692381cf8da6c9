/** Readers that stop reading a long answer: what they cost the server, and the others. */

import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { startServer, type TestServer } from '../../test/support/server.ts';
import { runsEnd } from '../inspect.ts';
import { eventsText, readInference, wholeEvents } from '../reader.ts';
import { atMost, exactly, quantile, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { createCaller, expect, liveBytes, makeChat, memoryEnv, tortureEnv } from '../stage.ts';

const USER = 'reader';
/** One character a delta; the largest answer there is. */
const CHARACTERS = 1024 * 1024;
const PER_TICK = 200;
const TICK_MS = 5;
/** When the kernel's buffers of readers that stop are full. */
const FULL_AFTER_MS = 10_000;
const WRITERS = 8;
const KIB_EACH = 256;
const SLOWER = 1.2;
const CHAR = (i: number) => String.fromCharCode(97 + (i % 26));

export const readers: Scenario = {
  title: 'readers that stop reading an answer of 1 MiB in one-character deltas',
  row: 'client reads slowly or not at all',
  async run({ readers: count = 200 }: Sizes): Promise<Result> {
    const model = await startDripModel();
    const evidence: string[] = [];
    try {
      // The same twice, so that what the answer itself costs is not counted.
      const without = await measure(model.url, 0, evidence);
      const with_ = await measure(model.url, count, evidence);
      return {
        figures: [
          exactly('stopped readers', with_.stopped, count),
          told('memory in use without and with them, MiB', `${mib(without.bytes)}, ${mib(with_.bytes)}`),
          atMost('memory each', Math.round((with_.bytes - without.bytes) / 1024 / count), KIB_EACH, 'KiB'),
          told('writes of others meanwhile, p50 in ms', `${without.p50.toFixed(1)}, ${with_.p50.toFixed(1)}`),
          told('p99 in ms', `${without.p99.toFixed(1)}, ${with_.p99.toFixed(1)}`),
          atMost("the others' p99 with them", with_.p99 / without.p99, SLOWER, '×'),
          exactly('of 5 who come back, read it to the end', with_.back, 5),
          exactly('runs left open', with_.open, 0),
        ],
        evidence,
      };
    } finally {
      await model.close();
    }
  },
};

const mib = (bytes: number) => (bytes / 1024 / 1024).toFixed(0);

interface Measured {
  stopped: number;
  /** In use by the server while they are stopped. */
  bytes: number;
  p50: number;
  p99: number;
  back: number;
  open: number;
}

/** One long answer with one good reader and `count` that stop, while others write. */
async function measure(model: string, count: number, evidence: string[]): Promise<Measured> {
  const file = join(tmpdir(), `parlance-memory-${process.pid}`);
  const env = tortureEnv({ OPENAI_BASE_URL: model, OPENAI_API_KEY: 'torture', ...memoryEnv(file) });
  const server = await startServer({ env });
  const caller = createCaller(server, USER, WRITERS + 4);
  const sockets: Socket[] = [];
  try {
    const chat = await makeChat(caller, 'Drip');
    const other = await makeChat(caller);
    const good = readInference(server, { user: USER, chat });
    for (let i = 0; i < count; i++) sockets.push(await stoppedReader(server, chat));
    // Until then the kernel takes their share for them, some megabytes each.
    await wait(FULL_AFTER_MS);
    const bytes = await liveBytes(server, file);
    const times: number[] = [];
    let writing = true;
    const writers = Array.from({ length: WRITERS }, async () => {
      while (writing) {
        const began = performance.now();
        const body = { chat_id: other, role: 'Human', message: 'Meanwhile' };
        await expect(201, caller.call('POST', '/conversations/create', body));
        times.push(performance.now() - began);
        await wait(10);
      }
    });
    const whole = await good;
    writing = false;
    await Promise.all(writers);
    const open = await runsEnd(server.data, 10_000);
    check(eventsText(wholeEvents(whole.bytes).events), 'The good reader', evidence);
    let back = 0;
    if (count > 0) {
      for (const [i] of [1, 2, 3, 4, 5].entries()) {
        const after = String(1000 + i * 100_000);
        const rest = await readInference(server, { user: USER, chat, after });
        const all = wholeEvents(whole.bytes).events;
        const from = all.indexOf(`id: ${Number(after) + 1}\n`);
        if (wholeEvents(rest.bytes).events === all.slice(from)) back++;
        else evidence.push(`Who comes back after ${after} gets something else`);
      }
    }
    return { stopped: sockets.length, bytes, p50: quantile(times, 0.5), p99: quantile(times, 0.99), back, open };
  } finally {
    for (const socket of sockets) socket.destroy();
    await caller.close();
    await server.close();
  }
}

function check(text: string, who: string, evidence: string[]): void {
  if (text.length !== CHARACTERS) evidence.push(`${who} got ${text.length} characters of ${CHARACTERS}`);
  for (let i = 0; i < text.length; i++) {
    if (text[i] === CHAR(i)) continue;
    evidence.push(`${who} got another character at ${i}`);
    return;
  }
}

/** Asks for the answer, reads its first bytes, and nothing more. */
function stoppedReader(server: TestServer, chat: string): Promise<Socket> {
  const { hostname, port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port) });
    socket.on('error', reject);
    socket.write(
      `GET /conversations/inference/${chat} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${server.ownerKey}\r\nX-User-ID: ${USER}\r\n\r\n`,
    );
    socket.once('data', () => {
      socket.pause();
      resolve(socket);
    });
  });
}

/** A model that writes one character an event, at a steady pace. */
async function startDripModel(): Promise<{ url: string; close(): Promise<void> }> {
  const chunk = (delta: object, finish: string | null) =>
    `data: ${JSON.stringify({ id: 'd', object: 'chat.completion.chunk', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  const frames = Array.from({ length: 26 }, (_, i) => chunk({ content: CHAR(i) }, null));
  const drip = async (response: ServerResponse) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let sent = 0; sent < CHARACTERS && !response.destroyed; ) {
      let text = '';
      for (let i = 0; i < PER_TICK && sent < CHARACTERS; i++, sent++) text += frames[sent % 26];
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
