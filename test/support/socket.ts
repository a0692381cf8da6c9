/** A WebSocket client (`ws`, not ours) that waits for frames, and the answer to an upgrade that was refused. */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import WebSocket from 'ws';

/** A frame of dialect 2, as it was sent. */
export interface Frame {
  type: string;
  content?: string;
  detail?: string;
  seq?: number;
  conversation_id?: string;
  message_id?: string;
}

export interface Socket {
  /** An object is sent as JSON, a string as it is, bytes as a binary frame. */
  send(frame: object | string | Uint8Array): void;
  /** The next frame nobody took yet; rejects if the socket closes first. */
  next(): Promise<Frame>;
  /** Takes frames up to the first of that type, and gives them all. */
  until(type: string): Promise<Frame[]>;
  /** What came and was not taken, as texts. */
  untaken(): string[];
  /** Resolves when it is closed, by whomever. */
  readonly closed: Promise<{ code: number; reason: string }>;
  /** Says goodbye. */
  close(): Promise<void>;
  /** Is gone without a word. */
  cut(): void;
  readonly ws: WebSocket;
}

export interface RefusedUpgrade {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Sockets that a test left open; `closeSockets` ends them. */
const open = new Set<WebSocket>();

/** Opens a socket; rejects with what the server answered where it refuses the upgrade. */
export function openSocket(
  httpUrl: string,
  path: string,
  options: { headers?: Record<string, string>; autoPong?: boolean } = {},
): Promise<Socket> {
  const ws = new WebSocket(httpUrl.replace(/^http/, 'ws') + path, { perMessageDeflate: false, ...options });
  open.add(ws);
  const frames: string[] = [];
  const readers: { resolve(frame: Frame): void; reject(error: Error): void }[] = [];
  let ending: { code: number; reason: string } | null = null;
  const gone = ({ code, reason }: { code: number; reason: string }) =>
    new Error(`The socket was closed: ${code} ${reason}`);

  ws.on('message', (data: Buffer) => {
    const text = data.toString('utf8');
    const reader = readers.shift();
    if (reader === undefined) frames.push(text);
    else reader.resolve(JSON.parse(text));
  });
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => {
      ending = { code, reason: reason.toString('utf8') };
      open.delete(ws);
      for (const reader of readers.splice(0)) reader.reject(gone(ending));
      resolve(ending);
    });
  });

  const socket: Socket = {
    ws,
    closed,
    send(frame) {
      ws.send(typeof frame === 'string' || frame instanceof Uint8Array ? frame : JSON.stringify(frame));
    },
    next() {
      const text = frames.shift();
      if (text !== undefined) return Promise.resolve(JSON.parse(text));
      if (ending !== null) return Promise.reject(gone(ending));
      return new Promise((resolve, reject) => readers.push({ resolve, reject }));
    },
    async until(type) {
      const taken: Frame[] = [];
      do taken.push(await socket.next());
      while (taken.at(-1)?.type !== type);
      return taken;
    },
    untaken: () => frames,
    async close() {
      ws.close();
      await closed;
    },
    cut: () => ws.terminate(),
  };

  return new Promise((resolve, reject) => {
    ws.on('open', () => resolve(socket));
    ws.on('error', reject);
    ws.on('unexpected-response', (_request, response) => {
      readAll(response).then((refused) => reject(new UpgradeRefused(refused)), reject);
      ws.on('error', () => {});
    });
  });
}

class UpgradeRefused extends Error {
  readonly refused: RefusedUpgrade;

  constructor(refused: RefusedUpgrade) {
    super(`The upgrade was refused: ${refused.status} ${refused.text}`);
    this.refused = refused;
  }
}

/** What the server answers to an upgrade it refuses; throws if it does not refuse it. */
export async function refusedUpgrade(
  httpUrl: string,
  path: string,
  headers: Record<string, string> = {},
): Promise<RefusedUpgrade> {
  let socket: Socket;
  try {
    socket = await openSocket(httpUrl, path, { headers });
  } catch (error) {
    if (error instanceof UpgradeRefused) return error.refused;
    throw error;
  }
  socket.cut();
  throw new Error(`The upgrade of ${path} was not refused.`);
}

/** Cuts what is still open. */
export function closeSockets(): void {
  for (const ws of open) ws.terminate();
}

async function readAll(response: IncomingMessage): Promise<RefusedUpgrade> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  };
}
