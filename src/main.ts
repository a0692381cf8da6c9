/**
 * The composition root: config → adapters → services → dialects → http. The only place that knows everything; it decides
 * nothing.
 */

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { systemClock as clock, systemIds as ids } from './adapters/clock/system.ts';
import { createMcp, type Mcp } from './adapters/mcp/mcp.ts';
import { createGuide } from './adapters/model/guide/guide.ts';
import { createModels } from './adapters/model/models.ts';
import type { ModelRegistry } from './adapters/model/registry.ts';
import { createSeal } from './adapters/seal/aes-gcm.ts';
import { openSqliteStore } from './adapters/store/sqlite.ts';
import { createPageReader } from './adapters/web-page/page-reader.ts';
import { createWebSearch } from './adapters/web-search/web-search.ts';
import type { Config } from './config.ts';
import { aiSdk } from './dialects/ai-sdk/routes.ts';
import { ask } from './dialects/ask/routes.ts';
import { chatSessions } from './dialects/chat-sessions/routes.ts';
import { chats } from './dialects/chats/routes.ts';
import { conversations } from './dialects/conversations/routes.ts';
import { movieChat } from './dialects/movie-chat/routes.ts';
import { openaiChat } from './dialects/openai-chat/routes.ts';
import { openaiConversations } from './dialects/openai-conversations/routes.ts';
import { openaiResponses } from './dialects/openai-responses/routes.ts';
import { parlance } from './dialects/parlance/routes.ts';
import { accessRules } from './http/access.ts';
import type { Dialect } from './http/route.ts';
import { createServer } from './http/server.ts';
import type { ModelState } from './http/session.ts';
import type { ToolSource } from './ports/tools.ts';
import { createAdmit } from './service/admit.ts';
import { createApprovals } from './service/approvals.ts';
import { createAssistants } from './service/assistants.ts';
import { createAuthenticate, createKeyCache } from './service/authenticate.ts';
import { createBeforeInput } from './service/before-input.ts';
import { createBranches } from './service/branches.ts';
import { createChanges } from './service/changes.ts';
import { createCompaction } from './service/compaction.ts';
import { createCompletions } from './service/completions.ts';
import { createConversations } from './service/conversations.ts';
import { createFollowRun } from './service/follow-run.ts';
import { createItems } from './service/items.ts';
import { createKeys, type IssuedKey } from './service/keys.ts';
import { createLiveRuns } from './service/live-runs.ts';
import { createModelCalls } from './service/model-calls.ts';
import { recoverRuns } from './service/recover-runs.ts';
import { createResponses } from './service/responses.ts';
import { createRunBounds } from './service/run-bounds.ts';
import { createRunLoop } from './service/run-loop.ts';
import { createSearch } from './service/search.ts';
import { createMessages } from './service/send-message.ts';
import type { Services } from './service/services.ts';
import { createSessions } from './service/sessions.ts';
import { startSweep } from './service/sweep.ts';
import { createTickets } from './service/tickets.ts';
import { createTimeLimits } from './service/time-limits.ts';
import { createTitles } from './service/titles.ts';
import { createToolCalls } from './service/tool-calls.ts';
import { createToolRounds } from './service/tool-rounds.ts';
import { createUsage } from './service/usage.ts';
import { createWeb } from './service/web.ts';
import { createWebResearch } from './service/web-research.ts';

/** A running server. */
export interface Running {
  /** `http://127.0.0.1:8000`, one for each address it listens on. */
  urls: string[];
  /** Keyless requests of this machine are answered. */
  local: boolean;
  /** Only at the first start: the one time the owner's key is seen. */
  ownerKey: IssuedKey | null;
  models: ModelRegistry;
  /** What a crash had left: answers ended as incomplete, and queued ones started. */
  recovered: { ended: number; started: number };
  /**
   * Takes no new work, lets answers finish up to the configured time, ends the rest as incomplete, and closes. A second
   * call waits for the first.
   */
  close(): Promise<void>;
}

/** What answers that were waited for have to leave in, once the last run has ended. */
const AFTER_DRAIN_MS = 2_000;

/** Of the secret of `adapters/seal`. */
const SEAL_BYTES = 32;

export const VERSION: string = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version;

/** Where `npm run build` puts the web app. */
const WEB_FOLDER = fileURLToPath(new URL('../web/dist', import.meta.url));

/** Adding a dialect is adding a folder and one line here. */
export function dialectsOf(services: Services): Dialect[] {
  return [
    movieChat,
    chatSessions,
    conversations,
    chats,
    ask,
    openaiChat,
    openaiResponses,
    openaiConversations,
    aiSdk,
    parlance,
  ].map((dialect) => dialect(services));
}

/** The models of a configuration, looked for once: for `doctor` and `model list`. The guide is never among them. */
export function openModels(config: Config): ModelRegistry {
  return createModels(config.models, { guide: null, clock });
}

/** The MCP servers of a configuration; none is connected yet. */
export function openMcp(config: Config, onProblem: (says: string) => void): Mcp {
  return createMcp(config.mcpServers, { clock, version: VERSION, proxy: config.models.proxy, onProblem });
}

/** Starts the server. Throws errors whose message is a sentence for the person at the terminal. */
export async function serve(config: Config): Promise<Running> {
  const log = pino({ level: config.logLevel }, pino.destination({ dest: 2, sync: false }));
  const onProblem = (problem: Error) => log.warn({ err: problem }, 'The database met a problem that can wait');
  const store = await openSqliteStore({ folder: config.data, exclusive: true, now: clock.now, onProblem });
  const access = { listen: config.listen.hosts, ...config.access };
  const { local } = accessRules(access);
  const models = createModels(config.models, { guide: local ? createGuide({ clock }) : null, clock });
  const onError = (error: unknown, run?: string) => log.error({ err: error, run }, 'A run met an unexpected error');

  const assistants = createAssistants(config.assistants);
  const liveRuns = createLiveRuns({ store, clock, flushMs: config.bounds.flushMs });
  const engines = createWebSearch({ ...config.search, proxy: config.models.proxy });
  const { pages, robots, allow } = config.web;
  const reader = createPageReader({ robots, allow });
  const research = createWebResearch({ engines, reader, pages, clock, ids });
  const web = createWeb({ research, models, store, liveRuns, clock });
  const onCompleted = createTitles({ store, models, clock, ids, mode: config.titles, onError });
  const limits = { ...config.timeouts, maxAnswer: config.bounds.maxAnswer };
  const timeLimits = createTimeLimits({ clock, liveRuns, limits });
  const modelCalls = createModelCalls({ store, models, liveRuns, timeLimits, clock, ids, limits, onError });
  const toolCalls = createToolCalls({ liveRuns, timeLimits, clock, ids, limits: config.tools });
  const approvals = createApprovals({ store, liveRuns, toolCalls, clock, ids });
  const { rounds } = config.tools;
  const mcp = openMcp(config, (says) => log.warn(says));
  const sources: ToolSource[] = [web, mcp];
  const toolRounds = createToolRounds({ modelCalls, toolCalls, approvals, assistants, web, sources, rounds });
  const runLoop = createRunLoop({ store, liveRuns, toolRounds, clock, onCompleted, onError });
  const cache = createKeyCache({ store, clock });
  const keys = createKeys({ store, clock, ids, cache, publicUrl: config.access.publicUrl });
  const sessions = createSessions({ store, clock, ids, keys: cache });
  const runBounds = createRunBounds({ liveRuns, bounds: config.bounds });
  const messages = createMessages({ store, clock, ids, liveRuns, runLoop, runBounds });
  const runs = createFollowRun({ store, liveRuns, runLoop, clock });
  const completions = createCompletions({ store, models, liveRuns, runLoop, messages, runBounds, runs, clock, ids });
  const conversationsService = createConversations({ store, clock, ids, liveRuns });
  const usage = createUsage({ store, clock, prices: config.prices });
  const before = createBeforeInput({ store, models, assistants, runs });
  const seal = createSeal(await store.keepSecret({ name: 'seal', value: ids.secret(SEAL_BYTES) }));
  const compaction = createCompaction({ models, assistants, before, completions, seal, clock, ids });
  const services: Services = {
    authenticate: createAuthenticate({ keys: cache, findSession: sessions.find, clock, ids }),
    admit: createAdmit({ clock, rates: config.rates }),
    conversations: conversationsService,
    messages,
    branches: createBranches({
      store,
      assistants,
      conversations: conversationsService,
      messages,
      runs,
      cost: usage.cost,
    }),
    runs,
    completions,
    compaction,
    responses: createResponses({
      store,
      models,
      assistants,
      before,
      compaction,
      liveRuns,
      messages,
      completions,
      runs,
      clock,
    }),
    search: createSearch({ store, clock }),
    items: createItems({ store, clock, ids }),
    keys,
    assistants,
    changes: createChanges({ store }),
    tickets: createTickets({ store, clock, ids }),
    usage,
  };

  let closing: Promise<void> | null = null;
  const server = await createServer({
    options: {
      ...access,
      ...config.bounds,
      port: config.listen.port,
    },
    dialects: dialectsOf(services),
    gate: {
      authenticate: services.authenticate,
      redeemTicket: services.tickets.redeem,
      admit: services.admit.admit,
    },
    isLive: ({ tenant, keyId, session }) =>
      session === undefined ? keys.isLive(tenant, keyId ?? '') : sessions.isOpen(session),
    system: {
      health: async () => (closing === null ? store.health(false) : { ok: false, problems: ['Shutting down.'] }),
      redeem: keys.redeem,
      sessions,
      listUsers: keys.pageUsers,
      models: () => stateOf(models),
      webFolder: WEB_FOLDER,
    },
    metrics: { openRuns: liveRuns.count, endedRuns: liveRuns.endedCounts, writerQueue: store.queued },
    digest: ids.digest,
    clock,
    log,
    version: VERSION,
  });

  try {
    await models.start();
    const recovered = await recoverRuns({ store, liveRuns, runLoop, clock });
    const urls = await server.listen();
    // Last: a start that fails must not have used up the one time its secret is seen.
    const ownerKey = await keys.ensureOwnerKey(config.ownerKey);
    const stopSweep = startSweep({ store, clock, onError });
    const close = async () => {
      stopSweep();
      server.stop();
      await runLoop.drain(config.timeouts.drain);
      // What has just ended is still to be said on its stream or socket: that takes no longer than one turn.
      await new Promise(setImmediate);
      await Promise.all([server.close(AFTER_DRAIN_MS), mcp.close(), reader.close()]);
      await models.close();
      await store.close();
    };
    return {
      urls,
      local,
      ownerKey,
      models,
      recovered,
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await mcp.close();
    await models.close();
    await store.close();
    throw error;
  }
}

function stateOf(models: ModelRegistry): ModelState {
  const model = models.find(null);
  return {
    default: model?.id ?? null,
    guide: model?.provider === 'guide',
    problem: model === null ? models.why() : null,
    providers: models.sources(),
    not_found: models.notFound(),
  };
}
