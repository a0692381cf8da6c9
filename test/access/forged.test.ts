/**
 * Local mode trusts this machine's own programs. A web page, a name that was rebound, or a proxy is none of them,
 * whatever route it tries: 403 or 401 in the dialect's shape, before any upgrade, and nothing starts (QUALITY.md, 2).
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { ServiceError } from '#core/errors.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { closeSockets, refusedUpgrade } from '../support/socket.ts';
import { everything } from './people.ts';
import { callsOf, type KnownRoute, knownRoutes } from './routes.ts';

const USER = 'kim';

interface Forgery {
  what: string;
  status: 401 | 403;
  /** @param port where the server listens */
  headers(port: string): Record<string, string>;
}

const forgeries: Forgery[] = [
  ...['http://evil.example', 'https://evil.example', 'null', 'file://', 'http://localhost:1', 'http://127.0.0.1'].map(
    (origin): Forgery => ({ what: `Origin: ${origin}`, status: 403, headers: () => ({ origin }) }),
  ),
  {
    what: 'its own Origin, but https',
    status: 403,
    headers: (port) => ({ origin: `https://127.0.0.1:${port}` }),
  },
  {
    what: 'its own Origin by another of its names',
    status: 403,
    headers: (port) => ({ origin: `http://localhost:${port}` }),
  },
  ...['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example', '0.0.0.0', '127.1', '[::]', 'xlocalhost'].map(
    (name): Forgery => ({ what: `Host: ${name}`, status: 403, headers: (port) => ({ host: `${name}:${port}` }) }),
  ),
  {
    what: 'a rebound name: Host and Origin agree',
    status: 403,
    headers: (port) => ({ host: `evil.example:${port}`, origin: `http://evil.example:${port}` }),
  },
  ...['cross-site', 'same-site', 'anything'].map(
    (site): Forgery => ({
      what: `Sec-Fetch-Site: ${site}`,
      status: 401,
      headers: () => ({ 'sec-fetch-site': site }),
    }),
  ),
  {
    what: 'an <img> of another page',
    status: 401,
    headers: () => ({ 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }),
  },
  {
    what: 'an <img> behind a forged Referer',
    status: 401,
    headers: (port) => ({ 'sec-fetch-site': 'cross-site', referer: `http://127.0.0.1:${port}/` }),
  },
  ...[
    ['forwarded', 'for=127.0.0.1'],
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-host', 'localhost'],
    ['x-forwarded-proto', 'http'],
    ['x-real-ip', '127.0.0.1'],
    ['via', '1.1 proxy'],
  ].map(
    ([name = '', value = '']): Forgery => ({
      what: `a proxy's ${name}`,
      status: 401,
      headers: () => ({ [name]: value }),
    }),
  ),
];

describe('in local mode', () => {
  let model: ModelServer;
  let server: TestServer;
  let port: string;
  /** A keyless user's chat whose newest entry nobody has answered: every inference on it would ask the model. */
  let chat: string;
  let kept: Record<string, string>;

  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
    port = new URL(server.url).port;
    const kim = server.visitor({ 'x-user-id': USER });
    const { body } = await kim.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Kim’s' } });
    chat = body.id;
    await kim.request('POST', '/conversations/create', { body: { chat_id: chat, role: 'Human', message: 'Hello' } });
    kept = await everything(kim);
  });
  after(async () => {
    closeSockets();
    await server?.close();
    await model.close();
  });

  /** The names of an error's fields, and of those within. */
  const shape = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shape(inner)]))
      : typeof value;

  function assertRefused({ dialect }: KnownRoute, status: number, text: string, forgery: Forgery): void {
    assert.equal(status, forgery.status, `${forgery.what}: ${text}`);
    const code = forgery.status === 403 ? 'forbidden' : 'key_required';
    assert.deepEqual(shape(JSON.parse(text)), shape(dialect.error(new ServiceError(code, '…')).body), forgery.what);
    if (forgery.status === 403) assert.match(text, /PARLANCE_(HOSTS|ORIGINS)/, 'it names the setting');
  }

  for (const known of knownRoutes().routes) {
    if (known.route.method !== 'SOCKET' && known.route.open) continue;
    it(`${known.name} refuses whoever is not this machine`, async () => {
      for (const forgery of forgeries) {
        const headers = { 'x-user-id': USER, ...forgery.headers(port) };
        const calls = [null, ...known.ids].flatMap((field) => callsOf(known, field, chat));
        for (const call of known.route.method === 'SOCKET' ? [] : calls) {
          const all = { ...headers, ...(call.contentType !== undefined && { 'content-type': call.contentType }) };
          const answer = await server.visitor().request(call.method, call.path, { body: call.body, headers: all });
          assertRefused(known, answer.status, answer.text, forgery);
          assert.equal(answer.headers['access-control-allow-origin'], undefined, forgery.what);
        }
        if (known.route.method === 'SOCKET' || known.route.method === 'GET') {
          const path = known.route.path.replace(/:\w+/g, chat);
          const refused = await refusedUpgrade(server.url, path, headers);
          assertRefused(known, refused.status, refused.text, forgery);
        }
      }
    });
  }

  it('a preflight of a foreign Origin is 403 without CORS headers', async () => {
    for (const path of ['/chat', '/chats/create', '/ask', '/api/chat', '/api/chat_sessions']) {
      const headers = { origin: 'http://evil.example', 'access-control-request-method': 'POST' };
      const answer = await server.visitor().request('OPTIONS', path, { headers });
      assert.equal(answer.status, 403, path);
      for (const name of Object.keys(answer.headers))
        assert.ok(!name.startsWith('access-control-'), `${path}: ${name}`);
    }
  });

  it('in the end no model was asked, and nothing was changed', async () => {
    assert.equal(model.calls.length, 0);
    assert.deepEqual(await everything(server.visitor({ 'x-user-id': USER })), kept);
  });

  it('while a program of this machine, and its own page, may', async () => {
    const own = [{}, { origin: server.url, 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }];
    for (const headers of [...own, { host: `localhost:${port}` }, { host: `[::1]:${port}` }]) {
      const answer = await server.visitor({ 'x-user-id': USER }).request('GET', `/chats/${chat}`, { headers });
      assert.equal(answer.status, 200, JSON.stringify(headers));
    }
  });

  it('and a key is enough from anywhere, but gives no CORS headers to an unlisted Origin', async () => {
    for (const forgery of forgeries) {
      const headers = { authorization: server.ownerKey, ...forgery.headers(port) };
      const answer = await server.visitor().request('GET', '/chats/', { headers });
      assert.equal(answer.status, 200, forgery.what);
      assert.equal(answer.headers['access-control-allow-origin'], undefined, forgery.what);
    }
  });
});

describe('a page of a listed origin', () => {
  const ORIGIN = 'http://localhost:5173';
  let server: TestServer;
  before(async () => {
    server = await startServer({ env: { PARLANCE_ORIGINS: ORIGIN } });
  });
  after(() => server?.close());

  for (const site of ['same-site', 'cross-site']) {
    it(`needs no key, though its browser calls it ${site}, and may read what it gets`, async () => {
      const headers = { origin: ORIGIN, 'sec-fetch-site': site, 'sec-fetch-mode': 'cors' };
      const page = server.visitor(headers);
      const made = await page.request<{ id: string }>('POST', '/v1/conversations');
      assert.equal(made.status, 200, made.text);
      assert.equal(made.headers['access-control-allow-origin'], ORIGIN);
      const stream = await page.open('GET', '/v1/changes?since=0', { headers: { accept: 'text/event-stream' } });
      assert.equal(stream.headers['access-control-allow-origin'], ORIGIN);
      await stream.until(made.body.id);
      stream.cut();
      const image = { 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors', referer: `${ORIGIN}/` };
      const path = `/conversations/inference/${made.body.id.slice('conv_'.length)}`;
      assert.equal((await server.visitor(image).request('GET', path)).status, 401, 'an <img> on it');
      const other = await server.visitor({ ...headers, origin: 'http://localhost:5174' }).request('GET', '/chats/');
      assert.deepEqual([other.status, other.headers['access-control-allow-origin']], [403, undefined]);
    });
  }
});
