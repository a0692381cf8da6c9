/**
 * A fake OpenAI-compatible model server that costs next to nothing per token, so that a bench measures what stands
 * before it. What it answers is written in the prompt (see `scriptPrompt`): bursts of tokens in big writes, or a
 * steady pace, where one timer serves all streams. `GET /counts` tells what it sent.
 *
 * PORT: where it listens, on 127.0.0.1.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { answerText, type Script, scriptIn, stamp, tokenText } from './tokens.ts';

const MODEL = 'bench-model';
const TICK_MS = 5;
const counts = { requests: 0, tokens: 0, open: 0, aborted: 0 };

type Request = { stream?: boolean; stream_options?: { include_usage?: boolean } };

const head = `{"id":"chatcmpl-BzPq5SmXkUjRkFqZc7T4h2nLw9aEd","object":"chat.completion.chunk","created":1763640000,"model":"${MODEL}","system_fingerprint":"fp_7f2a91c0e4",`;

function chunk(delta: string, finishReason: string): string {
  return `data: ${head}"choices":[{"index":0,"delta":${delta},"logprobs":null,"finish_reason":${finishReason}}]}\n\n`;
}

const opening = chunk('{"role":"assistant","content":"","refusal":null}', 'null');
const [beforeText, afterText] = chunk('{"content":"@"}', 'null').split('@') as [string, string];

function usage(tokens: number) {
  return { prompt_tokens: 12, completion_tokens: tokens, total_tokens: 12 + tokens };
}

function closing(tokens: number, withUsage: boolean): string {
  const last = withUsage ? `data: ${head}"choices":[],"usage":${JSON.stringify(usage(tokens))}}\n\n` : '';
  return `${chunk('{}', '"stop"')}${last}data: [DONE]\n\n`;
}

function event(text: string): string {
  return beforeText + JSON.stringify(text).slice(1, -1) + afterText;
}

/**
 * One HTTP chunk. Model servers send every event as a chunk of its own, however many of them one write brings; it is
 * made by hand and written to the socket, since `ServerResponse.write` costs more than all the rest. All is ASCII.
 */
function httpChunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

/** The writes of a burst answer, made once for every kind. */
const bursts = new Map<string, Buffer[]>();
function burstWrites(tokens: number, perWrite: number, withUsage: boolean): Buffer[] {
  const key = `${tokens} ${perWrite} ${withUsage}`;
  const made = bursts.get(key);
  if (made) return made;
  const writes: Buffer[] = [];
  for (let from = 0; from < tokens; from += perWrite) {
    let text = from === 0 ? httpChunk(opening) : '';
    for (let i = from; i < Math.min(from + perWrite, tokens); i++) text += httpChunk(event(tokenText(i)));
    if (from + perWrite >= tokens) text += httpChunk(closing(tokens, withUsage));
    writes.push(Buffer.from(text));
  }
  bursts.set(key, writes);
  return writes;
}

function burst(response: ServerResponse, writes: Buffer[], perWrite: number, tokens: number): void {
  let next = 0;
  const pump = () => {
    if (response.destroyed) return;
    response.socket?.write(writes[next++] as Buffer);
    counts.tokens += Math.min(perWrite, tokens - (next - 1) * perWrite);
    if (next < writes.length) setImmediate(pump);
    else response.end();
  };
  pump();
}

type Paced = { response: ServerResponse; sent: number; tokens: number; withUsage: boolean };

/** The streams of one pace, in slots: each tick writes one token to every stream of the slots that are due. */
type Wheel = { slots: Set<Paced>[]; at: number };
const wheels = new Map<number, Wheel>();

function pace(response: ServerResponse, tokens: number, perSecond: number, withUsage: boolean): void {
  const size = Math.max(1, Math.round(1000 / perSecond / TICK_MS));
  let wheel = wheels.get(size);
  if (!wheel) {
    wheel = { slots: Array.from({ length: size }, () => new Set<Paced>()), at: ticks() };
    wheels.set(size, wheel);
  }
  const slot = wheel.slots[(wheel.at + 1) % size] as Set<Paced>;
  const stream = { response, sent: 0, tokens, withUsage };
  slot.add(stream);
  response.on('close', () => slot.delete(stream));
  response.socket?.write(httpChunk(opening));
}

function ticks(): number {
  return Math.floor(performance.now() / TICK_MS);
}

function turnWheels(): void {
  const now = ticks();
  for (const wheel of wheels.values()) {
    while (wheel.at < now) {
      wheel.at++;
      const slot = wheel.slots[wheel.at % wheel.slots.length] as Set<Paced>;
      for (const stream of slot) step(stream, slot);
    }
  }
}

function step(stream: Paced, slot: Set<Paced>): void {
  const text = event(tokenText(stream.sent) + stamp());
  stream.sent++;
  counts.tokens++;
  if (stream.sent < stream.tokens) {
    stream.response.socket?.write(httpChunk(text), 'latin1');
    return;
  }
  slot.delete(stream);
  stream.response.end(text + closing(stream.tokens, stream.withUsage));
}

function whole(response: ServerResponse, tokens: number): void {
  const message = { role: 'assistant', content: answerText(tokens), refusal: null };
  counts.tokens += tokens;
  sendJson(response, 200, {
    id: 'chatcmpl-BzPq5SmXkUjRkFqZc7T4h2nLw9aEd',
    object: 'chat.completion',
    created: 1763640000,
    model: MODEL,
    choices: [{ index: 0, message, logprobs: null, finish_reason: 'stop' }],
    usage: usage(tokens),
  });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function complete(body: string, response: ServerResponse): void {
  const script: Script | null = scriptIn(body);
  if (!script) {
    sendJson(response, 400, { error: { message: 'The prompt holds no script.', type: 'invalid_request_error' } });
    return;
  }
  counts.requests++;
  counts.open++;
  response.on('close', () => {
    counts.open--;
    if (!response.writableFinished) counts.aborted++;
  });
  const request = JSON.parse(body) as Request;
  if (!request.stream) {
    whole(response, script.tokens);
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
  response.flushHeaders();
  const withUsage = request.stream_options?.include_usage === true;
  if ('perSecond' in script) pace(response, script.tokens, script.perSecond, withUsage);
  else burst(response, burstWrites(script.tokens, script.perWrite, withUsage), script.perWrite, script.tokens);
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  if (request.method === 'POST' && request.url === '/v1/chat/completions') {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (text: string) => {
      body += text;
    });
    request.on('end', () => complete(body, response));
  } else if (request.url === '/v1/models') {
    sendJson(response, 200, {
      object: 'list',
      data: [{ id: MODEL, object: 'model', created: 1763640000, owned_by: 'bench' }],
    });
  } else if (request.url === '/counts') sendJson(response, 200, counts);
  else if (request.url === '/readyz') sendJson(response, 200, { status: 'ready' });
  else sendJson(response, 404, { error: { message: `No such path: ${request.url}`, type: 'invalid_request_error' } });
}

const server = createServer({ keepAliveTimeout: 300_000 }, answer);
server.listen(Number(process.env.PORT), '127.0.0.1');
setInterval(turnWheels, TICK_MS);
process.on('SIGTERM', () => process.exit(0));
