/** A server with a model to ask, and somebody who asks it. */

import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import OpenAI from 'openai';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';
import { closeSockets } from '../../support/socket.ts';
import { assertOrder, assertResponse, readStream, type StreamedEvent, type WireResponse } from './spec.ts';

export interface World {
  model: ModelServer;
  server: TestServer;
  /** A user of the test's own. */
  me: Client;
  /** The official client, as the same user. */
  openai(): OpenAI;
}

/** To be called in a `describe`: what it gives is there once its tests run. */
export function setUp(env: Record<string, string> = {}): World {
  const world = {} as World;
  before(async () => {
    world.model = await startModelServer();
    world.server = await startServer({ model: world.model.url, env });
    world.me = world.server.client();
    world.openai = () =>
      new OpenAI({
        apiKey: world.server.ownerKey,
        baseURL: `${world.server.url}/v1`,
        maxRetries: 0,
        defaultHeaders: { 'x-user-id': world.me.user },
      });
  });
  after(async () => {
    closeSockets();
    await world.server?.close();
    await world.model?.close();
  });
  return world;
}

const PATH = '/v1/responses';

/** Asks, and gives the response, which is valid. */
export async function ask(me: Client, body: object, headers: Record<string, string> = {}): Promise<WireResponse> {
  const answer = await me.request('POST', PATH, { body, headers });
  assert.equal(answer.status, 200, answer.text);
  return assertResponse(answer.body);
}

/** The error of a request that is refused. */
export async function refusal(
  me: Client,
  body: unknown,
  path = PATH,
): Promise<{ status: number; code: string; param: string; message: string; type: string }> {
  const answer = await me.request<{ error: { code: string; param: string; message: string; type: string } }>(
    'POST',
    path,
    {
      body,
    },
  );
  assert.ok(answer.status >= 400, `not refused: ${answer.text}`);
  return { status: answer.status, ...answer.body.error };
}

/** A whole stream: as it came, and as events that are valid and in order. */
export async function stream(me: Client, body: object, headers: Record<string, string> = {}) {
  const answer = await me.request('POST', PATH, { body: { ...body, stream: true }, headers });
  assert.equal(answer.status, 200, answer.text);
  const events = readStream(answer.text);
  return { raw: answer.text, events, response: assertOrder(events) };
}

/** The raw events behind number `after` of a response; all of them without it. */
export async function follow(
  me: Client,
  id: string,
  after?: number,
): Promise<{ raw: string; events: StreamedEvent[] }> {
  const cursor = after === undefined ? '' : `&starting_after=${after}`;
  const answer = await me.request('GET', `${PATH}/${id}?stream=true${cursor}`);
  assert.equal(answer.status, 200, answer.text);
  return { raw: answer.text, events: readStream(answer.text) };
}

export async function get(me: Client, id: string): Promise<WireResponse> {
  const answer = await me.request('GET', `${PATH}/${id}`);
  assert.equal(answer.status, 200, answer.text);
  return assertResponse(answer.body);
}

/** What of a raw stream comes behind the event of that number. */
export function behind(raw: string, number: number): string {
  const mark = `"sequence_number":${number},`;
  return raw.slice(raw.indexOf('\n\n', raw.indexOf(mark)) + 2);
}
