/** All models as one list: names, the default, what is found and lost again, and why there is none. */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, it } from 'node:test';
import { createModels, type ModelConfig } from '../../../src/adapters/model/models.ts';
import type { ModelProvider } from '../../../src/adapters/model/provider.ts';
import { createRegistry, type ModelRegistry, type Place } from '../../../src/adapters/model/registry.ts';
import type { Clock } from '../../../src/ports/clock.ts';
import { ModelError, type ModelInfo } from '../../../src/ports/model.ts';
import { type ModelServer, startModelServer } from '../../support/model-server.ts';
import { answerOf, asking, never, settings } from './calls.ts';

/** A clock that the test moves; what is due is called in order. */
function createClock() {
  let time = 0;
  let tasks: { at: number; task: () => void }[] = [];
  const clock: Clock = {
    now: () => time,
    monotonic: () => time,
    after(ms, task) {
      const entry = { at: time + ms, task };
      tasks.push(entry);
      return () => {
        tasks = tasks.filter((one) => one !== entry);
      };
    },
  };
  return {
    clock,
    /** Moves on and waits until all that was started is done. */
    async pass(ms: number) {
      time += ms;
      const due = tasks.filter(({ at }) => at <= time);
      tasks = tasks.filter(({ at }) => at > time);
      for (const { task } of due) task();
      await new Promise(setImmediate);
    },
  };
}

/** A provider that lists and says its own names, or fails as the test says. */
function createFake(name: string, ids: string[], more: Partial<ModelProvider> = {}) {
  const info = (id: string): ModelInfo => ({
    id,
    provider: name,
    window: 1000,
    chat: !id.includes('embed'),
    local: true,
  });
  const fake = {
    asked: [] as string[],
    lists: 0,
    closed: 0,
    fails: null as Error | null,
    waits: null as Promise<void> | null,
    provider: {
      name,
      async list() {
        fake.lists += 1;
        await fake.waits;
        if (fake.fails) throw fake.fails;
        return ids.map(info);
      },
      async *stream(model: string) {
        fake.asked.push(model);
        yield [{ type: 'text' as const, text: name }];
      },
      guess: info,
      async close() {
        fake.closed += 1;
      },
      ...more,
    } satisfies ModelProvider,
  };
  return fake;
}

type Fake = ReturnType<typeof createFake>;

let registry: ModelRegistry | null = null;
afterEach(async () => {
  await registry?.close();
  registry = null;
});

/** A registry over fakes: `prefixed` ones go by `name/model`; `places` are looked at and give a source once `there`. */
async function over(given: {
  open?: Fake[];
  prefixed?: Fake[];
  places?: { fake: Fake; there: () => boolean }[];
  guide?: Fake;
  model?: string;
}) {
  const { clock, pass } = createClock();
  const source = ({ provider }: Fake, configured: boolean, prefixed: boolean) => ({
    provider,
    address: `${provider.name}.example`,
    configured,
    prefixed,
  });
  const places = (given.places ?? []).map(
    ({ fake, there }): Place => ({
      name: fake.provider.name,
      address: `${fake.provider.name}.example`,
      look: async () => (there() ? source(fake, false, true) : null),
      close: fake.provider.close,
    }),
  );
  registry = createRegistry({
    sources: [
      ...(given.open ?? []).map((fake) => source(fake, true, false)),
      ...(given.prefixed ?? []).map((fake) => source(fake, true, true)),
    ],
    places,
    guide: given.guide?.provider ?? null,
    defaultModel: given.model ?? null,
    clock,
  });
  await registry.start();
  return { registry, pass };
}

const idsOf = (models: ModelInfo[]) => models.map(({ id }) => id);
const refused = () => new ModelError('refused', 'openai (401): It refused the key: check OPENAI_API_KEY.');

describe('models by name', () => {
  it('go by their own names, by provider/name, and found ones by that alone', async () => {
    const openai = createFake('openai', ['gpt-5-mini']);
    const ollama = createFake('ollama', ['llama3.2']);
    const { registry } = await over({ open: [openai], places: [{ fake: ollama, there: () => true }] });
    assert.deepEqual(idsOf(registry.list()), ['gpt-5-mini', 'ollama/llama3.2']);
    for (const [name, id, provider] of [
      ['gpt-5-mini', 'gpt-5-mini', 'openai'],
      ['openai/gpt-5-mini', 'gpt-5-mini', 'openai'],
      ['ollama/llama3.2', 'ollama/llama3.2', 'ollama'],
      ['ollama/llama3.2:latest', 'ollama/llama3.2', 'ollama'],
    ]) {
      const model = registry.find(name as string);
      assert.deepEqual([model?.id, model?.provider], [id, provider], name);
    }
  });

  it('reach their provider under its own name for them', async () => {
    const router = createFake('openai', ['openai/gpt-5', 'meta/llama']);
    const mine = createFake('mine', ['big/one']);
    const { registry } = await over({ open: [router], prefixed: [mine] });
    for (const name of ['openai/gpt-5', 'meta/llama', 'mine/big/one']) {
      await answerOf(registry.stream(registry.find(name) as ModelInfo, asking('x'), never));
    }
    assert.deepEqual([router.asked, mine.asked], [['openai/gpt-5', 'meta/llama'], ['big/one']]);
  });

  it('that are not listed are handed on where it is plain to whom', async () => {
    const openai = createFake('openai', ['gpt-5-mini']);
    const claude = (id: string): ModelInfo | null =>
      id.startsWith('claude-') ? { id, provider: 'anthropic', window: 1, chat: true, local: false } : null;
    const anthropic = createFake('anthropic', ['claude-a'], { guess: claude });
    const mine = createFake('mine', []);
    const { registry } = await over({ open: [openai, anthropic], prefixed: [mine] });
    const owner = (name: string) => registry.find(name)?.provider ?? null;
    assert.deepEqual(['gpt-9', 'claude-9', 'anthropic/claude-9', 'anthropic/gpt-9', 'mine/x', 'mine/'].map(owner), [
      'openai',
      'anthropic',
      'anthropic',
      'openai',
      'mine',
      'openai',
    ]);
  });

  it('that nobody can have are unknown', async () => {
    const ollama = createFake('ollama', ['llama3.2']);
    const { registry } = await over({ places: [{ fake: ollama, there: () => true }] });
    assert.equal(registry.find('gpt-9'), null);
    assert.equal(registry.find('ollama/other'), null);
    assert.equal(registry.find(''), null);
  });
});

describe('the default model', () => {
  it('is the first chat model of the first provider that has one', async () => {
    const first = createFake('openai', ['text-embed']);
    const second = createFake('mine', ['embed', 'chat']);
    const { registry } = await over({ open: [first], prefixed: [second] });
    assert.equal(registry.find(null)?.id, 'mine/chat');
    assert.deepEqual(idsOf(registry.list()), ['mine/chat', 'text-embed', 'mine/embed']);
  });

  it('is the configured one, and none if that is not there', async () => {
    const fake = createFake('ollama', ['a', 'b']);
    const places = [{ fake, there: () => true }];
    assert.equal((await over({ places, model: 'ollama/b' })).registry.find(null)?.id, 'ollama/b');
    const { registry } = await over({ places, model: 'ollama/c' });
    assert.equal(registry.find(null), null);
    assert.match(
      registry.why(),
      /^No model is reachable: The default model "ollama\/c" is not there\..*Run \.\/parlance doctor\.$/,
    );
  });

  it('is the usual one while the list has not been read', async () => {
    const usual = [{ id: 'usual', provider: 'openai', window: 1, chat: true, local: false }];
    const slow = createFake('openai', ['listed'], { usual });
    const gate = Promise.withResolvers<void>();
    slow.waits = gate.promise;
    const { clock, pass } = createClock();
    registry = createRegistry({
      sources: [{ provider: slow.provider, address: 'x', configured: true, prefixed: false }],
      places: [],
      guide: null,
      defaultModel: null,
      clock,
    });
    const started = registry.start();
    await pass(0);
    await pass(500);
    await started;
    assert.equal(registry.find(null)?.id, 'usual');
    gate.resolve();
    await pass(0);
    assert.equal(registry.find(null)?.id, 'listed');
  });

  it('is none when the key is refused', async () => {
    const usual = [{ id: 'usual', provider: 'openai', window: 1, chat: true, local: false }];
    const fake = createFake('openai', [], { usual });
    fake.fails = refused();
    const { registry } = await over({ open: [fake] });
    assert.equal(registry.find(null), null);
    assert.equal(
      registry.why(),
      'No model is reachable: openai (401): It refused the key: check OPENAI_API_KEY. Run ./parlance doctor.',
    );
  });
});

describe('the guide', () => {
  it('answers while nothing is configured or found, and never after', async () => {
    const guide = createFake('guide', ['guide']);
    const ollama = createFake('ollama', ['llama3.2']);
    let there = false;
    const { registry, pass } = await over({ guide, places: [{ fake: ollama, there: () => there }] });
    assert.equal(registry.find(null)?.id, 'guide');
    assert.equal((await answerOf(registry.stream(registry.find(null) as ModelInfo, asking('x'), never))).text, 'guide');
    assert.equal(registry.find('gpt-9'), null);
    there = true;
    await pass(10_000);
    assert.equal(registry.find(null)?.id, 'ollama/llama3.2');
    assert.equal(registry.find('guide'), null);
    there = false;
    await pass(10_000);
    assert.equal(registry.find(null), null);
    assert.match(registry.why(), /ollama.*not running any more/);
  });

  it('does not step in for a provider that cannot be reached', async () => {
    const openai = createFake('openai', []);
    openai.fails = new ModelError('unreachable', 'openai at x cannot be reached: the connection is refused.', {
      retryable: true,
    });
    const { registry } = await over({ open: [openai], guide: createFake('guide', ['guide']) });
    assert.equal(registry.find(null), null);
    assert.equal(
      registry.why(),
      'No model is reachable: openai at x cannot be reached: the connection is refused. Run ./parlance doctor.',
    );
  });

  it('may be left out', async () => {
    const { registry } = await over({});
    assert.deepEqual([registry.find(null), registry.list()], [null, []]);
    assert.match(registry.why(), /OPENAI_API_KEY.*Ollama/);
  });
});

describe('looking again', () => {
  it('finds servers that come, and offers none that went, though it is asked by name', async () => {
    const fake = createFake('ollama', ['a']);
    let there = false;
    const { registry, pass } = await over({ places: [{ fake, there: () => there }] });
    assert.deepEqual(registry.notFound(), [{ name: 'ollama', address: 'ollama.example' }]);
    there = true;
    await pass(10_000);
    assert.deepEqual(idsOf(registry.list()), ['ollama/a']);
    assert.deepEqual(registry.notFound(), []);
    there = false;
    await pass(10_000);
    assert.deepEqual(registry.list(), []);
    assert.equal(registry.find('ollama/a')?.id, 'ollama/a');
    assert.deepEqual(registry.sources(), [
      {
        name: 'ollama',
        address: 'ollama.example',
        configured: false,
        state: 'failed',
        reason: 'It is not running any more.',
        models: 1,
      },
    ]);
  });

  it('keeps the models of a configured provider that fails for a while', async () => {
    const fake = createFake('mine', ['a']);
    const { registry, pass } = await over({ prefixed: [fake] });
    fake.fails = refused();
    await pass(10_000);
    assert.equal(registry.sources()[0]?.state, 'failed');
    assert.equal(registry.find(null)?.id, 'mine/a');
    fake.fails = null;
    await pass(30_000);
    assert.equal(registry.sources()[0]?.state, 'ok');
  });

  it('asks a provider elsewhere every five minutes, one on this machine every ten seconds', async () => {
    const remote = createFake('openai', []);
    remote.provider.list = async () => {
      remote.lists += 1;
      return [{ id: 'a', provider: 'openai', window: 1, chat: true, local: false }];
    };
    const local = createFake('mine', ['a']);
    const { registry, pass } = await over({ open: [remote], prefixed: [local] });
    for (let turn = 0; turn < 30; turn += 1) await pass(10_000);
    assert.deepEqual([remote.lists, local.lists], [2, 31]);
    await registry.refresh();
    assert.deepEqual([remote.lists, local.lists], [3, 32]);
  });

  it('does not wait at the start for one that is slow', async () => {
    const slow = createFake('mine', ['a']);
    const gate = Promise.withResolvers<void>();
    slow.waits = gate.promise;
    const { clock, pass } = createClock();
    registry = createRegistry({
      sources: [{ provider: slow.provider, address: 'x', configured: true, prefixed: false }],
      places: [],
      guide: null,
      defaultModel: null,
      clock,
    });
    const started = registry.start();
    await pass(0);
    await pass(500);
    await started;
    assert.match(registry.why(), /mine \(x\) has not answered yet/);
    gate.resolve();
  });

  it('ends with close, which closes every provider', async () => {
    const fake = createFake('mine', ['a']);
    const place = createFake('ollama', ['a']);
    const { registry, pass } = await over({ prefixed: [fake], places: [{ fake: place, there: () => false }] });
    await registry.close();
    await pass(60_000);
    assert.deepEqual([fake.lists, fake.closed, place.closed], [1, 1, 1]);
  });
});

describe('a configuration', () => {
  const servers: { close(): unknown }[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });
  const started = async (...models: string[]): Promise<ModelServer> => {
    const server = await startModelServer({ models });
    servers.push(server);
    return server;
  };
  const configured = async (more: Partial<ModelConfig>) => {
    const { clock } = createClock();
    const config: ModelConfig = {
      ...settings,
      model: null,
      openai: null,
      anthropic: null,
      gemini: null,
      ollama: null,
      providers: [],
      detect: false,
      ...more,
    };
    registry = createModels(config, { guide: null, clock });
    await registry.refresh();
    return registry;
  };

  it('of several providers offers all their models, and asks the right one with its key', async () => {
    const [one, two] = [await started('gpt-5-mini', 'whisper-1'), await started('llama')];
    const models = await configured({
      openai: { apiKey: 'key-one', baseUrl: one.url },
      providers: [{ id: 'mine', baseUrl: two.url, apiKey: 'key-two' }],
    });
    assert.deepEqual(
      models.list().map(({ id, chat }) => [id, chat]),
      [
        ['gpt-5-mini', true],
        ['mine/llama', true],
        ['whisper-1', false],
      ],
    );
    assert.equal(
      (await answerOf(models.stream(models.find('mine/llama') as ModelInfo, asking('x'), never))).text,
      'You said: x',
    );
    assert.equal(two.calls[0]?.body.model, 'llama');
    assert.equal(two.calls[0]?.headers.authorization, 'Bearer key-two');
    assert.equal(one.calls.length, 0);
  });

  it('names where everything is, without credentials', async () => {
    const models = await configured({
      openai: { apiKey: null, baseUrl: 'http://me:canary@127.0.0.1:9/v1' },
      anthropic: { apiKey: 'canary', baseUrl: 'http://127.0.0.1:9/v1' },
      gemini: { apiKey: 'canary', baseUrl: 'http://127.0.0.1:9/v1' },
      ollama: { url: 'http://127.0.0.1:9' },
    });
    assert.deepEqual(
      models.sources().map(({ name, address, state }) => [name, address, state]),
      [
        ['openai', '127.0.0.1:9', 'failed'],
        ['anthropic', '127.0.0.1:9', 'failed'],
        ['google', '127.0.0.1:9', 'failed'],
        ['ollama', '127.0.0.1:9', 'failed'],
      ],
    );
    assert.doesNotMatch(JSON.stringify(models.sources()) + models.why(), /canary/);
    // The lists of Anthropic and Google are known well enough to ask without them.
    assert.equal(models.find(null)?.provider, 'anthropic');
    assert.equal(models.find('gemini-flash-latest')?.provider, 'google');
  });

  it('with Ollama behind OPENAI_BASE_URL knows the windows that are loaded', async () => {
    const ollama = createServer((request, response) => {
      const answers: Record<string, object> = {
        '/v1/models': { data: [{ id: 'llama3.2:latest', owned_by: 'library' }] },
        '/api/tags': { models: [{ name: 'llama3.2:latest', digest: 'd' }] },
        '/api/ps': { models: [{ name: 'llama3.2:latest', context_length: 24_576 }] },
        '/api/show': { capabilities: ['completion'], model_info: {} },
      };
      const answer = answers[request.url ?? ''];
      response.writeHead(answer ? 200 : 404, { 'content-type': 'application/json' }).end(JSON.stringify(answer ?? {}));
    });
    servers.push(ollama);
    await new Promise<void>((resolve) => ollama.listen(0, '127.0.0.1', resolve));
    const models = await configured({
      openai: { apiKey: null, baseUrl: `http://127.0.0.1:${(ollama.address() as AddressInfo).port}/v1` },
    });
    assert.deepEqual(
      models.list().map(({ id, window }) => [id, window]),
      [['llama3.2:latest', 24_576]],
    );
  });

  it('does not look for a local server that it already names', async () => {
    const models = await configured({ ollama: { url: 'http://localhost:11434' }, detect: true });
    assert.deepEqual(idsOfPlaces(models), ['llama.cpp', 'lmstudio']);
  });

  it('looks for no local server with PARLANCE_DETECT=off', async () => {
    assert.deepEqual(idsOfPlaces(await configured({ detect: false })), []);
  });
});

function idsOfPlaces(models: ModelRegistry): string[] {
  return models
    .notFound()
    .map(({ name }) => name)
    .sort();
}
