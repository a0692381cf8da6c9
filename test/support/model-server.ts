/**
 * A real OpenAI-compatible model server on 127.0.0.1, for tests: it speaks the wire format of Chat Completions, keeps
 * every request it was sent, and does what the test says, good or bad. Nothing in it waits for a time: a gated or
 * stalled answer goes on when the test calls `release`, and ends when its client leaves or the server closes.
 *
 *     const model = await startModelServer();
 *     model.answer({ text: 'Hello there' });                  // every answer from now on
 *     model.next({ status: 429, headers: { 'retry-after': '1' } }); // but first this, once
 *     … OPENAI_BASE_URL=model.url …
 *     const call = await model.call(1);                        // the second call, once it has come
 *     assert.equal(call.body.messages.at(-1)?.content, 'Hi');
 *     await model.close();
 */

import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ChatMessage {
  role: string;
  content?: string | null | { type: string; text?: string; image_url?: { url: string; detail?: string } }[];
  tool_calls?: { id: string; type: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

/** The body of a chat request as it was sent. */
export interface ChatBody {
  model: string;
  messages: ChatMessage[];
  stream?: boolean;
  stream_options?: { include_usage?: boolean };
  tools?: { type: string; function: { name: string; description?: string; parameters?: unknown } }[];
  [parameter: string]: unknown;
}

/** Any request: the model list and unknown paths too. `body` is null if there was none or it was not JSON. */
export interface RecordedRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: unknown;
}

export interface ToolCall {
  id?: string;
  name: string;
  /** A list is sent piece by piece; servers that send whole calls at once send one. */
  arguments: string | string[];
}

export interface UsageFacts {
  input?: number;
  cached?: number;
  output?: number;
  reasoning?: number;
}

/** One answer. All is optional: `{}` is an empty answer that ends well. A token is one delta of text or reasoning. */
export interface Script {
  /** Deltas; a string is sent word by word. */
  text?: string | string[];
  /** Sent before the text, as `reasoning_content`. */
  reasoning?: string | string[];
  refusal?: string;
  tools?: ToolCall[];
  /** Default `stop`, or `tool_calls` with tools. Null: the stream ends without one, and without `[DONE]`. */
  finish?: string | null;
  /** Default: counted from the words. Null: never sent. Sent only if the request asks for it, unless `usageAlways`. */
  usage?: UsageFacts | null;
  usageAlways?: boolean;
  /** Sends the text again and again until the client leaves. */
  endless?: boolean;

  /** Not 200: an error answer with `error` as its body (an object as JSON, a string as it is). */
  status?: number;
  error?: unknown;
  headers?: Record<string, string>;

  /** Waits for `release` before the headers, before the first token, or after so many tokens. */
  stall?: 'headers' | 'first-token' | number;
  /** Each token waits for `release`. */
  gated?: boolean;
  /** After so many tokens the socket is destroyed. */
  cut?: number;
  /** After so many tokens the body ends properly, without finish and `[DONE]`. */
  end?: number;
  /** The whole body in place of the SSE frames: malformed SSE, garbage, foreign chunk shapes. */
  raw?: string | Uint8Array;
  /** Sends the body in pieces cut at these byte offsets, or `bytes`: one byte at a time. */
  split?: number[] | 'bytes';
}

/** A script, or one made from the request. */
export type Answer = Script | ((body: ChatBody, call: ModelCall) => Script);

/** One chat request and the answer being given to it. */
export interface ModelCall extends RecordedRequest {
  body: ChatBody;
  /** Lets `count` waiting steps of this answer go; resolves when they are written. More than are waiting: kept. */
  release(count?: number): Promise<void>;
  /** Lets everything go that waits or will wait. */
  releaseAll(): Promise<void>;
  /** Tokens written so far. */
  readonly sent: number;
  /** Resolves when the answer is over: `end` (whole), `cut` (by the script) or `left` (the client went away). */
  readonly over: Promise<'end' | 'cut' | 'left'>;
}

/** A model in `/v1/models`; further fields (`max_model_len`, `owned_by`) are sent as they are. */
export interface ListedModel {
  id: string;
  [field: string]: unknown;
}

export interface ModelServer {
  /** The base URL, with `/v1`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** All requests in order of arrival. */
  readonly requests: RecordedRequest[];
  /** The chat requests among them. */
  readonly calls: ModelCall[];
  models: ListedModel[];
  /** The answer to every call for which nothing is queued. At first: `echo`. */
  answer(answer: Answer): void;
  /** Answers for the calls to come, each used once, before `answer`. */
  next(...answers: Answer[]): void;
  /** The call of that index (from 0), as soon as it has come. */
  call(index: number): Promise<ModelCall>;
  /** Releases `count` steps of the newest call, which it waits for if there is none yet. */
  release(count?: number): Promise<void>;
  close(): Promise<void>;
}

/** Answers with the newest user message: `You said: …`. */
export function echo(body: ChatBody): Script {
  return { text: `You said: ${textOf(body.messages.findLast((message) => message.role === 'user'))}` };
}

/** The text of a message as it went over the wire. */
export function textOf(message: ChatMessage | undefined): string {
  const content = message?.content ?? '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}

/** A text as the deltas it is sent in: each word with the space before it. Joined they are the text. */
export function words(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** Starts a model server. `apiKey`: answers 401 to every request that does not bear it. `port`: else a free one. */
export async function startModelServer(
  options: { models?: (string | ListedModel)[]; apiKey?: string; port?: number } = {},
): Promise<ModelServer> {
  const requests: RecordedRequest[] = [];
  const calls: ModelCall[] = [];
  const queued: Answer[] = [];
  const waiting = new Map<number, PromiseWithResolvers<ModelCall>>();
  let standing: Answer = echo;

  const server = createServer((request, response) => {
    handle(request, response).catch((error: unknown) => response.destroy(error as Error));
  });

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const recorded: RecordedRequest = {
      method: request.method ?? '',
      path: request.url ?? '',
      headers: request.headers,
      body: parse(Buffer.concat(chunks).toString()),
    };
    requests.push(recorded);
    if (options.apiKey !== undefined && request.headers.authorization !== `Bearer ${options.apiKey}`) {
      return sendError(response, 401, 'Incorrect API key provided.', 'invalid_api_key');
    }
    if (recorded.path === '/v1/models' && recorded.method === 'GET') {
      return sendJson(response, 200, {
        object: 'list',
        data: result.models.map((model) => ({ object: 'model', created: 0, owned_by: 'test', ...model })),
      });
    }
    if (recorded.path === '/v1/chat/completions' && recorded.method === 'POST') {
      if (typeof recorded.body !== 'object' || recorded.body === null) {
        return sendError(response, 400, 'The body is not a JSON object.', 'invalid_request');
      }
      const answer = queued.shift() ?? standing;
      const [call, run] = createCall(recorded, response, answer, calls.length);
      calls.push(call);
      waiting.get(calls.length - 1)?.resolve(call);
      return run();
    }
    sendError(response, 404, `No such path: ${recorded.path}`, 'not_found');
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;

  const result: ModelServer = {
    url: `http://127.0.0.1:${port}/v1`,
    host: '127.0.0.1',
    port,
    requests,
    calls,
    models: (options.models ?? ['test-model']).map((model) => (typeof model === 'string' ? { id: model } : model)),
    answer(answer) {
      standing = answer;
    },
    next(...answers) {
      queued.push(...answers);
    },
    call(index) {
      const there = calls[index];
      if (there) return Promise.resolve(there);
      const deferred = waiting.get(index) ?? Promise.withResolvers<ModelCall>();
      waiting.set(index, deferred);
      return deferred.promise;
    },
    async release(count = 1) {
      const call = calls.at(-1) ?? (await result.call(0));
      await call.release(count);
    },
    close() {
      return new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
  return result;
}

/** A gate of one answer: what waits at it goes on when a permit is given; permits given early are kept. */
function createGate() {
  let permits = 0;
  const waiting: (() => void)[] = [];
  return {
    pass(): Promise<void> {
      if (permits > 0) {
        permits -= 1;
        return Promise.resolve();
      }
      return new Promise((resolve) => waiting.push(resolve));
    },
    open(count: number): void {
      permits += count;
      while (permits > 0 && waiting.length > 0) {
        permits -= 1;
        waiting.shift()?.();
      }
    },
  };
}

function createCall(
  recorded: RecordedRequest,
  response: ServerResponse,
  answer: Answer,
  index: number,
): [ModelCall, () => Promise<void>] {
  const gate = createGate();
  const over = Promise.withResolvers<'end' | 'cut' | 'left'>();
  /** How often `release` was let through and its step written, and who waits for which count. */
  let steps = 0;
  let released = 0;
  let sent = 0;
  const marks: { at: number; done: () => void }[] = [];
  let ended = false;

  const mark = () => {
    for (const entry of marks.filter(({ at }) => ended || at <= steps)) {
      marks.splice(marks.indexOf(entry), 1);
      entry.done();
    }
  };
  const settle = (how: 'end' | 'cut' | 'left') => {
    ended = true;
    over.resolve(how);
    mark();
  };
  response.once('close', () => settle(response.writableFinished ? 'end' : 'left'));

  const call: ModelCall = {
    ...recorded,
    body: recorded.body as ChatBody,
    get sent() {
      return sent;
    },
    over: over.promise,
    async release(count = 1) {
      released += count;
      const at = released;
      const written = new Promise<void>((resolve) => marks.push({ at, done: resolve }));
      gate.open(count);
      mark();
      await written;
    },
    async releaseAll() {
      gate.open(Number.POSITIVE_INFINITY);
      await over.promise;
    },
  };

  const progress: Progress = {
    isOver: () => ended,
    cut() {
      over.resolve('cut');
      ended = true;
      response.socket?.resetAndDestroy();
      mark();
    },
    async step(write) {
      await gate.pass();
      if (!ended) await write();
      steps += 1;
      mark();
    },
    count() {
      sent += 1;
      return sent;
    },
  };
  const run = () => {
    const script = typeof answer === 'function' ? answer(call.body, call) : answer;
    return perform(script, call.body, index, response, progress);
  };
  return [call, run];
}

/** How far an answer has come, for what performs it. */
interface Progress {
  isOver(): boolean;
  /** Destroys the socket. */
  cut(): void;
  /** Waits at the gate, then writes; the step is over when its bytes are handed to the kernel. */
  step(write: () => Promise<void> | void): Promise<void>;
  /** One token more was sent; returns how many. */
  count(): number;
}

/** Gives the answer that a script says. */
async function perform(
  script: Script,
  body: ChatBody,
  index: number,
  response: ServerResponse,
  progress: Progress,
): Promise<void> {
  if (script.stall === 'headers') await progress.step(() => {});
  if (progress.isOver()) return;
  if (script.status !== undefined && script.status !== 200) return sendScriptedError(response, script);
  if (body.stream !== true && script.raw === undefined) {
    return sendJson(response, 200, wholeAnswer(script, body, index), script.headers);
  }
  response.socket?.setNoDelay(true);
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', ...script.headers });
  response.flushHeaders();
  const write = createWriter(response, script.split);
  if (script.stall === 'first-token') await progress.step(() => {});
  if (typeof script.raw === 'string') await write(Buffer.from(script.raw));
  else if (script.raw !== undefined) await write(Buffer.from(script.raw));
  else await performTokens(script, body, index, write, progress);
  if (!progress.isOver()) response.end();
}

async function performTokens(
  script: Script,
  body: ChatBody,
  index: number,
  write: (bytes: Buffer) => Promise<void>,
  progress: Progress,
): Promise<void> {
  let sent = 0;
  for (const { frame, token } of frames(script, body, index)) {
    if (progress.isOver()) return;
    if (!token) {
      await write(frame);
      continue;
    }
    if (script.cut === sent) return progress.cut();
    if (script.end === sent) return;
    if (script.stall === sent) await progress.step(() => {});
    if (progress.isOver()) return;
    if (script.gated) await progress.step(() => write(frame));
    else await write(frame);
    sent = progress.count();
    // A write that the kernel takes at once never lets the event loop turn: an endless answer would starve it.
    if (script.endless) await new Promise(setImmediate);
  }
}

/** The frames of a streamed answer. With `cut`, `end` or a number as `stall` at the very end, a last empty token stands for it. */
function* frames(script: Script, body: ChatBody, index: number): Generator<{ frame: Buffer; token: boolean }> {
  const head = { id: `chatcmpl-${index}`, object: 'chat.completion.chunk', created: 0, model: body.model };
  const chunk = (delta: object, finish: string | null = null, token = false) => ({
    frame: sse({ ...head, choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }] }),
    token,
  });
  yield chunk({ role: 'assistant', content: '' });
  for (const text of deltas(script.reasoning)) yield chunk({ reasoning_content: text }, null, true);
  do {
    for (const text of deltas(script.text)) yield chunk({ content: text }, null, true);
  } while (script.endless);
  if (script.refusal !== undefined) yield chunk({ refusal: script.refusal }, null, true);
  for (const [position, tool] of (script.tools ?? []).entries()) {
    const pieces = typeof tool.arguments === 'string' ? [tool.arguments] : ['', ...tool.arguments];
    for (const [piece, text] of pieces.entries()) {
      const opening = { id: tool.id ?? `call_${index}_${position}`, type: 'function' };
      const made = piece === 0 ? { name: tool.name, arguments: text } : { arguments: text };
      yield chunk({ tool_calls: [{ index: position, ...(piece === 0 ? opening : {}), function: made }] }, null, true);
    }
  }
  if (script.cut !== undefined || script.end !== undefined || typeof script.stall === 'number') {
    yield { frame: Buffer.from(': the last token\n\n'), token: true };
  }
  const finish = finishOf(script);
  if (finish === null) return;
  yield chunk({}, finish);
  if (script.usage !== null && (script.usageAlways || body.stream_options?.include_usage === true)) {
    yield { frame: sse({ ...head, choices: [], usage: usageOf(script, body) }), token: false };
  }
  yield { frame: Buffer.from('data: [DONE]\n\n'), token: false };
}

/** The same answer as one JSON body. */
function wholeAnswer(script: Script, body: ChatBody, index: number): object {
  const message: Record<string, unknown> = {
    role: 'assistant',
    content: script.text === undefined ? null : deltas(script.text).join(''),
  };
  if (script.reasoning !== undefined) message.reasoning_content = deltas(script.reasoning).join('');
  if (script.refusal !== undefined) message.refusal = script.refusal;
  if (script.tools) {
    message.tool_calls = script.tools.map((tool, position) => ({
      id: tool.id ?? `call_${index}_${position}`,
      type: 'function',
      function: { name: tool.name, arguments: [tool.arguments].flat().join('') },
    }));
  }
  return {
    id: `chatcmpl-${index}`,
    object: 'chat.completion',
    created: 0,
    model: body.model,
    choices: [{ index: 0, message, logprobs: null, finish_reason: finishOf(script) ?? 'stop' }],
    ...(script.usage === null ? {} : { usage: usageOf(script, body) }),
  };
}

function finishOf(script: Script): string | null {
  return script.finish === undefined ? (script.tools ? 'tool_calls' : 'stop') : script.finish;
}

function usageOf(script: Script, body: ChatBody): object {
  const given = script.usage ?? {};
  const input = given.input ?? body.messages.reduce((sum, message) => sum + words(textOf(message)).length, 0);
  const output = given.output ?? deltas(script.text).length + deltas(script.reasoning).length;
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: given.cached ?? 0 },
    completion_tokens_details: { reasoning_tokens: given.reasoning ?? deltas(script.reasoning).length },
  };
}

function deltas(text: string | string[] | undefined): string[] {
  return text === undefined ? [] : typeof text === 'string' ? words(text) : text;
}

function sse(value: object): Buffer {
  return Buffer.from(`data: ${JSON.stringify(value)}\n\n`);
}

/** Writes the body, cut where the script says; resolves when the bytes are handed over, so that a slow reader is felt. */
function createWriter(response: ServerResponse, split: number[] | 'bytes' | undefined) {
  let offset = 0;
  const put = (bytes: Buffer) =>
    new Promise<void>((resolve) => {
      const left = () => resolve();
      response.once('close', left);
      response.write(bytes, () => {
        response.off('close', left);
        resolve();
      });
    });
  return async (bytes: Buffer): Promise<void> => {
    if (split === undefined) return put(bytes);
    const start = offset;
    offset += bytes.length;
    const cuts =
      split === 'bytes'
        ? Array.from({ length: bytes.length }, (_, position) => position)
        : split.map((at) => at - start).filter((at) => at > 0 && at < bytes.length);
    let from = 0;
    for (const at of [...cuts, bytes.length]) {
      if (at === from) continue;
      await put(bytes.subarray(from, at));
      // A turn of the event loop between the pieces, so that they leave as packets of their own.
      await new Promise(setImmediate);
      from = at;
    }
  };
}

function sendJson(response: ServerResponse, status: number, value: object, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

function sendScriptedError(response: ServerResponse, script: Script): void {
  const error = script.error ?? {
    error: { message: `The test answers ${script.status}.`, type: 'test_error', param: null, code: null },
  };
  response.writeHead(script.status ?? 500, { 'content-type': 'application/json', ...script.headers });
  response.end(typeof error === 'string' ? error : JSON.stringify(error));
}

function sendError(response: ServerResponse, status: number, message: string, code: string): void {
  sendJson(response, status, { error: { message, type: 'invalid_request_error', param: null, code } });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
