/** The content security policy of the web app's page, tried on a page that breaks it in every way it should not. */

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { serve } from '../http/serve.ts';
import { assertAccessible } from '../support/axe.ts';
import { describeBrowser } from '../support/browser.ts';

const folder = mkdtempSync(join(tmpdir(), 'parlance-policy-'));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, 'assets'));

describeBrowser('the content security policy', ({ visit }) => {
  /** Requests that reached another origin. */
  const reached: string[] = [];
  const elsewhere = createServer((request, response) => {
    reached.push(request.url ?? '');
    response.setHeader('access-control-allow-origin', '*').end();
  });
  let other: string;
  before(async () => {
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    other = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
  });
  after(() => elsewhere.close());

  it('lets the app’s own files work, and nothing else run, load, frame or send', async () => {
    writeFileSync(
      join(folder, 'index.html'),
      `<!doctype html><html lang="en"><head><title>Page</title>
<link rel="stylesheet" href="${other}/style.css"><style>main{color:red}</style><base href="${other}/">
<script>window.inline = true</script><script src="${other}/script.js"></script><script type="module" src="/assets/app.js"></script></head>
<body><main><h1>Page</h1><img src="${other}/image.png"><img alt="" src="x" onerror="window.handler = true">
<p style="color:red">Styled</p><iframe title="frame" src="${other}/frame"></iframe><a href="javascript:window.link = true">link</a>
<form action="${other}/form" method="post"><button>Send</button></form></main></body></html>`,
    );
    writeFileSync(
      join(folder, 'assets/app.js'),
      `const results = {};
const attempt = (name, task) => { try { results[name] = task() ?? true } catch (error) { results[name] = error.name } };
attempt('html', () => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.html = true">') });
attempt('eval', () => eval('1'));
attempt('style', () => { document.querySelector('h1').style.color = 'rgb(1, 2, 3)'; return getComputedStyle(document.querySelector('h1')).color });
attempt('socket', () => { new WebSocket('${other}'.replace('http', 'ws') + '/socket'); });
attempt('beacon', () => { navigator.sendBeacon('${other}/beacon', 'x'); });
const fetched = await fetch('${other}/fetch').then(() => 'reached', (error) => error.name);
const own = await fetch('/v1/session').then((response) => response.status);
window.results = { ...results, fetched, own };`,
    );
    const served = await serve({ dialects: [], webFolder: folder });
    const page = await visit(served.origin, { expected: /./, offOrigin: true });
    await page.waitForFunction('window.results');
    assert.deepEqual(await page.evaluate('window.results'), {
      html: 'TypeError',
      eval: 'EvalError',
      style: 'rgb(1, 2, 3)',
      socket: true,
      beacon: true,
      fetched: 'TypeError',
      own: 200,
    });
    assert.equal(await page.locator('p').evaluate((text) => getComputedStyle(text).color), 'rgb(0, 0, 0)');
    await assert.rejects(assertAccessible(page, 'the page'), /image-alt/);
    // A navigation that is refused keeps Playwright waiting for it: last.
    for (const element of ['a', 'button']) await page.evaluate(`document.querySelector('${element}').click()`);
    const ran = await page.evaluate('[window.inline, window.handler, window.html, window.link].filter(Boolean)');
    assert.deepEqual(ran, []);
    assert.deepEqual(reached, []);
    assert.equal(new URL(page.url()).origin, served.origin);
  });
});
