import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { packEvents, type RunEvent } from '../../../src/core/event.ts';
import { CRASH_GAP } from '../../../src/core/run.ts';
import type { LogBatch } from '../../../src/ports/store.ts';
import { describeStore } from './adapters.ts';
import { at, ending, person, terminal, uuid } from './fixtures.ts';

const delta = (text: string): RunEvent => ({ type: 'text-delta', item: 0, text });

function batch(run: string, first: number, events: RunEvent[]): LogBatch {
  return { run, first, last: first + events.length - 1, payload: packEvents(events) };
}

describeStore('The log of a run', (given) => {
  const read = (run: string, after = 0, limit = 1000) => given.store.readEvents({ run, after, limit });

  it('gives back what was appended, from any number on, cut at it', async () => {
    const { run } = await at(given.store, person()).ask('Hello');
    const started: RunEvent = { type: 'run-started', at: 5 };
    await given.store.appendEvents({ batches: [batch(run.id, 1, [started, delta('a'), delta('b')])] });
    await given.store.appendEvents({ batches: [batch(run.id, 4, [delta('c')])] });
    assert.deepEqual(await read(run.id), [
      { first: 1, events: [started, delta('a'), delta('b')] },
      { first: 4, events: [delta('c')] },
    ]);
    assert.deepEqual(await read(run.id, 2), [
      { first: 3, events: [delta('b')] },
      { first: 4, events: [delta('c')] },
    ]);
    assert.deepEqual(await read(run.id, 3), [{ first: 4, events: [delta('c')] }]);
    assert.deepEqual(await read(run.id, 4), []);
    assert.deepEqual(await read(run.id, 1_000_000), []);
  });

  it('gives about as many events as asked for, oldest first, so that a reader gets on', async () => {
    const { run } = await at(given.store, person()).ask('Hello');
    const batches = Array.from({ length: 50 }, (_, i) => batch(run.id, i * 2 + 1, [delta(`${i}`), delta('!')]));
    await given.store.appendEvents({ batches });
    const page = await read(run.id, 0, 10);
    const count = page.reduce((sum, { events }) => sum + events.length, 0);
    assert.equal(page[0]?.first, 1);
    assert(count >= 10 && count <= 12, `${count} events`);
  });

  it('ends with the terminal event, also where numbers were left out before it', async () => {
    const { run } = await at(given.store, person()).ask('Hello');
    await given.store.appendEvents({ batches: [batch(run.id, 1, [delta('a'), delta('b')])] });
    const end = terminal('incomplete');
    const lastEvent = 2 + CRASH_GAP;
    await given.store.finishRun(ending(run.id, 'incomplete', { end, lastEvent }));
    const last = { first: lastEvent, events: [end] };
    assert.deepEqual(await read(run.id), [{ first: 1, events: [delta('a'), delta('b')] }, last]);
    assert.deepEqual(await read(run.id, 2), [last]);
    assert.deepEqual(await read(run.id, 50_000), [last]);
    assert.deepEqual(await read(run.id, lastEvent), []);
  });

  it('takes the last text and the end of a run in one', async () => {
    const { run } = await at(given.store, person()).ask('Hello');
    const end = terminal('completed');
    const tail = batch(run.id, 1, [delta('all'), end]);
    await given.store.finishRun(ending(run.id, 'completed', { end, lastEvent: 2, tail }));
    assert.deepEqual(await read(run.id), [{ first: 1, events: [delta('all'), end] }]);
  });

  it('takes nothing after the end', async () => {
    const { run } = await at(given.store, person()).ask('Hello');
    await given.store.finishRun(ending(run.id, 'completed'));
    await given.store.appendEvents({ batches: [batch(run.id, 2, [delta('late')])] });
    assert.equal((await read(run.id)).length, 1);
  });

  it('drops what comes for a run that is gone, and keeps the rest of the flush', async () => {
    const ann = at(given.store, person());
    const gone = await ann.ask('Gone');
    const there = await ann.ask('There');
    await ann.remove(gone.conversation.id);
    const batches = [gone.run.id, there.run.id, uuid()].map((run) => batch(run, 1, [delta('x')]));
    await given.store.appendEvents({ batches });
    assert.deepEqual(await read(gone.run.id), []);
    assert.equal((await read(there.run.id)).length, 1);
  });

  it('brings nothing back to life of conversations deleted while their answers are written', async () => {
    const owner = person();
    const ann = at(given.store, owner);
    const asked = await Promise.all(Array.from({ length: 40 }, (_, i) => ann.ask(`${i}`)));
    const writes = asked.flatMap(({ run, conversation }) => [
      given.store.appendEvents({ batches: [batch(run.id, 1, [delta('a')])] }),
      ann.remove(conversation.id),
      given.store.appendEvents({ batches: [batch(run.id, 2, [delta('b')])] }),
      given.store.finishRun(ending(run.id, 'completed', { lastEvent: 3 })),
    ]);
    await Promise.all(writes);
    for (const { run, conversation, answer } of asked) {
      assert.equal(await ann.find(conversation.id), null);
      assert.equal(await given.store.findTurn(owner, answer.id), null);
      assert.equal(await given.store.findRun(owner, run.id), null);
      assert.deepEqual(await read(run.id), []);
    }
  });

  it('keeps the logs of many runs apart, read from any number in pages of any size', async () => {
    const flush = fc.array(fc.record({ run: fc.nat(3), size: fc.integer({ min: 1, max: 4 }) }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(flush, { maxLength: 8 }),
        fc.nat(20),
        fc.integer({ min: 1, max: 7 }),
        async (flushes, after, limit) => {
          const ann = at(given.store, person());
          const runs = await Promise.all(Array.from({ length: 4 }, async () => (await ann.ask('?')).run.id));
          const logs = runs.map((): RunEvent[] => []);
          for (const batches of flushes) {
            await given.store.appendEvents({
              batches: batches.map(({ run, size }) => {
                const log = logs[run] ?? [];
                const events = Array.from({ length: size }, (_, i) => delta(`${run}:${log.length + i + 1}`));
                log.push(...events);
                return batch(runs[run] ?? '', log.length - size + 1, events);
              }),
            });
          }
          for (const [i, run] of runs.entries()) {
            const seen: RunEvent[] = [];
            for (let from = after; ; ) {
              const page = await read(run, from, limit);
              if (page.length === 0) break;
              for (const { first, events } of page) {
                assert.equal(first, from + 1);
                seen.push(...events);
                from += events.length;
              }
            }
            assert.deepEqual(seen, (logs[i] ?? []).slice(after));
          }
        },
      ),
      { numRuns: 40 },
    );
  });
});
