/**
 * A client of a running server over its documented APIs: chats are listed, read, renamed and deleted through dialect 3;
 * messages go over the WebSocket of dialect 2, where an answer can be stopped, and picked up after a cut.
 */

import type { IncomingMessage } from 'node:http';
import { text as readAll } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { CommandError } from './command.ts';

export interface Chat {
  id: string;
  name: string;
  updated_at: string;
}

export interface Entry {
  id: string;
  role: 'Human' | 'Assistant';
  message: string;
}

export interface ChatClient {
  list(): Promise<Chat[]>;
  find(id: string): Promise<Chat>;
  entries(chat: string): Promise<Entry[]>;
  rename(id: string, name: string): Promise<void>;
  remove(id: string): Promise<void>;
  /** Sends a message, to a new chat where none is named. */
  ask(chat: string | null, message: string, on: AnswerEvents): Asking;
}

export interface AnswerEvents {
  /** The chat is known. */
  begun(chat: string): void;
  text(text: string): void;
  /** The connection is gone, and is being made again. */
  cut(): void;
}

/** A message that is being answered. */
export interface Asking {
  /** Resolves at the end of the answer, or when it is left; rejects with a `CommandError` if there is none, or half of one. */
  ended: Promise<'answered' | 'stopped' | 'left'>;
  /** Stops the answer, which keeps its text. */
  stop(): void;
  /** Goes away; the answer goes on. */
  leave(): void;
}

export interface ServerAddress {
  /** Without a slash at its end. */
  url: string;
  key: string | null;
  /** Who is asking, where no key says it; null: the machine's owner. */
  user: string | null;
}

/** A server that is started again is back within this. */
const PATIENCE_MS = 30_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2000;
/** The server pings every 20 s: without any the connection is dead. */
const SILENCE_MS = 60_000;
const CONNECT_MS = 10_000;

interface Frame {
  type: 'delta' | 'response' | 'error';
  content?: string;
  seq?: number;
  detail?: string;
  conversation_id?: string;
  message_id?: string;
}

/** Nobody is there, or goes away: it may be tried again. */
class Unreachable extends CommandError {}

export function createChatClient({ url, key, user }: ServerAddress): ChatClient {
  const identity: Record<string, string> = {
    ...(key !== null && { authorization: `Bearer ${key}` }),
    ...(user !== null && { 'x-user-id': user }),
  };

  return {
    list: () => json('GET', '/chats/'),
    find: (id) => json('GET', `/chats/${encodeURIComponent(id)}`),
    entries: (chat) => json('GET', `/chats/${encodeURIComponent(chat)}/conversations`),
    rename: (id, name) => json('PUT', `/chats/update/${id}`, { name }),
    remove: (id) => json('DELETE', `/chats/delete/${id}`),
    ask,
  };

  async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const sent = body === undefined ? null : JSON.stringify(body);
    const headers = { ...identity, ...(sent !== null && { 'content-type': 'application/json' }) };
    let response: Response;
    try {
      response = await fetch(url + path, { method, headers, body: sent });
    } catch (error) {
      throw unreachable((error as Error).cause);
    }
    const text = await response.text();
    if (!response.ok) throw refusal(response.status, text);
    return JSON.parse(text) as T;
  }

  function ask(chat: string | null, message: string, on: AnswerEvents): Asking {
    // The same on every try: the server stores the message once.
    const first = { type: 'message', content: message, idempotency_key: crypto.randomUUID() };
    let answer: { message_id: string; after: number } | null = null;
    let got = '';
    let socket: WebSocket | null = null;
    let stopping = false;
    const left = Promise.withResolvers<'left'>();
    let isLeft = false;

    const send = (frame: object) => socket?.readyState === WebSocket.OPEN && socket.send(JSON.stringify(frame));
    const sendStop = () => stopping && answer !== null && send({ type: 'stop', message_id: answer.message_id });

    /** The end of the answer, or null after a cut. */
    function receive(frame: Frame): 'answered' | 'stopped' | null {
      if (frame.message_id !== undefined && answer === null) {
        answer = { message_id: frame.message_id, after: 0 };
        if (frame.conversation_id !== undefined) on.begun(frame.conversation_id);
        sendStop();
      }
      if (frame.type === 'error') throw new CommandError(frame.detail ?? 'The server refused the message.');
      const { content = '' } = frame;
      if (frame.type === 'delta') {
        if (answer !== null) answer.after = frame.seq ?? answer.after;
        got += content;
        if (content !== '') on.text(content);
        return null;
      }
      // After a crash of the server its text may end earlier than what was seen of it.
      if (!got.startsWith(content)) on.text(content.startsWith(got) ? content.slice(got.length) : `\n\n${content}`);
      return stopping ? 'stopped' : 'answered';
    }

    async function follow(): Promise<'answered' | 'stopped' | 'left'> {
      let until = performance.now() + PATIENCE_MS;
      let pause = FIRST_PAUSE_MS;
      for (let tries = 0; ; tries++) {
        try {
          socket = await connect();
          send(answer === null ? { ...first, conversation_id: chat } : { type: 'resume', ...answer });
          sendStop();
          for await (const frame of framesOf(socket)) {
            until = performance.now() + PATIENCE_MS;
            pause = FIRST_PAUSE_MS;
            const end = receive(frame);
            if (end !== null) return end;
          }
        } catch (error) {
          // A server that was never there is not waited for.
          if (!(error instanceof Unreachable) || tries === 0 || performance.now() > until) throw error;
        } finally {
          socket?.close();
        }
        if (isLeft) return 'left';
        if (performance.now() > until)
          throw new CommandError(`${url} breaks every connection: the answer cannot be read.`);
        on.cut();
        await wait(pause);
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
      }
    }

    return {
      ended: Promise.race([follow(), left.promise]),
      stop() {
        stopping = true;
        sendStop();
      },
      leave() {
        isLeft = true;
        left.resolve('left');
        socket?.terminate();
      },
    };
  }

  function connect(): Promise<WebSocket> {
    // Without a key the socket wants a user by name; the machine's owner is `local`.
    const named = key === null && user === null ? '&user_id=local' : '';
    const address = `${url.replace(/^http/, 'ws')}/ws?stream=true${named}`;
    const socket = new WebSocket(address, {
      headers: identity,
      handshakeTimeout: CONNECT_MS,
      perMessageDeflate: false,
    });
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(socket));
      socket.once('error', (error) => reject(unreachable(error)));
      socket.once('unexpected-response', async (_, response: IncomingMessage) => {
        reject(refusal(response.statusCode ?? 0, await readAll(response)));
      });
    });
  }

  function unreachable(error: unknown): Unreachable {
    const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
    const reason = code ?? errors?.[0]?.code ?? message;
    return new Unreachable(`No server answers at ${url} (${reason}). Start one with: ./parlance serve`);
  }

  /** The server's own sentence. */
  function refusal(status: number, text: string): CommandError {
    const said = sentenceOf(text) ?? `${url} answers with the status ${status}: is it a Parlance server?`;
    if (status === 401) return new CommandError(`${said} Give it by PARLANCE_KEY or --key.`);
    return status === 503 ? new Unreachable(said) : new CommandError(said);
  }
}

/** Frames as they come, until the connection is closed or dead. */
async function* framesOf(socket: WebSocket): AsyncGenerator<Frame> {
  const frames: Frame[] = [];
  let open = true;
  let wake = () => {};
  const watch = setTimeout(() => socket.terminate(), SILENCE_MS);
  socket.on('ping', () => watch.refresh());
  socket.on('message', (data) => {
    watch.refresh();
    frames.push(JSON.parse(String(data)));
    wake();
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    open = false;
    wake();
  });
  try {
    while (open || frames.length > 0) {
      const frame = frames.shift();
      if (frame !== undefined) yield frame;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    clearTimeout(watch);
  }
}

/** From an error of dialect 2 or 3. */
function sentenceOf(text: string): string | null {
  try {
    const { error, detail } = JSON.parse(text) as { error?: { description?: string }; detail?: string };
    return error?.description ?? detail ?? null;
  } catch {
    return null;
  }
}
