import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nameTools } from '../../../src/adapters/mcp/names.ts';

test('a tool is named after its server and itself', () => {
  assert.deepEqual(
    [...nameTools('files', ['read_file', 'list dir'])],
    [
      ['files__read_file', 'read_file'],
      ['files__list_dir', 'list dir'],
    ],
  );
});

test('any tools get as many valid names, the same ones each time', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }), { maxLength: 300 }),
      (tools) => {
        const named = nameTools('server', tools);
        assert.deepEqual([...named.values()], tools);
        for (const name of named.keys()) assert.match(name, /^[A-Za-z0-9_-]{1,64}$/);
        assert.deepEqual([...nameTools('server', tools)], [...named]);
      },
    ),
  );
});
