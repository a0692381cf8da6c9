/** Following a feed at the service: what a slow reader, a deleted cursor and a race with a commit are given. */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Change } from '../../src/core/change.ts';
import type { ServiceError } from '../../src/core/errors.ts';
import type { Principal } from '../../src/core/principal.ts';
import type { Store } from '../../src/ports/store.ts';
import { type ChangeFollower, createChanges } from '../../src/service/changes.ts';
import { describeStore } from '../contract/store/adapters.ts';
import { at, DAY, person } from '../contract/store/fixtures.ts';

function someone(): Principal {
  return { ...person(), scopes: ['read', 'write'], keyId: null, rates: null };
}

/** A reader that takes so many batches before it is behind. */
function reader(takes = Number.POSITIVE_INFINITY) {
  const numbers: number[] = [];
  const waiting = new Set<() => void>();
  let left = takes;
  let error: ServiceError | null = null;
  const tell = () => {
    for (const look of waiting) look();
  };
  return {
    numbers,
    error: () => error,
    more: (batches: number) => {
      left = batches;
    },
    sink: {
      changes(changes: readonly Change[]) {
        assert.ok(left > 0, 'a reader that is behind is given nothing');
        left--;
        numbers.push(...changes.map(({ number }) => number));
        tell();
        return left > 0;
      },
      gone(reason: ServiceError) {
        error = reason;
        tell();
      },
    },
    until: (done: () => boolean) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (!done()) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** As a database at the end of a socket: things are written while it reads. */
function slowToRead(store: Store): Store {
  return {
    ...store,
    async readChanges(read) {
      const feed = await store.readChanges(read);
      // About as long as a commit takes.
      for (let turns = 0; turns < 200; turns++) await new Promise(setImmediate);
      return feed;
    },
  };
}

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i + 1);

describeStore('Following a feed', (given) => {
  it('gives a slow reader what it can take, and the rest when it has room', async () => {
    const ann = someone();
    const changes = createChanges({ store: given.store });
    for (let i = 0; i < 250; i++) await at(given.store, ann).create();
    const slow = reader(1);
    const { start } = await changes.follow(ann, 0);
    const follower = start(slow.sink);
    await slow.until(() => slow.numbers.length > 0);
    await at(given.store, ann).create();
    assert.equal(slow.numbers.length, 100, 'one batch');
    for (const count of [200, 251]) {
      slow.more(1);
      follower.resume();
      await slow.until(() => slow.numbers.length === count);
    }
    assert.deepEqual(slow.numbers, upTo(0, 251));
    follower.stop();
  });

  it('tells a reader whose place is not kept any more', async () => {
    const ann = someone();
    const changes = createChanges({ store: given.store });
    for (let i = 0; i < 3; i++) await at(given.store, ann).create({}, DAY);
    const behind = reader(1);
    const { start } = await changes.follow(ann, 0);
    const follower = start(behind.sink);
    await behind.until(() => behind.numbers.length > 0);
    await at(given.store, ann).create({}, DAY);
    await at(given.store, ann).create({}, 40 * DAY);
    while (await given.store.sweep({ now: 41 * DAY }));
    behind.more(1);
    follower.resume();
    await behind.until(() => behind.error() !== null);
    assert.deepEqual([behind.error()?.code, behind.numbers], ['cursor_expired', [1, 2, 3]]);
  });

  it('gives nothing to whoever has stopped', async () => {
    const ann = someone();
    const changes = createChanges({ store: given.store });
    const [gone, stays] = [reader(), reader()];
    const { start } = await changes.follow(ann, null);
    const follower = start(gone.sink);
    start(stays.sink);
    follower.stop();
    await at(given.store, ann).create();
    await stays.until(() => stays.numbers.length === 1);
    assert.deepEqual(gone.numbers, []);
  });

  it('gives every reader every change after its place once, however joining, leaving and writing fall together', async () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.constant('write' as const) },
      { weight: 2, arbitrary: fc.constant('burst' as const) },
      { weight: 2, arbitrary: fc.constant('join' as const) },
      { weight: 1, arbitrary: fc.constant('leave' as const) },
      { weight: 1, arbitrary: fc.constant('rest' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const owner = someone();
        const ann = at(given.store, owner);
        const changes = createChanges({ store: slowToRead(given.store) });
        const readers: { from: number; reader: ReturnType<typeof reader>; follower: ChangeFollower }[] = [];
        const writes: Promise<unknown>[] = [];
        for (const what of steps) {
          if (what === 'write') writes.push(ann.create());
          if (what === 'burst') for (let i = 0; i < 5; i++) writes.push(ann.create());
          if (what === 'rest') await new Promise(setImmediate);
          if (what === 'leave') readers.pop()?.follower.stop();
          if (what !== 'join') continue;
          const one = reader();
          const { from, start } = await changes.follow(owner, null);
          readers.push({ from, reader: one, follower: start(one.sink) });
        }
        await Promise.all(writes);
        for (const { from, reader: one, follower } of readers) {
          await one.until(() => one.numbers.length >= writes.length - from);
          assert.deepEqual(one.numbers, upTo(from, writes.length));
          follower.stop();
        }
      }),
      { numRuns: 60 },
    );
  });
});
