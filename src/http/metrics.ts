/** What `/metrics` tells, in the Prometheus text format. Labels are names of dialects and routes, never ids or users. */

import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, Histogram, Registry } from 'prom-client';

/** What the rest of the server is asked for at each scrape. */
export interface MetricSources {
  /** Runs being written or waiting for their turn. */
  openRuns(): number;
  /** Runs ended since the start, by status. */
  endedRuns(): Record<string, number>;
  /** Units that wait for the writer. */
  writerQueue(): number;
}

/** Counts one answer of a route: its status, and when the request came, on the monotonic clock. */
export type RouteMeter = (status: number, since: number) => void;

export type Metrics = ReturnType<typeof createMetrics>;

/** Seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10, 60];

export function createMetrics(parts: { sources: MetricSources; connections(): number; monotonic(): number }) {
  const { sources, connections, monotonic } = parts;
  const registry = new Registry();
  const registers = [registry];
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();

  const requests = new Histogram({
    name: 'parlance_http_request_seconds',
    help: 'Time from the head of a request to the head of its answer',
    labelNames: ['dialect', 'method', 'route', 'status'],
    buckets: BUCKETS,
    registers,
  });
  gauge('parlance_runs_open', 'Answers being written or waiting for their turn', () => sources.openRuns());
  gauge('parlance_followers', 'Open event streams and WebSockets', connections);
  gauge('parlance_writer_queue', 'Units that wait for the database writer', () => sources.writerQueue());
  gauge('parlance_event_loop_delay_p99_seconds', 'Event-loop delay since the last scrape, 99th percentile', () => {
    const p99 = Number.isNaN(delay.percentile(99)) ? 0 : delay.percentile(99) / 1e9;
    delay.reset();
    return p99;
  });
  gauge('parlance_resident_memory_bytes', 'Memory of the process', () => process.memoryUsage.rss());
  gauge('parlance_uptime_seconds', 'Time since the process started', () => process.uptime());
  new Gauge({
    name: 'parlance_runs_ended_total',
    help: 'Answers ended since the start, by status',
    labelNames: ['status'],
    registers,
    collect() {
      for (const [status, count] of Object.entries(sources.endedRuns())) this.set({ status }, count);
    },
  });

  return { meter, text, close: () => delay.disable() };

  /** The meter of one route. */
  function meter(dialect: string, method: string, route: string): RouteMeter {
    const byStatus = new Map<number, ReturnType<typeof requests.labels>>();
    return (status, since) => {
      let child = byStatus.get(status);
      if (child === undefined) {
        child = requests.labels({ dialect, method, route, status: String(status) });
        byStatus.set(status, child);
      }
      child.observe((monotonic() - since) / 1000);
    };
  }

  async function text(): Promise<{ text: string; contentType: string }> {
    return { text: await registry.metrics(), contentType: registry.contentType };
  }

  function gauge(name: string, help: string, value: () => number): void {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  }
}
