/** Open Responses' items → core. Pure. */

import { invalid } from '#core/errors.ts';
import { parseWireId } from '#core/ids.ts';
import type { ContextTurn } from '#core/run.ts';
import type { Item, Part, Role, WebAction } from '#core/turn.ts';
import type { WireInputItem } from './schema.ts';

/** What the items that are no content of their own stand for. */
export interface Known {
  /** By the `id` of an `item_reference`; null for what is where it goes already. */
  items: ReadonlyMap<string, Item | null>;
  /** By the `encrypted_content` of a compaction item. */
  compactions: ReadonlyMap<string, string>;
}

const NOTHING_KNOWN: Known = { items: new Map(), compactions: new Map() };

/** What is put in front of the text of a compaction item, for the model. */
const COMPACTED = 'What was said before this point, in short:\n\n';

type Sent<T extends WireInputItem['type']> = Extract<WireInputItem, { type: T }>;

/** What an input names that is kept here. */
export function namedIn(input: string | readonly WireInputItem[] | null | undefined): {
  items: Set<string>;
  compactions: Set<string>;
} {
  const named = { items: new Set<string>(), compactions: new Set<string>() };
  if (!Array.isArray(input)) return named;
  for (const item of input as readonly WireInputItem[]) {
    if (item.type === 'item_reference') named.items.add(item.id);
    if (item.type === 'compaction') named.compactions.add(item.encrypted_content);
  }
  return named;
}

/** One item as core items. The ids are given when they are stored. Throws `invalid_request` for what is not known. */
export function toItems(sent: WireInputItem, known: Known = NOTHING_KNOWN): Item[] {
  const done = { id: '', status: 'completed' } as const;
  switch (sent.type) {
    case 'message':
      return toMessage(sent);
    case 'item_reference': {
      const item = known.items.get(sent.id);
      if (item === undefined) throw invalid('An item_reference of the input names no item of yours.', 'input');
      return item === null ? [] : [item];
    }
    case 'reasoning': {
      const text = [...sent.summary, ...(sent.content ?? [])].map((part) => part.text).join('\n\n');
      return [{ ...done, type: 'reasoning', text }];
    }
    case 'function_call': {
      const { call_id: callId, name, arguments: given } = sent;
      return [{ ...done, type: 'function_call', callId, name, arguments: given }];
    }
    case 'function_call_output':
      return toOutput(sent);
    case 'web_search_call': {
      const { type, url, query, queries } = sent.action ?? {};
      const action: WebAction =
        type === 'open_page' ? { type, url: url ?? '' } : { type: 'search', queries: queries ?? [query ?? ''] };
      return [{ ...done, type: 'web_search_call', action, sources: [] }];
    }
    case 'mcp_call': {
      const { id: callId, server_label: server, name, arguments: given, error } = sent;
      const output = sent.output ?? (typeof error === 'string' ? error : error == null ? '' : JSON.stringify(error));
      const status = error == null ? 'completed' : 'incomplete';
      return [
        { ...done, type: 'function_call', callId, name, arguments: given, server },
        { ...done, type: 'function_call_output', status, callId, output },
      ];
    }
    // A request that is sent again is history: what asks is the stored one.
    case 'mcp_approval_request': {
      const { id: callId, server_label: server, name, arguments: given } = sent;
      return [{ ...done, type: 'function_call', callId, name, arguments: given, server }];
    }
    case 'mcp_approval_response': {
      const call = parseWireId(sent.approval_request_id);
      if (call === null) throw invalid('approval_request_id is no id of an approval request.', 'input');
      return [{ ...done, type: 'approval', call, approved: sent.approve, reason: sent.reason ?? '' }];
    }
    case 'compaction': {
      const text = known.compactions.get(sent.encrypted_content);
      if (text === undefined) throw invalid('The compaction item is not one of this server’s for you.', 'input');
      const content: Part[] = [{ type: 'text', text: COMPACTED + text }];
      return [{ ...done, type: 'message', role: 'system', content, compaction: sent.encrypted_content }];
    }
  }
}

function toMessage({ role, content, phase, status }: Sent<'message'>): Item[] {
  const parts = typeof content === 'string' ? toParts([{ type: 'input_text', text: content }]) : toParts(content);
  return [
    {
      id: '',
      type: 'message',
      role: role === 'developer' ? 'system' : role,
      // What was broken off stays so when it is sent again.
      status: role === 'assistant' && status === 'incomplete' ? 'incomplete' : 'completed',
      content: parts,
      ...(role === 'developer' && { developer: true }),
      ...(role === 'assistant' && phase && { phase }),
    },
  ];
}

/** Models take texts as the results of tools: images among them follow as a message. */
function toOutput({ call_id: callId, output, status }: Sent<'function_call_output'>): Item[] {
  const parts = typeof output === 'string' ? [{ type: 'text' as const, text: output }] : toParts(output);
  const text = parts.map((part) => (part.type === 'image' ? '' : part.text)).join('');
  const images = parts.filter((part) => part.type === 'image');
  const done = { id: '', status: 'completed' } as const;
  return [
    {
      ...done,
      type: 'function_call_output',
      status: status === 'incomplete' ? 'incomplete' : 'completed',
      callId,
      output: text,
    },
    ...(images.length === 0 ? [] : [{ ...done, type: 'message', role: 'user', content: images } as const]),
  ];
}

type SentPart = Exclude<Sent<'message'>['content'], string>[number];

function toParts(content: readonly SentPart[]): Part[] {
  return content.flatMap((part): Part[] => {
    if (part.type === 'input_image') return [{ type: 'image', url: part.image_url, detail: part.detail }];
    if (part.type === 'refusal') return [{ type: 'refusal', text: part.refusal }];
    return part.text === '' ? [] : [{ type: 'text', text: part.text }];
  });
}

/**
 * Items as turns: neighbours of one role are one, but no two messages are, since other dialects show a turn as one. The
 * results of the caller's tools are the caller's.
 */
export function toTurns(items: readonly Item[]): ContextTurn[] {
  const served = new Set(items.flatMap((item) => (item.type === 'function_call' && item.server ? [item.callId] : [])));
  const roleOf = (item: Item): Role => {
    if (item.type === 'message') return item.role;
    if (item.type === 'approval') return 'user';
    return item.type === 'function_call_output' && !served.has(item.callId) ? 'user' : 'assistant';
  };
  const turns: ContextTurn[] = [];
  for (const item of items) {
    const role = roleOf(item);
    const last = turns.at(-1);
    const second = item.type === 'message' && last?.items.some(({ type }) => type === 'message');
    if (last?.role === role && !second) last.items.push(item);
    else turns.push({ role, items: [item] });
  }
  return turns;
}
