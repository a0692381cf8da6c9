/** A client of a running server over the documented chats API (dialect 3), that picks a cut answer up again. */

import { setTimeout as wait } from 'node:timers/promises';
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

/** How an answer ended. */
export interface Ending {
  reason: 'stop' | 'length' | 'incomplete' | 'cancelled' | 'content_filter';
  sources: { index: number; title: string; url: string }[];
}

export interface ChatClient {
  list(): Promise<Chat[]>;
  find(id: string): Promise<Chat>;
  entries(chat: string): Promise<Entry[]>;
  create(name: string): Promise<Chat>;
  rename(id: string, name: string): Promise<Chat>;
  remove(id: string): Promise<void>;
  /** Stores a person's message, once, however often its request has to be sent; gives its id. */
  say(chat: string, message: string): Promise<string>;
  /**
   * Answers a message, and goes on after a cut where it was. Throws `CommandError` if there is no answer.
   *
   * @param signal stops waiting, not the answer
   */
  answer(entry: string, on: AnswerEvents, signal: AbortSignal): Promise<Ending>;
  /** Stops an answer, which keeps its text. */
  stop(message: string): Promise<void>;
}

export interface AnswerEvents {
  /** The answer's own id, by which it is stopped. */
  begun(message: string): void;
  text(text: string): void;
  /** The connection is gone, and is being made again. */
  cut(): void;
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
const STOP_WITHIN_MS = 5000;

/** The server answered that it will not. */
class Refusal extends CommandError {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function createChatClient({ url, key, user }: ServerAddress): ChatClient {
  const identity: Record<string, string> = {
    ...(key !== null && { authorization: `Bearer ${key}` }),
    ...(user !== null && { 'x-user-id': user }),
  };

  return {
    list: () => json('GET', '/chats/'),
    find: (id) => json('GET', `/chats/${encodeURIComponent(id)}`),
    entries: (chat) => json('GET', `/chats/${encodeURIComponent(chat)}/conversations`),
    create: (name) => json('POST', '/chats/create', { name }),
    rename: (id, name) => json('PUT', `/chats/update/${id}`, { name }),
    remove: async (id) => void (await json('DELETE', `/chats/delete/${id}`)),
    say: async (chat, message) =>
      (await json<Entry>('POST', '/conversations/create', { chat_id: chat, role: 'Human', message })).id,
    answer,
    stop,
  };

  async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const headers: Record<string, string> = { ...identity };
    // The same key on every try: the server does it once.
    if (method !== 'GET') headers['idempotency-key'] = crypto.randomUUID();
    if (body !== undefined) headers['content-type'] = 'application/json';
    const sent = body === undefined ? null : JSON.stringify(body);
    const response = await patiently(() => fetch(url + path, { method, headers, body: sent }), null);
    return (await response.json()) as T;
  }

  /** Tries again while the connection breaks; a server that was never there is not waited for. */
  async function patiently(send: () => Promise<Response>, onCut: (() => void) | null): Promise<Response> {
    const until = performance.now() + PATIENCE_MS;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        const response = await send();
        if (response.ok) return response;
        throw new Refusal(response.status, await reasonOf(response));
      } catch (error) {
        // A server that is going down for a restart says 503.
        const waits = onCut !== null && error instanceof Refusal && error.status === 503;
        if ((error instanceof Refusal && !waits) || (error as Error).name === 'AbortError') throw error;
        const refused = onCut === null && codeOf(error) === 'ECONNREFUSED';
        if (refused || codeOf(error) === 'ENOTFOUND' || performance.now() > until) {
          throw error instanceof Refusal ? error : unreachable(url, error);
        }
        onCut?.();
        await wait(pause);
      }
    }
  }

  async function answer(entry: string, on: AnswerEvents, signal: AbortSignal): Promise<Ending> {
    let last = '';
    let got = '';
    const until = () => performance.now() + PATIENCE_MS;
    let giveUp = until();
    for (let first = true; performance.now() < giveUp; first = false) {
      const headers = last === '' ? identity : { ...identity, 'last-event-id': last };
      const open = () => fetch(`${url}/conversations/inference/${entry}`, { headers, signal });
      const response = await patiently(open, first ? null : on.cut);
      on.begun(response.headers.get('x-message-id') ?? '');
      try {
        for await (const event of eventsOf(response)) {
          last = event.id || last;
          giveUp = until();
          if (event.type === 'message') {
            got += event.data;
            on.text(event.data);
          } else if (event.type === 'error') {
            throw new CommandError((JSON.parse(event.data) as { description: string }).description);
          } else if (event.type === 'done') {
            const { finish_reason, sources, message } = JSON.parse(event.data);
            // After a crash of the server the end brings the whole saved text, which may differ from what was seen.
            if (typeof message === 'string' && message !== got) {
              on.text(message.startsWith(got) ? message.slice(got.length) : `\n\n${message}`);
            }
            return { reason: finish_reason, sources };
          }
        }
      } catch (error) {
        if (error instanceof CommandError || signal.aborted) throw error;
      }
      on.cut();
      await wait(FIRST_PAUSE_MS);
    }
    throw new CommandError(`The answer could not be followed to its end: ${url} breaks the connection.`);
  }

  /** Over the WebSocket of dialect 2, whose `stop` stops any answer of the caller's. */
  async function stop(message: string): Promise<void> {
    const address = `${url.replace(/^http/, 'ws')}/ws${key === null ? `?user_id=${encodeURIComponent(user ?? 'local')}` : ''}`;
    const socket = new WebSocket(address, { headers: identity } as unknown as string[]);
    const closed = new Promise<void>((resolve) => {
      socket.addEventListener('close', () => resolve());
      socket.addEventListener('error', () => resolve());
    });
    socket.addEventListener('open', () => {
      socket.send(JSON.stringify({ type: 'stop', message_id: message }));
      socket.close();
    });
    await Promise.race([closed, wait(STOP_WITHIN_MS, undefined, { ref: false })]);
  }
}

interface ServerEvent {
  id: string;
  type: string;
  data: string;
}

/** Server-Sent Events as they come (https://html.spec.whatwg.org/multipage/server-sent-events.html). */
export async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  if (response.body === null) return;
  let rest = '';
  let event = { id: '', type: 'message', data: [] as string[] };
  for await (const text of response.body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [, field = '', value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line.replace(/\r$/, '')) ?? [];
      if (line === '' || line === '\r') {
        if (event.data.length > 0) yield { ...event, data: event.data.join('\n') };
        event = { id: '', type: 'message', data: [] };
      } else if (field === 'id') event.id = value;
      else if (field === 'event') event.type = value;
      else if (field === 'data') event.data.push(value);
    }
  }
}

/** The server's own sentence. */
async function reasonOf(response: Response): Promise<string> {
  const text = await response.text();
  let said = '';
  try {
    const { error, detail } = JSON.parse(text) as { error?: { description?: string }; detail?: string };
    said = error?.description ?? detail ?? '';
  } catch {
    // Not one of ours: its status has to do.
  }
  if (response.status === 401) return `${said || 'A key is needed.'} Then give it by PARLANCE_KEY or --key.`;
  return (
    said ||
    `The server answered with the status ${response.status}. Is ${new URL(response.url).origin} a Parlance server?`
  );
}

function codeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: string; errors?: { code?: string }[] } };
  return cause?.code ?? cause?.errors?.[0]?.code ?? '';
}

function unreachable(url: string, error: unknown): CommandError {
  const code = codeOf(error) || (error as Error).message;
  return new CommandError(`No server answers at ${url} (${code}). Start one with: ./parlance serve`);
}
