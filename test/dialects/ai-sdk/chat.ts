/** The official clients' `Chat`, which `useChat` is made of, of v5, v6 and v7, over this server. */

import * as v7 from 'ai';
import * as v5 from 'ai-v5';
import * as v6 from 'ai-v6';
import type { Client, TestServer } from '../../support/server.ts';

type Message = v7.UIMessage;

/** What a page keeps: React's state without React. */
class State implements v7.ChatState<Message> {
  error: Error | undefined;
  messages: Message[];
  /** Called at every change of the status. */
  readonly listeners = new Set<() => void>();
  #status: v7.ChatStatus = 'ready';

  constructor(messages: Message[]) {
    this.messages = messages;
  }
  get status(): v7.ChatStatus {
    return this.#status;
  }
  set status(status: v7.ChatStatus) {
    this.#status = status;
    for (const listener of this.listeners) listener();
  }
  pushMessage = (message: Message): void => {
    this.messages = [...this.messages, message];
  };
  popMessage = (): void => {
    this.messages = this.messages.slice(0, -1);
  };
  replaceMessage = (index: number, message: Message): void => {
    this.messages = this.messages.with(index, structuredClone(message));
  };
  snapshot = <T>(thing: T): T => structuredClone(thing);
}

class Chat extends v7.AbstractChat<Message> {}

const states = new WeakMap<object, State>();

/** Resolves when the page shows that status. */
export function shows(chat: v7.AbstractChat<Message>, status: v7.ChatStatus): Promise<void> {
  return new Promise((resolve) => {
    const listeners = states.get(chat)?.listeners;
    const look = () => {
      if (chat.status !== status) return;
      listeners?.delete(look);
      resolve();
    };
    listeners?.add(look);
    look();
  });
}

/** The major versions, each with the same interface as far as it is used here. */
export const VERSIONS = { v5, v6, v7 } as unknown as Record<'v5' | 'v6' | 'v7', typeof v7>;

export interface Options {
  version?: keyof typeof VERSIONS;
  messages?: Message[];
  /** Sent with every request. */
  body?: object;
  headers?: Record<string, string>;
  /** Resends by itself when all tools have answered, or all that was asked is decided (which v5 does not know). */
  automatic?: true | 'approvals';
  onFinish?: v7.ChatOnFinishCallback<Message>;
}

/** A page with a chat of that id. */
export function openChat(
  server: TestServer,
  client: Client,
  id: string,
  options: Options = {},
): v7.AbstractChat<Message> {
  const { version = 'v7', messages = [], body = {}, headers = {}, automatic, onFinish } = options;
  const { AbstractChat, DefaultChatTransport } = VERSIONS[version];
  const isComplete =
    automatic === 'approvals'
      ? VERSIONS[version].lastAssistantMessageIsCompleteWithApprovalResponses
      : VERSIONS[version].lastAssistantMessageIsCompleteWithToolCalls;
  const Made = class extends AbstractChat<Message> {} as typeof Chat;
  const state = new State(messages);
  const chat = new Made({
    id,
    state,
    transport: new DefaultChatTransport({
      api: `${server.url}/ui/chat`,
      headers: { authorization: `Bearer ${server.ownerKey}`, 'x-user-id': client.user, ...headers },
      body,
    }),
    ...(automatic && { sendAutomaticallyWhen: isComplete }),
    ...(onFinish && { onFinish }),
  });
  states.set(chat, state);
  return chat;
}

/** `user: Hello`, one line for each message. */
export function linesOf(messages: readonly Message[]): string[] {
  return messages.map(({ role, parts }) => `${role}: ${textOf(parts)}`);
}

function textOf(parts: Message['parts']): string {
  return parts.map((part) => (part.type === 'text' ? part.text : '')).join('');
}

/** Without what is undefined, which JSON does not have. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value));
}
