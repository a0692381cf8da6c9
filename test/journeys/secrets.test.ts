/**
 * Secrets stay where they belong (QUALITY.md, 2): canary values in every place a secret can stand, every error forced,
 * and then none of them in what the server prints, answers, measures or keeps.
 */

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Keys, openKeys } from '../support/keys.ts';
import { type ModelServer, type Script, startModelServer } from '../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, openSocket, refusedUpgrade } from '../support/socket.ts';
import { DIALECTS } from './dialects.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const CANARY = 'canary7d4e';
const PROVIDER_KEY = `sk-provider-${CANARY}`;
const PROXY_PASSWORD = `proxy-${CANARY}`;
/** Providers and engines that are only to be configured: what they would be asked goes to a proxy that is not there. */
const ELSEWHERE = {
  ANTHROPIC_API_KEY: `sk-ant-${CANARY}`,
  GEMINI_API_KEY: `gemini-${CANARY}`,
  BRAVE_API_KEY: `brave-${CANARY}`,
  TAVILY_API_KEY: `tavily-${CANARY}`,
  HTTPS_PROXY: `http://someone:${PROXY_PASSWORD}@127.0.0.1:9`,
  PARLANCE_KEY: `plk_client-${CANARY}`,
};
/** What a provider says that repeats what it was sent. */
const ECHOED = {
  error: { message: `Incorrect API key provided: ${PROVIDER_KEY} (Bearer ${PROVIDER_KEY}).`, code: 'invalid_api_key' },
};

/** Texts that callers got, with where from. */
const told: [string, string][] = [];
const secrets: Record<string, string> = { 'the provider’s key': PROVIDER_KEY, 'a canary': CANARY };

function assertSilent(where: string, text: string): void {
  for (const [what, secret] of Object.entries(secrets)) assert.ok(!text.includes(secret), `${what} is in ${where}`);
}

describe('a server whose every secret is a canary', () => {
  let model: ModelServer;
  let server: TestServer;
  let keys: Keys;
  let alice: Client;
  /** Everybody who asks, with all that a caller may get wrong in a key. */
  let callers: Client[];
  let userKey: string;

  before(async () => {
    model = await startModelServer();
    server = await startServer({
      model: model.url,
      env: {
        ...ELSEWHERE,
        OPENAI_API_KEY: PROVIDER_KEY,
        PARLANCE_MODEL: 'test-model',
        LOG_LEVEL: 'trace',
        PARLANCE_TIMEOUT_FIRST_TOKEN: '1',
        PARLANCE_TIMEOUT_SILENCE: '1',
      },
    });
    keys = await openKeys(server.data);
    userKey = (await keys.create({ user: 'alice' })).secret;
    secrets['the owner’s key'] = server.ownerKey;
    secrets['a user’s key'] = userKey;
    const revoked = await keys.create({ user: 'alice' });
    await keys.revoke(revoked);
    secrets['a revoked key'] = revoked.secret;
    const mistyped = `${userKey}x`;
    alice = server.visitor({ authorization: `Bearer ${userKey}` });
    callers = [
      alice,
      ...[server.ownerKey, revoked.secret, mistyped, `plk_${CANARY}`, `Bearer sk-mistaken-${CANARY}`].map(
        (authorization) => server.visitor({ authorization }),
      ),
      server.visitor({ authorization: `Basic ${Buffer.from(`user:${userKey}`).toString('base64')}` }),
      server.visitor({ cookie: `session=${CANARY}`, 'x-api-key': CANARY }),
    ];
  });
  after(async () => {
    closeSockets();
    await keys?.close();
    await server?.close();
    await model.close();
  });

  /** Makes a call and keeps what was told, headers and all. */
  async function call(client: Client, method: string, path: string, body?: unknown): Promise<number> {
    const answer = await client.request(method, path, { body });
    told.push([`${method} ${path} (${answer.status})`, `${JSON.stringify(answer.headers)}\n${answer.text}`]);
    return answer.status;
  }

  /** Every call that asks, once for each dialect, and the socket. */
  async function askEverywhere(client: Client, conversation: { id: string; number: number }): Promise<number[]> {
    const { id, number } = conversation;
    return Promise.all([
      call(client, 'POST', `/api/chat/${number}/messages`, { content: 'Hi' }),
      call(client, 'POST', `/api/chat_sessions/${number}/chat`, { message: 'Hi' }),
      call(client, 'POST', '/chat', { message: 'Hi', conversation_id: id }),
      call(client, 'POST', '/ask', { prompt: 'Hi' }),
      call(client, 'GET', `/conversations/inference/${id}`),
      call(client, 'GET', `/conversations/inference_internet/${id}`),
      call(client, 'POST', '/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }),
    ]);
  }

  async function makeChat(): Promise<{ id: string; number: number }> {
    const { body } = await alice.request<{ id: number }>('POST', '/api/chat', { body: {} });
    const { body: same } = await alice.request<{ id: string }>('GET', `/conversations/${body.id}`);
    const entry = { chat_id: same.id, role: 'Human', message: 'Hello' };
    await alice.request('POST', '/conversations/create', { body: entry });
    return { id: same.id, number: body.id };
  }

  const failures: Record<string, Script> = {
    'answers well': { text: 'Fine.' },
    'refuses the key and repeats it': { status: 401, error: ECHOED },
    'forbids and repeats the key': { status: 403, error: ECHOED },
    'has no such path and repeats the key': { status: 404, error: ECHOED },
    'refuses the request and repeats the key': { status: 400, error: ECHOED },
    'limits and repeats the key': { status: 429, error: ECHOED, headers: { 'retry-after': '60' } },
    'fails with the key as plain text': {
      status: 503,
      error: `no luck with ${PROVIDER_KEY}`,
      headers: { 'retry-after': '60' },
    },
    'redirects to an address with the key': {
      status: 302,
      headers: { location: `http://127.0.0.1:9/?key=${PROVIDER_KEY}` },
    },
    'streams an error with the key': { raw: `data: ${JSON.stringify(ECHOED)}\n\n` },
    'streams text, then an error with the key': {
      raw: `data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\ndata: ${JSON.stringify(ECHOED)}\n\n`,
    },
    'answers no JSON but the key': { raw: `data: ${PROVIDER_KEY}\n\n` },
    'breaks off': { text: 'One two', cut: 1 },
    'is silent': { stall: 'first-token' },
  };
  for (const [what, script] of Object.entries(failures)) {
    it(`the provider ${what}`, async () => {
      model.answer(script);
      const statuses = await askEverywhere(alice, await makeChat());
      for (const status of statuses) {
        assert.ok(what === 'answers well' ? status < 300 : status === 200 || status >= 400, `${status}`);
      }
      const socket = await openSocket(server.url, '/ws?stream=true', { headers: { authorization: userKey } });
      socket.send({ type: 'message', content: 'Hi' });
      const frames = await socket.until(what === 'answers well' ? 'response' : 'error');
      told.push([`the socket when the provider ${what}`, JSON.stringify(frames)]);
      await socket.close();
    });
  }

  it('callers with wrong, revoked, mistyped and mistaken keys, in every place and on every kind of path', async () => {
    model.answer({ text: 'Fine.' });
    const conversation = await makeChat();
    for (const client of callers) {
      await askEverywhere(client, conversation);
      for (const path of ['/chats/', '/conversations', '/api/chat', '/nothing/here', '/metrics', '/openapi.json']) {
        await call(client, 'GET', path);
      }
      await call(client, 'PUT', '/chat', {});
      await call(client, 'POST', '/chat', '{broken');
      await call(client, 'POST', '/ask', { prompt: 5 });
    }
    for (const headers of [{ authorization: `plk_${CANARY}` }, { origin: 'http://evil.example', cookie: CANARY }]) {
      const { text } = await refusedUpgrade(server.url, '/ws?user_id=a', headers as Record<string, string>);
      told.push(['a refused upgrade', text]);
    }
    await server.visitor().request('GET', `/chats/?key=${CANARY}&ticket=${userKey}&access_token=${server.ownerKey}`);
  });

  it('a browser that signs in, with right and wrong keys and cookies', async () => {
    const own = { 'sec-fetch-site': 'same-origin' };
    const page = server.visitor(own);
    const { headers } = await page.request('POST', '/v1/session', { body: { key: userKey } });
    const [cookie = ''] = headers['set-cookie']?.[0]?.split(';') ?? [];
    const token = cookie.split('=')[1] ?? '';
    assert.match(token, /^[0-9a-f]{64}$/);
    secrets['a session’s cookie'] = token;
    const signedIn = server.visitor({ ...own, cookie });
    for (const path of ['/v1/session', '/v1/models', '/nothing/here', '/ui/chat/none', '/']) {
      await call(signedIn, 'GET', path);
    }
    await call(signedIn, 'POST', '/ui/chat', '{broken');
    await call(server.visitor({ cookie }), 'POST', '/ui/chat', {});
    await call(page, 'POST', '/v1/session', { key: `plk_${CANARY}` });
    await call(page, 'POST', '/v1/session', { key: { key: userKey } });
    await call(signedIn, 'GET', `/v1/session?key=${userKey}`);
    await call(server.visitor({ ...own, cookie: `${cookie}x` }), 'GET', '/v1/session');
  });

  it('the provider was sent its own key, and nobody else’s', () => {
    assert.ok(model.requests.length > 20);
    for (const { headers } of model.calls) assert.equal(headers.authorization, `Bearer ${PROVIDER_KEY}`);
    for (const { headers, body } of model.requests) {
      assert.ok([undefined, `Bearer ${PROVIDER_KEY}`].includes(headers.authorization));
      const rest = JSON.stringify([{ ...headers, authorization: '' }, body]);
      assertSilent('a request to the provider', rest);
    }
  });

  it('the command line beside it shows none', async () => {
    const env = { PATH: process.env.PATH, HOME: server.data, PARLANCE_DATA: server.data, PARLANCE_DETECT: 'off' };
    const settings = { ...ELSEWHERE, OPENAI_API_KEY: PROVIDER_KEY, OPENAI_BASE_URL: model.url };
    for (const args of [
      ['keys', 'list'],
      ['keys', 'list', '--json'],
      ['users', 'list'],
      ['doctor'],
      ['model', 'list'],
    ]) {
      const output = await new Promise<string>((resolve) => {
        const all = { cwd: server.data, env: { ...env, ...settings } };
        execFile(process.execPath, [CLI, ...args], all, (_error, stdout, stderr) => resolve(stdout + stderr));
      });
      assert.notEqual(output, '', args.join(' '));
      told.push([`./parlance ${args.join(' ')}`, output]);
    }
  });

  it('errors inside the server are 500 and say nothing', async () => {
    const conversation = await makeChat();
    const database = new DatabaseSync(join(server.data, await databaseFile()));
    database.exec('alter table turns rename to turns_gone');
    try {
      const socket = await openSocket(server.url, '/ws', { headers: { authorization: userKey } });
      socket.send({ type: 'message', content: 'Hi' });
      assert.deepEqual(await socket.next(), { type: 'error', detail: 'Internal server error' });
      await socket.close();
      assert.match(server.output(), /no such table/, 'the operator is told');
      const statuses = await askEverywhere(alice, conversation);
      assert.ok(
        statuses.some((status) => status === 500),
        `${statuses}`,
      );
      for (const { find, remove, name } of DIALECTS) {
        for (const answer of [await find(alice, conversation), await remove(alice, conversation)]) {
          told.push([`${name} with a broken database`, answer.text]);
          assert.doesNotMatch(answer.text, /sqlite|no such table|turns|at \w+ \(|node:/i, name);
        }
      }
    } finally {
      database.exec('alter table turns_gone rename to turns');
      database.close();
    }
  });

  async function databaseFile(): Promise<string> {
    const file = (await readdir(server.data)).find((name) => name.endsWith('.db'));
    assert.ok(file !== undefined);
    return file;
  }

  it('and none of the secrets is in what was told, measured, printed or kept', async () => {
    for (const path of ['/metrics', '/openapi.json', '/docs', '/readyz', '/healthz']) await call(alice, 'GET', path);
    assert.ok(told.length > 100);
    for (const [where, text] of told) assertSilent(where, text);
    assert.equal(await server.stop(), 0);
    assert.match(server.output(), /"level":/, 'there is a log');
    assertSilent('what the server printed', server.output());
    for (const file of await readdir(server.data)) {
      assertSilent(`the file ${file}`, (await readFile(join(server.data, file))).toString('latin1'));
    }
  });
});

describe('a model server that cannot be reached', () => {
  it('is named without its key', async () => {
    const env = { OPENAI_BASE_URL: 'http://127.0.0.1:9/v1', OPENAI_API_KEY: PROVIDER_KEY, LOG_LEVEL: 'trace' };
    const server = await startServer({ env });
    try {
      const answer = await server.client().request('POST', '/chat', { body: { message: 'Hi' } });
      assert.equal(answer.status, 503);
      assert.match(answer.text, /127\.0\.0\.1:9/);
      assertSilent('the answer', answer.text);
    } finally {
      await server.close();
    }
    assertSilent('what the server printed', server.output());
  });
});

describe('settings that are refused at the start', () => {
  const wrong: Record<string, Record<string, string>> = {
    'an address with a password': { OPENAI_BASE_URL: `http://someone:${CANARY}@127.0.0.1:9/v1` },
    'an address with a key in its query': { OPENAI_BASE_URL: `http://127.0.0.1:9/v1?key=${CANARY}` },
    'a key in place of an address': { OPENAI_BASE_URL: `sk-${CANARY}` },
    'a key in place of a port': { PORT: `sk-${CANARY}` },
    'an owner key that is none': { PARLANCE_OWNER_KEY: `short-${CANARY}` },
    'a database with a password': { DATABASE_URL: `postgres://someone:${CANARY}@127.0.0.1/db` },
    'a key as an unknown setting': { PARLANCE_OWNERKEY: `plk_${CANARY}` },
  };
  for (const [what, env] of Object.entries(wrong)) {
    it(`${what} is named, not shown`, async () => {
      const [name = ''] = Object.keys(env);
      await assert.rejects(startServer({ env }), (error: Error) => {
        assert.match(error.message, new RegExp(name));
        assertSilent('what the server printed', error.message);
        return true;
      });
    });
  }
});
