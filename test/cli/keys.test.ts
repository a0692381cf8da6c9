import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { emptyFolder, run } from './cli.ts';

const KEY = /^plk_[0-9a-f]{64}\n$/;

test('keys create prints the key alone on stdout', async () => {
  const { code, stdout, stderr } = await run(['keys', 'create', '--user', 'alice'], { cwd: emptyFolder() });
  assert.equal(code, 0);
  assert.match(stdout, KEY);
  assert.match(stderr, /A key of "alice": read, write\./);
  assert.ok(!stderr.includes(stdout.trim()), 'the key is on stdout only');
});

test('a key is listed with all that was said of it, and without its secret', async () => {
  const cwd = emptyFolder();
  const before = Date.now();
  const args = [
    '--user',
    'alice',
    '--scopes',
    'admin,read',
    '--rate',
    '6000/min',
    '--rate',
    '9/hour',
    '--expires',
    '90d',
  ];
  const made = await run(['keys', 'create', ...args, '--name', 'my laptop', '--json'], { cwd });
  const { key, ...created } = JSON.parse(made.stdout);
  assert.match(`${key}\n`, KEY);
  const listed = await run(['keys', 'list', '--json'], { cwd });
  assert.ok(!listed.stdout.includes(key));
  const [only, ...others] = JSON.parse(listed.stdout);
  assert.deepEqual(others, []);
  assert.deepEqual(only, created, 'it is listed as it was made');
  const { id, created_at, expires_at, ...facts } = only;
  assert.deepEqual(facts, {
    user: 'alice',
    kind: 'user',
    name: 'my laptop',
    hint: key.slice(-4),
    scopes: ['read', 'admin'],
    rates: { per_minute: 6000, per_hour: 9 },
    revoked_at: null,
  });
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.ok(Date.parse(created_at) >= before && Date.parse(created_at) <= Date.now());
  const days = (Date.parse(expires_at) - Date.parse(created_at)) / 86_400_000;
  assert.ok(Math.abs(days - 90) < 0.001, `90 days, not ${days}`);
});

test("a service key is its owner's, and a window without a rate has no limit", async () => {
  const { stdout } = await run(['keys', 'create', '--service', '--rate', '5/min', '--json'], { cwd: emptyFolder() });
  const { kind, user, rates, expires_at } = JSON.parse(stdout);
  assert.deepEqual(
    { kind, user, rates, expires_at },
    { kind: 'service', user: 'local', rates: { per_minute: 5, per_hour: 0 }, expires_at: null },
  );
});

test('keys list is a table for people', async () => {
  const cwd = emptyFolder();
  assert.match(
    (await run(['keys', 'list'], { cwd })).stderr,
    /There are no keys\. Make one with: \.\/parlance keys create/,
  );
  const made = await run(['keys', 'create', '--user', 'alice', '--json'], { cwd });
  const { id, hint } = JSON.parse(made.stdout);
  await run(['keys', 'create', '--user', 'b', '--rate', 'off'], { cwd });
  const [titles = '', first = '', second = ''] = (await run(['keys', 'list'], { cwd })).stdout.split('\n');
  assert.match(titles, /^ID +USER +KIND +NAME +SCOPES +LIMIT +KEY +CREATED +STATE$/);
  assert.match(first, new RegExp(`^${id}  alice  user  –     read,write  as set    plk_…${hint}  `));
  assert.equal(first.indexOf('read,write'), titles.indexOf('SCOPES'), 'columns stand under their titles');
  assert.match(second, / b {6}user .* no limit /);
});

test('keys revoke ends a key; an unknown one is an error', async () => {
  const cwd = emptyFolder();
  const { id } = JSON.parse((await run(['keys', 'create', '--user', 'alice', '--json'], { cwd })).stdout);
  const revoked = await run(['keys', 'revoke', id], { cwd });
  assert.equal(revoked.code, 0);
  assert.match(revoked.stderr, new RegExp(`^The key ${id} of "alice" is revoked`));
  const [key] = JSON.parse((await run(['keys', 'list', '--json'], { cwd })).stdout);
  assert.ok(Date.parse(key.revoked_at) > 0);
  assert.match((await run(['keys', 'list'], { cwd })).stdout, / revoked\n$/);
  const unknown = await run(['keys', 'revoke', 'nope'], { cwd });
  assert.deepEqual(unknown, {
    code: 1,
    stdout: '',
    stderr: 'There is no key with the id nope. See: ./parlance keys list\n',
  });
});

test('users list shows the owner and whoever has a key', async () => {
  const cwd = emptyFolder();
  await run(['keys', 'create', '--user', 'alice'], { cwd });
  const { stdout } = await run(['users', 'list'], { cwd });
  assert.match(stdout, /^USER +MADE BY +CREATED\nlocal +the first start +\d.*\nalice +a key +\d.*\n$/);
  const users = JSON.parse((await run(['users', 'list', '--json'], { cwd })).stdout);
  assert.deepEqual(
    users.map(({ id, keyless }: { id: string; keyless: boolean }) => ({ id, keyless })),
    [
      { id: 'local', keyless: false },
      { id: 'alice', keyless: false },
    ],
  );
});

test('a name that would move the cursor is shown without its escape sequences', async () => {
  const cwd = emptyFolder();
  await run(['keys', 'create', '--user', 'alice', '--name', 'x\u009b2Jy'], { cwd });
  assert.match((await run(['keys', 'list'], { cwd })).stdout, / x2Jy /);
});

test('a data folder that holds something else is one sentence', async () => {
  const cwd = emptyFolder();
  mkdirSync(join(cwd, 'data'));
  writeFileSync(join(cwd, 'data', 'parlance.db'), 'no database at all, but long enough to be looked at'.repeat(100));
  const { code, stderr } = await run(['keys', 'list'], { cwd });
  assert.equal(code, 1);
  assert.match(stderr, /parlance\.db is not a database or is damaged .*\.\n$/);
});
