/**
 * One streamed answer over one connection: `undici`'s dispatch handler on one side, an async iterator on the other, and
 * nothing between them but the bytes that wait. They are read when the iterator is asked for more, so that what one
 * read of the socket brought is one batch, and a reader that is behind stops the socket.
 */

import type { Dispatcher } from 'undici';
import { ModelError, type ModelEvent } from '#ports/model.ts';
import type { Connections } from '../connections.ts';
import { type Asked, connectionError, httpError } from '../errors.ts';
import type { BodyReader } from './body-reader.ts';
import { createChatParser } from './chat-parser.ts';
import { createErrorReader, createWholeReader, type ErrorReader, tooLarge } from './whole-body.ts';

export interface ChatCall {
  asked: Asked;
  connections: Connections;
  origin: string;
  path: string;
  headers: Record<string, string>;
  /** The request as JSON. */
  body: string;
  /** Looks at an error answer: another body to try with at once, or null. Asked once. */
  another(status: number, answer: string): string | null;
}

/** Bytes that may wait for a reader that is behind; beyond them the socket is not read. */
const MAX_WAITING = 256 * 1024;
/** The most of a stream: 1 MiB of text in deltas of one character is about that. */
const MAX_STREAM = 512 * 1024 * 1024;
/** How long a connection may stay open after `[DONE]`: its end mostly comes with it, and then it is used again. */
const LINGER_MS = 2000;

type Headers = Record<string, string | string[] | undefined>;

/** The exchange of one request and its answer, as far as it has come. */
interface Exchange {
  controller: Dispatcher.DispatchController | null;
  /** 0 before the headers. */
  status: number;
  headers: Headers;
  /** Bytes that were received and not read yet. */
  held: Buffer[];
  heldBytes: number;
  received: number;
  /** Null while it goes on; `end`, or the connection's error. */
  over: 'end' | Error | null;
}

/** The answer to `call`. The request is made when the iteration begins; there can be one. */
export function streamChat(call: ChatCall, signal: AbortSignal): AsyncIterable<ModelEvent[]> {
  return { [Symbol.asyncIterator]: () => openStream(call, signal) };
}

function openStream(call: ChatCall, signal: AbortSignal): AsyncIterator<ModelEvent[]> {
  let exchange: Exchange | null = null;
  let reader: BodyReader | null = null;
  /** How the iteration ends, once that is known: `done`, or what `next` throws when all events are taken. */
  let end: 'done' | Error | null = null;
  let retried = false;
  /** The `next` that waits; there is one at most. */
  let asking: PromiseWithResolvers<Result> | null = null;
  let scheduled = false;

  /**
   * There is more to read. It is read when the socket's turn is over, in one go: promises are settled after it, and
   * this is the one way to be called then that costs nothing else (`queueMicrotask` makes an async resource).
   */
  const changed = () => {
    if (asking === null || scheduled) return;
    scheduled = true;
    void SETTLED.then(answer);
  };
  const answer = () => {
    scheduled = false;
    const waiting = asking;
    if (waiting === null) return;
    try {
      const result = take();
      if (result === null) return;
      asking = null;
      waiting.resolve(result);
    } catch (error) {
      asking = null;
      waiting.reject(error);
    }
  };

  const abort = () => {
    end = signal.reason instanceof Error ? signal.reason : new Error('The call was aborted.');
    close();
    changed();
  };
  /** Closes the connection unless the answer is over. */
  const close = () => {
    signal.removeEventListener('abort', abort);
    if (exchange && exchange.over === null) {
      exchange.over = 'end';
      exchange.controller?.abort(new Error('The call is over.'));
    }
  };
  /** After the last event the body's own end is waited for, so that the connection can be used again: not for long. */
  const linger = () => {
    signal.removeEventListener('abort', abort);
    if (exchange?.over === null) setTimeout(close, LINGER_MS).unref();
  };

  /** What `next` gives; null if that is not known yet. Throws what it throws. */
  const take = (): Result | null => {
    while (exchange !== null && end === null && (exchange.held.length > 0 || exchange.over !== null)) {
      const events: ModelEvent[] = [];
      read(exchange, events);
      if (end === 'done') linger();
      if (events.length > 0) return { value: events, done: false };
    }
    if (end === null) return null;
    const how = end;
    end = 'done';
    if (how === 'done') return { value: undefined, done: true };
    close();
    throw how;
  };

  /** Reads what is held, and what the end of the exchange means; the events go to `out`. */
  const read = (current: Exchange, out: ModelEvent[]) => {
    const { held, status, headers, over } = current;
    current.held = [];
    current.heldBytes = 0;
    try {
      if (held.length > 0) {
        reader ??= createReader(call.asked, status, headers, held);
        reader.push(held, out);
      }
      if (over === 'end' && !reader?.done) {
        reader ??= createReader(call.asked, status, headers, held);
        const other = status === 200 || retried ? null : call.another(status, (reader as ErrorReader).text());
        if (other !== null) {
          retried = true;
          reader = null;
          exchange = dispatch(call, other, changed);
          return;
        }
        reader.end(out);
        end = 'done';
      } else if (over !== null && !reader?.done) end = faultOf(call.asked, status, reader, over as Error);
      if (reader?.done) end = 'done';
    } catch (error) {
      end = error as Error;
    }
    if (current.controller?.paused) current.controller.resume();
  };

  return {
    next() {
      if (exchange === null && end === null) {
        if (signal.aborted) abort();
        else {
          signal.addEventListener('abort', abort, { once: true });
          exchange = dispatch(call, call.body, changed);
        }
      }
      try {
        const result = take();
        if (result !== null) return Promise.resolve(result);
      } catch (error) {
        return Promise.reject(error);
      }
      asking = Promise.withResolvers();
      return asking.promise;
    },
    return() {
      end = 'done';
      close();
      changed();
      return Promise.resolve({ value: undefined, done: true });
    },
  };
}

type Result = IteratorResult<ModelEvent[], undefined>;

const SETTLED = Promise.resolve();

/** Makes the request; `changed` is called whenever there is more to read. */
function dispatch(call: ChatCall, body: string, changed: () => void): Exchange {
  const lease = call.connections.take();
  const exchange: Exchange = {
    controller: null,
    status: 0,
    headers: {},
    held: [],
    heldBytes: 0,
    received: 0,
    over: null,
  };
  const over = (how: 'end' | Error) => {
    lease.release();
    exchange.controller = null;
    exchange.over ??= how;
    changed();
  };
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart(controller) {
      exchange.controller = controller;
      // Aborted while it waited for a connection.
      if (exchange.over !== null) controller.abort(new Error('The call is over.'));
    },
    onResponseStart(_, status, headers) {
      // 1xx: the answer is still to come.
      if (status < 200) return;
      exchange.status = status;
      exchange.headers = headers;
    },
    onResponseData(controller, bytes) {
      exchange.received += bytes.length;
      exchange.heldBytes += bytes.length;
      // Mostly it is one piece: an array that is pushed to takes room for 17.
      if (exchange.held.length === 0) exchange.held = [bytes];
      else exchange.held.push(bytes);
      if (exchange.heldBytes > MAX_WAITING) controller.pause();
      if (exchange.received > MAX_STREAM) controller.abort(tooLarge(call.asked));
      changed();
    },
    onResponseEnd: () => over('end'),
    onResponseError: (_, error) => over(error),
  };
  const { origin, path, headers } = call;
  try {
    lease.dispatcher.dispatch(
      { origin, path, method: 'POST', headers, body, headersTimeout: 0, bodyTimeout: 0 },
      handler,
    );
  } catch (error) {
    over(error as Error);
  }
  return exchange;
}

/** What a connection that failed stands for. */
function faultOf(asked: Asked, status: number, reader: BodyReader | null, error: Error): Error {
  if (status === 0) return connectionError(asked, error);
  if (status !== 200) return httpError(asked, status, {}, '');
  if (error instanceof ModelError) return error;
  return new ModelError('broken_off', `${asked.name} closed the connection in the middle of its answer.`, {
    retryable: !reader?.spoke,
  });
}

/** What reads the body, by the status, the content type and how it begins. */
function createReader(asked: Asked, status: number, headers: Headers, pieces: readonly Buffer[]): BodyReader {
  if (status !== 200) return createErrorReader(asked, status, headers);
  // Servers that do not stream, gateways with an error, a web page: one value and no stream.
  const whole = /\b(?:json|html)\b/i.test(String(headers['content-type'] ?? ''));
  return whole || pieces[0]?.[0] === 0x7b ? createWholeReader(asked) : createChatParser(asked);
}
