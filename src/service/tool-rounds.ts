/**
 * One answer: the model is asked, the tools of this server that it calls are run, and it is asked again with what they
 * gave, in bounded rounds of one run. A call of the caller's own tools ends the turn, and so does one that a person has to
 * approve.
 */

import type { Assistant } from '#core/conversation.ts';
import { type Attempt, addUsage, type Tool } from '#core/run.ts';
import type { Offer, ServerTool, ToolSource } from '#ports/tools.ts';
import type { Approvals } from './approvals.ts';
import type { Assistants } from './assistants.ts';
import type { LiveRun } from './live-runs.ts';
import type { ModelCalls } from './model-calls.ts';
import { ended, type Outcome, stopError } from './outcome.ts';
import { argumentsOf, type ToolCalls } from './tool-calls.ts';
import type { ToolOwner } from './translate.ts';
import type { Web } from './web.ts';

export interface ToolRounds {
  /** Makes the answer of a run. Throws only what should not happen. */
  answer(live: LiveRun): Promise<Outcome>;
}

/** What a run may call, beside the caller's own tools. */
interface Tools {
  own: ReadonlyMap<string, ServerTool>;
  all: Tool[];
  notes: string[];
}

/** @param parts.rounds how often the tools of this server may be run in one answer */
export function createToolRounds(parts: {
  modelCalls: ModelCalls;
  toolCalls: ToolCalls;
  approvals: Approvals;
  assistants: Assistants;
  web: Pick<Web, 'prepare'>;
  sources: readonly ToolSource[];
  rounds: number;
}): ToolRounds {
  const { modelCalls, toolCalls, approvals, assistants, web, sources, rounds } = parts;
  return { answer };

  async function answer(live: LiveRun): Promise<Outcome> {
    const { request } = live.run;
    const assistant = assistantOf(live);
    let tools = await toolsOf(live, assistant);
    let found = await web.prepare(live, assistant, tools.own.get('web_search')?.server === 'web');
    if (live.decides) await approvals.carryOut(live, tools.own);
    let models = [request.model ?? assistant.model, ...assistant.fallbacks];
    const attempts: Attempt[] = [...found.attempts];
    let { usage } = found;
    for (let round = 1; ; round++) {
      const from = live.answer.items.length;
      const parameters = parametersOf(request.parameters, round, rounds);
      const system = [request.instructions ?? assistant.instructions, ...tools.notes, found.prompt]
        .filter((text) => text !== '')
        .join('\n\n');
      const ownerOf = (name: string) => ownerOfTool(live, tools, name);
      const outcome = await modelCalls.ask(live, { models, system, tools: tools.all, parameters, ownerOf });
      attempts.push(...outcome.attempts);
      usage = addUsage(usage, outcome.usage);
      const soFar = { ...outcome, attempts, usage };
      if (tools.own.size > 0 && refusesTools(outcome)) {
        tools = { own: new Map(), all: request.tools, notes: [] };
        if (found.prompt !== '') continue;
        found = await web.prepare(live, assistant, false);
        attempts.push(...found.attempts);
        usage = addUsage(usage, found.usage);
        continue;
      }
      // What was cut off is not run: nobody knows what the model meant to write.
      if (outcome.status !== 'completed' || outcome.finish === 'length' || outcome.finish === 'content_filter') {
        return soFar;
      }
      const calls = live.answer.items.slice(from).filter((item) => item.type === 'function_call');
      const ours = calls.filter(({ server }) => server !== undefined);
      if (ours.length === 0) return soFar;
      if (round > rounds) return { ...soFar, ...stopped(live, TOO_MANY_ROUNDS, outcome) };
      const asking = ours.filter((call) => call.asks && argumentsOf(call) !== null);
      const running = ours.filter((call) => !asking.includes(call));
      await toolCalls.run(live, running, tools.own);
      if (live.cause !== null || live.discarded) {
        return { ...soFar, ...stopped(live, stopError(live.cause ?? 'stopped'), outcome) };
      }
      if (calls.length > running.length) return { ...soFar, finish: 'tool_calls' };
      if (outcome.model !== null) models = laterModels(outcome.model.id, assistant.fallbacks);
    }
  }

  /** A context that is only the caller's is answered with what the caller brought or asked for. */
  function assistantOf({ run }: LiveRun): Assistant {
    const assistant = assistants.get(run.request.assistant);
    return run.request.assistant === '' ? { ...assistant, tools: [], webSearch: false } : assistant;
  }

  /** A name of the caller's wins; where two sources have one name, the first. */
  async function toolsOf({ run, abort }: LiveRun, assistant: Assistant): Promise<Tools> {
    const callers = run.request.tools;
    const offers = await Promise.all(
      sources.map((source): Promise<Offer> => source.offer(run, assistant, abort.signal)),
    );
    const taken = new Set(callers.map(({ name }) => name));
    const own = new Map<string, ServerTool>();
    for (const tool of offers.flatMap(({ tools }) => tools)) {
      if (!taken.has(tool.name) && !own.has(tool.name)) own.set(tool.name, tool);
    }
    const offered = [...own.values()].map(
      ({ name, description, parameters }): Tool => ({ name, description, parameters }),
    );
    return { own, all: [...callers, ...offered], notes: offers.flatMap(({ notes }) => notes) };
  }
}

/** A model that knows no tools says so with its first word. */
function refusesTools({ status, error }: Outcome): boolean {
  return status === 'failed' && error?.code === 'refused' && /\b(tools?|function)\b/i.test(error.message);
}

const TOO_MANY_ROUNDS = {
  code: 'tool_limit',
  message: 'The model went on calling tools when it had used them as often as one answer may.',
} as const;

/**
 * A name that neither side has is answered here, with an error, as soon as there are tools of this server. A person can be
 * asked about a call where the client can ask and the call is kept until the person decides.
 */
function ownerOfTool({ run, kept }: LiveRun, { own }: Tools, name: string): ToolOwner | undefined {
  if (own.size === 0 || run.request.tools.some((tool) => tool.name === name)) return undefined;
  const { server = '', needsApproval = false } = own.get(name) ?? {};
  const canAsk = run.request.approvals && kept && run.conversation !== null;
  return needsApproval && canAsk ? { server, asks: true } : { server };
}

/**
 * A call that the caller forces is forced once: otherwise the rounds would never end. After the last round the model has to
 * answer with what it has.
 */
function parametersOf(given: Record<string, unknown>, round: number, rounds: number): Record<string, unknown> {
  if (round === 1) return given;
  if (round > rounds) return { ...given, tool_choice: 'none' };
  const { tool_choice: choice, ...rest } = given;
  return choice === 'none' || choice === 'auto' ? given : rest;
}

/** The model that answers goes on. */
function laterModels(model: string, fallbacks: readonly string[]): string[] {
  return [model, ...fallbacks.filter((name) => name !== model)];
}

function stopped(live: LiveRun, error: Parameters<typeof ended>[1], { model }: Outcome): Partial<Outcome> {
  const { status, finish } = ended(live, error);
  return { status, finish, error, model };
}
