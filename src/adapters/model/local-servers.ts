/**
 * Servers that run models on one's own machine: Ollama, LM Studio and llama.cpp. They are asked by their OpenAI-compatible
 * side, and by their own for what that does not tell: whether they are what they seem, and how large a window is loaded.
 */

import { ModelError, type ModelInfo } from '#ports/model.ts';
import { type ConnectionSettings, type Connections, createConnections, isLocal } from './connections.ts';
import { connectionError } from './errors.ts';
import { type Facts, type Get, KINDS, type Kind, LOCAL_URLS, OLLAMA, positive, USUAL_WINDOW } from './local-kinds.ts';
import { isChatModel } from './names.ts';
import { createOpenAiCompatible } from './openai-compatible/client.ts';
import type { ModelProvider } from './provider.ts';
import type { Place, Source } from './registry.ts';

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
        return known === undefined ? model : { ...model, ...known, id: model.id };
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
