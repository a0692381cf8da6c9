/**
 * All providers as one list of models: who is asked by which name, which model is the default, and, where there is none,
 * why (DESIGN.md, Models).
 */

import type { Clock } from '#ports/clock.ts';
import { ModelError, type ModelInfo, type Models } from '#ports/model.ts';
import type { ModelProvider } from './provider.ts';

/** A provider and how its models are named here. */
export interface Source {
  provider: ModelProvider;
  /** Where it is, without credentials, for people. */
  address: string;
  /** Set up by hand; the others were found. */
  configured: boolean;
  /** Its models go by `provider/model`; otherwise by their own names, and by that too. */
  prefixed: boolean;
}

/** A place where a server may be found. `look` gives a source if what answers there is what it seems. */
export interface Place {
  name: string;
  address: string;
  look(signal: AbortSignal): Promise<Source | null>;
}

/** What is known of a source, for the banner, `doctor` and the web app. */
export interface SourceState {
  name: string;
  address: string;
  configured: boolean;
  /** `waiting` until it has answered or failed for the first time. */
  state: 'waiting' | 'ok' | 'failed';
  /** Why it failed, as a sentence; '' otherwise. */
  reason: string;
  /** How many chat models it offers. */
  models: number;
}

export interface ModelRegistry extends Models {
  /** Looks at every source and place; resolves when all have answered, or after a moment. Goes on looking until `close`. */
  start(): Promise<void>;
  sources(): SourceState[];
  /** Places that were looked at and where nothing is. */
  notFound(): { name: string; address: string }[];
  close(): Promise<void>;
}

interface Known {
  source: Source;
  state: SourceState['state'];
  reason: string;
  /** Under the names they go by here. */
  models: ModelInfo[];
  /** When its list was read; monotonic. */
  readAt: number;
}

const START_MS = 1_500;
const LOOK_EVERY_MS = 10_000;
const READ_AGAIN_MS = 60_000;
const LIST_TIMEOUT_MS = 5_000;
const LOOK_TIMEOUT_MS = 500;

export function createRegistry(parts: {
  sources: readonly Source[];
  places: readonly Place[];
  /** Answers while no provider was ever configured or found; null where it must not. */
  guide: ModelProvider | null;
  /** The default model's name; null for the first chat model there is. */
  defaultModel: string | null;
  clock: Clock;
}): ModelRegistry {
  const { places, guide, defaultModel, clock } = parts;
  const known: Known[] = parts.sources.map(unread);
  /** Place → what was found there, kept while it is away. */
  const found = new Map<Place, Known>();
  let guideModels: ModelInfo[] = [];
  let cancel = () => {};
  const closed = new AbortController();

  return { list, find, why, stream, start, sources, notFound, close };

  async function start(): Promise<void> {
    guideModels = (await guide?.list(closed.signal)) ?? [];
    const looked = look();
    await Promise.race([looked, new Promise<void>((resolve) => clock.after(START_MS, resolve))]);
  }

  async function look(): Promise<void> {
    await Promise.all([...known.map(read), ...places.map(lookAt)]);
    if (!closed.signal.aborted) cancel = clock.after(LOOK_EVERY_MS, () => void look());
  }

  async function lookAt(place: Place): Promise<void> {
    const source = await within(LOOK_TIMEOUT_MS, (signal) => place.look(signal)).catch(() => null);
    const before = found.get(place);
    if (source === null) {
      if (before !== undefined) Object.assign(before, { state: 'failed', reason: 'It is not running any more.' });
      return;
    }
    const now = before ?? unread(source);
    found.set(place, now);
    await read(now);
  }

  async function read(entry: Known): Promise<void> {
    if (entry.state === 'ok' && entry.source.configured && clock.monotonic() - entry.readAt < READ_AGAIN_MS) return;
    const { provider, prefixed } = entry.source;
    try {
      const models = await within(LIST_TIMEOUT_MS, (signal) => provider.list(signal));
      entry.models = models.map((model) => ({ ...model, id: prefixed ? `${provider.name}/${model.id}` : model.id }));
      entry.readAt = clock.monotonic();
      entry.state = 'ok';
      entry.reason = '';
    } catch (error) {
      // A list that was read once still tells what can be asked for.
      entry.state = 'failed';
      entry.reason = error instanceof ModelError ? error.message : 'It did not answer in time.';
    }
  }

  async function within<T>(ms: number, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const stop = clock.after(ms, () => timeout.abort());
    try {
      return await task(AbortSignal.any([timeout.signal, closed.signal]));
    } finally {
      stop();
    }
  }

  function all(): Known[] {
    return [...known, ...found.values()];
  }

  /** What was found and is away now is not offered. */
  function present(): Known[] {
    return all().filter(({ source, state }) => source.configured || state === 'ok');
  }

  function list(): ModelInfo[] {
    if (all().length === 0) return guideModels;
    return present()
      .flatMap(({ models }) => models)
      .sort((one, other) => Number(other.chat) - Number(one.chat));
  }

  function find(name: string | null): ModelInfo | null {
    const wanted = name ?? defaultModel;
    if (wanted === null) return list().find(({ chat }) => chat) ?? null;
    if (all().length === 0) return guideModels.find(({ id }) => id === wanted) ?? null;
    return locate(wanted)?.model ?? null;
  }

  /**
   * The source that serves a name, and its own name for it: as listed; by the provider's prefix; or, where only one
   * provider is configured, handed on to it as it is, since many servers answer to more names than they list.
   */
  function locate(name: string): { entry: Known; model: ModelInfo; own: string } | null {
    const entries = present();
    for (const entry of entries) {
      const model = entry.models.find(({ id }) => id === name);
      if (model !== undefined) return { entry, model, own: ownName(entry, name) };
    }
    const named = entries.find(({ source }) => name.startsWith(`${source.provider.name}/`));
    if (named !== undefined) {
      const own = name.slice(named.source.provider.name.length + 1);
      const listed = named.models.find(({ id }) => id === own);
      if (listed !== undefined) return { entry: named, model: { ...listed, id: name }, own };
      return named.source.configured && own !== '' ? { entry: named, model: unlisted(named, name), own } : null;
    }
    const [only, ...others] = entries.filter(({ source }) => source.configured);
    if (only === undefined || others.length > 0 || only.source.prefixed) return null;
    return { entry: only, model: unlisted(only, name), own: name };
  }

  function ownName({ source }: Known, name: string): string {
    return source.prefixed ? name.slice(source.provider.name.length + 1) : name;
  }

  function unlisted({ source }: Known, name: string): ModelInfo {
    const { provider } = source;
    const { window, local } = provider.guess?.(name) ?? { window: 8192, local: false };
    return { id: name, provider: provider.name, window, chat: true, local };
  }

  function why(): string {
    const states = sources();
    if (states.length === 0) {
      return 'No model is configured or found: set OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY or GEMINI_API_KEY, or start Ollama. Run ./parlance doctor.';
    }
    const each = states.map(({ name, address, state, reason, models }) => {
      if (state === 'waiting') return `${name} (${address}) has not answered yet`;
      // The clients' own sentences already say who.
      const who = reason.startsWith(name) ? '' : `${name} (${address}): `;
      if (state === 'failed') return `${who}${reason.replace(/\.$/, '')}`;
      return `${name} (${address}) offers ${models === 0 ? 'no chat model' : `${models} models`}`;
    });
    const missing = defaultModel === null ? '' : `The default model "${defaultModel}" is not there. `;
    return `No model is reachable: ${missing}${each.join('; ')}. Run ./parlance doctor.`;
  }

  function stream(model: ModelInfo, request: Parameters<Models['stream']>[1], signal: AbortSignal) {
    if (guide !== null && model.provider === guide.name) return guide.stream(model.id, request, signal);
    const place = locate(model.id);
    if (place === null) throw new ModelError('model_not_found', `The model "${model.id}" is not there any more.`);
    return place.entry.source.provider.stream(place.own, request, signal);
  }

  function sources(): SourceState[] {
    return all().map(({ source, state, reason, models }) => ({
      name: source.provider.name,
      address: source.address,
      configured: source.configured,
      state,
      reason,
      models: models.filter(({ chat }) => chat).length,
    }));
  }

  function notFound(): { name: string; address: string }[] {
    return places.filter((place) => !found.has(place)).map(({ name, address }) => ({ name, address }));
  }

  async function close(): Promise<void> {
    closed.abort();
    cancel();
    await Promise.all([...all().map(({ source }) => source.provider.close?.()), guide?.close?.()]);
  }
}

function unread(source: Source): Known {
  return { source, state: 'waiting', reason: '', models: [], readAt: 0 };
}
