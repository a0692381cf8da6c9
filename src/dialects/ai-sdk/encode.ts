/** Core → wire: a run's events as the UI message stream, and turns as `UIMessage`s. Pure. */

import type { ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { isEnded } from '#core/run.ts';
import { type Item, isToolResult, joinContinued, type Source, type TreeNode, type Turn } from '#core/turn.ts';
import type { AnswerFacts } from '#service/branches.ts';
import type { WirePart, WireUiMessage } from './schema.ts';

const DONE = 'data: [DONE]\n\n';

/** An item whose end is still to come: its deltas around their text, and what closes it. */
interface Open {
  before: string;
  end(): object[];
  /** Of a tool call: its arguments so far. */
  input: string | null;
}

/**
 * Writes a run as chunks, each a `data:` line: `start` first, `finish` and `[DONE]` last, and only what v5, v6 and v7
 * clients all know. An item is known by its position, which is the same on every replay.
 *
 * @param messageId what the client is to know the answer by
 * @param failure why an answer that ended so is not whole; null if it is, or was stopped
 */
export function createEncoder(messageId: string, failure: (end: TerminalEvent) => ServiceError | null) {
  const open = new Map<number, Open>();
  /** The calls that this server runs and that have no output yet. */
  const running = new Map<string, FunctionCall>();
  let items = 0;
  let called = false;
  /** Items of this step before the run's own. */
  let offset = 0;
  /** The text that was cut off, still open: the run's first message goes on with it. */
  let cutOff: string | null = null;

  return { start, events, gone };

  /**
   * @param turn what is followed
   * @param earlier what it continues: answers that asked for tools and what these gave, and one that was cut off
   */
  function start(turn: Turn, earlier: readonly Turn[]): string {
    let text = chunk({ type: 'start', messageId });
    const steps = joinContinued([...earlier, { ...turn, items: [] }]);
    const begun = steps.pop()?.items ?? [];
    for (const turn of steps) {
      if (!isToolResult(turn)) text += chunk({ type: 'start-step' });
      turn.items.forEach((item, position) => {
        for (const part of wholeItem(item, String(position), turn.items)) text += chunk(part);
      });
      if (isToolResult(turn)) text += chunk({ type: 'finish-step' });
    }
    return text + chunk({ type: 'start-step' }) + begin(begun);
  }

  /** The answer that was cut off and that the run goes on from. */
  function begin(begun: readonly Item[]): string {
    offset = begun.length;
    const end = begun.findLastIndex(({ type }) => type === 'message');
    if (end !== -1) cutOff = String(end);
    const parts = begun.flatMap((item, position) => {
      const whole = wholeItem(item, String(position), begun);
      return position === end ? whole.slice(0, -1) : whole;
    });
    return parts.map(chunk).join('');
  }

  function events(batch: readonly RunEvent[]): string {
    let text = '';
    for (const event of batch) {
      switch (event.type) {
        case 'run-started':
        case 'model-chosen':
        case 'search-started':
        case 'page-read':
          break;
        case 'text-delta':
        case 'reasoning-delta':
        case 'arguments-delta':
          text += delta(event.item, event.text);
          break;
        case 'item-added':
          text += add(items++, event.item);
          break;
        case 'item-completed':
          text += close(event.item);
          break;
        case 'source-found':
          text += chunk(sourcePart(event.source));
          break;
        case 'run-ended':
          text += finish(event);
          break;
      }
    }
    return text;
  }

  function delta(item: number, text: string): string {
    const it = open.get(item);
    if (it === undefined) return '';
    if (it.input !== null) it.input += text;
    return `${it.before}${JSON.stringify(text)}}\n\n`;
  }

  function add(position: number, item: Item): string {
    if (item.type === 'message' || item.type === 'reasoning') {
      const kind = item.type === 'message' ? 'text' : 'reasoning';
      const goesOn = kind === 'text' ? cutOff : null;
      const id = goesOn ?? String(offset + position);
      if (goesOn !== null) {
        cutOff = null;
        offset--;
      }
      const before = `data: {"type":"${kind}-delta","id":"${id}","delta":`;
      open.set(position, { before, end: () => [{ type: `${kind}-end`, id }], input: null });
      return goesOn === null ? chunk({ type: `${kind}-start`, id }) : '';
    }
    if (item.type === 'function_call_output') {
      const call = running.get(item.callId);
      running.delete(item.callId);
      return chunk(toolOutput(item, call));
    }
    if (item.type !== 'function_call') return '';
    if (item.server === undefined) called = true;
    else if (!item.asks) running.set(item.callId, item);
    // Its part is there since it asked.
    if (item.decided !== undefined) return '';
    const before = `data: {"type":"tool-input-delta","toolCallId":${JSON.stringify(item.callId)},"inputTextDelta":`;
    const call: Open = { before, end: () => toolInput(item, call.input ?? ''), input: '' };
    open.set(position, call);
    return chunk(toolStart(item));
  }

  function close(position: number): string {
    const it = open.get(position);
    open.delete(position);
    return it === undefined ? '' : it.end().map(chunk).join('');
  }

  function finish(end: TerminalEvent): string {
    let text = '';
    const failed = failure(end);
    for (const [position, { input }] of [...open]) {
      // A call that was not finished is nothing a client may act on.
      if (input === null || end.status === 'completed') text += close(position);
    }
    for (const call of running.values()) text += chunk(toolOutput(unfinished(call), call));
    if (failed !== null) text += chunk({ type: 'error', errorText: failed.message });
    return text + last(failed === null ? finishReason(end, called) : 'error');
  }

  /** The end of a stream whose conversation is gone. */
  function gone(error: ServiceError): string {
    return chunk({ type: 'error', errorText: error.message }) + last('error');
  }

  function last(finish: string): string {
    const end = cutOff === null ? '' : chunk({ type: 'text-end', id: cutOff });
    return end + chunk({ type: 'finish-step' }) + chunk({ type: 'finish', finishReason: finish }) + DONE;
  }
}

function chunk(part: object): string {
  return `data: ${JSON.stringify(part)}\n\n`;
}

function finishReason({ status, finish }: TerminalEvent, called: boolean): string {
  if (finish === 'length') return 'length';
  if (status !== 'completed') return 'other';
  if (finish === 'content_filter') return 'content-filter';
  return called || finish === 'tool_calls' ? 'tool-calls' : 'stop';
}

type FunctionCall = Extract<Item, { type: 'function_call' }>;

/** A tool that this server runs is none that the client has types for, or may give a result of. */
const OURS = { providerExecuted: true, dynamic: true } as const;

function facts(call: FunctionCall | undefined): object {
  return call?.server === undefined ? {} : OURS;
}

function toolStart(call: FunctionCall): object {
  return { type: 'tool-input-start', toolCallId: call.callId, toolName: call.name, ...facts(call) };
}

function toolInput(call: FunctionCall, text: string): object[] {
  const { id: approvalId, callId: toolCallId, name: toolName, asks } = call;
  const known = { toolCallId, toolName, ...facts(call) };
  const input = parseInput(text);
  if (input === undefined) return [{ type: 'tool-input-error', ...known, input: text, errorText: BAD_INPUT }];
  const available = { type: 'tool-input-available', ...known, input };
  return asks ? [available, { type: 'tool-approval-request', approvalId, toolCallId }] : [available];
}

const BAD_INPUT = 'The model wrote arguments that are no JSON.';

/** Undefined where it is no JSON. */
function parseInput(text: string): unknown {
  if (text.trim() === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

type Output = Extract<Item, { type: 'function_call_output' }>;

function toolOutput({ callId: toolCallId, status, output }: Output, call: FunctionCall | undefined): object {
  if (call?.decided?.approved === false) return { type: 'tool-output-denied', toolCallId };
  const known = { toolCallId, ...facts(call) };
  if (status === 'incomplete') return { type: 'tool-output-error', ...known, errorText: output };
  return { type: 'tool-output-available', ...known, output: parseOutput(output) };
}

/** What stands for the output of a call that this server began and that was stopped, or that a crash cut off. */
function unfinished({ id, callId }: FunctionCall): Output {
  return { type: 'function_call_output', id, status: 'incomplete', callId, output: 'The call was not finished.' };
}

/** Objects and lists are kept as JSON, texts as they are. */
function parseOutput(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text;
  return parseInput(text) ?? text;
}

/** The chunks of an item that is whole, of a turn that has ended. */
function wholeItem(item: Item, id: string, turn: readonly Item[]): object[] {
  switch (item.type) {
    case 'message':
      return [
        { type: 'text-start', id },
        { type: 'text-delta', id, delta: textOf(item) },
        { type: 'text-end', id },
      ];
    case 'reasoning':
      return [
        { type: 'reasoning-start', id },
        { type: 'reasoning-delta', id, delta: item.text },
        { type: 'reasoning-end', id },
      ];
    case 'function_call':
      return [
        ...(item.decided === undefined ? [toolStart(item), ...toolInput(item, item.arguments)] : []),
        ...(isUnfinished(item, turn) ? [toolOutput(unfinished(item), item)] : []),
      ];
    case 'web_search_call':
      return item.sources.map(sourcePart);
    case 'function_call_output':
      return [toolOutput(item, callOf(item, turn))];
    case 'approval':
      return [];
  }
}

function callOf({ callId }: Output, items: readonly Item[]): FunctionCall | undefined {
  return items.find((item) => item.type === 'function_call' && item.callId === callId) as FunctionCall | undefined;
}

function isUnfinished({ server, asks, callId }: FunctionCall, items: readonly Item[]): boolean {
  if (server === undefined || asks) return false;
  return !items.some((item) => item.type === 'function_call_output' && item.callId === callId);
}

function sourcePart({ index, title, url, evidence }: Source): WirePart {
  const part = { type: 'source-url', sourceId: String(index), url, title };
  if (evidence === undefined) return part;
  const { of, readAt, hash, quotes } = evidence;
  return { ...part, providerMetadata: { parlance: { of, readAt: new Date(readAt).toISOString(), hash, quotes } } };
}

/**
 * A branch as `UIMessage`s: finished ones only, each with the message before it and all that stand in its place. An
 * answer that was continued with the results of tools is one message, and so is one that was cut off and what goes on
 * from it.
 */
export function toMessages(
  shown: readonly Turn[],
  tree: readonly TreeNode[],
  answers: ReadonlyMap<string, AnswerFacts>,
): WireUiMessage[] {
  const nodes = new Map(tree.map((node) => [node.id, node]));
  const places = new Map<string, TreeNode[]>();
  for (const node of tree) {
    const there = places.get(placeOf(node));
    if (there === undefined) places.set(placeOf(node), [node]);
    else there.push(node);
  }
  const idOf = (id: string) => nodes.get(id)?.externalId ?? id;
  const messages: WireUiMessage[] = [];
  /** The answer that what comes next may continue. */
  let answer: WireUiMessage | null = null;
  let continues = false;
  for (const turn of joinContinued(shown)) {
    if (isToolResult(turn) && answer !== null) {
      give(answer.parts, turn.items);
      continues = true;
      continue;
    }
    const open = turn.status === 'queued' || turn.status === 'in_progress';
    if (turn.role === 'assistant' && continues && answer !== null) {
      if (open) messages.splice(messages.indexOf(answer), 1);
      else {
        answer.parts.push(...toParts(turn));
        give(answer.parts, turn.items);
        Object.assign(answer.metadata, toEnd(turn, answers));
      }
      continues = false;
      continue;
    }
    continues = false;
    if (open || turn.items.length === 0) continue;
    const place = places.get(placeOf(turn)) ?? [];
    const message: WireUiMessage = {
      id: idOf(turn.id),
      role: turn.role,
      parts: toParts(turn),
      metadata: {
        parent: messages.at(-1)?.id ?? (turn.parent === null ? null : idOf(turn.parent)),
        siblings: [...new Set([...place.map(({ id }) => idOf(id)), idOf(turn.id)])],
        createdAt: new Date(turn.createdAt).toISOString(),
        ...toEnd(turn, answers),
      },
    };
    messages.push(message);
    answer = turn.role === 'assistant' ? message : null;
  }
  return messages;
}

/** How an answer ended; nothing for what is no answer, or was written by hand. */
function toEnd({ run, role }: Turn, answers: ReadonlyMap<string, AnswerFacts>): Partial<WireUiMessage['metadata']> {
  const facts = run === null || role !== 'assistant' ? undefined : answers.get(run);
  if (facts === undefined || !isEnded(facts.status)) return {};
  const { status, error, model, usage, cost } = facts;
  return { status, ...(error !== null && { error }), model, usage, cost };
}

/** Turns of one role under one parent stand in one place. */
function placeOf({ parent, role }: { parent: string | null; role: string }): string {
  return `${role} ${parent ?? ''}`;
}

function toParts({ role, items }: Turn): WirePart[] {
  const parts = items.flatMap(toPart);
  if (role !== 'assistant') return parts;
  const step = [{ type: 'step-start' }, ...parts];
  give(step, items);
  return step;
}

function toPart(item: Item, position: number): WirePart[] {
  switch (item.type) {
    case 'message':
      if (item.role === 'assistant') return [{ type: 'text', text: textOf(item), state: 'done' }];
      return item.content.map((part) =>
        part.type === 'image'
          ? { type: 'file', mediaType: mediaTypeOf(part.url), url: part.url }
          : { type: 'text', text: part.text },
      );
    case 'reasoning':
      return [{ type: 'reasoning', id: String(position), text: item.text, state: 'done' }];
    case 'web_search_call':
      return item.sources.map(sourcePart);
    case 'function_call':
      return item.decided === undefined ? [toolPart(item)] : [];
    case 'function_call_output':
    case 'approval':
      return [];
  }
}

function toolPart({ id, name, callId: toolCallId, arguments: text, server, asks }: FunctionCall): WirePart {
  const kind =
    server === undefined
      ? { type: `tool-${name}`, toolCallId }
      : { type: 'dynamic-tool', toolName: name, toolCallId, providerExecuted: true };
  const input = parseInput(text);
  if (input !== undefined && asks) return { ...kind, state: 'approval-requested', input, approval: { id } };
  if (input !== undefined) return { ...kind, state: 'input-available', input };
  return { ...kind, state: 'output-error', input: text, errorText: BAD_INPUT };
}

/** Puts what a person decided, and what tools gave, into the parts of their calls. */
function give(parts: readonly WirePart[], items: readonly Item[]): void {
  for (const item of items) {
    if (item.type === 'function_call_output') giveOutput(parts, item);
    else if (item.type === 'function_call' && isUnfinished(item, items)) giveOutput(parts, unfinished(item));
    else if (item.type === 'approval') {
      const { call: id, approved, reason } = item;
      const part = parts.findLast(({ approval }) => (approval as { id?: unknown } | undefined)?.id === id);
      const approval = { id, approved, ...(reason !== '' && { reason }) };
      if (part !== undefined) Object.assign(part, { state: 'approval-responded', approval });
    }
  }
}

function giveOutput(parts: readonly WirePart[], { callId, status, output }: Output): void {
  const part = parts.findLast(({ toolCallId }) => toolCallId === callId);
  if (part === undefined) return;
  const denied = (part.approval as { approved?: unknown } | undefined)?.approved === false;
  if (denied) part.state = 'output-denied';
  else if (status === 'incomplete') Object.assign(part, { state: 'output-error', errorText: output });
  else Object.assign(part, { state: 'output-available', output: parseOutput(output) });
}

function textOf({ content }: Extract<Item, { type: 'message' }>): string {
  return content.map((part) => (part.type === 'image' ? '' : part.text)).join('');
}

/** `image/png` of a data URL; just `image` of an address, which says no more. */
function mediaTypeOf(url: string): string {
  return /^data:(image\/[\w.+-]+)/i.exec(url)?.[1] ?? 'image';
}
