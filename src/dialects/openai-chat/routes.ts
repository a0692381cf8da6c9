/** `openai-chat`: see README.md. */

import { invalid, type ServiceError } from '#core/errors.ts';
import type { TerminalEvent } from '#core/event.ts';
import { formatConversationId } from '#core/ids.ts';
import { type Call, type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { collect, sinkTo } from '#http/run-stream.ts';
import { plainError } from '#http/system.ts';
import type { Answering } from '#service/completions.ts';
import { failureOf } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { toCompletion as decode } from './decode.ts';
import { createEncoder, toCompletion, toModel } from './encode.ts';
import * as schema from './schema.ts';

const MODEL = { id: 'gpt-5-mini', object: 'model', created: 1_700_000_000, owned_by: 'openai', chat: true };
const COMPLETION = {
  id: 'chatcmpl-0198c7c1-5d00-7000-8000-5717b3fc2c96',
  object: 'chat.completion',
  created: 1_700_000_000,
  model: MODEL.id,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Hello!', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
};
const MAX_CONVERSATION_ID = 255;

export function openaiChat(services: Services): Dialect {
  return {
    name: 'openai-chat',
    title: 'Chat Completions and Models',
    claims: ['/v1/chat', '/v1/models'],
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: routes(services),
  };
}

function routes({ completions }: Services): Route[] {
  /** Nobody knows when a model was made; a constant keeps lists equal. */
  const created = MODEL.created;
  return [
    route({
      method: 'POST',
      path: '/v1/chat/completions',
      summary: 'Create a chat completion',
      scope: 'write',
      counts: 'run',
      body: schema.request,
      example: { messages: [{ role: 'user', content: 'Hello!' }] },
      answers: [{ status: 200, description: 'The answer', schema: schema.completion, example: COMPLETION }],
      handle: complete,
    }),
    route({
      method: 'GET',
      path: '/v1/models',
      summary: 'List the models that can be asked',
      scope: 'read',
      counts: 'other',
      answers: [
        { status: 200, description: 'The models', schema: schema.models, example: { object: 'list', data: [MODEL] } },
      ],
      handle: async () => {
        const data = completions.listModels().map((model) => toModel(model, created));
        return { status: 200, body: { object: 'list', data } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/:id',
      summary: 'Get a model',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 200, description: 'The model', schema: schema.model, example: MODEL }],
      handle: async ({ params }) => ({ status: 200, body: toModel(completions.getModel(params.id), created) }),
    }),
  ];

  async function complete({
    principal,
    body,
    headers,
    once,
    signal,
  }: Call<unknown, unknown, schema.WireRequest>): Promise<Reply> {
    const completion = decode(body);
    const conversation = conversationIn(headers['x-conversation-id']);
    const keeps = (conversation !== null || body.store === true) && textIn(headers['x-conversation-task']) === null;
    const whole = textIn(headers['x-conversation-messages']) === 'all';
    const answering = keeps
      ? await completions.completeIn(principal, { ...completion, whole }, conversation, once)
      : await completions.complete(principal, completion, once);
    const named =
      answering.conversation === null ? {} : { 'x-conversation-id': formatConversationId(answering.conversation) };
    if (body.stream === true) return stream(answering, body.stream_options?.include_usage === true, named);
    const { end, items, model } = await collect(answering.follow, signal);
    const failure = failureIn(end);
    if (failure !== null) throw failure;
    return { status: 200, body: toCompletion(answering.run, { ...end, items, model }), headers: named };
  }
}

function stream({ run, follow }: Answering, includeUsage: boolean, headers: Record<string, string>): Reply {
  const encoder = createEncoder(run, includeUsage, failureIn);
  return {
    headers,
    stream: (out) => follow(sinkTo(out, { events: (_first, events) => encoder.events(events), gone: encoder.error })),
  };
}

/** An answer cut at its allowed length has a finish reason for that; whatever else is not whole is an error. */
function failureIn(end: Pick<TerminalEvent, 'status' | 'finish' | 'error'>): ServiceError | null {
  return end.finish === 'length' ? null : failureOf(end);
}

/** Null where the header is not sent, or is a template of the client's that had nothing to put there. */
function textIn(header: string | string[] | undefined): string | null {
  const text = String(header ?? '').trim();
  return text === '' ? null : text;
}

/** Null for no conversation: Open WebUI's temporary chats, which are kept nowhere, have ids that begin with `local:`. */
function conversationIn(header: string | string[] | undefined): string | null {
  const id = textIn(header);
  if (id === null || id.startsWith('local:')) return null;
  if (id.length > MAX_CONVERSATION_ID) {
    throw invalid(`X-Conversation-ID must have at most ${MAX_CONVERSATION_ID} characters.`, 'X-Conversation-ID');
  }
  return id;
}
