/** `Idempotency-Key`: retrying is safe. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer, Client } from '../../support/server.ts';
import { type DialectRules, type House, nameOf, type RuleCall, refused, send, stored, unchanged } from './dialect.ts';

export function testOnce(rules: DialectRules, house: House): void {
  const writes = rules.calls.filter((call) => call.method !== 'GET');

  describe(`${rules.name}: Idempotency-Key`, () => {
    for (const call of writes) {
      test(`${nameOf(call)} twice with one key is done once, and answered alike byte for byte`, async () => {
        const { client, id } = await house.someone();
        const asked = house.model.calls.length;
        const first = await send(client, call, id, { 'idempotency-key': 'a' });
        assert.equal(first.status, call.status);
        const after = await stored(client);
        const second = await send(client, call, id, { 'idempotency-key': 'a' });
        assert.equal(second.status, first.status);
        assert.equal(second.text, first.text);
        assert.equal(await stored(client), after);
        assert.equal(house.model.calls.length - asked, call.asks ? 1 : 0);
      });

      test(`${nameOf(call)} twenty times at once with one key is done once`, async () => {
        const { client, id } = await house.someone();
        const asked = house.model.calls.length;
        const keyed = { 'idempotency-key': 'a' };
        const answers = await Promise.all(Array.from({ length: 20 }, () => send(client, call, id, keyed)));
        const texts = new Set(answers.map(({ status, text }) => `${status} ${text}`));
        assert.equal(texts.size, 1, [...texts].join('\n'));
        assert.equal(house.model.calls.length - asked, call.asks ? 1 : 0);
        const again = await stored(client);
        await send(client, call, id, keyed);
        assert.equal(await stored(client), again);
      });

      test(`${nameOf(call)} with a key that was used for something else is 422`, async () => {
        const { client, id } = await house.someone();
        await send(client, other(call), id, { 'idempotency-key': 'a' });
        await unchanged(client, () => refused(rules, client, call, id, 422, /new key/, { 'idempotency-key': 'a' }));
      });

      test(`${nameOf(call)} with a key that is empty or too long is 400`, async () => {
        const { client, id } = await house.someone();
        for (const key of ['', 'k'.repeat(256)]) {
          const keyed = { 'idempotency-key': key };
          await unchanged(client, () => refused(rules, client, call, id, 400, /Idempotency-Key/, keyed));
        }
        const longest = await send(client, call, id, { 'idempotency-key': 'k'.repeat(255) });
        assert.equal(longest.status, call.status);
      });

      test(`${nameOf(call)}: a key is its user's own`, async () => {
        const [one, two] = [await house.someone(), await house.someone()];
        const keyed = { 'idempotency-key': 'shared' };
        assert.equal((await send(one.client, call, one.id, keyed)).status, call.status);
        assert.equal((await send(two.client, call, two.id, keyed)).status, call.status);
      });

      if (call.deletes === undefined) {
        test(`${nameOf(call)} repeated after its conversation was deleted is 404`, async () => {
          const { client, id } = await house.someone();
          const keyed = { 'idempotency-key': 'a' };
          const first = await send(client, call, id, keyed);
          assert.equal(first.status, call.status);
          await client.request('DELETE', '/api/chat');
          await unchanged(client, () => refused(rules, client, call, id, 404, /./, keyed));
        });
      }
    }

    test('outlives a kill of the server', async () => {
      const done: { client: Client; call: RuleCall; id: string; first: Answer; after: string }[] = [];
      for (const call of writes) {
        const { client, id } = await house.someone();
        const first = await send(client, call, id, { 'idempotency-key': 'a' });
        done.push({ client, call, id, first, after: await stored(client) });
      }
      await house.server.kill();
      await house.server.start();
      const asked = house.model.calls.length;
      for (const { client, call, id, first, after } of done) {
        const again = await send(client, call, id, { 'idempotency-key': 'a' });
        assert.equal(again.status, first.status, nameOf(call));
        assert.equal(again.text, first.text, nameOf(call));
        assert.equal(await stored(client), after, nameOf(call));
      }
      assert.equal(house.model.calls.length, asked);
    });
  });
}

/** The same call with another command, or another call. */
function other(call: RuleCall): RuleCall {
  const [text] = Object.keys(call.texts ?? {});
  if (text !== undefined) return { ...call, body: { ...call.body, [text]: 'Another' } };
  return { method: 'PUT', path: '/chats/update/{id}', body: { name: 'Another' }, status: 200 };
}
