/** Ollama, LM Studio and llama.cpp: recognised by their own APIs, asked for the window that is loaded. */

import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import {
  localPlaces,
  ollamaAt,
  type PullProgress,
  pullOllamaModel,
} from '../../../src/adapters/model/local-servers.ts';
import { answerOf, asking, never, settings } from './calls.ts';

type Routes = Record<string, unknown>;

const servers: Server[] = [];
const asked: { path: string; body: string }[] = [];

/** A server that answers these paths with JSON, or by a function of the body, and all others with 404. */
async function serving(routes: Routes): Promise<string> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const path = request.url ?? '';
    asked.push({ path, body });
    const route = routes[path];
    const answer = typeof route === 'function' ? route(body) : route;
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(typeof answer === 'string' ? answer : JSON.stringify(answer ?? { error: 'not found' }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

afterEach(() => {
  asked.length = 0;
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** What is found when this server stands where `name` is looked for. */
async function found(name: 'ollama' | 'lmstudio' | 'llama.cpp', url: string) {
  const nowhere = 'http://127.0.0.1:9';
  const places = localPlaces(settings, { ollama: nowhere, lmstudio: nowhere, 'llama.cpp': nowhere, [name]: url });
  const place = places.find((one) => one.name === name);
  const source = await place?.look(never);
  const models = (await source?.provider.list(never)) ?? null;
  await Promise.all(places.map((one) => one.close()));
  return models;
}

const tag = (name: string, digest = name) => ({ name, model: name, digest });
const shown: Record<string, object> = {
  'llama3.2:latest': {
    capabilities: ['completion', 'tools'],
    model_info: { 'general.architecture': 'llama', 'llama.context_length': 131_072 },
  },
  'qwen3:8b': {
    capabilities: ['completion'],
    parameters: 'stop "<|im_end|>"\nnum_ctx 32768\ntemperature 0.6',
    model_info: { 'general.architecture': 'qwen3', 'qwen3.context_length': 40_960 },
  },
  'nomic-embed-text:latest': {
    capabilities: ['embedding'],
    model_info: { 'general.architecture': 'bert', 'bert.context_length': 2048 },
  },
};
const ollama = (running: object[] = []): Routes => ({
  '/api/tags': { models: Object.keys(shown).map((name) => tag(name)) },
  '/api/ps': { models: running },
  '/api/show': (body: string) => shown[JSON.parse(body).model],
});

describe('Ollama', () => {
  it('lists its models with the window that is loaded, else the one it would load', async () => {
    const models = await found('ollama', await serving(ollama([{ name: 'llama3.2:latest', context_length: 16_384 }])));
    assert.deepEqual(
      models?.map(({ id, window, chat, local, provider }) => [id, window, chat, local, provider]),
      [
        ['llama3.2', 16_384, true, true, 'ollama'],
        ['qwen3:8b', 32_768, true, true, 'ollama'],
        ['nomic-embed-text', 2048, false, true, 'ollama'],
      ],
    );
  });

  it('asks for the facts of a model once', async () => {
    const { provider } = ollamaAt(await serving(ollama()), settings);
    await provider.list(never);
    await provider.list(never);
    assert.equal(asked.filter(({ path }) => path === '/api/show').length, 3);
    await provider.close?.();
  });

  it('is asked where OLLAMA_HOST says, with a path before it', async () => {
    const routes = Object.entries(ollama()).map(([path, answer]) => [`/behind${path}`, answer]);
    const url = await serving(Object.fromEntries(routes));
    const { provider, configured, prefixed } = ollamaAt(`${url}/behind`, settings);
    assert.equal((await provider.list(never)).length, 3);
    assert.deepEqual([configured, prefixed], [true, true]);
    await answerOf(provider.stream('qwen3:8b', asking('x'), never));
    assert.equal(asked.at(-1)?.path, '/behind/v1/chat/completions');
    await provider.close?.();
  });

  it('something else on its port is not taken for it', async () => {
    for (const routes of [
      {},
      { '/api/tags': { models: [] } },
      { '/api/tags': '<html>', '/api/ps': '<html>' },
      { '/api/tags': { data: [] }, '/api/ps': {} },
    ]) {
      assert.equal(await found('ollama', await serving(routes)), null);
    }
    assert.equal(await found('ollama', 'http://127.0.0.1:9'), null);
  });

  it('that is configured and is something else says so', async () => {
    const { provider } = ollamaAt(await serving({}), settings);
    await assert.rejects(provider.list(never), { code: 'malformed', message: /is not ollama/ });
    await provider.close?.();
  });

  it('that is configured and does not run is unreachable', async () => {
    const { provider } = ollamaAt('http://127.0.0.1:9', settings);
    await assert.rejects(provider.list(never), { code: 'unreachable' });
    await provider.close?.();
  });
});

describe('LM Studio', () => {
  it('lists what is loaded first, with its window', async () => {
    const models = await found(
      'lmstudio',
      await serving({
        '/api/v0/models': {
          object: 'list',
          data: [
            { id: 'small', type: 'llm', state: 'not-loaded', max_context_length: 2048 },
            { id: 'big', type: 'vlm', state: 'loaded', max_context_length: 131_072, loaded_context_length: 20_000 },
            { id: 'vectors', type: 'embeddings', state: 'not-loaded', max_context_length: 512 },
          ],
        },
      }),
    );
    assert.deepEqual(
      models?.map(({ id, window, chat }) => [id, window, chat]),
      [
        ['big', 20_000, true],
        ['small', 2048, true],
        ['vectors', 512, false],
      ],
    );
  });

  it('is known by the second version of its API too', async () => {
    const models = await found(
      'lmstudio',
      await serving({
        '/api/v1/models': {
          models: [
            { key: 'a', type: 'llm', loaded_instances: [], max_context_length: 32_768 },
            {
              key: 'b',
              type: 'llm',
              loaded_instances: [{ id: 'b', config: { context_length: 8000 } }],
              max_context_length: 32_768,
            },
            { key: 'c', type: 'embedding', loaded_instances: [], max_context_length: 512 },
          ],
        },
      }),
    );
    assert.deepEqual(
      models?.map(({ id, window, chat }) => [id, window, chat]),
      [
        ['b', 8000, true],
        ['a', 4096, true],
        ['c', 512, false],
      ],
    );
  });

  it('any other OpenAI-compatible server on its port is not taken for it', async () => {
    assert.equal(await found('lmstudio', await serving({ '/v1/models': { data: [{ id: 'x' }] } })), null);
  });
});

describe('llama.cpp', () => {
  const props = { default_generation_settings: { n_ctx: 12_288 }, total_slots: 1 };

  it('has its one model by the name of its file, with the window of a slot', async () => {
    const path = '/srv/models/gemma-3-4b-it-Q4_K_M.gguf';
    const routes = {
      '/v1/models': { data: [{ id: path, owned_by: 'llamacpp', meta: { n_ctx_train: 131_072 } }] },
      '/props': props,
    };
    const models = await found('llama.cpp', await serving(routes));
    assert.deepEqual(
      models?.map(({ id, window }) => [id, window]),
      [['gemma-3-4b-it-Q4_K_M.gguf', 12_288]],
    );
  });

  it('another program on port 8080 is not taken for it', async () => {
    for (const routes of [
      {},
      { '/v1/models': { data: [] }, '/props': props },
      { '/v1/models': { data: [{ id: 'x', owned_by: 'parlance' }] } },
    ]) {
      assert.equal(await found('llama.cpp', await serving(routes)), null);
    }
  });
});

describe('pulling a model', () => {
  const pull = async (answer: string) => {
    const steps: PullProgress[] = [];
    const url = await serving({ '/api/pull': () => answer });
    await pullOllamaModel(url, 'llama3.2', settings, (step) => steps.push(step), never);
    return steps;
  };
  const lines = (...list: object[]) => list.map((line) => `${JSON.stringify(line)}\n`).join('');

  it('tells every step', async () => {
    const steps = await pull(
      lines({ status: 'pulling manifest' }, { status: 'pulling a', completed: 5, total: 10 }, { status: 'success' }),
    );
    assert.deepEqual(steps, [
      { status: 'pulling manifest', completed: null, total: null },
      { status: 'pulling a', completed: 5, total: 10 },
      { status: 'success', completed: null, total: null },
    ]);
    assert.deepEqual(JSON.parse(asked[0]?.body ?? ''), { model: 'llama3.2', stream: true });
  });

  it('fails with what Ollama says, when it breaks off, and when it is not there', async () => {
    await assert.rejects(pull(lines({ status: 'pulling manifest' }, { error: 'file does not exist' })), {
      code: 'provider_error',
      message: /file does not exist/,
    });
    await assert.rejects(pull(lines({ status: 'pulling manifest' })), { code: 'broken_off' });
    await assert.rejects(
      pullOllamaModel('http://127.0.0.1:9', 'x', settings, () => {}, never),
      { code: 'unreachable' },
    );
  });
});
