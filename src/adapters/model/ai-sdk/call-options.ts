/** A request as the AI SDK's language models take it. */

import type {
  LanguageModelV4CallOptions,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import type { Part } from '#core/turn.ts';
import type { ModelRequest } from '#ports/model.ts';

type Options = LanguageModelV4CallOptions;

/** Parameters come under the names of Chat Completions; one of a wrong type is left out. */
export function toCallOptions(provider: string, request: ModelRequest, abortSignal: AbortSignal): Options {
  const given = request.parameters;
  const prompt = toPrompt(request);
  const thinks = !provider.startsWith('anthropic') || canThink(prompt);
  const tools = request.tools.map(({ name, description, parameters }) => ({
    type: 'function' as const,
    name,
    description,
    inputSchema: parameters,
  }));
  return {
    prompt,
    abortSignal,
    ...(tools.length === 0 ? {} : { tools }),
    ...defined({
      maxOutputTokens: number(given.max_completion_tokens) ?? number(given.max_tokens),
      temperature: number(given.temperature),
      topP: number(given.top_p),
      topK: number(given.top_k),
      presencePenalty: number(given.presence_penalty),
      frequencyPenalty: number(given.frequency_penalty),
      seed: number(given.seed),
      stopSequences: stops(given.stop),
      reasoning: thinks ? EFFORTS.find((effort) => effort === given.reasoning_effort) : undefined,
      responseFormat: responseFormat(given.response_format),
      toolChoice: tools.length === 0 ? undefined : toolChoice(given.tool_choice),
    }),
    ...(given.parallel_tool_calls === false
      ? { providerOptions: { anthropic: { disableParallelToolUse: true } } }
      : {}),
  };
}

/**
 * Turns as a prompt. Both providers take a system prompt at the beginning only: later system turns join it. Searches are left
 * out, and so is a call without an output, or an output without its call. Reasoning goes back as long as the answer is the
 * same one, with what its provider signed it with: Anthropic refuses to go on after a tool without it.
 */
export function toPrompt({ system, turns }: Pick<ModelRequest, 'system' | 'turns'>): LanguageModelV4Prompt {
  const items = turns.flatMap((turn) => turn.items);
  const calls = new Map(items.flatMap((item) => (item.type === 'function_call' ? [[item.callId, item.name]] : [])));
  const answered = new Set(items.flatMap((item) => (item.type === 'function_call_output' ? [item.callId] : [])));
  const systems = system === '' ? [] : [system];
  const prompt: LanguageModelV4Message[] = [];

  const question = items.findLastIndex((item) => item.type === 'message' && item.role === 'user');

  for (const [at, item] of items.entries()) {
    if (item.type === 'reasoning') {
      const providerOptions = at > question ? optionsOf(item.signature) : null;
      if (providerOptions !== null) {
        contentOf(prompt, 'assistant').push({ type: 'reasoning', text: item.text, providerOptions });
      }
    } else if (item.type === 'message') {
      const text = textOf(item.content);
      if (item.role === 'system') systems.push(text);
      else if (item.role === 'user') prompt.push({ role: 'user', content: item.content.map(userPart) });
      else if (text !== '') contentOf(prompt, 'assistant').push({ type: 'text', text });
    } else if (item.type === 'function_call' && answered.has(item.callId)) {
      const providerOptions = optionsOf(item.signature);
      const call = { toolCallId: item.callId, toolName: item.name, input: parsed(item.arguments) };
      contentOf(prompt, 'assistant').push({ type: 'tool-call', ...call, ...(providerOptions && { providerOptions }) });
    } else if (item.type === 'function_call_output') {
      const toolName = calls.get(item.callId);
      if (toolName === undefined) continue;
      const output = { type: 'text' as const, value: item.output };
      contentOf(prompt, 'tool').push({ type: 'tool-result', toolCallId: item.callId, toolName, output });
    }
  }
  return systems.length === 0 ? prompt : [{ role: 'system', content: systems.join('\n\n') }, ...prompt];
}

/**
 * Anthropic lets a model think after a tool only if what it thought before the call comes back; where it does not, as in a
 * context that a caller brings, the answer goes on without thinking.
 */
function canThink(prompt: LanguageModelV4Prompt): boolean {
  const since = prompt.slice(prompt.findLastIndex(({ role }) => role === 'user') + 1);
  const said = since.flatMap((message) => (message.role === 'assistant' ? message.content : []));
  return said.every(({ type }) => type !== 'tool-call') || said.some(({ type }) => type === 'reasoning');
}

/** What `createPartReader` wrote; null where it is another adapter's. */
function optionsOf(signature: string | undefined): SharedV4ProviderOptions | null {
  const given = record(signature === undefined ? null : parsed(signature));
  return Object.hasOwn(given, 'anthropic') || Object.hasOwn(given, 'google')
    ? (given as SharedV4ProviderOptions)
    : null;
}

type MessageOf<R> = Extract<LanguageModelV4Message, { role: R }>;

/** The content of the last message, where it is of that role: parallel calls are one message, and so are their results. */
function contentOf<R extends 'assistant' | 'tool'>(
  prompt: LanguageModelV4Message[],
  role: R,
): { push(part: MessageOf<R>['content'][number]): unknown } {
  const last = prompt.at(-1);
  if (last?.role === role) return last.content as never;
  const content: MessageOf<R>['content'][number][] = [];
  prompt.push({ role, content } as never);
  return content;
}

type UserPart = Extract<LanguageModelV4Message, { role: 'user' }>['content'][number];

function userPart(part: Part): UserPart {
  if (part.type !== 'image') return { type: 'text', text: part.text };
  const [, mediaType, data] = /^data:([^;,]+);base64,(.*)$/s.exec(part.url) ?? [];
  if (mediaType !== undefined && data !== undefined) return { type: 'file', mediaType, data: { type: 'data', data } };
  return { type: 'file', mediaType: 'image', data: { type: 'url', url: new URL(part.url) } };
}

function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'image' ? '' : part.text)).join('');
}

/** A tool's input must be a JSON value; what the model wrote may have been cut off. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'] as const;

function responseFormat(given: unknown): Options['responseFormat'] {
  const { type, json_schema } = record(given);
  if (type === 'json_object') return { type: 'json' };
  if (type !== 'json_schema') return undefined;
  const { schema, name, description } = record(json_schema);
  return {
    type: 'json',
    ...(typeof schema === 'object' && schema !== null ? { schema } : {}),
    ...(typeof name === 'string' ? { name } : {}),
    ...(typeof description === 'string' ? { description } : {}),
  };
}

function toolChoice(given: unknown): Options['toolChoice'] {
  if (given === 'auto' || given === 'none' || given === 'required') return { type: given };
  const { name } = record(record(given).function);
  return typeof name === 'string' ? { type: 'tool', toolName: name } : undefined;
}

function stops(given: unknown): string[] | undefined {
  const list = typeof given === 'string' ? [given] : given;
  return Array.isArray(list) && list.every((stop) => typeof stop === 'string') ? list : undefined;
}

function number(given: unknown): number | undefined {
  return typeof given === 'number' && Number.isFinite(given) ? given : undefined;
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Without the fields that are undefined. */
function defined<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
