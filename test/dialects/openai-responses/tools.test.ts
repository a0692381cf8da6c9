/** Tools that this server runs, as `/v1/responses` shows them: the web, and MCP servers with a person's approval. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';
import { ask, follow, get, refusal, stream } from './fixtures.ts';
import { textOf } from './spec.ts';

const MCP_SERVER = fileURLToPath(new URL('../../support/mcp-server.ts', import.meta.url));
const PAGE = `<html><head><title>Metropolis</title></head><body><article><h1>Metropolis</h1>
<p>Metropolis is a silent film by Fritz Lang. It had its premiere in Berlin in January 1927.</p>
${'<p>It was among the most expensive films of its time, with thousands of people in it.</p>'.repeat(20)}
</article></body></html>`;

let model: ModelServer;
let web: Server;
let server: TestServer;
let me: Client;
let folder: string;
let page: string;

before(async () => {
  model = await startModelServer();
  folder = await mkdtemp(join(tmpdir(), 'parlance-tools-'));
  web = createServer((request, response) => {
    if (request.url === '/robots.txt') response.writeHead(404).end();
    else if (request.url?.startsWith('/search')) {
      const results = [{ title: 'Metropolis', url: page, content: 'A silent film of 1927.' }];
      response.setHeader('content-type', 'application/json').end(JSON.stringify({ results }));
    } else response.setHeader('content-type', 'text/html').end(PAGE);
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  const { port } = web.address() as AddressInfo;
  page = `http://127.0.0.1:${port}/metropolis`;
  const config = join(folder, 'config.json');
  const files = { command: process.execPath, args: [MCP_SERVER], env: { MCP_NOTES: join(folder, 'notes') } };
  const assistants = [{ id: 'default', name: 'Assistant', tools: ['files/note', 'files/read'] }];
  await writeFile(config, JSON.stringify({ mcpServers: { files }, assistants }));
  const env = {
    PARLANCE_CONFIG: config,
    SEARXNG_URL: `http://127.0.0.1:${port}`,
    PARLANCE_WEB_PAGES: '1',
    PARLANCE_WEB_ALLOW: `127.0.0.1:${port}`,
  };
  server = await startServer({ model: model.url, env });
  me = server.client();
});
after(async () => {
  await server?.close();
  await model?.close();
  web?.close();
  await rm(folder, { recursive: true, force: true });
});

describe('Web search in a response', () => {
  it('is an item before the text, whose citations come with the evidence', async () => {
    model.next(
      { tools: [{ name: 'web_search', arguments: '{"query":"Metropolis premiere"}' }] },
      { text: 'In January 1927 [1].' },
    );
    const { events, response, raw } = await stream(me, { input: 'When was it?', tools: [{ type: 'web_search' }] });
    assert.deepEqual(
      response.output.map(({ type }) => type),
      ['web_search_call', 'message'],
    );
    const [search, message] = response.output;
    const action = search?.action as { sources: object[] } | undefined;
    assert.deepEqual(action?.sources, [{ type: 'url', url: page }]);
    const [part] = (message?.content ?? []) as {
      annotations?: { url: string; evidence: { quote: string; hash: string } }[];
    }[];
    const [citation] = part?.annotations ?? [];
    assert.equal(citation?.url, page);
    assert.match(citation?.evidence.quote ?? '', /premiere in Berlin in January 1927/);
    assert.match(citation?.evidence.hash ?? '', /^[0-9a-f]{64}$/);
    assert.ok(events.some(({ type }) => type === 'response.web_search_call.completed'));
    assert.ok(events.some(({ type }) => type === 'response.output_text.annotation.added'));
    assert.deepEqual(response.tools, [{ type: 'web_search' }]);
    assert.equal((await follow(me, response.id)).raw, raw);
    assert.deepEqual(await get(me, response.id), response);
  });

  it('is left to the model, and not offered where it was not asked for', async () => {
    const offered = () => model.calls.at(-1)?.body.tools?.map((tool) => tool.function.name) ?? [];
    await ask(me, { input: 'Hi', tools: [{ type: 'web_search_preview' }] });
    assert.ok(offered().includes('web_search'));
    await ask(me, { input: 'Hi' });
    assert.ok(!offered().includes('web_search'));
  });
});

describe('Tools of an MCP server in a response', () => {
  const called = (name: string) =>
    model.calls.at(-1)?.body.tools?.find((tool) => tool.function.name.includes(name))?.function.name ?? '';
  const nameOf = async (name: string) => {
    await ask(me, { input: 'Hi' });
    return called(name);
  };
  const mcp = [{ type: 'mcp', server_label: 'files' }];

  it('are items with what they gave', async () => {
    const name = await nameOf('read');
    model.next({ tools: [{ name, arguments: '{"text":"it"}' }] }, { text: 'It says so' });
    const { response } = await stream(me, { input: 'Read it' });
    assert.deepEqual(
      response.output.map(({ type, status, server_label, arguments: given, output, error }) => [
        type,
        status,
        server_label,
        given,
        output,
        error,
      ]),
      [
        ['mcp_call', 'completed', 'files', '{"text":"it"}', 'read it', null],
        ['message', 'completed', undefined, undefined, undefined, undefined],
      ],
    );
    assert.deepEqual(await get(me, response.id), response);
  });

  it('ask for approval where the client can give it, and are run once it is given', async () => {
    const name = await nameOf('note');
    model.next({ tools: [{ name, arguments: '{"text":"milk"}' }] });
    const { response } = await stream(me, { input: 'Note milk', tools: mcp });
    const [request] = response.output;
    assert.deepEqual(
      [request?.type, request?.server_label, request?.arguments],
      ['mcp_approval_request', 'files', '{"text":"milk"}'],
    );
    model.next({ text: 'Noted' });
    const input = [{ type: 'mcp_approval_response', approval_request_id: request?.id, approve: true }];
    const next = await stream(me, { input, previous_response_id: response.id, tools: mcp });
    const [call] = next.response.output;
    assert.deepEqual([call?.type, call?.output, call?.approval_request_id], ['mcp_call', 'noted', request?.id]);
    assert.equal(textOf(next.response), 'Noted');
    assert.equal(await readFile(join(folder, 'notes'), 'utf8'), 'milk\n');
    const strange = await refusal(server.client(), { input });
    assert.equal(strange.status, 400);
  });

  it('are not run where nobody can approve them, and a request connects none', async () => {
    const name = await nameOf('note');
    model.next({ tools: [{ name, arguments: '{"text":"bread"}' }] }, { text: 'I may not' });
    const response = await ask(me, { input: 'Note bread' });
    assert.equal(textOf(response), 'I may not');
    assert.equal(response.output[0]?.status, 'failed');
    assert.equal(await readFile(join(folder, 'notes'), 'utf8'), 'milk\n');
    const tools = [{ type: 'mcp', server_label: 'mine', server_url: 'http://127.0.0.1:9/' }];
    assert.equal((await refusal(me, { input: 'Hi', tools })).status, 400);
  });
});
