/**
 * The internet for answers. A model that can call tools is given `web_search` and `open_page`; for one that cannot, one
 * search is made beforehand, from the question rewritten with the conversation. `always` searches beforehand in any case.
 */

import type { Assistant } from '#core/conversation.ts';
import { type Attempt, type ContextTurn, type Run, type Usage, webSearchOf } from '#core/run.ts';
import { textOf } from '#core/turn.ts';
import type { Clock } from '#ports/clock.ts';
import type { ModelInfo, Models } from '#ports/model.ts';
import type { Store } from '#ports/store.ts';
import type { Offer, ServerTool, ToolContext, ToolResult, ToolSource } from '#ports/tools.ts';
import type { LiveRun, LiveRuns } from './live-runs.ts';
import { askSmall } from './small-question.ts';
import { askForQueries, readQueries, searchFailed, TOOLS_NOTE } from './web-prompts.ts';
import type { Research, WebResearch } from './web-research.ts';

/** What was looked up before the model is asked. */
export interface Prepared {
  /** For the system prompt; '' where nothing was looked up. */
  prompt: string;
  attempts: Attempt[];
  usage: Usage | null;
}

export interface Web extends ToolSource {
  /** @param hasTools whether the model is given the tools of the web. Never throws. */
  prepare(live: LiveRun, assistant: Assistant, hasTools: boolean): Promise<Prepared>;
}

const NOTHING: Prepared = { prompt: '', attempts: [], usage: null };
const NO_OFFER: Offer = { tools: [], notes: [] };
const MAX_QUERY = 300;
/** Rewriting the question: how much the model is shown and may write, and how long that may take. */
const REWRITE_MS = 10_000;
const REWRITE_TOKENS = 300;
const EXCERPT = 1000;
const EXCERPTS = 6;
const CONTEXT = 4000;
/** UTF-16 units of passages for one look: a share of the model's window, within bounds. */
const SHARE = 0.8;
const MIN_PASSAGES = 1500;
const MAX_PASSAGES = 12_000;

export function createWeb(parts: {
  research: WebResearch;
  models: Models;
  store: Store;
  liveRuns: LiveRuns;
  clock: Clock;
}): Web {
  const { research, models, store, liveRuns, clock } = parts;
  return { offer, prepare };

  async function prepare(live: LiveRun, assistant: Assistant, hasTools: boolean): Promise<Prepared> {
    const { run } = live;
    const wish = webSearchOf(run.request, assistant);
    if (wish === 'off' || (wish === 'auto' && hasTools)) return NOTHING;
    const said = await saidIn(run).catch(() => null);
    const question = textOf(said?.findLast(({ role }) => role === 'user')?.items ?? []);
    const plain = question.replace(/\s+/g, ' ').trim().slice(0, MAX_QUERY).toWellFormed();
    if (said === null || plain === '') return { ...NOTHING, prompt: searchFailed('there is no question in words') };
    const model = modelOf(run, assistant);
    const { queries, ...cost } = await queriesFor(live, model, said, plain, wish === 'auto');
    if (queries.length === 0 || live.cause !== null || live.discarded) return { ...cost, prompt: '' };
    const { text } = await research.search(researchOf(live), { queries, question, budget: budgetOf(model) });
    return { ...cost, prompt: text };
  }

  /** A first message stands for itself; what comes later is rewritten. A failure leaves it as it is. */
  async function queriesFor(
    live: LiveRun,
    model: ModelInfo | null,
    said: readonly ContextTurn[],
    plain: string,
    optional: boolean,
  ): Promise<{ queries: string[]; attempts: Attempt[]; usage: Usage | null }> {
    const isFirst = said.length === 1;
    if (model === null || model.provider === 'guide' || (isFirst && !optional)) {
      return { queries: [plain], attempts: [], usage: null };
    }
    const { text, attempt, usage } = await askSmall({ models, clock }, model, {
      system: askForQueries(optional, today()),
      text: excerptOf(said),
      maxTokens: REWRITE_TOKENS,
      timeoutMs: REWRITE_MS,
      signal: live.abort.signal,
    });
    const written = text === null ? null : readQueries(text);
    const queries = written === null || (written.length === 0 && !optional) ? [plain] : written;
    return { queries, attempts: [attempt], usage };
  }

  async function offer(run: Run, assistant: Assistant): Promise<Offer> {
    if (webSearchOf(run.request, assistant) === 'off') return NO_OFFER;
    const model = modelOf(run, assistant);
    if (model === null || model.tools === false) return NO_OFFER;
    const budget = budgetOf(model);
    const search: ServerTool = {
      ...SEARCH_TOOL,
      call: async ({ query }, context) => {
        if (typeof query !== 'string' || query.trim() === '') return failed('Give a query, as text.');
        const queries = [query.trim().slice(0, MAX_QUERY).toWellFormed()];
        return toResult(await research.search(context, { queries, question: query, budget }));
      },
    };
    const open: ServerTool = {
      ...OPEN_TOOL,
      call: async ({ url, find }, context) => {
        if (typeof url !== 'string' || !URL.canParse(url)) return failed('Give the whole address of a page, as text.');
        if (!(await mayOpen(url, context, assistant))) return failed(NOT_KNOWN);
        const question = typeof find === 'string' ? find : '';
        return toResult(await research.open(context, { url, question, budget }));
      },
    };
    return { tools: [search, open], notes: [`Today is ${today()}. ${TOOLS_NOTE}`] };
  }

  /**
   * A page can carry orders to open an address that tells its owner what was said here. So the model opens only what a
   * search found in this answer and what a person or the assistant's maker wrote: no address of its own making.
   */
  async function mayOpen(url: string, { run, answer }: ToolContext, assistant: Assistant): Promise<boolean> {
    const wanted = withoutHash(url);
    for (const item of answer.items) {
      if (item.type === 'web_search_call' && item.sources.some((source) => withoutHash(source.url) === wanted))
        return true;
    }
    const written = [run.request.instructions ?? assistant.instructions];
    for (const { role, items } of await saidIn(run)) {
      if (role !== 'assistant') written.push(textOf(items));
      for (const item of items) {
        if (item.type === 'web_search_call' && item.sources.some((source) => withoutHash(source.url) === wanted))
          return true;
      }
    }
    return written.some((text) => addressesIn(text).includes(wanted));
  }

  /** What was said up to the question, oldest first. */
  async function saidIn({ request, conversation, answers }: Run): Promise<ContextTurn[]> {
    if (request.context !== null) return request.context.filter(({ items }) => items.length > 0);
    if (conversation === null || answers === null) return [];
    const path = await store.readContext({ conversation, turn: answers, tokens: CONTEXT });
    return path.filter(({ items }) => items.length > 0);
  }

  function modelOf({ request }: Run, assistant: Assistant): ModelInfo | null {
    return models.find(request.model ?? assistant.model);
  }

  function researchOf(live: LiveRun): Research {
    const { answer, abort } = live;
    return { answer, signal: abort.signal, publish: (events) => liveRuns.publish(live, events) };
  }

  function today(): string {
    return new Date(clock.now()).toISOString().slice(0, 10);
  }
}

const SEARCH_TOOL = {
  name: 'web_search',
  server: 'web',
  needsApproval: false,
  description:
    'Searches the web and reads the best pages. Gives numbered passages to cite. Use it for what is recent, or what you are not sure of.',
  parameters: {
    type: 'object',
    properties: {
      query: { type: 'string', description: 'A few words, in the language of the pages that are wanted.' },
    },
    required: ['query'],
  },
};
const OPEN_TOOL = {
  name: 'open_page',
  server: 'web',
  needsApproval: false,
  description: 'Reads one page whose address a search gave or the person wrote. Gives numbered passages to cite.',
  parameters: {
    type: 'object',
    properties: {
      url: { type: 'string', description: 'The whole address.' },
      find: { type: 'string', description: 'What to look for in the page; without it, it is read from its beginning.' },
    },
    required: ['url'],
  },
};
const NOT_KNOWN =
  'This address came from neither a search nor the person, so it is not opened. Search for what you need, or ask the person for the address.';

function failed(text: string): ToolResult {
  return { text, isError: true };
}

function toResult({ text, failed: isError }: { text: string; failed: boolean }): ToolResult {
  return { text, isError };
}

function budgetOf(model: ModelInfo | null): number {
  return Math.max(MIN_PASSAGES, Math.min(MAX_PASSAGES, Math.floor((model?.window ?? 0) * SHARE)));
}

/** The end of a conversation, each turn shortened. */
function excerptOf(said: readonly ContextTurn[]): string {
  return said
    .slice(-EXCERPTS)
    .map(({ role, items }) => `${role === 'assistant' ? 'Assistant' : 'Person'}: ${textOf(items).slice(0, EXCERPT)}`)
    .join('\n\n');
}

const ADDRESS = /https?:\/\/[^\s<>"'`\]]{1,2048}/gi;

/** As they are written, and without what a sentence puts behind them. */
function addressesIn(text: string): string[] {
  return [...text.matchAll(ADDRESS)].flatMap(([address]) => [
    withoutHash(address),
    withoutHash(address.replace(/[.,;:!?)}*_]+$/, '')),
  ]);
}

function withoutHash(address: string): string {
  if (!URL.canParse(address)) return '';
  const url = new URL(address);
  url.hash = '';
  return url.href;
}
