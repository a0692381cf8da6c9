/** The models of a configuration: its providers in the order in which their models are preferred. */

import type { Clock } from '#ports/clock.ts';
import type { ConnectionSettings } from './connections.ts';
import { localPlaces, ollamaAt } from './local-servers.ts';
import { createOpenAiCompatible } from './openai-compatible/client.ts';
import type { ModelProvider } from './provider.ts';
import { createRegistry, type ModelRegistry, type Source } from './registry.ts';

export interface ModelConfig extends ConnectionSettings {
  /** The default model's name; null for the first chat model there is. */
  model: string | null;
  openai: { apiKey: string | null; baseUrl: string } | null;
  anthropic: { apiKey: string } | null;
  gemini: { apiKey: string } | null;
  ollama: { url: string } | null;
  /** More OpenAI-compatible servers, whose models go by `id/model`. */
  providers: readonly { id: string; baseUrl: string; apiKey: string | null }[];
  /** Whether local servers are looked for. */
  detect: boolean;
}

/** @param parts.guide answers while no provider was ever configured or found; null where it must not */
export function createModels(config: ModelConfig, parts: { guide: ModelProvider | null; clock: Clock }): ModelRegistry {
  const { openai, ollama, providers, detect, model } = config;
  const sources: Source[] = [];
  if (openai !== null) {
    const settings = { keySetting: 'OPENAI_API_KEY', urlSetting: 'OPENAI_BASE_URL' };
    const provider = createOpenAiCompatible({ name: 'openai', ...openai, ...settings }, config);
    sources.push({ provider, address: new URL(openai.baseUrl).host, configured: true, prefixed: false });
  }
  for (const { id, baseUrl, apiKey } of providers) {
    const settings = {
      keySetting: `the key of "${id}" in the config file`,
      urlSetting: `the address of "${id}" there`,
    };
    const provider = createOpenAiCompatible({ name: id, baseUrl, apiKey, ...settings }, config);
    sources.push({ provider, address: new URL(baseUrl).host, configured: true, prefixed: true });
  }
  if (ollama !== null) sources.push(ollamaAt(ollama.url, config));
  const taken = new Set(sources.map(({ address }) => address.replace('localhost', '127.0.0.1')));
  const places = detect ? localPlaces(config).filter(({ address }) => !taken.has(address)) : [];
  return createRegistry({ sources, places, defaultModel: model, ...parts });
}
