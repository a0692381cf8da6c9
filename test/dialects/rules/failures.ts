/** A model that fails: nothing is passed off as whole, nothing is lost, and nothing is asked for twice without need. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Script } from '../../support/model-server.ts';
import type { Client } from '../../support/server.ts';
import { type DialectRules, nameOf, openHouse, type RuleCall, refused, send } from './dialect.ts';

const KEY = { 'idempotency-key': 'a' };
const HELLO: Script = { text: ['Hel', 'lo ', 'there'] };

/** Why there is no answer, and what it is called. */
const failures: [what: string, script: Script, calls: number, status: number][] = [
  ['refuses the request', { status: 400 }, 1, 503],
  ['does not know our key', { status: 401 }, 1, 503],
  ['is out of order at every try', { status: 500 }, 3, 503],
  ['says nothing', { stall: 'first-token' }, 1, 504],
];

/** Why an answer is not whole. */
const breaks: [what: string, script: Script][] = [
  ['drops the connection after two tokens', { ...HELLO, cut: 2 }],
  ['ends after two tokens without saying so', { ...HELLO, end: 2 }],
  ['stops talking after two tokens', { ...HELLO, stall: 2 }],
];

export function testFailures(rules: DialectRules): void {
  describe(`${rules.name}: a model that fails`, () => {
    const house = openHouse({ PARLANCE_TIMEOUT_FIRST_TOKEN: '0.5', PARLANCE_TIMEOUT_SILENCE: '0.5' });

    for (const call of rules.calls.filter(({ asks, stream }) => asks && !stream)) {
      for (const [what, script, calls, status] of failures) {
        test(`${nameOf(call)} is ${status} when the model ${what}; with the same key it is answered later`, async () => {
          const { client, id } = await house.someone();
          const asked = house.model.calls.length;
          house.model.answer(script);
          await refused(rules, client, call, id, status, /./, KEY);
          assert.equal(house.model.calls.length - asked, calls);
          const before = await texts(client, call, id);
          assert.equal(before.at(-1), textOf(call), 'the message stays');

          house.model.answer(HELLO);
          const again = await send(client, call, id, KEY);
          assert.equal(again.status, call.status, again.text);
          assert.match(again.text, /Hello there/);
          assert.deepEqual(await texts(client, call, id), [...before, 'Hello there']);
          assert.equal(house.model.calls.length - asked, calls + 1);
          assert.equal((await send(client, call, id, KEY)).text, again.text);
          assert.equal(house.model.calls.length - asked, calls + 1);
        });
      }

      for (const [what, script] of breaks) {
        test(`${nameOf(call)} is 502 when the model ${what}, and what it said is kept`, async () => {
          const { client, id } = await house.someone();
          const asked = house.model.calls.length;
          house.model.answer(script);
          const first = await refused(rules, client, call, id, 502, /kept/, KEY);
          assert.deepEqual((await texts(client, call, id)).slice(-2), [textOf(call), 'Hello ']);
          const again = await refused(rules, client, call, id, 502, /kept/, KEY);
          assert.equal(again.text, first.text, 'the same outcome, byte for byte');
          assert.equal(house.model.calls.length - asked, 1);
        });
      }
    }
  });
}

/** The message a call sends. */
function textOf({ body, texts: fields }: RuleCall): unknown {
  return body?.[Object.keys(fields ?? {})[0] ?? ''];
}

/** All entries of the conversation a call was about: one the client has, or the one it made. */
async function texts(client: Client, call: RuleCall, id: string): Promise<string[]> {
  const named = JSON.stringify(call).includes('{id}');
  const { body: chats } = await client.request<{ id: string }[]>('GET', '/chats/');
  const chat = named ? id : chats.find((one) => one.id !== id)?.id;
  const { body } = await client.request<{ message: string }[]>('GET', `/chats/${chat}/conversations`);
  return body.map(({ message }) => message);
}
