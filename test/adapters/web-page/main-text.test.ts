/** A page's main text: of pages as they are written, and of those that mean ill (QUALITY.md, "poisoned page"). */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { cleanText, mainTextOf } from '../../../src/adapters/web-page/main-text.ts';
import { page } from '../../support/web.ts';

const URL_OF_IT = 'https://example.com/a';
const textOf = (html: string) => mainTextOf(html, URL_OF_IT).text;

describe('the main text', () => {
  test('has paragraphs, lists, tables and code as text', () => {
    const filler = 'Words that make it an article worth reading, and some more of them. '.repeat(5);
    const html = `<!doctype html><title>A &amp; B</title><article><h1>A &amp; B</h1><p>${filler}</p><p>One<br>two &lt;b&gt;</p>
      <table><tr><th>Film</th><th>Year</th></tr><tr><td>Metropolis</td><td>1927</td></tr></table><pre>let a = 1;
  b();</pre></article>`;
    const { title, text } = mainTextOf(html, URL_OF_IT);
    assert.equal(title, 'A & B');
    for (const part of ['One\ntwo <b>', 'Metropolis', '1927', 'let a = 1;\nb();']) {
      assert.ok(text.replace(/\n+/g, '\n').includes(part), `${part} in ${text}`);
    }
  });
  test('of a page without html, head and body is there', () => {
    assert.equal(textOf('<p>One<p>Two'), 'One\n\nTwo');
    assert.equal(textOf('Just text &amp; more'), 'Just text & more');
    assert.equal(textOf('<html><head><title>T</title></head>Bare'), 'Bare');
    assert.equal(textOf(''), '');
  });
  test('leaves out what no person sees', () => {
    const words = 'What a person sees, in enough words to be an article of its own. '.repeat(5);
    const html = page('Seen', words)
      .replace(
        '<article>',
        '<article><script>var orders = "OBEY";</script><style>.OBEY{}</style><noscript>OBEY</noscript><!-- OBEY -->',
      )
      .replace('</article>', '<p style="display:none">OBEY</p><p hidden>OBEY</p><template>OBEY</template></article>');
    const text = textOf(html);
    assert.ok(text.includes('What a person sees'));
    assert.doesNotMatch(text, /OBEY/);
  });
  test('has no character without a shape, and none that turns the writing around', () => {
    const text = textOf('<p>a\u200bb\u202ec\u2066d\u{e0041}e\u00adf\u0000g\u001bh</p>');
    assert.equal(text, 'abcdefgh');
    assert.equal(cleanText('Größe 日本 👩‍👩‍👧 नमस्ते'), 'Größe 日本 👩‍👩‍👧 नमस्ते');
  });
  test('of what is too large or too deep for more is all of it', () => {
    assert.match(textOf(`${'<div>'.repeat(3000)}deep`), /deep$/);
    assert.match(textOf(`<title>T &amp; U</title>${'<p>much</p>'.repeat(40_000)}`), /^much\n\nmuch/);
    assert.equal(mainTextOf(`<title>T &amp; U</title>${'<p>much &lt;</p>'.repeat(40_000)}`, URL_OF_IT).title, 'T & U');
    assert.ok(textOf(`<p>${'word '.repeat(300_000)}`).length <= 500_000);
  });
  test('of anything at all is well-formed text without tags of its own making', () => {
    const piece = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.constantFrom(
        '<p>',
        '</p>',
        '<b',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '<svg>',
        '<math>',
        '<table>',
        '<td>',
        '&#0;',
        '&#xD800;',
        '&amp',
        '</body>',
        '<body>',
        '<html>',
        '<script>',
        '</script>',
        '="',
        "'",
        '<a href="javascript:x">',
      ),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        const { title, text } = mainTextOf(pieces.join(''), URL_OF_IT);
        assert.ok(title.isWellFormed() && text.isWellFormed());
        assert.doesNotMatch(text, /\0/);
        assert.ok(title.length <= 200);
      }),
      { numRuns: 300 },
    );
  });
  test('is never asked of others: what would be fetched is not', () => {
    const fetch = globalThis.fetch;
    let fetched = 0;
    globalThis.fetch = async () => {
      fetched++;
      throw new Error('no');
    };
    try {
      const sites = [
        'https://www.youtube.com/watch?v=x',
        'https://x.com/a/status/1',
        'https://www.reddit.com/r/a/comments/b/c/',
        'https://github.com/a/b/issues/1',
      ];
      for (const url of sites) mainTextOf('<html><body><p>Little.</p></body></html>', url);
    } finally {
      globalThis.fetch = fetch;
    }
    assert.equal(fetched, 0);
  });
});
