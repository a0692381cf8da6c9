/**
 * "A stream can be picked up again from any event, byte for byte" (DESIGN.md, promise 4): streams of dialect 3 cut at any
 * byte and resumed with `Last-Event-ID`, while the answer is written, afterwards, and after a restart.
 */

import assert from 'node:assert/strict';
import { type ClientRequest, request } from 'node:http';
import { before, describe, it } from 'node:test';
import { messageText, parseEvents } from '../support/event-source.ts';
import { type ModelCall, words } from '../support/model-server.ts';
import type { Client } from '../support/server.ts';
import { useServer } from '../support/use-server.ts';

const READERS = 100;
/** Texts that are cut in bad places easily: line ends, blanks, and characters of up to four bytes. */
const TEXT = Array.from(
  { length: 12 },
  (_, i) => `${i}: héllo 👋🏽 wörld,\n\n  line\r\nafter  two — “quoted” \u2028 end\n`,
).join('');
const TOKENS = words(TEXT).length;
const DONE = 'event: done';

/** Random numbers that a failed run can be repeated with: `TEST_SEED=… npm test -- test/journeys/cuts.test.ts`. */
const SEED = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * 2 ** 31));
let state = SEED;
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state % below;
}

const { model, server } = await useServer();

/** A chat whose newest entry is not answered yet. */
async function unanswered(client: Client): Promise<string> {
  const { body: chat } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Cut' } });
  const entry = { chat_id: chat.id, role: 'Human', message: 'Tell me.' };
  await client.request('POST', '/conversations/create', { body: entry });
  return chat.id;
}

/** What was read of a stream before its connection was gone. */
interface Piece {
  status: number;
  bytes: Buffer;
  ended: boolean;
}

/** Reads a stream, and destroys the connection when so many bytes of it have come. */
function read(client: Client, chat: string, lastEventId: string | null, cutAt: number): Promise<Piece> {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: server.ownerKey,
      'x-user-id': client.user,
      ...(lastEventId !== null && { 'last-event-id': lastEventId }),
    };
    const path = `${server.url}/conversations/inference/${chat}`;
    const sent: ClientRequest = request(path, { headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      const finish = (ended: boolean) => {
        const bytes = Buffer.concat(chunks).subarray(0, cutAt);
        resolve({ status: response.statusCode ?? 0, bytes, ended });
      };
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk);
        size += chunk.length;
        if (size < cutAt) return;
        finish(false);
        sent.destroy();
      });
      response.on('end', () => finish(true));
      response.on('error', () => finish(false));
    });
    sent.on('error', reject);
    sent.end();
  });
}

/** The events that came whole, and the id to go on from. A heartbeat is no event. */
function wholeEvents({ bytes }: Piece): { bytes: Buffer; last: string | null } {
  const end = bytes.lastIndexOf('\n\n');
  const whole = bytes.subarray(0, end === -1 ? 0 : end + 2);
  const last = [...whole.toString('utf8').matchAll(/^id: (\d+)$/gm)].at(-1)?.[1] ?? null;
  return { bytes: whole, last };
}

/** Reads a stream to its end over many connections, each cut at a random byte; what it has then, and the cuts. */
async function readInPieces(client: Client, chat: string): Promise<{ bytes: Buffer; cuts: number }> {
  const pieces: Buffer[] = [];
  let last: string | null = null;
  for (let cuts = 0; ; cuts++) {
    const piece = await read(client, chat, last, 1 + random(1200));
    assert.equal(piece.status, 200);
    const whole = wholeEvents(piece);
    pieces.push(whole.bytes);
    last = whole.last ?? last;
    if (whole.bytes.includes(DONE)) return { bytes: Buffer.concat(pieces), cuts };
    assert.ok(!piece.ended, `the stream ended without its end after ${last}`);
  }
}

const withoutHeartbeats = (bytes: Buffer) => bytes.toString('utf8').replaceAll(/^:\n\n/gm, '');

async function readWhole(client: Client, chat: string): Promise<string> {
  const { bytes, ended } = await read(client, chat, null, Number.POSITIVE_INFINITY);
  assert.ok(ended);
  return withoutHeartbeats(bytes);
}

describe(`${READERS} streams cut at random bytes (TEST_SEED=${SEED})`, () => {
  let client: Client;
  let chat: string;
  let uncut: string;
  let call: ModelCall;

  before(async () => {
    client = server.client();
    chat = await unanswered(client);
  });

  it('are byte-equal to an uncut one while the answer is written, and the model is asked once', async () => {
    model.next({ text: TEXT, gated: true });
    const whole = readWhole(client, chat);
    call = await model.call(0);
    const readers = Array.from({ length: READERS }, () => readInPieces(client, chat));
    for (let left = TOKENS; left > 0; ) {
      const count = Math.min(left, 1 + random(7));
      left -= count;
      await call.release(count);
      // What was released is to reach readers piece by piece, not in one read.
      await new Promise(setImmediate);
    }
    uncut = await whole;
    const all = await Promise.all(readers);
    for (const [i, { bytes }] of all.entries()) assert.equal(withoutHeartbeats(bytes), uncut, `reader ${i}`);
    assert.ok(all.reduce((sum, { cuts }) => sum + cuts, 0) >= READERS, 'streams were cut');
    assert.equal(model.calls.length, 1);
    assert.equal(messageText(parseEvents(uncut)), TEXT.replaceAll('\r\n', '\n'));
  });

  it('number every event, growing', () => {
    const ids = parseEvents(uncut).map(({ id }) => Number(id));
    assert.ok(ids.length > 100);
    assert.deepEqual(
      ids,
      [...new Set(ids)].toSorted((a, b) => a - b),
    );
    assert.equal(uncut.split('\n\n').filter((block) => block !== '' && !block.startsWith('id: ')).length, 0);
  });

  it('are byte-equal after the answer has ended', async () => {
    assert.equal(await readWhole(client, chat), uncut);
    const readers = await Promise.all(Array.from({ length: READERS }, () => readInPieces(client, chat)));
    for (const [i, { bytes }] of readers.entries()) assert.equal(withoutHeartbeats(bytes), uncut, `reader ${i}`);
    assert.equal(model.calls.length, 1);
  });

  it('go on behind every single event, and get 204 behind the last', async () => {
    const blocks = uncut.split(/(?<=\n\n)/);
    for (const [i, block] of blocks.entries()) {
      const [, id = ''] = /^id: (\d+)/.exec(block) ?? [];
      const rest = await read(client, chat, id, Number.POSITIVE_INFINITY);
      const expected = blocks.slice(i + 1).join('');
      const wanted = expected === '' ? 204 : 200;
      assert.deepEqual([rest.status, withoutHeartbeats(rest.bytes)], [wanted, expected], `after ${id}`);
    }
  });

  for (const how of ['SIGTERM', 'kill -9'] as const) {
    it(`are byte-equal after ${how} and a restart`, async () => {
      if (how === 'SIGTERM') await server.stop();
      else await server.kill();
      await server.start();
      assert.equal(await readWhole(client, chat), uncut);
      const readers = await Promise.all(Array.from({ length: 20 }, () => readInPieces(client, chat)));
      for (const [i, { bytes }] of readers.entries()) assert.equal(withoutHeartbeats(bytes), uncut, `reader ${i}`);
      assert.equal(model.calls.length, 1);
    });
  }
});

it('an answer that broke off is resumed byte-equal too', async () => {
  const client = server.client();
  const chat = await unanswered(client);
  const from = model.calls.length;
  model.next({ text: TEXT, cut: 20 });
  const uncut = await readWhole(client, chat);
  assert.equal(JSON.parse(parseEvents(uncut).at(-1)?.data ?? '').finish_reason, 'incomplete');
  for (let i = 0; i < 10; i++) assert.equal(withoutHeartbeats((await readInPieces(client, chat)).bytes), uncut);
  assert.equal(model.calls.length, from + 1);
});
