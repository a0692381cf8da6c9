import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatConversationId, formatUuidV7, parseConversationRef, parseUuid } from '#core/ids.ts';

const ID = '0198c7c1-5d00-7000-8000-5717b3fc2c96';

test('the three forms of a conversation', () => {
  assert.deepEqual(parseConversationRef(ID), { by: 'id', id: ID });
  assert.deepEqual(parseConversationRef(formatConversationId(ID)), { by: 'id', id: ID });
  assert.deepEqual(parseConversationRef(ID.toUpperCase()), { by: 'id', id: ID });
  assert.deepEqual(parseConversationRef('12'), { by: 'number', number: 12 });
});

for (const text of ['', '0', '-1', '01', '1.5', '1e3', 'abc', `conv_${ID}x`, ID.slice(1), '9'.repeat(16), ' 1']) {
  test(`"${text}" is none of them`, () => assert.equal(parseConversationRef(text), null));
}

test('UUIDv7: well-formed, ordered by time and then by counter', () => {
  const bytes = fc.uint8Array({ minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(fc.nat(2 ** 40), fc.nat(4094), bytes, bytes, (ms, counter, a, b) => {
      const id = formatUuidV7(ms, counter, a);
      assert.equal(parseUuid(id), id);
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.ok(id < formatUuidV7(ms, counter + 1, b));
      assert.ok(id < formatUuidV7(ms + 1, 0, b));
    }),
  );
});
