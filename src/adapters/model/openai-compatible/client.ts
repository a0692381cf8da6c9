/** A provider that speaks Chat Completions: OpenAI, vLLM, llama.cpp, LM Studio, Ollama, OpenRouter and their like. */

import { ModelError, type ModelInfo } from '#ports/model.ts';
import { type ConnectionSettings, createConnections, isLocal } from '../connections.ts';
import { type Asked, connectionError, httpError } from '../errors.ts';
import { isChatModel, usualRank, windowOf } from '../names.ts';
import type { ModelProvider } from '../provider.ts';
import { inNewWords, toChatBody } from './chat-request.ts';
import { streamChat } from './chat-stream.ts';

export interface OpenAiCompatible {
  name: string;
  /** With its path: `https://api.openai.com/v1`. May hold credentials (`http://user:password@host/v1`). */
  baseUrl: string;
  apiKey: string | null;
  /** The settings its errors name. */
  keySetting: string;
  urlSetting: string;
}

const OPENAI_URL = 'https://api.openai.com/v1';
/** What OpenAI itself is asked while its list has not been read. */
const OPENAI_USUAL = 'gpt-5-mini';

export function createOpenAiCompatible(server: OpenAiCompatible, settings: ConnectionSettings): ModelProvider {
  const url = new URL(server.baseUrl);
  const connections = createConnections(url.origin, settings);
  const { name, apiKey, keySetting, urlSetting } = server;
  const asked: Asked = { name, address: url.host, keySetting, urlSetting, apiKey: apiKey ?? (url.password || null) };
  const headers = { 'user-agent': 'parlance', ...authorization(url, apiKey) };
  const local = isLocal(url.hostname);
  let base = url.pathname.replace(/\/+$/, '');
  /** Some servers refuse `stream_options`; once one did, it is not sent any more. */
  let usage = true;

  const get = async (path: string, signal: AbortSignal) => {
    const answer = await connections.request(path, { headers, signal }).catch((error: unknown) => {
      throw connectionError(asked, error);
    });
    if (answer.status !== 200) throw httpError(asked, answer.status, answer.headers, answer.text);
    return listIn(asked, answer.text);
  };

  const isOpenAi = server.baseUrl === OPENAI_URL;
  const guess = (id: string): ModelInfo => ({ id, provider: name, window: windowOf(id), chat: isChatModel(id), local });

  return {
    name,
    async list(signal) {
      const listed = await get(`${base}/models`, signal).catch(async (error: unknown) => {
        // An address without a path: most servers have their API under /v1.
        if (base !== '' || !(error instanceof ModelError) || error.code === 'unreachable') throw error;
        const found = await get('/v1/models', signal).catch(() => {
          throw error;
        });
        base = '/v1';
        return found;
      });
      return listed
        .map((entry): ModelInfo => ({ id: entry.id, provider: name, window: entry.window, chat: entry.chat, local }))
        .sort((one, other) => usualRank(other.id) - usualRank(one.id));
    },
    stream(model, given, signal) {
      const request = isOpenAi ? { ...given, parameters: inNewWords(given.parameters) } : given;
      const body = (withUsage: boolean) => JSON.stringify(toChatBody(model, request, withUsage));
      const sent = usage;
      return streamChat(
        {
          asked,
          connections,
          origin: url.origin,
          path: `${base}/chat/completions`,
          headers: { ...headers, 'content-type': 'application/json', accept: 'text/event-stream' },
          body: body(sent),
          another(status, answer) {
            if (!sent || (status !== 400 && status !== 422) || !answer.includes('stream_options')) return null;
            usage = false;
            return body(false);
          },
        },
        signal,
      );
    },
    guess,
    usual: isOpenAi ? [guess(OPENAI_USUAL)] : [],
    close: () => connections.close(),
  };
}

function authorization(url: URL, apiKey: string | null): Record<string, string> {
  if (apiKey !== null) return { authorization: `Bearer ${apiKey}` };
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

interface Listed {
  id: string;
  window: number;
  chat: boolean;
}

/** A model list as OpenAI, vLLM (`max_model_len`), OpenRouter (`context_length`), Groq and Mistral give it. */
function listIn(asked: Asked, text: string): Listed[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    list = null;
  }
  const data = Array.isArray(list) ? list : (list as { data?: unknown } | null)?.data;
  if (!Array.isArray(data)) {
    throw new ModelError('malformed', `${asked.name} sent no model list: check ${asked.urlSetting}.`);
  }
  return data.flatMap((entry: Record<string, unknown> | null): Listed[] => {
    if (typeof entry?.id !== 'string' || entry.id === '') return [];
    const said = [entry.max_model_len, entry.context_length, entry.context_window, entry.max_context_length];
    const window = said.find((tokens): tokens is number => typeof tokens === 'number' && tokens > 0);
    return [{ id: entry.id, window: window ?? windowOf(entry.id), chat: isChatModel(entry.id) && chats(entry) }];
  });
}

/** What a list entry itself says about chatting: `type` (Together), output modalities (OpenRouter), Mistral's flags. */
function chats(entry: Record<string, unknown>): boolean {
  const { type, architecture, capabilities } = entry;
  if (typeof type === 'string' && /embed|image|audio|moderation|rerank|transcri/.test(type)) return false;
  const outputs = (architecture as { output_modalities?: unknown } | undefined)?.output_modalities;
  if (Array.isArray(outputs) && !outputs.includes('text')) return false;
  return (capabilities as { completion_chat?: unknown } | undefined)?.completion_chat !== false;
}
