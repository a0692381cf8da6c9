/**
 * Runs the calls of this server's own tools: side by side, each within its time and size, and none longer than the run. Every
 * call gets an output, since a model is not to be asked with calls that have none; what goes wrong is told to the model.
 * This is the one place where a tool is run: without a person's approval never one that needs it.
 */

import { cutText } from '#core/context.ts';
import { markOf } from '#core/fold.ts';
import type { FunctionCallItem } from '#core/turn.ts';
import type { Clock, Ids } from '#ports/clock.ts';
import type { ServerTool, ToolResult } from '#ports/tools.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';
import type { TimeLimits } from './time-limits.ts';

export interface ToolCallLimits {
  /** Milliseconds a call may take. */
  timeout: number;
  /** UTF-16 units of its result that are kept. */
  maxResult: number;
}

export interface ToolCalls {
  /** Publishes the output of each call as it comes; resolves with the last one, or when the run is stopped. Never throws. */
  run(live: LiveRun, calls: readonly FunctionCallItem[], tools: ReadonlyMap<string, ServerTool>): Promise<void>;
}

/** How many calls of one round are made at once, and how many at all. */
const AT_ONCE = 8;
const MAX_CALLS = 32;

const TOO_MANY = `At most ${MAX_CALLS} calls are run at a time. This one was not.`;
const NOT_APPROVED =
  'This tool may change something, so a person has to approve the call, and here nobody can be asked. It was not run.';

export function createToolCalls(parts: {
  liveRuns: LiveRuns;
  timeLimits: TimeLimits;
  clock: Clock;
  ids: Ids;
  limits: ToolCallLimits;
}): ToolCalls {
  const { liveRuns, timeLimits, clock, ids, limits } = parts;
  return { run };

  async function run(
    live: LiveRun,
    calls: readonly FunctionCallItem[],
    tools: ReadonlyMap<string, ServerTool>,
  ): Promise<void> {
    if (isOver(live)) return;
    live.abort = new AbortController();
    const watch = timeLimits.watch(live, markOf(live.answer), Number.POSITIVE_INFINITY);
    const waiting = calls.entries();
    const worker = async () => {
      for (const [at, call] of waiting) {
        const result = at < MAX_CALLS ? await resultOf(live, call, tools) : failed(TOO_MANY);
        if (isOver(live)) return;
        give(live, call.callId, result);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    watch.end();
  }

  async function resultOf(
    live: LiveRun,
    call: FunctionCallItem,
    tools: ReadonlyMap<string, ServerTool>,
  ): Promise<ToolResult> {
    if (call.decided?.approved === false) return failed(deniedText(call.decided.reason));
    const tool = tools.get(call.name);
    if (tool === undefined) {
      const names = [...tools.keys()].join(', ');
      return failed(`There is no tool "${call.name}". ${names === '' ? 'There are none.' : `There are: ${names}.`}`);
    }
    const given = argumentsOf(call);
    if (given === null) return failed('The arguments must be a JSON object, and these are not. The tool was not run.');
    if (tool.needsApproval && call.decided?.approved !== true) return failed(NOT_APPROVED);
    return callTool(live, tool, given);
  }

  /** A tool that does not come back is left alone when its time is over. */
  async function callTool(live: LiveRun, tool: ServerTool, given: Record<string, unknown>): Promise<ToolResult> {
    const timeout = new AbortController();
    const cancel = clock.after(limits.timeout, () => timeout.abort());
    const signal = AbortSignal.any([live.abort.signal, timeout.signal]);
    let over = false;
    const context = {
      signal,
      run: live.run,
      answer: live.answer,
      publish: (events: Parameters<LiveRuns['publish']>[1]) => {
        if (!over && !isOver(live)) liveRuns.publish(live, events);
      },
    };
    try {
      return await Promise.race([tool.call(given, context), aborted(signal)]);
    } catch (error) {
      if (timeout.signal.aborted) return failed(`The tool gave no result within ${limits.timeout / 1000} seconds.`);
      return failed(error instanceof Error && error.message !== '' ? error.message : 'The tool failed.');
    } finally {
      over = true;
      cancel();
    }
  }

  function give(live: LiveRun, callId: string, { text, isError }: ToolResult): void {
    const output = cutText(text.replaceAll('\0', '').toWellFormed(), limits.maxResult);
    const status = isError ? 'incomplete' : 'completed';
    const item = { type: 'function_call_output', id: ids.uuid(), status, callId, output } as const;
    liveRuns.publish(live, [{ type: 'item-added', item }]);
  }
}

function deniedText(reason: string | undefined): string {
  const said = reason === undefined ? '' : ` They said: ${reason}`;
  return `The person did not allow this call. It was not run.${said}`;
}

function isOver(live: LiveRun): boolean {
  return live.cause !== null || live.discarded;
}

function failed(text: string): ToolResult {
  return { text, isError: true };
}

/** Null where they are none. No text at all is how some models call a tool that takes nothing. */
export function argumentsOf({ arguments: text }: FunctionCallItem): Record<string, unknown> | null {
  if (text.trim() === '') return {};
  try {
    const given: unknown = JSON.parse(text);
    return typeof given === 'object' && given !== null && !Array.isArray(given)
      ? (given as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const stop = () => reject(new Error('The call was stopped.'));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
}
