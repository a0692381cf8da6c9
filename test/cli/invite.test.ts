import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServer, type TestServer } from '../support/server.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const run = promisify(execFile);

describe('users invite', () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ env: { PARLANCE_LOCAL: 'off' } });
  });
  after(() => server.close());

  async function invite(name: string): Promise<string> {
    const env = { PATH: process.env.PATH ?? '', HOME: server.data, PARLANCE_DATA: server.data };
    const { stdout } = await run(process.execPath, [CLI, 'users', 'invite', name], { cwd: server.data, env });
    return new URL(stdout.trim()).pathname;
  }

  it('a link gives its user a key, once, and no key is needed to take it', async () => {
    const path = await invite('<ann>');
    const anybody = server.visitor();
    const page = await anybody.request('GET', path);
    assert.equal(page.status, 200);
    assert.match(page.text, /<form method="post">/);
    await anybody.request('GET', path);

    const taken = await anybody.request('POST', path);
    assert.equal(taken.status, 200);
    assert.match(taken.text, /Welcome, &#60;ann&#62;/);
    const key = /plk_[0-9a-f]{64}/.exec(taken.text)?.[0] ?? '';
    const ann = server.visitor({ authorization: `Bearer ${key}` });
    const chat = await ann.request<{ conversation_id: string }>('POST', '/chats/create', { body: { name: 'Mine' } });
    assert.equal(chat.status, 201);
    assert.equal((await ann.request('GET', '/conversations?user_id=%3Cann%3E')).status, 200);
    assert.equal((await ann.request('GET', '/conversations?user_id=bob')).status, 403);

    const again = await anybody.request('POST', path);
    assert.equal(again.status, 404);
    assert.doesNotMatch(again.text, /plk_/);
  });

  it('a link that is none gives nothing', async () => {
    assert.equal((await server.visitor().request('POST', '/invite/0123')).status, 404);
  });

  it('of a hundred at once one gets the key', async () => {
    const path = await invite('bob');
    const all = await Promise.all(Array.from({ length: 100 }, () => server.visitor().request('POST', path)));
    assert.equal(all.filter(({ status }) => status === 200).length, 1);
  });
});
