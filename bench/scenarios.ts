/** The scenarios: each measures its subjects in turn, several rounds, and gives its result as Markdown. */
import { type Bench, measured, type Scenario } from './bench.ts';
import { history } from './history-scenario.ts';
import type { Call, StreamsResult, WritersResult } from './load.ts';
import { type Running, residentMiB, stop } from './processes.ts';
import {
  completion,
  direct,
  keyed,
  makeChats,
  newFolder,
  parlance,
  parsingRelay,
  pipe,
  type Subject,
  startParlance,
  storeNothing,
  undiciRelay,
} from './subjects.ts';
import { type Column, differenceLines, type Rounds, ratioLines, resultTable, type Sample } from './table.ts';
import { type Script, scriptPrompt, tokenText } from './tokens.ts';

/**
 * Starts the subjects, lets each warm up in a round that does not count, measures them A B A B, and stops them.
 * What went wrong in a stream or a request is told on stderr, and counted in the sample.
 */
async function inTurn(
  bench: Bench,
  subjects: Subject[],
  rounds: number,
  round: (subject: Subject, server: Running, warmUp: boolean) => Promise<Sample>,
): Promise<Rounds> {
  const chosen = subjects.filter(({ name }) => bench.only.length === 0 || bench.only.includes(name.toLowerCase()));
  const servers = new Map<Subject, Running>();
  const results: Rounds = new Map(chosen.map(({ name }) => [name, []]));
  try {
    for (const subject of chosen) servers.set(subject, await subject.start(bench));
    for (const [subject, server] of servers) await round(subject, server, true);
    for (let i = 0; i < rounds; i++) {
      for (const [subject, server] of servers) results.get(subject.name)?.push(await round(subject, server, false));
    }
  } finally {
    for (const server of servers.values()) if (server !== bench.model) await stop(server.child);
  }
  return results;
}

function report(subject: Subject, failures: string[]): void {
  for (const failure of failures) console.error(`${subject.name}: ${failure}`);
}

const MISSING: Column = { key: 'missing', title: 'missing tokens', digits: 0, sum: true };
const FAILED: Column = { key: 'failed', title: 'failed', digits: 0, sum: true };
const PEAK: Column = { key: 'peakMiB', title: 'peak RSS, MiB', digits: 0 };
const BUSY: Column = { key: 'busy', title: 'server busy, %', digits: 0 };
const CPU_MTOK: Column = { key: 'cpuPerMtok', title: 'CPU s per 10⁶ tokens', digits: 2 };
const TOKENS_CORE: Column = { key: 'perCore', title: 'tokens/s/core', digits: 0 };
const TOKEN_COLUMNS: Column[] = [
  TOKENS_CORE,
  CPU_MTOK,
  { key: 'mainPerMtok', title: 'of it the main thread', digits: 2 },
  { key: 'perSecond', title: 'tokens/s seen', digits: 0 },
];

interface Streaming {
  streams: number;
  lanes: number;
  rampMs: number;
  script: Script;
  stamped: boolean;
}

/** One round of streams, as a sample; `missing` holds what was lost on the way and what was not stored whole. */
async function streamRound(bench: Bench, subject: Subject, server: Running, size: Streaming): Promise<Sample> {
  const { tokens } = size.script;
  const calls = await subject.streamCalls(bench, server, size.streams, scriptPrompt(size.script));
  const { lanes, rampMs, stamped } = size;
  const [result, usage] = await measured(server, () =>
    bench.load<StreamsResult>({
      kind: 'streams',
      origin: server.origin,
      format: subject.format,
      calls,
      lanes,
      rampMs,
      tokens,
      stamped,
    }),
  );
  const unstored = stamped ? 0 : await subject.notStored(bench, server, calls, tokens);
  if (unstored > 0) report(subject, [`${unstored} answers were not stored whole`]);
  report(subject, result.failures);
  return {
    perCore: result.tokens / usage.cpu,
    cpuPerMtok: (usage.cpu / result.tokens) * 1e6,
    mainPerMtok: (usage.mainCpu / result.tokens) * 1e6,
    perSecond: (result.tokens / result.wallMs) * 1000,
    busy: (usage.cpu / result.wallMs) * 1e5,
    missing: result.missing + unstored * tokens,
    failed: result.failed,
    peakMiB: usage.peakMiB,
    kibPerStream: (usage.grewMiB * 1024) / lanes,
    firstP50: result.firstToken.p50,
    firstP99: result.firstToken.p99,
    delayP50: result.delay.p50,
    delayP99: result.delay.p99,
    delayMax: result.delay.max,
    lateMs: Math.max(
      0,
      result.wallMs - rampMs - ('perSecond' in size.script ? (tokens / size.script.perSecond) * 1000 : 0),
    ),
  };
}

const burst: Scenario = {
  title: 'Burst: streams of tokens that come in big writes',
  async run(bench) {
    const { streams = 1000, lanes = 50, tokens = 200, perWrite = 25, rounds = 5 } = bench.sizes;
    const size = { streams, lanes, rampMs: 0, script: { tokens, perWrite }, stamped: false };
    const results = await inTurn(bench, [pipe, parsingRelay, undiciRelay, parlance], rounds, (subject, server) =>
      streamRound(bench, subject, server, size),
    );
    return [
      `${streams} streams of ${tokens} tokens a round, ${lanes} at once, ${perWrite} tokens in a write; ${rounds} rounds.`,
      resultTable(results, [...TOKEN_COLUMNS, BUSY, MISSING, FAILED, PEAK]),
      ratioLines(results, parlance.name, TOKENS_CORE),
    ].join('\n\n');
  },
};

const paced: Scenario = {
  title: 'Paced: many slow streams',
  async run(bench) {
    const { streams = 1000, rate = 20, seconds = 10, rounds = 2 } = bench.sizes;
    const size = {
      streams,
      lanes: streams,
      rampMs: Math.min(1000, seconds * 100),
      script: { tokens: Math.round(rate * seconds), perSecond: rate },
      stamped: true,
    };
    const warm = { streams: 300, lanes: 50, rampMs: 0, script: { tokens: 200, perWrite: 1 }, stamped: false };
    const results = await inTurn(bench, [pipe, parlance], rounds, (subject, server, warmUp) =>
      streamRound(bench, subject, server, warmUp ? warm : size),
    );
    const delayP99: Column = { key: 'delayP99', title: 'delay p99, ms', digits: 1 };
    return [
      `${streams} streams at once, ${rate} tokens/s each, for ${seconds} s; ${rounds} rounds. Delay: from the model's write to the reader.`,
      resultTable(results, [
        CPU_MTOK,
        { key: 'mainPerMtok', title: 'of it the main thread', digits: 2 },
        { key: 'delayP50', title: 'delay p50, ms', digits: 1 },
        delayP99,
        { key: 'delayMax', title: 'delay max, ms', digits: 0 },
        { key: 'lateMs', title: 'last end late by, ms', digits: 0 },
        { key: 'kibPerStream', title: 'KiB a stream', digits: 0 },
        BUSY,
        MISSING,
        FAILED,
        PEAK,
      ]),
      ratioLines(results, parlance.name, CPU_MTOK),
      ratioLines(results, parlance.name, delayP99),
    ].join('\n\n');
  },
};

const REQUESTS_SECOND: Column = { key: 'perSecond', title: 'requests/s', digits: 0 };
const CPU_REQUEST: Column = { key: 'cpuPerRequest', title: 'CPU µs a request', digits: 0 };
const REQUEST_COLUMNS: Column[] = [
  REQUESTS_SECOND,
  CPU_REQUEST,
  { key: 'mainPerRequest', title: 'of it the main thread', digits: 0 },
  { key: 'p50', title: 'p50, ms', digits: 1 },
  { key: 'p99', title: 'p99, ms', digits: 1 },
  BUSY,
  FAILED,
  PEAK,
];

/** One round of writers that send their call again and again, as a sample. */
async function writersRound(
  bench: Bench,
  subject: Subject,
  server: Running,
  calls: Call[],
  seconds: number,
  holds: string,
): Promise<Sample> {
  const [result, usage] = await measured(server, () =>
    bench.load<WritersResult>({ kind: 'writers', origin: server.origin, calls, seconds, holds }),
  );
  report(subject, result.failures);
  return {
    perSecond: (result.count / result.wallMs) * 1000,
    cpuPerRequest: (usage.cpu / result.count) * 1e6,
    mainPerRequest: (usage.mainCpu / result.count) * 1e6,
    p50: result.latency.p50,
    p99: result.latency.p99,
    busy: (usage.cpu / result.wallMs) * 1e5,
    failed: result.failed,
    peakMiB: usage.peakMiB,
  };
}

const store: Scenario = {
  title: 'Store: one message over HTTP, committed and fsynced before its answer',
  async run(bench) {
    const { writers = 64, seconds = 3, rounds = 5 } = bench.sizes;
    const message = 'The quick brown fox jumps over the lazy dog. '.repeat(4);
    const results = await inTurn(bench, [storeNothing, parlance], rounds, async (subject, server, warmUp) => {
      const chats =
        subject === parlance
          ? await makeChats(bench, server, writers, null)
          : Array.from({ length: writers }, () => crypto.randomUUID());
      const calls = chats.map((chat_id): Call => {
        const body = JSON.stringify({ chat_id, role: 'Human', message });
        return { method: 'POST', path: '/conversations/create', headers: keyed, body };
      });
      return writersRound(bench, subject, server, calls, warmUp ? 1 : seconds, '"chat_id":"');
    });
    return [
      `${writers} writers, ${message.length} characters, ${seconds} s a round; ${rounds} rounds.`,
      resultTable(results, REQUEST_COLUMNS),
      ratioLines(results, parlance.name, REQUESTS_SECOND),
    ].join('\n\n');
  },
};

const exchange: Scenario = {
  title: 'Exchange: a question and its whole answer as JSON',
  async run(bench) {
    const { writers = 64, tokens = 50, perWrite = 25, seconds = 3, rounds = 5 } = bench.sizes;
    const prompt = scriptPrompt({ tokens, perWrite });
    const last = JSON.stringify(tokenText(tokens - 1)).slice(1, -1);
    const ask: Call = { method: 'POST', path: '/ask', headers: keyed, body: JSON.stringify({ prompt }) };
    const results = await inTurn(bench, [parsingRelay, parlance], rounds, (subject, server, warmUp) => {
      const call = subject === parlance ? ask : completion(prompt, false);
      const calls = Array.from({ length: writers }, () => call);
      return writersRound(bench, subject, server, calls, warmUp ? 1 : seconds, `${last}"`);
    });
    return [
      `${writers} clients, answers of ${tokens} tokens, ${seconds} s a round; ${rounds} rounds. Parlance stores both messages.`,
      resultTable(results, REQUEST_COLUMNS),
      ratioLines(results, parlance.name, REQUESTS_SECOND),
    ].join('\n\n');
  },
};

const firstToken: Scenario = {
  title: 'First token: how long until the first text is there',
  async run(bench) {
    const { streams = 300, lanes = 1, tokens = 5, perWrite = 1, rounds = 5 } = bench.sizes;
    const size = { streams, lanes, rampMs: 0, script: { tokens, perWrite }, stamped: false };
    const subjects = [direct, pipe, parsingRelay, undiciRelay, parlance];
    const results = await inTurn(bench, subjects, rounds, (subject, server) =>
      streamRound(bench, subject, server, size),
    );
    const p50: Column = { key: 'firstP50', title: 'first token p50, ms', digits: 3 };
    return [
      `${streams} streams a round, ${lanes} at a time; ${rounds} rounds. Parlance commits the run before it asks the model.`,
      resultTable(results, [p50, { key: 'firstP99', title: 'p99, ms', digits: 2 }, MISSING, FAILED]),
      differenceLines(results, parlance.name, p50),
    ].join('\n\n');
  },
};

const idle: Scenario = {
  title: 'Idle: the start, and the memory of a server without work',
  async run(bench) {
    const { rounds = 3 } = bench.sizes;
    const results: Rounds = new Map();
    const sample = async (name: string, data: string) => {
      const server = await startParlance(bench, data);
      await new Promise((resolve) => setTimeout(resolve, 2000));
      const samples = results.get(name) ?? [];
      samples.push({ readyMs: server.readyMs, residentMiB: residentMiB(server.pid) });
      results.set(name, samples);
      await stop(server.child);
    };
    const data = newFolder(bench);
    await sample('first start: new data folder, nothing cached', data);
    for (let i = 0; i < rounds; i++) await sample('later start', data);
    return resultTable(results, [
      { key: 'readyMs', title: 'spawn to /readyz, ms', digits: 0 },
      { key: 'residentMiB', title: 'RSS after 2 s, MiB', digits: 0 },
    ]);
  },
};

/** By the name they have on the command line, in the order they run. */
export const scenarios: Record<string, Scenario> = {
  burst,
  paced,
  store,
  exchange,
  'first-token': firstToken,
  idle,
  history,
};
