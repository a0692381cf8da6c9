/** What Parlance adds to `/v1` that is of no one conversation: see README.md. */

import { type Dialect, type Reply, type Route, route } from '#http/route.ts';
import { plainError } from '#http/system.ts';
import type { Services } from '#service/services.ts';
import { toList } from '../standard/encode.ts';
import { listOf } from '../standard/schema.ts';
import { asksForEvents, parseLastEventId, toNewKey, toSecretOnce } from './decode.ts';
import { openFeed, toAssistant, toChange, toChangeEvents, toFeedError, toKey, toUsage } from './encode.ts';
import * as schema from './schema.ts';

const UUID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';
const AT = 1_763_640_000;
const ASSISTANT = {
  object: 'assistant',
  id: 'movies',
  name: 'Movie expert',
  description: 'Recommends, compares and explains films.',
  model: null,
  web_search: false,
};
const AMOUNTS = {
  runs: 3,
  input_tokens: 1200,
  cached_input_tokens: 0,
  output_tokens: 800,
  reasoning_tokens: 0,
  cost: 0.0019,
};
const USAGE = {
  object: 'usage',
  from: '2026-10-22',
  to: '2026-11-20',
  total: AMOUNTS,
  data: [{ day: '2026-11-20', user: 'alice', model: 'gpt-5-mini', ...AMOUNTS }],
};
const CHANGE = {
  object: 'change',
  number: 18,
  type: 'run-started',
  conversation_id: `conv_${UUID}`,
  run_id: UUID,
  response_id: `resp_${UUID}`,
  created_at: AT,
};
const NEW_KEY = { user: 'alice', name: 'laptop', scopes: ['read', 'write'] };
const KEY = {
  object: 'key',
  id: UUID,
  user: 'alice',
  kind: 'user',
  name: 'laptop',
  hint: 'c9f1',
  scopes: ['read', 'write'],
  rates: null,
  created_at: AT,
  expires_at: null,
  revoked_at: null,
};
const listExample = (entry: { id: string }) => toList([entry], false);

export function parlance(services: Services): Dialect {
  return {
    name: 'parlance',
    title: 'What Parlance adds to /v1: assistants, usage, changes, tickets, keys',
    claims: ['assistants', 'usage', 'changes', 'tickets', 'keys', 'invites'].map((name) => `/v1/${name}`),
    access: 'local',
    namesUser: false,
    standard: true,
    error: plainError,
    routes: [...ownRoutes(services), ...feedRoutes(services), ...adminRoutes(services)],
  };
}

function ownRoutes({ assistants, usage, tickets }: Services): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/assistants',
      summary: 'List the assistants a conversation can be begun with',
      scope: 'read',
      counts: 'other',
      answers: [
        {
          status: 200,
          description: 'The assistants',
          schema: listOf(schema.assistant),
          example: listExample(ASSISTANT),
        },
      ],
      handle: async () => ({ status: 200, body: toList(assistants.list().map(toAssistant), false) }),
    }),
    route({
      method: 'GET',
      path: '/v1/usage',
      summary: 'What was used, by day and model',
      scope: 'read',
      counts: 'other',
      query: schema.usageQuery,
      answers: [{ status: 200, description: 'Tokens, runs and cost', schema: schema.usage, example: USAGE }],
      async handle({ principal, query: { all, ...asked } }) {
        return { status: 200, body: toUsage(await usage.read(principal, { ...asked, everybody: all === 'true' })) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/tickets',
      summary: 'Get a ticket for the address of one stream or socket, where a browser can set no header',
      scope: 'read',
      counts: 'other',
      body: schema.newTicket,
      example: { path: '/v1/changes' },
      answers: [
        {
          status: 201,
          description: 'The ticket, for ?ticket=',
          schema: schema.ticket,
          example: { ticket: `plt_${'0'.repeat(64)}`, expires_at: AT },
        },
      ],
      async handle({ principal, body, once, headers }) {
        const { secret, expiresAt } = await tickets.create(principal, body.path, toSecretOnce(once, headers));
        return { status: 201, body: { ticket: secret, expires_at: Math.floor(expiresAt / 1000) } };
      },
    }),
  ];
}

function feedRoutes({ changes }: Services): Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/changes',
      summary: 'What happened to conversations since a number; as it happens with Accept: text/event-stream',
      scope: 'read',
      counts: 'other',
      streams: true,
      query: schema.changesQuery,
      answers: [
        {
          status: 200,
          description: 'The changes, oldest first',
          schema: schema.changes,
          example: { object: 'list', data: [CHANGE], has_more: false, newest: CHANGE.number },
        },
        { status: 410, description: 'Changes after this number are not kept any more' },
      ],
      async handle({ principal, query: { since = null, limit }, headers }): Promise<Reply> {
        if (!asksForEvents(headers)) {
          const { changes: found, newest, more } = await changes.list(principal, since, limit);
          return { status: 200, body: { object: 'list', data: found.map(toChange), has_more: more, newest } };
        }
        const feed = await changes.follow(principal, parseLastEventId(headers['last-event-id']) ?? since);
        return {
          stream(out) {
            out.write(openFeed(feed.from));
            return feed.start({
              changes: (found) => out.write(toChangeEvents(found)),
              gone: (error) => out.end(toFeedError(error)),
            });
          },
        };
      },
    }),
  ];
}

function adminRoutes({ keys }: Services): Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/keys',
      summary: 'Make an API key; it is shown this once',
      scope: 'admin',
      counts: 'other',
      body: schema.newKey,
      example: NEW_KEY,
      answers: [
        {
          status: 201,
          description: 'The key',
          schema: schema.issuedKey,
          example: { ...KEY, key: `plk_${'0'.repeat(64)}` },
        },
      ],
      async handle({ principal, body, once, headers }) {
        const wanted = toNewKey(body, principal.user);
        const { key, secret } = await keys.create(principal, wanted, toSecretOnce(once, headers));
        return { status: 201, body: { ...toKey(key), key: secret } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/keys',
      summary: 'List API keys, revoked ones too',
      scope: 'admin',
      counts: 'other',
      query: schema.page,
      answers: [{ status: 200, description: 'The keys', schema: listOf(schema.key), example: listExample(KEY) }],
      async handle({ principal, query: { limit, order: direction, after = null } }) {
        const found = await keys.list(principal, { direction, limit: limit + 1, after });
        return { status: 200, body: toList(found.slice(0, limit).map(toKey), found.length > limit) };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/keys/:key_id',
      summary: 'Revoke an API key; what it has open closes within 5 seconds',
      scope: 'admin',
      counts: 'other',
      params: schema.keyId,
      answers: [
        {
          status: 200,
          description: 'It is revoked',
          schema: schema.deletedKey,
          example: { id: UUID, object: 'key.deleted', deleted: true },
        },
      ],
      async handle({ principal, params, once }) {
        const { id } = await keys.revoke(principal, params.key_id, once);
        return { status: 200, body: { id, object: 'key.deleted', deleted: true } };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/invites',
      summary: 'Make a link that gives its user a key, once, within 7 days',
      scope: 'admin',
      counts: 'other',
      body: schema.newInvite,
      example: { name: 'alice' },
      answers: [
        {
          status: 201,
          description: 'The link',
          schema: schema.invite,
          example: { object: 'invite', name: 'alice', url: 'http://localhost:8000/invite/…', expires_at: AT },
        },
      ],
      async handle({ principal, body, once, headers }) {
        const { name } = body;
        const { token, expiresAt } = await keys.invite(principal, name, toSecretOnce(once, headers));
        const url = keys.inviteUrl(token, `http://${headers.host}`);
        return { status: 201, body: { object: 'invite', name, url, expires_at: Math.floor(expiresAt / 1000) } };
      },
    }),
  ];
}
