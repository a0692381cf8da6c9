import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { RunEvent } from '#core/event.ts';
import { emptyAnswer, fold } from '#core/fold.ts';
import { textOf } from '#core/turn.ts';
import type { ModelEvent } from '#ports/model.ts';
import { createTranslator } from '#service/translate.ts';

const ids = { uuid: () => 'id', secret: () => '', digest: () => '' };

function run(batches: ModelEvent[][]): RunEvent[] {
  const translator = createTranslator({ ids, model: 'm' });
  return [...batches.flatMap((batch) => translator.translate(batch).events), ...translator.close()];
}

const types = (events: RunEvent[]) => events.map(({ type }) => type);

test('text: the model is named, the item opened, filled and closed', () => {
  assert.deepEqual(
    types(
      run([
        [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      ]),
    ),
    ['model-chosen', 'item-added', 'text-delta', 'text-delta', 'item-completed'],
  );
});

test('an empty delta opens nothing', () => {
  assert.deepEqual(
    run([
      [
        { type: 'text', text: '' },
        { type: 'reasoning', text: '' },
      ],
    ]),
    [],
  );
});

test('text closes the reasoning before it', () => {
  const { items } = fold(emptyAnswer(), run([[{ type: 'reasoning', text: 'hm' }], [{ type: 'text', text: 'so' }]]));
  assert.deepEqual(
    items.map(({ type, status }) => [type, status]),
    [
      ['reasoning', 'completed'],
      ['message', 'completed'],
    ],
  );
});

test('parallel calls are filled side by side', () => {
  const events = run([
    [
      { type: 'tool-call', call: 0, id: 'a', name: 'f' },
      { type: 'tool-call', call: 1, id: 'b', name: 'g' },
      { type: 'tool-arguments', call: 0, text: '{"x":' },
      { type: 'tool-arguments', call: 1, text: '{}' },
      { type: 'tool-arguments', call: 0, text: '1}' },
    ],
  ]);
  const { items } = fold(emptyAnswer(), events);
  assert.deepEqual(
    items.map((item) => item.type === 'function_call' && [item.callId, item.arguments, item.status]),
    [
      ['a', '{"x":1}', 'completed'],
      ['b', '{}', 'completed'],
    ],
  );
});

test('hygiene: any split of any text gives the same clean text, and no delta is ever malformed', () => {
  const unit = fc.oneof(fc.constantFrom('\ud83d', '\ude00', '\0', 'a', 'é', '😀'), fc.string({ maxLength: 1 }));
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 20 }), fc.array(fc.integer({ min: 1, max: 5 })), (units, cuts) => {
      const whole = units.join('');
      const parts: ModelEvent[][] = [];
      let from = 0;
      for (const cut of [...cuts, whole.length]) {
        if (from < whole.length) parts.push([{ type: 'text', text: whole.slice(from, from + cut) }]);
        from += cut;
      }
      const events = run(parts);
      for (const event of events) {
        if (event.type === 'text-delta') assert.ok(event.text.isWellFormed() && !event.text.includes('\0'));
      }
      const expected = whole.replaceAll('\0', '').toWellFormed();
      assert.equal(textOf(fold(emptyAnswer(), events).items), expected);
    }),
  );
});
