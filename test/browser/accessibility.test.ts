/** The web app for everybody: axe finds nothing on any screen in both themes, and all of it works by keyboard alone. */

import assert from 'node:assert/strict';
import { after, before, it } from 'node:test';
import type { Page } from 'playwright-core';
import { assertAccessible } from '../support/axe.ts';
import { describeBrowser, type VisitOptions } from '../support/browser.ts';
import { type ModelServer, startModelServer } from '../support/model-server.ts';
import { startServer, type TestServer } from '../support/server.ts';
import { answers, choose, listed, say, settled } from './app.ts';

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
  let closed: TestServer;
  before(async () => {
    model = await startModelServer();
    server = await startServer({ model: model.url });
    guide = await startServer();
    closed = await startServer({ model: model.url, env: { PARLANCE_LOCAL: 'off' } });
  });
  after(async () => {
    await Promise.all([server?.close(), guide?.close(), closed?.close()]);
    await model?.close();
  });

  const looks: Record<string, VisitOptions> = {
    light: { colorScheme: 'light' },
    dark: { colorScheme: 'dark' },
    'on a phone': { colorScheme: 'light', viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  };
  for (const [look, options] of Object.entries(looks)) {
    it(`of every screen, ${look}`, async () => {
      const phone = options.isMobile === true;
      const page = await visit(server.url, { ...options, expected: /Failed to load|ERR_/ });
      const showList = async () => {
        if (phone) await page.getByRole('button', { name: 'Show conversations' }).click();
      };
      const hideList = async () => {
        if (phone) await page.keyboard.press('Escape');
      };
      await page.getByRole('heading', { name: 'What is on your mind?' }).waitFor();
      await assertAccessible(page, 'welcome');

      model.next({ reasoning: 'Hm', text: RICH, usage: { input: 1, output: 2 } });
      await say(page, 'Everything');
      await page.locator('.katex').first().waitFor();
      await page.locator('.hljs-keyword').waitFor();
      await settled(page);
      await page.getByText('Thought it through').click();
      await assertAccessible(page, 'an answer');
      await page.getByRole('button', { name: 'Edit', exact: true }).click({ force: true });
      await assertAccessible(page, 'editing');
      await page.keyboard.press('Escape');

      const asked = model.calls.length;
      model.next({ text: ['Half ', 'done'], gated: true });
      await say(page, 'Slowly');
      await (await model.call(asked)).release(1);
      await answers(page).last().getByText('Half').waitFor();
      await assertAccessible(page, 'an answer being written');
      await page.getByRole('button', { name: 'Stop the answer' }).click();
      await settled(page);
      await assertAccessible(page, 'a stopped answer');
      model.next({ text: ['One ', 'two'], cut: 1 });
      await say(page, 'Broken');
      await answers(page).last().getByText('Interrupted').waitFor();
      await settled(page);
      await assertAccessible(page, 'an interrupted answer');
      model.next({ status: 400, error: { error: { message: 'No' } } });
      await say(page, 'Failing');
      await page.getByRole('alert').waitFor();
      await assertAccessible(page, 'no answer');

      await showList();
      await assertAccessible(page, 'the conversations');
      await page.getByRole('button', { name: 'Options for “New chat”' }).first().click({ force: true });
      await assertAccessible(page, 'a menu');
      await page.keyboard.press('Escape');
      await page.getByLabel('Search all messages').first().fill('everything');
      await page.getByText(/conversations? found/).waitFor();
      await assertAccessible(page, 'a search');
      await page.getByRole('button', { name: 'Clear the search' }).click();

      await page.getByRole('button', { name: 'Settings' }).click();
      for (const tab of ['Appearance', 'Keyboard', 'You', 'Usage', 'Keys', 'Users and invites']) {
        await page.getByRole('tab', { name: tab }).click();
        await page.getByRole('tabpanel').waitFor();
        await assertAccessible(page, `settings: ${tab}`);
      }
      await page.getByLabel('Owner key').fill(server.ownerKey);
      await page.getByRole('button', { name: 'Unlock' }).click();
      await page.getByLabel('Name').waitFor();
      await assertAccessible(page, 'users');
      await page.getByRole('tab', { name: 'Keys' }).click();
      await page.getByRole('button', { name: 'Create the key' }).click();
      await page.getByText('This key is shown once.').waitFor();
      await assertAccessible(page, 'keys');
      await page.keyboard.press('Escape');
      await hideList();

      await page.context().setOffline(true);
      await page.getByText('You are offline.').waitFor();
      await assertAccessible(page, 'offline');
      await page.context().setOffline(false);

      const guided = await visit(guide.url, options);
      await guided.getByRole('button', { name: 'How to connect a model' }).click();
      await assertAccessible(guided, 'the guide');
      const stranger = await visit(closed.url, options);
      await stranger.getByRole('heading', { name: 'Sign in' }).waitFor();
      await assertAccessible(stranger, 'sign-in');
    });
  }

  it('everything by keyboard: write, stop, edit, rename, delete, take back, settings', async () => {
    const page = await visit(server.url);
    const focused = () =>
      page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
      );
    await page.getByLabel('Your message').waitFor();
    assert.equal(await focused(), 'Your message');
    await page.keyboard.type('By keyboard');
    await page.keyboard.press('Shift+Enter');
    await page.keyboard.type('alone');
    await page.keyboard.press('Enter');
    await answers(page).getByText('By keyboard').waitFor();
    await settled(page);
    await page.keyboard.press('ArrowUp');
    assert.equal(await focused(), 'Edit your message');
    await page.keyboard.press('Escape');

    await listed(page, 'New chat').first().focus();
    await page.keyboard.press('F2');
    await page.keyboard.type('Named by keys');
    await page.keyboard.press('Enter');
    await listed(page, 'Named by keys').waitFor();
    await listed(page, 'Named by keys').focus();
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Options for “Named by keys”');
    await page.keyboard.press('Enter');
    await page.getByRole('menuitem', { name: 'Rename' }).waitFor();
    assert.equal(await focused(), 'Rename');
    await page.keyboard.press('d');
    assert.equal(await focused(), 'Delete');
    await page.keyboard.press('Escape');
    assert.equal(await focused(), 'Options for “Named by keys”');
    await page.keyboard.press('Enter');
    await page.keyboard.press('End');
    await page.keyboard.press('Enter');
    await listed(page, 'Named by keys').waitFor({ state: 'detached' });
    await tabTo(page, 'Undo');
    await page.keyboard.press('Enter');
    await listed(page, 'Named by keys').waitFor();

    await page.keyboard.press('Control+,');
    await page.getByRole('dialog', { name: 'Settings' }).waitFor();
    await tabTo(page, 'Appearance');
    await page.keyboard.press('ArrowDown');
    assert.equal(await focused(), 'Keyboard');
    await page.getByText('Show or hide the conversations').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.keyboard.press('Control+b');
    await page.getByRole('navigation', { name: 'Conversations' }).waitFor({ state: 'detached' });
    await page.keyboard.press('Control+b');
    await page.getByRole('navigation', { name: 'Conversations' }).waitFor();
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

  it('moves nothing for those who want no movement', async () => {
    const page = await visit(server.url, { reducedMotion: 'reduce' });
    await say(page, 'Hello');
    await answers(page).waitFor();
    await settled(page);
    await choose(page, 'New chat', 'Archive').catch(() => {});
    const moving = await page.evaluate(
      () => document.getAnimations().filter(({ playState }) => playState === 'running').length,
    );
    assert.equal(moving, 0);
  });
});

/** With Tab, as far as it takes. */
async function tabTo(page: Page, name: string): Promise<void> {
  for (let i = 0; i < 60; i++) {
    const at = await page.evaluate(
      () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
    );
    if (at === name) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`Tab does not lead to ${name}`);
}
