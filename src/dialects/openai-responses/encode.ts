/** Core → wire: a response as a resource, and its run's events as streaming events. Pure. */

import { ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import { type Answer, emptyAnswer, fold } from '#core/fold.ts';
import { formatConversationId, formatWireId } from '#core/ids.ts';
import { isEnded, type RunError, type RunResult, type Usage } from '#core/run.ts';
import { type FunctionCallItem, type Item, type Source, sourcesOf } from '#core/turn.ts';
import { plainError } from '#http/system.ts';
import type { Responding } from '#service/responses.ts';
import { failureOf as whyFailed } from '#service/send-message.ts';
import { isShown, itemId, toAnnotations, toWireItem, toWireItems } from '../standard/encode.ts';
import type { WireResponse, WireUsage } from './schema.ts';

/** What of a response never changes: the same on its first event and on every replay. */
export type Facts = Pick<Responding, 'id' | 'run' | 'turn' | 'conversation'>;

/** How far it has come. */
interface State {
  status: WireResponse['status'];
  /** Unix milliseconds. */
  endedAt: number | null;
  reason: string | null;
  error: RunError | null;
  model: string | null;
  items: readonly Item[];
  usage: Usage | null;
}

/** A response as it stands. */
export function toResponse(response: Responding): WireResponse {
  const { run, turn, partial } = response;
  if (run === null) return toResource(response, endOf(response, { ...STOPPED, items: turn?.items ?? [] }));
  if (isEnded(run.status)) {
    return toResource(response, endOf(response, { ...run, status: run.status, items: turn?.items ?? partial }));
  }
  const status = run.status === 'queued' ? 'queued' : 'in_progress';
  return toResource(response, { ...OPEN, status, items: partial, model: run.model });
}

/** The same for an answer that was waited for. */
export function toEndedResponse(facts: Facts, { end, items, model }: Answer & { end: TerminalEvent }): WireResponse {
  return toResource(facts, endOf(facts, { ...end, endedAt: end.at, items, model }));
}

const OPEN = { endedAt: null, reason: null, error: null, usage: null } as const;
/** An answer that was made by hand. */
const STOPPED = { status: 'completed', finish: 'stop', error: null, usage: null, model: null, endedAt: null } as const;

type Ended = Pick<RunResult, 'status' | 'finish' | 'error' | 'usage' | 'model'> & {
  items: readonly Item[];
  endedAt: number | null;
};

/** "It ends with … status `cancelled`, reason `cancelled`. The reason is never null on an incomplete one." */
function endOf({ turn }: Facts, ended: Ended): State {
  const { finish, error, usage, model, items } = ended;
  const endedAt = ended.endedAt ?? turn?.updatedAt ?? null;
  const state = { endedAt, error: null, usage, model, items };
  if (ended.status === 'failed') return { ...state, status: 'failed', reason: null, error, items: [] };
  if (ended.status === 'cancelled') return { ...state, status: 'cancelled', reason: 'cancelled' };
  if (finish === 'length') return { ...state, status: 'incomplete', reason: 'max_output_tokens' };
  if (finish === 'content_filter') return { ...state, status: 'incomplete', reason: 'content_filter' };
  if (ended.status === 'incomplete') return { ...state, status: 'incomplete', reason: error?.code ?? 'interrupted' };
  return { ...state, status: 'completed', reason: null };
}

/** "Every `ResponseResource` key is always present": what it is without being asked for. */
export const UNASKED: Partial<WireResponse> = {
  previous_response_id: null,
  tools: [],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  max_tool_calls: null,
  max_output_tokens: null,
  text: { format: { type: 'text' } },
  reasoning: null,
  temperature: 1,
  top_p: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  top_logprobs: 0,
  truncation: 'disabled',
  store: true,
  background: false,
  service_tier: 'default',
  metadata: {},
  safety_identifier: null,
  prompt_cache_key: null,
};

function toResource({ id, run, turn, conversation }: Facts, state: State): WireResponse {
  const request = run?.request;
  const { model: asked, ...echo } = request?.echo ?? {};
  const model = state.model ?? (typeof asked === 'string' ? asked : null) ?? request?.model ?? '';
  const { status, reason, error, usage, items } = state;
  return {
    id: formatWireId('response', id),
    object: 'response',
    created_at: seconds(run?.createdAt ?? turn?.createdAt ?? 0),
    completed_at: status === 'completed' && state.endedAt !== null ? seconds(state.endedAt) : null,
    status,
    incomplete_details: reason === null ? null : { reason },
    error: error === null ? null : { code: errorCode(error), message: error.message },
    model,
    output: toWireItems(items),
    usage: usage === null ? null : toUsage(usage),
    conversation: conversation === null ? null : { id: formatConversationId(conversation) },
    instructions: request?.instructions || null,
    ...UNASKED,
    ...echo,
  } as WireResponse;
}

/** In the words of OpenAI's `ResponseError`. */
function errorCode({ code }: RunError): string {
  return code === 'rate_limited' ? 'rate_limit_exceeded' : 'server_error';
}

export function toUsage({ inputTokens, cachedInputTokens, outputTokens, reasoningTokens }: Usage): WireUsage {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: cachedInputTokens },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: reasoningTokens },
    total_tokens: inputTokens + outputTokens,
  };
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000);
}

/** Takes one event: its type, and the whole of it as JSON. */
export type Emit = (type: string, json: string) => void;

/** An item of the answer as it is being written. */
interface Place {
  /** Its `output_index`; null where it does not show. */
  index: number | null;
  /** `,"item_id":…,"output_index":…`, and for what is in parts the part's index. */
  at: string;
  /** Its first part was begun. */
  open: boolean;
  done: boolean;
}

/**
 * Turns a run's events into streaming events, numbered from 0 by their order alone, so that every replay is the same.
 * Those up to number `after` are counted, not written; the terminal event always is.
 */
export function createEncoder(facts: Facts, after: number, emit: Emit) {
  const answer = emptyAnswer();
  const places: Place[] = [];
  const one: RunEvent[] = [];
  let sequence = 0;
  /** The number of the next event of the run. */
  let expected = 1;
  let shown = 0;
  let begun = false;
  /** What is left of an answer whose log has expired is one snapshot: a place in the log is none in it. */
  let snapshot = false;

  return { start, events, gone };

  /** "created" is there before anything has happened: the answer was accepted. */
  function start(): void {
    const isBackground = facts.run?.request.echo.background === true;
    const response = opening(isBackground ? 'queued' : 'in_progress');
    write('response.created', response);
    if (isBackground) write('response.queued', response);
  }

  function events(first: number, batch: readonly RunEvent[]): void {
    let number = first;
    for (const event of batch) {
      if (!begun) begin(event);
      // One by one: what an event gives must not depend on what came together with it.
      one[0] = event;
      fold(answer, one);
      encode(event, number++);
    }
  }

  function begin(event: RunEvent): void {
    begun = true;
    snapshot = event.type !== 'run-started' && event.type !== 'run-ended';
    write('response.in_progress', opening('in_progress'));
  }

  function opening(status: State['status']): string {
    return `,"response":${JSON.stringify(toResource(facts, { ...OPEN, status, model: null, items: [] }))}`;
  }

  function encode(event: RunEvent, number: number): void {
    switch (event.type) {
      case 'text-delta': {
        const place = places[event.item];
        if (place === undefined || place.index === null) break;
        if (!place.open) openText(place);
        write('response.output_text.delta', `${place.at},"logprobs":[],"delta":${JSON.stringify(event.text)}`);
        break;
      }
      case 'reasoning-delta': {
        const place = places[event.item];
        if (place === undefined || place.index === null) break;
        if (!place.open) openSummary(place);
        write('response.reasoning_summary_text.delta', `${place.at},"delta":${JSON.stringify(event.text)}`);
        break;
      }
      case 'arguments-delta': {
        const place = places[event.item];
        if (place === undefined || place.index === null) break;
        const item = answer.items[event.item];
        if (item?.type !== 'function_call' || item.asks) break;
        const kind = item.server === undefined ? 'function_call' : 'mcp_call';
        write(`response.${kind}_arguments.delta`, `${place.at},"delta":${JSON.stringify(event.text)}`);
        break;
      }
      case 'item-added':
        add(event.item);
        break;
      case 'item-completed':
        complete(event.item);
        break;
      case 'run-ended':
        // After a crash the terminal event is numbered far beyond the last logged one, and so is what it brings here.
        if (number > expected && !snapshot) sequence += number - expected;
        end(event);
        break;
    }
    expected = number + 1;
  }

  function add(item: Item): void {
    const position = places.length;
    const isSeen = isShown(item, answer.items);
    const index = isSeen ? shown++ : null;
    const place: Place = { index, at: '', open: false, done: !isSeen };
    places.push(place);
    if (!isSeen) {
      if (item.type === 'function_call_output') answered(item.callId);
      return;
    }
    place.at = `,"item_id":${JSON.stringify(itemId(item))},"output_index":${index}`;
    write('response.output_item.added', `,"output_index":${index},"item":${JSON.stringify(toWireItem(item, []))}`);
    if (item.type === 'web_search_call') {
      write('response.web_search_call.in_progress', place.at);
      write('response.web_search_call.searching', place.at);
    }
    if (isRunHere(item)) write('response.mcp_call.in_progress', place.at);
    // It comes whole.
    if (item.type === 'function_call_output') complete(position);
  }

  function openText(place: Place): void {
    place.open = true;
    place.at += ',"content_index":0';
    write(
      'response.content_part.added',
      `${place.at},"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}`,
    );
  }

  function openSummary(place: Place): void {
    place.open = true;
    place.at += ',"summary_index":0';
    write('response.reasoning_summary_part.added', `${place.at},"part":{"type":"summary_text","text":""}`);
  }

  /** An item is over; a call that this server runs waits for its output. */
  function complete(position: number): void {
    const place = places[position];
    const item = answer.items[position];
    if (place === undefined || item === undefined || place.done) return;
    if (isRunHere(item) && item.status === 'completed') {
      write('response.mcp_call_arguments.done', `${place.at},"arguments":${JSON.stringify(item.arguments)}`);
      return;
    }
    close(place, item);
  }

  /** The output of a call that this server has run. */
  function answered(callId: string): void {
    const position = answer.items.findIndex((item) => item.type === 'function_call' && item.callId === callId);
    const call = answer.items[position] as FunctionCallItem | undefined;
    const place = places[position];
    if (place !== undefined && call !== undefined && !place.done) close(place, call);
  }

  function close(place: Place, item: Item): void {
    place.done = true;
    const sources = sourcesOf(answer.items);
    if (item.type === 'message' && place.open) closeText(place, item, sources);
    if (item.type === 'reasoning' && place.open) {
      const text = JSON.stringify(item.text);
      write('response.reasoning_summary_text.done', `${place.at},"text":${text}`);
      write('response.reasoning_summary_part.done', `${place.at},"part":{"type":"summary_text","text":${text}}`);
    }
    const wire = toWireItem(item, sources, answer.items);
    if (wire.type === 'function_call') {
      write(
        'response.function_call_arguments.done',
        `${place.at},"name":${JSON.stringify(wire.name)},"arguments":${JSON.stringify(wire.arguments)}`,
      );
    }
    if (wire.type === 'web_search_call') write('response.web_search_call.completed', place.at);
    if (wire.type === 'mcp_call') {
      write(`response.mcp_call.${wire.status === 'completed' ? 'completed' : 'failed'}`, place.at);
    }
    write('response.output_item.done', `,"output_index":${place.index},"item":${JSON.stringify(wire)}`);
  }

  /** What it cites is known when all of it is: one event for each citation. */
  function closeText({ at }: Place, item: Extract<Item, { type: 'message' }>, sources: readonly Source[]): void {
    const text = item.content.map((part) => (part.type === 'image' ? '' : part.text)).join('');
    const annotations = toAnnotations(text, sources);
    annotations.forEach((annotation, i) => {
      const json = `${at},"annotation_index":${i},"annotation":${JSON.stringify(annotation)}`;
      write('response.output_text.annotation.added', json);
    });
    write('response.output_text.done', `${at},"text":${JSON.stringify(text)},"logprobs":[]`);
    const part = { type: 'output_text', text, annotations, logprobs: [] };
    write('response.content_part.done', `${at},"part":${JSON.stringify(part)}`);
  }

  function end(event: TerminalEvent): void {
    places.forEach((place, position) => {
      const item = answer.items[position];
      if (item !== undefined && !place.done) close(place, item);
    });
    const response = toEndedResponse(facts, { ...answer, end: event });
    const failure = failureOf(event);
    if (failure !== null) write('error', errorJson(failure));
    const outcome = response.status === 'cancelled' ? 'incomplete' : response.status;
    write(`response.${outcome}`, `,"response":${JSON.stringify(response)}`, true);
  }

  /** The conversation was deleted. */
  function gone(error: ServiceError): void {
    write('error', errorJson(error), true);
  }

  function write(type: string, json: string, always = false): void {
    const number = sequence++;
    if (always || (number > after && !(snapshot && after >= 0))) {
      emit(type, `{"type":"${type}","sequence_number":${number}${json}}`);
    }
  }
}

/** A call that this server runs: it is over with its output. One that asks for approval is over as it stands. */
function isRunHere(item: Item): item is FunctionCallItem {
  return item.type === 'function_call' && item.server !== undefined && item.asks === undefined;
}

/** Why nothing was answered; null where something was. "Unknown model: 404": its provider may be the one who knows. */
export function failureOf(end: Pick<TerminalEvent, 'status' | 'error'>): ServiceError | null {
  if (end.status !== 'failed') return null;
  if (end.error?.code !== 'model_not_found') return whyFailed(end);
  return new ServiceError('model_not_found', end.error.message, { param: 'model' });
}

/** "Error event carries both shapes." */
function errorJson(error: ServiceError): string {
  const { status, body } = plainError(error);
  const { error: shape } = body as { error: Record<string, unknown> };
  const { code, message, param } = shape;
  return `,${JSON.stringify({ status, code, message, param, error: shape }).slice(1, -1)}`;
}

/** One event of a stream: "`event:` equals `type`". */
export function toFrame(type: string, json: string): string {
  return `event: ${type}\ndata: ${json}\n\n`;
}

export const DONE = 'data: [DONE]\n\n';
