/**
 * Sign-in of the web app, and what it asks first: who am I, who else is on this machine, and which model answers. Part of
 * `/v1`. Only pages of this server sign in and out: another port of the same host could send its own key along, and have
 * people write into its account.
 */

import { z } from 'zod';
import { ServiceError } from '#core/errors.ts';
import type { ApiKey, Principal, User } from '#core/principal.ts';
import { type AccessRules, isOwnPage } from './access.ts';
import { endedCookie, sessionCookie } from './cookie.ts';
import { type Call, type Route, route } from './route.ts';

/** What the sign-in needs of the services. */
export interface Sessions {
  /** Throws `unauthorized`. */
  signIn(secret: string): Promise<{ token: string; key: ApiKey }>;
  open(key: ApiKey): Promise<{ token: string }>;
  close(digest: string): Promise<void>;
  /** Counts one try of an address; throws `rate_limited`. */
  admitTry(address: string): void;
}

/** Users in the order of their names. Throws `forbidden` for whoever may not know of others. */
export type ListUsers = (principal: Principal, page: { after: string; limit: number }) => Promise<User[]>;

/** Which model answers, and what else was looked for. */
export interface ModelState {
  /** Null where there is none; then `problem` says why. */
  default: string | null;
  /** The default is the built-in guide, which is no language model. */
  guide: boolean;
  problem: string | null;
  providers: {
    name: string;
    address: string;
    configured: boolean;
    state: 'waiting' | 'ok' | 'failed';
    reason: string;
    models: number;
  }[];
  not_found: { name: string; address: string }[];
}

export interface SessionParts {
  rules: AccessRules;
  sessions: Sessions;
  listUsers: ListUsers;
  models(): ModelState;
  version: string;
}

const session = z.object({
  object: z.literal('session'),
  access: z.enum(['local', 'session', 'key']).nullable(),
  user: z.string().nullable(),
  scopes: z.enum(['read', 'write', 'admin']).array(),
  sign_in: z.object({ type: z.enum(['key', 'invite']) }).array(),
  server: z
    .object({
      version: z.string(),
      models: z.object({
        default: z.string().nullable(),
        guide: z.boolean(),
        problem: z.string().nullable(),
        providers: z
          .object({
            name: z.string(),
            address: z.string(),
            configured: z.boolean(),
            state: z.enum(['waiting', 'ok', 'failed']),
            reason: z.string(),
            models: z.number(),
          })
          .array(),
        not_found: z.object({ name: z.string(), address: z.string() }).array(),
      }),
    })
    .nullable(),
});
type WireSession = z.infer<typeof session>;

const LOCAL: WireSession = {
  object: 'session',
  access: 'local',
  user: 'local',
  scopes: ['read', 'write'],
  sign_in: [{ type: 'key' }, { type: 'invite' }],
  server: {
    version: '0.1.0',
    models: {
      default: 'guide',
      guide: true,
      problem: null,
      providers: [],
      not_found: [{ name: 'Ollama', address: '127.0.0.1:11434' }],
    },
  },
};
const SIGNED_IN: WireSession = { ...LOCAL, access: 'session', user: 'ada' };
const NOBODY: WireSession = { ...LOCAL, access: null, user: null, scopes: [], server: null };

const signIn = z.object({ key: z.string().min(1).max(255) });
const page = z.object({
  limit: z.coerce.number().int().min(1).max(100).exactOptional(),
  after: z.string().exactOptional(),
});
const user = z.object({ object: z.literal('user'), id: z.string(), keyless: z.boolean(), created_at: z.number() });
const users = z.object({
  object: z.literal('list'),
  data: user.array(),
  first_id: z.string().nullable(),
  last_id: z.string().nullable(),
  has_more: z.boolean(),
});
const USER = { object: 'user' as const, id: 'ada', keyless: true, created_at: 1_700_000_000 };
const DEFAULT_PAGE = 20;

export function sessionRoutes(parts: SessionParts): Route[] {
  const { rules, sessions, listUsers } = parts;
  return [
    route({
      method: 'GET',
      path: '/v1/session',
      summary: 'Who is asking, and which model answers',
      scope: 'read',
      counts: 'none',
      open: 'unless-known',
      answers: [
        { status: 200, description: 'What is known; `user` is null for nobody', schema: session, example: LOCAL },
      ],
      handle: async ({ principal }) => ({ status: 200, body: describe(principal) }),
    }),
    route({
      method: 'POST',
      path: '/v1/session',
      summary: 'Sign a browser in with a key: sets the session cookie',
      scope: 'read',
      counts: 'none',
      open: 'unless-known',
      body: signIn,
      example: { key: `plk_${'0'.repeat(64)}` },
      answers: [{ status: 200, description: 'Signed in', schema: session, example: SIGNED_IN }],
      async handle({ body, headers, address }) {
        requireOwnPage(rules, headers);
        sessions.admitTry(address);
        const { token, key } = await sessions.signIn(body.key.trim());
        return {
          status: 200,
          body: { ...about(), access: 'session', user: key.user, scopes: [...key.scopes] } satisfies WireSession,
          headers: { 'set-cookie': sessionCookie(rules, headers, token) },
        };
      },
    }),
    route({
      method: 'DELETE',
      path: '/v1/session',
      summary: 'Sign out: ends the session and removes its cookie',
      scope: 'read',
      counts: 'none',
      open: 'unless-known',
      answers: [{ status: 204, description: 'Nobody is signed in any more' }],
      async handle({ principal, headers }) {
        requireOwnPage(rules, headers);
        if (principal.session !== undefined) await sessions.close(principal.session);
        return { status: 204, headers: { 'set-cookie': endedCookie(headers) } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/users',
      summary: 'List users by name: all with the scope admin, those of this machine in local mode',
      scope: 'read',
      counts: 'other',
      query: page,
      answers: [
        {
          status: 200,
          description: 'The users',
          schema: users,
          example: { object: 'list', data: [USER], first_id: 'ada', last_id: 'ada', has_more: false },
        },
      ],
      async handle({ principal, query }) {
        const { limit = DEFAULT_PAGE, after = '' } = query;
        const found = await listUsers(principal, { after, limit: limit + 1 });
        const data = found.slice(0, limit).map(toWire);
        const ids = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
        return { status: 200, body: { object: 'list', data, ...ids, has_more: found.length > limit } };
      },
    }),
  ];

  function describe({ user, scopes, keyless, keyId, session }: Principal): WireSession {
    if (!keyless && keyId === null) return NOBODY;
    const access = keyless ? 'local' : session === undefined ? 'key' : 'session';
    return { ...about(), access, user, scopes: [...scopes] };
  }

  /** What whoever may ask is told of the server. */
  function about(): Pick<WireSession, 'object' | 'sign_in' | 'server'> {
    const { object, sign_in } = NOBODY;
    return { object, sign_in, server: { version: parts.version, models: parts.models() } };
  }
}

/** Throws `forbidden`. */
export function requireOwnPage(rules: AccessRules, headers: Call['headers']): void {
  if (isOwnPage(rules, headers)) return;
  throw new ServiceError(
    'forbidden',
    'Only a page of this server may do this: Sec-Fetch-Site must be same-origin, or Origin this server. Programs send their key with each request.',
    { param: 'origin' },
  );
}

function toWire({ id, keyless, createdAt }: User): z.infer<typeof user> {
  return { object: 'user', id, keyless, created_at: Math.floor(createdAt / 1000) };
}
