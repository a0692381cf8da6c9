/**
 * Answers as the services make them, without HTTP: a real store in a folder of its own, real live runs, and the test's
 * model server; the tools are the test's.
 */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Principal } from '#core/principal.ts';
import type { Run, RunRequest, RunResult } from '#core/run.ts';
import { type Item, textOf } from '#core/turn.ts';
import type { Store } from '#ports/store.ts';
import type { ServerTool, ToolContext, ToolResult } from '#ports/tools.ts';
import { createApprovals } from '#service/approvals.ts';
import { createAssistants } from '#service/assistants.ts';
import { createFollowRun } from '#service/follow-run.ts';
import { createLiveRuns } from '#service/live-runs.ts';
import { createModelCalls } from '#service/model-calls.ts';
import { recoverRuns } from '#service/recover-runs.ts';
import { createRunBounds } from '#service/run-bounds.ts';
import { createRunLoop } from '#service/run-loop.ts';
import { type Answered, createMessages, type Place } from '#service/send-message.ts';
import { createTimeLimits } from '#service/time-limits.ts';
import { createToolCalls } from '#service/tool-calls.ts';
import { createToolRounds } from '#service/tool-rounds.ts';
import { systemClock as clock, systemIds as ids } from '../../src/adapters/clock/system.ts';
import { createModels } from '../../src/adapters/model/models.ts';
import { openSqliteStore } from '../../src/adapters/store/sqlite.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';

export interface Answering {
  model: ModelServer;
  store: Store;
  messages: ReturnType<typeof createMessages>;
  runs: ReturnType<typeof createFollowRun>;
  /** What a crash had left in the folder. */
  recovered: { ended: number; started: number };
  /** What the runs may call, from now on. */
  tools: ServerTool[];
  /** Sends a message and waits for its answer. */
  ask(text: string, options?: AskOptions): Promise<RunResult>;
  /** Sends a message: its answer is being made. */
  begin(text: string, options?: AskOptions): Promise<{ run: Run; result: Promise<RunResult>; stop(): Promise<void> }>;
  /** How an answer ends, and what it says. */
  end(principal: Principal, answered: Answered): Promise<{ status: string; text: string }>;
  /** What a person decides on a call, as the input of a further answer. */
  decide(call: Item | undefined, approved: boolean, options?: AskOptions & { reason?: string }): Promise<RunResult>;
  /** A sibling of an answer. */
  retry(result: RunResult): Promise<RunResult>;
  findRun(run: string): Promise<Run | null>;
  /** What should not happen, but did. */
  errors: unknown[];
  close(): Promise<void>;
}

interface AskOptions {
  place?: Place;
  as?: string;
  parent?: string | null;
  items?: Item[];
  request?: Partial<RunRequest>;
}

/** Somebody with a key of their own. */
export function person(user: string): Principal {
  return {
    tenant: 'default',
    user,
    scopes: ['read', 'write'],
    keyId: null,
    rates: null,
    keyless: false,
    findsKeyless: false,
  };
}

const PERSON = person('ann');

interface Given {
  rounds: number;
  timeout: number;
  maxResult: number;
  run: number;
  maxAnswer: number;
  maxRuns: number;
  maxRunsPerUser: number;
  /** The data of a server that is down, and the model server it asked: both stay when this is closed. */
  data: { folder: string; model: ModelServer };
}

export async function startAnswering(given: Partial<Given> = {}): Promise<Answering> {
  const folder = given.data?.folder ?? (await mkdtemp(join(tmpdir(), 'parlance-answering-')));
  const store = await openSqliteStore({ folder, exclusive: true, now: clock.now });
  const model = given.data?.model ?? (await startModelServer());
  const proxy = { http: null, https: null, noProxy: null };
  const models = createModels(
    {
      model: null,
      openai: { apiKey: 'test', baseUrl: model.url },
      anthropic: null,
      gemini: null,
      ollama: null,
      providers: [],
      detect: false,
      proxy,
      connectTimeoutMs: 1000,
    },
    { guide: null, clock },
  );
  await models.start();
  // A busy machine may need longer than the start waits.
  while (models.find(null) === null) await models.refresh();
  const tools: ServerTool[] = [];
  const errors: unknown[] = [];
  const onError = (error: unknown) => void errors.push(error);
  const limits = {
    firstToken: null,
    silence: 60_000,
    run: given.run ?? 60_000,
    maxAnswer: given.maxAnswer ?? 1_000_000,
  };
  const liveRuns = createLiveRuns({ store, clock, flushMs: 10 });
  const timeLimits = createTimeLimits({ clock, liveRuns, limits });
  const toolCalls = createToolCalls({
    liveRuns,
    timeLimits,
    clock,
    ids,
    limits: { timeout: given.timeout ?? 60_000, maxResult: given.maxResult ?? 65_536 },
  });
  const toolRounds = createToolRounds({
    modelCalls: createModelCalls({ store, models, liveRuns, timeLimits, clock, ids, limits, onError }),
    toolCalls,
    approvals: createApprovals({ store, liveRuns, toolCalls, clock, ids }),
    assistants: createAssistants([]),
    web: { prepare: async () => ({ prompt: '', attempts: [], usage: null }) },
    sources: [{ offer: async () => ({ tools, notes: [] }) }],
    rounds: given.rounds ?? 8,
  });
  const runLoop = createRunLoop({ store, liveRuns, toolRounds, clock, onCompleted: () => undefined, onError });
  const bounds = { maxRuns: given.maxRuns ?? 100, maxRunsPerUser: given.maxRunsPerUser ?? 100 };
  const runBounds = createRunBounds({ liveRuns, bounds });
  const messages = createMessages({ store, clock, ids, liveRuns, runLoop, runBounds });
  const runs = createFollowRun({ store, liveRuns, runLoop, clock });
  const recovered = await recoverRuns({ store, liveRuns, runLoop, clock });

  async function begin(text: string, options: AskOptions = {}) {
    const { place = { create: {} }, items, request = {}, as = PERSON.user, parent = null } = options;
    const said: Item = {
      type: 'message',
      id: '',
      role: 'user',
      status: 'completed',
      content: [{ type: 'text', text }],
    };
    const input = { conversation: place, items: items ?? [said], onBusy: 'queue' as const, parent, request };
    const { run } = await messages.accept(person(as), input, null);
    const live = liveRuns.get(run.id);
    if (live === null) throw new Error('The run is over already.');
    return { run, result: liveRuns.result(live), stop: () => runLoop.stop(live, 'stopped') };
  }

  return {
    model,
    store,
    messages,
    runs,
    recovered,
    tools,
    errors,
    begin,
    async end(principal, { run, answer }) {
      if (run === null) throw new Error('Nobody was asked.');
      const { status, items } = await runs.result(principal, { run, turn: answer });
      return { status, text: textOf(items) };
    },
    ask: async (text, options) => (await begin(text, options)).result,
    async decide(call, approved, { reason = '', ...options } = {}) {
      const id = call?.type === 'function_call' ? call.id : '';
      const item: Item = { type: 'approval', id: '', status: 'completed', call: id, approved, reason };
      return (await begin('', { request: { approvals: true }, ...options, items: [item] })).result;
    },
    async retry({ turn }) {
      const { run } = await messages.retryAnswer(PERSON, { turn: turn ?? '', request: {} }, null);
      const live = run && liveRuns.get(run.id);
      if (live === null) throw new Error('The run is over already.');
      return liveRuns.result(live);
    },
    findRun: (run) => store.findRun(PERSON, run),
    async close() {
      await runLoop.drain(0);
      await models.close();
      await store.close();
      if (given.data !== undefined) return;
      await model.close();
      await rm(folder, { recursive: true });
    },
  };
}

/** What an answer is made of, short enough to compare. */
export function shape(items: readonly Item[]): string[] {
  return items.map((item) => {
    if (item.type === 'message') return `text ${textOf([item])}`;
    if (item.type === 'function_call') return `${item.asks ? 'asks' : 'call'} ${item.name}(${item.arguments})`;
    if (item.type === 'function_call_output')
      return `${item.status === 'completed' ? 'gave' : 'failed'} ${item.output}`;
    return item.type;
  });
}

/** A tool that does what `call` does; by default it only reads. */
export function toolOf(
  name: string,
  call: (given: Record<string, unknown>, context: ToolContext) => Promise<ToolResult> | ToolResult,
  facts: Partial<ServerTool> = {},
): ServerTool {
  return {
    name,
    description: `The tool ${name}.`,
    parameters: { type: 'object', properties: { word: { type: 'string' } } },
    server: 'test',
    needsApproval: false,
    call: async (given, context) => call(given, context),
    ...facts,
  };
}
