/**
 * The rules for every dialect (DIALECTS.md, "Rules for every dialect") as tests over a table of its calls. Here: the
 * table, and what the tests share. A dialect's own shapes and decisions are in its own suite.
 */

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Answer, type Client, startServer, type TestServer } from '../../support/server.ts';

/** One documented call, as it succeeds. `{id}` in it stands for a conversation of the caller. */
export interface RuleCall {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: string;
  status: number;
  body?: Record<string, unknown>;
  /** It may be sent without its body. */
  bodyOptional?: true;
  /** Its texts: whether they must be there, and the most characters they may have. */
  texts?: Record<string, { required: boolean; max?: number }>;
  /** It takes forms, too. */
  forms?: true;
  /** Queries that are refused. */
  badQueries?: string[];
  /** It asks the model. */
  asks?: true;
  /** It deletes this one conversation, or all. */
  deletes?: 'one' | 'all';
  /** A GET that can start an inference, and an answer that is a stream. */
  stream?: true;
}

export interface DialectRules {
  name: string;
  access: 'key' | 'local';
  /** Fails unless the body is the dialect's error of that status, with a sentence that matches. */
  assertError(body: unknown, status: number, sentence?: RegExp): void;
  calls: RuleCall[];
  /** A path that the dialect claims and that is none. */
  unknownPath: string;
  /** What an id that has none of the accepted forms is. */
  malformedId: 400 | 404;
}

/** A running server, and people who use it. */
export interface House {
  readonly server: TestServer;
  readonly model: ModelServer;
  /** A new user with one conversation that has one entry. */
  someone(): Promise<{ client: Client; id: string }>;
}

/** Where `{id}` stands in a call. */
export const ID = '{id}';

/** A conversation that nobody has. */
export const UNKNOWN_ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';

/** A server for the tests of the file, or of the `describe` around it. */
export function openHouse(env: Record<string, string> = {}): House {
  let server: TestServer;
  let model: ModelServer;

  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url, env });
  });
  after(async () => {
    await server?.close();
    await model.close();
  });

  return {
    get server() {
      return server;
    },
    get model() {
      return model;
    },
    async someone() {
      const client = server.client();
      return { client, id: await seed(client) };
    },
  };
}

/** A conversation with one entry. */
export async function seed(client: Client): Promise<string> {
  const { body } = await client.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Seed' } });
  const entry = { chat_id: body.id, role: 'Human', message: 'Hello' };
  assert.equal((await client.request('POST', '/conversations/create', { body: entry })).status, 201);
  return body.id;
}

export function nameOf(call: RuleCall): string {
  return `${call.method} ${target(call, ID)}`;
}

export function target({ path, query }: RuleCall, id: string): string {
  return (query === undefined ? path : `${path}?${query}`).replace(ID, id);
}

export function send(
  client: Client,
  call: RuleCall,
  id: string,
  headers: Record<string, string | null> = {},
): Promise<Answer> {
  const body =
    typeof call.body === 'object' && !(call.body instanceof Uint8Array)
      ? JSON.stringify(call.body).replaceAll(ID, id.replace(/["\\]/g, '\\$&'))
      : call.body;
  return client.request(call.method, target(call, id), { body, headers });
}

/** Makes a call that must be refused in the dialect's own shape. */
export async function refused(
  { assertError }: DialectRules,
  client: Client,
  call: RuleCall,
  id: string,
  status: number,
  sentence?: RegExp,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await send(client, call, id, headers);
  const what = `${call.method} ${call.path} with ${id}: ${answer.text}`;
  assert.equal(answer.status, status, what);
  assertError(answer.body, status, sentence);
  assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8', what);
  assert.match(String(answer.headers['x-request-id']), /./, what);
  return answer;
}

/** All that is kept for a user: conversations with their entries and times. */
export async function stored(client: Client): Promise<string> {
  const { text, body } = await client.request<{ id: string }[]>('GET', '/chats/');
  const entries = await Promise.all(body.map(({ id }) => client.request('GET', `/chats/${id}/conversations`)));
  return [text, ...entries.map((answer) => answer.text)].join('\n');
}

/** Does it, and fails if it has changed anything that is kept for the client. */
export async function unchanged<T>(client: Client, act: () => Promise<T>): Promise<T> {
  const before = await stored(client);
  const done = await act();
  assert.equal(await stored(client), before);
  return done;
}
