/** `GET /v1/usage` and `/v1/assistants` over HTTP. */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { usage as usageSchema, type WireUsage } from '../../../src/dialects/parlance/schema.ts';
import { type Keys, openKeys } from '../../support/keys.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { type Client, startServer, type TestServer } from '../../support/server.ts';

interface WireError {
  error: { code: string; message: string; param: string };
}

const today = () => new Date().toISOString().slice(0, 10);

describe('usage and assistants', () => {
  let model: ModelServer;
  let server: TestServer;
  let keys: Keys;
  const folder = mkdtempSync(join(tmpdir(), 'parlance-usage-'));

  before(async () => {
    const file = join(folder, 'parlance.config.json');
    writeFileSync(
      file,
      JSON.stringify({
        models: { 'test-model': { inputPerMillion: 1, cachedInputPerMillion: 0.5, outputPerMillion: 10 } },
        assistants: [{ id: 'cook', name: 'Cook', description: 'Cooks.', instructions: 'a-secret-recipe', model: 'm' }],
      }),
    );
    model = await startModelServer();
    server = await startServer({ model: model.url, env: { PARLANCE_CONFIG: file } });
    keys = await openKeys(server.data);
  });
  after(async () => {
    await keys?.close();
    await server.close();
    await model.close();
    rmSync(folder, { recursive: true });
  });

  async function read(client: Client, query = ''): Promise<WireUsage> {
    const { status, body, text } = await client.request<WireUsage>('GET', `/v1/usage${query}`);
    assert.equal(status, 200, text);
    usageSchema.strict().parse(body);
    return body;
  }
  async function spend(client: Client, usage: { input: number; cached?: number; output: number }, path = '/chat') {
    model.next({ text: 'Yes', usage });
    const body = path === '/chat' ? { message: 'Hi' } : { messages: [{ role: 'user', content: 'Hi' }] };
    const { status, body: answer } = await client.request<{ conversation_id: string }>('POST', path, { body });
    assert.equal(status, 200);
    return answer.conversation_id;
  }

  it('adds up what was used in every dialect, with its cost, and keeps it when conversations go', async () => {
    const ann = server.client();
    const nothing = {
      runs: 0,
      input_tokens: 0,
      cached_input_tokens: 0,
      output_tokens: 0,
      reasoning_tokens: 0,
      cost: null,
    };
    assert.deepEqual((await read(ann)).total, nothing);
    const id = await spend(ann, { input: 1000, cached: 400, output: 100 });
    await spend(ann, { input: 10, output: 1 }, '/v1/chat/completions');
    await ann.request('DELETE', `/conversations/${id}`);
    const { from, to, total, data, object } = await read(ann);
    const amounts = { runs: 2, input_tokens: 1010, cached_input_tokens: 400, output_tokens: 101, reasoning_tokens: 0 };
    assert.equal(object, 'usage');
    assert.equal(to, today());
    assert.equal((Date.parse(to) - Date.parse(from)) / 86_400_000, 29);
    const { cost, ...counts } = total;
    assert.deepEqual(counts, amounts);
    assert.ok(Math.abs((cost ?? 0) - (610 * 1 + 400 * 0.5 + 101 * 10) / 1e6) < 1e-12, `${cost}`);
    assert.deepEqual(data, [{ day: today(), user: ann.user, model: 'test-model', ...amounts, cost }]);
  });

  it('is one’s own; with the scope admin that of another, or of all of the tenant', async () => {
    const kim = await keys.create({ user: 'kim' });
    const elsewhere = await keys.create({ tenant: 'other', user: 'kim' });
    const client = (secret: string) => server.visitor({ authorization: secret });
    await spend(client(kim.secret), { input: 5, output: 5 });
    await spend(client(elsewhere.secret), { input: 7, output: 7 });
    assert.deepEqual(
      (await read(client(kim.secret))).data.map(({ input_tokens }) => input_tokens),
      [5],
    );
    assert.equal((await read(client(kim.secret), '?user=kim')).data.length, 1);
    for (const query of ['?user=ann', '?all=true']) {
      const { status, body } = await client(kim.secret).request<WireError>('GET', `/v1/usage${query}`);
      assert.deepEqual([status, body.error.code], [403, 'forbidden'], query);
    }
    const admin = server.client('boss');
    assert.deepEqual((await read(admin)).data, []);
    assert.deepEqual(
      (await read(admin, '?user=kim')).data.map(({ input_tokens }) => input_tokens),
      [5],
    );
    const users = (await read(admin, '?all=true')).data.map(({ user }) => user);
    assert.ok(users.includes('kim') && users.length >= 2, `${users}`);
    assert.ok(!(await read(admin, '?all=true')).data.some(({ input_tokens }) => input_tokens === 7));
  });

  it('takes days as dates or seconds, both included', async () => {
    const ann = server.client();
    await spend(ann, { input: 1, output: 1 });
    const now = Math.floor(Date.now() / 1000);
    for (const [query, lines] of [
      [`?from=${today()}&to=${today()}`, 1],
      [`?from=${now}&to=${now}`, 1],
      [`?to=${now - 86_400}`, 0],
      [`?from=2026-01-01&to=2026-01-31`, 0],
    ] as const) {
      assert.equal((await read(ann, query)).data.length, lines, query);
    }
    for (const [query, param] of [
      ['?from=yesterday', 'from'],
      ['?from=2026-02-30', 'from'],
      ['?to=2026-1-1', 'to'],
      ['?to=9999999999999', 'to'],
      [`?from=2026-02-02&to=2026-02-01`, 'from'],
      [`?from=2024-01-01&to=2026-01-01`, 'from'],
      ['?all=yes', 'all'],
    ] as const) {
      const { status, body } = await ann.request<WireError>('GET', `/v1/usage${query}`);
      assert.deepEqual([status, body.error.param], [400, param], query);
    }
  });

  it('lists the assistants without their instructions', async () => {
    const { status, body, text } = await server.client().request<{ data: { id: string }[] }>('GET', '/v1/assistants');
    assert.equal(status, 200);
    assert.deepEqual(
      body.data.map(({ id }) => id),
      ['default', 'movies', 'cook'],
    );
    assert.deepEqual(body.data[2], {
      object: 'assistant',
      id: 'cook',
      name: 'Cook',
      description: 'Cooks.',
      model: 'm',
      web_search: false,
    });
    assert.ok(!text.includes('a-secret-recipe'));
  });
});
