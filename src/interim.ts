import type { ModelProvider } from './adapters/model/provider.ts';
import { createOpenAiCompatible } from './adapters/model/openai-compatible/client.ts';
import type { ModelInfo, Models } from './ports/model.ts';
import type { Config } from './config.ts';
export function createModels(m: Config['models'] & { guide: ModelProvider | null }) {
  const provider = m.openai === null ? m.guide : createOpenAiCompatible({ name: 'openai', baseUrl: m.openai.baseUrl, apiKey: m.openai.apiKey, keySetting: 'OPENAI_API_KEY', urlSetting: 'OPENAI_BASE_URL' }, { proxy: m.proxy, connectTimeoutMs: m.connectTimeoutMs });
  let infos: ModelInfo[] = [];
  const models: Models = { list: () => infos, find: (n) => n === null ? (infos.find((i) => i.chat) ?? null) : (infos.find((i) => i.id === n) ?? null), why: () => 'No model is reachable. Run ./parlance doctor.', stream: (model, r, s) => provider!.stream(model.id, r, s) };
  return { ...models, start: async () => { infos = (await provider?.list(AbortSignal.timeout(2000)).catch(() => [])) ?? []; }, close: async () => { await provider?.close?.(); } };
}
export type ModelRegistry = ReturnType<typeof createModels>;
