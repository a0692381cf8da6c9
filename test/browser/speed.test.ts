/**
 * What the web app weighs at its first load, and that a long conversation costs no more than a short one. How soon it can
 * be used and how smoothly it draws is measured by `npm run bench web`.
 */

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { describeBrowser } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

const DIST = new URL('../../web/dist/', import.meta.url);
const KB = 1000;
const MAX_SCRIPT = 250 * KB;

describeBrowser('the speed of the web app', ({ visit }) => {
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

  it('the first load has at most 250 kB of gzipped script', async (test) => {
    const page = await visit(server.url);
    await page.getByLabel('Your message').waitFor();
    const names = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .map(({ name }) => new URL(name).pathname)
        .filter((path) => path.endsWith('.js')),
    );
    const known = new Set(readdirSync(new URL('assets/', DIST)));
    const sizes = names.map((path) => {
      assert.ok(path === '/theme.js' || known.has(path.slice('/assets/'.length)), path);
      return gzipSync(readFileSync(new URL(`.${path}`, DIST)), { level: 9 }).length;
    });
    const total = sizes.reduce((sum, size) => sum + size, 0);
    test.diagnostic(`${(total / KB).toFixed(1)} kB of gzipped script in ${names.length} files`);
    assert.ok(total <= MAX_SCRIPT, `${total} bytes`);
  });

  it('2,000 messages are a few on the page; older ones come in above without moving what is read', async () => {
    const client = server.visitor();
    const { body } = await client.request<{ id: string }>('POST', '/v1/conversations', { body: { title: 'Long' } });
    const filler = 'Some words of an older message, with **emphasis** and `code`, on two lines or more. '.repeat(3);
    for (let i = 0; i < 2000; i += 20) {
      const items = Array.from({ length: 20 }, (_, j) => ({
        type: 'message',
        role: j % 2 === 0 ? 'user' : 'assistant',
        content: [{ type: j % 2 === 0 ? 'input_text' : 'output_text', text: `${i + j} ${filler}` }],
      }));
      const { status } = await client.request('POST', `/v1/conversations/${body.id}/items`, { body: { items } });
      assert.equal(status, 200);
    }
    const page = await visit(`${server.url}/c/${body.id}`);
    await page.getByText(/^1999 Some words/).waitFor();
    const scroller = page.getByRole('region', { name: 'Messages' });

    // A page of older messages comes while somebody reads: what they read stays where it is.
    let give = (): void => {};
    const given = new Promise<void>((resolve) => {
      give = resolve;
    });
    await page.route(/before=/, async (route) => {
      await given;
      await route.continue();
    });
    await scroller.evaluate((box) => box.scrollTo(0, 1400));
    const place = () =>
      scroller.evaluate((box) => {
        const middle = box.getBoundingClientRect().top + box.clientHeight / 2;
        const seen = [...box.querySelectorAll('article')].find((one) => one.getBoundingClientRect().bottom > middle);
        return { words: seen?.textContent?.slice(0, 60), top: Math.round(seen?.getBoundingClientRect().top ?? 0) };
      });
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    const before = await place();
    const height = await scroller.evaluate((box) => box.scrollHeight);
    give();
    await page.waitForFunction((known) => (document.querySelector('main section')?.scrollHeight ?? 0) > known, height);
    const now = await place();
    assert.equal(now.words, before.words);
    assert.ok(Math.abs(now.top - before.top) <= 2, `${before.top} → ${now.top}`);

    for (const end = Date.now() + 60_000; (await page.getByText(/^0 Some words/).count()) === 0; ) {
      assert.ok(Date.now() < end, 'the beginning does not come');
      await scroller.evaluate((box) => box.scrollTo(0, 0));
      await page.waitForTimeout(50);
    }
    const onPage = await page.getByRole('article').count();
    assert.ok(onPage < 60, `${onPage} messages are on the page`);
    await page.getByRole('button', { name: 'Go to the newest message' }).click();
    await say(page, 'And now?');
    await answers(page).last().getByText('You said: And now?').waitFor();
    await settled(page);
  });
});
