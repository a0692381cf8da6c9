/**
 * What Ollama, LM Studio and llama.cpp say on APIs of their own: that they are what they seem, which of their models
 * chat, and how large a window is loaded.
 */

import { DEFAULT_WINDOW, isChatModel } from './names.ts';

/** Where they listen unless told otherwise. */
export const LOCAL_URLS = {
  ollama: 'http://127.0.0.1:11434',
  lmstudio: 'http://127.0.0.1:1234',
  'llama.cpp': 'http://127.0.0.1:8080',
};

/** What Ollama and LM Studio load where nobody asked for more. */
export const USUAL_WINDOW = 4096;
/** Models whose facts are asked for at once. */
const AT_ONCE = 8;

export interface Kind {
  name: keyof typeof LOCAL_URLS;
  /** Its models, by its own API; null if what answers is something else. `facts` keeps what does not change. */
  models(get: Get, facts: Facts): Promise<OwnModel[] | null>;
}

interface OwnModel {
  id: string;
  window: number;
  chat: boolean;
  images?: boolean;
  tools?: boolean;
}

/** The JSON at a path; null for any other answer. Throws where nothing can be reached. */
export type Get = (path: string, body?: object) => Promise<unknown>;
export type Facts = Map<string, OwnModel>;

/** https://github.com/ollama/ollama/blob/main/docs/api.md. Its OpenAI-compatible side ignores `num_ctx`. */
export const OLLAMA: Kind = {
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
    ...(Array.isArray(capabilities) && {
      images: capabilities.includes('vision'),
      tools: capabilities.includes('tools'),
    }),
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

export const KINDS = [OLLAMA, LM_STUDIO, LLAMA_CPP];

/** The objects of a list in an answer; null if there is no such list. */
function listOf(answer: unknown, field: string): Record<string, unknown>[] | null {
  const list = record(answer)[field];
  if (!Array.isArray(list)) return null;
  return list.filter((entry) => typeof entry === 'object' && entry !== null);
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

export function positive(value: unknown): number | null {
  return typeof value === 'number' && value > 0 ? value : null;
}
