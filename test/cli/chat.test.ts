import assert from 'node:assert/strict';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { type ModelServer, startModelServer, textOf, words } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { emptyFolder, run, start } from './cli.ts';

const cwd = emptyFolder();
let model: ModelServer;
let server: TestServer;

before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url, env: { PARLANCE_TITLES: 'words' } });
});
after(async () => {
  await model.close();
  await server.close();
});

const chat = (args: string[], input = '') => run(['chat', '--url', server.url, ...args], { cwd, input });

/** Gives way to whatever the server is reached through, and can be cut. */
async function startRelay(
  target: TestServer,
): Promise<{ url: string; cut(): void; connections(): number; close(): void }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const relay = createServer((near) => {
    connections++;
    const far = connect(Number(new URL(target.url).port), '127.0.0.1');
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  const address = relay.address();
  assert.ok(typeof address === 'object' && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}`,
    connections: () => connections,
    cut: () => {
      for (const socket of sockets) socket.destroy();
    },
    close: () => relay.close(),
  };
}

/** The newest chat of the machine's owner, with its entries. */
async function newest(): Promise<{ id: string; name: string; entries: { role: string; message: string }[] }> {
  const visitor = server.visitor();
  const { body } = await visitor.request<{ id: string; name: string }[]>('GET', '/chats/');
  const [first] = body;
  assert.ok(first, 'there is a chat');
  const entries = await visitor.request<{ role: string; message: string }[]>('GET', `/chats/${first.id}/conversations`);
  return { ...first, entries: entries.body.map(({ role, message }) => ({ role, message })) };
}

test('a piped message is answered once', async () => {
  const ended = await chat([], 'line one\nline two\n');
  assert.deepEqual(ended, { code: 0, stdout: 'You said: line one\nline two\n', stderr: '' });
  const { entries } = await newest();
  assert.deepEqual(entries, [
    { role: 'Human', message: 'line one\nline two' },
    { role: 'Assistant', message: 'You said: line one\nline two' },
  ]);
});

test('a message may stand behind the command', async () => {
  const ended = await chat(['what', 'is', 'a monad?']);
  assert.deepEqual(ended, { code: 0, stdout: 'You said: what is a monad?\n', stderr: '' });
});

test('nothing is no message', async () => {
  const { code, stderr } = await chat([], '\n');
  assert.deepEqual(
    { code, stderr },
    { code: 2, stderr: 'There is no message: write one behind "chat", or pipe one in.\n' },
  );
});

test('--open goes on with a chat', async () => {
  await chat(['my name is Ada']);
  const { id } = await newest();
  const calls = model.calls.length;
  await chat(['--open', id, 'who am I?']);
  const { body } = await model.call(calls);
  assert.deepEqual(body.messages.map(textOf), ['my name is Ada', 'You said: my name is Ada', 'who am I?']);
});

test('--open of a chat that is not there is a sentence', async () => {
  const { code, stdout, stderr } = await chat(['--open', '00000000-0000-7000-8000-000000000000', 'hi']);
  assert.deepEqual({ code, stdout, stderr }, { code: 1, stdout: '', stderr: 'Conversation not found\n' });
});

test('the answer is written while it comes', async () => {
  model.next({ text: 'one two three', gated: true });
  const calls = model.calls.length;
  const chatting = start(['chat', '--url', server.url, 'count'], { cwd });
  const call = await model.call(calls);
  await call.release(2);
  await chatting.said('stdout', /^one two$/);
  await call.releaseAll();
  assert.equal((await chatting.ended).stdout, 'one two three\n');
});

test('Ctrl-C stops the answer, and keeps what was written', async () => {
  model.next({ text: 'one two three', gated: true });
  const calls = model.calls.length;
  const chatting = start(['chat', '--url', server.url, 'count to a million'], { cwd });
  const call = await model.call(calls);
  await call.release(2);
  await chatting.said('stdout', /one two/);
  chatting.child.kill('SIGINT');
  assert.deepEqual(await chatting.ended, {
    code: 130,
    stdout: 'one two\n',
    stderr: 'Stopped; what was written is kept.\n',
  });
  assert.equal(await call.over, 'left', 'the model is asked no further');
  assert.deepEqual((await newest()).entries.at(-1), { role: 'Assistant', message: 'one two' });
});

test('Ctrl-C stops an answer that has not begun', async () => {
  model.next({ text: 'never', stall: 'first-token' });
  const calls = model.calls.length;
  const chatting = start(['chat', '--url', server.url, 'hurry'], { cwd });
  const call = await model.call(calls);
  chatting.child.kill('SIGINT');
  const { code, stdout } = await chatting.ended;
  assert.deepEqual({ code, stdout }, { code: 130, stdout: '' });
  assert.equal(await call.over, 'left');
});

test('an answer whose connection is cut is gone on with, byte for byte, and asked for once', async () => {
  const relay = await startRelay(server);
  const text = 'a  b\n\n  indented 😀 ünïcödé\tend';
  const deltas = words(text);
  model.next({ text: deltas, gated: true });
  const calls = model.calls.length;
  const chatting = start(['chat', '--url', relay.url, 'go'], { cwd });
  const call = await model.call(calls);
  let written = '';
  for (const delta of deltas) {
    await call.release(1);
    written += delta;
    const so = written;
    await chatting.said('stdout', new RegExp(`^${so.replaceAll('\n', '\\n')}`));
    relay.cut();
  }
  await call.releaseAll();
  assert.deepEqual(await chatting.ended, { code: 0, stdout: `${text}\n`, stderr: '' });
  assert.ok(relay.connections() > 2, 'it came back');
  assert.equal(model.calls.length, calls + 1);
  relay.close();
});

test('after a crash of the server the text so far is kept, and the break is said', async () => {
  const own = await startServer({ model: model.url });
  model.next({ text: 'half of it', gated: true });
  const calls = model.calls.length;
  const relay = await startRelay(own);
  const chatting = start(['chat', '--url', relay.url, 'go'], { cwd });
  const call = await model.call(calls);
  await call.release(2);
  await chatting.said('stdout', /half of/);
  await own.kill();
  await own.start();
  const { code, stdout, stderr } = await chatting.ended;
  assert.equal(code, 1);
  assert.match(stdout, /^half of\n/);
  assert.match(stderr, /restarted/);
  relay.close();
  await own.close();
});

test('a failing model is its sentence, and exit code 1', async () => {
  model.next({ status: 400, error: { error: { message: 'no such thing' } } });
  const { code, stdout, stderr } = await chat(['hi']);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(stderr, /no such thing/);
});

test('where no server is, it says how to start one', async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
  const address = gone.address();
  assert.ok(typeof address === 'object' && address !== null);
  await new Promise((resolve) => gone.close(resolve));
  const ended = await run(['chat', 'hi'], { cwd, env: { PORT: String(address.port) } });
  assert.deepEqual(ended, {
    code: 1,
    stdout: '',
    stderr: `No server answers at http://127.0.0.1:${address.port} (ECONNREFUSED). Start one with: ./parlance serve\n`,
  });
});

test('with a key it speaks as the user of the key', async () => {
  const key = await server.createKey('alice');
  const ended = await run(['chat', '--url', server.url, 'from alice'], { cwd, env: { PARLANCE_KEY: key } });
  assert.equal(ended.stdout, 'You said: from alice\n');
  const mine = await server.visitor({ authorization: `Bearer ${key}` }).request<{ id: string }[]>('GET', '/chats/');
  assert.equal(mine.body.length, 1);
});

test('--user speaks as another user, with a service key', async () => {
  const bob = server.client('bob');
  const ended = await chat(['--key', server.ownerKey, '--user', 'bob', 'from bob']);
  assert.equal(ended.stdout, 'You said: from bob\n');
  assert.equal((await bob.request<unknown[]>('GET', '/chats/')).body.length, 1);
});

test('a wrong key is refused with a way out', async () => {
  const { code, stdout, stderr } = await chat(['--key', 'plk_wrong', 'hi']);
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.match(stderr, /API key .* Give it by PARLANCE_KEY or --key\.\n$/);
});
