import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { route } from '../../src/http/route.ts';
import { call, closed, dialect, open, parseRaw, raw, serve, type TestError } from './serve.ts';

const facts = { summary: 'A call', scope: 'read' as const, counts: 'run' as const, answers: [] };
let handled = 0;
const ok = async () => {
  handled++;
  return { status: 200, body: { ok: true } };
};
const served = await serve({
  dialects: [
    dialect([
      route({ ...facts, method: 'GET', path: '/t/get', handle: ok }),
      route({ ...facts, method: 'POST', path: '/t/post', body: z.record(z.string(), z.unknown()), handle: ok }),
    ]),
  ],
});

const HOST = 'Host: localhost\r\n';
const JSON_BODY = 'Content-Type: application/json\r\n';

describe('what is no HTTP is refused in the shape of whoever claims the path', () => {
  const cases: [name: string, status: number, request: string][] = [
    ['a header without a colon', 400, `GET /t/get HTTP/1.1\r\n${HOST}nonsense\r\n\r\n`],
    ['a header with a space before the colon', 400, `GET /t/get HTTP/1.1\r\nHost : localhost\r\n\r\n`],
    ['a header with a control character', 400, `GET /t/get HTTP/1.1\r\n${HOST}X-A: a\x01b\r\n\r\n`],
    ['a header with NUL', 400, `GET /t/get HTTP/1.1\r\n${HOST}X-A: a\0b\r\n\r\n`],
    ['a method nobody knows', 400, `FOO /t/get HTTP/1.1\r\n${HOST}\r\n`],
    ['a method in lower case', 400, `get /t/get HTTP/1.1\r\n${HOST}\r\n`],
    ['another version', 400, `GET /t/get HTTP/9.9\r\n${HOST}\r\n`],
    ['a target with a space', 400, `GET /t/g et HTTP/1.1\r\n${HOST}\r\n`],
    ['a target that is no path', 400, `GET http://evil.test/t/get HTTP/1.1\r\n${HOST}\r\n`],
    ['no Host', 400, 'GET /t/get HTTP/1.1\r\n\r\n'],
    ['two Hosts', 400, `GET /t/get HTTP/1.1\r\n${HOST}Host: evil.test\r\n\r\n`],
    ['two equal Hosts', 400, `GET /t/get HTTP/1.1\r\n${HOST}${HOST}\r\n`],
    [
      'two Content-Lengths',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} `,
    ],
    ['a negative Content-Length', 400, `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: -1\r\n\r\n`],
    [
      'a Content-Length that is no number',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: 0x2\r\n\r\n{}`,
    ],
    [
      'Content-Length and Transfer-Encoding',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'an unknown Transfer-Encoding',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Transfer-Encoding: identity\r\n\r\n{}`,
    ],
    [
      'a coded body in chunks',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    ],
    [
      'chunked twice',
      400,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['headers over 16 KiB', 431, `GET /t/get HTTP/1.1\r\n${HOST}X-A: ${'a'.repeat(17_000)}\r\n\r\n`],
    ['a target over 8 KiB', 414, `GET /t/get?${'a'.repeat(9000)} HTTP/1.1\r\n${HOST}\r\n`],
    ['a target over every limit', 414, `GET /t/get?${'a'.repeat(20_000)} HTTP/1.1\r\n${HOST}\r\n`],
    ['bad percent-encoding', 400, `GET /t/%E0%A4%A HTTP/1.1\r\n${HOST}\r\n`],
    ['percent-encoded bytes that are no UTF-8', 400, `GET /t/%FF HTTP/1.1\r\n${HOST}\r\n`],
  ];
  for (const [name, status, request] of cases) {
    test(`${name}: ${status}`, async () => {
      const before = handled;
      const reply = parseRaw(await raw(served, request.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n')));
      assert.equal(reply.status, status, reply.text);
      assert.equal((reply.json as TestError).dialect, 'test', reply.text);
      assert.equal(reply.headers['content-type'], 'application/json; charset=utf-8');
      assert.equal(reply.headers['x-content-type-options'], 'nosniff');
      assert.match(reply.headers['x-request-id'] as string, /^req-/);
      assert.equal(handled, before, 'nothing is handled');
    });
  }
  for (const [name, request] of [
    ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'],
  ] as const) {
    test(`${name}: 400 in the shape of the standards`, async () => {
      const reply = parseRaw(await raw(served, Buffer.from(request, 'latin1')));
      assert.equal(reply.status, 400);
      const { error } = reply.json as { error: Record<string, string> };
      assert.deepEqual(
        Object.values(error).map((value) => typeof value),
        ['string', 'string', 'string', 'string'],
      );
    });
  }
});

describe('smuggling', () => {
  test('what follows a request that is refused by the parser is not a request', async () => {
    const before = handled;
    const hidden = 'GET /t/get HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const text = await raw(
      served,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: ${hidden.length}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`,
    );
    assert.equal(text.match(/HTTP\/1\.1/g)?.length, 1);
    assert.equal(handled, before);
  });
  test('a chunk size that is no number ends the connection', async () => {
    const before = handled;
    const text = await raw(
      served,
      `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n`,
    );
    assert.match(text, /^HTTP\/1\.1 400/);
    assert.equal(handled, before);
  });
  test('requests on one connection are answered in order', async () => {
    const one = `GET /t/get HTTP/1.1\r\n${HOST}X-Request-Id: one\r\n\r\n`;
    const two = `GET /t/nothing HTTP/1.1\r\n${HOST}X-Request-Id: two\r\n\r\n`;
    const three = `GET /t/get HTTP/1.1\r\n${HOST}X-Request-Id: three\r\nConnection: close\r\n\r\n`;
    const ids = [...(await raw(served, one + two + three)).matchAll(/x-request-id: (\w+)/g)].map(([, id]) => id);
    assert.deepEqual(ids, ['one', 'two', 'three']);
  });
});

test('CONNECT is not served', async () => {
  const text = await raw(served, 'CONNECT evil.test:443 HTTP/1.1\r\nHost: evil.test:443\r\n\r\n');
  assert.ok(!text.includes(' 200 '), text);
});

test('HTTP/1.0 without a Host is not local', async () => {
  const reply = parseRaw(await raw(served, 'GET /t/get HTTP/1.0\r\n\r\n'));
  assert.equal(reply.status, 403);
  assert.match((reply.json as TestError).message, /^Host ""/);
});

test('HTTP/1.0 from here is answered', async () => {
  const reply = parseRaw(await raw(served, `GET /t/get HTTP/1.0\r\n${HOST}\r\n`));
  assert.deepEqual([reply.status, reply.json], [200, { ok: true }]);
});

test('a sender who leaves in the middle of a body disturbs nobody', async () => {
  const before = handled;
  const socket = await open(served, `POST /t/post HTTP/1.1\r\n${HOST}${JSON_BODY}Content-Length: 100\r\n\r\n{"a":`);
  socket.destroy();
  await closed(socket);
  assert.equal((await call(served, 'GET', '/t/get')).status, 200);
  assert.equal(handled, before + 1);
  assert.deepEqual(
    served.logs.filter(({ level }) => level === 'error'),
    [],
  );
});

test('many connections that say nothing do not keep others out', async () => {
  const idle = await Promise.all(
    Array.from({ length: 200 }, async () => {
      const socket = connect(served.port, '127.0.0.1');
      await once(socket, 'connect');
      return socket;
    }),
  );
  assert.equal((await call(served, 'GET', '/t/get')).status, 200);
  for (const socket of idle) socket.destroy();
});
