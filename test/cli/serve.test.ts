import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { startModelServer } from '../support/model-server.ts';
import { emptyFolder, run, start } from './cli.ts';

const ENV = { PORT: '0', PARLANCE_HOST: '127.0.0.1', PARLANCE_DETECT: 'off', LOG_LEVEL: 'silent' };
/** The last row of the banner. */
const WHOLE = /\n {2}Key .*\n.*\n$/;
const KEY = /^plk_[0-9a-f]{64}$/;

async function serve(cwd: string, env: Record<string, string> = {}, ipc = false) {
  const server = start(['serve'], { cwd, env: { ...ENV, ...env }, ipc });
  const banner = await server.said('stdout', WHOLE);
  const [, url = ''] = /URL +(\S+)/.exec(banner) ?? [];
  const stop = async () => {
    server.child.kill('SIGTERM');
    return server.ended;
  };
  return { ...server, banner, url, stop };
}

/** The status a request with this key gets where a key is always needed. */
async function statusWith(url: string, key: string): Promise<number> {
  return (await fetch(`${url}/api/chat/`, { headers: { authorization: `Bearer ${key}` } })).status;
}

test('the banner says all there is to know, and nothing comes after it', async () => {
  const cwd = emptyFolder();
  const { banner, url, stop } = await serve(cwd);
  assert.equal((await fetch(`${url}/readyz`)).status, 200, 'the named URL answers');
  assert.match(banner, /^\nParlance \d+\.\d+\.\d+ is running\.\n/);
  assert.match(banner, new RegExp(`\\n  Data +${join(cwd, 'data')}\\n`));
  assert.match(banner, /\n {2}Model +the built-in guide, which is no language model\n/);
  assert.match(banner, /\n {2}Mode +local: /);
  assert.match(banner, /\n {2}Limits +100 requests a minute and 1000 an hour, per user\n/);
  assert.equal((await stop()).stdout, banner);
});

test('the banner names the MCP servers, and starts none of them', async () => {
  const cwd = emptyFolder();
  const mcpServers = { files: { command: 'no-such-command' }, web2: { url: 'http://127.0.0.1:9/mcp' } };
  writeFileSync(join(cwd, 'parlance.config.json'), JSON.stringify({ mcpServers }));
  const { banner, stop } = await serve(cwd);
  assert.match(
    banner,
    /\n {2}Tools +of the MCP servers files \(stdio\), web2 \(http\); \.\/parlance doctor looks at them\n/,
  );
  assert.equal((await stop()).stderr.includes('no-such-command'), false);
});

test("at the first start the owner's key is written to a file of its own, and never to a pipe", async () => {
  const cwd = emptyFolder();
  const file = join(cwd, 'data', 'owner-key');
  const first = await serve(cwd);
  assert.match(first.banner, new RegExp(`\\n  Key +the owner's is in ${file}\\n`));
  const key = readFileSync(file, 'utf8').trim();
  assert.match(key, KEY);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(await statusWith(first.url, key), 200);
  const { stdout, stderr } = await first.stop();
  assert.ok(!(stdout + stderr).includes('plk_'));

  const second = await serve(cwd);
  assert.match(second.banner, new RegExp(`\\n  Key +the owner's is in ${file}\\n`));
  assert.equal(readFileSync(file, 'utf8').trim(), key, 'it stays the same');
  assert.equal(await statusWith(second.url, key), 200);
  await second.stop();
});

test("an owner's key may be given, and is not repeated", async () => {
  const cwd = emptyFolder();
  const key = `plk_${'k'.repeat(32)}`;
  const { banner, url, stop } = await serve(cwd, { PARLANCE_OWNER_KEY: key });
  assert.equal(await statusWith(url, key), 200);
  const said = /\n {2}Key +the owner's is the one in PARLANCE_OWNER_KEY\n/;
  assert.match(banner, said);
  const { stdout, stderr } = await stop();
  assert.ok(!(stdout + stderr).includes(key));
  const again = await serve(cwd, { PARLANCE_OWNER_KEY: key });
  assert.match(again.banner, said);
  await again.stop();
});

test("an owner's key that is given too late is said not to count", async () => {
  const cwd = emptyFolder();
  await (await serve(cwd)).stop();
  const key = `plk_${'k'.repeat(32)}`;
  const { banner, url, stop } = await serve(cwd, { PARLANCE_OWNER_KEY: key });
  assert.match(banner, /\n {2}Key +not the one in PARLANCE_OWNER_KEY, which counts at the first start only\n/);
  assert.equal(await statusWith(url, key), 401);
  await stop();
});

test('a key made while the server runs works at once, and is refused once it is revoked', async () => {
  const cwd = emptyFolder();
  const { url, stop } = await serve(cwd);
  const made = await run(['keys', 'create', '--user', 'alice', '--json'], { cwd });
  const { id, key } = JSON.parse(made.stdout);
  assert.equal(await statusWith(url, key), 200);
  await run(['keys', 'revoke', id], { cwd });
  assert.equal(await statusWith(url, key), 401);
  await stop();
});

test('where every request needs a key, the banner says why', async () => {
  const off = await serve(emptyFolder(), {
    PARLANCE_LOCAL: 'off',
    PARLANCE_RATE_PER_MINUTE: '0',
    PARLANCE_RATE_PER_HOUR: '0',
  });
  assert.match(off.banner, /\n {2}Mode +keys: every request needs one, because of PARLANCE_LOCAL=off\n/);
  assert.match(off.banner, /\n {2}Limits +none\n/);
  assert.equal((await fetch(`${off.url}/chats/`)).status, 401);
  await off.stop();
});

test('the model that answers is named, with where it comes from', async () => {
  const model = await startModelServer({ models: ['small-chat', 'text-embedding-3'] });
  const { banner, stop } = await serve(emptyFolder(), { OPENAI_BASE_URL: model.url });
  assert.match(banner, new RegExp(`\\n  Model +small-chat, of openai at ${model.host}:${model.port}\\n`));
  await stop();
  await model.close();
});

test('a configured model that cannot be reached is said with its reason, and the guide does not step in', async () => {
  const model = await startModelServer();
  await model.close();
  const { banner, stop } = await serve(emptyFolder(), { OPENAI_BASE_URL: model.url });
  assert.match(banner, /\n {2}Model +No model is reachable: openai at .* cannot be reached.*\n/);
  await stop();
});

test('a taken port is one sentence with the way out', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  assert.ok(typeof address === 'object' && address !== null);
  const { port } = address;
  const cwd = emptyFolder();
  const { code, stdout, stderr } = await run(['serve', '--port', String(port)], { cwd, env: ENV });
  assert.deepEqual(
    { code, stdout, stderr },
    {
      code: 1,
      stdout: '',
      stderr: `Port ${port} is taken by another program: stop that one, or take another port with npm start -- --port ${port + 1} (or PORT=${port + 1}).\n`,
    },
  );
  other.close();
  const later = await serve(cwd);
  assert.match(later.banner, /the owner's is in /, 'the first start is the first that succeeds');
  await later.stop();
});

test('a port that another Parlance has is said so', async () => {
  const { url, stop } = await serve(emptyFolder());
  const { port } = new URL(url);
  const { code, stderr } = await run(['serve', '--port', port], { cwd: emptyFolder(), env: ENV });
  assert.equal(code, 1);
  assert.match(stderr, new RegExp(`^Parlance is running at ${url} already: stop that one, or take another port with `));
  await stop();
});

test('a data folder that another server has is one sentence', async () => {
  const cwd = emptyFolder();
  const { child, stop } = await serve(cwd);
  const { code, stderr } = await run(['serve'], { cwd, env: ENV });
  assert.equal(code, 1);
  assert.equal(
    stderr,
    `${join(cwd, 'data')} is in use by another Parlance server (process ${child.pid}). Stop that one first, or set PARLANCE_DATA to another folder.\n`,
  );
  await stop();
});

test('a server that would ask itself is not started', async () => {
  const env = { ...ENV, PORT: '8000', OPENAI_BASE_URL: 'http://localhost:8000/v1' };
  const { code, stderr } = await run(['serve'], { cwd: emptyFolder(), env });
  assert.deepEqual(
    { code, stderr },
    {
      code: 1,
      stderr:
        'OPENAI_BASE_URL points at Parlance itself: set it to the address of a model server, or PORT to another port.\n',
    },
  );
});

test('SIGTERM ends it in order', async () => {
  const { stop } = await serve(emptyFolder());
  const { code, stderr } = await stop();
  assert.deepEqual({ code, stderr }, { code: 0, stderr: 'Ending (SIGTERM); open answers may finish first.\n' });
});

test('it ends with whoever started it', async () => {
  const { child, said } = await serve(emptyFolder(), {}, true);
  const exited = once(child, 'exit');
  child.disconnect();
  await said('stderr', /^Ending \(npm start has ended\); open answers may finish first\.\n$/);
  assert.deepEqual(await exited, [0, null]);
});

test('under a launcher that stays, SIGTERM ends it too', async () => {
  const { child } = await serve(emptyFolder(), {}, true);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  assert.deepEqual(await exited, [0, null]);
});
