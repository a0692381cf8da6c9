/** What is different on a terminal. `script` (util-linux, of every Linux) gives the command one. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { emptyFolder } from './cli.ts';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));
const skip = process.platform === 'linux' && existsSync('/usr/bin/script') ? false : 'needs script of util-linux';
const KEYS = { enter: '\r', ctrlC: '\x03', ctrlD: '\x04', up: '\x1b[A' };

function openTerminal(args: string[], options: { cwd: string; env?: Record<string, string> }) {
  const command = ['exec', ...[process.execPath, CLI, ...args].map((part) => `'${part}'`)].join(' ');
  const child = spawn('/usr/bin/script', ['-qefc', command, '/dev/null'], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH ?? '', HOME: options.cwd, TERM: 'xterm', SHELL: '/bin/sh', ...options.env },
  });
  after(() => child.kill('SIGKILL'));
  let shown = '';
  let read = 0;
  let check = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    check();
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    ended,
    raw: () => shown,
    type: (text: string) => child.stdin.write(text),
    /** Resolves when the screen shows it, behind what was waited for before. */
    shows: (text: string) =>
      new Promise<void>((resolve, reject) => {
        // Names what was waited for, where the test would only run out of time.
        const late = setTimeout(() => reject(new Error(`It never showed ${JSON.stringify(text)}:\n${shown}`)), 60_000);
        check = () => {
          const screen = stripVTControlCharacters(shown).replaceAll('\r', '');
          const at = screen.indexOf(text, read);
          if (at < 0) return;
          read = at + text.length;
          clearTimeout(late);
          resolve();
        };
        check();
        void ended.then(() => clearTimeout(late));
        void ended.then(() => reject(new Error(`It ended before it showed ${JSON.stringify(text)}:\n${shown}`)));
      }),
  };
}

let model: ModelServer;
let server: TestServer;
before(async () => {
  if (skip) return;
  model = await startModelServer();
  server = await startServer({ model: model.url });
});
after(async () => {
  if (skip) return;
  await model.close();
  await server.close();
});

async function openChat(user: string) {
  const args = ['chat', '--url', server.url, '--key', server.ownerKey, '--user', user];
  const terminal = openTerminal(args, { cwd: emptyFolder() });
  await terminal.shows('> ');
  return terminal;
}

test("the owner's key is shown on the terminal, and nowhere else", { skip }, async () => {
  const cwd = emptyFolder();
  const terminal = openTerminal(['serve'], {
    cwd,
    env: { PORT: '0', PARLANCE_DETECT: 'off', PARLANCE_HOST: '127.0.0.1' },
  });
  await terminal.shows("It is the owner's, and shown this once.");
  const [key] = /plk_[0-9a-f]{64}/.exec(terminal.raw()) ?? [];
  const [url] = /http:\/\/127\.0\.0\.1:\d+/.exec(terminal.raw()) ?? [];
  assert.equal((await fetch(`${url}/api/chat/`, { headers: { authorization: `Bearer ${key}` } })).status, 200);
  assert.equal(existsSync(join(cwd, 'data', 'owner-key')), false);
  terminal.type(KEYS.ctrlC);
  assert.equal(await terminal.ended, 0);
});

test('a conversation: answers, history, a name, an end', { skip }, async () => {
  const calls = model.calls.length;
  const chat = await openChat('ada');
  chat.type(`hello${KEYS.enter}`);
  await chat.shows('You said: hello\n> ');
  chat.type(`again${KEYS.enter}`);
  await chat.shows('You said: again\n> ');
  assert.equal(
    (await model.call(calls + 1)).body.messages.length,
    3,
    'the second message has the first exchange before it',
  );
  chat.type(`/title Greetings${KEYS.enter}`);
  await chat.shows('> ');
  chat.type(`/list${KEYS.enter}`);
  await chat.shows('1 *  Greetings  ');
  await chat.shows('> ');
  chat.type(`/new${KEYS.enter}`);
  await chat.shows('> ');
  chat.type(`/open 1${KEYS.enter}`);
  await chat.shows('Greetings\n> hello\nYou said: hello\n> again\nYou said: again\n> ');
  chat.type(KEYS.up + KEYS.up + KEYS.up + KEYS.up + KEYS.up);
  await chat.shows('again');
  chat.type(KEYS.enter);
  await chat.shows('You said: again\n> ');
  chat.type(`/delete${KEYS.enter}`);
  await chat.shows('Delete "Greetings" for good? [y/N] ');
  chat.type(`y${KEYS.enter}`);
  await chat.shows('Deleted.');
  await chat.shows('> ');
  chat.type(`/list${KEYS.enter}`);
  await chat.shows('There are no chats yet.');
  await chat.shows('> ');
  chat.type(KEYS.ctrlD);
  assert.equal(await chat.ended, 0);
});

test('pasted lines are one message, and so are lines that end with a backslash', { skip }, async () => {
  const calls = model.calls.length;
  const chat = await openChat('paster');
  chat.type('\x1b[200~one\n/list\nthree\x1b[201~');
  await chat.shows('three');
  chat.type(KEYS.enter);
  await chat.shows('You said: one\n/list\nthree\n> ');
  chat.type(`four\\${KEYS.enter}`);
  await chat.shows('… ');
  chat.type(`five${KEYS.enter}`);
  await chat.shows('You said: four\nfive\n> ');
  assert.equal(model.calls.length, calls + 2);
  chat.type(`/quit${KEYS.enter}`);
  assert.equal(await chat.ended, 0);
});

test('Ctrl-C stops an answer, clears a line, and leaves when it comes twice', { skip }, async () => {
  model.next({ text: 'one two three', gated: true });
  const calls = model.calls.length;
  const chat = await openChat('stopper');
  chat.type(`count${KEYS.enter}`);
  const call = await model.call(calls);
  await call.release(2);
  await chat.shows('one two');
  chat.type(KEYS.ctrlC);
  await chat.shows('Stopped; what was written is kept.\n> ');
  chat.type('half a thought');
  await chat.shows('half a thought');
  chat.type(KEYS.ctrlC);
  await chat.shows('> ');
  chat.type(`whole${KEYS.enter}`);
  await chat.shows('You said: whole\n> ');
  chat.type(KEYS.ctrlC);
  await chat.shows('Press Ctrl-C again, or Ctrl-D, to leave.');
  chat.type(KEYS.ctrlC);
  assert.equal(await chat.ended, 0);
});

test('a mistyped command is not sent; what is no command is', { skip }, async () => {
  const chat = await openChat('typist');
  chat.type(`/lsit${KEYS.enter}`);
  await chat.shows('Did you mean /list? To send it as a message, put a space before it.\n> ');
  chat.type(`/shrug whatever${KEYS.enter}`);
  await chat.shows('You said: /shrug whatever\n> ');
  chat.type(KEYS.ctrlD);
  assert.equal(await chat.ended, 0);
});

test('an answer cannot move the cursor or set the title of the terminal', { skip }, async () => {
  model.next({ text: ['safe\x1b[2J\x1b]0;owned\x07', ' text', '\x1b', '[31mred'] });
  const chat = await openChat('careful');
  chat.type(`go${KEYS.enter}`);
  await chat.shows('red\n> ');
  assert.ok(!chat.raw().includes('\x1b[2J') && !chat.raw().includes('\x1b]0;') && !chat.raw().includes('\x1b[31mred'));
  chat.type(KEYS.ctrlD);
  await chat.ended;
});

test('NO_COLOR leaves the colours out', { skip }, async () => {
  const env = { PORT: '0', PARLANCE_DETECT: 'off' };
  const coloured = openTerminal(['doctor'], { cwd: emptyFolder(), env });
  await coloured.ended;
  assert.ok(coloured.raw().includes('\x1b[32m✓'));
  const plain = openTerminal(['doctor'], { cwd: emptyFolder(), env: { ...env, NO_COLOR: '1' } });
  await plain.ended;
  assert.ok(plain.raw().includes('✓ Node') && !plain.raw().includes('\x1b[32m'));
});
