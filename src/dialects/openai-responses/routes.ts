/** `openai-responses`: see README.md. */

import { invalid } from '#core/errors.ts';
import { formatWireId } from '#core/ids.ts';
import type { Principal } from '#core/principal.ts';
import { type Call, type Dialect, type Reply, type Route, route, socketRoute } from '#http/route.ts';
import { collect, sinkTo } from '#http/run-stream.ts';
import { plainError } from '#http/system.ts';
import type { Responding, ResponseWish } from '#service/responses.ts';
import type { Services } from '#service/services.ts';
import { namedIn } from '../standard/decode.ts';
import { toList, toWireItems } from '../standard/encode.ts';
import { item, listOf, page, type WirePage } from '../standard/schema.ts';
import { functionsOf, toAfter, toAgain, toInput, toTool, toWish } from './decode.ts';
import { createEncoder, DONE, failureOf, toEndedResponse, toFrame, toResponse, toUsage, UNASKED } from './encode.ts';
import * as schema from './schema.ts';
import { openSocket } from './socket.ts';

const ID = 'resp_0198c7c1-5d00-7000-8000-5717b3fc2c96';
const MESSAGE = {
  type: 'message',
  id: 'msg_0198c7c1-5d00-7000-8000-5717b3fc2c97',
  status: 'completed',
  role: 'assistant',
  content: [{ type: 'output_text', text: 'Hello!', annotations: [], logprobs: [] }],
};
const INPUT = {
  type: 'message',
  id: 'msg_0198c7c1-5d00-7000-8000-5717b3fc2c95',
  status: 'completed',
  role: 'user',
  content: [{ type: 'input_text', text: 'Hi!' }],
};
const USAGE = {
  input_tokens: 9,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: 2,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: 11,
};
const RESPONSE = {
  id: ID,
  object: 'response',
  created_at: 1_700_000_000,
  completed_at: 1_700_000_001,
  status: 'completed',
  incomplete_details: null,
  error: null,
  model: 'gpt-5-mini',
  output: [MESSAGE],
  usage: USAGE,
  conversation: null,
  instructions: null,
  ...UNASKED,
};
const ANSWERED = { status: 200, description: 'The response', schema: schema.response, example: RESPONSE };
/** Of a text frame: 20 MiB of images as data URLs would be more than a body may have. */
const MAX_FRAME = 8 * 1024 * 1024;
/** "60-minute limit with code `websocket_connection_limit_reached`." */
const SOCKET_LIFETIME_MS = 60 * 60_000;

export function openaiResponses(services: Services): Dialect {
  return {
    name: 'openai-responses',
    title: 'Open Responses (2026-04-24)',
    claims: ['/v1/responses'],
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: routes(services),
  };
}

function routes(services: Services): Route[] {
  const { responses, compaction } = services;
  return [
    route({
      method: 'POST',
      path: '/v1/responses',
      summary: 'Create a response',
      scope: 'write',
      counts: 'run',
      body: schema.request,
      example: { input: 'Hi!' },
      answers: [ANSWERED],
      async handle({ principal, body, once, signal }) {
        const wish = await wishOf(services, principal, body);
        const response = await responses.create(principal, wish, once);
        if (body.background === true && body.stream !== true) return { status: 200, body: toResponse(response) };
        return give(response, body.stream === true, signal);
      },
    }),
    socketRoute({
      method: 'SOCKET',
      path: '/v1/responses',
      summary:
        'Create responses one after the other: response.create in, the events of a stream out, as JSON text frames',
      scope: 'write',
      maxFrame: MAX_FRAME,
      lifetimeMs: SOCKET_LIFETIME_MS,
      open: ({ principal }, socket) =>
        openSocket(services, principal, socket, (body) => wishOf(services, principal, body)),
    }),
    route({
      method: 'POST',
      path: '/v1/responses/input_tokens',
      summary: 'Estimate the tokens a model would be given',
      scope: 'read',
      counts: 'other',
      body: schema.countRequest,
      example: { input: 'Hi!' },
      answers: [
        {
          status: 200,
          description: 'The estimate',
          schema: schema.counted,
          example: { object: 'response.input_tokens', input_tokens: 9 },
        },
      ],
      async handle({ principal, body }) {
        const after = toAfter(body);
        const input = toInput(body, await responses.resolve(principal, namedIn(body.input), after));
        const input_tokens = await compaction.countTokens(principal, {
          input,
          after,
          model: body.model ?? null,
          instructions: body.instructions ?? null,
          tools: functionsOf(body.tools).map(toTool),
        });
        return { status: 200, body: { object: 'response.input_tokens', input_tokens } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/responses/compact',
      summary: 'Compress what was said into one item, to go on with',
      scope: 'write',
      counts: 'run',
      body: schema.compactRequest,
      example: { model: 'gpt-5-mini', previous_response_id: ID },
      answers: [
        {
          status: 200,
          description: 'The compaction item',
          schema: schema.compacted,
          example: {
            id: ID,
            object: 'response.compaction',
            created_at: 1_700_000_000,
            output: [{ type: 'compaction', id: ID.replace('resp', 'cmp'), encrypted_content: 'c2VhbGVk' }],
            usage: USAGE,
          },
        },
      ],
      async handle({ principal, body }) {
        const after = toAfter(body);
        const input = toInput(body, await responses.resolve(principal, namedIn(body.input), after));
        const { model, instructions } = body;
        const wish = { input, after, model, instructions: instructions ?? null };
        return { status: 200, body: toCompacted(await compaction.compact(principal, wish)) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/responses/:id',
      summary: 'Get a response, or follow it with ?stream=true&starting_after=N',
      scope: 'read',
      streams: true,
      counts: 'other',
      params: schema.byId,
      query: schema.follow,
      answers: [ANSWERED],
      async handle({ principal, params, query }) {
        const response = await responses.find(principal, params.id);
        if (query.stream === 'true') return stream(response, query.starting_after ?? -1);
        if (query.starting_after === undefined) return { status: 200, body: toResponse(response) };
        throw invalid('starting_after is of streams: send stream=true with it.', 'starting_after');
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/responses/:id',
      summary: 'Delete a response; its items stay in its conversation',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [
        {
          status: 200,
          description: 'It was deleted',
          schema: schema.deleted,
          example: { id: ID, object: 'response', deleted: true },
        },
      ],
      async handle({ principal, params, once }) {
        await responses.remove(principal, params.id, once);
        return { status: 200, body: { id: params.id, object: 'response', deleted: true } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/responses/:id/cancel',
      summary: 'Cancel a response that is being written, and keep its text',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [ANSWERED],
      handle: async ({ principal, params }) => ({
        status: 200,
        body: toResponse(await responses.cancel(principal, params.id)),
      }),
    }),
    route({
      method: 'GET',
      path: '/v1/responses/:id/input_items',
      summary: 'List the items a response was asked with: its own, not those before it',
      scope: 'read',
      counts: 'other',
      params: schema.byId,
      query: page,
      answers: [
        {
          status: 200,
          description: 'A page of the items',
          schema: listOf(item),
          example: toList([INPUT], false),
        },
      ],
      handle: async ({ principal, params, query }) => ({
        status: 200,
        body: pageOf(toWireItems(await responses.inputItems(principal, params.id)), query),
      }),
    }),
    ...(['continue', 'retry'] as const).map((verb) =>
      route({
        method: 'POST',
        path: `/v1/responses/:id/${verb}`,
        summary: AGAIN[verb],
        scope: 'write',
        counts: 'run',
        params: schema.byId,
        body: schema.againRequest.default({}),
        example: {},
        answers: [ANSWERED],
        async handle({ principal, params, body, once, signal }) {
          const request = toAgain(await responses.find(principal, params.id), verb, body.model ?? null);
          const response = await responses.again(principal, params.id, verb, request, once);
          return give(response, body.stream === true, signal);
        },
      }),
    ),
  ];
}

const AGAIN = {
  continue: 'Go on from the text of an interrupted response, as a new one',
  retry: 'Answer again beside a response, as a new one',
};

/** What a request asks for, with what it refers to. Throws `invalid_request`. */
async function wishOf({ responses }: Services, principal: Principal, body: schema.WireRequest): Promise<ResponseWish> {
  return toWish(body, await responses.resolve(principal, namedIn(body.input), toAfter(body)));
}

async function give(response: Responding, isStream: boolean, signal: Call['signal']): Promise<Reply> {
  if (isStream) return stream(response, -1);
  const whole = await collect(response.follow, signal);
  const failure = failureOf(whole.end);
  if (failure !== null) throw failure;
  return { status: 200, body: toEndedResponse(response, whole) };
}

/** @param after the number of the last event the reader has; -1 for none */
function stream(response: Responding, after: number): Reply {
  return {
    stream(out) {
      let text = '';
      const encoder = createEncoder(response, after, (type, json) => {
        text += toFrame(type, json);
      });
      const take = (end = '') => {
        const taken = text + end;
        text = '';
        return taken;
      };
      encoder.start();
      out.write(take());
      return response.follow(
        sinkTo(out, {
          events(first, events) {
            encoder.events(first, events);
            return take(events.at(-1)?.type === 'run-ended' ? DONE : '');
          },
          gone(error) {
            encoder.gone(error);
            return take(DONE);
          },
        }),
      );
    },
  };
}

/** "`?after` exclusive": an item of the list, whichever way that goes. */
function pageOf<T extends { id: string }>(all: T[], { limit, order, after }: WirePage) {
  const ordered = order === 'asc' ? all : all.toReversed();
  const from = after === undefined ? 0 : ordered.findIndex(({ id }) => id === after) + 1;
  if (after !== undefined && from === 0) throw invalid('after must be the id of an item of the list.', 'after');
  return toList(ordered.slice(from, from + limit), ordered.length > from + limit);
}

function toCompacted({ id, sealed, usage, at }: Awaited<ReturnType<Services['compaction']['compact']>>) {
  const none = { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, reasoningTokens: 0 };
  return {
    id: formatWireId('response', id),
    object: 'response.compaction',
    created_at: Math.floor(at / 1000),
    output: [{ type: 'compaction', id: formatWireId('compaction', id), encrypted_content: sealed }],
    usage: toUsage(usage ?? none),
  };
}
