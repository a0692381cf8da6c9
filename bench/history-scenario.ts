/** Reading and searching a large history while others write. */
import type { Bench, Scenario } from './bench.ts';
import { buildHistory, wordOfRank } from './history.ts';
import type { BesideResult, Call } from './load.ts';
import { type Running, stop } from './processes.ts';
import { keyed, newFolder, startParlance } from './subjects.ts';
import { type Column, type Rounds, resultTable } from './table.ts';

/** Of the words' ranks: one in nearly every message, and ones in every tenth, hundredth … message. */
const RANKS = [0, 10, 100, 1000, 10_000];
/** Conversations that are written to and read. */
const CHATS = 200;
const INDEX_MINUTES = 15;

const COLUMNS: Column[] = [
  { key: 'p50', title: 'p50, ms', digits: 2 },
  { key: 'p99', title: 'p99, ms', digits: 2 },
  { key: 'max', title: 'max, ms', digits: 1 },
  { key: 'second', title: 'a second', digits: 0 },
  { key: 'failed', title: 'failed', digits: 0, sum: true },
];

const get = (path: string): Call => ({ method: 'GET', path, headers: keyed });
/** The space ends the word: without it its beginning is searched for. */
const search = (rank: number, more = '') => get(`/v1/conversations?limit=20&query=${wordOfRank(rank)}%20${more}`);

export const history: Scenario = {
  title: 'History: many messages, read and searched while 500 a second are written',
  async run(bench) {
    const { messages = 100_000, rounds = 2, seconds = 5, rate = 500 } = bench.sizes;
    const { conversations = Math.ceil(messages / 100) } = bench.sizes;
    const folder = newFolder(bench);
    const built = performance.now();
    const ids = await buildHistory(folder, { messages, conversations });
    const buildSeconds = (performance.now() - built) / 1000;
    const server = await startParlance(bench, folder);
    try {
      const indexSeconds = await waitForIndex(bench, server);
      const chats = ids.slice(-CHATS);
      const message = 'The quick brown fox jumps over the lazy dog. '.repeat(4);
      const writes = chats.map((chat_id): Call => {
        const body = JSON.stringify({ chat_id, role: 'Human', message });
        return { method: 'POST', path: '/conversations/create', headers: keyed, body };
      });
      const reads = {
        'last 50 of a conversation': chats.map((id) => get(`/v1/conversations/conv_${id}/items?limit=50`)),
        'list of 50': [get('/v1/conversations?limit=50')],
        'newest matches of a word': RANKS.map((rank) => search(rank)),
      };
      const ranked = { 'best matches of a word': RANKS.map((rank) => search(rank, '&sort=best')) };
      const results: Rounds = new Map();
      const measure = async (writing: string, beside: Record<string, Call[]>) => {
        const job = { kind: 'beside', origin: server.origin, writes, perSecond: rate, reads: beside, seconds } as const;
        collect(results, writing, await bench.load<BesideResult>(job));
      };
      for (let i = 0; i < rounds; i++) {
        await measure('writes alone', {});
        await measure('writes beside the reads', reads);
        await measure('writes beside ranked search', ranked);
      }
      return [
        `${messages} messages in ${conversations} conversations of one user (built in ${buildSeconds.toFixed(0)} s, indexed by the server in ${indexSeconds.toFixed(0)} s); ${rate} messages a second are written throughout; ${seconds} s a round, ${rounds} rounds. Each read waits for its answer, then asks again; the words are in nearly every message to few.`,
        resultTable(results, COLUMNS),
      ].join('\n\n');
    } finally {
      await stop(server.child);
    }
  },
};

/** The server begins to index with the first search. */
async function waitForIndex(bench: Bench, server: Running): Promise<number> {
  const began = performance.now();
  const calls = [search(0)];
  while (performance.now() - began < INDEX_MINUTES * 60_000) {
    const [body = '{}'] = await bench.load<string[]>({ kind: 'calls', origin: server.origin, calls, lanes: 1 });
    if (JSON.parse(body).complete) return (performance.now() - began) / 1000;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`The index was not made within ${INDEX_MINUTES} minutes.`);
}

function collect(results: Rounds, writing: string, result: BesideResult): void {
  for (const [read, { count, failed, wallMs, latency, failures }] of Object.entries(result)) {
    const name = read === 'writes' ? writing : read;
    for (const failure of failures) console.error(`${name}: ${failure}`);
    const samples = results.get(name) ?? [];
    samples.push({ ...latency, failed, second: (count * 1000) / wallMs });
    results.set(name, samples);
  }
}
