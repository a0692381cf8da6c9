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

/** Ollama loads models with this window where nobody asked for more. */
const OLLAMA_WINDOW = 4096;

interface Kind {
  name: string;
  port: number;
  /** Its models, by its own API; null if what answers is something else. */
  models(get: Get): Promise<OwnModel[] | null>;
}

interface OwnModel {
  id: string;
  window: number;
  chat: boolean;
}

/** The JSON at a path; null for any other answer. Throws where nothing can be reached. */
type Get = (path: string) => Promise<unknown>;

const OLLAMA: Kind = {
  name: 'ollama',
  port: 11_434,
  async models(get) {
    const tags = listOf(await get('/api/tags'), 'models');
    if (tags === null) return null;
    const loaded = listOf(await get('/api/ps'), 'models') ?? [];
    return tags.map((tag) => {
      const id = String(tag.name).replace(/:latest$/, '');
      const running = loaded.find(({ name }) => name === tag.name);
      return { id, window: positive(running?.context_length) ?? OLLAMA_WINDOW, chat: isChatModel(id) };
    });
  },
};

const LM_STUDIO: Kind = {
  name: 'lmstudio',
  port: 1234,
  async models(get) {
    const models = listOf(await get('/api/v0/models'), 'data');
    if (models === null || models.some(({ type }) => typeof type !== 'string')) return null;
    return models
      .map((model) => ({
        id: String(model.id),
        window: positive(model.loaded_context_length) ?? positive(model.max_context_length) ?? DEFAULT_WINDOW,
        chat: model.type === 'llm' || model.type === 'vlm',
        loaded: model.state === 'loaded',
      }))
      .sort((one, other) => Number(other.loaded) - Number(one.loaded));
  },
};

const LLAMA_CPP: Kind = {
  name: 'llama.cpp',
  port: 8080,
  async models(get) {
    const models = listOf(await get('/v1/models'), 'data');
    if (models === null || !models.every((model) => model.owned_by === 'llamacpp')) return null;
    const props = (await get('/props')) as { default_generation_settings?: { n_ctx?: unknown } } | null;
    const window = positive(props?.default_generation_settings?.n_ctx) ?? DEFAULT_WINDOW;
    return models.map(({ id }) => ({ id: String(id), window, chat: isChatModel(String(id)) }));
  },
};

/** The places looked at, on this machine's loopback. */
export function localPlaces(settings: ConnectionSettings): Place[] {
  return [OLLAMA, LM_STUDIO, LLAMA_CPP].map((kind) => {
    const url = `http://127.0.0.1:${kind.port}`;
    const provider = createLocal(kind, url, settings);
    const address = new URL(url).host;
    const source: Source = { provider, address, configured: false, prefixed: true };
    return { name: kind.name, address, look: async (signal) => ((await provider.isThere(signal)) ? source : null) };
  });
}

/** Ollama at an address set by hand (`OLLAMA_HOST`). */
export function ollamaAt(url: string, settings: ConnectionSettings): Source {
  const provider = createLocal(OLLAMA, url, settings);
  return { provider, address: new URL(url).host, configured: true, prefixed: true };
}

function createLocal(kind: Kind, url: string, settings: ConnectionSettings) {
  const { name } = kind;
  const { origin, host, hostname } = new URL(url);
  const connections = createConnections(origin, settings);
  const asked = { name, address: host, keySetting: 'OPENAI_API_KEY', urlSetting: 'OLLAMA_HOST', apiKey: null };
  const setting = { keySetting: asked.keySetting, urlSetting: asked.urlSetting };
  const chat = createOpenAiCompatible({ name, baseUrl: `${origin}/v1`, apiKey: null, ...setting }, settings);

  const ownModels = (signal: AbortSignal) => kind.models((path) => getJson(connections, path, signal));
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
    close: async () => {
      await Promise.all([connections.close(), chat.close?.()]);
    },
  };
  return {
    ...provider,
    isThere: async (signal: AbortSignal) => (await ownModels(signal).catch(() => null)) !== null,
  };
}

async function getJson(connections: Connections, path: string, signal: AbortSignal): Promise<unknown> {
  const answer = await connections.request(path, { signal });
  if (answer.status !== 200) return null;
  try {
    return JSON.parse(answer.text);
  } catch {
    return null;
  }
}

/** The objects of a list in an answer; null if there is no such list. */
function listOf(answer: unknown, field: string): Record<string, unknown>[] | null {
  const list = (answer as Record<string, unknown> | null)?.[field];
  if (!Array.isArray(list)) return null;
  return list.filter((entry) => typeof entry === 'object' && entry !== null);
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
  const { origin, host } = new URL(url);
  const connections = createConnections(origin, settings);
  const asked = { name: 'ollama', address: host, keySetting: '', urlSetting: 'OLLAMA_HOST', apiKey: null };
  try {
    const answer = await connections
      .fetch(`${origin}/api/pull`, { method: 'POST', body: JSON.stringify({ model: name, stream: true }), signal })
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
