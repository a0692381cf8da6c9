/** A request as the body of Chat Completions. */

import type { MessageItem, Part } from '#core/turn.ts';
import type { ModelRequest } from '#ports/model.ts';
import type { ReasoningField } from './chunk.ts';

interface ToolCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string };
}

type Content = string | ({ type: 'text'; text: string } | { type: 'image_url'; image_url: object })[];

type ChatMessage =
  | { role: 'system' | 'user'; content: Content }
  | ({ role: 'assistant'; content: string | null; tool_calls?: ToolCall[] } & { [F in ReasoningField]?: string })
  | { role: 'tool'; tool_call_id: string; content: string };

/**
 * The body for `model`. Parameters reach it as given but for what makes it this request: model, messages, tools, stream.
 * `usage` asks for the token counts at the end of the stream.
 */
export function toChatBody(model: string, request: ModelRequest, usage: boolean): Record<string, unknown> {
  const { stream_options: _, ...parameters } = request.parameters;
  return {
    ...parameters,
    model,
    messages: toMessages(request),
    ...(request.tools.length === 0
      ? {}
      : { tools: request.tools.map((tool) => ({ type: 'function', function: tool })) }),
    stream: true,
    ...(usage ? { stream_options: { include_usage: true } } : {}),
  };
}

/**
 * OpenAI's newer models refuse `max_tokens`, whose place `max_completion_tokens` has taken; many other servers know the old
 * name alone. To be asked with at OpenAI itself.
 */
export function inNewWords(parameters: Record<string, unknown>): Record<string, unknown> {
  const { max_tokens: limit, ...rest } = parameters;
  return limit === undefined ? parameters : { max_completion_tokens: limit, ...rest };
}

/**
 * Turns as chat messages. Assistant items that follow each other are one message. Searches are left out, and so is a call
 * without an output, or an output without its call: every server refuses those. Reasoning goes back with the calls it led
 * to, as long as the answer is the same one: some models refuse to go on without it.
 */
export function toMessages({ system, turns }: Pick<ModelRequest, 'system' | 'turns'>): ChatMessage[] {
  const messages: ChatMessage[] = system === '' ? [] : [{ role: 'system', content: system }];
  const items = turns.flatMap((turn) => turn.items);
  const called = new Set(items.flatMap((item) => (item.type === 'function_call' ? [item.callId] : [])));
  const answered = new Set(items.flatMap((item) => (item.type === 'function_call_output' ? [item.callId] : [])));

  /** The assistant message that is being put together: the last one. */
  const assistant = () => {
    const last = messages.at(-1);
    if (last?.role === 'assistant') return last;
    const made: ChatMessage & { role: 'assistant' } = { role: 'assistant', content: null };
    messages.push(made);
    return made;
  };

  const question = items.findLastIndex((item) => item.type === 'message' && item.role === 'user');
  /** What was thought before the next call. */
  let thought: { field: ReasoningField; text: string } | null = null;

  for (const [at, item] of items.entries()) {
    if (item.type === 'reasoning') {
      const field = fieldOf(item.signature);
      if (field !== null && at > question) thought = { field, text: item.text };
    } else if (item.type === 'message' && item.role === 'assistant') {
      const text = textOf(item.content);
      if (text === '') continue;
      const message = assistant();
      message.content = message.content === null ? text : `${message.content}\n\n${text}`;
    } else if (item.type === 'message') {
      messages.push({ role: item.role as 'system' | 'user', content: contentOf(item) });
    } else if (item.type === 'function_call' && answered.has(item.callId)) {
      const call = { name: item.name, arguments: item.arguments === '' ? '{}' : item.arguments };
      const message = assistant();
      message.tool_calls = [...(message.tool_calls ?? []), { id: item.callId, type: 'function', function: call }];
      if (thought !== null) message[thought.field] = thought.text;
      thought = null;
    } else if (item.type === 'function_call_output' && called.has(item.callId)) {
      messages.push({ role: 'tool', tool_call_id: item.callId, content: item.output });
    }
  }
  return messages;
}

/** Null where it is another provider's. */
function fieldOf(signature: string | undefined): ReasoningField | null {
  if (signature === undefined) return null;
  const { field } = JSON.parse(signature) as { field?: unknown };
  return field === 'reasoning_content' || field === 'reasoning' ? field : null;
}

/** Text alone goes as a string, which every server takes; with an image, as parts. */
function contentOf({ content }: MessageItem): Content {
  if (content.every((part) => part.type !== 'image')) return textOf(content);
  return content.map((part) =>
    part.type === 'image'
      ? { type: 'image_url', image_url: { url: part.url, detail: part.detail } }
      : { type: 'text', text: part.text },
  );
}

function textOf(parts: readonly Part[]): string {
  return parts.map((part) => (part.type === 'image' ? '' : part.text)).join('');
}
