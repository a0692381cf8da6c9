/**
 * What the JSON of Chat Completions means: one chunk of a stream, or a whole answer, as model events. Lenient where
 * servers differ: every field may be missing, null or of a type that is not expected.
 */

import type { FinishReason, Usage } from '#core/run.ts';
import { ModelError, type ModelEvent } from '#ports/model.ts';
import { type Asked, httpError } from '../errors.ts';

type Json = Record<string, unknown>;

/** Reads the chunks of one answer in order. */
export interface ChunkReader {
  /** Appends the events of a chunk to `out`. Throws the `ModelError` of an error within the stream. */
  read(chunk: unknown, out: ModelEvent[]): void;
  /** `[DONE]`: appends usage and finish. */
  finish(out: ModelEvent[]): void;
  /** The body ended: as `finish` if the model gave a reason, else appends the usage, if known, and throws `broken_off`. */
  end(out: ModelEvent[]): void;
  /** After this nothing more is read. */
  readonly done: boolean;
  /** Whether it has said anything yet: after that the same call is not made again. */
  spoke: boolean;
}

/** The words of servers for why they stopped; anything else is `stop`. */
const FINISH: Record<string, FinishReason> = {
  stop: 'stop',
  length: 'length',
  max_tokens: 'length',
  tool_calls: 'tool_calls',
  function_call: 'tool_calls',
  content_filter: 'content_filter',
};

/**
 * The text of a chunk that does nothing but add text, and whether it is reasoning; null for every other chunk. Keys it
 * does not know do nothing, here and in `read`.
 */
export function plainDelta(chunk: unknown): { reasoning: boolean; text: string } | null {
  const { error, usage, choices, x_groq } = record(chunk);
  if (error != null || usage != null || x_groq != null || !Array.isArray(choices) || choices.length !== 1) return null;
  const choice = record(choices[0]);
  if (choice.finish_reason != null || (choice.index ?? 0) !== 0) return null;
  const { content, reasoning_content, reasoning, refusal, tool_calls, function_call } = record(choice.delta);
  if (refusal || function_call != null || (Array.isArray(tool_calls) ? tool_calls.length > 0 : tool_calls != null)) {
    return null;
  }
  const thought = reasoning_content || reasoning;
  if (typeof content === 'string' && content !== '') return thought ? null : { reasoning: false, text: content };
  if (content || typeof thought !== 'string' || (reasoning_content && reasoning)) return null;
  return { reasoning: true, text: thought };
}

/** The two names of reasoning; a server takes back what it gives. */
export type ReasoningField = 'reasoning_content' | 'reasoning';

interface Call {
  index: number | null;
  id: string | null;
  named: boolean;
  /** Arguments that came before the name. */
  early: string;
}

export function createChunkReader(asked: Asked): ChunkReader {
  const calls: Call[] = [];
  let reason: FinishReason | null = null;
  let usage: Usage | null = null;
  /** Where it has its reasoning. */
  let field: ReasoningField | null = null;

  const say = (type: 'text' | 'reasoning', text: unknown, out: ModelEvent[]) => {
    if (typeof text !== 'string' || text === '') return;
    reader.spoke = true;
    out.push({ type, text });
  };

  /** A delta's call: by index; without one, by id. Some servers give index 0 to all: a new id and name is a new call. */
  const callOf = (index: number | null, id: string | null, name: string | null): number => {
    const at = calls.findLastIndex((call) => (index === null ? id === null || call.id === id : call.index === index));
    const known = calls[at];
    if (known && (id === null || known.id === null || known.id === id || name === null)) return at;
    return calls.push({ index, id, named: false, early: '' }) - 1;
  };

  const readCall = (delta: Json, out: ModelEvent[]) => {
    const made = record(delta.function);
    const name = text(made.name);
    const at = callOf(typeof delta.index === 'number' ? delta.index : null, text(delta.id), name);
    const call = calls[at];
    if (!call) return;
    call.id ??= text(delta.id);
    let args =
      typeof made.arguments === 'object' && made.arguments ? JSON.stringify(made.arguments) : text(made.arguments);
    if (!call.named && name !== null) {
      call.named = true;
      reader.spoke = true;
      out.push({ type: 'tool-call', call: at, id: call.id ?? `call_${at}`, name });
      args = call.early + (args ?? '');
    }
    if (!args) return;
    if (call.named) out.push({ type: 'tool-arguments', call: at, text: args });
    else call.early += args;
  };

  const reader: ChunkReader & { done: boolean } = {
    done: false,
    spoke: false,
    read(value, out) {
      const chunk = record(value);
      if (chunk.error != null) throw errorWithin(asked, chunk, reader.spoke);
      usage = usageOf(chunk.usage ?? record(chunk.x_groq).usage) ?? usage;
      const choices = Array.isArray(chunk.choices) ? chunk.choices.map(record) : [];
      // Of several answers (`n`) the first is the one.
      const choice = choices.find(({ index }) => (index ?? 0) === 0);
      if (!choice) return;
      const delta = record(choice.delta ?? choice.message);
      say('reasoning', delta.reasoning_content || delta.reasoning, out);
      if (delta.reasoning_content || delta.reasoning) {
        field ??= delta.reasoning_content ? 'reasoning_content' : 'reasoning';
      }
      if (Array.isArray(delta.content)) {
        // Mistral's list of parts, a thinking part holding parts itself.
        for (const part of delta.content.map(record)) {
          const thoughts = Array.isArray(part.thinking) ? part.thinking.map(record) : [];
          for (const thought of thoughts) say('reasoning', thought.text, out);
          say('text', part.text, out);
        }
      } else say('text', delta.content, out);
      say('text', delta.refusal, out);
      if (Array.isArray(delta.tool_calls)) for (const call of delta.tool_calls) readCall(record(call), out);
      else if (delta.function_call) readCall({ index: 0, function: delta.function_call }, out);
      if (choice.finish_reason === 'error') throw errorWithin(asked, {}, reader.spoke);
      if (typeof choice.finish_reason === 'string' && choice.finish_reason !== '') {
        reason = FINISH[choice.finish_reason] ?? 'stop';
      }
    },
    finish(out) {
      reader.done = true;
      if (usage) out.push({ type: 'usage', usage });
      const hasCalled = calls.some(({ named }) => named);
      if (hasCalled && field !== null) out.push({ type: 'signature', call: null, text: JSON.stringify({ field }) });
      // Some servers say `stop` after a tool call.
      const called = hasCalled && (reason ?? 'stop') === 'stop';
      out.push({ type: 'finish', reason: called ? 'tool_calls' : (reason ?? 'stop') });
    },
    end(out) {
      if (reader.done) return;
      if (reason !== null) return reader.finish(out);
      reader.done = true;
      if (usage) out.push({ type: 'usage', usage });
      throw new ModelError('broken_off', `${asked.name} ended its answer without finishing it.`, {
        retryable: !reader.spoke,
      });
    },
  };
  return reader;
}

/** An error in the middle of a stream, or in an answer that began with 200. It may name the status it stands for. */
function errorWithin(asked: Asked, chunk: Json, spoke: boolean): ModelError {
  const { code, status } = record(chunk.error);
  const named = [code, status].map(Number).find((number) => number >= 400 && number < 600) ?? 500;
  const { code: kind, message, retryable, retryAfterMs } = httpError(asked, named, {}, JSON.stringify(chunk));
  return new ModelError(kind, message, { retryable: retryable && !spoke, status: named, retryAfterMs });
}

function usageOf(value: unknown): Usage | null {
  if (typeof value !== 'object' || value === null) return null;
  const usage = record(value);
  return {
    inputTokens: count(usage.prompt_tokens),
    cachedInputTokens: count(record(usage.prompt_tokens_details).cached_tokens ?? usage.prompt_cache_hit_tokens),
    outputTokens: count(usage.completion_tokens),
    reasoningTokens: count(record(usage.completion_tokens_details).reasoning_tokens),
  };
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function record(value: unknown): Json {
  return typeof value === 'object' && value !== null ? (value as Json) : {};
}
