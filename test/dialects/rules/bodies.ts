/** Bodies that are refused, and that nothing of them is stored. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  type DialectRules,
  type House,
  ID,
  nameOf,
  type RuleCall,
  refused,
  send,
  target,
  UNKNOWN_ID,
  unchanged,
} from './dialect.ts';

const MAX_BODY = 8 * 1024 * 1024;

export function testBodies(rules: DialectRules, house: House): void {
  describe(`${rules.name}: bodies`, () => {
    for (const call of rules.calls.filter(({ body }) => body !== undefined)) {
      for (const [what, body, sentence] of malformedBodies(call)) {
        test(`${nameOf(call)} with ${what} is 400, and nothing is stored`, async () => {
          const { client, id } = await house.someone();
          const sent = typeof body === 'string' ? body.replaceAll(ID, id) : body;
          await unchanged(client, () => refused(rules, client, { ...call, body: sent as never }, id, 400, sentence));
        });
      }

      if (!call.bodyOptional) {
        test(`${nameOf(call)} without a body is 400, whatever its Content-Type`, async () => {
          const { client, id } = await house.someone();
          for (const type of [null, 'application/json', 'text/plain', 'multipart/form-data']) {
            const answer = await unchanged(client, () =>
              client.request(call.method, target(call, id), {
                headers: { 'content-type': type, 'content-length': '0' },
              }),
            );
            assert.equal(answer.status, 400, String(type));
            rules.assertError(answer.body, 400);
          }
        });
      }

      test(`${nameOf(call)} says with 415 what to send`, async () => {
        const { client, id } = await house.someone();
        const types = ['text/plain', 'text/json', 'application/xml', '', null, 'application/json; charset=utf-16'];
        if (!call.forms) types.push('application/x-www-form-urlencoded', 'multipart/form-data; boundary=x');
        for (const type of types) {
          const answer = await unchanged(client, () => send(client, call, id, { 'content-type': type }));
          assert.equal(answer.status, 415, `${type}: ${answer.text}`);
          rules.assertError(
            answer.body,
            415,
            /utf-16/.test(type ?? '') ? /UTF-8/ : /-H 'Content-Type: application\/json'/,
          );
        }
      });

      test(`${nameOf(call)} takes JSON under its other names`, async () => {
        for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/vnd.api+json']) {
          const { client, id } = await house.someone();
          assert.equal((await send(client, call, id, { 'content-type': type })).status, call.status, type);
        }
      });

      test(`${nameOf(call)} over 8 MiB is 413, by its Content-Length alone`, async () => {
        const { client, id } = await house.someone();
        const headers = { 'content-type': 'application/json', 'content-length': String(MAX_BODY + 1) };
        const answer = await unchanged(client, () =>
          client.request(call.method, target(call, id), { headers, headOnly: true }),
        );
        assert.equal(answer.status, 413);
        rules.assertError(answer.body, 413);
      });

      test(`${nameOf(call)} ignores unknown fields, and never takes what is the server's to say`, async () => {
        const { client, id } = await house.someone();
        const foreign = {
          id: UNKNOWN_ID,
          number: 7,
          owner: 'x',
          tenant: 'x',
          created_at: '1999-01-01T00:00:00.000Z',
          constructor: { prototype: { x: 1 } },
          unknown: [[[]]],
        };
        const body = { ...foreign, ...call.body };
        const answer = await send(client, { ...call, body }, id);
        assert.equal(answer.status, call.status, answer.text);
        assert.ok(!answer.text.includes('1999'), answer.text);
        assert.ok(!answer.text.includes(UNKNOWN_ID), answer.text);
      });
    }
  });
}

/** What is wrong with each body, and what the refusal must say. */
function malformedBodies(call: RuleCall): [what: string, body: unknown, sentence?: RegExp][] {
  const whole = JSON.stringify(call.body);
  const rows: [string, unknown, RegExp?][] = [
    ['malformed JSON', `${whole.slice(0, -1)};`, /JSON/],
    ['half of its JSON', whole.slice(0, -2), /JSON/],
    ['two bodies in one', `${whole}${whole}`, /JSON/],
    ['a list', '[]', /object/],
    ['a text', '"x"', /object/],
    ['a number', '1', /object/],
    ['null', 'null', /object/],
    ['bytes that are not UTF-8', Buffer.from(whole.replace('":"', '":"\xff'), 'latin1')],
    ['a thousand levels of lists', `{"x":${'['.repeat(1000)}${']'.repeat(1000)}}`],
  ];
  for (const [field, { required, max }] of Object.entries(call.texts ?? {})) {
    const withField = (value: unknown) => ({ ...call.body, [field]: value });
    const named = new RegExp(`\\b${field}\\b`);
    rows.push([`an empty ${field}`, withField(''), named]);
    for (const value of [1, true, null, [], {}, ['x']]) {
      rows.push([`${JSON.stringify(value)} as ${field}`, withField(value), named]);
    }
    if (max !== undefined) rows.push([`a ${field} of ${max + 1} characters`, withField('x'.repeat(max + 1)), named]);
    else rows.push([`a ${field} of 1 MiB and a byte`, withField('x'.repeat(1024 * 1024 + 1))]);
    if (max === undefined)
      rows.push([`a ${field} of 1 MiB and a byte in UTF-8`, withField(`${'é'.repeat(512 * 1024)}x`)]);
    rows.push([`U+0000 in ${field}`, withField('a\0b')]);
    rows.push([`half a surrogate pair in ${field}`, `${whole.slice(0, -1)},"${field}":"\\ud83d!"}`]);
    rows.push([`the other half of one in ${field}`, `${whole.slice(0, -1)},"${field}":"\\ude00"}`]);
    if (!required) continue;
    const { [field]: _, ...rest } = call.body ?? {};
    rows.push([`no ${field}`, rest, new RegExp(`\\b${field} is required`)]);
  }
  return rows;
}
