/** Tools of an MCP server, run by the server in the middle of an answer, as every dialect shows them. */

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import OpenAI from 'openai';
import { openChat, plain, shows, VERSIONS } from '../dialects/ai-sdk/chat.ts';
import { type ModelServer, type Script, startModelServer } from '../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../support/server.ts';
import { DIALECTS } from './dialects.ts';

const MCP = fileURLToPath(new URL('../support/mcp-server.ts', import.meta.url));
const EVERYTHING = fileURLToPath(import.meta.resolve('@modelcontextprotocol/server-everything/dist/index.js'));
const TOKEN = 'canary-token-of-the-mcp-server';
const folder = mkdtempSync(join(tmpdir(), 'parlance-tools-'));
const notes = join(folder, 'notes');
const written = () => (existsSync(notes) ? readFileSync(notes, 'utf8') : '');

const config = {
  assistants: [
    ...['default', 'movies'].map((id) => ({ id, tools: ['it', 'every/get-sum'] })),
    { id: 'bare', name: 'Without tools' },
  ],
  mcpServers: {
    it: { command: process.execPath, args: [MCP], env: { MCP_NOTES: notes, MCP_TOKEN: TOKEN } },
    every: { command: process.execPath, args: [EVERYTHING, 'stdio'] },
  },
};

let model: ModelServer;
let server: TestServer;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url, config });
});
after(async () => {
  assert.ok(!server.output().includes(TOKEN), 'no secret is in the log');
  await server.close();
  await model.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  model.calls.length = 0;
  rmSync(notes, { force: true });
});

/** A model that calls a tool, and then says what it was given. */
function useTool(name: string, given: object): void {
  model.next({ text: 'Wait.', tools: [{ name, arguments: JSON.stringify(given) }] }, saysWhatItWasGiven);
}

function saysWhatItWasGiven({ messages }: { messages: { role: string; content?: unknown }[] }): Script {
  return { text: `It gave: ${messages.findLast(({ role }) => role === 'tool')?.content}` };
}

describe('A tool that only reads', () => {
  for (const dialect of DIALECTS) {
    it(`${dialect.name} shows the text alone, and the same when it is read again`, async () => {
      const client = server.client();
      useTool('it__read', { text: 'a page' });
      const { id, answer } = await dialect.begin(client, 'Read it');
      assert.equal(answer, 'Wait.\n\nIt gave: read a page');
      const { body } = await client.request<{ messages: { role: string; content: string }[] }>(
        'GET',
        `/conversations/${id}`,
      );
      assert.deepEqual(
        body.messages.map(({ content }) => content),
        ['Read it', answer],
      );
    });
  }

  it('is one of a real server from npm', async () => {
    useTool('every__get-sum', { a: 2, b: 40 });
    const { answer } = await (DIALECTS[0] as (typeof DIALECTS)[0]).begin(server.client(), 'Add');
    assert.equal(answer, 'Wait.\n\nIt gave: The sum of 2 and 40 is 42.');
    assert.deepEqual(
      model.calls[0]?.body.tools?.map((tool) => tool.function.name).filter((name) => name.startsWith('every')),
      ['every__get-sum'],
    );
  });

  it('is called by the guide, so that it can be tried without a model', async () => {
    const guided = await startServer({ config });
    const { answer } = await (DIALECTS[0] as (typeof DIALECTS)[0]).begin(guided.client(), '/tool it__read Berlin');
    assert.match(answer, /^The tool answered:\n\n```\nread Berlin\n```/);
    await guided.close();
  });

  it('Chat Completions hides it, streamed and whole, and ends with stop', async () => {
    const client = server.client();
    const openai = new OpenAI({
      apiKey: server.ownerKey,
      baseURL: `${server.url}/v1`,
      defaultHeaders: { 'x-user-id': client.user },
    });
    const asked = { model: 'test-model', messages: [{ role: 'user', content: 'Read' }], store: true } as const;
    useTool('it__read', { text: 'it' });
    const whole = await openai.chat.completions.create({ ...asked, messages: [...asked.messages] });
    assert.equal(whole.choices[0]?.message.content, 'Wait.\n\nIt gave: read it');
    assert.equal(whole.choices[0]?.message.tool_calls, undefined);
    assert.equal(whole.choices[0]?.finish_reason, 'stop');
    useTool('it__read', { text: 'it' });
    const stream = openai.chat.completions.stream({ ...asked, messages: [...asked.messages] });
    const streamed = await stream.finalChatCompletion();
    assert.equal(streamed.choices[0]?.message.content, 'Wait.\n\nIt gave: read it');
    assert.equal(streamed.choices[0]?.finish_reason, 'stop');
  });

  it('a completion of no conversation has none of the tools', async () => {
    model.next({ text: 'Hello.' });
    const body = { messages: [{ role: 'user', content: 'Hi' }] };
    await server.client().request('POST', '/v1/chat/completions', { body });
    assert.equal(model.calls[0]?.body.tools, undefined);
  });

  it('an assistant that lists none has none', async () => {
    model.next({ text: 'Hello.' });
    const chat = openChat(server, server.client(), 'bare', { body: { assistant: 'bare' } });
    await chat.sendMessage({ text: 'Hi' });
    assert.equal(model.calls[0]?.body.tools, undefined);
  });

  for (const version of ['v5', 'v6', 'v7'] as const) {
    it(`useChat ${version} shows it as a tool that the server ran, live, later, and valid`, async () => {
      const client = server.client();
      const chat = openChat(server, client, `tool-${version}`, { version, automatic: true });
      useTool('it__read', { text: 'a page' });
      await chat.sendMessage({ text: 'Read it' });
      assert.equal(chat.error, undefined);
      const tool = chat.messages[1]?.parts.find(({ type }) => type === 'dynamic-tool');
      assert.partialDeepStrictEqual(plain(tool), {
        type: 'dynamic-tool',
        toolName: 'it__read',
        state: 'output-available',
        input: { text: 'a page' },
        output: 'read a page',
        providerExecuted: true,
      });
      assert.equal(model.calls.length, 2, 'the client sends nothing by itself');
      const { body } = await client.request<never[]>('GET', `/ui/chat/tool-${version}`);
      assert.equal((await VERSIONS[version].safeValidateUIMessages({ messages: body })).success, true);
      assert.deepEqual(partsOf(body), partsOf(chat.messages));
    });
  }
});

describe('A tool that may change something', () => {
  it('is not run where nobody can be asked, and the model is told', async () => {
    for (const dialect of DIALECTS) {
      useTool('it__note', { text: 'stolen' });
      const { answer } = await dialect.begin(server.client(), 'Write it');
      assert.match(answer, /It gave: This tool may change something, so a person has to approve/);
    }
    assert.equal(written(), '');
  });

  for (const version of ['v6', 'v7'] as const) {
    describe(`useChat ${version}`, () => {
      const open = (client: Client, id: string) =>
        openChat(server, client, id, { version, automatic: 'approvals', body: { approvals: true } });

      /** A chat that has asked. */
      async function asking(client: Client, id: string) {
        const chat = open(client, id);
        model.next({ text: 'May I?', tools: [{ name: 'it__note', arguments: '{"text":"milk"}' }] });
        await chat.sendMessage({ text: 'Note milk' });
        assert.equal(chat.error, undefined);
        const part = chat.messages[1]?.parts.find(({ type }) => type === 'dynamic-tool') as Asking;
        assert.equal(part.state, 'approval-requested');
        assert.equal(written(), '');
        return { chat, approval: part.approval };
      }

      async function later(client: Client, id: string) {
        const { body } = await client.request<never[]>('GET', `/ui/chat/${id}`);
        const valid = await VERSIONS[version].safeValidateUIMessages({ messages: body });
        assert.equal(valid.success, true, valid.success ? '' : String(valid.error));
        return body as Message[];
      }

      it('approved, it is run, once, and the answer goes on in the same message', async () => {
        const client = server.client();
        const id = `approve-${version}`;
        const { chat, approval } = await asking(client, id);
        assert.deepEqual(partsOf(await later(client, id)), partsOf(chat.messages));
        model.next(saysWhatItWasGiven);
        await chat.addToolApprovalResponse({ id: approval.id, approved: true });
        await shows(chat, 'ready');
        assert.equal(chat.error, undefined);
        assert.equal(written(), 'milk\n');
        assert.equal(chat.messages.length, 2);
        const part = chat.messages[1]?.parts.find(({ type }) => type === 'dynamic-tool');
        assert.partialDeepStrictEqual(plain(part), { state: 'output-available', output: 'noted' });
        assert.match(JSON.stringify(chat.messages[1]?.parts), /It gave: noted/);
        assert.equal(model.calls.length, 2);
        assert.deepEqual(partsOf(await later(client, id)), partsOf(chat.messages));
        // The same decision sent again finds what it decided.
        const body = { id, approvals: true, messages: plain(chat.messages).map(respond(approval.id)) };
        const again = await client.request('POST', '/ui/chat', { body });
        assert.match(again.text, /"tool-output-available".*"noted"/);
        assert.equal(written(), 'milk\n');
        assert.equal(model.calls.length, 2);
      });

      it('denied, it is not run, and the answer goes on', async () => {
        const client = server.client();
        const id = `deny-${version}`;
        const { chat, approval } = await asking(client, id);
        model.next(saysWhatItWasGiven);
        await chat.addToolApprovalResponse({ id: approval.id, approved: false, reason: 'No.' });
        await shows(chat, 'ready');
        assert.equal(chat.error, undefined);
        assert.equal(written(), '');
        assert.match(JSON.stringify(chat.messages[1]?.parts), /It gave: The person did not allow this call.*No\./);
        assert.deepEqual(partsOf(await later(client, id)), partsOf(chat.messages));
      });

      it('somebody else decides nothing', async () => {
        const client = server.client();
        const { chat, approval } = await asking(client, `foreign-${version}`);
        const messages = plain(chat.messages).map(respond(approval.id));
        const other = server.client();
        const body = { id: `foreign-${version}`, approvals: true, messages };
        assert.equal((await other.request('POST', '/ui/chat', { body })).status, 404);
        assert.equal(written(), '');
      });
    });
  }
});

describe('Open Responses', () => {
  const tools = [{ type: 'mcp', server_label: 'it' }] as never;
  const officialClient = (client: Client) =>
    new OpenAI({
      apiKey: server.ownerKey,
      baseURL: `${server.url}/v1`,
      defaultHeaders: { 'x-user-id': client.user },
    });

  it('shows what only reads as mcp_call, whole and streamed', async () => {
    const openai = officialClient(server.client());
    useTool('it__read', { text: 'it' });
    const { output, output_text: text } = await openai.responses.create({ input: 'Read' });
    assert.partialDeepStrictEqual(plain(output), [
      { type: 'message' },
      { type: 'mcp_call', server_label: 'it', name: 'it__read', output: 'read it', error: null, status: 'completed' },
      { type: 'message' },
    ]);
    assert.equal(text, 'Wait.\n\nIt gave: read it');
    useTool('it__fail', {});
    const streamed = await openai.responses.stream({ input: 'Fail' }).finalResponse();
    assert.partialDeepStrictEqual(plain(streamed.output[1]), {
      type: 'mcp_call',
      status: 'failed',
      error: 'the disk is full',
    });
  });

  it('asks for approval, and goes on by what a person decides, once', async () => {
    const openai = officialClient(server.client());
    model.next({ tools: [{ name: 'it__note', arguments: '{"text":"eggs"}' }] });
    const asked = await openai.responses.create({ input: 'Note eggs', tools });
    const [request] = asked.output;
    assert.partialDeepStrictEqual(plain(request), {
      type: 'mcp_approval_request',
      server_label: 'it',
      name: 'it__note',
      arguments: '{"text":"eggs"}',
    });
    assert.equal(written(), '');
    const decision = {
      type: 'mcp_approval_response',
      approval_request_id: String(request?.id),
      approve: true,
    } as const;
    model.answer(saysWhatItWasGiven);
    for (const _time of [1, 2]) {
      const answered = await openai.responses.create({
        previous_response_id: asked.id,
        input: [decision],
        tools,
      });
      assert.partialDeepStrictEqual(plain(answered.output[0]), {
        type: 'mcp_call',
        approval_request_id: request?.id,
        output: 'noted',
      });
      assert.equal(answered.output_text, 'It gave: noted');
    }
    assert.equal(written(), 'eggs\n');
  });

  it('what was decided is part of one exchange, and no message of its own, in the dialects of texts', async () => {
    const client = server.client();
    const openai = officialClient(client);
    const chat = await client.request<{ id: number }>('POST', '/api/chat/', { body: { title: 'Eggs' } });
    const number = String(chat.body.id);
    model.next({ text: 'May I?', tools: [{ name: 'it__note', arguments: '{"text":"eggs"}' }] });
    const asked = await openai.responses.create({ input: 'Note eggs', tools, conversation: number });
    const id = String(asked.output[1]?.id);
    const decision = { type: 'mcp_approval_response', approval_request_id: id, approve: true } as const;
    model.next({ text: 'Noted.' });
    await openai.responses.create({ conversation: number, input: [decision], tools });
    const movie = await client.request<object[]>('GET', `/api/chat/${number}/messages`);
    assert.partialDeepStrictEqual(movie.body, [
      { content: 'Note eggs', bot_response: 'May I?\n\nNoted.', status: 'completed' },
    ]);
    assert.equal(movie.body.length, 1);
    const { body } = await client.request<{ messages: { content: string }[] }>('GET', `/conversations/${number}`);
    assert.deepEqual(
      body.messages.map(({ content }) => content),
      ['Note eggs', 'May I?', 'Noted.'],
    );
  });

  it('is told when it is denied; a request nobody made cannot be approved', async () => {
    const openai = officialClient(server.client());
    model.next({ tools: [{ name: 'it__note', arguments: '{"text":"eggs"}' }] });
    const asked = await openai.responses.create({ input: 'Note eggs', tools });
    const id = String(asked.output[0]?.id);
    const decision = { type: 'mcp_approval_response', approval_request_id: id, approve: false } as const;
    model.next(saysWhatItWasGiven);
    const denied = await openai.responses.create({ previous_response_id: asked.id, input: [decision], tools });
    assert.match(denied.output_text, /The person did not allow this call/);
    const stranger = officialClient(server.client());
    const approved = { ...decision, approve: true };
    await assert.rejects(stranger.responses.create({ input: [approved], tools }), { status: 400 });
    await assert.rejects(openai.responses.create({ input: [{ ...approved, approval_request_id: 'mcpr_1' }], tools }), {
      status: 400,
    });
    assert.equal(written(), '');
  });
});

describe('A conversation that is deleted in the middle of a tool', () => {
  it('stays deleted, and the next answer has its tools', async () => {
    const client = server.client();
    const chat = openChat(server, client, 'deleted');
    model.next({ text: 'Wait.', tools: [{ name: 'it__hang', arguments: '{}' }] });
    const sent = chat.sendMessage({ text: 'Go' });
    await until(() => JSON.stringify(chat.messages[1]?.parts ?? []).includes('"input-available"'));
    const [own] = (await client.request<{ id: string }[]>('GET', '/conversations')).body;
    assert.equal((await client.request('DELETE', `/conversations/${own?.id}`)).status, 200);
    await sent;
    assert.notEqual(chat.error, undefined);
    assert.equal((await client.request('GET', '/ui/chat/deleted')).status, 404);
    useTool('it__read', { text: 'on' });
    const { answer } = await (DIALECTS[0] as (typeof DIALECTS)[0]).begin(client, 'Go on');
    assert.equal(answer, 'Wait.\n\nIt gave: read on');
  });
});

describe('A server that ends in the middle of a tool', () => {
  it('keeps what was said, runs nothing again, and the answer is incomplete in every dialect', async () => {
    const client = server.client();
    const chat = openChat(server, client, 'crash');
    model.next({ text: 'Wait.', tools: [{ name: 'it__hang', arguments: '{}' }] });
    const sent = chat.sendMessage({ text: 'Go' });
    await model.call(0);
    await until(() => JSON.stringify(chat.messages[1]?.parts ?? []).includes('"input-available"'));
    // What was shown is logged within 50 ms.
    await new Promise((resolve) => setTimeout(resolve, 300));
    await server.kill();
    await sent;
    await server.start();
    assert.equal(model.calls.length, 1, 'nobody is asked again');
    const { body } = await client.request<Message[]>('GET', '/ui/chat/crash');
    assert.partialDeepStrictEqual(body[1]?.parts.slice(1), [
      { type: 'text', text: 'Wait.' },
      { toolName: 'it__hang', state: 'output-error', errorText: 'The call was not finished.' },
    ]);
    model.next({ text: 'On we go.' });
    await openChat(server, client, 'crash', { messages: body as never }).sendMessage({ text: 'And now?' });
    assert.deepEqual(
      model.calls[1]?.body.messages.map(({ role, content }) => `${role}: ${content}`),
      ['user: Go', 'assistant: Wait.', 'user: And now?'],
    );
  });

  it('at its proper end it waits for no MCP server', async () => {
    model.next({ tools: [{ name: 'it__read', arguments: '{}' }] }, { text: 'Read.' });
    await openChat(server, server.client(), 'end').sendMessage({ text: 'Go' });
    const began = Date.now();
    assert.equal(await server.stop(), 0);
    assert.ok(Date.now() - began < 10_000);
    await server.start();
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(setImmediate);
}

interface Asking {
  state: string;
  approval: { id: string };
}

interface Message {
  role: string;
  parts: { type: string; [field: string]: unknown }[];
}

/** The parts of a message, without what only one side knows. */
function partsOf(messages: readonly { parts: readonly object[] }[]) {
  return plain(messages.map(({ parts }) => parts)) as object[][];
}

/** The messages as the client sends them with its decision. */
function respond(id: string) {
  return (message: { role: string; parts: object[] }) => ({
    ...message,
    parts: message.parts.map((part) =>
      'approval' in part ? { ...part, state: 'approval-responded', approval: { id, approved: true } } : part,
    ),
  });
}
