/** Wire → service: messages as turns, and what is a sampling parameter. Pure. */

import type { ContextTurn, Tool } from '#core/run.ts';
import type { Item, Part } from '#core/turn.ts';
import type { Completion } from '#service/completions.ts';
import type { WireMessage, WireRequest } from './schema.ts';

/** What reaches the model as given: OpenAI's own parameters, and those that vLLM, llama.cpp, Ollama and OpenRouter add. */
const PARAMETERS = new Set(
  `temperature top_p max_tokens max_completion_tokens stop seed presence_penalty frequency_penalty logit_bias logprobs
   top_logprobs response_format tool_choice parallel_tool_calls reasoning_effort verbosity prediction service_tier
   prompt_cache_key top_k min_p top_a typical_p min_tokens stop_token_ids repetition_penalty repeat_penalty length_penalty
   mirostat mirostat_tau mirostat_eta reasoning thinking chat_template_kwargs guided_json guided_regex guided_choice
   guided_grammar structured_outputs grammar json_schema ignore_eos skip_special_tokens keep_alive provider transforms`.split(
    /\s+/,
  ),
);

/** The system messages at the start are the instructions; all others keep their place. */
export function toCompletion(request: WireRequest): Completion {
  const { model, messages, tools, web_search_options: search } = request;
  const first = messages.findIndex(({ role }) => role !== 'system' && role !== 'developer');
  const leading = first === -1 ? messages : messages.slice(0, first);
  const rest = first === -1 ? [] : messages.slice(first);
  return {
    model: model ?? null,
    instructions: leading.length === 0 ? null : leading.map((message) => plainText(message.content ?? '')).join('\n\n'),
    context: toTurns(rest),
    tools: (tools ?? []).map(
      ({ function: { name, description, parameters: schema } }): Tool => ({
        name,
        description: description ?? '',
        parameters: schema ?? { type: 'object', properties: {} },
      }),
    ),
    webSearch: search == null ? 'off' : 'always',
    parameters: Object.fromEntries(Object.entries(request).filter(([name]) => PARAMETERS.has(name))),
  };
}

/** Neighbours of one role are one turn. */
function toTurns(messages: readonly WireMessage[]): ContextTurn[] {
  const turns: ContextTurn[] = [];
  for (const message of messages) {
    const role =
      message.role === 'assistant'
        ? 'assistant'
        : message.role === 'user' || message.role === 'tool'
          ? 'user'
          : 'system';
    const last = turns.at(-1);
    const items = toItems(message);
    if (last?.role === role) last.items.push(...items);
    else turns.push({ role, items });
  }
  return turns;
}

/** The ids are given when the items are stored. */
function toItems(message: WireMessage): Item[] {
  const done = { id: '', status: 'completed' } as const;
  switch (message.role) {
    case 'tool':
      return [
        { ...done, type: 'function_call_output', callId: message.tool_call_id, output: plainText(message.content) },
      ];
    case 'assistant': {
      const content = toParts(message.content ?? []);
      if (message.refusal) content.push({ type: 'refusal', text: message.refusal });
      const items: Item[] = content.length === 0 ? [] : [{ ...done, type: 'message', role: 'assistant', content }];
      for (const { id, function: called } of message.tool_calls ?? []) {
        items.push({ ...done, type: 'function_call', callId: id, name: called.name, arguments: called.arguments });
      }
      return items;
    }
    case 'user':
      return [{ ...done, type: 'message', role: 'user', content: toParts(message.content) }];
    default:
      return [{ ...done, type: 'message', role: 'system', content: toParts(message.content) }];
  }
}

type Content = Exclude<WireMessage['content'], null | undefined>;

function toParts(content: Content): Part[] {
  if (typeof content === 'string') return content === '' ? [] : [{ type: 'text', text: content }];
  return content.map((part): Part => {
    if (part.type === 'image_url') return { type: 'image', url: part.image_url.url, detail: part.image_url.detail };
    return part.type === 'refusal' ? { type: 'refusal', text: part.refusal } : { type: 'text', text: part.text };
  });
}

function plainText(content: Content): string {
  return toParts(content)
    .map((part) => (part.type === 'image' ? '' : part.text))
    .join('');
}
