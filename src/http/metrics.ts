/** What `/metrics` tells, in the Prometheus text format. Labels are names of dialects and routes, never ids or users. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, Registry } from 'prom-client';

/** What the rest of the server is asked for at each scrape. */
export interface MetricSources {
  /** Runs being written or waiting for their turn. */
  openRuns(): number;
  /** Runs ended since the start, by status. */
  endedRuns(): Record<string, number>;
  /** Units that wait for the writer. */
  writerQueue(): number;
}

/** Counts one answer of a route: its status, and when the request came, in milliseconds on the monotonic clock. */
export type RouteMeter = (status: number, since: number) => void;

/** Answers of one route with one status. Counted here: a general histogram costs more than the rest of a small answer. */
interface Series {
  labels: string;
  /** Answers by the first bucket they fit in; the last one has no bound. */
  counts: Float64Array;
  /** Milliseconds. */
  sum: number;
}

export type Metrics = ReturnType<typeof createMetrics>;

const REQUESTS = 'parlance_http_request_seconds';
/** Milliseconds. */
const BUCKETS = [1, 2.5, 5, 10, 25, 100, 500, 2500, 10_000, 60_000];

export function createMetrics(parts: { sources: MetricSources; connections(): number; monotonic(): number }) {
  const { sources, connections, monotonic } = parts;
  const series: Series[] = [];
  const registry = new Registry();
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();

  gauge('parlance_runs_open', 'Answers being written or waiting for their turn', () => sources.openRuns());
  gauge('parlance_followers', 'Open event streams and WebSockets', connections);
  gauge('parlance_writer_queue', 'Units that wait for the database writer', () => sources.writerQueue());
  gauge('parlance_event_loop_delay_p99_seconds', 'Event-loop delay since the last scrape, 99th percentile', () => {
    const p99 = delay.percentile(99) / 1e9;
    delay.reset();
    return Number.isNaN(p99) ? 0 : p99;
  });
  gauge('parlance_resident_memory_bytes', 'Memory of the process', () => process.memoryUsage.rss());
  gauge('parlance_uptime_seconds', 'Time since the process started', () => process.uptime());
  new Gauge({
    name: 'parlance_runs_ended_total',
    help: 'Answers ended since the start, by status',
    labelNames: ['status'],
    registers: [registry],
    collect() {
      for (const [status, count] of Object.entries(sources.endedRuns())) this.set({ status }, count);
    },
  });

  return { meter, text, close: () => delay.disable() };

  /** The meter of one route. */
  function meter(dialect: string, method: string, route: string): RouteMeter {
    const byStatus = new Map<number, Series>();
    return (status, since) => {
      const ms = monotonic() - since;
      let one = byStatus.get(status);
      if (one === undefined) {
        const labels = `dialect="${dialect}",method="${method}",route="${route}",status="${status}"`;
        one = { labels, counts: new Float64Array(BUCKETS.length + 1), sum: 0 };
        byStatus.set(status, one);
        series.push(one);
      }
      let bucket = 0;
      while (bucket < BUCKETS.length && ms > (BUCKETS[bucket] ?? 0)) bucket++;
      one.counts[bucket] = (one.counts[bucket] ?? 0) + 1;
      one.sum += ms;
    };
  }

  async function text(): Promise<{ text: string; contentType: string }> {
    const lines = [
      `# HELP ${REQUESTS} Time from the head of a request to the head of its answer`,
      `# TYPE ${REQUESTS} histogram`,
      ...series.flatMap(linesOf),
    ];
    return { text: `${lines.join('\n')}\n\n${await registry.metrics()}`, contentType: registry.contentType };
  }

  function gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value());
      },
    });
  }
}

function linesOf({ labels, counts, sum }: Series): string[] {
  let count = 0;
  const lines = BUCKETS.map((bound, i) => {
    count += counts[i] ?? 0;
    return `${REQUESTS}_bucket{${labels},le="${bound / 1000}"} ${count}`;
  });
  count += counts[BUCKETS.length] ?? 0;
  return [
    ...lines,
    `${REQUESTS}_bucket{${labels},le="+Inf"} ${count}`,
    `${REQUESTS}_sum{${labels}} ${sum / 1000}`,
    `${REQUESTS}_count{${labels}} ${count}`,
  ];
}
