import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Assistant } from '#core/conversation.ts';
import { emptyAnswer } from '#core/fold.ts';
import type { Run } from '#core/run.ts';
import type { ServerTool, ToolResult } from '#ports/tools.ts';
import { systemClock as clock } from '../../../src/adapters/clock/system.ts';
import { createMcp, type Mcp } from '../../../src/adapters/mcp/mcp.ts';
import type { McpReach, McpServer } from '../../../src/adapters/mcp/settings.ts';

const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));
const OURS = fileURLToPath(new URL('../../support/mcp-server.ts', import.meta.url));
const opened: Mcp[] = [];
after(() => Promise.all(opened.map((mcp) => mcp.close())));

function stdio(args: string[], env: Record<string, string> = {}): McpReach {
  return { kind: 'stdio', command: process.execPath, args, env, cwd: null };
}

function open(reach: McpReach, facts: Partial<McpServer> = {}) {
  const problems: string[] = [];
  const server: McpServer = { name: 'it', reach, tools: null, approve: 'writes', secrets: [], ...facts };
  const proxy = { http: null, https: null, noProxy: null };
  const mcp = createMcp([server], { clock, version: '1', proxy, onProblem: (says) => problems.push(says) });
  opened.push(mcp);
  const offer = (tools: string[] = ['it']) =>
    mcp.offer({} as Run, { tools } as Assistant, new AbortController().signal);
  return {
    mcp,
    problems,
    offer,
    async call(name: string, given: Record<string, unknown> = {}, signal = new AbortController().signal) {
      const tool = (await offer()).tools.find((one) => one.name === `it__${name}`);
      assert.ok(tool, `it has the tool ${name}`);
      return call(tool, given, signal);
    },
  };
}

function call(tool: ServerTool, given: Record<string, unknown>, signal: AbortSignal): Promise<ToolResult> {
  return tool.call(given, { signal, run: {} as Run, answer: emptyAnswer(), publish: () => undefined });
}

describe('A real MCP server from npm, over stdio', () => {
  const { offer, call, mcp } = open(stdio([EVERYTHING, 'stdio']));

  it('its tools are offered under valid names, with what they take and whether they only read', async () => {
    const { tools, notes } = await offer();
    assert.deepEqual(notes, []);
    const echo = tools.find(({ name }) => name === 'it__echo');
    assert.equal(echo?.needsApproval, false);
    assert.equal(echo?.server, 'it');
    assert.deepEqual(echo?.parameters, {
      type: 'object',
      properties: { message: { type: 'string', description: 'Message to echo' } },
      required: ['message'],
    });
    assert.equal(tools.find(({ name }) => name === 'it__toggle-simulated-logging')?.needsApproval, true);
  });

  it('a call gives its text', async () => {
    assert.deepEqual(await call('get-sum', { a: 1, b: 2 }), { text: 'The sum of 1 and 2 is 3.', isError: false });
  });

  it('what is no text is described', async () => {
    const { text } = await call('get-tiny-image');
    assert.match(text, /\[image, image\/png, \d+ KiB: not shown\]/);
    const links = await call('get-resource-links', { count: 1 });
    assert.match(links.text, /\[demo:\/\/resource\/\S+: .+\]/);
    const { text: resource } = await call('get-resource-reference', { resourceType: 'Blob', resourceId: 1 });
    assert.match(resource, /\[demo:\/\/resource\/\S+, text\/plain, \d+ bytes: not shown\]/);
  });

  it('wrong arguments are the server’s error, told to the model', async () => {
    const given = await call('get-sum', { a: 'x' }).catch((error: Error) => ({ text: error.message, isError: true }));
    assert.equal(given.isError, true);
    assert.match(given.text, /nvalid/);
  });

  it('an assistant may list single tools, and only those are offered', async () => {
    const { tools } = await offer(['it/echo', 'it/get-sum', 'other']);
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['it__echo', 'it__get-sum'],
    );
    assert.deepEqual((await offer([])).tools, []);
  });

  it('is reported, with names of the configuration that it has no tool for', async () => {
    const [report] = await mcp.report([{ tools: ['it/echo', 'it/gone'] } as Assistant]);
    assert.equal(report?.problem, null);
    assert.ok((report?.tools ?? 0) > 10 && (report?.approved ?? 0) > 0);
    assert.deepEqual(report?.unknown, ['gone']);
  });
});

describe('A real MCP server from npm, over streamable HTTP', () => {
  it('is asked, and asked anew when it was restarted and knows its sessions no more', async () => {
    const port = await freePort();
    let child = await serve(port);
    const reach: McpReach = { kind: 'http', url: `http://127.0.0.1:${port}/mcp`, headers: { 'x-key': 'k' } };
    const { call } = open(reach);
    assert.equal((await call('echo', { message: 'one' })).text, 'Echo: one');
    child.kill('SIGKILL');
    await once(child, 'exit');
    child = await serve(port);
    assert.equal((await call('echo', { message: 'two' })).text, 'Echo: two');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await assert.rejects(call('echo', { message: 'three' }), /the connection (is refused|was reset)|closed/);
  });

  it('one that refuses the key says so, without the key', async () => {
    const server = createServer((_request, response) => response.writeHead(401).end('{"sent":"canary-token"}'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
    const reach: McpReach = { kind: 'http', url, headers: { authorization: 'Bearer canary-token' } };
    const { offer, problems } = open(reach, { secrets: ['Bearer canary-token', 'canary-token'] });
    const { tools, notes } = await offer();
    assert.deepEqual(tools, []);
    assert.deepEqual(notes, ['The tools of "it" cannot be reached at the moment: say so if they are needed.']);
    assert.deepEqual(problems, ['The MCP server "it" cannot be used: it refuses the key in its headers (401).']);
    server.close();
  });

  it('an answer without end breaks off', async () => {
    let written = 0;
    const server = createServer((request, response) => {
      if (request.method !== 'POST') return void response.writeHead(405).end();
      response.writeHead(200, { 'content-type': 'application/json' });
      const more = () => {
        while (response.writable && response.write('x'.repeat(65_536))) written += 65_536;
      };
      response.on('drain', more);
      more();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { offer } = open({
      kind: 'http',
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
      headers: {},
    });
    assert.equal((await offer()).notes.length, 1);
    assert.ok(written < 16 * 1024 * 1024, `${written} bytes were read`);
    server.closeAllConnections();
    server.close();
  });
});

describe('A bad MCP server', () => {
  it('that dies in a call is an error, and is started again for the next', async () => {
    const { call } = open(stdio([OURS]));
    await assert.rejects(call('die'), /"it" ended in the middle of the call/);
    assert.equal((await call('read', { text: 'on' })).text, 'read on');
  });

  it('that hangs is left when the call is given up, and works for other calls', async () => {
    const { call } = open(stdio([OURS]));
    const stop = new AbortController();
    const hanging = call('hang', {}, stop.signal);
    await call('read', { text: 'meanwhile' });
    stop.abort();
    await assert.rejects(hanging);
    assert.equal((await call('read', { text: 'on' })).text, 'read on');
  });

  it('that answers nothing any more is ended and started again', async () => {
    const { call, problems } = open(stdio([OURS]));
    const stop = new AbortController();
    const hanging = call('deaf', {}, stop.signal);
    await call('read', {}, AbortSignal.timeout(1000)).catch(() => undefined);
    stop.abort();
    await assert.rejects(hanging);
    // It is asked whether it is there for five seconds.
    const began = Date.now();
    for (;;) {
      const signal = AbortSignal.timeout(500);
      const given = await call('read', { text: 'on' }, signal).catch(() => null);
      if (given?.text === 'read on') break;
      assert.ok(Date.now() - began < 20_000, `it came back: ${problems}`);
    }
  });

  it('that writes more than is taken is an error', async () => {
    const { call } = open(stdio([OURS]));
    await assert.rejects(call('flood'), /"it"/);
    assert.equal((await call('read', { text: 'on' })).text, 'read on');
  });

  it('that writes lines which are no messages is understood nevertheless', async () => {
    const { call } = open(stdio([OURS, 'noisy']));
    assert.equal((await call('read', { text: 'on' })).text, 'read on');
  });

  it('that fails says why, in both ways', async () => {
    const { call } = open(stdio([OURS]));
    assert.deepEqual(await call('fail'), { text: 'the disk is full', isError: true });
    await assert.rejects(call('refuse'), /"it" failed: .*the text is missing/);
  });

  it('that cannot start is named with what it wrote, without secrets, and is not started again at once', async () => {
    const { offer, problems } = open(stdio([OURS, 'crash'], { MCP_TOKEN: 'canary-123456' }), {
      secrets: ['canary-123456'],
    });
    assert.equal((await offer()).notes.length, 1);
    assert.equal((await offer()).notes.length, 1);
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /^The MCP server "it" cannot be used: it ended; it wrote: cannot start: no licence for •••/,
    );
  });

  it('whose command does not exist is named', async () => {
    const { problems, offer } = open({ kind: 'stdio', command: 'no-such-command', args: [], env: {}, cwd: null });
    await offer();
    assert.deepEqual(problems, ['The MCP server "it" cannot be used: its command is not found.']);
  });

  it('that never answers the handshake holds no answer up for longer than its patience', async () => {
    const { mcp } = open(stdio([OURS, 'silent']));
    const stop = new AbortController();
    const offered = mcp.offer({} as Run, { tools: ['it'] } as Assistant, stop.signal);
    stop.abort();
    assert.equal((await offered).notes.length, 1);
  });

  it('gets what is configured and what every program needs of the environment, and none of our keys', async () => {
    process.env.OPENAI_API_KEY = 'canary-of-ours';
    const { call } = open(stdio([OURS], { GIVEN: 'yes', MCP_TOKEN: 'canary-123456' }), { secrets: ['canary-123456'] });
    const { text } = await call('env');
    delete process.env.OPENAI_API_KEY;
    const env = JSON.parse(text) as Record<string, string>;
    assert.equal(env.GIVEN, 'yes');
    assert.equal(env.PATH, process.env.PATH);
    assert.equal(env.OPENAI_API_KEY, undefined);
    assert.equal(env.MCP_TOKEN, '•••');
  });
});

describe('What is offered of an MCP server', () => {
  it('only what its allow-list names', async () => {
    const { offer } = open(stdio([OURS]), { tools: ['read', 'gone'] });
    assert.deepEqual(
      (await offer()).tools.map(({ name }) => name),
      ['it__read'],
    );
  });

  it('a tool that comes later is offered from then on', async () => {
    const { offer, call } = open(stdio([OURS, 'grow']));
    assert.ok(!(await offer()).tools.some(({ name }) => name === 'it__grown'));
    await call('read');
    while (!(await offer()).tools.some(({ name }) => name === 'it__grown')) await setImmediate();
  });

  it('approval is what the configuration says, else what the tool says of itself', async () => {
    const asks = async (approve: McpServer['approve']) =>
      (await open(stdio([OURS]), { approve }).offer()).tools
        .filter(({ name }) => ['it__note', 'it__read', 'it__env'].includes(name))
        .map(({ needsApproval }) => needsApproval);
    assert.deepEqual(await asks('writes'), [true, false, false]);
    assert.deepEqual(await asks('never'), [false, false, false]);
    assert.deepEqual(await asks('always'), [true, true, true]);
    assert.deepEqual(await asks({ note: 'never', read: 'always' }), [false, true, false]);
    assert.deepEqual(await asks({ note: 'never', '*': 'always' }), [false, true, true]);
  });
});

/** The server from npm as a process of its own. */
async function serve(port: number) {
  const env = { ...process.env, PORT: String(port) };
  const child = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  after(() => void child.kill('SIGKILL'));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const read = (chunk: Buffer) => /listening/i.test(chunk.toString()) && resolve();
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  child.once('exit', () => reject(new Error('It ended.')));
  await promise;
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
