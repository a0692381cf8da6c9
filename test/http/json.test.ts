import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ServiceError } from '../../src/core/errors.ts';
import { MAX_DEPTH, MAX_VALUES, parseJson } from '../../src/http/json.ts';

/** The sentence a text is refused with. */
function refusal(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    assert.ok(error instanceof ServiceError && error.code === 'invalid_request', String(error));
    return error.message;
  }
  assert.fail(`${text.slice(0, 60)} was taken`);
}

const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

test('reads what JSON.stringify wrote', () => {
  const wellFormed = (value: unknown) =>
    !JSON.stringify(value).includes('\\u0000') && !JSON.stringify(value).includes('"__proto__"');
  const json = fc
    .jsonValue({ maxDepth: 20 })
    .filter((value) => JSON.stringify(value).isWellFormed() && wellFormed(value));
  fc.assert(
    fc.property(json, (value) => {
      const text = JSON.stringify(value);
      if (/\\ud[89a-f]/.test(text)) return;
      assert.deepEqual(parseJson(text), JSON.parse(text));
    }),
  );
});

test('takes a text if and only if JSON.parse does, within the limits', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'{}[]:,"\\ab1u0.-e \n') }), (text) => {
      let parsed: unknown;
      let fits = true;
      try {
        parsed = JSON.parse(text);
      } catch {
        fits = false;
      }
      if (text.includes('\\u0000')) fits = false;
      if (fits) assert.deepEqual(parseJson(text), parsed);
      else refusal(text);
    }),
    { numRuns: 2000 },
  );
});

describe('depth', () => {
  test(`${MAX_DEPTH} levels are taken`, () => assert.ok(Array.isArray(parseJson(nested(MAX_DEPTH)))));
  for (const depth of [MAX_DEPTH + 1, 10_000, 1_000_000]) {
    test(`${depth} levels are refused`, () => assert.match(refusal(nested(depth)), /nested deeper than 100/));
  }
  test('brackets in a text are not levels', () => {
    const text = '['.repeat(500);
    assert.deepEqual(parseJson(JSON.stringify({ text })), { text });
    assert.deepEqual(parseJson(JSON.stringify({ text: `\\"${text}\n` })), { text: `\\"${text}\n` });
  });
  test('levels beside each other do not add up', () => {
    const wide = Array.from({ length: 300 }, () => [[{}]]);
    assert.deepEqual(parseJson(JSON.stringify(wide)), wide);
  });
});

describe('size', () => {
  test('a large array is taken', () => {
    assert.equal((parseJson(`[${'0,'.repeat(200_000)}0]`) as number[]).length, 200_001);
  });
  for (const [name, text] of [
    ['numbers', `[${'0,'.repeat(1_000_000)}0]`],
    ['objects', `[${'{},'.repeat(MAX_VALUES)}0]`],
    ['properties', `{${Array.from({ length: MAX_VALUES }, (_, i) => `"${i}":0`).join(',')}}`],
  ] as const) {
    test(`too many ${name} are refused before they are built`, () =>
      assert.match(refusal(text), /more than 250000 values/));
  }
});

describe('text', () => {
  for (const text of ['{"a":"\\u0000"}', '{"\\u0000":1}', '["\\\\\\u0000"]', '"x\\u0000y"']) {
    test(`U+0000 is refused: ${text}`, () => assert.match(refusal(text), /U\+0000/));
  }
  for (const text of [
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud800\\ud800"',
    '"\\udc00\\ud800"',
    '"\\uD83Dx"',
    '{"\\ud83d":1}',
    '"\\ud800\\u0041"',
  ]) {
    test(`half a surrogate pair is refused: ${text}`, () => assert.match(refusal(text), /half a surrogate pair/));
  }
  test('whole pairs and what only looks like an escape are taken', () => {
    assert.equal(parseJson('"\\ud83d\\ude00\\uD83D\\uDE00"'), '😀😀');
    assert.equal(parseJson('"\\\\u0000"'), '\\u0000');
    assert.equal(parseJson('"\\\\ud800"'), '\\ud800');
    assert.equal(parseJson('"\\u0001\\u001f"'), '\u0001\u001f');
  });
  test('a byte order mark is not part of the text', () => assert.deepEqual(parseJson('\ufeff{"a":1}'), { a: 1 }));
  test('what is malformed is said to be, with the place', () => {
    assert.match(refusal('{"a":1,}'), /^The body is not valid JSON: .*position 7/);
    refusal('');
    refusal('{');
    refusal('"\\u00g0"');
    refusal('"\\u00');
    refusal('"abc');
  });
});

describe('__proto__', () => {
  for (const text of [
    '{"__proto__":{"x":1},"a":1}',
    '{"\\u005f_proto__":{"x":1},"a":1}',
    '{"__pr\\u006fto__":{"x":1},"a":1}',
  ]) {
    test(`is left out: ${text}`, () => {
      const value = parseJson(text) as Record<string, unknown>;
      assert.deepEqual(Object.getOwnPropertyNames(value), ['a']);
      assert.equal(value.x, undefined);
    });
  }
  test('is left out of what is within', () => {
    const value = parseJson('{"a":[{"b":{"__proto__":{"x":1}}}]}') as { a: { b: object }[] };
    assert.deepEqual(Object.getOwnPropertyNames(value.a[0]?.b), []);
  });
  test('constructor is a name like any other', () => {
    assert.deepEqual(Object.keys(parseJson('{"constructor":{"prototype":{"x":1}}}') as object), ['constructor']);
    assert.equal(({} as { x?: number }).x, undefined);
  });
});
