/** Dialect 2, `conversations`: see README.md. */

import type { Conversation } from '#core/conversation.ts';
import { invalid, ServiceError } from '#core/errors.ts';
import { formatCursor, MAX_PAGE_TEXT } from '#core/page.ts';
import type { Principal } from '#core/principal.ts';
import type { Run } from '#core/run.ts';
import { type Turn, textOf } from '#core/turn.ts';
import { nextLink } from '#http/link.ts';
import { type Dialect, type Route, route, type SocketOut, type SocketSource, socketRoute } from '#http/route.ts';
import type { Follower } from '#service/live-runs.ts';
import { wholeAnswer } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { parseBefore, parseFrame } from './decode.ts';
import {
  type AnswerIds,
  deltaFrames,
  errorFrame,
  idsOf,
  openingFrame,
  responseFrame,
  toConversation,
} from './encode.ts';
import { toWireError } from './errors.ts';
import * as schema from './schema.ts';

const DEFAULT_LIMIT = 50;
const MAX_FRAME = 1024 * 1024;
/** Answers that one socket waits for or follows. */
const MAX_PENDING = 100;
/** Refused frames in a row after which a socket is closed. */
const MAX_REFUSED = 20;

const CONVERSATION = {
  id: '0198c7c1-5d00-7000-8000-5717b3fc2c96',
  user_id: 'user-1',
  created_at: '2024-01-01T00:00:00.000Z',
  messages: [
    { id: '0198c7c1-5d01-7000-8000-5717b3fc2c97', content: 'Hi', role: 'user', created_at: '2024-01-01T00:00:00.000Z' },
  ],
};

export function conversations(services: Services): Dialect {
  return {
    name: 'conversations',
    title: 'API Reference (chat, conversations and a WebSocket)',
    claims: ['/chat', '/conversations', '/ws'],
    access: 'local',
    namesUser: true,
    error: toWireError,
    routes: routes(services),
  };
}

function routes(services: Services): Route[] {
  const { conversations, messages, runs } = services;
  return [
    route({
      method: 'POST',
      path: '/chat',
      summary: 'Send a message to the assistant',
      scope: 'write',
      counts: 'run',
      body: schema.chat,
      example: { message: 'Hi', user_id: 'user-1' },
      answers: [
        {
          status: 200,
          description: 'The answer',
          schema: schema.answered,
          example: { response: 'Hello!', conversation_id: CONVERSATION.id },
        },
      ],
      async handle({ principal, body, once }) {
        requireUser(principal);
        const message = { conversation: body.conversation_id ?? null, text: body.message };
        const { answer, run, conversation } = await messages.send(principal, message, once);
        const result = wholeAnswer(await runs.result(principal, { run, turn: answer }));
        return { status: 200, body: { response: textOf(result.items), conversation_id: conversation.id } };
      },
    }),
    route({
      method: 'GET',
      path: '/conversations',
      summary: 'Get all conversations of a user',
      scope: 'read',
      counts: 'other',
      query: schema.page,
      answers: [
        {
          status: 200,
          description: 'The conversations, newest first',
          schema: schema.conversation.array(),
          example: [CONVERSATION],
        },
      ],
      async handle({ principal, query }) {
        requireUser(principal);
        const limit = query.limit ?? DEFAULT_LIMIT;
        const page = { order: 'created', direction: 'desc', limit, after: parseBefore(query.before) } as const;
        const { data, next } = await conversations.list(principal, page);
        const body = [];
        let size = 0;
        let last: Conversation | undefined;
        for (const conversation of data) {
          const turns = await turnsOf(principal, conversation.id);
          size += turns?.reduce((sum, turn) => sum + textOf(turn.items).length, 0) ?? 0;
          if (size > MAX_PAGE_TEXT && body.length > 0) break;
          if (turns !== null) body.push(toConversation(conversation, turns));
          last = conversation;
        }
        if (last === undefined || (next === null && last === data.at(-1))) return { status: 200, body };
        const before = formatCursor({ at: last.createdAt, id: last.id });
        const link = nextLink('/conversations', { user_id: principal.user, limit, before });
        return { status: 200, body, headers: { link } };
      },
    }),
    route({
      method: 'GET',
      path: '/conversations/:conversation_id',
      summary: 'Get a conversation',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: schema.messagesPage,
      answers: [{ status: 200, description: 'The conversation', schema: schema.conversation, example: CONVERSATION }],
      async handle({ principal, params, query: { before = null, ...named } }) {
        const history = await conversations.history(principal, params.conversation_id, { before });
        const body = toConversation(history.conversation, history.turns);
        const older = history.before;
        const link = older && nextLink(`/conversations/${params.conversation_id}`, { ...named, before: older });
        return { status: 200, body, ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/conversations/:conversation_id',
      summary: 'Delete a conversation',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      query: schema.user,
      answers: [
        {
          status: 200,
          description: 'It is deleted',
          schema: schema.deleted,
          example: { message: 'Conversation deleted successfully' },
        },
      ],
      async handle({ principal, params, once }) {
        await conversations.remove(principal, params.conversation_id, once);
        return { status: 200, body: { message: 'Conversation deleted successfully' } };
      },
    }),
    socketRoute({
      method: 'SOCKET',
      path: '/ws',
      summary: 'Messages in, responses out, as JSON text frames',
      scope: 'write',
      query: schema.socket,
      maxFrame: MAX_FRAME,
      check: ({ principal }) => requireUser(principal),
      open: ({ principal, query }, socket) => openSocket(services, principal, query.stream === 'true', socket),
    }),
  ];

  /** The messages of a listed conversation: none any more if it was deleted since. */
  async function turnsOf(principal: Principal, conversation: string): Promise<Turn[] | null> {
    try {
      return (await conversations.history(principal, conversation)).turns;
    } catch (error) {
      if (isNotFound(error)) return null;
      throw error;
    }
  }
}

/** "`user_id` (required)": by header, query or body, unless a key says whose it is. */
function requireUser(principal: Principal): void {
  if (principal.findsKeyless) throw invalid('user_id is required: name the user by X-User-ID or user_id.', 'user_id');
}

function isNotFound(error: unknown): boolean {
  return error instanceof ServiceError && error.code === 'not_found';
}

type MessageFrame = Extract<schema.Frame, { type: 'message' }>;

function openSocket(
  { messages, runs }: Services,
  principal: Principal,
  stream: boolean,
  socket: SocketOut,
): SocketSource {
  const followers = new Set<Follower>();
  /** The conversation of messages that name none. */
  let own: string | null = null;
  let pending = 0;
  let refused = 0;
  /** Messages are accepted one after the other, so that the first can make the conversation. */
  let accepting: Promise<unknown> = Promise.resolve();

  return {
    message: (text) => void receive(text),
    resume: () => {
      for (const follower of followers) follower.resume();
    },
    stop: () => {
      for (const follower of followers) follower.stop();
      followers.clear();
    },
  };

  async function receive(text: string): Promise<void> {
    try {
      socket.admit();
      refused = 0;
      const frame = parseFrame(text);
      if (frame.type === 'stop') await stopAnswer(frame.message_id);
      else await pend(() => (frame.type === 'message' ? take(frame) : pickUp(frame.message_id, frame.after)));
    } catch (error) {
      const known = error instanceof ServiceError ? error : new ServiceError('internal', 'Internal server error');
      if (known.code === 'internal') socket.failed(error);
      socket.send(errorFrame(known));
      if (known.code === 'rate_limited' && ++refused >= MAX_REFUSED) socket.close(1008, 'Rate limit exceeded');
    }
  }

  async function pend(show: () => Promise<void>): Promise<void> {
    if (pending >= MAX_PENDING) {
      throw new ServiceError('overloaded', `${MAX_PENDING} answers are waited for or followed on this socket already.`);
    }
    pending++;
    try {
      await show();
    } finally {
      pending--;
    }
  }

  async function take(frame: MessageFrame): Promise<void> {
    const once = frame.idempotency_key === undefined ? null : socket.once(frame.idempotency_key, frame);
    const accepted = accepting.then(() =>
      messages.send(principal, { conversation: frame.conversation_id ?? own, text: frame.content }, once),
    );
    accepting = accepted.then(
      ({ conversation }) => {
        if (frame.conversation_id == null) own = conversation.id;
      },
      (error) => {
        // It was deleted: the sender is told, and the next message begins a new one.
        if (frame.conversation_id == null && isNotFound(error)) own = null;
      },
    );
    const { run, answer } = await accepted;
    if (stream) socket.send(openingFrame(idsOf(answer)));
    await show(run, answer, stream ? 0 : null);
  }

  async function pickUp(messageId: string, after: number): Promise<void> {
    const { run, turn } = await runs.find(principal, messageId);
    await show(run, turn, after);
  }

  async function stopAnswer(messageId: string): Promise<void> {
    const { run } = await runs.find(principal, messageId);
    if (run !== null) await runs.stop(principal, run);
  }

  /** Sends an answer's deltas behind number `after` (null: none of them), and its one response. */
  async function show(run: Run | null, turn: Turn, after: number | null): Promise<void> {
    const ids = idsOf(turn);
    // Asked for before the deltas, so that the response follows the last of them at once.
    const ending = run === null ? null : runs.result(principal, { run, turn });
    ending?.catch(() => {});
    if (after !== null) await sendDeltas(run, turn, after, ids);
    if (ending === null) {
      socket.send(responseFrame(textOf(turn.items), ids));
      return;
    }
    try {
      const result = await ending;
      if (result.status !== 'cancelled') wholeAnswer(result);
      socket.send(responseFrame(textOf(result.items), ids));
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      socket.send(errorFrame(error, ids));
    }
  }

  /** Resolves when the answer has ended, or its conversation is gone. */
  function sendDeltas(run: Run | null, turn: Turn, after: number, ids: AnswerIds): Promise<void> {
    return new Promise((resolve) => {
      const follower = runs.follow(principal, { run, turn }, after, {
        events(first, events) {
          let room = true;
          for (const frame of deltaFrames(first, events, ids)) room = socket.send(frame);
          if (events.at(-1)?.type === 'run-ended') done();
          return room;
        },
        gone: done,
      });
      followers.add(follower);
      function done(): void {
        queueMicrotask(() => followers.delete(follower));
        resolve();
      }
    });
  }
}
