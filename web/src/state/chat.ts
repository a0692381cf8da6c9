/**
 * One conversation on the screen: its messages, and the answer being written. A lost connection is taken up again by
 * itself; what the server has stored is always what counts in the end.
 */

import { ApiError, backOff, call, isPassing, newId, writeKey } from '../api/client.ts';
import { readEventStream } from '../api/event-stream.ts';
import { createMessageReader, emptyMessage, type Message, type Part, readMessage } from '../api/messages.ts';
import { createFrames } from './frames.ts';
import { mergeNewest } from './merge.ts';
import { createStore, type Store } from './store.ts';

/** What is going on besides showing. */
export type Phase =
  | 'idle'
  /** The message is on its way. */
  | 'sending'
  /** An answer is being written, or waits for its turn. */
  | 'answering'
  /** The connection is lost; it is tried again. */
  | 'reconnecting';

export interface ChatState {
  /** The server's id, or for a conversation that is new one of our own, which it takes as well. */
  id: string;
  /** The server does not have it yet. */
  isNew: boolean;
  load: 'loading' | 'ready' | 'missing' | 'failed';
  messages: Message[];
  /** Whether the server has messages before these; `loading` while they come. */
  older: 'none' | 'some' | 'loading' | 'failed';
  phase: Phase;
  stopping: boolean;
  /** The newest message could not be sent, or the newest answer not be begun. */
  failure: { message: string; code: string; retry: (() => void) | null } | null;
  /** Goes up with each answer that ended while it was looked at. */
  finished: number;
}

export interface SendOptions {
  model: string | null;
  assistant: string | null;
  internet: boolean;
}

export interface Chat {
  state: Store<ChatState>;
  send(parts: Part[], options: SendOptions): void;
  /** Asks for another answer in the place of this one, or to this message. */
  regenerate(message: string, options: SendOptions): void;
  /** Sends a message anew, with other parts: a branch of its own. */
  edit(message: string, parts: Part[], options: SendOptions): void;
  /** Says which calls that asked for it may run; the answer then goes on. */
  decide(answer: string, decisions: ReadonlyMap<string, boolean>, options: SendOptions): void;
  stop(): Promise<void>;
  /** Goes on from the text of an answer that broke off. */
  goOn(answer: string): Promise<void>;
  showBranch(message: string): Promise<void>;
  loadOlder(): Promise<void>;
  /** Reads anew what is stored, and follows what is being written: somebody else may have written. */
  refresh(): void;
  open(): void;
  close(): void;
}

const PAGE = 40;
const MAX_FAST_TRIES = 6;

/**
 * @param made called with the server's id of a conversation that this chat made
 */
export function createChat(id: string, isNew: boolean, made: (id: string) => void): Chat {
  const state = createStore<ChatState>({
    id,
    isNew,
    load: isNew ? 'ready' : 'loading',
    messages: [],
    older: 'none',
    phase: 'idle',
    stopping: false,
    failure: null,
    finished: 0,
  });
  /** Ends whatever follows the server for this chat. */
  let following: AbortController | null = null;
  let exists = !isNew;
  let beforePage: string | null = null;
  let wanted = false;

  return { state, send, regenerate, edit, decide, stop, goOn, showBranch, loadOlder, refresh, open, close };

  function path(suffix = ''): string {
    return `/ui/chat/${encodeURIComponent(state.get().id)}${suffix}`;
  }

  function set(change: Partial<ChatState>): void {
    state.set((now) => ({ ...now, ...change }));
  }

  // ---- reading

  function open(): void {
    if (!exists || following !== null) return;
    void follow();
  }

  /** Leaves it. What is being written goes on at the server. */
  function close(): void {
    following?.abort();
    following = null;
    set({ phase: 'idle', stopping: false });
  }

  function refresh(): void {
    if (!exists) return;
    // Whoever follows an answer reads anew when it ends, by itself.
    if (following === null) void follow();
    else if (state.get().phase === 'idle') wanted = true;
  }

  /** Reads what is stored, then follows the answer being written until none is; begins anew while it is asked to. */
  async function follow(): Promise<void> {
    const control = takeOver();
    try {
      for (let attempt = 0; ; attempt++) {
        wanted = false;
        try {
          await readNewest(control.signal, true);
          await followOpen(control.signal);
          if (control.signal.aborted || !wanted) break;
          attempt = 0;
        } catch (error) {
          if (control.signal.aborted) break;
          if (error instanceof ApiError && error.status === 404) {
            set({ load: 'missing', phase: 'idle' });
            break;
          }
          if (!isPassing(error) || (state.get().load === 'loading' && attempt >= MAX_FAST_TRIES)) {
            set({ load: state.get().load === 'loading' ? 'failed' : state.get().load, phase: 'idle' });
            break;
          }
          if (state.get().load === 'ready') set({ phase: 'reconnecting' });
          await backOff(attempt, control.signal);
        }
      }
    } finally {
      release(control);
    }
  }

  function takeOver(): AbortController {
    following?.abort();
    const control = new AbortController();
    following = control;
    return control;
  }

  function release(control: AbortController): void {
    if (following !== control) return;
    following = null;
    set({ phase: 'idle', stopping: false });
    if (wanted) refresh();
  }

  /** Puts the newest page in the place of what is shown of it; what is older and shown stays. */
  async function readNewest(signal: AbortSignal, mayBeOpen: boolean): Promise<void> {
    const response = await call(`${path()}?limit=${PAGE}`, { signal });
    const page = readPage(await response.json());
    const next = nextOf(response);
    state.set((now) => {
      const merged = mergeNewest(now.messages, page, mayBeOpen);
      if (merged.kept === 0) beforePage = next;
      return {
        ...now,
        load: 'ready',
        messages: merged.messages,
        older: merged.kept > 0 ? now.older : next === null ? 'none' : 'some',
      };
    });
  }

  async function loadOlder(): Promise<void> {
    const { older } = state.get();
    if ((older !== 'some' && older !== 'failed') || beforePage === null) return;
    const from = beforePage;
    set({ older: 'loading' });
    try {
      const response = await call(from);
      const page = readPage(await response.json());
      if (beforePage !== from) return;
      beforePage = nextOf(response);
      state.set((now) => {
        const known = new Set(now.messages.map((message) => message.id));
        const fresh = page.filter((message) => !known.has(message.id));
        return { ...now, messages: [...fresh, ...now.messages], older: beforePage === null ? 'none' : 'some' };
      });
    } catch {
      if (beforePage === from) set({ older: 'failed' });
    }
  }

  /** Follows the answer being written to its end, over lost connections. Resolves when none is being written. */
  async function followOpen(signal: AbortSignal): Promise<void> {
    for (;;) {
      const response = await call(path('/stream'), { signal });
      if (response.status === 204 || response.body === null) {
        // It ended while nobody followed it.
        const last = state.get().messages.at(-1);
        if (last?.role === 'assistant' && last.status === null) await finish(signal);
        return;
      }
      set({ phase: 'answering', failure: null });
      const ended = await readAnswer(response.body, signal);
      if (ended) await finish(signal);
      else throw new ApiError(0, 'offline', 'The connection was lost.');
    }
  }

  /** Shows an answer as it comes, behind what is there of it; false where the connection ended before it did. */
  async function readAnswer(
    body: ReadableStream<Uint8Array>,
    signal: AbortSignal,
    begun: Message = emptyMessage('', 'assistant'),
  ): Promise<boolean> {
    const reader = createMessageReader(begun);
    let waiting: Record<string, unknown>[] = [];
    let place: number | null = null;
    const show = (): void => {
      if (signal.aborted) return;
      reader.apply(waiting);
      waiting = [];
      const { message } = reader;
      if (message.id === '') return;
      const { messages } = state.get();
      if (place === null || messages[place] === undefined) {
        const known = messages.findIndex(({ id }) => id === message.id);
        // The end of what is shown: an answer whose text was being shown when the connection was lost is the same one.
        const last = messages.at(-1);
        const open = last?.role === 'assistant' && last.status === null ? messages.length - 1 : messages.length;
        place = known === -1 ? open : known;
      }
      const next = messages.slice(0, place + 1);
      next[place] = { ...message, siblings: messages[place]?.siblings ?? message.siblings };
      set({ messages: next });
    };
    const frames = createFrames(show);
    let done = false;
    try {
      for await (const events of readEventStream(body)) {
        for (const { data } of events) {
          if (data === '[DONE]') done = true;
          else waiting.push(JSON.parse(data));
        }
        frames.ask();
        if (done) break;
      }
    } catch (error) {
      if (signal.aborted) throw error;
    }
    if (signal.aborted) return false;
    frames.now();
    return done;
  }

  /** What the server has stored of an answer that ended: how it ended, and what it is known by. */
  async function finish(signal: AbortSignal): Promise<void> {
    const ended = state.get().messages.at(-1);
    await readNewest(signal, false);
    set({ finished: state.get().finished + 1, stopping: false });
    const question = state.get().messages.at(-1);
    // Nothing was said, so nothing is stored but the question.
    if (ended?.role !== 'assistant' || ended.status !== 'failed' || question?.role !== 'user') return;
    set({ failure: { message: ended.problem ?? '', code: 'unanswered', retry: null } });
  }

  // ---- writing

  function send(parts: Part[], options: SendOptions): void {
    const message: Message = { ...emptyMessage(newId(), 'user'), parts };
    post([...state.get().messages, message], { message: toWire(message) }, options);
  }

  function regenerate(named: string, options: SendOptions): void {
    const { messages } = state.get();
    const at = messages.findIndex(({ id }) => id === named);
    const end = messages[at]?.role === 'user' ? at + 1 : at;
    if (at !== -1) post(messages.slice(0, end), { trigger: 'regenerate-message', messageId: named }, options);
  }

  function edit(id: string, parts: Part[], options: SendOptions): void {
    const { messages } = state.get();
    const at = messages.findIndex((message) => message.id === id);
    const before = messages[at];
    if (before === undefined) return;
    const message = { ...before, parts };
    post([...messages.slice(0, at), message], { message: toWire(message) }, options);
  }

  function decide(answer: string, decisions: ReadonlyMap<string, boolean>, options: SendOptions): void {
    const { messages } = state.get();
    const at = messages.findIndex(({ id }) => id === answer);
    const message = messages[at];
    if (message === undefined) return;
    const begun = { ...message, status: null, problem: null };
    const sent = { id: answer, role: 'assistant', parts: message.parts.flatMap((part) => toDecision(part, decisions)) };
    post([...messages.slice(0, at), begun], { message: sent }, options, begun);
  }

  /**
   * Sends, again and again under one key until it is known what became of it, and shows the answer.
   *
   * @param begun the answer that goes on
   */
  function post(messages: Message[], body: Record<string, unknown>, options: SendOptions, begun?: Message): void {
    const control = takeOver();
    const key = writeKey();
    const sent = {
      id: state.get().id,
      ...body,
      approvals: true,
      ...(options.model !== null && { model: options.model }),
      ...(options.assistant !== null && !exists && { assistant: options.assistant }),
      ...(options.internet && { webSearch: true }),
    };
    set({ messages, phase: 'sending', failure: null, stopping: false, load: 'ready' });

    const run = async (): Promise<void> => {
      for (let attempt = 0; ; attempt++) {
        try {
          const response = await call('/ui/chat', {
            method: 'POST',
            body: sent,
            headers: key,
            signal: control.signal,
          });
          take(response);
          set({ phase: 'answering' });
          if (response.body !== null && (await readAnswer(response.body, control.signal, begun))) {
            await finish(control.signal);
            // Another message may have been sent from elsewhere meanwhile.
            await followOpen(control.signal);
            return release(control);
          }
          break;
        } catch (error) {
          if (control.signal.aborted) return;
          if (!isPassing(error) || attempt >= 40) return refuse(error);
          set({ phase: attempt === 0 ? 'sending' : 'reconnecting' });
          await backOff(attempt, control.signal);
          if (control.signal.aborted) return;
        }
      }
      if (control.signal.aborted) return;
      // It was taken: from here on its answer is followed like one that somebody else asked for.
      set({ phase: 'reconnecting' });
      await follow();
    };
    const refuse = (error: unknown): void => {
      if (following === control) following = null;
      const known = error instanceof ApiError ? error : null;
      const retry = () => post(messages, body, options, begun);
      set({
        phase: 'idle',
        failure: { message: known?.message ?? String(error), code: known?.code ?? '', retry },
      });
    };
    void run().catch((error) => (control.signal.aborted ? undefined : refuse(error)));
  }

  function take(response: Response): void {
    const given = response.headers.get('x-conversation-id');
    const isFirst = !exists;
    exists = true;
    set({ isNew: false, ...(given !== null && { id: given }) });
    if (given === null) return;
    if (isFirst) made(given);
  }

  async function stop(): Promise<void> {
    const { phase } = state.get();
    if (phase === 'idle') return;
    if (!exists) return close();
    set({ stopping: true });
    for (let attempt = 0; attempt < MAX_FAST_TRIES; attempt++) {
      try {
        await call(path('/stop'), { method: 'POST' });
        return;
      } catch (error) {
        if (!isPassing(error)) break;
        await backOff(attempt, new AbortController().signal);
      }
    }
    set({ stopping: false });
  }

  async function goOn(answer: string): Promise<void> {
    const key = writeKey();
    const retry = () => void goOn(answer);
    // Its text stays, as that of an answer being written.
    const before = state.get().messages;
    const begun = before.map((message) =>
      message.id === answer ? { ...message, status: null, problem: null } : message,
    );
    set({ failure: null, messages: begun });
    try {
      await call(`/v1/responses/resp_${answer}/continue`, {
        method: 'POST',
        body: { background: true },
        headers: key,
      });
      await follow();
    } catch (error) {
      const known = error instanceof ApiError ? error : null;
      const failure = { message: known?.message ?? String(error), code: known?.code ?? '', retry };
      set({ messages: before, failure });
    }
  }

  async function showBranch(message: string): Promise<void> {
    try {
      await call(`/v1/conversations/${encodeURIComponent(state.get().id)}`, {
        method: 'POST',
        body: { head: message, branch_end: true },
        headers: writeKey(),
      });
      await follow();
    } catch (error) {
      const known = error instanceof ApiError ? error : null;
      const retry = () => void showBranch(message);
      set({ failure: { message: known?.message ?? String(error), code: known?.code ?? '', retry } });
    }
  }
}

/** As the server takes a message of a person's. */
function toWire({ id, parts }: Message): Record<string, unknown> {
  return {
    id,
    role: 'user',
    parts: parts.flatMap((part): object[] => {
      if (part.type === 'text') return part.text === '' ? [] : [{ type: 'text', text: part.text }];
      if (part.type !== 'image') return [];
      const mediaType = /^data:([^;,]+)/.exec(part.url)?.[1] ?? 'image';
      return [{ type: 'file', mediaType, url: part.url }];
    }),
  };
}

function toDecision(part: Part, decisions: ReadonlyMap<string, boolean>): object[] {
  if (part.type !== 'tool' || part.approval === null) return [];
  const approved = decisions.get(part.approval);
  if (approved === undefined) return [];
  const { callId: toolCallId, name: toolName, approval: id } = part;
  const input: unknown = JSON.parse(part.input);
  const approval = { id, approved };
  return [{ type: 'dynamic-tool', toolName, toolCallId, state: 'approval-responded', input, approval }];
}

function readPage(wire: unknown): Message[] {
  return Array.isArray(wire) ? wire.flatMap((message) => readMessage(message) ?? []) : [];
}

function nextOf(response: Response): string | null {
  return /<([^>]+)>;\s*rel="next"/.exec(response.headers.get('link') ?? '')?.[1] ?? null;
}
