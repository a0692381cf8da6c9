/** Dialect 4, `ask`: see README.md. */

import { invalid } from '#core/errors.ts';
import { textOf } from '#core/turn.ts';
import { type Dialect, type Route, route } from '#http/route.ts';
import { wholeAnswer } from '#service/send-message.ts';
import type { Services } from '#service/services.ts';
import { toWireError } from './errors.ts';
import * as schema from './schema.ts';

const ANSWERED = {
  response: { message: 'Hello, how can I assist you?', conversation_id: '0198c7c1-5d00-7000-8000-5717b3fc2c96' },
};

export function ask(services: Services): Dialect {
  return {
    name: 'ask',
    title: 'Chat GPT REST API',
    claims: ['/ask', '/conversation'],
    access: 'key',
    namesUser: false,
    error: toWireError,
    routes: routes(services),
  };
}

function routes({ conversations, messages, runs }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/ask',
      summary: 'Send a prompt and get the response',
      scope: 'write',
      counts: 'run',
      query: schema.inQuery,
      body: schema.question,
      bodyTypes: ['json', 'form', 'multipart'],
      example: { prompt: 'Hello' },
      answers: [{ status: 200, description: 'The response', schema: schema.answered, example: ANSWERED }],
      async handle({ principal, query, body, once }) {
        const conversation = oneConversation([body.conversation_id, query.conversation_id]);
        const asked = await messages.send(principal, { conversation, text: body.prompt }, once);
        const result = wholeAnswer(await runs.result(principal, { run: asked.run, turn: asked.answer }));
        const response = { message: textOf(result.items), conversation_id: asked.conversation.id };
        return { status: 200, body: { response } };
      },
    }),
    route({
      method: 'DELETE',
      path: '/conversation/:conversation_id',
      summary: 'Delete a conversation',
      scope: 'write',
      counts: 'other',
      params: schema.byId,
      answers: [{ status: 204, description: 'It is deleted' }],
      async handle({ principal, params, once }) {
        await conversations.remove(principal, params.conversation_id, once);
        return { status: 204 };
      },
    }),
  ];
}

/** The conversation that body and query name; null begins a new one. */
function oneConversation(places: (string | number | null | undefined)[]): string | null {
  const [named = null, ...others] = places.filter((place) => place != null && place !== '').map(String);
  if (others.some((other) => other !== named)) {
    throw invalid('conversation_id differs between body and query: send it once.', 'conversation_id');
  }
  return named;
}
