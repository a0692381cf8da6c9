/** Core → wire: a run's events as chunks, and its result as one completion. Pure. */

import { citationsOf } from '#core/citations.ts';
import type { ServiceError } from '#core/errors.ts';
import type { RunEvent, TerminalEvent } from '#core/event.ts';
import type { FinishReason, Run, RunResult, Usage } from '#core/run.ts';
import { isCallersCall, type Source, sourcesOf, textOf } from '#core/turn.ts';
import { plainError } from '#http/system.ts';
import type { WireAnnotation, WireCompletion } from './schema.ts';

const DONE = 'data: [DONE]\n\n';

/** What all chunks of one answer have in common. */
interface Head {
  id: string;
  created: number;
}

function headOf(run: Run): Head {
  return { id: `chatcmpl-${run.id}`, created: Math.floor(run.createdAt / 1000) };
}

/** Writes a run as `chat.completion.chunk` events. "The first delta is `{role: "assistant", content: ""}`." */
export function createEncoder(run: Run, includeUsage: boolean, failure: (end: TerminalEvent) => ServiceError | null) {
  const head = headOf(run);
  /** A chunk around its delta: all of a stream but the delta is the same text. */
  let before = '';
  let after = '';
  let opened = false;
  /** Position among the answer's items → index among its tool calls. */
  const calls = new Map<number, number>();
  let items = 0;
  /** The text since there is something to cite, and how long it was before that. */
  let citing: string | null = null;
  let uncited = 0;
  open(run.request.model ?? '');

  return { events, error };

  function events(batch: readonly RunEvent[]): string {
    let text = '';
    for (const event of batch) {
      switch (event.type) {
        case 'model-chosen':
          open(event.model);
          break;
        case 'text-delta':
          text += start() + before + JSON.stringify({ content: event.text }) + after;
          if (citing === null) uncited += event.text.length;
          else citing += event.text;
          break;
        case 'source-found':
          citing ??= '';
          break;
        case 'reasoning-delta':
          text += start() + before + JSON.stringify({ reasoning_content: event.text }) + after;
          break;
        case 'item-added':
          // What this server runs itself is no business of a client's: it would answer a call that is not its own.
          if (isCallersCall(event.item)) {
            const { callId: id, name } = event.item;
            const call = { index: calls.size, id, type: 'function', function: { name, arguments: '' } };
            text += start() + before + JSON.stringify({ tool_calls: [call] }) + after;
            calls.set(items, calls.size);
          }
          items++;
          break;
        case 'arguments-delta': {
          const index = calls.get(event.item);
          if (index === undefined) break;
          const call = { index, function: { arguments: event.text } };
          text += before + JSON.stringify({ tool_calls: [call] }) + after;
          break;
        }
        case 'run-ended':
          text += finish(event);
          break;
      }
    }
    return text;
  }

  function open(model: string): void {
    const parts = { id: head.id, object: 'chat.completion.chunk', created: head.created, model };
    before = `data: ${JSON.stringify(parts).slice(0, -1)},"choices":[{"index":0,"delta":`;
    after = `,"logprobs":null,"finish_reason":null}]${includeUsage ? ',"usage":null' : ''}}\n\n`;
  }

  function start(): string {
    if (opened) return '';
    opened = true;
    return `${before}{"role":"assistant","content":""}${after}`;
  }

  function finish(end: TerminalEvent): string {
    const failed = failure(end);
    if (failed !== null) return error(failed);
    const reason = finishReason(end.finish, calls.size > 0);
    const annotations = toAnnotations(citing ?? '', end.sources, uncited);
    const cited = annotations.length === 0 ? '' : start() + before + JSON.stringify({ annotations }) + after;
    const last = `${start()}${cited}${before}{}${after.replace('"finish_reason":null', `"finish_reason":"${reason}"`)}`;
    if (!includeUsage || end.usage === null) return last + DONE;
    const usage = `${before.slice(0, before.indexOf('"choices"'))}"choices":[],"usage":${JSON.stringify(toUsage(end.usage))}}\n\n`;
    return last + usage + DONE;
  }

  /** "An error in mid-stream is `data: {"error": {…}}`; a broken-off answer is never `finish_reason: "stop"`." */
  function error(failed: ServiceError): string {
    return `data: ${JSON.stringify(plainError(failed).body)}\n\n${DONE}`;
  }
}

/** A whole answer. */
export function toCompletion(
  run: Run,
  { items, model, finish, usage }: Pick<RunResult, 'items' | 'model' | 'finish' | 'usage'>,
): WireCompletion {
  const calls = items.flatMap((item) =>
    isCallersCall(item)
      ? [{ id: item.callId, type: 'function' as const, function: { name: item.name, arguments: item.arguments } }]
      : [],
  );
  const reasoning = items.map((item) => (item.type === 'reasoning' ? item.text : '')).join('');
  const text = textOf(items);
  const first = items.findIndex((item) => item.type === 'web_search_call' && item.sources.length > 0);
  const uncited = textOf(items.slice(0, Math.max(0, first)));
  const annotations = toAnnotations(text.slice(uncited.length), sourcesOf(items), uncited.length);
  const { id, created } = headOf(run);
  return {
    id,
    object: 'chat.completion',
    created,
    model: model ?? run.request.model ?? '',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: text === '' && calls.length > 0 ? null : text,
          refusal: null,
          ...(reasoning !== '' && { reasoning_content: reasoning }),
          ...(calls.length > 0 && { tool_calls: calls }),
          ...(annotations.length > 0 && { annotations }),
        },
        logprobs: null,
        finish_reason: finishReason(finish, calls.length > 0),
      },
    ],
    ...(usage !== null && { usage: toUsage(usage) }),
  };
}

/** Each `[n]` of the text that stands for a page; the indexes are UTF-16 units, the end exclusive. */
function toAnnotations(text: string, sources: readonly Source[], offset = 0): WireAnnotation[] {
  return citationsOf(text, sources).map(({ start, end, source: { url, title, evidence }, quote }) => ({
    type: 'url_citation',
    url_citation: {
      start_index: offset + start,
      end_index: offset + end,
      url,
      title,
      ...(evidence !== undefined && {
        evidence: { read_at: Math.floor(evidence.readAt / 1000), hash: evidence.hash, quote: quote ?? '' },
      }),
    },
  }));
}

/** With what is known of its abilities, which the standard has no fields for. */
export function toModel(
  {
    id,
    provider,
    chat,
    images,
    tools,
  }: { id: string; provider: string; chat: boolean; images?: boolean; tools?: boolean },
  created: number,
) {
  return {
    id,
    object: 'model' as const,
    created,
    owned_by: provider,
    chat,
    ...(images !== undefined && { images }),
    ...(tools !== undefined && { tools }),
  };
}

function finishReason(finish: FinishReason | null, called: boolean): FinishReason {
  const usual = finish === null || finish === 'tool_calls' ? 'stop' : finish;
  return called && usual === 'stop' ? 'tool_calls' : usual;
}

function toUsage({ inputTokens, outputTokens, cachedInputTokens, reasoningTokens }: Usage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: cachedInputTokens },
    completion_tokens_details: { reasoning_tokens: reasoningTokens },
  };
}
