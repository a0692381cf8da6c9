import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request as httpRequest } from 'node:http';
import { describe, test } from 'node:test';
import { z } from 'zod';
import { route } from '../../src/http/route.ts';
import { call, closed, dialect, open, parseRaw, post, type Reply, raw, serve, type TestError } from './serve.ts';

const LIMIT = 64 * 1024;
const facts = { summary: 'A call', scope: 'read' as const, counts: 'run' as const, answers: [] };
const echo = async ({ body }: { body: unknown }) => ({ status: 200, body: { got: body ?? null } });
const message = z.object({
  text: z.string().min(1).max(20),
  role: z.enum(['Human', 'Assistant']).exactOptional(),
  count: z.int().min(1).max(3).exactOptional(),
  tags: z.array(z.string()).max(2).exactOptional(),
  inner: z.object({ list: z.array(z.object({ name: z.string() })) }).exactOptional(),
  code: z.string().regex(/^\d+$/, 'Only digits, please.').exactOptional(),
});

const table = dialect([
  route({ ...facts, method: 'POST', path: '/t/message', body: message, handle: echo }),
  route({
    ...facts,
    method: 'POST',
    path: '/t/optional',
    body: z.object({ title: z.string() }).optional(),
    handle: echo,
  }),
  route({ ...facts, method: 'POST', path: '/t/none', handle: async () => ({ status: 200, body: { ok: true } }) }),
  route({ ...facts, method: 'DELETE', path: '/t/none', handle: async () => ({ status: 204 }) }),
  route({
    ...facts,
    method: 'POST',
    path: '/t/form',
    body: z.object({ prompt: z.string(), more: z.string().exactOptional() }),
    bodyTypes: ['json', 'form', 'multipart'],
    handle: echo,
  }),
  route({
    ...facts,
    method: 'POST',
    path: '/t/repaired',
    body: z.object({ a: z.number() }),
    repairJson: (json) => json.replace(/,\s*}/g, '}'),
    handle: echo,
  }),
  route({ ...facts, method: 'POST', path: '/t/any', body: z.record(z.string(), z.unknown()), handle: echo }),
  route({
    ...facts,
    method: 'GET',
    path: '/t/query/:id',
    params: z.object({ id: z.string().max(5) }),
    query: z.object({ limit: z.coerce.number<string>().int().min(1).max(100).exactOptional() }),
    handle: async ({ params, query }) => ({ status: 200, body: { params, query } }),
  }),
]);

const served = await serve({ dialects: [table], maxBody: LIMIT });

const got = (reply: Reply) => (reply.json as { got: unknown }).got;
const error = (reply: Reply) => reply.json as TestError;

describe('no body', () => {
  for (const headers of [
    {},
    { 'content-type': 'application/json' },
    { 'content-type': 'text/plain' },
    { 'content-length': '0' },
  ]) {
    test(`an empty body is none: ${JSON.stringify(headers)}`, async () => {
      const reply = await call(served, 'POST', '/t/optional', { headers });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(got(reply), null);
    });
  }
  test('an empty body in chunks is none', async () => {
    const headers = { 'transfer-encoding': 'chunked', 'content-type': 'text/plain' };
    const reply = await call(served, 'POST', '/t/optional', { headers, body: '' });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(got(reply), null);
  });
  test('where one is needed, the missing fields are named', async () => {
    const reply = await call(served, 'POST', '/t/message');
    assert.equal(reply.status, 400);
    assert.equal(error(reply).message, 'text is required');
    assert.deepEqual(error(reply).fields, { text: ['This field is required.'] });
  });
  test('where nothing in it is needed but it itself, that is said', async () => {
    assert.equal(error(await call(served, 'POST', '/t/any')).message, 'A JSON object is needed as the body.');
  });
});

describe('a route without a body', () => {
  for (const headers of [{ 'content-type': 'application/json' }, { 'content-type': 'image/png' }, {}]) {
    test(`ignores one: ${JSON.stringify(headers)}`, async () => {
      assert.equal((await call(served, 'POST', '/t/none', { headers, body: '{not json' })).status, 200);
      const framed = { ...headers, 'content-length': '9' };
      assert.equal((await call(served, 'DELETE', '/t/none', { headers: framed, body: '{not json' })).status, 204);
    });
  }
  test('keeps the connection for the next request', async () => {
    const body = 'x'.repeat(5000);
    const one = `POST /t/none HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const two = 'GET /t/query/1 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n';
    const text = await raw(served, one + two);
    assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 2, text);
  });
});

describe('size', () => {
  test('the limit is taken', async () => {
    const reply = await post(served, '/t/any', JSON.stringify({ a: 'x'.repeat(LIMIT - 8) }));
    assert.equal(reply.status, 200);
  });
  test('more than the limit is refused by its Content-Length, before it is sent', async () => {
    const head = `POST /t/any HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${LIMIT + 1}\r\nConnection: close\r\n\r\n`;
    const reply = parseRaw(await raw(served, head));
    assert.equal(reply.status, 413);
    assert.match(error(reply).message, /larger than 65536 bytes \(PARLANCE_MAX_BODY\)/);
  });
  test('more than the limit in chunks is refused while it is read', async () => {
    const headers = { 'content-type': 'application/json', 'transfer-encoding': 'chunked' };
    const reply = await call(served, 'POST', '/t/any', { headers, body: 'x'.repeat(LIMIT + 1) });
    assert.equal(reply.status, 413);
  });
  test('a sender who goes on after the refusal is cut off', async () => {
    const socket = await open(
      served,
      `POST /t/any HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${1 << 30}\r\n\r\n`,
    );
    let sent = 0;
    const feed = () => {
      while (!socket.destroyed && socket.write('x'.repeat(LIMIT))) sent += LIMIT;
    };
    socket.on('drain', feed);
    socket.resume();
    feed();
    await closed(socket);
    assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken`);
  });
  test('a body is only asked for (100-continue) where it will be read', async () => {
    const send = async (length: number) => {
      const headers = { 'content-type': 'application/json', 'content-length': length, expect: '100-continue' };
      const request = httpRequest({ port: served.port, method: 'POST', path: '/t/any', headers, agent: false });
      let asked = false;
      request.on('continue', () => {
        asked = true;
        request.end('{"a":1}');
      });
      request.on('error', () => {});
      request.flushHeaders();
      const [response] = await once(request, 'response');
      response.resume();
      request.destroy();
      return { asked, status: response.statusCode };
    };
    assert.deepEqual(await send(7), { asked: true, status: 200 });
    assert.deepEqual(await send(LIMIT + 1), { asked: false, status: 413 });
  });
});

describe('type', () => {
  for (const type of [
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
    'application/vnd.api+json',
  ]) {
    test(`${type} is JSON`, async () => {
      const reply = await call(served, 'POST', '/t/any', { headers: { 'content-type': type }, body: '{"a":1}' });
      assert.deepEqual(got(reply), { a: 1 }, reply.text);
    });
  }
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'garbage',
    ';;;',
    'application/json, text/plain',
  ]) {
    test(`${type} is refused, and what to send is said`, async () => {
      const reply = await call(served, 'POST', '/t/any', { headers: { 'content-type': type }, body: '{"a":1}' });
      assert.equal(reply.status, 415);
      assert.match(error(reply).message, /-H 'Content-Type: application\/json'/);
    });
  }
  test('no type is refused', async () => {
    assert.equal((await call(served, 'POST', '/t/any', { body: '{"a":1}' })).status, 415);
  });
  test('a wrong type in chunks is refused', async () => {
    const headers = { 'content-type': 'text/plain', 'transfer-encoding': 'chunked' };
    assert.equal((await call(served, 'POST', '/t/any', { headers, body: '{"a":1}' })).status, 415);
  });
  test('another charset is refused', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-16' };
    assert.equal((await call(served, 'POST', '/t/any', { headers, body: '{"a":1}' })).status, 415);
  });
  for (const encoding of ['gzip', 'br', 'deflate', 'gzip, identity']) {
    test(`Content-Encoding ${encoding} is refused unread`, async () => {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding };
      assert.equal((await call(served, 'POST', '/t/any', { headers, body: '{"a":1}' })).status, 415);
    });
  }
  test('Content-Encoding identity is none', async () => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'identity' };
    assert.equal((await call(served, 'POST', '/t/any', { headers, body: '{"a":1}' })).status, 200);
  });
});

describe('JSON', () => {
  for (const body of [
    '{',
    '{"a":1,}',
    'null',
    '[]',
    '"a"',
    '1',
    'true',
    '{"a":"\\u0000"}',
    '{"a":"\\ud800"}',
    `${'['.repeat(101)}${']'.repeat(101)}`,
    ' ',
  ]) {
    test(`${body.slice(0, 30)} is refused`, async () => {
      assert.equal((await post(served, '/t/any', body)).status, 400);
    });
  }
  test('bytes that are no UTF-8 are refused', async () => {
    const headers = { 'content-type': 'application/json' };
    const reply = await call(served, 'POST', '/t/any', {
      headers,
      body: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    });
    assert.equal(reply.status, 400);
    assert.match(error(reply).message, /UTF-8/);
  });
  test('text in every script comes through, in one piece or in many', async () => {
    const text = 'añ漢字😀\u2028';
    const bytes = Buffer.from(JSON.stringify({ text }));
    assert.deepEqual(got(await post(served, '/t/any', bytes.toString())), { text });
    const socket = await open(
      served,
      `POST /t/any HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`,
    );
    socket.setNoDelay(true);
    for (const byte of bytes) {
      socket.write(Uint8Array.of(byte));
      await new Promise((resolve) => setImmediate(resolve));
    }
    const answer = await socket.setEncoding('utf8').reduce((all: string, chunk: string) => all + chunk, '');
    assert.deepEqual(got(parseRaw(answer)), { text });
  });
  test('a dialect may repair its own', async () => {
    assert.deepEqual(got(await post(served, '/t/repaired', '{"a":1,}')), { a: 1 });
  });
  test('what has to be an object says so', async () => {
    for (const body of ['[]', '1', 'null', '"a"']) {
      assert.equal(error(await post(served, '/t/message', body)).message, 'The body must be a JSON object.');
    }
  });
});

describe('fields', () => {
  const cases: [name: string, body: unknown, fields: Record<string, string[]>][] = [
    ['missing', {}, { text: ['This field is required.'] }],
    ['null', { text: null }, { text: ['Must be a string.'] }],
    ['empty', { text: '' }, { text: ['This field may not be empty.'] }],
    ['too long', { text: 'x'.repeat(21) }, { text: ['Must have at most 20 characters.'] }],
    ['wrong type', { text: 1 }, { text: ['Must be a string.'] }],
    ['not one of', { text: 'a', role: 'human' }, { role: ['Must be one of "Human", "Assistant".'] }],
    ['too small', { text: 'a', count: 0 }, { count: ['Must be at least 1.'] }],
    ['too big', { text: 'a', count: 4 }, { count: ['Must be at most 3.'] }],
    ['not whole', { text: 'a', count: 1.5 }, { count: ['Must be a whole number.'] }],
    ['too many', { text: 'a', tags: ['a', 'b', 'c'] }, { tags: ['Must have at most 2 entries.'] }],
    ['a sentence of its own', { text: 'a', code: 'x' }, { code: ['Only digits, please.'] }],
    ['within', { text: 'a', inner: { list: [{}] } }, { 'inner.list[0].name': ['This field is required.'] }],
    ['several', { role: 1 }, { text: ['This field is required.'], role: ['Must be one of "Human", "Assistant".'] }],
  ];
  for (const [name, body, fields] of cases) {
    test(name, async () => {
      const reply = await post(served, '/t/message', body);
      assert.equal(reply.status, 400);
      assert.deepEqual(error(reply).fields, fields);
      assert.equal(error(reply).param, Object.keys(fields)[0]);
      for (const field of Object.keys(fields)) assert.ok(error(reply).message.includes(field), error(reply).message);
    });
  }
  test('unknown ones are ignored', async () => {
    const body = { text: 'a', id: 1, owner: 'x', __proto__: { count: 1 }, constructor: 1 };
    assert.deepEqual(got(await post(served, '/t/message', body)), { text: 'a' });
  });
  test('an error speaks of a bounded number of them', async () => {
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`inner${i}`, i]));
    const list = Array.from({ length: 2000 }, () => wide.inner1);
    const reply = await post(served, '/t/message', { text: 'a', inner: { list } });
    assert.equal(Object.keys(error(reply).fields ?? {}).length, 10);
    assert.ok(reply.text.length < 5000);
  });
});

describe('path and query', () => {
  test('are checked by their schemas', async () => {
    const reply = await call(served, 'GET', '/t/query/a%20b?limit=5&other=1');
    assert.deepEqual(reply.json, { params: { id: 'a b' }, query: { limit: 5 } });
  });
  for (const query of ['limit=0', 'limit=101', 'limit=abc', 'limit=', 'limit=1&limit=2', 'limit=1.5']) {
    test(`${query} is refused`, async () => {
      const reply = await call(served, 'GET', `/t/query/1?${query}`);
      assert.equal(reply.status, 400);
      assert.equal(error(reply).param, 'limit');
    });
  }
  test('a parameter that is too long is refused by its schema, not by the router', async () => {
    assert.equal(error(await call(served, 'GET', `/t/query/${'x'.repeat(1000)}`)).param, 'id');
  });
  for (const path of ['/t/query/%00', '/t/query/1?limit=%00', '/t/query/1?%00=1', '/t/query/1?other=a%00b']) {
    test(`U+0000 in ${path} is refused`, async () => {
      const reply = await call(served, 'GET', path);
      assert.equal(reply.status, 400);
      assert.match(error(reply).message, /U\+0000/);
    });
  }
});

describe('forms', () => {
  const boundary = 'b0undary';
  const part = (name: string, value: string, more = '') =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`;
  const multipart = (...parts: string[]) => ({
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: `${parts.join('')}--${boundary}--\r\n`,
  });
  const urlencoded = (body: string) => ({ headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });

  test('urlencoded', async () => {
    const reply = await call(served, 'POST', '/t/form', urlencoded('prompt=a+b%20%E2%82%AC&more=%26'));
    assert.deepEqual(got(reply), { prompt: 'a b €', more: '&' });
  });
  test('multipart', async () => {
    const reply = await call(served, 'POST', '/t/form', multipart(part('prompt', 'a €\r\nb'), part('more', '')));
    assert.deepEqual(got(reply), { prompt: 'a €\r\nb', more: '' });
  });
  test('JSON', async () => assert.deepEqual(got(await post(served, '/t/form', { prompt: 'a' })), { prompt: 'a' }));
  test('a missing field', async () => {
    for (const form of [urlencoded('more=1'), multipart(part('more', '1'))]) {
      assert.deepEqual(error(await call(served, 'POST', '/t/form', form)).fields, {
        prompt: ['This field is required.'],
      });
    }
  });
  test('JSON sent as a form says which header to send', async () => {
    const reply = await call(served, 'POST', '/t/form', urlencoded('{"prompt":"a"}'));
    assert.equal(reply.status, 400);
    assert.match(error(reply).message, /-H 'Content-Type: application\/json'/);
  });
  const bad: [string, { headers: Record<string, string>; body: string }, RegExp][] = [
    ['a field given twice', urlencoded('prompt=a&prompt=b'), /more than once/],
    ['a field given twice, multipart', multipart(part('prompt', 'a'), part('prompt', 'b')), /more than once/],
    ['a file', multipart(part('prompt', 'a', '; filename="a.txt"')), /may not be a file/],
    ['U+0000', urlencoded('prompt=a%00'), /U\+0000/],
    ['U+0000, multipart', multipart(part('prompt', 'a\0')), /U\+0000/],
    ['too many fields', urlencoded(Array.from({ length: 101 }, (_, i) => `f${i}=1`).join('&')), /more than 100/],
    [
      'too many fields, multipart',
      multipart(...Array.from({ length: 101 }, (_, i) => part(`f${i}`, '1'))),
      /more than 100/,
    ],
    ['no boundary', { headers: { 'content-type': 'multipart/form-data' }, body: 'x' }, /not a valid multipart/],
    ['no end', { ...multipart(), body: part('prompt', 'a') }, /not a valid multipart/],
    ['garbage', { ...multipart(), body: 'garbage' }, /not a valid multipart/],
  ];
  for (const [name, form, said] of bad) {
    test(`${name} is refused`, async () => {
      const reply = await call(served, 'POST', '/t/form', form);
      assert.equal(reply.status, 400, reply.text);
      assert.match(error(reply).message, said);
    });
  }
  test('__proto__ and constructor are names like any other', async () => {
    const reply = await call(served, 'POST', '/t/form', urlencoded('__proto__=x&constructor=y&prompt=a'));
    assert.deepEqual(got(reply), { prompt: 'a' });
  });
});
