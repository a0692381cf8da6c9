import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer } from '../support/server.ts';
import { emptyFolder, run } from './cli.ts';

interface Finding {
  about: string;
  state: 'ok' | 'note' | 'problem';
  says: string;
}

let model: ModelServer;
before(async () => {
  model = await startModelServer({ models: ['small-chat', 'text-embedding-3'] });
});
after(() => model.close());

async function doctor(env: Record<string, string>, args: string[] = [], cwd = emptyFolder()) {
  const all = { PORT: '0', PARLANCE_DETECT: 'off', ...env };
  const { code, stdout, stderr } = await run(['doctor', '--json', ...args], { cwd, env: all });
  assert.equal(stderr, '');
  const { ok, findings } = JSON.parse(stdout) as { ok: boolean; findings: Finding[] };
  assert.equal(code, ok ? 0 : 1);
  const of = (about: string) => findings.filter((finding) => finding.about === about);
  return { cwd, code, findings, of, problems: findings.filter(({ state }) => state === 'problem') };
}

test('where all is well it says so, asks no model, and makes nothing', async () => {
  const { cwd, code, of } = await doctor({ OPENAI_BASE_URL: model.url });
  assert.equal(code, 0);
  assert.match(of('Models')[0]?.says ?? '', /^openai at .*: 1 chat model$/);
  assert.match(of('Default')[0]?.says ?? '', /^small-chat, /);
  assert.deepEqual(of('Answer'), []);
  assert.equal(of('Database')[0]?.state, 'note');
  assert.equal(existsSync(join(cwd, 'data')), false);
  assert.equal(model.calls.length, 0);
});

test('--ask asks the default model', async () => {
  model.next({ text: 'ready' });
  const { of } = await doctor({ OPENAI_BASE_URL: model.url }, ['--ask']);
  assert.match(of('Answer')[0]?.says ?? '', /^small-chat said "ready" in \d+\.\d s$/);
});

test('a model that fails when it is asked is a problem', async () => {
  model.next({ status: 401, error: { error: { message: 'wrong key' } } });
  const { code, problems } = await doctor({ OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'sk-canary-123456' }, [
    '--ask',
  ]);
  assert.equal(code, 1);
  assert.deepEqual(
    problems.map(({ about }) => about),
    ['Answer'],
  );
  assert.match(problems[0]?.says ?? '', /OPENAI_API_KEY/);
  assert.ok(!JSON.stringify(problems).includes('canary'));
});

test('a provider that cannot be reached is a problem, with its reason', async () => {
  const gone = await startModelServer();
  await gone.close();
  const { code, problems } = await doctor({ OPENAI_BASE_URL: gone.url });
  assert.equal(code, 1);
  assert.deepEqual(
    problems.map(({ about }) => about),
    ['Models', 'Default'],
  );
  for (const { says } of problems) assert.match(says, /cannot be reached: the connection is refused/);
});

test('without a model the guide answers in local mode; elsewhere that is a problem', async () => {
  const local = await doctor({});
  assert.equal(local.code, 0);
  assert.match(local.of('Default')[0]?.says ?? '', /the built-in guide answers/);
  const keys = await doctor({ PARLANCE_LOCAL: 'off' });
  assert.deepEqual(
    keys.problems.map(({ about }) => about),
    ['Default'],
  );
});

test('a wrong setting is found, and nothing is looked at with it', async () => {
  const { code, findings } = await doctor({ PARLANCE_LOKAL: 'off', PARLANCE_TITLES: 'x' });
  assert.equal(code, 1);
  assert.deepEqual(
    findings.slice(1).map(({ about, state }) => ({ about, state })),
    [
      { about: 'Settings', state: 'problem' },
      { about: 'Settings', state: 'problem' },
    ],
  );
});

test('a server that would ask itself is found', async () => {
  const { of } = await doctor({ PORT: '8000', OPENAI_BASE_URL: 'http://127.0.0.1:8000/v1' });
  assert.match(of('Settings')[0]?.says ?? '', /points at Parlance itself/);
});

test('beside a running server it names it, and checks its database', async () => {
  const server = await startServer({ model: model.url });
  const { port } = new URL(server.url);
  const env = { PORT: port, PARLANCE_HOST: '127.0.0.1', PARLANCE_DATA: server.data, OPENAI_BASE_URL: model.url };
  const { code, of } = await doctor(env);
  assert.equal(code, 0);
  assert.equal(of('Port')[0]?.says, `Parlance is running at ${server.url}`);
  assert.deepEqual(of('Database')[0], { about: 'Database', state: 'ok', says: `${server.data} is sound` });
  await server.close();
});

test('a damaged database is a problem', async () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, 'data'));
  writeFileSync(join(cwd, 'data', 'parlance.db'), 'no database at all, but long enough to be looked at'.repeat(100));
  const { code, of } = await doctor({ OPENAI_BASE_URL: model.url }, [], cwd);
  assert.equal(code, 1);
  assert.match(of('Database')[0]?.says ?? '', /is not a database or is damaged/);
});

test('for people every finding is a line with its mark', async () => {
  const env = { PORT: '0', PARLANCE_DETECT: 'off', OPENAI_BASE_URL: model.url };
  const { stdout, stderr } = await run(['doctor'], { cwd: emptyFolder(), env });
  assert.match(stdout, /^✓ Node {6}\d+\.\d+\.\d+\n(?:[✓–✗] [A-Z][a-z]+ +\S.*\n)+$/);
  assert.equal(stderr, '');
});

test('MCP servers are connected to, and what is wrong with them is said, without their secrets', async () => {
  const cwd = emptyFolder();
  const command = process.execPath;
  const program = fileURLToPath(new URL('../support/mcp-server.ts', import.meta.url));
  const config = {
    assistants: [{ id: 'default', tools: ['good', 'good/gone', 'bad'] }],
    mcpServers: {
      good: { command, args: [program] },
      spare: { command, args: [program], tools: ['read'] },
      bad: { command, args: [program, 'crash'], env: { MCP_TOKEN: 'canary-123456' } },
    },
  };
  writeFileSync(join(cwd, 'parlance.config.json'), JSON.stringify(config));
  const { code, of } = await doctor({ OPENAI_BASE_URL: model.url }, [], cwd);
  assert.equal(code, 1);
  assert.deepEqual(
    of('Tools').map(({ state, says }) => [state, says]),
    [
      ['ok', 'good: 9 tools, 1 with approval'],
      ['problem', 'good has no tool "gone".'],
      ['note', 'spare: 1 tool; no assistant lists it'],
      ['problem', 'bad: it ended; it wrote: cannot start: no licence for •••'],
    ],
  );
});
