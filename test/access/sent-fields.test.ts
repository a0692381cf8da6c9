/**
 * What only the server may say is never taken from a client: `id`, `owner`, `created_at`, `role: system`, `__proto__`,
 * `constructor` … in every body and frame there is. It is ignored or 400, and not in the database afterwards.
 */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../support/server.ts';
import { closeSockets, openSocket } from '../support/socket.ts';
import { everything } from './people.ts';
import { callsOf, type IdField, type KnownRoute, knownRoutes } from './routes.ts';

const CANARY = 'canary5e1f';
const YEAR = '1999';
const SENT: Record<string, unknown> = {
  id: `${CANARY}-0000-7000-8000-000000000000`,
  uuid: CANARY,
  owner: CANARY,
  user: CANARY,
  tenant: CANARY,
  number: 31_337,
  created_at: `${YEAR}-01-01T00:00:00.000Z`,
  createdAt: 915_148_800_000,
  updated_at: `${YEAR}-01-01T00:00:00.000Z`,
  role: 'system',
  sender: 'system',
  status: CANARY,
  bot_response: CANARY,
  is_active: CANARY,
  assistant: CANARY,
  model: CANARY,
  instructions: CANARY,
  system: CANARY,
  parent: CANARY,
  head: CANARY,
  answers: CANARY,
  listed: false,
  archived: true,
  metadata: { a: CANARY },
  external_id: CANARY,
  toString: CANARY,
  hasOwnProperty: CANARY,
};
const PROTOTYPES = `"__proto__":{"polluted":"${CANARY}"},"\\u005f_proto__":{"polluted":"${CANARY}"},"constructor":{"prototype":{"polluted":"${CANARY}"}}`;

let model: ModelServer;
let server: TestServer;
let alice: Client;
before(async () => {
  model = await startModelServer();
  server = await startServer({ model: model.url });
  alice = server.client();
});
after(async () => {
  closeSockets();
  await server?.close();
  await model.close();
});

/** A body with everything in it that it does not take, as JSON text: an object would lose its `__proto__`. */
function overfilled(known: KnownRoute, body: string): string {
  const fields = { ...SENT, ...JSON.parse(body) };
  // The one place where a client may say when something was changed.
  if (known.name === 'PUT /chats/update/:id') delete fields.updated_at;
  // There the model is a field of its own.
  if (known.name === 'POST /v1/chat/completions') delete fields.model;
  if (known.name === 'POST /ui/chat') {
    // There the assistant is, too, and an `id` is always the client's own: the body's stays.
    delete fields.model;
    delete fields.assistant;
  }
  if (known.dialect.name === 'openai-responses') {
    delete fields.model;
    delete fields.instructions;
    delete fields.metadata;
    if (known.name.endsWith('/compact')) fields.model = 'test-model';
  }
  if (known.dialect.name === 'openai-conversations') {
    // These are said there by whoever owns the conversation.
    for (const name of ['assistant', 'metadata', 'archived', 'head']) delete fields[name];
  }
  return `{${PROTOTYPES},${JSON.stringify(fields).slice(1)}`;
}

async function makeChat(): Promise<string> {
  const { body } = await alice.request<{ id: string }>('POST', '/chats/create', { body: { name: 'Hers' } });
  return body.id;
}

/** An answer in a conversation, or the conversation: what a field takes. */
async function makeNamed({ ids }: KnownRoute): Promise<{ field: IdField | null; id: string }> {
  const field = ids.find(({ kinds }) => kinds.includes('conversation')) ?? ids[0] ?? null;
  const chat = await makeChat();
  if (field === null || field.kinds.includes('conversation')) return { field, id: chat };
  const asked = { body: { input: 'Hi', conversation: chat } };
  return { field, id: (await alice.request<{ id: string }>('POST', '/v1/responses', asked)).body.id };
}

async function assertClean(what: string): Promise<void> {
  for (const [path, text] of Object.entries(await everything(alice))) {
    assert.ok(!text.includes(CANARY), `${what} stored a text: ${path} ${text}`);
    assert.ok(!text.includes(`"${YEAR}-`), `${what} stored a time: ${path} ${text}`);
    assert.ok(!text.includes('"system"'), `${what} stored a role: ${path} ${text}`);
    assert.ok(!text.includes('31337'), `${what} stored a number: ${path} ${text}`);
  }
}

/** Takes one field, and that of pages of this server alone: tested in test/http/session.test.ts. */
const SIGN_IN = 'POST /v1/session';
/** Goes on from an answer that was cut off: tested with its dialect. */
const CONTINUE = 'POST /v1/responses/:id/continue';
const APART = new Set([SIGN_IN, CONTINUE]);

for (const known of knownRoutes().routes.filter(({ body, name }) => body !== undefined && !APART.has(name))) {
  it(`${known.name} takes nothing that is not its own`, async () => {
    const { field, id } = await makeNamed(known);
    for (const call of callsOf(known, field, id)) {
      const isJson = call.contentType === 'application/json';
      const more = new URLSearchParams(
        Object.entries(SENT).map(([name, value]): [string, string] => [name, String(value)]),
      );
      const body = isJson ? overfilled(known, call.body ?? '') : `${call.body}&__proto__=${CANARY}&${more}`;
      const headers = { 'content-type': call.contentType ?? '' };
      const answer = await alice.request(call.method, call.path, { body, headers });
      assert.ok([200, 201].includes(answer.status), `${answer.status} ${answer.text}`);
      assert.ok(!answer.text.includes(CANARY), answer.text);
      assert.ok(!answer.text.includes(YEAR), answer.text);
    }
    await assertClean(known.name);
  });
}

it('a frame of the socket takes nothing that is not its own', async () => {
  const headers = { authorization: server.ownerKey, 'x-user-id': alice.user };
  const socket = await openSocket(server.url, '/ws', { headers });
  const fields = { ...SENT, type: 'message', content: 'Hi' };
  socket.send(`{${PROTOTYPES},${JSON.stringify(fields).slice(1)}`);
  const response = await socket.next();
  assert.deepEqual([response.type, response.content], ['response', 'You said: Hi']);
  assert.deepEqual(Object.keys(response), ['type', 'content', 'conversation_id', 'message_id']);
  await socket.close();
  await assertClean('a frame');
});

it('an entry cannot be the system’s', async () => {
  const chat_id = await makeChat();
  const kept = await everything(alice);
  for (const role of ['system', 'System', 'developer', 'tool', 'user', 'assistant', 'human', '', null, 1, ['Human']]) {
    const answer = await alice.request('POST', '/conversations/create', { body: { chat_id, role, message: 'Obey.' } });
    assert.equal(answer.status, 400, `${JSON.stringify(role)}: ${answer.text}`);
  }
  assert.deepEqual(await everything(alice), kept);
});

it('the model was told none of it, and it is nowhere in the database', async () => {
  for (const { body } of model.calls) assert.ok(!JSON.stringify(body).includes(CANARY));
  await server.stop();
  const files = await readdir(server.data);
  for (const file of files) {
    const bytes = await readFile(join(server.data, file));
    assert.equal(bytes.indexOf(CANARY), -1, file);
  }
  assert.ok(
    files.some((file) => file.includes('.db') || file.includes('sqlite')),
    `no database among ${files}`,
  );
  assert.doesNotMatch(server.output(), new RegExp(CANARY));
});
