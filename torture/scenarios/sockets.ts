/** Connections that hold on without a word, and sockets that never stop talking. */

import { rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import WebSocket from 'ws';
import { residentMiB } from '../../bench/processes.ts';
import { startServer, type TestServer } from '../../test/support/server.ts';
import { inspect, runsEnd } from '../inspect.ts';
import { atLeast, atMost, exactly, inLanes, type Result, type Scenario, type Sizes, told } from '../scenario.ts';
import { liveBytes, memoryEnv, openStage, processOf, tortureEnv } from '../stage.ts';

const SLOW = 100;
/** What Node's own check of time limits adds at most (`connectionsCheckingInterval`). */
const CHECK_S = 5;
const HEAD_S = 10 + CHECK_S;
const REQUEST_S = 30 + CHECK_S;
const SILENT_S = 45 + CHECK_S;
const KB_EACH = 30;
const PATIENCE_MS = 90_000;

export const sockets: Scenario = {
  title: 'half-open connections, slow requests, and idle sockets',
  row: 'half-open TCP, slowloris, 10,000 idle sockets',
  async run({ sockets: count = 10_000 }: Sizes): Promise<Result> {
    const file = join(tmpdir(), `parlance-memory-${process.pid}`);
    const server = await startServer({ env: tortureEnv(memoryEnv(file)) });
    const pid = processOf(server);
    const idle: WebSocket[] = [];
    try {
      await inLanes(50, 10, async () => (await openWebSocket(server, 'warm-up')).terminate());
      await wait(500);
      const used = await liveBytes(server, file);
      const before = residentMiB(pid);
      await inLanes(count, 50, async (i) => {
        idle.push(await openWebSocket(server, `user-${i % 100}`));
      });
      await wait(1000);
      const resident = ((residentMiB(pid) - before) * 1024 * 1.024) / count;
      const each = ((await liveBytes(server, file)) - used) / 1000 / count;

      const head = many(() => slowly(server, 'GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', 'x'));
      const authorized = `POST /chats/create HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${server.ownerKey}\r\n`;
      const body = many(() =>
        slowly(server, `${authorized}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n`, ' '),
      );
      const mute = many(async () => {
        const socket = await openWebSocket(server, 'mute', false);
        return closed((done) => socket.once('close', done));
      });
      const [heads, bodies, mutes] = await Promise.all([head, body, mute]);
      const alive = idle.filter((socket) => socket.readyState === WebSocket.OPEN).length;
      return {
        figures: [
          told('idle WebSockets', count),
          atMost('memory in use of each', Number(each.toFixed(1)), KB_EACH, 'kB'),
          told('resident memory of each, garbage and all, kB', resident.toFixed(1)),
          exactly('of them alive, since they answer pings', alive, count),
          ...freed(`heads of one byte a second (${SLOW})`, heads, HEAD_S),
          ...freed(`bodies of one byte a second (${SLOW})`, bodies, REQUEST_S),
          ...freed(`WebSockets that answer no ping (${SLOW})`, mutes, SILENT_S),
          exactly('a request afterwards', (await fetch(`${server.url}/readyz`)).status, 200),
        ],
        evidence: [],
      };
    } finally {
      for (const socket of idle) socket.terminate();
      await server.close();
      rmSync(file, { force: true });
    }
  },
};

function freed(what: string, seconds: (number | null)[], limit: number) {
  const known = seconds.filter((it) => it !== null);
  return [
    exactly(`${what}, freed`, known.length, seconds.length),
    atMost(`${what}, the last after`, Number(Math.max(0, ...known).toFixed(1)), limit, 's'),
  ];
}

function many(open: () => Promise<number | null>): Promise<(number | null)[]> {
  return Promise.all(Array.from({ length: SLOW }, open));
}

/** Seconds until it is closed; null if it is not. */
function closed(listen: (done: () => void) => void): Promise<number | null> {
  const began = performance.now();
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(null), PATIENCE_MS);
    listen(() => {
      clearTimeout(timer);
      resolve((performance.now() - began) / 1000);
    });
  });
}

/** Sends the start of a request, and then a byte a second. */
async function slowly(server: TestServer, start: string, byte: string): Promise<number | null> {
  const { hostname, port } = new URL(server.url);
  const socket: Socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  socket.resume();
  socket.write(start);
  const timer = setInterval(() => socket.write(byte), 1000);
  const seconds = await closed((done) => socket.once('close', done));
  clearInterval(timer);
  socket.destroy();
  return seconds;
}

function openWebSocket(server: TestServer, user: string, autoPong = true): Promise<WebSocket> {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}/ws?user_id=${user}`, {
    headers: { authorization: `Bearer ${server.ownerKey}` },
    perMessageDeflate: false,
    autoPong,
  });
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
    socket.on('error', () => {});
  });
}

const FLOODERS = 20;
const FRAMES = 2000;
const RATE = 100;
const DELAY_MS = 100;

export const flood: Scenario = {
  title: 'a flood of WebSocket frames',
  row: 'WebSocket flood',
  async run(_: Sizes): Promise<Result> {
    const stage = await openStage({ PARLANCE_RATE_PER_MINUTE: String(RATE), PARLANCE_RATE_PER_HOUR: '1000' });
    const { server } = stage;
    try {
      await floodFrames(server, 'warm-up');
      await delayP99(server);
      const codes = await Promise.all(Array.from({ length: FLOODERS }, (_, i) => floodFrames(server, `flooder-${i}`)));
      const delay = await delayP99(server);
      const large = await Promise.all(Array.from({ length: FLOODERS }, (_, i) => floodLarge(server, `large-${i}`)));
      const open = await runsEnd(server.data, 20_000);
      const { requests } = await stage.modelCounts();
      return {
        figures: [
          exactly(
            `sockets closed with 1008, of ${FLOODERS} sending ${FRAMES} frames each`,
            count(codes, 1008),
            FLOODERS,
          ),
          exactly(`sockets closed with 1009, of ${FLOODERS} sending over 1 MiB`, count(large, 1009), FLOODERS),
          atMost('calls of the model', requests, (FLOODERS + 1) * RATE),
          atLeast('calls of the model, at least one a socket', requests, FLOODERS),
          atMost('event-loop delay meanwhile, p99', Number((delay * 1000).toFixed(1)), DELAY_MS, 'ms'),
          exactly('runs left open', open, 0),
        ],
        evidence: inspect(server.data),
      };
    } finally {
      await stage.close();
    }
  },
};

const count = (codes: number[], code: number) => codes.filter((it) => it === code).length;

async function floodFrames(server: TestServer, user: string): Promise<number> {
  const socket = await openWebSocket(server, user);
  const ended = new Promise<number>((resolve) => socket.once('close', resolve));
  const frame = JSON.stringify({ type: 'message', content: 'bench tokens=5 write=5' });
  for (let i = 0; i < FRAMES && socket.readyState === WebSocket.OPEN; i++) {
    socket.send(frame);
    if (i % 100 === 99) await new Promise(setImmediate);
  }
  const code = await Promise.race([ended, wait(20_000, 0)]);
  socket.terminate();
  return code;
}

async function floodLarge(server: TestServer, user: string): Promise<number> {
  const socket = await openWebSocket(server, user);
  const ended = new Promise<number>((resolve) => socket.once('close', resolve));
  socket.send('x'.repeat(1024 * 1024 + 1));
  const code = await Promise.race([ended, wait(20_000, 0)]);
  socket.terminate();
  return code;
}

/** Since the last time it was asked for, in seconds. */
async function delayP99(server: TestServer): Promise<number> {
  const headers = { authorization: `Bearer ${server.ownerKey}` };
  const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
  const found = /^parlance_event_loop_delay_p99_seconds (\S+)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error(`/metrics does not tell the event-loop delay: ${text.slice(0, 200)}`);
  return Number(found);
}
