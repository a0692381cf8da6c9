/**
 * Reference, the fastest relay we know how to write: `undici` dispatch handlers, deltas cut out of the text by string
 * search (`JSON.parse` only where something is escaped), and one write per response and turn of the event loop.
 * It stores nothing. PORT, OPENAI_BASE_URL.
 */
import { createServer, type ServerResponse } from 'node:http';
import { Client, type Dispatcher } from 'undici';

const upstream = new URL(process.env.OPENAI_BASE_URL ?? '');
/** Connections that wait for work. `undici`'s own Pool looks through all of its clients at every dispatch. */
const idle: Client[] = [];

/** Responses with text to write, written once at the end of this turn of the event loop. */
const dirty: Reader[] = [];

const CONTENT = '"content":"';
const before = 'data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"';
const after = '"}}]}\n\n';

/** Reads one answer of the model and writes it to one response. Bytes stay bytes: decoded and written as Latin-1. */
class Reader implements Dispatcher.DispatchHandler {
  readonly #response: ServerResponse;
  readonly #client: Client;
  #rest = '';
  #out = '';
  #ended = false;

  constructor(response: ServerResponse, client: Client) {
    this.#response = response;
    this.#client = client;
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, statusCode: number): void {
    this.#response.writeHead(statusCode, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
    });
  }

  onResponseData(_: Dispatcher.DispatchController, bytes: Buffer): void {
    const text = this.#rest + bytes.toString('latin1');
    let from = 0;
    for (let to = text.indexOf('\n\n'); to >= 0; to = text.indexOf('\n\n', from)) {
      const delta = deltaIn(text, from, to);
      if (delta !== '') this.#out += before + delta + after;
      from = to + 2;
    }
    this.#rest = text.slice(from);
    if (this.#out !== '') this.#write();
  }

  onResponseEnd(): void {
    this.#out += 'data: [DONE]\n\n';
    this.#ended = true;
    this.#write();
    idle.push(this.#client);
  }

  onResponseError(): void {
    this.#response.destroy();
  }

  #write(): void {
    if (dirty.length === 0) setImmediate(flush);
    dirty.push(this);
  }

  flush(): void {
    const out = this.#out;
    this.#out = '';
    if (out !== '') this.#response.write(out, 'latin1');
    if (this.#ended) this.#response.end();
  }
}

function flush(): void {
  for (const reader of dirty) reader.flush();
  dirty.length = 0;
}

/** The delta's text between its quotes, still escaped; empty where the event has none. */
function deltaIn(text: string, from: number, to: number): string {
  const at = text.indexOf(CONTENT, from);
  if (at < 0 || at > to) return '';
  const start = at + CONTENT.length;
  const end = text.indexOf('"', start);
  if (text.charCodeAt(end - 1) !== 92) return text.slice(start, end);
  const chunk = JSON.parse(text.slice(from + 6, to)) as { choices: { delta: { content?: string } }[] };
  return JSON.stringify(chunk.choices[0]?.delta.content ?? '').slice(1, -1);
}

const server = createServer({ keepAliveTimeout: 300_000 }, (request, response) => {
  if (request.url === '/readyz') {
    response.end('ready');
    return;
  }
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (text: string) => {
    body += text;
  });
  request.on('end', () => {
    const client = idle.pop() ?? new Client(upstream.origin);
    const headers = { 'content-type': 'application/json' };
    const path = `${upstream.pathname}/chat/completions`;
    client.dispatch({ method: 'POST', path, headers, body }, new Reader(response, client));
  });
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
