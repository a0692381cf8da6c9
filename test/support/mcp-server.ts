/**
 * An MCP server over stdio for tests, good and bad: a program of its own, run as `node test/support/mcp-server.ts [how …]`.
 * It is written without a library, so that it can do what none would.
 *
 * `how`: `silent` never answers the handshake, `crash` ends at once with words on its terminal, `noisy` writes lines that
 * are no JSON between its messages, `grow` has a further tool after the first call.
 *
 * Tools: `note` (writes; keeps its text in the file `MCP_NOTES`), `read` (only reads), `hang`, `deaf` (hangs, and answers
 * nothing any more), `die`, `flood`, `fail`, `refuse` (an error of the protocol), `env` (the names and values it was given).
 */

import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

interface Message {
  id?: number | string;
  method?: string;
  params?: { name?: string; arguments?: Record<string, unknown>; protocolVersion?: string };
}

const how = new Set(process.argv.slice(2));
const text = { type: 'object', properties: { text: { type: 'string' } } };
const reads = { annotations: { readOnlyHint: true } };
const tools: object[] = [
  { name: 'note', description: 'Writes a note.', inputSchema: text },
  ...['read', 'hang', 'deaf', 'die', 'flood', 'fail', 'refuse', 'env'].map((name) => ({
    name,
    description: `The tool ${name}.`,
    inputSchema: text,
    ...reads,
  })),
];
let deaf = how.has('silent');

function send(message: object): void {
  if (how.has('noisy')) process.stdout.write('Loading… 42%\n{"half":\n');
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
}

type Said = { text: string; isError?: boolean };

/** What a tool says; null: nothing. */
const CALLS: Record<string, (given: Record<string, unknown>) => Said | null> = {
  note(given) {
    appendFileSync(process.env.MCP_NOTES ?? '/dev/null', `${given.text}\n`);
    return { text: 'noted' };
  },
  read: (given) => ({ text: `read ${given.text}` }),
  hang: () => null,
  deaf() {
    deaf = true;
    return null;
  },
  die: () => process.exit(3),
  flood: () => ({ text: 'x'.repeat(6 * 1024 * 1024) }),
  fail: () => ({ text: 'the disk is full', isError: true }),
  env: () => ({ text: JSON.stringify(process.env) }),
};

function call(id: Message['id'], name: string, given: Record<string, unknown>): void {
  const said = CALLS[name]?.(given);
  if (said === undefined) send({ id, error: { code: -32602, message: 'the text is missing' } });
  else if (said !== null) send({ id, result: { content: [{ type: 'text', text: said.text }], isError: said.isError } });
}

if (how.has('crash')) {
  process.stderr.write(`cannot start: no licence for ${process.env.MCP_TOKEN}\n`);
  process.exit(1);
}

createInterface({ input: process.stdin }).on('line', (line) => {
  if (deaf) return;
  const { id, method, params } = JSON.parse(line) as Message;
  if (method === 'initialize') {
    const capabilities = { tools: { listChanged: true } };
    const serverInfo = { name: 'test', version: '1' };
    send({ id, result: { protocolVersion: params?.protocolVersion, capabilities, serverInfo } });
  } else if (method === 'tools/list') send({ id, result: { tools } });
  else if (method === 'tools/call') {
    call(id, params?.name ?? '', params?.arguments ?? {});
    if (how.delete('grow')) {
      tools.push({ name: 'grown', inputSchema: text, ...reads });
      send({ method: 'notifications/tools/list_changed' });
    }
  } else if (method === 'ping') send({ id, result: {} });
  else if (id !== undefined) send({ id, error: { code: -32601, message: 'unknown' } });
});
