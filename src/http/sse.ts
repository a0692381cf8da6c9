/**
 * Streams of server-sent events. On the path of every token: one socket write per `write`, framed here, because Node's
 * own framing queues four pieces and a tick for each chunk (9 µs against 6 µs, system call included).
 */

import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Principal } from '#core/principal.ts';
import { type Connection, type Connections, TICK_MS } from './connections.ts';
import { peerOf } from './half-open.ts';
import type { EventOut, StreamReply, StreamSource } from './route.ts';
import { answered, dropIfStuck } from './write.ts';

/** Bytes that wait for a reader before its source is told to stop: with the kernel's own buffer, all it ever costs. */
const MAX_WAITING = 128 * 1024;
/** Longest piece of one socket write, in UTF-16 units, so that a slow reader is seen to take something. */
const MAX_PIECE = 64 * 1024;
/** "Comment heartbeat every 15 s" (DIALECTS.md), when nothing else was written. */
const HEARTBEAT_TICKS = 15_000 / TICK_MS;
const HEARTBEAT = ':\n\n';
/** A reader that takes nothing for so long is dropped. */
const STUCK_TICKS = 60_000 / TICK_MS;

const STREAM_TYPE = 'text/event-stream; charset=utf-8';

/** Sends the head and lets the reply feed the stream. `failed` hears what `reply.stream` throws; the reader is cut off. */
export function openStream(
  res: ServerResponse,
  headers: string[],
  reply: StreamReply,
  principal: Principal,
  connections: Connections,
  failed: (error: unknown) => void,
): void {
  headers.push('content-type', STREAM_TYPE, 'x-accel-buffering', 'no');
  res.writeHead(200, headers as unknown as OutgoingHttpHeaders);
  // A pipelined request gets its socket when those before it are answered.
  if (res.socket === null) res.once('socket', start);
  else start();

  function start(): void {
    const socket = res.socket;
    try {
      if (socket === null || socket.destroyed) reply.stream(GONE).stop();
      else new EventStream(res, socket, principal, connections).start(reply);
    } catch (error) {
      socket?.destroy();
      failed(error);
    }
  }
}

/** Where the reader left before its stream began. */
const GONE: EventOut = { write: () => false, end: () => {} };

class EventStream implements EventOut, Connection {
  readonly principal: Principal;
  readonly #res: ServerResponse;
  readonly #socket: Socket;
  readonly #connections: Connections;
  readonly #chunked: boolean;
  #source: StreamSource | null = null;
  #over = false;
  /** The source was told to wait. */
  #blocked = false;
  #idleTicks = 0;
  #stuckTicks = 0;
  #written = 0;
  /** Bytes the reader had taken at the last tick. */
  #taken = 0;

  constructor(res: ServerResponse, socket: Socket, principal: Principal, connections: Connections) {
    this.principal = principal;
    this.#res = res;
    this.#socket = socket;
    this.#connections = connections;
    // HTTP/1.0 has no chunks: there the body ends with the connection.
    this.#chunked = res.chunkedEncoding;
  }

  get peer(): string {
    return peerOf(this.#socket);
  }

  /** Head and first events leave together. */
  start(reply: StreamReply): void {
    const socket = this.#socket;
    answered.add(socket);
    this.#connections.add(this);
    socket.on('drain', this.#onDrain);
    this.#res.once('close', this.#onClose);
    socket.cork();
    this.#res.flushHeaders();
    try {
      const source = reply.stream(this);
      if (!this.#over) this.#source = source;
    } finally {
      socket.uncork();
    }
  }

  write(text: string): boolean {
    if (this.#over) return false;
    if (text === '') return !this.#blocked;
    this.#idleTicks = 0;
    this.#send(text);
    this.#blocked = this.#socket.writableLength > MAX_WAITING;
    return !this.#blocked;
  }

  end(text?: string): void {
    if (this.#over) return;
    const socket = this.#socket;
    socket.cork();
    if (text !== undefined && text !== '') this.#send(text);
    this.#leave();
    this.#res.end();
    socket.uncork();
    dropIfStuck(socket);
  }

  tick(): void {
    const waiting = this.#socket.writableLength;
    const taken = this.#written - waiting;
    if (waiting === 0) {
      this.#stuckTicks = 0;
      if (++this.#idleTicks >= HEARTBEAT_TICKS) this.write(HEARTBEAT);
    } else if (taken !== this.#taken) {
      this.#stuckTicks = 0;
    } else if (++this.#stuckTicks >= STUCK_TICKS) {
      this.#socket.destroy();
    }
    this.#taken = taken;
  }

  close(): void {
    if (this.#over) return;
    const source = this.#source;
    this.end();
    source?.stop();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #send(text: string): void {
    for (let from = 0; from < text.length; from += MAX_PIECE) {
      const piece = text.length <= MAX_PIECE ? text : slice(text, from);
      const bytes = Buffer.byteLength(piece);
      const frame = this.#chunked ? `${bytes.toString(16)}\r\n${piece}\r\n` : piece;
      // As many bytes as characters: it is ASCII, which Node writes without looking for what to encode.
      this.#socket.write(frame, bytes === piece.length ? 'latin1' : 'utf8');
      this.#written += bytes + frame.length - piece.length;
      from += piece.length - MAX_PIECE;
    }
  }

  #leave(): void {
    this.#over = true;
    this.#source = null;
    answered.delete(this.#socket);
    this.#connections.remove(this);
    this.#socket.off('drain', this.#onDrain);
    this.#res.off('close', this.#onClose);
  }

  #onDrain = (): void => {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#source?.resume();
  };

  #onClose = (): void => {
    const source = this.#source;
    this.#leave();
    source?.stop();
  };
}

/** At most `MAX_PIECE` units that do not end within a surrogate pair. */
function slice(text: string, from: number): string {
  const end = from + MAX_PIECE;
  const last = text.charCodeAt(end - 1);
  return text.slice(from, last >= 0xd800 && last <= 0xdbff && end < text.length ? end - 1 : end);
}
