/** The models of a configuration: its providers in the order in which their models are preferred. */

import type { Clock } from '#ports/clock.ts';
import { createAiSdkProvider } from './ai-sdk/provider.ts';
import { type ConnectionSettings, isLocal } from './connections.ts';
import { createLookOver, localPlaces, ollamaAt } from './local-servers.ts';
import { createOpenAiCompatible, type OpenAiCompatible } from './openai-compatible/client.ts';
import type { ModelProvider } from './provider.ts';
import { createRegistry, type ModelRegistry, type Source } from './registry.ts';

export interface ModelConfig extends ConnectionSettings {
  /** The default model's name; null for the first chat model there is. */
  model: string | null;
  openai: { apiKey: string | null; baseUrl: string } | null;
  anthropic: { apiKey: string; baseUrl?: string | null } | null;
  gemini: { apiKey: string; baseUrl?: string | null } | null;
  ollama: { url: string } | null;
  /** More OpenAI-compatible servers, whose models go by `id/model`. */
  providers: readonly { id: string; baseUrl: string; apiKey: string | null }[];
  /** Whether local servers are looked for. */
  detect: boolean;
}

/** @param parts.guide answers while no provider was ever configured or found; null where it must not */
export function createModels(config: ModelConfig, parts: { guide: ModelProvider | null; clock: Clock }): ModelRegistry {
  const { openai, anthropic, gemini, ollama, providers, detect, model } = config;
  const sources: Source[] = [];
  if (openai !== null) {
    const settings = { keySetting: 'OPENAI_API_KEY', urlSetting: 'OPENAI_BASE_URL' };
    const provider = compatible({ name: 'openai', ...openai, ...settings }, config);
    sources.push({ provider, address: new URL(openai.baseUrl).host, configured: true, prefixed: false });
  }
  for (const [name, settings] of [
    ['anthropic', anthropic],
    ['google', gemini],
  ] as const) {
    if (settings === null) continue;
    const { provider, address } = createAiSdkProvider(name, settings, config);
    sources.push({ provider, address, configured: true, prefixed: false });
  }
  for (const { id, baseUrl, apiKey } of providers) {
    const settings = {
      keySetting: `the key of "${id}" in the config file`,
      urlSetting: `the address of "${id}" there`,
    };
    const provider = compatible({ name: id, baseUrl, apiKey, ...settings }, config);
    sources.push({ provider, address: new URL(baseUrl).host, configured: true, prefixed: true });
  }
  if (ollama !== null) sources.push(ollamaAt(ollama.url, config));
  const taken = new Set(sources.map(({ address }) => address.replace(/^(localhost|\[::1\])/, '127.0.0.1')));
  const places = detect ? localPlaces(config).filter(({ address }) => !taken.has(address)) : [];
  return createRegistry({ sources, places, defaultModel: model, ...parts });
}

/** An OpenAI-compatible server; one on this machine is asked by its own API too, for the windows that are loaded. */
function compatible(server: OpenAiCompatible, settings: ConnectionSettings): ModelProvider {
  const provider = createOpenAiCompatible(server, settings);
  if (!isLocal(new URL(server.baseUrl).hostname)) return provider;
  const lookOver = createLookOver(server.baseUrl, settings);
  return {
    ...provider,
    list: async (signal) => lookOver.models(await provider.list(signal), signal),
    close: async () => {
      await Promise.all([provider.close?.(), lookOver.close()]);
    },
  };
}
