/**
 * Servers that run models on one's own machine: Ollama, LM Studio and llama.cpp. They are asked by their OpenAI-compatible
 * side, and by their own for what that does not tell: whether they are what they seem, and how large a window is loaded.
 */

import { ModelError, type ModelInfo } from '#ports/model.ts';
import { type ConnectionSettings, type Connections, createConnections, isLocal } from './connections.ts';
import { connectionError } from './errors.ts';
import { DEFAULT_WINDOW, isChatModel } from './names.ts';
import { createOpenAiCompatible } from './openai-compatible/client.ts';
import type { ModelProvider } from './provider.ts';
import type { Place, Source } from './registry.ts';

/** Where they listen unless told otherwise. */
const LOCAL_URLS = {
  ollama: 'http://127.0.0.1:11434',
  lmstudio: 'http://127.0.0.1:1234',
  'llama.cpp': 'http://127.0.0.1:8080',
};

/** What Ollama and LM Studio load where nobody asked for more. */
const USUAL_WINDOW = 4096;
/** Models whose facts are asked for at once. */
const AT_ONCE = 8;

interface Kind {
  name: keyof typeof LOCAL_URLS;
  /** Its models, by its own API; null if what answers is something else. `facts` keeps what does not change. */
  models(get: Get, facts: Facts): Promise<OwnModel[] | null>;
}

interface OwnModel {
  id: string;
  window: number;
  chat: boolean;
}

/** The JSON at a path; null for any other answer. Throws where nothing can be reached. */
type Get = (path: string, body?: object) => Promise<unknown>;
type Facts = Map<string, OwnModel>;

/** https://github.com/ollama/ollama/blob/main/docs/api.md. Its OpenAI-compatible side ignores `num_ctx`. */
const OLLAMA: Kind = {
  name: 'ollama',
  async models(get, facts) {
    const [tags, loaded] = [listOf(await get('/api/tags'), 'models'), listOf(await get('/api/ps'), 'models')];
    if (tags === null || loaded === null) return null;
    const models: OwnModel[] = [];
    for (let at = 0; at < tags.length; at += AT_ONCE) {
      const some = tags.slice(at, at + AT_ONCE).map(async (tag) => {
        const model = await ollamaModel(String(tag.name), String(tag.digest ?? tag.name), get, facts);
        const running = loaded.find(({ name }) => name === tag.name);
        return { ...model, window: positive(running?.context_length) ?? model.window };
      });
      models.push(...(await Promise.all(some)));
    }
    return models;
  },
};

/** A model as Ollama would load it: asked for once, since its digest changes with it. */
async function ollamaModel(name: string, digest: string, get: Get, facts: Facts): Promise<OwnModel> {
  const key = `${name} ${digest}`;
  const known = facts.get(key);
  if (known !== undefined) return known;
  const shown = record(await get('/api/show', { model: name }).catch(() => null));
  const { capabilities, parameters } = shown;
  const info = record(shown.model_info);
  const most = positive(info[`${info['general.architecture']}.context_length`]) ?? Number.POSITIVE_INFINITY;
  const set = positive(Number(/^num_ctx\s+(\d+)/m.exec(String(parameters))?.[1]));
  const model = {
    id: name.replace(/:latest$/, ''),
    window: Math.min(set ?? USUAL_WINDOW, most),
    chat: Array.isArray(capabilities) ? capabilities.includes('completion') : isChatModel(name),
  };
  if (Object.keys(shown).length > 0) facts.set(key, model);
  return model;
}

/** LM Studio's REST API: https://lmstudio.ai/docs; its first version (`v0`) is still there beside the second. */
const LM_STUDIO: Kind = {
  name: 'lmstudio',
  async models(get) {
    const first = listOf(await get('/api/v0/models'), 'data');
    const models = first === null ? lmStudioSecond(await get('/api/v1/models')) : lmStudioFirst(first);
    if (models === null) return null;
    return models
      .sort((one, other) => Number(other.loaded !== null) - Number(one.loaded !== null))
      .map(({ id, type, loaded, most }) => ({
        id: String(id),
        window: loaded ?? Math.min(USUAL_WINDOW, most ?? USUAL_WINDOW),
        chat: type === 'llm' || type === 'vlm',
      }));
  },
};

interface LmStudioModel {
  id: unknown;
  type: unknown;
  /** The window it is loaded with; null if it is not. */
  loaded: number | null;
  most: number | null;
}

function lmStudioFirst(models: Record<string, unknown>[]): LmStudioModel[] | null {
  if (models.some(({ type }) => typeof type !== 'string')) return null;
  return models.map((model) => ({
    id: model.id,
    type: model.type,
    loaded: model.state === 'loaded' ? (positive(model.loaded_context_length) ?? USUAL_WINDOW) : null,
    most: positive(model.max_context_length),
  }));
}

function lmStudioSecond(answer: unknown): LmStudioModel[] | null {
  const models = listOf(answer, 'models');
  if (models === null || models.some(({ key, type }) => typeof key !== 'string' || typeof type !== 'string'))
    return null;
  return models.map((model) => {
    const [instance] = listOf(model, 'loaded_instances') ?? [];
    return {
      id: model.key,
      type: model.type,
      loaded: instance === undefined ? null : (positive(record(instance.config).context_length) ?? USUAL_WINDOW),
      most: positive(model.max_context_length),
    };
  });
}

/** https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md */
const LLAMA_CPP: Kind = {
  name: 'llama.cpp',
  async models(get) {
    const models = listOf(await get('/v1/models'), 'data');
    if (models === null || models.length === 0 || models.some((model) => model.owned_by !== 'llamacpp')) return null;
    const props = record(await get('/props'));
    const loaded = positive(record(props.default_generation_settings).n_ctx) ?? positive(props.n_ctx);
    return models.map(({ id, meta }) => ({
      // Where nobody gave it a name it gives the path of its file; it takes any name for its one model.
      id: String(id).endsWith('.gguf') ? String(id).replace(/^.*[\\/]/, '') : String(id),
      window: loaded ?? positive(record(meta).n_ctx_train) ?? DEFAULT_WINDOW,
      chat: isChatModel(String(id)),
    }));
  },
};

const KINDS = [OLLAMA, LM_STUDIO, LLAMA_CPP];

/** The places looked at, on this machine's loopback. */
export function localPlaces(settings: ConnectionSettings, urls = LOCAL_URLS): Place[] {
  return KINDS.map((kind) => {
    const url = urls[kind.name];
    const provider = createLocal(kind, url, settings);
    const address = new URL(url).host;
    const source: Source = { provider, address, configured: false, prefixed: true };
    return {
      name: kind.name,
      address,
      look: async (signal) => ((await provider.isThere(signal)) ? source : null),
      close: async () => provider.close?.(),
    };
  });
}

/** Ollama at an address set by hand (`OLLAMA_HOST`). */
export function ollamaAt(url: string, settings: ConnectionSettings): Source {
  const provider = createLocal(OLLAMA, url, settings);
  return { provider, address: new URL(url).host, configured: true, prefixed: true };
}

function createLocal(kind: Kind, url: string, settings: ConnectionSettings) {
  const { name } = kind;
  const { origin, pathname, host, hostname } = new URL(url);
  const base = pathname.replace(/\/+$/, '');
  const connections = createConnections(origin, settings);
  const asked = { name, address: host, keySetting: 'its settings', urlSetting: 'OLLAMA_HOST', apiKey: null };
  const { keySetting, urlSetting } = asked;
  const chat = createOpenAiCompatible(
    { name, baseUrl: `${origin}${base}/v1`, apiKey: null, keySetting, urlSetting },
    settings,
  );
  const facts: Facts = new Map();

  const ownModels = (signal: AbortSignal) => kind.models(getter(connections, base, signal), facts);
  const provider: ModelProvider = {
    name,
    async list(signal) {
      const models = await ownModels(signal).catch((error: unknown) => {
        throw connectionError(asked, error);
      });
      if (models === null) throw new ModelError('malformed', `What answers at ${host} is not ${name}.`);
      return models.map((model): ModelInfo => ({ ...model, provider: name, local: isLocal(hostname) }));
    },
    stream: chat.stream,
    guess: (id) => ({ id, provider: name, window: USUAL_WINDOW, chat: isChatModel(id), local: isLocal(hostname) }),
    close: async () => {
      await Promise.all([connections.close(), chat.close?.()]);
    },
  };
  return {
    ...provider,
    isThere: async (signal: AbortSignal) => (await ownModels(signal).catch(() => null)) !== null,
  };
}

/**
 * What a local server behind an OpenAI-compatible address says of its windows, which that API does not tell: a function
 * that looks over a list. What is there is found out once.
 */
export function createLookOver(url: string, settings: ConnectionSettings) {
  const connections = createConnections(new URL(url).origin, settings);
  const facts: Facts = new Map();
  /** The one kind that answered, or none; all, while nobody was asked. */
  let kinds: readonly Kind[] = KINDS;
  return {
    async models(models: ModelInfo[], signal: AbortSignal): Promise<ModelInfo[]> {
      if (kinds.length === 0) return models;
      const get = getter(connections, '', signal);
      const answers = await Promise.all(kinds.map((kind) => kind.models(get, facts).catch(() => null)));
      if (signal.aborted) return models;
      kinds = kinds.filter((_, index) => answers[index] !== null);
      const own = answers.find((answer) => answer !== null) ?? [];
      return models.map((model) => {
        const known = own.find(({ id }) => id === model.id.replace(/:latest$/, ''));
        return known === undefined ? model : { ...model, window: known.window, chat: known.chat };
      });
    },
    close: () => connections.close(),
  };
}

function getter(connections: Connections, base: string, signal: AbortSignal): Get {
  return async (path, body) => {
    const method = body === undefined ? 'GET' : 'POST';
    const answer = await connections.request(base + path, { method, body, signal });
    if (answer.status !== 200) return null;
    try {
      return JSON.parse(answer.text);
    } catch {
      return null;
    }
  };
}

/** The objects of a list in an answer; null if there is no such list. */
function listOf(answer: unknown, field: string): Record<string, unknown>[] | null {
  const list = record(answer)[field];
  if (!Array.isArray(list)) return null;
  return list.filter((entry) => typeof entry === 'object' && entry !== null);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function positive(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null;
}

/** One step of a pull. */
export interface PullProgress {
  status: string;
  /** Bytes, where Ollama knows them. */
  completed: number | null;
  total: number | null;
}

const LINE_END = /\r?\n/;
const MAX_LINE = 64 * 1024;

/**
 * Has a running Ollama fetch a model. Throws `ModelError` with its own sentence when it cannot.
 *
 * @param url its address
 * @param onProgress called for every step, many times a second
 */
export async function pullOllamaModel(
  url: string,
  name: string,
  settings: ConnectionSettings,
  onProgress: (progress: PullProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  const { origin, pathname, host } = new URL(url);
  const connections = createConnections(origin, settings);
  const asked = { name: 'ollama', address: host, keySetting: '', urlSetting: 'OLLAMA_HOST', apiKey: null };
  try {
    const answer = await connections
      .fetch(`${origin}${pathname.replace(/\/+$/, '')}/api/pull`, {
        method: 'POST',
        body: JSON.stringify({ model: name, stream: true }),
        signal,
      })
      .catch((error: unknown) => {
        throw connectionError(asked, error instanceof Error && error.cause !== undefined ? error.cause : error);
      });
    let rest = '';
    let done = false;
    const decoder = new TextDecoder();
    for await (const chunk of answer.body ?? []) {
      const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split(LINE_END);
      rest = lines.pop() ?? '';
      if (rest.length > MAX_LINE) throw new ModelError('malformed', 'Ollama sent a line that does not end.');
      for (const line of lines) if (line !== '') done = step(line, onProgress) || done;
    }
    if (rest !== '') done = step(rest, onProgress) || done;
    if (!done)
      throw new ModelError('broken_off', `Ollama broke off fetching "${name}". Run it again: it goes on where it was.`);
  } finally {
    await connections.close();
  }
}

/** True when the pull has succeeded. */
function step(line: string, onProgress: (progress: PullProgress) => void): boolean {
  let said: { status?: unknown; completed?: unknown; total?: unknown; error?: unknown };
  try {
    said = JSON.parse(line);
  } catch {
    throw new ModelError('malformed', 'Ollama sent something that is not JSON.');
  }
  if (typeof said.error === 'string') throw new ModelError('provider_error', `Ollama: ${said.error}`);
  const status = String(said.status ?? '');
  onProgress({ status, completed: positive(said.completed), total: positive(said.total) });
  return status === 'success';
}
