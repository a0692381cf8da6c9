import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { createIds, systemClock, systemIds } from '../../../src/adapters/clock/system.ts';
import { parseUuid } from '../../../src/core/ids.ts';

const V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

test('every id is a UUIDv7 and greater than the one before, however the clock jumps', () => {
  const times = fc.array(fc.integer({ min: 1, max: 2 ** 47 }), { minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(times, fc.integer({ min: 1, max: 20 }), (jumps, perJump) => {
      let now = 0;
      const ids = createIds(() => now);
      let before = '';
      for (now of jumps) {
        for (let i = 0; i < perJump; i++) {
          const id = ids.uuid();
          assert.match(id, V7);
          assert.equal(parseUuid(id), id);
          assert.ok(id > before, `${id} does not come after ${before}`);
          before = id;
        }
      }
    }),
  );
});

test('an id begins with the time it was made at', () => {
  const at = 0x0192_3456_789a;
  assert.ok(
    createIds(() => at)
      .uuid()
      .startsWith('01923456-789a-7'),
  );
});

test('ids made in one millisecond stay in order beyond the 4096 its counter tells apart', () => {
  const ids = createIds(() => 1_000_000);
  const made = Array.from({ length: 10_000 }, () => ids.uuid());
  assert.deepEqual(made, made.toSorted());
  assert.equal(new Set(made).size, made.length);
});

test('the random part of an id differs from id to id, over more than one pool of randomness', () => {
  const tails = Array.from({ length: 2000 }, () => systemIds.uuid().slice(19));
  assert.equal(new Set(tails).size, tails.length);
});

test('a secret has the bytes asked for, and is never the same', () => {
  const [a, b] = [systemIds.secret(32), systemIds.secret(32)];
  assert.match(a, /^[0-9a-f]{64}$/);
  assert.notEqual(a, b);
});

test('a digest is SHA-256 of the text in UTF-8', () => {
  // FIPS 180-2, appendix B.1; the second from sha256sum.
  assert.equal(systemIds.digest('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
  assert.equal(systemIds.digest('é'), '4a99557e4033c3539de2eb65472017cad5f9557f7a0625a09f1c3f6e2ba69c4c');
});

test('a task runs once after its time, and never when it was cancelled', async () => {
  let cancelled = 0;
  systemClock.after(1, () => cancelled++)();
  const before = systemClock.monotonic();
  // Not kept alive by the timer itself, so the test holds the process.
  const hold = setInterval(() => undefined, 1000);
  await new Promise<void>((resolve) => systemClock.after(10, resolve));
  clearInterval(hold);
  assert.ok(systemClock.monotonic() - before >= 9);
  assert.equal(cancelled, 0);
});
