/** The WebSocket of `/v1/responses`: one response at a time, and what is not kept lives as long as the socket. */

import { ServiceError } from '#core/errors.ts';
import { formatWireId } from '#core/ids.ts';
import type { Principal } from '#core/principal.ts';
import type { ContextTurn } from '#core/run.ts';
import { parseJson } from '#http/json.ts';
import type { SocketOut, SocketSource } from '#http/route.ts';
import { collect } from '#http/run-stream.ts';
import { plainError } from '#http/system.ts';
import { checkBody } from '#http/validate.ts';
import type { Follower } from '#service/live-runs.ts';
import type { Responding, ResponseWish } from '#service/responses.ts';
import type { Services } from '#service/services.ts';
import { createEncoder } from './encode.ts';
import * as schema from './schema.ts';

/** The most creates that wait for the one before them. */
const MAX_WAITING = 20;
/** Refusals in a row, for the rate, after which the socket is closed. */
const MAX_REFUSED = 20;
const POLICY = 1008;

/** The newest response of which nothing is kept, and all that was said up to its end. */
interface Memory {
  id: string;
  said: ContextTurn[];
}

export function openSocket(
  { responses }: Services,
  principal: Principal,
  socket: SocketOut,
  wishOf: (body: schema.WireRequest) => Promise<ResponseWish>,
): SocketSource {
  const waiting: schema.WireFrame[] = [];
  let follower: Follower | null = null;
  let memory: Memory | null = null;
  let isBusy = false;
  let isOver = false;
  let refused = 0;

  return {
    message,
    resume: () => follower?.resume(),
    expire: () => {
      const message = 'This socket has been open for 60 minutes. Open a new one and go on there.';
      sendError(new ServiceError('websocket_connection_limit_reached', message));
    },
    stop() {
      isOver = true;
      waiting.length = 0;
      follower?.stop();
    },
  };

  function message(text: string): void {
    try {
      socket.admit();
      refused = 0;
      const frame = checkBody(schema.frame, parseJson(text));
      if (waiting.length >= MAX_WAITING) {
        throw new ServiceError('overloaded', `${MAX_WAITING} responses of this socket wait already.`);
      }
      waiting.push(frame);
      if (!isBusy) void work();
    } catch (error) {
      const known = sendError(error);
      if (known.code === 'rate_limited' && ++refused >= MAX_REFUSED) socket.close(POLICY, 'Rate limit exceeded');
    }
  }

  /** "One response at a time per socket, a second create waits its turn." */
  async function work(): Promise<void> {
    isBusy = true;
    for (let frame = waiting.shift(); frame !== undefined && !isOver; frame = waiting.shift()) {
      const before = memory !== null && frame.previous_response_id === memory.id ? memory : null;
      try {
        const isWhole = await answer(frame, before);
        // "A failed continuation evicts it."
        if (!isWhole && memory === before) memory = null;
      } catch (error) {
        if (memory === before) memory = null;
        sendError(error);
      }
    }
    isBusy = false;
  }

  /** False where the response failed. */
  async function answer(frame: schema.WireFrame, before: Memory | null): Promise<boolean> {
    const { type: _, idempotency_key: key, ...body } = frame;
    const once = key === undefined ? null : socket.once(key, frame);
    const asked = await wishOf(body);
    const wish = before === null ? asked : { ...asked, input: [...before.said, ...asked.input], after: null };
    const response = await responses.create(principal, wish, once);
    const { items, end } = await show(response);
    if (end.status === 'failed') return false;
    if (!wish.store) {
      const said = response.run?.request.context ?? wish.input;
      memory = { id: formatWireId('response', response.id), said: [...said, { role: 'assistant', items }] };
    }
    return true;
  }

  /** Sends a response's events, each as a frame. Throws where its conversation is deleted meanwhile. */
  function show(response: Responding): ReturnType<typeof collect> {
    let hasRoom = true;
    const encoder = createEncoder(response, -1, (_type, json) => {
      hasRoom = socket.send(json);
    });
    encoder.start();
    return collect((sink) => {
      follower = response.follow({
        events(first, events) {
          encoder.events(first, events);
          sink.events(first, events);
          return hasRoom;
        },
        gone: sink.gone,
      });
      return follower;
    });
  }

  /** "Errors `{type: "error", status, error: {code, message, …}}`." */
  function sendError(error: unknown): ServiceError {
    const known = error instanceof ServiceError ? error : new ServiceError('internal', 'Internal server error');
    if (known !== error) socket.failed(error);
    const { status, body } = plainError(known);
    socket.send(JSON.stringify({ type: 'error', status, ...(body as object) }));
    return known;
  }
}
