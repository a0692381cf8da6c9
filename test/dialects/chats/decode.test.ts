import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseLastEventId, parseTime } from '../../../src/dialects/chats/decode.ts';

describe('a time in any ISO 8601 form', () => {
  const rows: [given: string, time: string][] = [
    ['2024-01-01T00:00:00.000Z', '2024-01-01T00:00:00.000Z'],
    ['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.000Z'],
    ['2024-01-01t00:00:00z', '2024-01-01T00:00:00.000Z'],
    ['2024-01-01 12:30:45.5', '2024-01-01T12:30:45.500Z'],
    ['2024-01-01T12:30:45,123456789Z', '2024-01-01T12:30:45.123Z'],
    ['2024-01-01T12:30', '2024-01-01T12:30:00.000Z'],
    ['2024-01-01T12', '2024-01-01T12:00:00.000Z'],
    ['2024-01-01', '2024-01-01T00:00:00.000Z'],
    ['2024-02', '2024-02-01T00:00:00.000Z'],
    ['20240229', '2024-02-29T00:00:00.000Z'],
    ['20240101T123045Z', '2024-01-01T12:30:45.000Z'],
    ['20240101T123045.25+0130', '2024-01-01T11:00:45.250Z'],
    ['2024-01-01T00:00:00+02:00', '2023-12-31T22:00:00.000Z'],
    ['2024-01-01T00:00:00-05', '2024-01-01T05:00:00.000Z'],
    ['2024-12-31T24:00:00Z', '2025-01-01T00:00:00.000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000Z'],
    ['2024-366', '2024-12-31T00:00:00.000Z'],
    ['2024001', '2024-01-01T00:00:00.000Z'],
    ['2024-W01', '2024-01-01T00:00:00.000Z'],
    ['2021-W01-1', '2021-01-04T00:00:00.000Z'],
    ['2020-W53-7', '2021-01-03T00:00:00.000Z'],
    ['2020W537T12:00Z', '2021-01-03T12:00:00.000Z'],
  ];
  for (const [given, time] of rows) {
    test(`${given} is ${time}`, () => assert.equal(new Date(parseTime(given)).toISOString(), time));
  }

  const wrong = [
    '',
    ' ',
    'x',
    'now',
    '1704067200',
    '2024',
    '24-01-01',
    '2024-13-01',
    '2024-00-01',
    '2023-02-29',
    '2024-04-31',
    '2023-366',
    '2024-000',
    '2024-W54',
    '2024-W00-1',
    '2021-W53-1',
    '2024-W01-8',
    '2024-01-01T25:00:00Z',
    '2024-01-01T24:00:01Z',
    '2024-01-01T12:60:00Z',
    '2024-01-01T12:00:61Z',
    '2024-01-01T12:00:00+25:00',
    '2024-01-01T12:00:00+01:60',
    '2024-01-01T12:00:00 Z',
    '2024-01-01T12:00:00ZZ',
    '2024-01-01T',
    '2024-01-01TZ',
    '2024-01-01T00:00:00Z x',
    'Mon, 01 Jan 2024 00:00:00 GMT',
    '01/01/2024',
  ];
  for (const given of wrong) {
    test(`${JSON.stringify(given)} is refused`, () => assert.throws(() => parseTime(given), /ISO 8601/));
  }

  test('what JavaScript writes is read to the millisecond', () => {
    const dates = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
    fc.assert(fc.property(dates, (date) => assert.equal(parseTime(date.toISOString()), date.getTime())));
  });

  test('no text makes it throw anything but a refusal', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789-:TWZ+., ') }), (text) => {
        try {
          assert.ok(Number.isFinite(parseTime(text)));
        } catch (error) {
          assert.match(String(error), /ISO 8601/);
        }
      }),
    );
  });
});

describe('Last-Event-ID', () => {
  const rows: [header: string | string[] | undefined, number: number][] = [
    ['7', 7],
    ['100007', 100007],
    ['0', 0],
    [undefined, 0],
    ['', 0],
    ['-1', 0],
    ['1.5', 0],
    ['x', 0],
    ['1'.repeat(16), 0],
    [['1', '2'], 0],
  ];
  for (const [header, number] of rows) {
    test(`${JSON.stringify(header)} is ${number}`, () => assert.equal(parseLastEventId(header), number));
  }
});
