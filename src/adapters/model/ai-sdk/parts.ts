/** What the AI SDK's language models stream, as model events and errors. */

import {
  AISDKError,
  APICallError,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
  type SharedV4ProviderMetadata,
} from '@ai-sdk/provider';
import type { FinishReason, Usage } from '#core/run.ts';
import { ModelError, type ModelEvent } from '#ports/model.ts';
import { type Asked, connectionError, httpError } from '../errors.ts';

type Part = LanguageModelV4StreamPart;
type ProviderMetadata = SharedV4ProviderMetadata;

/** Reads the parts of one answer in order. */
export interface PartReader {
  /** Appends the events of a part to `out`. Throws the `ModelError` a part stands for. */
  read(part: Part, out: ModelEvent[]): void;
  /** The stream is over: throws `broken_off` if it did not finish. */
  end(): void;
  /** The `ModelError` for what doStream or its stream threw. */
  errorOf(error: unknown): ModelError;
}

const FINISH: Record<string, FinishReason> = {
  stop: 'stop',
  length: 'length',
  'content-filter': 'content_filter',
  'tool-calls': 'tool_calls',
  other: 'stop',
};

export function createPartReader(asked: Asked): PartReader {
  /** The SDK's id of a tool call → our number, and whether its arguments were streamed. */
  const calls = new Map<string, { call: number; streamed: boolean }>();
  /** What comes with each block of reasoning. */
  const blocks = new Map<string, ProviderMetadata>();
  let spoke = false;
  let finished = false;

  const say = (event: ModelEvent, out: ModelEvent[]) => {
    spoke = true;
    out.push(event);
  };
  const open = (id: string, name: string, out: ModelEvent[]) => {
    const made = { call: calls.size, streamed: false };
    calls.set(id, made);
    say({ type: 'tool-call', call: made.call, id, name }, out);
    return made;
  };
  const brokenOff = (): ModelError =>
    new ModelError('broken_off', `${asked.name} ended its answer without finishing it.`, { retryable: !spoke });

  const errorOf = (error: unknown): ModelError => {
    if (error instanceof ModelError) return error;
    const { statusCode, responseHeaders, responseBody, message, cause } = error as Partial<APICallError>;
    if (APICallError.isInstance(error) && statusCode === undefined) return connectionError(asked, cause ?? error);
    // The answer began well: what failed is the connection, after that.
    if (statusCode === 200) return brokenOff();
    if (typeof statusCode === 'number') {
      const body = responseBody ?? JSON.stringify({ error: { message } });
      // Google says 400 to a wrong key.
      const status = statusCode === 400 && /API_KEY_INVALID|API key not valid/.test(body) ? 401 : statusCode;
      const {
        code,
        message: sentence,
        retryable,
        retryAfterMs,
      } = httpError(asked, status, responseHeaders ?? {}, body);
      return new ModelError(code, sentence, { retryable: retryable && !spoke, status, retryAfterMs });
    }
    if (AISDKError.isInstance(error)) return new ModelError('malformed', `${asked.name} sent what cannot be read.`);
    return new ModelError('provider_error', `${asked.name} failed in the middle of its answer.`, { retryable: !spoke });
  };

  return {
    errorOf,
    read(part, out) {
      switch (part.type) {
        case 'text-delta':
          if (part.delta !== '') say({ type: 'text', text: part.delta }, out);
          break;
        case 'reasoning-start':
          blocks.set(part.id, part.providerMetadata ?? {});
          break;
        case 'reasoning-delta':
          if (part.delta !== '') say({ type: 'reasoning', text: part.delta }, out);
          if (part.providerMetadata) blocks.set(part.id, merged(blocks.get(part.id), part.providerMetadata));
          break;
        case 'reasoning-end': {
          const facts = merged(blocks.get(part.id), part.providerMetadata);
          if (Object.keys(facts).length > 0) out.push({ type: 'signature', call: null, text: JSON.stringify(facts) });
          out.push({ type: 'reasoning-end' });
          break;
        }
        case 'tool-input-start':
          if (!part.providerExecuted) open(part.id, part.toolName, out);
          break;
        case 'tool-input-delta': {
          const known = calls.get(part.id);
          if (!known || part.delta === '') break;
          known.streamed = true;
          say({ type: 'tool-arguments', call: known.call, text: part.delta }, out);
          break;
        }
        case 'tool-call': {
          if (part.providerExecuted) break;
          const known = calls.get(part.toolCallId) ?? open(part.toolCallId, part.toolName, out);
          if (!known.streamed) say({ type: 'tool-arguments', call: known.call, text: part.input }, out);
          if (part.providerMetadata) {
            out.push({ type: 'signature', call: known.call, text: JSON.stringify(part.providerMetadata) });
          }
          break;
        }
        case 'finish': {
          if (part.finishReason.unified === 'interrupted') throw brokenOff();
          const reason = FINISH[part.finishReason.unified];
          if (reason === undefined) throw errorOf({ statusCode: 500, message: 'It stopped because of an error.' });
          finished = true;
          out.push({ type: 'usage', usage: usageOf(part.usage) }, { type: 'finish', reason });
          break;
        }
        case 'error':
          throw errorOf(part.error);
      }
    },
    end() {
      if (!finished) throw brokenOff();
    },
  };
}

/** By provider: what came last of each field. */
function merged(one: ProviderMetadata = {}, other: ProviderMetadata = {}): ProviderMetadata {
  const all = { ...one };
  for (const [provider, facts] of Object.entries(other)) all[provider] = { ...all[provider], ...facts };
  return all;
}

function usageOf({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage {
  return {
    inputTokens: inputTokens.total ?? 0,
    cachedInputTokens: inputTokens.cacheRead ?? 0,
    outputTokens: outputTokens.total ?? 0,
    reasoningTokens: outputTokens.reasoning ?? 0,
  };
}
