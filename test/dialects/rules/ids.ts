/** Ids, paths and queries: what is somebody else's, and what is no call at all. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Client } from '../../support/server.ts';
import { type DialectRules, type House, ID, nameOf, refused, send, target, UNKNOWN_ID, unchanged } from './dialect.ts';

const MALFORMED_IDS = [
  '0',
  '-1',
  '01',
  '1.5',
  'x',
  'null',
  '%20',
  '0198c7c1',
  "1'%20OR%201=1",
  '..%2F1',
  '%F0%9F%98%80',
];

export function testIds(rules: DialectRules, house: House): void {
  const { calls } = rules;
  const byId = calls.filter((call) => JSON.stringify(call).includes(ID));

  describe(`${rules.name}: somebody else's conversation`, () => {
    for (const call of byId) {
      test(`${nameOf(call)} is the same 404 for an unknown id and for a foreign one`, async () => {
        const { client } = await house.someone();
        const other = await house.someone();
        const pairs = [
          [other.id, UNKNOWN_ID],
          [`conv_${other.id}`, `conv_${UNKNOWN_ID}`],
          [await numberOf(other), '999999999'],
        ] as const;
        for (const [foreign, unknown] of pairs) {
          const answer = await unchanged(other.client, () => refused(rules, client, call, foreign, 404));
          assert.equal(answer.text, (await refused(rules, client, call, unknown, 404)).text, foreign);
        }
      });

      test(`${nameOf(call)} takes each of the three forms of an id`, async () => {
        for (const form of ['uuid', 'conv_', 'number']) {
          const owner = await house.someone();
          const id = form === 'uuid' ? owner.id : form === 'conv_' ? `conv_${owner.id}` : await numberOf(owner);
          assert.equal((await send(owner.client, call, id)).status, call.status, form);
        }
      });

      test(`${nameOf(call)} is ${rules.malformedId} for what has none of the forms of an id`, async () => {
        const { client } = await house.someone();
        for (const id of MALFORMED_IDS) {
          if (target(call, '').length < target(call, ID).length) {
            await unchanged(client, () => refused(rules, client, call, id, rules.malformedId));
          } else {
            await unchanged(client, () => refused(rules, client, call, decodeURIComponent(id), 404));
          }
        }
      });
    }
  });

  describe(`${rules.name}: what is no call`, () => {
    const paths = [...new Set(calls.map(({ path }) => path))];
    for (const path of paths) {
      const allowed = [...new Set(calls.filter((call) => call.path === path).map(({ method }) => method))];
      const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
        (one) => !allowed.includes(one as 'GET'),
      );
      test(`${path} allows ${allowed.join(', ')}; any other method is 405`, async () => {
        const { client, id } = await house.someone();
        for (const method of methods) {
          const call = { method: method as 'GET', path, status: 405 };
          const answer = await unchanged(client, () => refused(rules, client, call, id, 405));
          const listed = (answer.headers.allow ?? '').split(/, */);
          assert.deepEqual(listed.sort(), allowed.sort(), method);
        }
        const head = await client.request('HEAD', path.replace(ID, id));
        assert.equal(head.status, 405);
        assert.equal(head.text, '');
        assert.ok(head.headers.allow);
      });
    }

    test(`${rules.unknownPath} is 404 in the dialect's shape`, async () => {
      const { client } = await house.someone();
      for (const method of ['GET', 'POST', 'DELETE'] as const) {
        await refused(rules, client, { method, path: rules.unknownPath, status: 404 }, '', 404);
      }
    });

    test('a path that cannot be decoded is 400', async () => {
      const { client } = await house.someone();
      const { path = '' } = byId.find((call) => call.path.includes(ID)) ?? {};
      for (const bad of ['%', '%zz', '%c3%28']) {
        await refused(rules, client, { method: 'GET', path: path.replace(ID, bad), status: 400 }, '', 400);
      }
    });

    test('U+0000 in a path or query is 400', async () => {
      const { client, id } = await house.someone();
      for (const call of calls) {
        const inPath = call.path.includes(ID);
        const spoilt = inPath ? call : { ...call, query: 'x=a%00b' };
        await unchanged(client, () => refused(rules, client, spoilt, inPath ? 'a%00b' : id, 400, /U\+0000/));
      }
    });

    for (const call of calls) {
      for (const query of call.badQueries ?? []) {
        test(`${nameOf(call)}?${query} is 400`, async () => {
          const { client, id } = await house.someone();
          await refused(rules, client, { ...call, query }, id, 400);
        });
      }
    }
  });
}

async function numberOf({ client, id }: { client: Client; id: string }): Promise<string> {
  const { body } = await client.request<{ data: { id: number } }>('GET', `/api/chat_sessions/${id}`);
  return String(body.data.id);
}
