import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { emptyFolder, run } from './cli.ts';

const cwd = emptyFolder();

test('--version is the version of package.json', async () => {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  assert.deepEqual(await run(['--version'], { cwd }), { code: 0, stdout: `${version}\n`, stderr: '' });
});

test('without a command all commands are shown', async () => {
  const { code, stdout } = await run([], { cwd });
  assert.equal(code, 0);
  for (const name of [
    'serve',
    'keys create',
    'keys list',
    'keys revoke',
    'users list',
    'chat',
    'model pull',
    'doctor',
  ]) {
    assert.ok(stdout.includes(`  ${name}`), `the help names ${name}`);
  }
});

for (const args of [
  ['keys', 'create', '--help'],
  ['help', 'keys', 'create'],
  ['keys', 'create', '--user', 'x', '-h'],
]) {
  test(`${args.join(' ')} tells how to call it`, async () => {
    const { code, stdout } = await run(args, { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /Usage: \.\/parlance keys create \[OPTIONS\]/);
    assert.match(stdout, /--user NAME /);
  });
}

const refused: [args: string[], sentence: string][] = [
  [['kyes'], '"kyes" is not a command; did you mean "keys"?'],
  [['keys', 'creat'], '"keys creat" is not a command; did you mean "keys create"?'],
  [['frobnicate'], '"frobnicate" is not a command: see ./parlance --help.'],
  [['help', 'frobnicate'], '"frobnicate" is not a command: see ./parlance --help.'],
  [['keys', 'list', '--jsn'], '--jsn is not an option of "keys list"; did you mean --json?'],
  [['keys', 'list', '-x'], '-x is not an option of "keys list": see ./parlance keys list --help.'],
  [['keys', 'list', '--json=yes'], '--json takes no value.'],
  [['keys', 'list', '--data', 'a', '--data', 'b'], '--data was given twice.'],
  [['keys', 'create', '--user'], '--user needs a value: NAME.'],
  [['keys', 'create', '--user', '--json'], '--user needs a value: NAME.'],
  [['keys', 'create'], 'Whose key is it? Give --user NAME, or --service for one that acts for any user.'],
  [['keys', 'create', '--user', ' '], '--user must be 1–255 characters, in one line.'],
  [['keys', 'create', '--user', 'a\nb'], '--user must be 1–255 characters, in one line.'],
  [
    ['keys', 'create', '--user', 'a', '--scopes', 'read,rite'],
    '--scopes must be a list of read, write and admin, such as read,write.',
  ],
  [
    ['keys', 'create', '--user', 'a', '--rate', '5'],
    '--rate must be such as 6000/min or 10000/hour, or off; give it twice for both.',
  ],
  [
    ['keys', 'create', '--user', 'a', '--expires', '9q'],
    '--expires must be such as 90d, 12h, 30m, 4w or 1y, up to 100 years.',
  ],
  [
    ['keys', 'create', '--user', 'a', '--expires', '0d'],
    '--expires must be such as 90d, 12h, 30m, 4w or 1y, up to 100 years.',
  ],
  [['keys', 'revoke'], '"keys revoke" needs ID: ./parlance keys revoke ID'],
  [['serve', 'now'], '"serve" takes no "now": ./parlance serve'],
  [
    ['chat', '--url', 'ftp://x', 'hi'],
    '--url must be the http or https address of a server, such as http://127.0.0.1:8000.',
  ],
];

for (const [args, sentence] of refused) {
  test(`"${args.join(' ')}" is refused in one sentence`, async () => {
    assert.deepEqual(await run(args, { cwd }), { code: 2, stdout: '', stderr: `${sentence}\n` });
  });
}

test('the first word of several commands shows them, and is no success', async () => {
  const { code, stdout } = await run(['keys'], { cwd });
  assert.equal(code, 2);
  assert.match(stdout, /keys create .*\n.*keys list .*\n.*keys revoke ID /);
});

test('a wrong setting is one sentence, whatever the command', async () => {
  for (const args of [['serve'], ['keys', 'list'], ['model', 'list'], ['chat', 'hi']]) {
    const { code, stdout, stderr } = await run(args, { cwd, env: { PARLANCE_RATE_PER_MINUTE: 'many' } });
    assert.deepEqual(
      { args, code, stdout, stderr },
      { args, code: 1, stdout: '', stderr: 'PARLANCE_RATE_PER_MINUTE must be a whole number from 0 to 1000000000.\n' },
    );
  }
});

test('an option wins over the environment', async () => {
  const { code, stderr } = await run(['serve', '--port', '99999'], { cwd, env: { PORT: '8000' } });
  assert.deepEqual({ code, stderr }, { code: 1, stderr: 'PORT must be a whole number from 0 to 65535.\n' });
});
