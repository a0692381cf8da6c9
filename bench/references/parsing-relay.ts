/**
 * Reference: a `node:http` relay that parses every delta with `JSON.parse` and writes it anew as an SSE event; for a
 * request that does not want a stream it collects the deltas into one JSON answer. It stores nothing.
 * PORT, OPENAI_BASE_URL.
 */
import { Agent, createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http';

const upstream = new URL(process.env.OPENAI_BASE_URL ?? '');
const agent = new Agent({ keepAlive: true });

type Chunk = { id: string; choices: { delta: { content?: string }; finish_reason: string | null }[] };
type Sink = { chunk(chunk: Chunk): void; end(): void };

/** Calls back with every event's data, decoded from the bytes of an SSE answer. */
function readEvents(answer: IncomingMessage, onData: (data: string) => void): void {
  let rest = '';
  answer.setEncoding('utf8');
  answer.on('data', (text: string) => {
    const events = (rest + text).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) if (event.startsWith('data: ')) onData(event.slice(6));
  });
}

function toStream(response: ServerResponse): Sink {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  return {
    chunk(chunk) {
      response.write(
        `data: ${JSON.stringify({ id: chunk.id, object: 'chat.completion.chunk', choices: chunk.choices })}\n\n`,
      );
    },
    end: () => response.end('data: [DONE]\n\n'),
  };
}

function toJson(response: ServerResponse): Sink {
  let content = '';
  let finishReason: string | null = null;
  return {
    chunk(chunk) {
      content += chunk.choices[0]?.delta.content ?? '';
      finishReason = chunk.choices[0]?.finish_reason ?? finishReason;
    },
    end() {
      const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: finishReason }];
      response
        .writeHead(200, { 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify({ object: 'chat.completion', choices }));
    },
  };
}

function relay(body: string, response: ServerResponse): void {
  const wanted = JSON.parse(body) as { stream?: boolean };
  const payload = JSON.stringify({ ...wanted, stream: true });
  const call = send(
    {
      agent,
      host: upstream.hostname,
      port: upstream.port,
      method: 'POST',
      path: `${upstream.pathname}/chat/completions`,
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    },
    (answer) => {
      const sink = wanted.stream ? toStream(response) : toJson(response);
      readEvents(answer, (data) => {
        if (data === '[DONE]') sink.end();
        else sink.chunk(JSON.parse(data) as Chunk);
      });
    },
  );
  call.on('error', () => response.destroy());
  call.end(payload);
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
  request.on('end', () => relay(body, response));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
