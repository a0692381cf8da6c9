/** Core → Open Responses' items and lists. Pure. */

import { citationsOf } from '#core/citations.ts';
import { formatWireId } from '#core/ids.ts';
import {
  type FunctionCallItem,
  type Item,
  type MessageItem,
  type Part,
  type Source,
  sourcesOf,
  type WebSearchCallItem,
} from '#core/turn.ts';
import type { WireItem } from './schema.ts';

/** The id an item is known by: a compaction is kept as the message a model is told, a call of a server's tool is its own. */
export function itemId(item: Item): string {
  return formatWireId(kindOf(item), item.id);
}

function kindOf(item: Item): WireItem['type'] {
  if (item.type === 'message' && item.compaction !== undefined) return 'compaction';
  if (item.type === 'approval') return 'mcp_approval_response';
  if (item.type !== 'function_call' || item.server === undefined) return item.type;
  return item.asks ? 'mcp_approval_request' : 'mcp_call';
}

/** The tools of the web show as `web_search_call` items; one that nobody has shows as nothing. */
const UNSEEN_SERVERS = new Set(['web', '']);

/** Whether an item is part of another one on the wire, or of none: the calls of the web's tools, and servers' outputs. */
export function isShown(item: Item, all: readonly Item[]): boolean {
  if (item.type === 'function_call') return item.server === undefined || !UNSEEN_SERVERS.has(item.server);
  return item.type !== 'function_call_output' || callOf(item.callId, all)?.server === undefined;
}

function callOf(callId: string, all: readonly Item[]): FunctionCallItem | undefined {
  return all.find((item): item is FunctionCallItem => item.type === 'function_call' && item.callId === callId);
}

/** The items of one turn, or of one answer: what is searched before a text is what it may cite. */
export function toWireItems(items: readonly Item[]): WireItem[] {
  return items.flatMap((item, position) =>
    isShown(item, items) ? [toWireItem(item, sourcesOf(items.slice(0, position)), items)] : [],
  );
}

/**
 * @param sources what the `[n]` of its text stand for
 * @param all the items of its turn, where its output may be
 */
export function toWireItem(item: Item, sources: readonly Source[], all: readonly Item[] = []): WireItem {
  const id = itemId(item);
  const { status } = item;
  switch (item.type) {
    case 'message':
      return toWireMessage(item, id, sources);
    case 'reasoning':
      return { type: 'reasoning', id, summary: item.text === '' ? [] : [{ type: 'summary_text', text: item.text }] };
    case 'function_call':
      return item.server === undefined ? toFunctionCall(item, id) : toServerCall(item, item.server, id, all);
    case 'function_call_output':
      return { type: 'function_call_output', id, status, call_id: item.callId, output: item.output };
    case 'web_search_call':
      return { type: 'web_search_call', id, status, action: toAction(item) };
    case 'approval': {
      const { call, approved: approve, reason } = item;
      const request = formatWireId('mcp_approval_request', call);
      return { type: 'mcp_approval_response', id, approval_request_id: request, approve, reason: reason || null };
    }
  }
}

function toFunctionCall({ status, callId: call_id, name, arguments: given }: FunctionCallItem, id: string): WireItem {
  return { type: 'function_call', id, status, call_id, name, arguments: given };
}

/** A call that this server ran, and what it gave, as one item. */
function toServerCall(call: FunctionCallItem, server: string, id: string, all: readonly Item[]): WireItem {
  const { name, arguments: given, asks, decided } = call;
  if (asks) return { type: 'mcp_approval_request', id, server_label: server, name, arguments: given };
  const result = all.find((item) => item.type === 'function_call_output' && item.callId === call.callId);
  const output = result?.type === 'function_call_output' ? result.output : null;
  const failed = result?.status === 'incomplete';
  const status = result === undefined ? (call.status === 'incomplete' ? 'incomplete' : 'in_progress') : 'completed';
  return {
    type: 'mcp_call',
    id,
    status: failed ? 'failed' : status,
    server_label: server,
    name,
    arguments: given,
    output: failed ? null : output,
    error: failed ? output : null,
    ...(decided !== undefined && { approval_request_id: formatWireId('mcp_approval_request', decided.call) }),
  };
}

function toAction({ action, sources }: WebSearchCallItem): Extract<WireItem, { type: 'web_search_call' }>['action'] {
  if (action.type === 'open_page') return action;
  const { queries } = action;
  const found = sources.map(({ url }) => ({ type: 'url' as const, url }));
  return { type: 'search', query: queries[0] ?? '', queries, sources: found };
}

function toWireMessage(item: MessageItem, id: string, sources: readonly Source[]): WireItem {
  const { status, role, content, phase, compaction } = item;
  if (compaction !== undefined) return { type: 'compaction', id, encrypted_content: compaction };
  return {
    type: 'message',
    id,
    status,
    role: item.developer === true ? 'developer' : role,
    content: content.map((part) => toWirePart(part, role === 'assistant', sources)),
    ...(phase !== undefined && { phase }),
  };
}

type WirePart = Extract<WireItem, { type: 'message' }>['content'][number];

function toWirePart(part: Part, isOutput: boolean, sources: readonly Source[]): WirePart {
  if (part.type === 'image') return { type: 'input_image', image_url: part.url, detail: part.detail };
  if (part.type === 'refusal') return { type: 'refusal', refusal: part.text };
  const { text } = part;
  if (!isOutput) return { type: 'input_text', text };
  return { type: 'output_text', text, annotations: toAnnotations(text, sources), logprobs: [] };
}

type WireAnnotation = Extract<WirePart, { type: 'output_text' }>['annotations'][number];

/** Each `[n]` of a text that stands for a page, in order; the indexes are UTF-16 units, the end exclusive. */
export function toAnnotations(text: string, sources: readonly Source[]): WireAnnotation[] {
  return citationsOf(text, sources).map(({ start, end, source: { url, title, evidence }, quote }) => ({
    type: 'url_citation',
    url,
    title,
    start_index: start,
    end_index: end,
    ...(evidence !== undefined && {
      evidence: { read_at: Math.floor(evidence.readAt / 1000), hash: evidence.hash, quote: quote ?? '' },
    }),
  }));
}

/** A page of a list; its ends are what `after` takes. */
export function toList<T extends { id: string }>(data: T[], hasMore: boolean) {
  return {
    object: 'list' as const,
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: hasMore,
  };
}
