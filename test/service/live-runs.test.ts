import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RunEvent, type TerminalEvent, unpackEvents } from '#core/event.ts';
import type { Run } from '#core/run.ts';
import type { LogBatch, Store } from '#ports/store.ts';
import { createLiveRuns, type Sink } from '#service/live-runs.ts';

const END: TerminalEvent = {
  type: 'run-ended',
  status: 'completed',
  finish: 'stop',
  error: null,
  usage: null,
  sources: [],
  at: 0,
};

/** Live runs over a log in memory and a clock that is moved by hand. */
function setUp() {
  const log: LogBatch[] = [];
  let failing = false;
  const timers: { at: number; task: () => void }[] = [];
  let time = 0;
  const store = {
    async appendEvents({ batches }: { batches: LogBatch[] }) {
      if (failing) throw new Error('disk full');
      log.push(...batches);
    },
    async readEvents({ run, after }: { run: string; after: number }) {
      return log
        .filter((batch) => batch.run === run && batch.last > after)
        .map(({ first, payload }) => {
          const skip = Math.max(0, after + 1 - first);
          return { first: first + skip, events: unpackEvents(payload).slice(skip) };
        });
    },
  } as unknown as Store;
  const clock = {
    now: () => time,
    monotonic: () => time,
    after(ms: number, task: () => void) {
      const timer = { at: time + ms, task };
      timers.push(timer);
      return () => void timers.splice(timers.indexOf(timer), 1);
    },
  };
  const liveRuns = createLiveRuns({ store, clock, flushMs: 50 });
  return {
    liveRuns,
    log,
    fail: (yes: boolean) => {
      failing = yes;
    },
    async advance(ms: number) {
      time += ms;
      for (const timer of timers.filter(({ at }) => at <= time)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.task();
      }
      await new Promise(setImmediate);
    },
  };
}

function run(id: string): Run {
  return { id, conversation: 'c', turn: 't', answers: 'q', status: 'started' } as Run;
}

function deltas(count: number, from = 0): RunEvent[] {
  return Array.from({ length: count }, (_, i) => ({ type: 'text-delta', item: 0, text: `${from + i} ` }));
}

/** A reader that takes everything unless `room` is false. */
function reader() {
  const got: { number: number; event: RunEvent }[] = [];
  const state = { got, room: true, gone: '', sink: null as unknown as Sink };
  state.sink = {
    events(first, events) {
      events.forEach((event, i) => {
        got.push({ number: first + i, event });
      });
      return state.room;
    },
    gone: (error) => {
      state.gone = error.code;
    },
  };
  return state;
}

const numbers = ({ got }: ReturnType<typeof reader>) => got.map(({ number }) => number);
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1);

test('events go to followers at once, and to the log with the next flush, all runs in one', async () => {
  const { liveRuns, log, advance } = setUp();
  const [a, b] = [liveRuns.open(run('a')), liveRuns.open(run('b'))];
  const one = reader();
  liveRuns.follow(a, 0, one.sink);
  liveRuns.publish(a, deltas(3));
  liveRuns.publish(b, deltas(2));
  assert.deepEqual(numbers(one), [1, 2, 3]);
  assert.equal(log.length, 0);
  await advance(50);
  assert.deepEqual(
    log.map(({ run, first, last }) => [run, first, last]),
    [
      ['a', 1, 3],
      ['b', 1, 2],
    ],
  );
});

test('a flush that finds only ending runs does not stop the flushes after it', async () => {
  const { liveRuns, log, advance } = setUp();
  const ending = liveRuns.open(run('ending'));
  liveRuns.publish(ending, deltas(1));
  await liveRuns.tail(ending, END);
  await advance(50);
  const next = liveRuns.open(run('next'));
  liveRuns.publish(next, deltas(1));
  await advance(50);
  assert.deepEqual(
    log.map((batch) => batch.run),
    ['next'],
  );
});

test('the tail is what the log lacks, without a gap or an overlap, and ends with the terminal event', async () => {
  const { liveRuns, log, advance } = setUp();
  const live = liveRuns.open(run('a'));
  liveRuns.publish(live, deltas(3));
  await advance(50);
  liveRuns.publish(live, deltas(2, 3));
  const { batch, lastEvent } = await liveRuns.tail(live, END);
  await advance(100);
  assert.equal(lastEvent, 6);
  const logged = [...log, batch];
  assert.deepEqual(
    logged.map(({ first, last }) => [first, last]),
    [
      [1, 3],
      [4, 6],
    ],
  );
  assert.equal(unpackEvents(batch.payload).at(-1)?.type, 'run-ended');
});

test('a log that fails loses nothing: what it refused is written when it takes again', async () => {
  const { liveRuns, log, advance, fail } = setUp();
  const live = liveRuns.open(run('a'));
  fail(true);
  liveRuns.publish(live, deltas(2));
  await advance(50);
  liveRuns.publish(live, deltas(2, 2));
  fail(false);
  await advance(500);
  assert.deepEqual(
    log.map(({ first, last }) => [first, last]),
    [[1, 4]],
  );
});

test('a reader that is behind gets nothing until it resumes, and then all, from window and log', async () => {
  const { liveRuns, advance } = setUp();
  const live = liveRuns.open(run('a'));
  const slow = reader();
  slow.room = false;
  const follower = liveRuns.follow(live, 0, slow.sink);
  for (let i = 0; i < 20; i++) {
    liveRuns.publish(live, deltas(100, i * 100));
    await advance(50);
  }
  assert.equal(slow.got.length, 100);
  slow.room = true;
  follower.resume();
  await advance(0);
  assert.deepEqual(numbers(slow), upTo(2000));
});

test('followers of any number, joining at any time, all get the same to the end', async () => {
  const { liveRuns, advance } = setUp();
  const live = liveRuns.open(run('a'));
  const readers = [0, 1, 150, 999].map((after) => ({ after, state: reader() }));
  for (let i = 0; i < 10; i++) {
    const joining = readers[i];
    if (joining !== undefined) liveRuns.follow(live, joining.after, joining.state.sink);
    liveRuns.publish(live, deltas(100, i * 100));
    await advance(50);
  }
  await liveRuns.tail(live, END);
  liveRuns.end(live, END);
  await advance(0);
  for (const { after, state } of readers) {
    assert.deepEqual(numbers(state), upTo(1001).slice(after));
    assert.equal(state.got.at(-1)?.event.type, 'run-ended');
  }
});

test('a deleted conversation: followers are told, waiters refused, nothing more is logged', async () => {
  const { liveRuns, log, advance } = setUp();
  const live = liveRuns.open(run('a'));
  const one = reader();
  liveRuns.follow(live, 0, one.sink);
  const result = assert.rejects(liveRuns.result(live), { code: 'not_found' });
  liveRuns.publish(live, deltas(1));
  liveRuns.discard(['a']);
  liveRuns.publish(live, deltas(1));
  await advance(50);
  await result;
  assert.equal(one.gone, 'not_found');
  assert.equal(live.abort.signal.aborted, true);
  assert.deepEqual(log, []);
});

test('what is kept in memory does not grow with the answer', async () => {
  const { liveRuns, advance } = setUp();
  const live = liveRuns.open(run('a'));
  for (let i = 0; i < 100; i++) {
    liveRuns.publish(live, deltas(100));
    await advance(50);
  }
  const { events } = live as unknown as { events: RunEvent[] };
  assert.ok(events.length <= 612, `${events.length} events are kept`);
});
