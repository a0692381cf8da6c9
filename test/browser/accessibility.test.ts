/** The web app for everybody, beyond what `screens.test.ts` looks at: what goes wrong, what is heard, the smallest phone. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import { assertAccessible } from '../support/axe.ts';
import { describeBrowser, type VisitOptions } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, say, settled } from './app.ts';

const RICH = [
  '# Heading\n\nText with **bold**, `code`, [a link](https://example.org) and $x^2$.',
  '- one\n- two\n  - three\n\n1. first\n\n- [x] done',
  '| a | b |\n|---|:-:|\n| 1 | 2 |',
  '```js\nconst a = 1; // one\n```',
  '> quoted\n\n---\n\n$$\n\\frac{a}{b}\n$$',
].join('\n\n');

describeBrowser('accessibility', ({ visit }) => {
  let model: ModelServer;
  let server: TestServer;
  let guide: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
    guide = await startServer();
  });
  after(async () => {
    await Promise.all([server?.close(), guide?.close()]);
    await model?.close();
  });

  it('of what goes wrong, what is asked, and what explains itself, on a phone', async () => {
    const phone: VisitOptions = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
    const page = await visit(server.url, { ...phone, expected: /Failed to load|ERR_/ });
    model.next({ text: ['One ', 'two'], cut: 1 });
    await say(page, 'Broken');
    await answers(page).last().getByText('Interrupted').waitFor();
    await settled(page);
    await assertAccessible(page, 'an interrupted answer');
    await page.getByRole('button', { name: 'Show conversations' }).click();
    await page.getByRole('button', { name: 'Options for “New chat”' }).first().click();
    await assertAccessible(page, 'a menu over the conversations');
    await page.getByRole('menuitem', { name: 'Delete' }).click();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Undo' }).waitFor();
    await assertAccessible(page, 'a notice');
    await page.context().setOffline(true);
    await page.getByText('You are offline.').waitFor();
    await assertAccessible(page, 'offline');
    const guided = await visit(guide.url, phone);
    await guided.getByRole('button', { name: 'How to connect a model' }).click();
    await assertAccessible(guided, 'the guide');
  });

  it('says once that an answer is complete, and not each word', async () => {
    const page = await visit(server.url);
    await page.getByLabel('Your message').waitFor();
    await page.evaluate(() => {
      const heard: string[] = [];
      Object.assign(window, { heard });
      new MutationObserver(() => {
        for (const live of document.querySelectorAll('[aria-live]')) {
          const text = live.textContent ?? '';
          if (text !== '' && heard.at(-1) !== text) heard.push(text);
        }
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await say(page, 'one two three four five six seven');
    await answers(page).getByText('seven').waitFor();
    await settled(page);
    await page.getByText('The answer is complete.').waitFor({ state: 'attached' });
    const heard = await page.evaluate(() => (window as unknown as { heard: string[] }).heard);
    assert.deepEqual(heard, [
      'An answer is being written.',
      'The answer is complete. You said: one two three four five six seven',
    ]);
  });

  it('on a phone: the list comes and goes, and nothing is wider than the screen', async () => {
    const page = await visit(server.url, { viewport: { width: 320, height: 640 }, hasTouch: true, isMobile: true });
    model.next({ text: `${RICH}\n\n${'wide '.repeat(3)}\`${'x'.repeat(300)}\`\n\n\`\`\`\n${'y'.repeat(400)}\n\`\`\`` });
    await say(page, 'Everything');
    await page.locator('.katex').first().waitFor();
    await settled(page);
    const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(tooWide <= 0, `${tooWide} px`);
    await page.getByRole('button', { name: 'Show conversations' }).click();
    const drawer = page.getByRole('dialog', { name: 'Conversations' });
    await drawer.getByRole('link').first().click();
    await drawer.waitFor({ state: 'detached' });
    const small = await page.evaluate(() =>
      [...document.querySelectorAll('button, a[href]')]
        .filter((element) => element.closest('.prose') === null && element.getClientRects().length > 0)
        .map((element) => ({
          box: element.getBoundingClientRect(),
          name: element.getAttribute('aria-label') ?? element.textContent,
        }))
        .filter(({ box }) => box.width > 0 && (box.width < 24 || box.height < 24))
        .map(({ name }) => name),
    );
    assert.deepEqual(small, [], 'targets of less than 24 pixels (WCAG 2.5.8)');
  });
});
