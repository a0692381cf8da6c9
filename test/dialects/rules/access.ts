/** Who may ask, and how often. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Answer, Client } from '../../support/server.ts';
import {
  type DialectRules,
  type House,
  ID,
  nameOf,
  type RuleCall,
  refused,
  seed,
  send,
  UNKNOWN_ID,
  unchanged,
} from './dialect.ts';

export function testAccess(rules: DialectRules, house: House): void {
  const { calls } = rules;
  const byId = calls.find((call) => call.path.includes(ID)) as RuleCall;

  describe(`${rules.name}: every call`, () => {
    for (const call of calls) {
      test(`${nameOf(call)} gives ${call.status}, with and without a trailing slash`, async () => {
        for (const path of [call.path, `${call.path}/`]) {
          const { client, id } = await house.someone();
          const answer = await send(client, { ...call, path }, id);
          assert.equal(answer.status, call.status, answer.text);
          assertHeaders(answer, call);
        }
      });

      test(`${nameOf(call)} takes the key with and without "Bearer"`, async () => {
        for (const key of [
          house.server.ownerKey,
          `Bearer ${house.server.ownerKey}`,
          `bearer ${house.server.ownerKey}`,
        ]) {
          const { client, id } = await house.someone();
          const visitor = house.server.visitor({ authorization: key, 'x-user-id': client.user });
          assert.equal((await send(visitor, call, id)).status, call.status);
        }
      });

      if (rules.access === 'key') {
        test(`${nameOf(call)} without a key is 401`, async () => {
          const { client, id } = await house.someone();
          await unchanged(client, () =>
            refused(rules, house.server.visitor({ 'x-user-id': client.user }), call, id, 401),
          );
        });
      } else {
        test(`${nameOf(call)} needs no key in local mode, and one outside it`, async () => {
          const visitor = house.server.visitor({ 'x-user-id': `keyless-${nameOf(call)}`.replace(/[^\w-]/g, '') });
          const id = await seed(visitor);
          assert.equal((await send(visitor, call, id)).status, call.status);
          const proxied = house.server.visitor({ 'x-user-id': visitor.user, 'x-forwarded-for': '192.0.2.1' });
          await refused(rules, proxied, call, id, 401);
        });
      }

      test(`${nameOf(call)} with a wrong key is 401`, async () => {
        const { client, id } = await house.someone();
        for (const authorization of [
          'Bearer plk_wrong',
          'wrong',
          `${house.server.ownerKey}x`,
          `Basic ${house.server.ownerKey}`,
        ]) {
          const stranger = house.server.visitor({ authorization, 'x-user-id': client.user });
          await unchanged(client, () => refused(rules, stranger, call, id, 401));
        }
      });
    }

    test('needs the scope "write" to write, and "read" to read', async () => {
      const { client, id } = await house.someone();
      const flags = ['--service', '--scopes'];
      const reader = house.server.visitor({
        authorization: await house.server.createKey(client.user, ...flags, 'read'),
        'x-user-id': client.user,
      });
      for (const call of calls) {
        if (call.method !== 'GET' || call.stream) {
          await unchanged(client, () => refused(rules, reader, call, id, 403, /"write"/));
        } else {
          assert.equal((await send(reader, call, id)).status, call.status, nameOf(call));
        }
      }
    });

    test('counts, unless it is 401, 403, 405 or an unknown path', async () => {
      const { client, id } = await house.someone();
      const key = await house.server.createKey(client.user, '--rate', '100/min');
      const limited = house.server.visitor({ authorization: key });
      const first = calls[0] as RuleCall;
      const counted: [call: RuleCall, status: number][] = [
        [first, first.status],
        [{ ...first, body: '[' as never }, 400],
        [byId, 404],
      ];
      const free: [client: Client, call: RuleCall, status: number][] = [
        [limited, { ...first, method: 'PATCH', path: rules.unknownPath }, 404],
        [limited, { ...first, method: first.method === 'POST' ? 'PUT' : 'POST' }, 405],
        [house.server.visitor({ authorization: 'wrong' }), first, 401],
      ];
      const left = async () => Number((await send(limited, first, id)).headers['ratelimit-remaining']);
      const before = await left();
      for (const [call, status] of counted) {
        const answer = await send(limited, call, UNKNOWN_ID);
        assert.equal(answer.status, status, answer.text);
        assert.match(String(answer.headers['ratelimit-remaining']), /^\d+$/, String(status));
      }
      for (const [who, call, status] of free) {
        const answer = await send(who, call, id);
        assert.equal(answer.status, status, answer.text);
        assert.equal(answer.headers['ratelimit-remaining'], undefined, String(status));
      }
      assert.equal(await left(), before - counted.length - 1);
    });

    test('is counted, and refused with 429 when a limit is reached', async () => {
      const limit = 3;
      const { user } = house.server.client();
      const limited = house.server.visitor({
        authorization: await house.server.createKey(user, '--rate', `${limit}/min`),
      });
      for (let i = 1; i <= limit; i++) {
        const { headers } = await send(limited, calls[0] as RuleCall, '');
        assert.equal(headers['ratelimit-limit'], String(limit));
        assert.equal(headers['ratelimit-remaining'], String(limit - i));
        assert.match(String(headers['ratelimit-reset']), /^[1-9]\d?$/);
      }
      for (const call of calls) {
        const { headers } = await refused(
          rules,
          limited,
          call,
          '1',
          429,
          new RegExp(`${limit} requests per minute.*raise`),
        );
        assert.match(headers['retry-after'] ?? '', /^[1-9]\d?$/, nameOf(call));
        assert.equal(headers['ratelimit-remaining'], '0', nameOf(call));
      }
    });
  });
}

function assertHeaders({ status, headers, text }: Answer, call: RuleCall): void {
  assert.match(String(headers['x-request-id']), /./);
  assert.match(String(headers['ratelimit-limit']), /^\d+$/);
  if (status === 204) {
    assert.equal(text, '');
    assert.equal(headers['content-type'], undefined);
  } else {
    const type = call.stream ? 'text/event-stream; charset=utf-8' : 'application/json; charset=utf-8';
    assert.equal(headers['content-type'], type);
  }
}
