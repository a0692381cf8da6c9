/** Dialect 2: bad input of every kind is `{"detail": "..."}` and stores nothing. */

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { type ErrorCode, errorStatus, ServiceError } from '#core/errors.ts';
import { toWireError } from '../../../src/dialects/conversations/errors.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Answer, type Client, type RequestOptions, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets, refusedUpgrade } from '../../support/socket.ts';

const MIB = 1024 * 1024;
const JSON_TYPE = 'application/json; charset=utf-8';

let model: ModelServer;
let server: TestServer;
let alice: Client;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
  alice = server.client();
});
afterEach(async () => {
  assert.equal((await alice.request('GET', '/conversations')).text, '[]', 'something was stored');
  assert.equal(model.calls.length, 0, 'the model was asked');
});
after(async () => {
  closeSockets();
  await Promise.all([server.close(), model.close()]);
});

function isError(answer: Answer, status: number, says: RegExp, what: string): void {
  assert.equal(answer.status, status, `${what}: ${answer.text}`);
  assert.equal(answer.headers['content-type'], JSON_TYPE, what);
  assert.match(String(answer.headers['x-request-id']), /./, what);
  assert.deepEqual(Object.keys(answer.body as object), ['detail'], `${what}: ${answer.text}`);
  assert.match((answer.body as { detail: string }).detail, says, what);
}

describe('POST /chat refuses', () => {
  const text = (body: unknown) => (typeof body === 'string' ? body : JSON.stringify(body));
  const bodies: [unknown, RegExp][] = [
    [undefined, /message is required/],
    ['', /message is required/],
    ['{', /not valid JSON/],
    ['{"message": "Hi",}', /not valid JSON/],
    ["{'message': 'Hi'}", /not valid JSON/],
    ['message=Hi', /not valid JSON/],
    ['[]', /must be a JSON object/],
    ['null', /must be a JSON object/],
    ['"Hi"', /must be a JSON object/],
    ['1', /must be a JSON object/],
    [{}, /message is required/],
    [{ prompt: 'Hi' }, /message is required/],
    [{ message: '' }, /message: must not be empty/],
    [{ message: null }, /message: /],
    [{ message: 5 }, /message: /],
    [{ message: ['Hi'] }, /message: /],
    [{ message: { text: 'Hi' } }, /message: /],
    ['{"message": "a\\u0000"}', /U\+0000/],
    ['{"message": "\\ud800"}', /surrogate/],
    ['{"message": "\\udc00\\ud800"}', /surrogate/],
    [{ message: 'Hi', conversation_id: true }, /conversation_id/],
    [{ message: 'Hi', conversation_id: {} }, /conversation_id/],
    [{ message: 'Hi', conversation_id: 1.5 }, /conversation_id/],
    [{ message: 'x'.repeat(MIB + 1) }, /1048576 bytes/],
    [{ message: 'é'.repeat(MIB / 2 + 1) }, /1048576 bytes/],
    [`{"message": "Hi", "x": ${'['.repeat(10_000)}${']'.repeat(10_000)}}`, /nested/],
    [`{"message": "Hi", "x": [${'0,'.repeat(1_000_000)}0]}`, /values/],
  ];
  for (const [body, says] of bodies) {
    const shown = body === undefined ? 'no body' : text(body).slice(0, 60);
    it(shown === '' ? 'an empty body' : shown, async () => {
      const options: RequestOptions = body === undefined ? {} : { body };
      isError(await alice.request('POST', '/chat', options), 400, says, shown);
    });
  }

  it('bytes that are not UTF-8', async () => {
    const body = Buffer.from('{"message": "\xff"}', 'latin1');
    isError(await alice.request('POST', '/chat', { body }), 400, /UTF-8/, 'latin1');
  });

  it('another Content-Type, and says which to send', async () => {
    const body = '{"message": "Hi"}';
    const types = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', 'text/json'];
    for (const type of [...types, null]) {
      const answer = await alice.request('POST', '/chat', { body, headers: { 'content-type': type } });
      isError(answer, 415, /-H 'Content-Type: application\/json'/, String(type));
    }
    const coded = { 'content-encoding': 'gzip' };
    isError(await alice.request('POST', '/chat', { body, headers: coded }), 415, /Content-Encoding/, 'gzip');
  });

  it('a body over 8 MiB, by its Content-Length', async () => {
    const headers = { 'content-length': String(8 * MIB + 1), 'content-type': 'application/json' };
    isError(await alice.request('POST', '/chat', { headers, headOnly: true }), 413, /8388608 bytes/, 'too large');
  });

  it('a bad Idempotency-Key', async () => {
    for (const key of ['', 'x'.repeat(256), 'a\tb', '\xfc']) {
      const headers = { 'idempotency-key': key };
      const answer = await alice.request('POST', '/chat', { body: { message: 'Hi' }, headers });
      isError(answer, 400, /Idempotency-Key/, JSON.stringify(key));
    }
  });
});

describe('a wrong method or path', () => {
  const allowed: [string, string, string][] = [
    ['/chat', 'GET PUT PATCH DELETE OPTIONS', 'POST'],
    ['/conversations', 'POST PUT PATCH DELETE OPTIONS', 'GET'],
    ['/conversations/1', 'POST PUT PATCH OPTIONS', 'DELETE, GET'],
    ['/ws', 'POST PUT PATCH DELETE OPTIONS', 'GET'],
  ];
  for (const [path, methods, allow] of allowed) {
    it(`${path} allows ${allow} alone`, async () => {
      for (const method of methods.split(' ')) {
        const answer = await alice.request(method, path, { body: method === 'OPTIONS' ? undefined : {} });
        isError(answer, 405, /not allowed/, `${method} ${path}`);
        assert.equal(answer.headers.allow, allow, `${method} ${path}`);
        assert.equal(answer.headers['ratelimit-limit'], undefined, 'not counted');
      }
      const head = await alice.request('HEAD', path);
      assert.deepEqual([head.status, head.headers.allow, head.text], [405, allow, '']);
    });
  }

  it('an unknown path is the documented 404', async () => {
    for (const path of ['/chat/x', '/conversations/1/2', '/conversations/1/messages', '/ws/x']) {
      const answer = await alice.request('GET', path);
      isError(answer, 404, /^Resource not found$/, path);
      assert.equal(answer.headers['ratelimit-limit'], undefined, 'not counted');
    }
  });

  it('a path that cannot be decoded is 400', async () => {
    isError(await alice.request('GET', '/conversations/%E0%A4%A'), 400, /percent-encoding/, 'path');
  });

  it('what belongs to dialect 3 has its errors', async () => {
    for (const path of ['/conversations/create', '/conversations/inference', '/conversations/inference_internet']) {
      const { status, body } = await alice.request<{ error?: { code: number } }>('GET', path);
      assert.deepEqual([status, body.error?.code], [status, status], path);
      assert.ok([404, 405].includes(status), path);
    }
  });
});

describe('/ws', () => {
  it('is 426 for a plain request', async () => {
    const answer = await alice.request('GET', '/ws');
    isError(answer, 426, /ws:\/\//, '/ws');
    assert.equal(answer.headers.upgrade, 'websocket');
  });

  it('refuses a bad query before the upgrade', async () => {
    for (const query of ['stream=yes', 'stream=', 'stream=true&stream=true']) {
      const refused = await refusedUpgrade(server.url, `/ws?user_id=a&${query}`);
      assert.equal(refused.status, 400, query);
      assert.match(refused.text, /^\{"detail":"stream: /, query);
    }
  });

  it('refuses an upgrade elsewhere', async () => {
    for (const path of ['/conversations?user_id=a', '/conversations/1', '/chat', '/conversations/1/2']) {
      const refused = await refusedUpgrade(server.url, path);
      assert.ok([400, 404, 405].includes(refused.status), `${path}: ${refused.status}`);
      assert.deepEqual(Object.keys(JSON.parse(refused.text)), ['detail'], path);
    }
  });

  it('refuses a malformed handshake', async () => {
    const client = server.visitor({ connection: 'upgrade', upgrade: 'websocket' });
    const version = { 'sec-websocket-version': '12', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' };
    isError(await client.request('GET', '/ws?user_id=a', { headers: version }), 400, /Version must be 13/, 'version');
    const key = { 'sec-websocket-version': '13', 'sec-websocket-key': 'short' };
    isError(await client.request('GET', '/ws?user_id=a', { headers: key }), 400, /Sec-WebSocket-Key/, 'key');
  });
});

describe('every error of the catalogue', () => {
  for (const [code, status] of Object.entries(errorStatus) as [ErrorCode, number][]) {
    it(`${code} is ${status} with a detail`, () => {
      const { status: given, body } = toWireError(new ServiceError(code, 'The sentence.'));
      const documented = { 404: 'Resource not found', 500: 'Internal server error' }[status];
      assert.deepEqual({ given, body }, { given: status, body: { detail: documented ?? 'The sentence.' } });
    });
  }
});
