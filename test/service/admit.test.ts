import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ServiceError } from '#core/errors.ts';
import type { Principal } from '#core/principal.ts';
import { createAdmit } from '#service/admit.ts';

function setUp(rates = { perMinute: 100, perHour: 1000 }) {
  let time = 5_000_000;
  const clock = { now: () => 0, monotonic: () => time, after: () => () => {} };
  const { admit } = createAdmit({ clock, rates });
  return { admit, advance: (ms: number) => (time += ms) };
}

const alice: Principal = {
  tenant: 't',
  user: 'alice',
  scopes: ['read', 'write'],
  keyId: 'k',
  rates: null,
  keyless: false,
  findsKeyless: false,
};

function burst(admit: ReturnType<typeof setUp>['admit'], principal: Principal, times: number): number {
  let admitted = 0;
  for (let i = 0; i < times; i++) {
    try {
      admit(principal, 'run');
      admitted++;
    } catch (error) {
      assert.ok(error instanceof ServiceError && error.code === 'rate_limited');
    }
  }
  return admitted;
}

test('exactly 100 of 1,000 at once', () => {
  const { admit } = setUp();
  assert.equal(burst(admit, alice, 1000), 100);
});

test('exactly 1,000 an hour, in any minutes', () => {
  const { admit, advance } = setUp();
  let admitted = 0;
  for (let minute = 0; minute < 59; minute++) {
    admitted += burst(admit, alice, 150);
    advance(60_000);
  }
  assert.equal(admitted, 1000);
});

test('the window slides: a place is free again one minute after it was taken, and not before', () => {
  const { admit, advance } = setUp();
  burst(admit, alice, 50);
  advance(30_000);
  assert.equal(burst(admit, alice, 100), 50);
  advance(29_999);
  assert.equal(burst(admit, alice, 10), 0);
  advance(1);
  assert.equal(burst(admit, alice, 100), 50);
});

test('a rejected request uses up nothing', () => {
  const { admit, advance } = setUp();
  burst(admit, alice, 5000);
  advance(60_000);
  assert.equal(burst(admit, alice, 200), 100);
});

test('two keys of one user share a count, two users do not', () => {
  const { admit } = setUp();
  burst(admit, alice, 60);
  assert.equal(burst(admit, { ...alice, keyId: 'other' }, 100), 40);
  assert.equal(burst(admit, { ...alice, user: 'bob' }, 100), 100);
});

test('a refusal names the limit, how it is raised, and when to come back', () => {
  const { admit, advance } = setUp();
  burst(admit, alice, 100);
  advance(20_000);
  assert.throws(
    () => admit(alice, 'run'),
    (error: ServiceError) => {
      assert.match(error.message, /100 requests per minute.*PARLANCE_RATE_PER_MINUTE/);
      assert.equal(error.details.headers?.['retry-after'], '40');
      return true;
    },
  );
});

test('what is left is told of the window with the least left', () => {
  const { admit } = setUp();
  assert.deepEqual(admit(alice, 'run'), { limit: 100, remaining: 99, reset: 60 });
});

test('0 switches a limit off; a key may have its own', () => {
  const { admit } = setUp({ perMinute: 0, perHour: 0 });
  assert.equal(admit(alice, 'run'), null);
  assert.equal(burst(admit, { ...alice, rates: { perMinute: 7, perHour: 0 } }, 20), 7);
});

test('requests that start no run have a bucket ten times as large', () => {
  const { admit } = setUp({ perMinute: 2, perHour: 0 });
  for (let i = 0; i < 20; i++) admit(alice, 'light');
  assert.throws(() => admit(alice, 'light'), { code: 'rate_limited' });
  assert.equal(burst(admit, alice, 5), 2);
});
