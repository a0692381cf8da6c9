/** `ai-sdk`: see README.md. */

import type { ServiceError } from '#core/errors.ts';
import type { TerminalEvent } from '#core/event.ts';
import { formatConversationId } from '#core/ids.ts';
import type { Principal } from '#core/principal.ts';
import type { Turn } from '#core/turn.ts';
import { nextLink } from '#http/link.ts';
import { type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { sinkTo } from '#http/run-stream.ts';
import { plainError } from '#http/system.ts';
import type { Replying } from '#service/branches.ts';
import { failureOf } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { toSubmission } from './decode.ts';
import { createEncoder, toMessages } from './encode.ts';
import * as schema from './schema.ts';

const MESSAGE_ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const REQUEST = {
  id: 'my-chat',
  trigger: 'submit-message',
  messages: [{ id: 'my-message', role: 'user', parts: [{ type: 'text', text: 'Hello!' }] }],
};
const MESSAGES = [
  {
    ...REQUEST.messages[0],
    metadata: { parent: null, siblings: ['my-message'], createdAt: '2026-11-21T10:00:00.000Z' },
  },
  {
    id: MESSAGE_ID,
    role: 'assistant',
    parts: [{ type: 'step-start' }, { type: 'text', text: 'Hi.', state: 'done' }],
    metadata: {
      parent: 'my-message',
      siblings: [MESSAGE_ID],
      createdAt: '2026-11-21T10:00:00.000Z',
      status: 'completed',
      model: 'ollama/llama3.2',
      usage: { inputTokens: 12, cachedInputTokens: 0, outputTokens: 3, reasoningTokens: 0 },
      cost: null,
    },
  },
];
const STREAM = [
  { type: 'start', messageId: MESSAGE_ID },
  { type: 'start-step' },
  { type: 'text-start', id: '0' },
  { type: 'text-delta', id: '0', delta: 'Hi.' },
  { type: 'text-end', id: '0' },
  { type: 'finish-step' },
  { type: 'finish', finishReason: 'stop' },
]
  .map((part) => `data: ${JSON.stringify(part)}\n\n`)
  .join('')
  .concat('data: [DONE]\n\n');
const STREAMED = {
  status: 200,
  description: 'The answer, while it is written',
  contentType: 'text/event-stream',
  example: STREAM,
};

export function aiSdk(services: Services): Dialect {
  return {
    name: 'ai-sdk',
    title: 'UI message stream of the AI SDK (useChat)',
    claims: ['/ui'],
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: routes(services),
  };
}

function routes({ branches, completions, runs }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/ui/chat',
      summary: 'Send a message, or have one answered again, and follow the answer',
      scope: 'write',
      counts: 'run',
      body: schema.request,
      example: REQUEST,
      answers: [STREAMED],
      async handle({ principal, body, once }) {
        const submission = toSubmission(body);
        if (submission.request.model !== null) completions.getModel(submission.request.model);
        return stream(principal, await branches.submit(principal, submission, once), []);
      },
    }),
    route({
      method: 'GET',
      path: '/ui/chat/:id/stream',
      summary: 'Follow the answer that is being written, from its start',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      answers: [STREAMED, { status: 204, description: 'Nothing is being written' }],
      async handle({ principal, params }) {
        const current = await branches.current(principal, params.id);
        return current === null ? { status: 204 } : stream(principal, current, current.earlier);
      },
    }),
    route({
      method: 'GET',
      path: '/ui/chat/:id',
      summary: "Get a chat's finished messages, oldest first",
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: schema.page,
      answers: [{ status: 200, description: 'The messages', schema: schema.uiMessage.array(), example: MESSAGES }],
      async handle({ principal, params, query }) {
        const { turns, tree, answers, before } = await branches.history(principal, params.id, query);
        const link = before && nextLink(`/ui/chat/${encodeURIComponent(params.id)}`, { ...query, before });
        return { status: 200, body: toMessages(turns, tree, answers), ...(link && { headers: { link } }) };
      },
    }),
    route({
      method: 'POST',
      path: '/ui/chat/:id/stop',
      summary: 'Stop the answer that is being written, and keep its text',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 204, description: 'Nothing is being written any more' }],
      async handle({ principal, params }) {
        await branches.stop(principal, params.id);
        return { status: 204 };
      },
    }),
  ];

  /** From its start: the stream has no cursor. */
  function stream(principal: Principal, { run, turn, message, conversation }: Replying, earlier: Turn[]): Reply {
    const encoder = createEncoder(message, failureIn);
    return {
      headers: {
        'x-vercel-ai-ui-message-stream': 'v1',
        'x-conversation-id': formatConversationId(conversation.id),
      },
      stream(out) {
        out.write(encoder.start(turn, earlier));
        return runs.follow(
          principal,
          { run, turn },
          0,
          sinkTo(out, { events: (_first, events) => encoder.events(events), gone: encoder.gone }),
        );
      },
    };
  }
}

/** An answer that was stopped, or cut at its allowed length, has a finish reason for that; else what is not whole is an error. */
function failureIn(end: Pick<TerminalEvent, 'status' | 'finish' | 'error'>): ServiceError | null {
  return end.finish === 'length' || end.status === 'cancelled' ? null : failureOf(end);
}
