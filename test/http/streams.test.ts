import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { beforeEach, describe, test } from 'node:test';
import fc from 'fast-check';
import { type EventOut, route, type StreamSource } from '../../src/http/route.ts';
import { closed, dialect, open, parseRaw, raw, type Served, serve, settled, until } from './serve.ts';

/** A stream as the test feeds it, and what happened to it. */
interface Feed {
  out: EventOut;
  resumed: number;
  stopped: number;
}

let feeds: Feed[] = [];
let onOpen: (out: EventOut) => void = () => {};

function stream(out: EventOut): StreamSource {
  const feed: Feed = { out, resumed: 0, stopped: 0 };
  feeds.push(feed);
  onOpen(out);
  return {
    resume: () => void feed.resumed++,
    stop: () => void feed.stopped++,
  };
}

const facts = {
  method: 'GET' as const,
  summary: 'A stream',
  scope: 'read' as const,
  counts: 'run' as const,
  answers: [],
};
const table = dialect([
  route({ ...facts, path: '/t/stream', handle: async () => ({ headers: { 'x-extra': '1' }, stream }) }),
  route({
    ...facts,
    path: '/t/broken',
    handle: async () => ({
      stream() {
        throw new Error('broken stream');
      },
    }),
  }),
  route({ ...facts, path: '/t/plain', handle: async () => ({ status: 200, body: { plain: true } }) }),
]);
const served = await serve({ dialects: [table] });

beforeEach(() => {
  feeds = [];
  onOpen = () => {};
});

const GET = 'GET /t/stream HTTP/1.1\r\nHost: localhost\r\n';

/** Opens a stream and gives its feed; the connection is read only by what the test adds to it. */
async function follow(head = `${GET}\r\n`, at: Served = served) {
  const count = feeds.length;
  const socket = await open(at, head);
  await until(() => feeds.length > count, 'the stream is opened');
  return { socket, feed: feeds[count] as Feed };
}

async function followMany(count: number, at: Served = served) {
  const many: Awaited<ReturnType<typeof follow>>[] = [];
  while (many.length < count) many.push(await follow(undefined, at));
  return many;
}

/** Collects what a connection gives. */
function collect(socket: Awaited<ReturnType<typeof open>>) {
  const got = { text: '' };
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    got.text += chunk;
  });
  socket.resume();
  return got;
}

/** The body of an answer in chunks. */
function unchunk(text: string): string {
  let rest = text;
  let body = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, end), 16);
    assert.ok(Number.isInteger(size), `a chunk size: ${JSON.stringify(rest.slice(0, 20))}`);
    if (size === 0) {
      assert.equal(rest.slice(end), '\r\n\r\n');
      return body;
    }
    const bytes = Buffer.from(rest.slice(end + 2));
    body += bytes.subarray(0, size).toString();
    assert.equal(bytes.subarray(size, size + 2).toString(), '\r\n');
    rest = bytes.subarray(size + 2).toString();
  }
}

describe('the wire', () => {
  test('has the headers of a stream', async () => {
    onOpen = (out) => out.end('data: a\n\n');
    const reply = parseRaw(await raw(served, `${GET}Connection: close\r\n\r\n`));
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(reply.headers['cache-control'], 'no-store');
    assert.equal(reply.headers['x-accel-buffering'], 'no');
    assert.equal(reply.headers['x-content-type-options'], 'nosniff');
    assert.equal(reply.headers['x-extra'], '1');
    assert.ok('ratelimit-limit' in reply.headers);
    assert.equal(unchunk(reply.text), 'data: a\n\n');
  });
  test('carries any text, in order', async () => {
    const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 50 }), { maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(texts, async (pieces) => {
        onOpen = (out) => {
          for (const piece of pieces) out.write(piece);
          out.end();
        };
        const reply = parseRaw(await raw(served, `${GET}Connection: close\r\n\r\n`));
        assert.equal(unchunk(reply.text), pieces.join(''));
      }),
      { numRuns: 50 },
    );
  });
  test('carries a text far larger than one piece, whatever it is made of', async () => {
    const text = `${'😀'.repeat(100_000)}a${'é漢😀'.repeat(50_000)}`;
    onOpen = (out) => out.end(text);
    const reply = parseRaw(await raw(served, `${GET}Connection: close\r\n\r\n`));
    assert.ok(unchunk(reply.text) === text);
  });
  test('one write of the source is one packet, with its end', async () => {
    const { socket, feed } = await follow();
    const chunks: string[] = [];
    socket.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
    socket.resume();
    await until(() => chunks.length === 1, 'the head came');
    feed.out.write('data: one\n\n');
    await until(() => chunks.length === 2, 'the event came');
    assert.equal(chunks[1], 'b\r\ndata: one\n\n\r\n');
    feed.out.end('data: two\n\n');
    await until(() => chunks.length === 3, 'the end came');
    assert.equal(chunks[2], 'b\r\ndata: two\n\n\r\n0\r\n\r\n');
    socket.destroy();
  });
  test('the head and what is there at once are one packet', async () => {
    onOpen = (out) => out.write('data: a\n\n');
    const { socket } = await follow();
    socket.setEncoding('utf8');
    const [first] = await once(socket.resume(), 'data');
    assert.match(first, /^HTTP\/1\.1 200 [\s\S]*data: a\n\n\r\n$/);
    socket.destroy();
  });
  test('the connection serves the next request after the end', async () => {
    onOpen = (out) => out.end('data: a\n\n');
    const next = 'GET /t/plain HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const text = await raw(served, `${GET}\r\n${next}`);
    assert.match(text, /data: a\n\n\r\n0\r\n\r\nHTTP\/1\.1 200[\s\S]*\{"plain":true\}$/);
  });
  test('a stream behind another on the same connection waits for it', async () => {
    onOpen = (out) => setImmediate(() => out.end(`data: ${feeds.length}\n\n`));
    const text = await raw(served, `${GET}\r\n${GET}Connection: close\r\n\r\n`);
    assert.match(text, /data: 1\n\n[\s\S]*HTTP\/1\.1 200[\s\S]*data: 2\n\n/);
  });
  test('HTTP/1.0 gets no chunks', async () => {
    onOpen = (out) => {
      out.write('data: a\n\n');
      out.end('data: b\n\n');
    };
    const reply = parseRaw(await raw(served, 'GET /t/stream HTTP/1.0\r\nHost: localhost\r\n\r\n'));
    assert.equal(reply.text, 'data: a\n\ndata: b\n\n');
  });
  test('an empty text does not end it', async () => {
    onOpen = (out) => {
      out.write('');
      out.end('data: a\n\n');
    };
    const reply = parseRaw(await raw(served, `${GET}Connection: close\r\n\r\n`));
    assert.equal(unchunk(reply.text), 'data: a\n\n');
  });
  test('garbage that a reader sends after its request is not answered', async () => {
    const { socket, feed } = await follow();
    const got = collect(socket);
    socket.write('garbage\r\n\r\n');
    await closed(socket);
    assert.equal(got.text.match(/HTTP\/1\.1/g)?.length, 1);
    await until(() => feed.stopped === 1, 'the source is stopped');
  });
});

describe('the source', () => {
  test('is stopped once when the reader leaves, and may then write in vain', async () => {
    const { socket, feed } = await follow();
    socket.destroy();
    await until(() => feed.stopped > 0, 'the source is stopped');
    assert.equal(feed.out.write('data: late\n\n'), false);
    feed.out.end('data: later\n\n');
    assert.equal(feed.stopped, 1);
  });
  test('is not stopped when it ends by itself', async () => {
    onOpen = (out) => out.end('data: a\n\n');
    await raw(served, `${GET}Connection: close\r\n\r\n`);
    assert.deepEqual([feeds[0]?.stopped, feeds[0]?.resumed], [0, 0]);
    assert.equal(feeds[0]?.out.write('data: late\n\n'), false);
  });
  test('that fails to open cuts the reader off and is logged', async () => {
    const text = await raw(served, 'GET /t/broken HTTP/1.1\r\nHost: localhost\r\n\r\n');
    assert.ok(!text.includes('broken stream'));
    assert.ok(served.logs.some(({ facts: line }) => (line.err as Error).message === 'broken stream'));
  });
});

describe('a reader who does not read', () => {
  const piece = `data: ${'x'.repeat(1000)}\n\n`;

  /** Writes until there is no room; gives the bytes that were taken in all. */
  function fill(feed: Feed): number {
    let bytes = 0;
    do bytes += piece.length;
    while (feed.out.write(piece));
    return bytes;
  }

  test('costs a bounded amount, and its source waits until there is room', async () => {
    const { socket, feed } = await follow();
    let bytes = fill(feed);
    // The kernel's own buffers are large on loopback; what the process holds is bounded.
    await settled();
    while (feed.resumed > 0) {
      feed.resumed = 0;
      bytes += fill(feed);
      await settled();
    }
    assert.equal(feed.out.write('data: last\n\n'), false, 'there is no room');
    const got = collect(socket);
    await until(() => feed.resumed === 1, 'the source goes on');
    feed.out.end('data: end\n\n');
    await until(() => got.text.endsWith('0\r\n\r\n'), 'all of it came');
    assert.equal(got.text.split(piece).length - 1, bytes / piece.length);
    assert.equal(feed.resumed, 1);
    assert.equal(feed.stopped, 0);
    socket.destroy();
  });

  test('is dropped after 60 s in which nothing was taken', async () => {
    const { socket, feed } = await follow();
    await stuff(feed);
    served.clock.move(57_500);
    assert.equal(feed.stopped, 0);
    served.clock.move(5_000);
    await until(() => feed.stopped === 1, 'the source is stopped');
    collect(socket);
    await closed(socket);
  });

  test('is kept as long as something is taken', async () => {
    const { socket, feed } = await follow();
    for (let round = 0; round < 4; round++) {
      await stuff(feed);
      served.clock.move(40_000);
      const before = feed.resumed;
      socket.resume();
      await until(() => feed.resumed > before, 'something was taken');
      socket.pause();
    }
    assert.equal(feed.stopped, 0);
    socket.destroy();
  });

  /** Writes until the kernel takes no more either. */
  async function stuff(feed: Feed): Promise<void> {
    for (;;) {
      const before = feed.resumed;
      fill(feed);
      await settled();
      if (feed.resumed === before) return;
    }
  }
});

describe('heartbeats', () => {
  test('come every 15 s when nothing else does', async () => {
    const { socket, feed } = await follow();
    const got = collect(socket);
    served.clock.move(15_000);
    await until(() => got.text.includes('3\r\n:\n\n\r\n'), 'a heartbeat came');
    feed.out.write('data: a\n\n');
    served.clock.move(12_500);
    feed.out.end();
    await until(() => got.text.endsWith('0\r\n\r\n'), 'the end came');
    assert.equal(got.text.split(':\n\n').length - 1, 1);
    socket.destroy();
  });
  test('one timer serves all streams, and stops with the last', async () => {
    const many = await followMany(20);
    const gots = many.map(({ socket }) => collect(socket));
    served.clock.move(15_000);
    await until(() => gots.every(({ text }) => text.includes(':\n\n')), 'all have a heartbeat');
    for (const { socket } of many) socket.destroy();
    await until(() => many.every(({ feed }) => feed.stopped === 1), 'all are stopped');
  });
});

test('a revoked key loses its streams within 5 s, others keep theirs', async () => {
  const withKey = (key: string) => `${GET}Authorization: Bearer ${key}\r\n\r\n`;
  const { socket: alices, feed: alice } = await follow(withKey('plk_alice'));
  const { socket: bobs, feed: bob } = await follow(withKey('plk_bob'));
  const got = collect(alices);
  served.clock.move(5_000);
  await settled();
  assert.equal(alice.stopped, 0);
  served.revoked.add('key-alice');
  served.clock.move(5_000);
  await until(() => alice.stopped === 1, 'the stream is stopped');
  await until(() => got.text.endsWith('0\r\n\r\n'), 'the stream is ended');
  assert.equal(bob.stopped, 0);
  assert.equal(bob.out.write('data: on\n\n'), true);
  for (const socket of [alices, bobs]) socket.destroy();
});

test('two hundred stopped readers do not hold up one who reads', async () => {
  const at = await serve({ dialects: [table] });
  const stopped = await followMany(200, at);
  const { socket, feed } = await follow(undefined, at);
  const got = collect(socket);
  const text = 'data: x\n\n'.repeat(4000);
  for (const { feed: one } of stopped) while (one.out.write(text)) {}
  feed.out.end('data: through\n\n');
  await until(() => got.text.includes('data: through'), 'the reader has it');
  for (const one of stopped) one.socket.destroy();
  socket.destroy();
});

test('a reader who closes only its sending half has left', async () => {
  const count = feeds.length;
  const socket = connect({ port: served.port, host: '127.0.0.1', allowHalfOpen: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.resume();
  socket.end(`${GET}\r\n`);
  await until(() => feeds.length > count && (feeds[count] as Feed).stopped === 1, 'the source is stopped');
  socket.destroy();
});
