import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { removeTrailingCommas } from '../../../src/dialects/chat-sessions/decode.ts';

describe('a body with trailing commas', () => {
  const rows: [given: string, read: string][] = [
    ['{\n  "title" : "new chat",\n}', '{\n  "title" : "new chat"\n}'],
    ['{"a":1,}', '{"a":1}'],
    ['{"a":[1,2, ],\r\n\t}', '{"a":[1,2 ]\r\n\t}'],
    ['{"a":{"b":1,},}', '{"a":{"b":1}}'],
    ['{"a":",}"}', '{"a":",}"}'],
    ['{"a":"\\",}",}', '{"a":"\\",}"}'],
    ['{"a":"\\\\",}', '{"a":"\\\\"}'],
  ];
  for (const [given, read] of rows) {
    test(`${JSON.stringify(given)} is read as ${JSON.stringify(read)}`, () => {
      assert.equal(removeTrailingCommas(given), read);
    });
  }

  const wrong = ['{"a":1,,}', '{"a":1;}', '{"a":"x,}', '{"a":"x\\",}', ',', '{"a",}', '{"a":1},'];
  for (const given of wrong) {
    test(`${JSON.stringify(given)} stays malformed`, () => {
      assert.throws(() => JSON.parse(removeTrailingCommas(given)), SyntaxError);
    });
  }

  test('valid JSON is never changed', () => {
    fc.assert(
      fc.property(fc.json(), fc.integer({ min: 0, max: 3 }), (json, indent) => {
        const text = JSON.stringify(JSON.parse(json), null, indent);
        assert.equal(removeTrailingCommas(text), text);
        assert.equal(removeTrailingCommas(json), json);
      }),
    );
  });

  test('a comma behind every last entry changes nothing of what is read', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        assert.deepEqual(
          JSON.parse(removeTrailingCommas(withTrailingCommas(value))),
          JSON.parse(JSON.stringify(value)),
        );
      }),
    );
  });

  test('no text makes it slow: a megabyte of quotes and backslashes is read in one pass', () => {
    for (const unit of ['"\\"', ', ', '",', '[,', '"\\']) {
      const text = unit.repeat(1_000_000 / unit.length);
      const before = performance.now();
      removeTrailingCommas(text);
      assert.ok(performance.now() - before < 1000, `${JSON.stringify(unit)} took a second`);
    }
  });
});

/** JSON with a comma behind the last entry of everything that is not empty. */
function withTrailingCommas(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Array.isArray(value)
    ? value.map(withTrailingCommas)
    : Object.entries(value).map(([name, inner]) => `${JSON.stringify(name)}: ${withTrailingCommas(inner)}`);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  return `${open}${entries.map((entry) => `${entry} ,\n`).join('')}${close}`;
}
