/** WebSockets, by `ws`: refused before the upgrade like any other request, then text frames with limits. */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { invalid } from '#core/errors.ts';
import type { Once } from '#core/once.ts';
import type { Principal } from '#core/principal.ts';
import { type Connection, type Connections, TICK_MS } from './connections.ts';
import type { SocketOut, SocketSource } from './route.ts';

/** Bytes that wait for a reader before its source is told to stop, and the socket is not read either. */
const MAX_WAITING = 128 * 1024;
/** "Ping every 20 s; a peer silent for 45 s is closed" (DIALECTS.md, section 2). */
const PING_TICKS = 20_000 / TICK_MS;
const SILENT_TICKS = 45_000 / TICK_MS;
/** How long a peer has to answer a close. */
const CLOSE_TICKS = 5_000 / TICK_MS;

const CLOSE = { normal: 1000, goingAway: 1001, textOnly: 1003, policy: 1008, internal: 1011 };

/** What came with an `upgrade` event. */
export interface Upgrade {
  socket: Duplex;
  /** The first bytes after the head. */
  head: Buffer;
}

/** Upgrade requests, from the `upgrade` event to the route that takes or refuses them. */
export const upgrades = new WeakMap<IncomingMessage, Upgrade>();

/** Whether a request asks to become a WebSocket. Other upgrades (`h2c`) may be ignored (RFC 9110, 7.8). */
export function asksForSocket(req: IncomingMessage): boolean {
  return req.headers.upgrade !== undefined && /(^|,)\s*websocket\s*(,|$)/i.test(req.headers.upgrade);
}

/** Checks the handshake (RFC 6455, 4.2.1). Throws `invalid_request`, before anything is upgraded. */
export function checkHandshake({ headers }: IncomingMessage): void {
  const version = headers['sec-websocket-version'];
  const key = headers['sec-websocket-key'] ?? '';
  if (version !== '13' && version !== '8') throw invalid('Sec-WebSocket-Version must be 13.', 'sec-websocket-version');
  if (!/^[+/0-9a-z]{22}==$/i.test(key))
    throw invalid('Sec-WebSocket-Key is missing or malformed.', 'sec-websocket-key');
}

/** What an open socket is given by the request that opened it. */
export interface SocketContext {
  principal: Principal;
  connections: Connections;
  /** See `SocketRoute`. */
  lifetimeMs: number;
  /** See `SocketOut`. */
  admit(): void;
  once(key: string, command: unknown): Once;
  failed(error: unknown): void;
}

/** One per socket route, since each has a largest frame of its own. */
export function createSocketServer(maxFrame: number): WebSocketServer {
  return new WebSocketServer({ noServer: true, maxPayload: maxFrame, perMessageDeflate: false, clientTracking: false });
}

/** Completes the upgrade and lets the route feed the socket. */
export function openSocket(
  server: WebSocketServer,
  req: IncomingMessage,
  res: ServerResponse,
  { socket, head }: Upgrade,
  context: SocketContext,
  open: (out: SocketOut) => SocketSource,
): void {
  res.detachSocket(socket as never);
  server.handleUpgrade(req, socket, head, (ws) => new SocketConnection(ws, socket, context).start(open));
}

class SocketConnection implements SocketOut, Connection {
  readonly principal: Principal;
  /** Pings tell. */
  readonly peer = null;
  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #context: SocketContext;
  #source: SocketSource | null = null;
  #blocked = false;
  #over = false;
  #ticks = 0;
  #silentTicks = 0;

  constructor(ws: WebSocket, socket: Duplex, context: SocketContext) {
    this.principal = context.principal;
    this.#ws = ws;
    this.#socket = socket;
    this.#context = context;
  }

  start(open: (out: SocketOut) => SocketSource): void {
    const ws = this.#ws;
    ws.on('message', (data: Buffer, binary: boolean) => this.#onMessage(data, binary));
    ws.on('pong', () => {
      this.#silentTicks = 0;
    });
    ws.on('ping', () => {
      this.#silentTicks = 0;
      // Answers to pings wait for the reader too.
      this.#hasRoom();
    });
    ws.on('close', () => this.#leave());
    // `ws` closes by itself after a frame that is too large or malformed.
    ws.on('error', () => {});
    this.#socket.on('drain', () => this.#onDrain());
    this.#context.connections.add(this);
    this.#guard(() => {
      const source = open(this);
      if (this.#over) source.stop();
      else this.#source = source;
    });
  }

  send(text: string): boolean {
    if (this.#over || this.#ws.readyState !== this.#ws.OPEN) return false;
    this.#ws.send(text);
    return this.#hasRoom();
  }

  admit(): void {
    this.#context.admit();
  }

  once(key: string, command: unknown): Once {
    return this.#context.once(key, command);
  }

  failed(error: unknown): void {
    this.#context.failed(error);
  }

  tick(): void {
    this.#ticks++;
    this.#silentTicks++;
    const closing = this.#ws.readyState === this.#ws.CLOSING;
    if (this.#silentTicks >= (closing ? CLOSE_TICKS : SILENT_TICKS)) this.#ws.terminate();
    else if (!closing && this.#ticks * TICK_MS >= this.#context.lifetimeMs) this.#expire();
    else if (!closing && this.#ticks % PING_TICKS === 0) this.#ws.ping();
  }

  close(code: number | 'revoked' | 'shutdown', reason = ''): void {
    this.#silentTicks = 0;
    if (code === 'revoked') this.#ws.close(CLOSE.policy, 'The API key was revoked or has expired.');
    else if (code === 'shutdown') this.#ws.close(CLOSE.goingAway, 'The server is going down. Connect again.');
    else this.#ws.close(code, reason);
    this.#ws.resume();
    this.#stop();
  }

  destroy(): void {
    this.#ws.terminate();
  }

  #expire(): void {
    this.#guard(() => this.#source?.expire?.());
    this.close(CLOSE.normal, 'The socket was open as long as it may be.');
  }

  #onMessage(data: Buffer, binary: boolean): void {
    this.#silentTicks = 0;
    if (this.#source === null) return;
    if (binary) this.close(CLOSE.textOnly, 'Send text frames.');
    else this.#guard(() => this.#source?.message(data.toString('utf8')));
  }

  /** A peer that does not read what it is sent is not read either. */
  #hasRoom(): boolean {
    if (!this.#blocked && this.#ws.bufferedAmount > MAX_WAITING) {
      this.#blocked = true;
      this.#ws.pause();
    }
    return !this.#blocked;
  }

  #onDrain(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    this.#ws.resume();
    this.#guard(() => this.#source?.resume());
  }

  #guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.#context.failed(error);
      this.close(CLOSE.internal, 'Internal server error');
    }
  }

  /** The source hears no more of the socket, once. */
  #stop(): void {
    const source = this.#source;
    this.#over = true;
    this.#source = null;
    source?.stop();
  }

  #leave(): void {
    this.#context.connections.remove(this);
    this.#stop();
  }
}
