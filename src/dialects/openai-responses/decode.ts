/** Wire → service: the input as turns, the tools, what reaches the model, and what is shown again. Pure. */

import { invalid } from '#core/errors.ts';
import { formatWireId } from '#core/ids.ts';
import type { ContextTurn, RunRequest, Tool } from '#core/run.ts';
import type { References, Responding, ResponseWish } from '#service/responses.ts';
import { toItems, toTurns } from '../standard/decode.ts';
import type { WireRequest, WireTool } from './schema.ts';

type Given = Pick<WireRequest, 'input' | 'previous_response_id'> & Partial<Pick<WireRequest, 'conversation'>>;
type FunctionTool = Extract<WireTool, { type: 'function' }>;

/** "A text is one message of the user's." Throws `invalid_request` for what is not known. */
export function toInput({ input }: Pick<WireRequest, 'input'>, known: References): ContextTurn[] {
  if (input == null) return [];
  const items = typeof input === 'string' ? [{ type: 'message', role: 'user', content: input } as const] : input;
  return toTurns(items.flatMap((item) => toItems(item, known)));
}

/** What goes before. "`conversation` … excludes `previous_response_id`." */
export function toAfter({ previous_response_id: previous, conversation }: Given): ResponseWish['after'] {
  if (previous != null && conversation != null) {
    throw invalid('Send either previous_response_id or conversation, not both.', 'conversation');
  }
  if (previous != null) return { response: previous };
  if (conversation == null) return null;
  return { conversation: typeof conversation === 'object' ? conversation.id : conversation };
}

/** Throws `invalid_request`. */
export function toWish(body: WireRequest, known: References): ResponseWish {
  const store = body.store ?? true;
  if (body.background === true && !store) throw invalid('background needs store: true.', 'background');
  const tools = functionsOf(body.tools);
  const allowed = allowedTools(body, tools);
  return {
    input: toInput(body, known),
    after: toAfter(body),
    store,
    request: {
      model: body.model ?? null,
      instructions: body.instructions ?? null,
      webSearch: searchOf(body),
      parameters: toParameters(body, allowed.length > 0),
      tools: allowed.map(toTool),
      approvals: canApprove(body),
      echo: toEcho(body),
    },
  };
}

export function functionsOf(tools: WireRequest['tools']): FunctionTool[] {
  return (tools ?? []).filter((tool): tool is FunctionTool => tool.type === 'function');
}

export function toTool({ name, description, parameters }: FunctionTool): Tool {
  return { name, description: description ?? '', parameters: parameters ?? { type: 'object', properties: {} } };
}

/** Where only some may be called, the model is told of these alone: every provider understands that. */
function allowedTools({ tool_choice: choice }: WireRequest, tools: FunctionTool[]): FunctionTool[] {
  if (typeof choice !== 'object' || choice === null) return tools;
  if (choice.type === 'function' && !tools.some(({ name }) => name === choice.name)) {
    throw invalid(`The tool "${choice.name}" of tool_choice is not among the tools.`, 'tool_choice');
  }
  if (choice.type !== 'allowed_tools') return tools;
  const names = new Set(choice.tools.map(({ name }) => name));
  return tools.filter(({ name }) => names.has(name));
}

/** A search tool that must be called is one that is. */
function searchOf({ tools, tool_choice: choice }: WireRequest): RunRequest['webSearch'] {
  const offered = (tools ?? []).filter(({ type }) => type !== 'mcp');
  if (choice === 'none' || offered.every(({ type }) => type === 'function')) return 'off';
  const only = offered.every(({ type }) => type !== 'function');
  const named = typeof choice === 'object' && choice !== null && /^web_search/.test(choice.type);
  return named || (choice === 'required' && only) ? 'always' : 'auto';
}

/** Whoever names MCP tools, or answers a request for approval, knows what such a request is. */
function canApprove({ tools, input }: WireRequest): boolean {
  const named = (tools ?? []).some((tool) => tool.type === 'mcp' && tool.require_approval !== 'never');
  return named || (Array.isArray(input) && input.some(({ type }) => type === 'mcp_approval_response'));
}

/** What reaches the model, under the names of Chat Completions. */
function toParameters(body: WireRequest, called: boolean): RunRequest['parameters'] {
  const all = {
    temperature: body.temperature,
    top_p: body.top_p,
    presence_penalty: body.presence_penalty,
    frequency_penalty: body.frequency_penalty,
    max_tokens: body.max_output_tokens,
    reasoning_effort: body.reasoning?.effort,
    verbosity: body.text?.verbosity,
    response_format: toFormat(body.text?.format),
    tool_choice: called ? toChoice(body.tool_choice) : null,
    parallel_tool_calls: called ? body.parallel_tool_calls : null,
    service_tier: body.service_tier,
    prompt_cache_key: body.prompt_cache_key,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value != null));
}

function toFormat(format: NonNullable<WireRequest['text']>['format']): object | null {
  if (format == null || format.type === 'text') return null;
  if (format.type === 'json_object') return { type: 'json_object' };
  const { type, name, description, schema, strict } = format;
  const described = description == null ? {} : { description };
  return { type, json_schema: { name, ...described, schema, ...(strict == null ? {} : { strict }) } };
}

function toChoice(choice: WireRequest['tool_choice']): unknown {
  if (choice == null || typeof choice === 'string') return choice;
  if (choice.type === 'allowed_tools') return choice.mode;
  return choice.type === 'function' ? { type: 'function', function: { name: choice.name } } : null;
}

/** The fields of a response that say again what was asked for, where that is not what it is without being asked for. */
function toEcho(body: WireRequest): Record<string, unknown> {
  const echo = {
    previous_response_id: body.previous_response_id,
    tools: body.tools?.map(showTool),
    tool_choice: body.tool_choice,
    parallel_tool_calls: body.parallel_tool_calls,
    max_tool_calls: body.max_tool_calls,
    max_output_tokens: body.max_output_tokens,
    text: body.text && showText(body.text),
    reasoning: body.reasoning && { effort: body.reasoning.effort ?? null, summary: body.reasoning.summary ?? null },
    temperature: body.temperature,
    top_p: body.top_p,
    presence_penalty: body.presence_penalty,
    frequency_penalty: body.frequency_penalty,
    top_logprobs: body.top_logprobs,
    truncation: body.truncation,
    store: body.store,
    background: body.background,
    service_tier: body.service_tier === 'auto' ? null : body.service_tier,
    metadata: body.metadata,
    safety_identifier: body.safety_identifier,
    prompt_cache_key: body.prompt_cache_key,
  };
  const asked = Object.entries(echo).filter(([, value]) => value != null);
  // Null, too: an answer that is not kept is asked for with the assistant's own.
  return { ...Object.fromEntries(asked), instructions: body.instructions ?? null };
}

/** What is otherwise than for the response that is gone on from, or made again. */
export function toAgain(
  { id, run }: Pick<Responding, 'id' | 'run'>,
  verb: 'continue' | 'retry',
  model: string | null,
): Pick<RunRequest, 'echo'> & Partial<RunRequest> {
  const { background: _, ...echo } = run?.request.echo ?? {};
  const before = verb === 'continue' ? { previous_response_id: formatWireId('response', id) } : {};
  const chosen = model === null ? {} : { model };
  return { ...chosen, echo: { ...echo, ...before, ...chosen } };
}

/** "`tools[]` with all five keys." */
function showTool(tool: WireTool): object {
  if (tool.type !== 'function') return tool;
  const { type, name, description, parameters, strict } = tool;
  return {
    type,
    name,
    description: description ?? null,
    parameters: parameters ?? null,
    strict: strict ?? null,
  };
}

/** The specification's `JsonSchemaResponseFormat` shows the schema as null. */
function showText({ format, verbosity }: NonNullable<WireRequest['text']>): object {
  const shown =
    format?.type === 'json_schema'
      ? {
          type: format.type,
          name: format.name,
          description: format.description ?? null,
          schema: null,
          strict: format.strict ?? false,
        }
      : { type: format?.type ?? 'text' };
  return { format: shown, ...(verbosity != null && { verbosity }) };
}
