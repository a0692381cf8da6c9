/** Wire → service: what `useChat` sends as a submission. Pure. */

import { invalid } from '#core/errors.ts';
import { parseUuid } from '#core/ids.ts';
import type { Tool } from '#core/run.ts';
import type { Item, Part } from '#core/turn.ts';
import type { ClientMessage, Submission } from '#service/branches.ts';
import { fitsMessage } from '#service/send-message.ts';
import type { WireMessage, WirePart, WireRequest } from './schema.ts';

const DONE = { id: '', status: 'completed' } as const;
const IMAGE_TYPE = /^image(\/|$)/i;
const IMAGE_URL = /^(https?:\/\/|data:image\/)/i;

/** `messages` ends with the message that is meant; `message` is that one alone. Throws `invalid_request`. */
export function toSubmission(request: WireRequest): Submission {
  const { id, trigger, messageId, model, assistant, webSearch, tools, approvals } = request;
  const again = trigger === 'regenerate-message';
  const sent = request.message ? [request.message] : (request.messages ?? []);
  const last = sent.at(-1);
  if (last === undefined && !again) throw invalid('Send messages, or the newest one alone as message.', 'messages');
  if (last?.role === 'system') throw invalid('The last message must not be the system’s.', 'messages');
  return {
    conversation: id,
    again,
    message: last === undefined ? null : toNewest(last, request.message ? 'message' : 'messages'),
    before: sent.slice(0, -1).flatMap((message) => toClientMessage(message) ?? []),
    named: messageId ?? null,
    assistant: assistant ?? null,
    request: {
      model: model ?? null,
      approvals: approvals === true,
      webSearch: webSearch === true ? 'auto' : 'off',
      tools: Object.entries(tools ?? {}).map(
        ([name, { description, parameters }]): Tool => ({
          name,
          description: description ?? '',
          parameters: parameters ?? { type: 'object', properties: {} },
        }),
      ),
    },
  };
}

/** The one that is stored, so that it must be whole. */
function toNewest(message: WireMessage, param: string): ClientMessage {
  for (const part of message.parts) {
    const said = textOf(part.text) + (isTool(part) ? outputOf(part) : '');
    if (!fitsMessage(said)) throw invalid('A part may have at most 1 MiB of text.', param);
    if (message.role === 'user' && part.type === 'file' && toImage(part) === null) {
      throw invalid('Only images can be sent as files, as http(s) or data:image addresses.', param);
    }
  }
  const newest = toClientMessage(message);
  if (newest === null) throw invalid('The message must have a text or an image.', param);
  if (newest.role === 'user' && newest.items.length === 0) {
    throw invalid('The message must have a text or an image.', param);
  }
  return newest;
}

/** Null for the system's, which are the assistant's own matter here. */
function toClientMessage({ id, role, parts }: WireMessage): ClientMessage | null {
  if (role === 'system') return null;
  return { id, role, items: role === 'user' ? toUserItems(parts) : parts.flatMap(toAssistantItems) };
}

function toUserItems(parts: readonly WirePart[]): Item[] {
  const content = parts.flatMap((part): Part[] => {
    if (part.type === 'file') return toImage(part) ?? [];
    const text = part.type === 'text' ? textOf(part.text) : '';
    return text === '' ? [] : [{ type: 'text', text }];
  });
  return content.length === 0 ? [] : [{ ...DONE, type: 'message', role: 'user', content }];
}

/** Null for what is no image this server takes. */
function toImage({ mediaType, url }: WirePart): [Part] | null {
  if (!IMAGE_TYPE.test(textOf(mediaType)) || !IMAGE_URL.test(textOf(url))) return null;
  return [{ type: 'image', url: textOf(url), detail: 'auto' }];
}

function toAssistantItems(part: WirePart): Item[] {
  if (part.type === 'text') {
    const text = textOf(part.text);
    return text === '' ? [] : [{ ...DONE, type: 'message', role: 'assistant', content: [{ type: 'text', text }] }];
  }
  const callId = textOf(part.toolCallId);
  if (!isTool(part) || callId === '') return [];
  const name = part.type === 'dynamic-tool' ? textOf(part.toolName) : part.type.slice('tool-'.length);
  const call: Item = { ...DONE, type: 'function_call', callId, name, arguments: JSON.stringify(part.input ?? {}) };
  if (part.state === 'output-available') {
    return [call, { ...DONE, type: 'function_call_output', callId, output: outputOf(part) }];
  }
  if (part.state === 'output-error' || part.state === 'output-denied') {
    // An output that is not whole is how a tool that failed is kept.
    return [call, { ...DONE, type: 'function_call_output', status: 'incomplete', callId, output: outputOf(part) }];
  }
  return part.state === 'approval-responded' ? [call, ...toApproval(part.approval)] : [call];
}

function toApproval(given: unknown): Item[] {
  const { id, approved, reason } = (given ?? {}) as { id?: unknown; approved?: unknown; reason?: unknown };
  const call = parseUuid(textOf(id));
  if (call === null) return [];
  return [{ ...DONE, type: 'approval', call, approved: approved === true, reason: textOf(reason) }];
}

function isTool({ type }: WirePart): boolean {
  return type.startsWith('tool-') || type === 'dynamic-tool';
}

/** What a model is told of a tool's result: a text as it is, anything else as JSON. */
function outputOf({ state, output, errorText }: WirePart): string {
  if (state === 'output-available') return typeof output === 'string' ? output : (JSON.stringify(output) ?? 'null');
  return textOf(errorText) || (state === 'output-denied' ? 'The person did not allow it.' : 'The tool failed.');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
