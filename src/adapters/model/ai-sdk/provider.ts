/** Anthropic and Google, through the AI SDK's provider packages: their wire formats are theirs, the rest is ours. */

import type { LanguageModelV4 } from '@ai-sdk/provider';
import { ModelError, type ModelEvent, type ModelInfo, type ModelRequest } from '#ports/model.ts';
import { type ConnectionSettings, type Connections, createConnections, isLocal } from '../connections.ts';
import { type Asked, connectionError, httpError } from '../errors.ts';
import { isChatModel, usualRank, windowOf } from '../names.ts';
import type { ModelProvider } from '../provider.ts';
import { toCallOptions } from './call-options.ts';
import { createPartReader, type PartReader } from './parts.ts';

export interface AiSdkSettings {
  apiKey: string;
  /** With its path; null for the provider's own. */
  baseUrl?: string | null;
}

interface Kind {
  baseUrl: string;
  keySetting: string;
  /** Names of its own kind. */
  names: RegExp;
  /** Offered while its list has not been read. */
  usual: readonly string[];
  listPath: string;
  headers(apiKey: string): Record<string, string>;
  /** Its models in the answer of its list; null if it is none. */
  listIn(answer: Json): { id: string; window: number | null; chat: boolean }[] | null;
  /** Loaded when it is first asked: who has no such provider does not wait for it at the start. */
  open(settings: { apiKey: string; baseURL: string; fetch: typeof fetch }): Promise<(model: string) => LanguageModelV4>;
}

type Json = Record<string, unknown>;

const KINDS: Record<'anthropic' | 'google', Kind> = {
  // https://platform.claude.com/docs/en/api/models-list
  anthropic: {
    baseUrl: 'https://api.anthropic.com/v1',
    keySetting: 'ANTHROPIC_API_KEY',
    names: /^claude-/,
    usual: ['claude-sonnet-5-5', 'claude-haiku-5-5', 'claude-opus-5-5'],
    listPath: '/models?limit=1000',
    headers: (apiKey) => ({ 'x-api-key': apiKey, 'anthropic-version': '2023-06-01' }),
    listIn: ({ data }) =>
      Array.isArray(data)
        ? data.map((model: Json) => ({ id: String(model.id), window: count(model.max_input_tokens), chat: true }))
        : null,
    async open(settings) {
      const { createAnthropic } = await import('@ai-sdk/anthropic');
      return createAnthropic(settings);
    },
  },
  // https://ai.google.dev/api/models
  google: {
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    keySetting: 'GEMINI_API_KEY',
    names: /^(gemini|gemma)-/,
    usual: ['gemini-flash-latest', 'gemini-flash-lite-latest', 'gemini-pro-latest'],
    listPath: '/models?pageSize=1000',
    headers: (apiKey) => ({ 'x-goog-api-key': apiKey }),
    listIn: ({ models }) =>
      Array.isArray(models)
        ? models.map(({ name, inputTokenLimit, supportedGenerationMethods: methods }: Json) => ({
            id: String(name).replace(/^models\//, ''),
            window: count(inputTokenLimit),
            chat: Array.isArray(methods) && methods.includes('generateContent'),
          }))
        : null,
    async open(settings) {
      const { createGoogle } = await import('@ai-sdk/google');
      return createGoogle(settings);
    },
  },
};

/** The most parts that wait for a reader that is behind. */
const MAX_WAITING = 1000;

/** A provider of that kind, and its address for people. */
export function createAiSdkProvider(
  name: keyof typeof KINDS,
  { apiKey, baseUrl }: AiSdkSettings,
  settings: ConnectionSettings,
): { provider: ModelProvider; address: string } {
  const kind = KINDS[name];
  const url = new URL(baseUrl ?? kind.baseUrl);
  const base = url.origin + url.pathname.replace(/\/+$/, '');
  const connections = createConnections(url.origin, settings);
  const asked: Asked = {
    name,
    address: url.host,
    keySetting: kind.keySetting,
    urlSetting: `the address of ${name}`,
    apiKey,
  };
  let opened: Promise<(model: string) => LanguageModelV4> | null = null;

  const info = (id: string, window: number | null, chat: boolean): ModelInfo => ({
    id,
    provider: name,
    window: window ?? windowOf(id),
    chat: chat && isChatModel(id),
    local: isLocal(url.hostname),
  });

  const provider: ModelProvider = {
    name,
    usual: kind.usual.map((id) => info(id, null, true)),
    guess: (id) => (kind.names.test(id) ? info(id, null, true) : null),
    async list(signal) {
      const models = await listOf(kind, asked, connections, new URL(base + kind.listPath), signal);
      return models
        .map(({ id, window, chat }) => info(id, window, chat))
        .sort((one, other) => usualRank(other.id) - usualRank(one.id));
    },
    async *stream(model, request, signal) {
      opened ??= kind.open({ apiKey, baseURL: base, fetch: connections.fetch });
      yield* answer((await opened)(model), request, signal, createPartReader(asked));
    },
    close: () => connections.close(),
  };
  return { provider, address: url.host };
}

async function listOf(
  kind: Kind,
  asked: Asked,
  connections: Connections,
  { pathname, search }: URL,
  signal: AbortSignal,
) {
  const headers = kind.headers(asked.apiKey ?? '');
  const answer = await connections.request(pathname + search, { headers, signal }).catch((error: unknown) => {
    throw connectionError(asked, error);
  });
  const { status, headers: given, text } = answer;
  // Google says 400 to a wrong key.
  if (status === 400 && text.includes('API_KEY_INVALID')) throw httpError(asked, 401, given, text);
  if (status !== 200) throw httpError(asked, status, given, text);
  let list: unknown = null;
  try {
    list = JSON.parse(text);
  } catch {}
  const models = typeof list === 'object' && list !== null ? kind.listIn(list as Json) : null;
  if (models === null) throw new ModelError('malformed', `${asked.name} sent no model list.`);
  return models;
}

/** One answer. What has come while the last batch was taken is the next one. */
async function* answer(
  model: LanguageModelV4,
  request: ModelRequest,
  signal: AbortSignal,
  reader: PartReader,
): AsyncGenerator<ModelEvent[], void> {
  const left = new AbortController();
  const failed = (error: unknown) => {
    throw signal.aborted ? signal.reason : reader.errorOf(error);
  };
  let waiting: ModelEvent[] = [];
  let over = false;
  let arrived = Promise.withResolvers<void>();
  let taken = Promise.withResolvers<void>();

  try {
    const options = toCallOptions(model.provider, request, AbortSignal.any([signal, left.signal]));
    const { stream } = await Promise.resolve(model.doStream(options)).catch(failed);
    const parts = stream.getReader();
    const pumped = (async () => {
      try {
        for (let next = await parts.read(); !next.done; next = await parts.read()) {
          reader.read(next.value, waiting);
          if (waiting.length > 0) arrived.resolve();
          if (waiting.length > MAX_WAITING) await taken.promise;
        }
        reader.end();
      } finally {
        over = true;
        arrived.resolve();
      }
    })();
    // It is awaited at the end; until then its failure must not count as unhandled.
    pumped.catch(() => {});
    while (!over || waiting.length > 0) {
      await arrived.promise;
      const batch = waiting;
      waiting = [];
      if (!over) arrived = Promise.withResolvers();
      taken.resolve();
      taken = Promise.withResolvers();
      if (batch.length > 0) yield batch;
    }
    await pumped.catch(failed);
  } finally {
    left.abort();
  }
}

function count(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null;
}
