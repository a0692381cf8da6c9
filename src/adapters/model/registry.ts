/**
 * All models of this server: the providers of the configuration, the local servers that are found by themselves, and
 * the guide where there is none of either.
 */

import type { ModelInfo, Models } from '#ports/model.ts';
import { isLocal } from './connections.ts';
import { createLocalProvider, createLocalServers, recognise } from './local-servers.ts';
import { createOpenAiCompatible } from './openai-compatible/client.ts';
import type { ModelProvider } from './provider.ts';

export interface ModelConfig {
  /** `PARLANCE_MODEL`; null: the first chat model there is. */
  model: string | null;
  openai: { apiKey: string | null; baseUrl: string } | null;
  anthropic: { apiKey: string; baseUrl?: string | null } | null;
  gemini: { apiKey: string; baseUrl?: string | null } | null;
  /** `OLLAMA_HOST`, as a URL. */
  ollama: { url: string } | null;
  /** More OpenAI-compatible servers; their models are `id/name`. */
  providers: readonly { id: string; baseUrl: string; apiKey: string | null }[];
  /** Whether local servers are looked for. */
  detect: boolean;
  proxy: { http: string | null; https: string | null; noProxy: string | null };
  connectTimeoutMs: number;
  /** Answers while no provider was ever configured or found; null: never. */
  guide: ModelProvider | null;
}

/** A provider, for the banner and `doctor`. */
export interface ProviderState {
  name: string;
  /** Without credentials. */
  address: string;
  /** False for a local server that was found by itself. */
  configured: boolean;
  /** Chat models. */
  models: number;
  /** Why it does not answer, or has nothing to answer with; null if all is well. */
  problem: string | null;
}

export interface ModelRegistry extends Models {
  /** Looks for models and goes on doing so until `close`. Waits for answers, but no longer than half a second. */
  start(): Promise<void>;
  /** Asks every provider once more and waits for all of them, ten seconds at most. */
  refresh(): Promise<void>;
  /** All providers that are configured or were found, the guide never among them. */
  providers(): ProviderState[];
  close(): Promise<void>;
}

/** How long the start waits for models, and a local server is given to show that it is there. */
const PROBE_MS = 500;
const LIST_MS = 10_000;
/** How often is looked again: local servers come and go, a provider's list hardly changes. */
const LOCAL_EVERY_MS = 10_000;
const FAILED_EVERY_MS = 30_000;
const REMOTE_EVERY_MS = 300_000;

const OPENAI_URL = 'https://api.openai.com/v1';
/** What OpenAI is asked while its list has not been read. */
const OPENAI_USUAL = 'gpt-5-mini';

interface Source {
  provider: ModelProvider;
  address: string;
  /** Its models are asked by `provider/name` only. */
  prefixed: boolean;
  configured: boolean;
  local: boolean;
  /** Names that are passed on though they are not listed: it may know more than it says. */
  owns: (name: string) => boolean;
  /** As listed last, under its own names. */
  models: ModelInfo[];
  /** Whether it answered at least once; what is not configured is not there before that. */
  seen: boolean;
  problem: string | null;
  /** When it is asked again. */
  due: number;
  asking: Promise<void> | null;
}

export function createModels(config: ModelConfig): ModelRegistry {
  const sources = createSources(config);
  const { guide } = config;
  let guided: ModelInfo[] = [];
  let timer: NodeJS.Timeout | null = null;
  const closing = new AbortController();

  const present = () => sources.filter(({ configured, seen }) => configured || seen);
  const mayGuide = () => guide !== null && present().length === 0;

  /** Asks one source for its models. A configured one that fails keeps those it had: it may be a short trouble. */
  const ask = async (source: Source): Promise<void> => {
    const limit = source.configured ? LIST_MS : PROBE_MS;
    try {
      source.models = await source.provider.list(AbortSignal.any([AbortSignal.timeout(limit), closing.signal]));
      source.seen = true;
      source.problem = source.models.some(({ chat }) => chat) ? null : `${source.provider.name} has no chat model.`;
      source.due = performance.now() + (source.local ? LOCAL_EVERY_MS : REMOTE_EVERY_MS);
    } catch (error) {
      source.problem = (error as Error).message;
      if (!source.configured) source.models = [];
      source.due = performance.now() + (source.local ? LOCAL_EVERY_MS : FAILED_EVERY_MS);
    }
  };

  const refresh = async (which: Source[]): Promise<void> => {
    const asked = which.map((source) => {
      source.asking ??= ask(source).finally(() => {
        source.asking = null;
      });
      return source.asking;
    });
    await Promise.all(asked);
  };

  const all = () => {
    const infos = present().flatMap((source) => source.models.map((model) => publicly(source, model)));
    return mayGuide() ? guided : infos;
  };

  const find = (name: string | null): ModelInfo | null => {
    if (name === null) return config.model === null ? (all().find(({ chat }) => chat) ?? null) : find(config.model);
    return all().find(({ id }) => id === name) ?? byPrefix(name) ?? passedOn(name);
  };

  /** `provider/name`, and Ollama's `:latest`, of a listed model. */
  const byPrefix = (name: string): ModelInfo | null => {
    for (const source of present()) {
      const own = withoutPrefix(source, name);
      const model = source.models.find(({ id }) => id === own || `${id}:latest` === own);
      if (model) return publicly(source, model);
    }
    return null;
  };

  /** A model that is not listed, where it is plain who would have it. */
  const passedOn = (name: string): ModelInfo | null => {
    const named = present().find((source) => {
      const own = withoutPrefix(source, name);
      return own !== null && own !== '' && source.owns(own);
    });
    const source = named ?? soleOwner(name);
    if (!source) return null;
    return publicly(source, unlisted(source, withoutPrefix(source, name) ?? name));
  };

  /** The one source without prefix that would take this name: by its own kind of name, else the only one configured. */
  const soleOwner = (name: string): Source | undefined => {
    const open = present().filter((source) => !source.prefixed && source.owns(name));
    const configured = present().filter((source) => source.configured);
    return open.find(({ provider }) => provider.name !== 'openai') ?? (configured.length === 1 ? open[0] : undefined);
  };

  return {
    list: () => all().sort((one, other) => Number(other.chat) - Number(one.chat)),
    find,
    why() {
      if (config.model !== null && find(config.model) === null && all().length > 0) {
        return `No model is reachable: PARLANCE_MODEL names one that no provider has. Run ./parlance doctor.`;
      }
      const problems = present().map(({ problem, provider, address }) => problem ?? `${provider.name} at ${address} was not asked yet.`);
      const why = problems.length === 0 ? 'none is configured, and no model server was found on this machine.' : problems.join(' ');
      return `No model is reachable: ${why} Run ./parlance doctor.`;
    },
    stream(model, request, signal) {
      if (guide !== null && model.provider === guide.name) return guide.stream(model.id, request, signal);
      const source = sources.find(({ provider }) => provider.name === model.provider);
      if (!source) throw new Error(`No provider is called ${model.provider}.`);
      const own = source.prefixed ? model.id.slice(source.provider.name.length + 1) : model.id;
      return source.provider.stream(own, request, signal);
    },
    async start() {
      guided = (await guide?.list(closing.signal)) ?? [];
      timer = setInterval(() => {
        void refresh(sources.filter(({ due }) => due <= performance.now()));
      }, LOCAL_EVERY_MS / 2).unref();
      await Promise.race([refresh(sources), new Promise((resolve) => setTimeout(resolve, PROBE_MS).unref())]);
    },
    refresh: () => refresh(sources),
    providers: () =>
      present().map(({ provider, address, configured, models, problem }) => ({
        name: provider.name,
        address,
        configured,
        models: models.filter(({ chat }) => chat).length,
        problem,
      })),
    async close() {
      if (timer) clearInterval(timer);
      closing.abort();
      await Promise.all([...sources.map(({ provider }) => provider.close?.()), guide?.close?.()]);
    },
  };
}

/** A model under the name it is chosen by. */
function publicly({ prefixed, provider }: Source, model: ModelInfo): ModelInfo {
  return prefixed ? { ...model, id: `${provider.name}/${model.id}` } : model;
}

function withoutPrefix({ provider }: Source, name: string): string | null {
  return name.startsWith(`${provider.name}/`) ? name.slice(provider.name.length + 1) : null;
}
