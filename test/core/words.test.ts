import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { excerpt, phrasesOf, wordsIn } from '../../src/core/words.ts';

const words = (text: string) => [...wordsIn(text)].map(({ word }) => word);

describe('The words of a text', () => {
  const cases: [string, string, string[]][] = [
    ['are without case', 'Hello WORLD', ['hello', 'world']],
    ['are without accents', 'Crème brûlée, Ångström', ['creme', 'brulee', 'angstrom']],
    ['are the same however an accent is encoded', 'Ne\u0301e', ['nee']],
    ['are as people type them', 'Straße ŁÓDŹ Ærø', ['strasse', 'lodz', 'aero']],
    ['are without accents in Greek and Cyrillic', 'Ὀδυσσεύς ёлка', ['οδυσσευσ', 'елка']],
    ['are without the points of Hebrew and Arabic', 'שָׁלוֹם سَلَام', ['שלום', 'سلام']],
    ['end at what is no letter or digit', 'a-b foo_bar x.y@z 3,14', ['a', 'b', 'foo', 'bar', 'x', 'y', 'z', '3', '14']],
    ['are single letters where no spaces are written', '東京タワー', ['東', '京', 'タ', 'ワ', 'ー']],
    ['are single letters of Thai with their vowels', 'ที่นี่', ['ที่', 'นี่']],
    ['keep the vowels of Hindi', 'हिन्दी में', ['हिन्दी', 'में']],
    ['are apart where scripts meet', 'iPhone手机', ['iphone', '手', '机']],
    ['hold no brackets and spaces that a letter decomposes into', 'x⑴ ﷺ', ['x1', 'صلىاللهعليهوسلم']],
    ['are none in signs', '… !? 🎬', []],
  ];
  for (const [name, text, expected] of cases) {
    it(name, () => assert.deepEqual(words(text), expected));
  }
});

describe('A query', () => {
  const show = (query: string) => phrasesOf(query).map(({ words: of, prefix }) => of.join(' ') + (prefix ? '*' : ''));
  const cases: [string, string, string[]][] = [
    ['ends with the beginning of a word', 'big inv', ['big', 'inv*']],
    ['ends with a whole word where a space follows', 'big inv ', ['big', 'inv']],
    ['has phrases in quotes', 'say "to be" or', ['say', 'to be', 'or']],
    ['may end in an open quote', 'say "to beg', ['say', 'to beg*']],
    ['ends with a phrase where its quote is closed', '"to being"', ['to being']],
    ['takes what has no space in it as a phrase', "don't panicking", ['don t', 'panicking*']],
    ['wants the letters of Chinese in a row', '東京', ['東 京']],
    ['asks for a word once', 'no no NO nope', ['no', 'nope*']],
    ['takes operators as words', 'NEAR(a OR b) NOT c*', ['near a', 'or', 'b', 'not', 'c']],
    ['asks for nothing where there is no word', '  "" *?', []],
  ];
  for (const [name, query, expected] of cases) {
    it(name, () => assert.deepEqual(show(query), expected));
  }
});

describe('An excerpt', () => {
  const marked = (text: string, query: string) => {
    const found = excerpt(text, phrasesOf(query));
    let shown = found?.snippet ?? null;
    for (const [start, end] of found?.highlights.toReversed() ?? []) {
      shown = `${shown?.slice(0, start)}[${shown?.slice(start, end)}]${shown?.slice(end)}`;
    }
    return shown;
  };

  it('is the whole of a short text, with the words marked', () => {
    assert.equal(marked('Die Crème ist gut.', 'creme gut'), 'Die [Crème] ist [gut].');
  });

  it('is one line', () => assert.equal(marked('one\n\ttwo\r\n three', 'two'), 'one [two] three'));

  it('marks the beginning of a word, and a phrase as one', () => {
    assert.equal(marked('We do not invoice in advance', '"do not" inv'), 'We [do not] [invoice] in advance');
  });

  it('marks phrases that overlap once', () => assert.equal(marked('a b c', '"a b" "b c"'), '[a b c]'));

  it('is a part of a long text, cut between words', () => {
    const text = `${'before it '.repeat(100)}the needle is here ${'and after '.repeat(100)}`;
    const shown = marked(text, 'needle') ?? '';
    assert.match(shown, /^…(before|it) .* the \[needle\] is here and .*(and|after)…$/);
    assert(shown.length < 180, `${shown.length}`);
  });

  it('is bounded where a word is not', () => {
    const found = excerpt('x'.repeat(100_000), phrasesOf('xxx'));
    assert.equal(found?.snippet.length, 321);
  });

  it('is none where the words are not', () => assert.equal(excerpt('a text', phrasesOf('other')), null));

  it('marks what was asked for, whatever text and query are', () => {
    const text = fc.array(
      fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom(' ', 'über', '東京', 'ab', 'a\u0301')),
    );
    fc.assert(
      fc.property(text, fc.nat(), fc.nat(), (parts, from, length) => {
        const whole = parts.join(' ').toWellFormed();
        const all = words(whole);
        if (all.length === 0) return;
        const start = from % all.length;
        const wanted = all.slice(start, start + 1 + (length % 3));
        const found = excerpt(whole, [{ words: wanted, prefix: false }]);
        assert(found !== null, 'words of the text are found in it');
        for (const [a, b] of found.highlights) {
          assert.deepEqual(words(found.snippet.slice(a, b)).slice(0, wanted.length), wanted);
        }
      }),
      { numRuns: 500 },
    );
  });
});
