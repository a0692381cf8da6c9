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
  close(): Promise<void>;
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
  /** Looks at every source and place; resolves when all have answered, or after half a second. Goes on until `close`. */
  start(): Promise<void>;
  /** Looks at all of them once more, now, and waits for every one: five seconds at most. */
  refresh(): Promise<void>;
  sources(): SourceState[];
  /** Places that were looked at and where nothing is. */
  notFound(): { name: string; address: string }[];
  close(): Promise<void>;
}

interface Known {
  source: Source;
  state: SourceState['state'];
  reason: string;
  /** Under its own names. */
  models: readonly ModelInfo[];
  /** When its list is read again; monotonic. */
  dueAt: number;
}

const START_MS = 500;
const LOOK_EVERY_MS = 10_000;
/** A provider's list hardly changes; what runs on this machine does, and a provider that failed may be back. */
const READ_REMOTE_EVERY_MS = 300_000;
const READ_FAILED_EVERY_MS = 30_000;
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
  let guideModels: readonly ModelInfo[] = [];
  let cancel = () => {};
  const closed = new AbortController();

  return { list, find, why, stream, start, refresh, sources, notFound, close };

  async function start(): Promise<void> {
    guideModels = (await guide?.list(closed.signal)) ?? [];
    let stop = () => {};
    const moment = new Promise<void>((resolve) => {
      stop = clock.after(START_MS, resolve);
    });
    await Promise.race([keepLooking(), moment]);
    stop();
  }

  async function keepLooking(): Promise<void> {
    await look(false);
    if (!closed.signal.aborted) cancel = clock.after(LOOK_EVERY_MS, () => void keepLooking());
  }

  function refresh(): Promise<void> {
    return look(true);
  }

  async function look(now: boolean): Promise<void> {
    const due = known.filter(({ dueAt }) => now || dueAt <= clock.monotonic());
    await Promise.all([...due.map(read), ...places.map(lookAt)]);
  }

  async function lookAt(place: Place): Promise<void> {
    const source = await within(LOOK_TIMEOUT_MS, (signal) => place.look(signal)).catch(() => null);
    const before = found.get(place);
    if (source === null) {
      if (before !== undefined) Object.assign(before, { state: 'failed', reason: 'It is not running any more.' });
      return;
    }
    const entry = before ?? unread(source);
    found.set(place, entry);
    await read(entry);
  }

  async function read(entry: Known): Promise<void> {
    try {
      entry.models = await within(LIST_TIMEOUT_MS, (signal) => entry.source.provider.list(signal));
      entry.state = 'ok';
      entry.reason = '';
      const remote = entry.models.some(({ local }) => !local);
      entry.dueAt = clock.monotonic() + (remote ? READ_REMOTE_EVERY_MS : 0);
    } catch (error) {
      // A list that was read once still tells what can be asked for; one that is refused tells that nothing can.
      if (error instanceof ModelError && error.code === 'refused' && entry.state === 'waiting') entry.models = [];
      entry.state = 'failed';
      entry.reason = error instanceof ModelError ? error.message : 'It did not answer in time.';
      entry.dueAt = clock.monotonic() + READ_FAILED_EVERY_MS;
    }
  }

  async function within<T>(ms: number, task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timeout = new AbortController();
    const stop = clock.after(ms, () => timeout.abort(new DOMException('It took too long.', 'TimeoutError')));
    try {
      return await task(AbortSignal.any([timeout.signal, closed.signal]));
    } finally {
      stop();
    }
  }

  function all(): Known[] {
    return [...known, ...found.values()];
  }

  function list(): ModelInfo[] {
    if (all().length === 0) return [...guideModels];
    return all()
      .filter(isOffered)
      .flatMap((entry) => entry.models.map((model) => named(entry, model)))
      .sort((one, other) => Number(other.chat) - Number(one.chat));
  }

  function find(name: string | null): ModelInfo | null {
    const wanted = name ?? defaultModel;
    if (wanted === null) return list().find(({ chat }) => chat) ?? null;
    if (all().length === 0) return guideModels.find(({ id }) => id === wanted) ?? null;
    const place = locate(wanted);
    return place === null ? null : named(place.entry, place.model);
  }

  /**
   * The source that serves a name, and its model: as listed; by the provider's prefix; or, where it is plain which
   * provider would know it, handed on as it is, since many servers answer to more names than they list.
   */
  function locate(name: string): { entry: Known; model: ModelInfo } | null {
    for (const entry of all()) {
      const model = entry.models.find((one) => named(entry, one).id === name);
      if (model !== undefined) return { entry, model };
    }
    for (const entry of all()) {
      const { provider, configured } = entry.source;
      if (!name.startsWith(`${provider.name}/`)) continue;
      const own = name.slice(provider.name.length + 1);
      const listed = entry.models.find(({ id }) => id === own || `${id}:latest` === own);
      if (listed !== undefined) return { entry, model: listed };
      const model = configured && own !== '' ? (provider.guess?.(own) ?? null) : null;
      if (model !== null) return { entry, model };
    }
    return handedOn(name);
  }

  /** An OpenAI-compatible server takes any name; those that take names of their own kind only stand after it. */
  function handedOn(name: string): { entry: Known; model: ModelInfo } | null {
    const takers = known.flatMap((entry) => {
      const model = entry.source.prefixed ? null : (entry.source.provider.guess?.(name) ?? null);
      return model === null ? [] : [{ entry, model }];
    });
    return takers.at(-1) ?? null;
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
    const entry = all().find(({ source }) => source.provider.name === model.provider);
    if (entry === undefined) throw new ModelError('model_not_found', `The model "${model.id}" is not there any more.`);
    const { provider, prefixed } = entry.source;
    return provider.stream(prefixed ? model.id.slice(provider.name.length + 1) : model.id, request, signal);
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
    const providers = known.map(({ source }) => source.provider);
    await Promise.all([
      ...providers.map((provider) => provider.close?.()),
      ...places.map((place) => place.close()),
      guide?.close?.(),
    ]);
  }
}

/** What was found and is away now is not offered; asked for by name, it is unreachable rather than unknown. */
function isOffered({ source, state }: Known): boolean {
  return source.configured || state === 'ok';
}

/** A model under the name it goes by here. */
function named({ source }: Known, model: ModelInfo): ModelInfo {
  return source.prefixed ? { ...model, id: `${source.provider.name}/${model.id}` } : model;
}

function unread(source: Source): Known {
  return { source, state: 'waiting', reason: '', models: source.provider.usual ?? [], dueAt: 0 };
}
