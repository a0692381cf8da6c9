import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cutPassages, nearestPassages } from '#core/passages.ts';

const same = (text: string) => text;

describe('passages', () => {
  test('keep short neighbours together, and part at paragraphs', () => {
    const long = 'A sentence of a paragraph. '.repeat(26).trim();
    assert.deepEqual(cutPassages(`Heading\n\n${long}\n\nShort one.\n\nShort two.`), [
      `Heading\n${long}`,
      'Short one.\nShort two.',
    ]);
  });
  test('of a long paragraph end with a sentence', () => {
    const passages = cutPassages('This is one of many sentences. '.repeat(200));
    assert.ok(passages.length > 5);
    for (const passage of passages) assert.match(passage, /^This is[\s\S]*sentences\.$/);
  });
  test('of a text without sentences or spaces are cut somewhere', () => {
    assert.deepEqual(
      cutPassages('x'.repeat(2500)).map(({ length }) => length),
      [900, 900, 700],
    );
    for (const passage of cutPassages('😀'.repeat(2000))) assert.ok(passage.isWellFormed());
  });
  test('lose nothing but white space, and are no longer than 1,000', () => {
    const text = fc.array(fc.oneof(fc.string({ maxLength: 600 }), fc.constantFrom('\n\n', '. ', '\n', ' ', '。')), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(text, (pieces) => {
        const whole = pieces.join('');
        const passages = cutPassages(whole);
        assert.equal(passages.join('').replace(/\s+/g, ''), whole.replace(/\s+/g, ''));
        for (const { length } of passages) assert.ok(length > 0 && length <= 1000, String(length));
      }),
    );
  });
});

describe('the nearest passages', () => {
  const pages = ['Rain fell on the town.', 'Fritz Lang directed Metropolis.', 'Lang was born in Vienna.', 'The end.'];
  test('come first, then the others in their order', () => {
    assert.deepEqual(nearestPassages(pages, 'Who directed Metropolis?', 3, same), [pages[1], pages[0], pages[2]]);
  });
  test('are the first ones where there is no question', () => {
    assert.deepEqual(nearestPassages(pages, '', 2, same), pages.slice(0, 2));
  });
  test('are found in scripts without spaces', () => {
    const texts = ['雨が降った。', '東京タワーは一九五八年に完成した。', '終わり。'];
    assert.equal(nearestPassages(texts, '東京タワーはいつ完成しましたか', 1, same)[0], texts[1]);
    assert.equal(nearestPassages(['ฝนตกหนัก', 'กรุงเทพเป็นเมืองหลวง'], 'เมืองหลวงคืออะไร', 1, same)[0], 'กรุงเทพเป็นเมืองหลวง');
  });
});
