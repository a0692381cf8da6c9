/**
 * The specification as a judge: every resource and event against its JSON schemas, and every stream against the order its
 * events must have. The schemas are those of `../shared/specs`, beside this repository; what this server adds to them as
 * OpenAI's own API has it (`web_search_call` and `mcp_…` items, web search and MCP tools, their events) is named here.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

interface Schema {
  [keyword: string]: unknown;
}

const FILE = new URL('../../../../shared/specs/open-responses-2026-04-24.openapi.json', import.meta.url);
const { schemas } = JSON.parse(readFileSync(FILE, 'utf8')).components as { schemas: Record<string, Schema> };

const text = { type: 'string' };
const nullable = { type: ['string', 'null'] };
const object = (properties: Schema): Schema => ({ type: 'object', properties, required: Object.keys(properties) });

/** In the words of OpenAI's API. */
const ADDED: Record<string, Schema> = {
  WebSearchCall: object({
    type: { const: 'web_search_call' },
    id: text,
    status: { enum: ['in_progress', 'searching', 'completed', 'incomplete', 'failed'] },
    action: {
      oneOf: [
        object({ type: { const: 'search' }, queries: { type: 'array', items: text } }),
        object({ type: { const: 'open_page' }, url: text }),
      ],
    },
  }),
  McpCall: object({
    type: { const: 'mcp_call' },
    id: text,
    status: { enum: ['in_progress', 'completed', 'incomplete', 'failed'] },
    server_label: text,
    name: text,
    arguments: text,
    output: nullable,
    error: nullable,
  }),
  McpApprovalRequest: object({
    type: { const: 'mcp_approval_request' },
    id: text,
    server_label: text,
    name: text,
    arguments: text,
  }),
  McpApprovalResponse: object({
    type: { const: 'mcp_approval_response' },
    id: text,
    approval_request_id: text,
    approve: { type: 'boolean' },
    reason: nullable,
  }),
  McpTool: object({ type: { const: 'mcp' }, server_label: text }),
  WebSearchTool: object({ type: { enum: ['web_search', 'web_search_preview'] } }),
};

const EVENT_FIELDS = { sequence_number: { type: 'integer' }, output_index: { type: 'integer' }, item_id: text };
const ADDED_EVENTS = [
  'response.web_search_call.in_progress',
  'response.web_search_call.searching',
  'response.web_search_call.completed',
  'response.mcp_call.in_progress',
  'response.mcp_call.completed',
  'response.mcp_call.failed',
  'response.mcp_call_arguments.delta',
  'response.mcp_call_arguments.done',
];

function add(name: string, more: string[]): void {
  const schema = schemas[name] as { oneOf?: Schema[]; anyOf?: Schema[] };
  const refs = more.map((one) => ({ $ref: `#/components/schemas/${one}` }));
  (schema.oneOf ?? schema.anyOf ?? []).push(...refs);
}

Object.assign(schemas, ADDED);
add('ItemField', ['WebSearchCall', 'McpCall', 'McpApprovalRequest', 'McpApprovalResponse']);
add('Tool', ['WebSearchTool', 'McpTool']);

const ajv = new Ajv2020({ strict: false, allErrors: true, discriminator: false });
ajv.addSchema({ $id: 'spec', components: { schemas } });
const compiled = new Map<string, ValidateFunction>();

/** Throws where a value is not what the specification says under that name. */
export function assertValid(name: string, value: unknown): void {
  let validate = compiled.get(name);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `spec#/components/schemas/${name}` });
    compiled.set(name, validate);
  }
  if (validate(value)) return;
  const errors = validate.errors?.slice(0, 5).map((error) => `${error.instancePath} ${error.message}`);
  assert.fail(`not a ${name}: ${errors?.join('; ')}\n${JSON.stringify(value).slice(0, 2000)}`);
}

/** The schema of each event, by its type. */
const EVENTS = new Map<string, string>();
for (const [name, { properties }] of Object.entries(
  schemas as Record<string, { properties?: { type?: { enum?: string[] } } }>,
)) {
  const type = properties?.type?.enum?.[0];
  if (name.endsWith('StreamingEvent') && type !== undefined) EVENTS.set(type, name);
}
for (const type of ADDED_EVENTS) {
  schemas[type] = object({ type: { const: type }, ...EVENT_FIELDS });
  EVENTS.set(type, type);
}

export interface StreamedEvent {
  type: string;
  sequence_number: number;
  output_index?: number;
  item_id?: string;
  delta?: string;
  text?: string;
  arguments?: string;
  annotation?: { url: string; start_index: number; end_index: number };
  item?: { id: string; type: string; status?: string };
  part?: { type: string; text: string };
  response?: WireResponse;
  error?: { code: string; message: string; type: string };
  code?: string;
  message?: string;
}

export interface WireResponse {
  id: string;
  status: string;
  model: string;
  created_at: number;
  completed_at: number | null;
  incomplete_details: { reason: string } | null;
  error: { code: string; message: string } | null;
  previous_response_id: string | null;
  conversation: { id: string } | null;
  output: {
    id: string;
    type: string;
    status?: string;
    content?: { type: string; text: string }[];
    [field: string]: unknown;
  }[];
  usage: { input_tokens: number; output_tokens: number; total_tokens: number } | null;
  [field: string]: unknown;
}

/** An event stream as events, each of them valid, `event:` equal to `type`, one frame each; `[DONE]` at its end. */
export function readStream(raw: string): StreamedEvent[] {
  const frames = raw.replaceAll(/^:\n\n/gm, '').split('\n\n');
  assert.equal(frames.pop(), '', 'the stream ends with a blank line');
  assert.equal(frames.pop(), 'data: [DONE]', 'the stream ends with [DONE]');
  return frames.map((frame) => {
    const [, type = '', data = ''] =
      /^event: ([^\n]*)\ndata: ([^\n]*)$/.exec(frame) ?? assert.fail(`a frame of its own kind: ${frame}`);
    const event = JSON.parse(data) as StreamedEvent;
    assert.equal(event.type, type);
    return checkEvent(event);
  });
}

/** Throws where an event is not what the specification says. */
export function checkEvent(event: StreamedEvent): StreamedEvent {
  const name = EVENTS.get(event.type);
  assert.ok(name !== undefined, `the specification has no event ${event.type}`);
  assertValid(name, event);
  return event;
}

const TERMINAL = new Set(['response.completed', 'response.incomplete', 'response.failed']);

/** An item while it is open. */
interface Open {
  id: string;
  type: string;
  /** `added`, or the part that is open, or closed again. */
  part: 'none' | 'open' | 'text-done' | 'closed';
  text: string;
}

/**
 * "Order created, in_progress, then per item output_item.added → content_part.added → output_text.delta… →
 * output_text.done → content_part.done → output_item.done, then completed | incomplete | failed." Throws on any disorder;
 * gives the response at the end. Numbers may jump where `crashed` says so, and nowhere else.
 */
export function assertOrder(events: readonly StreamedEvent[], { crashed = false } = {}): WireResponse {
  const open = new Map<number, Open>();
  let next = 0;
  let added = 0;
  let phase: 'start' | 'created' | 'running' | 'over' = 'start';
  let jumped = false;
  let last: WireResponse | undefined;

  for (const event of events) {
    const { type, sequence_number: number } = event;
    const at = `${type} (${number})`;
    if (crashed && !jumped && number > next) jumped = true;
    else assert.equal(number, next, `${at}: numbers have no gaps`);
    next = number + 1;
    assert.notEqual(phase, 'over', `${at}: nothing follows the terminal event`);
    if (phase === 'start') {
      assert.equal(type, 'response.created');
      phase = 'created';
      continue;
    }
    if (phase === 'created') {
      if (type === 'response.queued') continue;
      assert.equal(type, 'response.in_progress');
      phase = 'running';
      continue;
    }
    if (TERMINAL.has(type)) {
      assert.equal(open.size, 0, `${at}: items are still open`);
      phase = 'over';
      last = event.response;
      continue;
    }
    if (type === 'error') continue;
    step(event, at);
  }
  assert.equal(phase, 'over', 'there is a terminal event');
  assert.ok(last !== undefined);
  return last;

  function step(event: StreamedEvent, at: string): void {
    const index = event.output_index ?? -1;
    if (event.type === 'response.output_item.added') {
      assert.equal(index, added++, `${at}: items come in order`);
      const { id, type } = event.item ?? assert.fail(at);
      open.set(index, { id, type, part: 'none', text: '' });
      return;
    }
    const item = open.get(index) ?? assert.fail(`${at}: its item is not open`);
    if (event.type === 'response.output_item.done') {
      assert.equal(event.item?.id, item.id, at);
      assert.notEqual(item.part, 'open', `${at}: its part is open`);
      assert.notEqual(item.part, 'text-done', `${at}: its part is open`);
      open.delete(index);
      return;
    }
    assert.equal(event.item_id, item.id, `${at}: of its item`);
    const name = event.type.slice('response.'.length);
    if (name.startsWith('web_search_call')) assert.equal(item.type, 'web_search_call', at);
    else if (name.startsWith('mcp_call')) assert.equal(item.type, 'mcp_call', at);
    else if (name === 'function_call_arguments.delta') item.text += event.delta;
    else if (name === 'function_call_arguments.done') assert.equal(event.arguments, item.text, at);
    else stepText(event, name, item, at);
  }

  function stepText(event: StreamedEvent, name: string, item: Open, at: string): void {
    assert.equal(name.startsWith('reasoning'), item.type === 'reasoning', at);
    switch (name) {
      case 'content_part.added':
      case 'reasoning_summary_part.added':
        assert.equal(item.part, 'none', at);
        item.part = 'open';
        break;
      case 'output_text.delta':
      case 'reasoning_summary_text.delta':
        assert.equal(item.part, 'open', at);
        item.text += event.delta;
        break;
      case 'output_text.annotation.added':
        assert.equal(item.part, 'open', at);
        break;
      case 'output_text.done':
      case 'reasoning_summary_text.done':
        assert.equal(item.part, 'open', at);
        if (!crashed) assert.equal(event.text, item.text, at);
        item.part = 'text-done';
        break;
      case 'content_part.done':
      case 'reasoning_summary_part.done':
        assert.equal(item.part, 'text-done', at);
        item.part = 'closed';
        break;
      default:
        assert.fail(`${at}: not known here`);
    }
  }
}

/** A response that is valid, with every key there is. */
export function assertResponse(response: unknown): WireResponse {
  assertValid('ResponseResource', response);
  return response as WireResponse;
}

/** The text of a response's messages. */
export function textOf({ output }: WireResponse): string {
  return output
    .filter(({ type }) => type === 'message')
    .flatMap(({ content }) => content ?? [])
    .map((part) => part.text)
    .join('');
}
