/**
 * The load generator: a process of its own that takes jobs over its message channel. It opens streams and checks every
 * token of them, or sends requests from many writers, and gives back counts and times.
 */
import { Client, type Dispatcher } from 'undici';
import { answerText, checkStamped, checkText, type TokenCheck } from './tokens.ts';

export interface Call {
  method: 'GET' | 'POST';
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** How a server writes a delta: as a Chat Completions chunk, or as text with an `id:` (dialect 3). */
export type Format = 'chat' | 'entries';

/** Opens a stream for every call, `lanes` at a time, the first of each lane spread over `rampMs`. */
export interface StreamsJob {
  kind: 'streams';
  origin: string;
  calls: Call[];
  lanes: number;
  rampMs: number;
  format: Format;
  tokens: number;
  stamped: boolean;
}

/** One writer for every call, sending it again and again for `seconds`; a right answer is 2xx and holds `holds`. */
export interface WritersJob {
  kind: 'writers';
  origin: string;
  calls: Call[];
  seconds: number;
  holds: string;
}

/**
 * Sends writes evenly, `perSecond` of them, whether the ones before are answered or not; and beside them, one after the
 * other, the calls of each of `reads`.
 */
export interface BesideJob {
  kind: 'beside';
  origin: string;
  writes: Call[];
  perSecond: number;
  reads: Record<string, Call[]>;
  seconds: number;
}

/** Sends every call once, `lanes` at a time, and gives back the bodies in order. */
export interface CallsJob {
  kind: 'calls';
  origin: string;
  calls: Call[];
  lanes: number;
}

/** Milliseconds. */
export interface Quantiles {
  p50: number;
  p99: number;
  max: number;
}

export interface StreamsResult {
  tokens: number;
  /** Expected and never seen, in streams that failed, too. */
  missing: number;
  failed: number;
  wallMs: number;
  firstToken: Quantiles;
  /** From the model to here; of stamped tokens only. */
  delay: Quantiles;
  failures: string[];
}

export interface WritersResult {
  count: number;
  failed: number;
  wallMs: number;
  latency: Quantiles;
  failures: string[];
}

/** By the names of the reads, and `writes`. */
export type BesideResult = Record<string, WritersResult>;

export type Job = StreamsJob | WritersJob | BesideJob | CallsJob;

function quantiles(values: number[]): Quantiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

/** Runs `work` for every call, `lanes` at a time, each lane on a connection of its own. */
async function inLanes(
  origin: string,
  calls: Call[],
  lanes: number,
  rampMs: number,
  work: (client: Client, call: Call, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async (number: number) => {
    if (rampMs > 0) await new Promise((resolve) => setTimeout(resolve, (rampMs * number) / lanes));
    const client = new Client(origin);
    for (let index = next++; index < calls.length; index = next++) await work(client, calls[index] as Call, index);
    await client.close();
  };
  await Promise.all(Array.from({ length: Math.min(lanes, calls.length) }, (_, number) => lane(number)));
}

interface Answer {
  status: number;
  body: string;
}

function send(client: Client, call: Call): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let body = '';
    client.dispatch(request(call), {
      onRequestStart() {},
      onResponseStart(_, statusCode) {
        status = statusCode;
      },
      onResponseData(_, chunk) {
        body += chunk.toString('latin1');
      },
      onResponseEnd: () => resolve({ status, body }),
      onResponseError: (_, error) => reject(error),
    });
  });
}

function request(call: Call): Dispatcher.DispatchOptions {
  return { method: call.method, path: call.path, headers: call.headers, body: call.body ?? null };
}

/** What one SSE event means to the bench. */
type Seen = { text: string } | { end: true } | { failure: string } | null;

const CONTENT = '"content":"';

/** Reads a Chat Completions chunk without parsing it where nothing in it is escaped. */
function readChunk(event: string): Seen {
  if (event === 'data: [DONE]') return { end: true };
  const at = event.indexOf(CONTENT);
  if (at < 0) return event.startsWith('data: {"error"') ? { failure: event } : null;
  const text = event.slice(at + CONTENT.length, event.indexOf('"', at + CONTENT.length));
  if (!text.includes('\\')) return { text };
  const chunk = JSON.parse(event.slice(6)) as { choices: { delta: { content?: string } }[] };
  return { text: chunk.choices[0]?.delta.content ?? '' };
}

/** Reads an event of dialect 3: text, `done`, or `error`; comments mean nothing. */
function readEntryEvent(event: string): Seen {
  let text: string | null = null;
  let name = 'message';
  for (const line of event.split('\n')) {
    if (line.startsWith('data: ')) text = text === null ? line.slice(6) : `${text}\n${line.slice(6)}`;
    else if (line.startsWith('event: ')) name = line.slice(7);
  }
  if (text === null) return null;
  if (name === 'message') return { text };
  if (name === 'done') return text.includes('"finish_reason":"stop"') ? { end: true } : { failure: text };
  return { failure: `${name}: ${text}` };
}

const readers = { chat: readChunk, entries: readEntryEvent };

/** Follows one stream to its end; resolves with what was wrong, or null. */
function follow(
  client: Client,
  call: Call,
  read: (event: string) => Seen,
  check: TokenCheck,
  onFirstToken: (ms: number) => void,
): Promise<string | null> {
  return new Promise((resolve) => {
    const began = performance.now();
    let status = 0;
    let rest = '';
    let ended = false;
    let failure: string | null = null;
    const take = (event: string) => {
      const seen = read(event);
      if (seen === null || failure !== null) return;
      if ('end' in seen) ended = true;
      else if ('failure' in seen) failure = seen.failure;
      else if (seen.text !== '') {
        if (check.count() === 0) onFirstToken(performance.now() - began);
        if (!check.take(seen.text)) failure = `out of place after token ${check.count()}: ${JSON.stringify(seen.text)}`;
      }
    };
    client.dispatch(request(call), {
      onRequestStart() {},
      onResponseStart(_, statusCode) {
        status = statusCode;
      },
      onResponseData(_, bytes) {
        const text = rest + bytes.toString('latin1');
        let from = 0;
        for (let to = text.indexOf('\n\n'); to >= 0; to = text.indexOf('\n\n', from)) {
          take(text.slice(from, to));
          from = to + 2;
        }
        rest = text.slice(from);
      },
      onResponseEnd() {
        if (status !== 200) resolve(`status ${status}: ${rest.slice(0, 200)}`);
        else resolve(failure ?? (ended ? null : `no end after token ${check.count()}`));
      },
      onResponseError: (_, error) => resolve(error.message),
    });
  });
}

async function streams(job: StreamsJob): Promise<StreamsResult> {
  const firstTokens: number[] = [];
  const delays: number[] = [];
  const failures: string[] = [];
  const expected = job.stamped ? '' : answerText(job.tokens);
  let tokens = 0;
  const began = performance.now();
  await inLanes(job.origin, job.calls, job.lanes, job.rampMs, async (client, call) => {
    const check = job.stamped ? checkStamped((ms) => delays.push(ms)) : checkText(expected);
    const failure = await follow(client, call, readers[job.format], check, (ms) => firstTokens.push(ms));
    if (failure !== null) failures.push(failure);
    tokens += check.count();
  });
  return {
    tokens,
    missing: job.calls.length * job.tokens - tokens,
    failed: failures.length,
    wallMs: performance.now() - began,
    firstToken: quantiles(firstTokens),
    delay: quantiles(delays),
    failures: failures.slice(0, 3),
  };
}

async function writers(job: WritersJob): Promise<WritersResult> {
  const latencies: number[] = [];
  const failures: string[] = [];
  const began = performance.now();
  const deadline = began + job.seconds * 1000;
  await inLanes(job.origin, job.calls, job.calls.length, 0, async (client, call) => {
    for (let sent = performance.now(); sent < deadline; sent = performance.now()) {
      const answer = await send(client, call);
      if (answer.status < 200 || answer.status > 299 || !answer.body.includes(job.holds)) {
        failures.push(`status ${answer.status}: ${answer.body.slice(0, 200)}`);
        if (failures.length > 100) return;
      } else latencies.push(performance.now() - sent);
    }
  });
  return {
    count: latencies.length,
    failed: failures.length,
    wallMs: performance.now() - began,
    latency: quantiles(latencies),
    failures: failures.slice(0, 3),
  };
}

/** Writes of which so many are open at once are more than the server can take. */
const WRITE_LANES = 64;
const PACE_MS = 10;

async function beside(job: BesideJob): Promise<BesideResult> {
  const began = performance.now();
  const deadline = began + job.seconds * 1000;
  const results: BesideResult = {};
  const measure = async (
    name: string,
    work: (time: (client: Client, call: Call) => Promise<void>) => Promise<void>,
  ) => {
    const latencies: number[] = [];
    const failures: string[] = [];
    await work(async (client, call) => {
      const sent = performance.now();
      const answer = await send(client, call).catch((error) => ({ status: 0, body: String(error) }));
      if (answer.status >= 200 && answer.status < 300) latencies.push(performance.now() - sent);
      else failures.push(`status ${answer.status}: ${answer.body.slice(0, 200)}`);
    });
    results[name] = {
      count: latencies.length,
      failed: failures.length,
      wallMs: performance.now() - began,
      latency: quantiles(latencies),
      failures: failures.slice(0, 3),
    };
  };
  const reading = Object.entries(job.reads).map(([name, list]) =>
    measure(name, async (time) => {
      const client = new Client(job.origin);
      for (let i = 0; performance.now() < deadline; i++) await time(client, list[i % list.length] as Call);
      await client.close();
    }),
  );
  const writing = measure('writes', async (time) => {
    const clients = Array.from({ length: WRITE_LANES }, () => new Client(job.origin));
    const open = new Set<Promise<void>>();
    let sent = 0;
    while (performance.now() < deadline) {
      const due = Math.floor(((performance.now() - began) * job.perSecond) / 1000);
      for (; sent < due; sent++) {
        const call = job.writes[sent % job.writes.length] as Call;
        const it = time(clients[sent % WRITE_LANES] as Client, call).finally(() => open.delete(it));
        open.add(it);
      }
      await new Promise((resolve) => setTimeout(resolve, PACE_MS));
    }
    await Promise.all(open);
    await Promise.all(clients.map((client) => client.close()));
  });
  await Promise.all([...reading, writing]);
  return results;
}

async function calls(job: CallsJob): Promise<string[]> {
  const bodies: string[] = [];
  await inLanes(job.origin, job.calls, job.lanes, 0, async (client, call, index) => {
    const answer = await send(client, call);
    if (answer.status > 299) throw new Error(`${call.method} ${call.path} gave ${answer.status}: ${answer.body}`);
    bodies[index] = answer.body;
  });
  return bodies;
}

function run(job: Job): Promise<unknown> {
  if (job.kind === 'streams') return streams(job);
  if (job.kind === 'beside') return beside(job);
  return job.kind === 'writers' ? writers(job) : calls(job);
}

process.on('message', (job: Job) => {
  run(job).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit(0));
